"""Length-controlled win rate: what a model would win if its answers were as long as the baseline's.

Source: Dubois et al. 2024, "Length-Controlled AlpacaEval". logit P(model preferred) = θ + φ tanh(Δ / sd Δ) + ψ γ_x, Δ
the baseline's length less the model's, γ_x the difficulty of the instruction; the win rate is the mean over
instructions at Δ = 0. Here is the model without penalty; `alpaca_length` has the published one. The error published
with it is the spread of the fitted probabilities, which says nothing of the estimator: here questions are resampled.
Where a model is hardly ever longer (or shorter) than the baseline, Δ = 0 is extrapolated, so the overlap is part of the
result.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence

import numpy as np
from scipy import special

from judgebench.errors import UserError
from judgebench.ratings.intervals import Codes, Floats, cluster_codes, finite
from judgebench.types import Record

OVERLAP = 0.05
"""Share of items on the rarer side of equal length under which the result is said to be extrapolated."""

MOST_LOST = 0.01
"""Share of resamples without a finite fit past which there is no interval."""

BLOCK = 4_000_000
"""Numbers held at a time by the bootstrap."""


class LengthControlled(Record, frozen=True, kw_only=True):
    """A length-controlled win rate, in per cent, with the error of the estimator."""

    win_rate: float
    """100 · mean σ(θ + ψ γ): at equal length."""
    raw: float
    """100 · mean preference."""
    se: float | None
    """Standard deviation over resampled questions; None where there are too few or they are separated."""
    low: float | None
    """Lower percentile over them."""
    high: float | None
    """Upper percentile."""
    theta: float
    """Log-odds at equal length and difficulty 0."""
    length: float
    """φ: below 0 where longer answers are preferred."""
    difficulty: float | None
    """ψ; None where no difficulties were given."""
    fitted_se: float
    """100 · sd of the fitted probabilities / sqrt n, as leaderboards print it: no error of the estimator."""
    longer: float
    """Share of items on which the model's answer is the longer."""
    shorter: float
    """Share on which it is the shorter."""
    n: int
    """Preferences."""
    clusters: int
    """Questions."""
    draws: int
    """Resamples."""
    seed: int
    """Of numpy's default generator."""
    note: str
    """What a reader must know: extrapolation, lost resamples, penalty."""


