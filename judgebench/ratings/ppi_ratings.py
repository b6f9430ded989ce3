"""Bradley–Terry ratings on people's scale, out of a few labelled games and many judged ones (PPI++ for Bradley–Terry).

Source: Angelopoulos, Duchi and Zrnic 2023, "PPI++", sections 3 (estimating equation), 4 (variance) and 6 (λ), with the
logistic likelihood of Bradley and Terry 1952, ties as half-wins. The labels must be a random sample of what was judged.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

from judgebench.errors import UserError
from judgebench.ratings.intervals import (
    FLAT,
    Codes,
    Floats,
    cluster_codes,
    finite,
    normal_quantile,
    t_quantile,
)
from judgebench.ratings.pools import groups_that_meet, not_comparable
from judgebench.ratings.ppi import FEW_LABELS, NOT_RANDOM
from judgebench.types import Record

ELO = 400 / math.log(10)
"""Elo points of one unit of log-odds."""


class PPIRatings(Record, frozen=True, kw_only=True):
    """Prediction-powered Bradley–Terry ratings; ``relative`` is to ``reference``, ``theta`` sums to 0."""

    models: tuple[str, ...]
    """Sorted names, the order of ``covariance``."""
    reference: str
    """Model whose ``relative`` is 0."""
    relative: dict[str, float]
    """θ less the reference's θ, log-odds."""
    se_relative: dict[str, float]
    """Errors of ``relative``; 0 for the reference."""
    human_relative: dict[str, float] | None
    """The same by people alone; None where their games allow no finite fit."""
    human_se_relative: dict[str, float] | None
    """Errors of that."""
    judge_relative: dict[str, float] | None
    """The same by the judge alone, all its games: the judge's scale, not people's."""
    judge_se_relative: dict[str, float] | None
    """Errors of that."""
    theta: dict[str, float]
    """θ, summing to 0."""
    elo: dict[str, float]
    """1000 + 400 / ln 10 · θ."""
    low: dict[str, float]
    """Elo, lower end."""
    high: dict[str, float]
    """Elo, upper end."""
    covariance: Floats
    """m × m covariance of θ."""
    lam: float
    """λ in [0, 1]."""
    n_human: int
    """Labelled games."""
    n_judge: int
    """Games with the judge's verdict alone."""
    clusters: int
    """Labelled questions."""
    note: str
    """What a reader must know."""

    def difference(self, left: str, right: str) -> tuple[float, float]:
        """Elo of left above right, and the error of that difference."""
        a, b = self.models.index(left), self.models.index(right)
        variance = self.covariance[a, a] + self.covariance[b, b] - 2 * self.covariance[a, b]
        return self.elo[left] - self.elo[right], ELO * math.sqrt(max(0.0, float(variance)))


class Table(NamedTuple):
    """Games as arrays: the labelled first."""

    models: list[str]
    x: Floats
    """Games × (models - 1): +1 for left, -1 for right, the reference's column left out."""
    judge: Floats
    """The judge's score of every game."""
    human: Floats
    """People's scores of the first n."""
    codes: Codes
    """Cluster of every game."""
    clustered: bool
    """Whether the clusters were given."""


