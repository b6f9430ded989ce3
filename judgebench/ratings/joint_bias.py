"""One model for people and a judge: the same strengths, with a bias of the judge's own, and a test of whether it fits.

judge: logit P = θ_first - θ_second + a + b_J (length) + s (own);  people: logit P = θ_first - θ_second + b_H (length).
Fitted together by maximum likelihood, errors clustered by question (CR0). It is narrower than prediction-powered
ratings and wrong where the judge has a bias that is not in it (a taste for one model): so both are given, and a
specification test in the manner of Hausman 1978 says which is the headline. From the judge's verdicts alone the length
bias is not identified.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np
from scipy import special

from judgebench.errors import UserError
from judgebench.ratings.intervals import FLAT, Floats, finite, t_quantile
from judgebench.ratings.ppi import NOT_RANDOM
from judgebench.ratings.ppi_ratings import (
    ELO,
    PPIRatings,
    Table,
    best_lambda,
    inverted,
    newton,
    ppi_bradley_terry,
    solve,
    summed,
    table_of,
)
from judgebench.types import Record

Lengths = Sequence[tuple[float, float]]
"""Length of the first and the second answer of each game, any unit."""


class JointRatings(Record, frozen=True, kw_only=True):
    """Strengths on people's scale out of the joint model, beside the prediction-powered ones."""

    models: tuple[str, ...]
    """Names, the reference first."""
    relative: dict[str, float]
    """θ + b_H · mean length, less the reference's: what people prefer, answers as long as they are."""
    se_relative: dict[str, float]
    """Clustered errors (CR0)."""
    elo: dict[str, float]
    """1000 + 400 / ln 10 · relative, mean 1000."""
    low: dict[str, float]
    """Elo, lower end (t with G - 1 degrees of freedom)."""
    high: dict[str, float]
    """Elo, upper end."""
    position: float | None
    """a: the judge's log-odds for what is shown first; None where not in the model."""
    length_judge: float | None
    """b_J: the judge's log-odds for one sd of length more; None where no lengths were given."""
    length_human: float | None
    """b_H: people's."""
    length_excess: float | None
    """b_J - b_H: the bias proper."""
    own: float | None
    """s: the judge's log-odds for its own answers; None where not in the model."""
    se: dict[str, float]
    """Errors of ``position``, ``length_judge``, ``length_human``, ``length_excess`` and ``own``, where defined."""
    hausman: float
    """d' Var(d)⁺ d, d the joint less the prediction-powered strengths, Var(d) from both fits' parts by question."""
    degrees: int
    """Degrees of freedom of its chi-square."""
    p_value: float
    """p that both estimate the same; small: the joint model does not fit."""
    headline: str
    """``joint``, or ``ppi`` where the test rejects at ``alpha``."""
    ppi: PPIRatings
    """The prediction-powered ratings."""
    clusters: int
    """Questions."""
    note: str
    """What a reader must know."""


