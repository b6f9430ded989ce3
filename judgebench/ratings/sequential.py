"""Tests and intervals that hold at every look, so that judging may stop as soon as the answer is known.

Sources: Ville 1939 (an e-process reaches 1/alpha under the null with chance at most alpha, whenever one stops);
Waudby-Smith and Ramdas 2023, "Estimating means of bounded random variables by betting" (hedged capital, aGRAPA,
empirical Bernstein); Waudby-Smith et al. 2024 (asymptotic confidence sequences). Scores lie in [0, 1], one a question,
in an order drawn beforehand.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import special

from judgebench.errors import UserError
from judgebench.ratings.intervals import Floats, finite
from judgebench.types import Record

CAP = 0.75
"""Largest share of the capital that a bet may lose in one step."""


class EProcess(Record, frozen=True, kw_only=True):
    """Evidence against a null after each score."""

    e_values: tuple[float, ...]
    """Capital after 1, 2, … scores; at least 1/alpha rejects."""
    log_e: float
    """Natural log of the last; 0 before any score."""
    first: int | None
    """1-based score at which 1/alpha was first reached; None where it never was."""
    above: bool | None
    """At that score: whether the mean is above the null; None where undecided."""
    alpha: float
    """The level that ``first`` belongs to."""


class ConfidenceSequence(Record, frozen=True, kw_only=True):
    """An interval of the mean after each score, all holding at once with chance 1 - alpha."""

    centre: tuple[float, ...]
    """Centre after 1, 2, … scores."""
    radius: tuple[float, ...]
    """Half-width, uncut."""
    low: tuple[float, ...]
    """Lower ends, cut to [0, 1]; of the exact ones the running intersection."""
    high: tuple[float, ...]
    """Upper ends."""


def beta_mixture(
    outcomes: Sequence[float], null: float = 0.5, a: float = 1.0, b: float = 1.0, alpha: float = 0.05
) -> EProcess:
    """The e-process of wins (1) and losses (0) against a share, by a Beta(a, b) mixture of alternatives.

    E_t = B(a + S, b + t - S) / (B(a, b) null^S (1 - null)^(t - S)); two-sided.

    Raises:
        UserError: an outcome other than 0 and 1 (ties need `betting`), or a null outside (0, 1).
    """
    x = finite(outcomes)
    if not np.isin(x, (0, 1)).all():
        raise UserError("a Beta mixture takes wins and losses, 1 and 0, only; scores with ties go to 'betting'")
    _check_null(null)
    wins, count = np.cumsum(x), np.arange(1, len(x) + 1)
    logs = special.betaln(a + wins, b + count - wins) - special.betaln(a, b)
    logs = logs - wins * math.log(null) - (count - wins) * math.log1p(-null)
    return _process(logs, wins / np.maximum(count, 1) > null, alpha)


def betting_mixture(
    scores: Sequence[float], lambdas: Sequence[float], null: float = 0.5, alpha: float = 0.05
) -> EProcess:
    """The mean over fixed bets λ of Π(1 + λ (x - null)): an e-process for scores in [0, 1], ties welcome.

    Raises:
        UserError: a score outside [0, 1], or a λ that could lose more than all: it must lie in (-1/(1-null), 1/null).
    """
    x = _unit(scores)
    bets = finite(lambdas)
    _check_null(null)
    if not len(bets) or bets.min() <= -1 / (1 - null) or bets.max() >= 1 / null:
        raise UserError(f"bets must lie between {-1 / (1 - null):g} and {1 / null:g}")
    logs = np.cumsum(np.log1p(bets[:, None] * (x[None, :] - null)), axis=1)
    mixed = special.logsumexp(logs, axis=0) - math.log(len(bets))
    return _process(mixed, np.cumsum(x) / np.arange(1, len(x) + 1) > null, alpha)


def betting(scores: Sequence[float], null: float = 0.5, alpha: float = 0.05) -> EProcess:
    """The hedged capital of adaptive bets on scores in [0, 1]: this project's test of 'is A better than B'.

    Half the capital bets that the mean is above the null, half that it is below; each λ_t is aGRAPA of the scores
    before, (μ - null)/(σ² + (μ - null)²), cut so that no step loses more than `CAP` of it (Waudby-Smith and Ramdas
    2023, section B.3).

    Raises:
        UserError: a score outside [0, 1], or a null outside (0, 1).
    """
    x = _unit(scores)
    _check_null(null)
    up, down = hedged(x[None, :], null)
    return _process(np.logaddexp(up[0], down[0]) - math.log(2), up[0] > down[0], alpha)


def hedged(scores: Floats | Sequence[Sequence[float]], null: float = 0.5) -> tuple[Floats, Floats]:
    """Log capital of the two halves after each score, for many sequences at once.

    Args:
        scores: runs × steps, in [0, 1].
        null: the mean tested.

    Returns:
        Log capital of the bets above and below the null, runs × steps each.

    Raises:
        UserError: not runs × steps, a score outside [0, 1], or a null outside (0, 1).
    """
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 2:
        raise UserError("a row of scores for each run is needed; of one run that is [scores]")
    _unit(scores.ravel().tolist())
    _check_null(null)
    mean, variance = _predictable(scores)
    gap = mean - null
    bet = gap / (variance + gap**2)
    bet = np.clip(bet, -CAP / (1 - null), CAP / null)
    up = np.cumsum(np.log1p(np.maximum(bet, 0) * (scores - null)), axis=1)
    down = np.cumsum(np.log1p(np.minimum(bet, 0) * (scores - null)), axis=1)
    return up, down


def betting_interval(scores: Sequence[float], alpha: float = 0.05, grid: int = 1000) -> tuple[float, float]:
    """The means that the hedged capital has never rejected: low and high, valid wherever one stopped.

    Args:
        scores: in [0, 1], in the order drawn.
        alpha: level.
        grid: means tried in (0, 1); the ends are widened to the next that was rejected.

    Raises:
        UserError: a score outside [0, 1].
    """
    x = _unit(scores)
    _check_level(alpha)
    if not len(x):
        return 0.0, 1.0
    mean, variance = _predictable(x[None, :])
    nulls = (np.arange(grid)[:, None] + 0.5) / grid
    gap = mean - nulls
    bet = gap / (variance + gap**2)
    up = np.cumsum(np.log1p(np.clip(bet, 0, CAP / nulls) * (x - nulls)), axis=1)
    down = np.cumsum(np.log1p(np.clip(bet, -CAP / (1 - nulls), 0) * (x - nulls)), axis=1)
    kept = np.flatnonzero((np.logaddexp(up, down) - math.log(2)).max(axis=1) < math.log(1 / alpha))
    if not len(kept):
        middle = float(x.mean())
        return middle, middle
    return float(max(0.0, (kept[0] - 0.5) / grid)), float(min(1.0, (kept[-1] + 1.5) / grid))


def empirical_bernstein(scores: Sequence[float], alpha: float = 0.05, cap: float = 0.5) -> ConfidenceSequence:
    """The predictable empirical-Bernstein confidence sequence (Waudby-Smith and Ramdas 2023, theorem 2); two-sided.

    Raises:
        UserError: a score outside [0, 1].
    """
    x = _unit(scores)
    _check_level(alpha)
    mean, variance = _predictable(x[None, :])
    step = np.arange(1, len(x) + 1)
    bet = np.minimum(np.sqrt(2 * math.log(2 / alpha) / (variance[0] * step * np.log1p(step))), cap)
    spread = 4 * (x - mean[0]) ** 2
    weight = (-np.log1p(-bet) - bet) / 4
    total = np.cumsum(bet)
    centre = np.cumsum(bet * x) / total
    radius = (math.log(2 / alpha) + np.cumsum(spread * weight)) / total
    low = np.maximum.accumulate(np.clip(centre - radius, 0, 1)) if len(x) else centre
    high = np.minimum.accumulate(np.clip(centre + radius, 0, 1)) if len(x) else centre
    return _sequence(centre, radius, low, high)


def asymptotic(scores: Sequence[float], alpha: float = 0.05, best_at: int = 100) -> ConfidenceSequence:
    """The asymptotic confidence sequence of a mean (Waudby-Smith et al. 2024, theorem 2.2), narrowest about
    ``best_at``.

    Centre: running mean; radius: σ_t sqrt(2 (tρ² + 1)/(t²ρ²) ln(sqrt(tρ² + 1)/alpha)), σ_t by n, and
    ρ² = (-2 ln alpha + ln(-2 ln alpha + 1)) / best_at. It holds for large t only: no bound at the first few scores,
    and where the scores have not varied yet (radius 0) the ends are 0 and 1.

    Raises:
        UserError: a score outside [0, 1].
    """
    x = _unit(scores)
    _check_level(alpha)
    step = np.arange(1, len(x) + 1)
    rho2 = (-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / best_at
    centre = np.cumsum(x) / step
    sd = np.sqrt(np.maximum(np.cumsum(x**2) / step - centre**2, 0))
    inside = step * rho2 + 1
    radius = sd * np.sqrt(2 * inside / (step**2 * rho2) * np.log(np.sqrt(inside) / alpha))
    known = sd > 1e-9
    low, high = np.where(known, np.clip(centre - radius, 0, 1), 0.0), np.where(known, np.clip(centre + radius, 0, 1), 1)
    return _sequence(centre, radius, low, high)


def _predictable(scores: Floats) -> tuple[Floats, Floats]:
    """Mean and variance of the scores before each, begun at 1/2 and 1/4 as if one score had been seen."""
    count = np.arange(1, scores.shape[1] + 1)
    mean = (0.5 + np.cumsum(scores, axis=1)) / (count + 1)
    variance = (0.25 + np.cumsum((scores - mean) ** 2, axis=1)) / (count + 1)
    start = np.full((len(scores), 1), 0.5)
    return np.hstack([start, mean[:, :-1]])[:, : scores.shape[1]], np.hstack([start / 2, variance[:, :-1]])[
        :, : scores.shape[1]
    ]


def _process(logs: Floats, above: np.ndarray[tuple[int], np.dtype[np.bool_]], alpha: float) -> EProcess:
    _check_level(alpha)
    reached = np.flatnonzero(logs >= math.log(1 / alpha) - 1e-12)
    first = int(reached[0]) if len(reached) else None
    return EProcess(
        e_values=tuple(float(each) for each in np.exp(np.minimum(logs, 700))),
        log_e=float(logs[-1]) if len(logs) else 0.0,
        first=None if first is None else first + 1, above=None if first is None else bool(above[first]), alpha=alpha,
    )  # fmt: skip


def _sequence(centre: Floats, radius: Floats, low: Floats, high: Floats) -> ConfidenceSequence:
    parts = [tuple(float(value) for value in each) for each in (centre, radius, low, high)]
    return ConfidenceSequence(centre=parts[0], radius=parts[1], low=parts[2], high=parts[3])


def _unit(scores: Sequence[float]) -> Floats:
    x = finite(scores)
    if len(x) and (x.min() < 0 or x.max() > 1):
        raise UserError(f"scores must lie in [0, 1], found {x.min():g} to {x.max():g}")
    return x


def _check_level(alpha: float) -> None:
    if not 0 < alpha < 1:
        raise UserError(f"alpha must lie in (0, 1), found {alpha}")


def _check_null(null: float) -> None:
    if not 0 < null < 1:
        raise UserError(f"the mean tested must lie in (0, 1), found {null}")