def ppi_bradley_terry(
    human_games: Sequence[tuple[str, str, float, float]],
    judge_games: Sequence[tuple[str, str, float]],
    *,
    lam: float | None = None,
    human_clusters: Sequence[Hashable] | None = None,
    judge_clusters: Sequence[Hashable] | None = None,
    reference: str | None = None,
    level: float = 0.95,
    random_sample: bool = True,
) -> PPIRatings:
    """Bradley–Terry ratings that people would give, from a random sample of labelled games and all of the judge's.

    Solves mean_n x(μ - Y) + λ (mean_N x(μ - f) - mean_n x(μ - f)) = 0 with μ = expit(x'θ). Covariance H⁻¹ V H⁻¹, H of
    all n + N games, V that of the games' summed parts by question. λ minimises its trace: by PPI++'s plug-in without
    clusters, and by the same trace of the questions' parts with them.

    Args:
        human_games: n of (left, right, people's score of left, judge's score of left), in [0, 1].
        judge_games: N of (left, right, judge's score of left) without a label; none: people alone.
        lam: λ; None tunes it.
        human_clusters: question of each labelled game; None takes games as independent.
        judge_clusters: question of each other game.
        reference: whose ``relative`` is 0; the first by name.
        level: coverage.
        random_sample: the declaration that the labelled games are a random sample.

    Raises:
        UserError: not a random sample; no games of a kind; scores outside [0, 1]; models that no game joins; no finite
            fit; no variation between questions.
    """
    if not random_sample:
        raise UserError(NOT_RANDOM)
    if lam is not None and not 0 <= lam <= 1:
        raise UserError(f"λ must lie in [0, 1], found {lam}")
    table = table_of(human_games, judge_games, human_clusters, judge_clusters, reference)
    n, labelled = len(table.human), len(np.unique(table.codes[: len(table.human)]))
    everything = n == len(table.judge)
    tuned = best_lambda(table) if lam is None or everything else lam
    theta, parts, inverse = solve(table, tuned)
    covariance = _covariance(table, parts, inverse, labelled)
    notes = ["every verdict is labelled: people alone"] if everything else []
    few = labelled < FEW_LABELS
    if few:
        notes.append(f"{labelled} labelled questions: Student's t, and the interval is rough")
    human = plain(table.x[:n], table.human, table.codes[:n])
    if human is None:
        notes.append("people's games alone allow no finite fit")
    judge = plain(table.x, table.judge, table.codes)
    quantile = t_quantile(level, max(1, labelled - 1)) if table.clustered or few else normal_quantile(level)
    return ratings_of(table, theta, covariance, tuned, quantile, notes, human, judge)


def ratings_of(
    table: Table, theta: Floats, covariance: Floats, lam: float, quantile: float, notes: Sequence[str],
    human: tuple[Floats, Floats] | None, judge: tuple[Floats, Floats] | None,
) -> PPIRatings:  # fmt: skip
    """The ratings that θ relative to the first and its covariance make, beside θ and covariance of either alone.

    Raises:
        UserError: nothing varies between questions.
    """
    names, n = table.models, len(table.human)
    # θ that sum to 0, out of those relative to the first.
    centring = np.vstack([np.zeros(len(names) - 1), np.eye(len(names) - 1)])
    centring = centring - centring.mean(axis=0)
    centred, spread = centring @ theta, centring @ covariance @ centring.T
    if float(np.diag(spread).max()) < FLAT:
        raise UserError("no variation between questions (every game is a tie, say): no interval of a rating holds")
    half = quantile * ELO * np.sqrt(np.clip(np.diag(spread), 0, None))
    order = sorted(range(len(names)), key=names.__getitem__)
    return PPIRatings(
        models=tuple(names[each] for each in order), reference=names[0],
        relative=_named(names, theta), se_relative=_named(names, _roots(covariance)),
        human_relative=human and _named(names, human[0]), human_se_relative=human and _named(names, _roots(human[1])),
        judge_relative=judge and _named(names, judge[0]), judge_se_relative=judge and _named(names, _roots(judge[1])),
        theta={names[each]: float(centred[each]) for each in order},
        elo={names[each]: float(1000 + ELO * centred[each]) for each in order},
        low={names[each]: float(1000 + ELO * centred[each] - half[each]) for each in order},
        high={names[each]: float(1000 + ELO * centred[each] + half[each]) for each in order},
        covariance=spread[np.ix_(order, order)], lam=lam, n_human=n, n_judge=len(table.judge) - n,
        clusters=len(np.unique(table.codes[:n])), note="; ".join(notes),
    )  # fmt: skip