def joint_bias(
    human_games: Sequence[tuple[str, str, float, float]],
    judge_games: Sequence[tuple[str, str, float]],
    *,
    lengths: tuple[Lengths, Lengths] | None = None,
    own: tuple[Sequence[float], Sequence[float]] | None = None,
    position: bool = True,
    human_clusters: Sequence[Hashable] | None = None,
    judge_clusters: Sequence[Hashable] | None = None,
    reference: str | None = None,
    level: float = 0.95,
    alpha: float = 0.05,
    random_sample: bool = True,
) -> JointRatings:
    """The joint fit, the prediction-powered fit of the same games, and the test between them.

    Args:
        human_games: n of (first shown, second, people's score of the first, judge's score of the first).
        judge_games: N of (first shown, second, judge's score of the first) without a label.
        lengths: lengths of the two answers in each of the n, and in each of the N.
        own: +1 where the first answer is of the judge's own family, -1 where the second is, else 0; of the n, and of
            the N.
        position: whether the judge may prefer what is shown first; False where verdicts are means over both orders.
        human_clusters: question of each of the n.
        judge_clusters: question of each of the N.
        reference: whose ``relative`` is 0; the first by name.
        level: coverage.
        alpha: level of the test.
        random_sample: the declaration that the labelled games are a random sample.

    Raises:
        UserError: what `ppi_bradley_terry` refuses; lengths or flags that are not one for each game; lengths that never
            differ; biases that the games cannot tell apart.
    """
    if not random_sample:
        raise UserError(NOT_RANDOM)
    table = table_of(human_games, judge_games, human_clusters, judge_clusters, reference)
    n, m = len(table.human), len(table.models)
    columns: list[Floats] = []
    typical: Floats = np.zeros(m - 1)
    names: list[str] = []
    people = np.zeros((n, 0))
    if position:
        names, columns = [*names, "position"], [*columns, np.ones(len(table.judge))]
    if own is not None:
        flags = finite([*own[0], *own[1]])
        _one_each(len(flags), len(table.judge), "flag")
        names, columns = [*names, "own"], [*columns, flags]
    if lengths is not None:
        difference, typical = _lengths(table, lengths)
        names, columns = [*names, "length_judge"], [*columns, difference]
        people = difference[:n, None]
    biases = np.column_stack(columns) if columns else np.zeros((len(table.judge), 0))
    # Rows: people's n labels, then the judge's n + N verdicts. Columns: θ, people's length, the judge's biases.
    design = np.block(
        [
            [table.x[:n], people, np.zeros((n, biases.shape[1]))],
            [table.x, np.zeros((len(table.judge), people.shape[1])), biases],
        ]
    )
    if np.linalg.matrix_rank(design) < design.shape[1]:
        raise UserError("the games cannot tell the judge's biases and the models' strengths apart: leave a bias out")
    scores, codes = np.concatenate([table.human, table.judge]), np.concatenate([table.codes[:n], table.codes])
    found = newton(design, np.full(len(scores), 1 / len(scores)), scores / len(scores))
    chance = special.expit(design @ found)
    inverse = inverted((design * (chance * (1 - chance))[:, None]).T @ design)
    influence = -summed(design * (chance - scores)[:, None], codes) @ inverse
    to_strength = np.zeros((m - 1, design.shape[1]))
    to_strength[:, : m - 1] = np.eye(m - 1)
    if lengths is not None:
        to_strength[:, m - 1] = typical
    strength, moved = to_strength @ found, influence @ to_strength.T
    lam = best_lambda(table)
    calibrated = ppi_bradley_terry(
        human_games, judge_games, lam=lam, human_clusters=human_clusters, judge_clusters=judge_clusters,
        reference=reference, level=level,
    )  # fmt: skip
    hausman, degrees, p_value = _hausman(table, lam, strength, moved)
    values = dict(zip(["length_human"] * people.shape[1] + names, found[m - 1 :], strict=True))
    roots = np.sqrt((influence[:, m - 1 :] ** 2).sum(axis=0))
    errors = {name: float(root) for name, root in zip(values, roots, strict=True)}
    excess = None
    if lengths is not None:
        excess = float(values["length_judge"] - values["length_human"])
        last = influence[:, design.shape[1] - 1] - influence[:, m - 1]
        errors["length_excess"] = float(math.sqrt(float(last @ last)))
    rejected = p_value < alpha
    note = f"the joint model misses a bias of the judge (p = {p_value:.2g}): PPI is the headline" if rejected else ""
    elo, low, high = _elo(table.models, strength, moved, level)

    def named(numbers: Floats) -> dict[str, float]:
        return dict(zip(table.models, [0.0, *(float(each) for each in numbers)], strict=True))

    def bias(name: str) -> float | None:
        return float(values[name]) if name in values else None

    return JointRatings(
        models=tuple(table.models), relative=named(strength), se_relative=named(np.sqrt((moved**2).sum(axis=0))),
        elo=elo, low=low, high=high, position=bias("position"), length_judge=bias("length_judge"),
        length_human=bias("length_human"), length_excess=excess, own=bias("own"), se=errors, hausman=hausman,
        degrees=degrees, p_value=p_value, headline="ppi" if rejected else "joint", ppi=calibrated,
        clusters=len(influence), note=note,
    )  # fmt: skip


def _lengths(table: Table, lengths: tuple[Lengths, Lengths]) -> tuple[Floats, Floats]:
    """Length of first less second in sds of that difference, and each model's mean length less the reference's."""
    pairs = np.array([*lengths[0], *lengths[1]], dtype=np.float64).reshape(-1, 2)
    _one_each(len(pairs), len(table.judge), "pair of lengths")
    raw = pairs[:, 0] - pairs[:, 1]
    sd = float(raw.std(ddof=1))
    if not np.isfinite(pairs).all() or sd < FLAT:
        raise UserError("the answers' lengths never differ, or are not finite: no length bias can be told")
    full = np.column_stack([-table.x.sum(axis=1), table.x])
    first, second = full > 0, full < 0
    total = (first * pairs[:, :1] + second * pairs[:, 1:]).sum(axis=0) / (first.sum(axis=0) + second.sum(axis=0))
    return raw / sd, (total[1:] - total[0]) / sd


def _one_each(found: int, games: int, what: str) -> None:
    if found != games:
        raise UserError(f"one {what} for each game, found {found} for {games}")


def _hausman(table: Table, lam: float, strength: Floats, moved: Floats) -> tuple[float, int, float]:
    """Statistic, degrees of freedom and p of the joint strengths against the prediction-powered ones."""
    theta, parts, inverse = solve(table, lam)
    other = -summed(parts, table.codes) @ inverse
    gap, apart = strength - theta, moved - other
    variance = apart.T @ apart
    values, vectors = np.linalg.eigh(variance)
    kept = values > 1e-8 * max(float(values.max()), FLAT)
    along = vectors[:, kept].T @ gap
    statistic, degrees = float((along**2 / values[kept]).sum()), int(kept.sum())
    return statistic, degrees, float(special.chdtrc(degrees, statistic)) if degrees else 1.0


def _elo(
    models: Sequence[str], strength: Floats, moved: Floats, level: float
) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    """Elo, low and high of every model, mean 1000."""
    values = np.concatenate([[0.0], strength])
    parts = np.hstack([np.zeros((len(moved), 1)), moved])
    values, parts = values - values.mean(), parts - parts.mean(axis=1, keepdims=True)
    half = t_quantile(level, max(1, len(moved) - 1)) * np.sqrt((parts**2).sum(axis=0))
    ends = [1000 + ELO * each for each in (values, values - half, values + half)]
    first, second, third = [dict(zip(models, (float(x) for x in each), strict=True)) for each in ends]
    return first, second, third