def fit(
    preferences: Sequence[float],
    lengths: Sequence[float],
    baseline_lengths: Sequence[float],
    difficulty: Sequence[float] | None = None,
    clusters: Sequence[Hashable] | None = None,
    *,
    draws: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> LengthControlled:
    """The length-controlled win rate by unpenalised maximum likelihood.

    Args:
        preferences: share of the point that each of the model's answers took from the baseline's, in [0, 1].
        lengths: its length, in characters.
        baseline_lengths: the length of the baseline's answer.
        difficulty: γ of its instruction; None leaves the term out.
        clusters: the question of each; None: one each.
        draws: resamples of questions, at least 2; 0 gives no error.
        seed: of numpy's default generator.
        level: coverage.

    Raises:
        UserError: lengths of the lists that differ, a preference outside [0, 1], no two answers that differ in length,
            or preferences that the length separates, so that no finite fit exists.
    """
    points, gap, gamma, codes = observed(preferences, lengths, baseline_lengths, difficulty, clusters)
    groups = int(codes.max()) + 1
    design = _design(gap[None, :], np.ones((1, len(gap))), gamma)
    beta = _newton(design, points, np.ones((1, len(gap))))
    if not np.isfinite(beta).all():
        raise UserError("separated: the difference in length foretells every preference, so that no finite fit exists")
    fitted = _at_equal_length(beta, gamma, len(points))[0]
    found = _resampled((points, gap, gamma, codes), draws, seed) if draws and groups > 1 else np.empty(0)
    return described(
        (points, gap, groups), fitted, {"theta": beta[0, 0], "length": beta[0, 1], "difficulty": beta[0, -1]},
        found, (draws, seed, level), gamma is not None,
    )  # fmt: skip


def observed(
    preferences: Sequence[float],
    lengths: Sequence[float],
    baseline_lengths: Sequence[float],
    difficulty: Sequence[float] | None,
    clusters: Sequence[Hashable] | None,
) -> tuple[Floats, Floats, Floats | None, Codes]:
    """Preferences, baseline's length less the model's, difficulties and cluster numbers, all checked.

    Raises:
        UserError: what `fit` refuses before fitting.
    """
    points, ours, theirs = finite(preferences), finite(lengths), finite(baseline_lengths)
    gamma = None if difficulty is None else finite(difficulty)
    if not len(points) == len(ours) == len(theirs) or (gamma is not None and len(gamma) != len(points)):
        raise UserError("each preference needs the length of both answers, and a difficulty if there is one for any")
    if len(points) < 2:
        raise UserError(f"{len(points)} preferences: nothing can be said of length")
    if points.min() < 0 or points.max() > 1:
        raise UserError(f"preferences must lie in [0, 1], found {points.min():g} to {points.max():g}")
    gap = theirs - ours
    if not gap.std(ddof=1) > 0:
        raise UserError("the answers' lengths all differ alike from the baseline's: there is no length to control for")
    return points, gap, gamma, cluster_codes(clusters, len(points))


def described(
    data: tuple[Floats, Floats, int],
    fitted: Floats,
    weights: Mapping[str, float],
    found: Floats,
    settings: tuple[int, int, float],
    has_difficulty: bool,
    note: str = "",
) -> LengthControlled:
    """The record of a fit.

    Args:
        data: preferences, differences of length, number of questions.
        fitted: probability of each instruction at equal length.
        weights: theta, length, difficulty.
        found: win rate of every resample, NaN where it has no fit.
        settings: draws, seed, level.
        has_difficulty: whether ψ was fitted.
        note: what else a reader must know.
    """
    (points, gap, groups), (draws, seed, level) = data, settings
    n = len(points)
    longer, shorter = float((gap < 0).mean()), float((gap > 0).mean())
    notes = [note] if note else []
    if min(longer, shorter) < OVERLAP:
        notes.append(
            f"extrapolated: its answer is the longer on {longer:.1%} and the shorter on {shorter:.1%} of the items"
        )
    finite_draws = found[np.isfinite(found)]
    lost = len(found) - len(finite_draws)
    defined = len(finite_draws) > 1 and lost <= MOST_LOST * len(found)
    if lost:
        notes.append(f"{lost} of {len(found)} resamples have no finite fit" + ("" if defined else ": no interval"))
    if groups == 1:
        notes.append("one question: no interval")
    ends = np.quantile(finite_draws, [(1 - level) / 2, (1 + level) / 2]) if defined else (math.nan, math.nan)
    return LengthControlled(
        win_rate=100 * float(fitted.mean()),
        raw=100 * float(points.mean()),
        se=100 * float(finite_draws.std(ddof=1)) if defined else None,
        low=100 * float(ends[0]) if defined else None,
        high=100 * float(ends[1]) if defined else None,
        theta=float(weights["theta"]),
        length=float(weights["length"]),
        difficulty=float(weights["difficulty"]) if has_difficulty else None,
        fitted_se=100 * float(fitted.std(ddof=1)) / math.sqrt(n),
        longer=longer,
        shorter=shorter,
        n=n,
        clusters=groups,
        draws=draws,
        seed=seed,
        note="; ".join(notes),
    )


def standardised(gap: Floats, weights: Floats) -> Floats:
    """Tanh of differences over their weighted standard deviation (ddof 1), rows being resamples."""
    total = weights.sum(axis=1, keepdims=True)
    mean = (weights * gap).sum(axis=1, keepdims=True) / total
    spread = np.sqrt((weights * (gap - mean) ** 2).sum(axis=1, keepdims=True) / (total - 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = np.tanh(gap / spread)
    return found


def counts(codes: Codes, draws: int, random: np.random.Generator) -> Floats:
    """How often each score is in each of ``draws`` resamples of whole clusters: draws × n."""
    groups = int(codes.max()) + 1
    drawn = [np.bincount(random.integers(0, groups, groups), minlength=groups) for _ in range(draws)]
    return np.stack(drawn)[:, codes].astype(np.float64)


def _design(gap: Floats, weights: Floats, gamma: Floats | None) -> Floats:
    """Columns of the model, resamples × n × (2 or 3)."""
    length = standardised(gap, weights)
    columns = [np.ones_like(length), length]
    if gamma is not None:
        columns.append(np.broadcast_to(gamma, length.shape))
    return np.stack(columns, axis=2)


def _newton(design: Floats, points: Floats, weights: Floats) -> Floats:
    """Coefficients of every resample; NaN where there is no finite fit."""
    rows, _, k = design.shape
    beta = np.zeros((rows, k))
    last = np.full(rows, np.inf)
    design = np.nan_to_num(design)
    for _ in range(40):
        chance = special.expit(np.einsum("rnk,rk->rn", design, beta))
        gradient = np.einsum("rnk,rn->rk", design, weights * (points - chance))
        bend = weights * chance * (1 - chance)
        hessian = np.einsum("rnk,rn,rnl->rkl", design, bend, design, optimize=True)
        # So little that it moves no finite fit, and enough to go on where a resample has none.
        hessian += 1e-9 * np.eye(k)
        step = np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0]
        last = np.abs(step).max(axis=1)
        beta = beta + np.clip(step, -2, 2)
        if last.max() < 1e-9:
            break
    return np.where((last < 1e-6)[:, None] & (np.abs(beta).max(axis=1) < 30)[:, None], beta, np.nan)


def _at_equal_length(beta: Floats, gamma: Floats | None, n: int) -> Floats:
    """Probabilities at Δ = 0, resamples × n."""
    level = beta[:, :1] + (0 if gamma is None else beta[:, 2:] * gamma[None, :])
    return np.asarray(special.expit(np.broadcast_to(level, (len(beta), n))))


def _resampled(data: tuple[Floats, Floats, Floats | None, Codes], draws: int, seed: int) -> Floats:
    """Win rate (0 to 1) of every resample of questions, sd of the lengths and difficulties being its own."""
    points, gap, gamma, codes = data
    random = np.random.default_rng(seed)
    block = max(1, BLOCK // (4 * len(points)))
    found = []
    for start in range(0, draws, block):
        weights = counts(codes, min(block, draws - start), random)
        beta = _newton(_design(gap[None, :], weights, gamma), points, weights)
        fitted = _at_equal_length(beta, gamma, len(points))
        found.append((weights * fitted).sum(axis=1) / weights.sum(axis=1))
    return np.concatenate(found)