def table_of(
    human_games: Sequence[tuple[str, str, float, float]], judge_games: Sequence[tuple[str, str, float]],
    human_clusters: Sequence[Hashable] | None, judge_clusters: Sequence[Hashable] | None, reference: str | None,
) -> Table:  # fmt: skip
    """The games as arrays.

    Raises:
        UserError: what `ppi_bradley_terry` refuses of them.
    """
    if not human_games:
        raise UserError("no labelled games: a judge cannot be calibrated by nobody")
    if (human_clusters is None) != (judge_clusters is None) and judge_games:
        raise UserError("give the questions of both the labelled and the unlabelled games, or of neither")
    sides = [(left, right) for left, right, _, _ in human_games] + [(left, right) for left, right, _ in judge_games]
    same = [left for left, right in sides if left == right]
    if same:
        raise UserError(f"a game joins two models, found {same[0]!r} against itself")
    human = finite([game[2] for game in human_games])
    judge = finite([*(game[3] for game in human_games), *(game[2] for game in judge_games)])
    for scores in (human, judge):
        if scores.min() < 0 or scores.max() > 1:
            raise UserError(f"scores must lie in [0, 1], found {scores.min():g} to {scores.max():g}")
    models = sorted({name for pair in sides for name in pair})
    if reference is not None:
        if reference not in models:
            raise UserError(f"reference {reference!r} is in no game")
        models = [reference, *(name for name in models if name != reference)]
    groups = groups_that_meet(sides)
    if len(groups) > 1:
        raise UserError(not_comparable(groups))
    index = {name: number for number, name in enumerate(models)}
    x = np.zeros((len(sides), len(models)))
    rows = np.arange(len(sides))
    x[rows, [index[left] for left, _ in sides]] += 1
    x[rows, [index[right] for _, right in sides]] -= 1
    clustered = human_clusters is not None
    given = [clusters for clusters in (human_clusters, judge_clusters) if clusters is not None]
    both = [each for clusters in given for each in clusters] if clustered else None
    return Table(models, x[:, 1:], judge, human, cluster_codes(both, len(sides)), clustered)


def solve(table: Table, lam: float) -> tuple[Floats, Floats, Floats]:
    """θ relative to the first model, each game's part in the estimating equation, and H⁻¹ of all games.

    Raises:
        UserError: there is no finite fit.
    """
    x, n = table.x, len(table.human)
    rest = len(x) - n
    weight = np.concatenate([np.full(n, (1 - lam) / n), np.full(rest, lam / max(1, rest))])
    # The equation is that of one logistic fit with these weights and outcomes, the labelled ones shifted by λ (Y - f).
    target = np.concatenate([(table.human - lam * table.judge[:n]) / n, lam * table.judge[n:] / max(1, rest)])
    theta = newton(x, weight, target)
    chance = special.expit(x @ theta)
    inverse = inverted((x * (chance * (1 - chance))[:, None]).T @ x / len(x))
    parts = x * (chance * weight - target)[:, None]
    for inside in (slice(0, n), slice(n, None)):
        if len(parts[inside]):
            parts[inside] -= parts[inside].mean(axis=0)
    return theta, parts, inverse


def inverted(matrix: Floats) -> Floats:
    """The inverse of an information matrix."""
    return np.asarray(np.linalg.inv(matrix), dtype=np.float64)


def newton(x: Floats, weight: Floats, target: Floats) -> Floats:
    """θ with Σ x (weight · expit(x'θ) - target) = 0.

    Raises:
        UserError: there is none: a model hardly ever yields or gets a point.
    """
    theta = np.zeros(x.shape[1])

    def loss(at: Floats) -> float:
        return float(weight @ np.logaddexp(0, x @ at) - target @ (x @ at))

    value = loss(theta)
    for _ in range(100):
        chance = special.expit(x @ theta)
        gradient = x.T @ (weight * chance - target)
        hessian = (x * (weight * chance * (1 - chance))[:, None]).T @ x
        if np.linalg.cond(hessian) > 1e12:
            break
        step = np.linalg.solve(hessian, gradient)
        if np.abs(step).max() < 1e-10:
            return theta
        for _ in range(40):
            tried = theta - step
            reached = loss(tried)
            if reached <= value + 1e-12 * max(1.0, abs(value)):
                break
            step /= 2
        theta, value = tried, reached
        if np.abs(theta).max() > 30:
            break
    raise UserError("no finite fit: a model or group never yields a point, or never gets one (separated)")


def best_lambda(table: Table) -> float:
    """The λ in [0, 1] at which the trace of the covariance of θ (relative to the first) is smallest; 0 where all are
    labelled.

    Raises:
        UserError: there is no finite fit at λ = 1.
    """
    n = len(table.human)
    rest = len(table.judge) - n
    if not rest:
        return 0.0
    theta, _, inverse = solve(table, 1.0)
    chance = special.expit(table.x @ theta)
    human = table.x[:n] * (chance[:n] - table.human)[:, None]
    judge = table.x * (chance - table.judge)[:, None]
    if table.clustered:
        first = np.vstack([(human - human.mean(axis=0)) / n, np.zeros((rest, human.shape[1]))])
        second = np.vstack([(judge[:n] - judge[:n].mean(axis=0)) / n, -(judge[n:] - judge[n:].mean(axis=0)) / rest])
        a, b = summed(first, table.codes) @ inverse, summed(second, table.codes) @ inverse
        top, bottom = float((a * b).sum()), float((b * b).sum())
    else:
        cross = (human - human.mean(axis=0)).T @ (judge[:n] - judge[:n].mean(axis=0)) / n
        spread = np.atleast_2d(np.cov(judge.T))
        top = float(np.trace(inverse @ (cross + cross.T) @ inverse))
        bottom = float(2 * (1 + n / rest) * np.trace(inverse @ spread @ inverse))
    return min(1.0, max(0.0, top / bottom)) if bottom > 0 else 0.0


def summed(parts: Floats, codes: Codes) -> Floats:
    """Clusters × columns: the parts of each cluster added up."""
    sums = np.zeros((int(codes.max()) + 1, parts.shape[1]))
    np.add.at(sums, codes, parts)
    return sums


def _covariance(table: Table, parts: Floats, inverse: Floats, labelled: int) -> Floats:
    """H⁻¹ V H⁻¹."""
    n = len(table.human)
    if table.clustered:
        if labelled < 2:
            raise UserError("one labelled question: no interval")
        sums = summed(parts, table.codes)
        meat = sums.T @ sums * (labelled / (labelled - 1))
    else:
        if n < 2 or len(parts) - n == 1:
            raise UserError("fewer than two games of a kind: no interval")
        meat = sum(
            (part.T @ part * (len(part) / (len(part) - 1)) for part in (parts[:n], parts[n:]) if len(part)),
            np.zeros((parts.shape[1], parts.shape[1])),
        )
    return inverse @ meat @ inverse


def plain(x: Floats, scores: Floats, codes: Codes) -> tuple[Floats, Floats] | None:
    """θ relative to the first and its sandwich covariance, from one kind of scores; None where no fit is finite."""
    try:
        theta = newton(x, np.full(len(x), 1 / len(x)), scores / len(x))
    except UserError:
        return None
    chance = special.expit(x @ theta)
    inverse = np.linalg.inv((x * (chance * (1 - chance))[:, None]).T @ x)
    sums = summed(x * (chance - scores)[:, None], np.unique(codes, return_inverse=True)[1])
    groups = len(sums)
    covariance = inverse @ (sums.T @ sums) @ inverse * (groups / max(1, groups - 1))
    return theta, covariance


def _named(names: Sequence[str], values: Floats) -> dict[str, float]:
    return dict(zip(names, [0.0, *(float(each) for each in values)], strict=True))


def _roots(covariance: Floats) -> Floats:
    roots: Floats = np.sqrt(np.clip(np.diag(covariance), 0, None))
    return roots
