"""Bradley–Terry by people out of labels drawn with known chances, and a judge's verdicts on every game.

Sources: the augmented, inverse-propensity form of Robins, Rotnitzky and Zhao 1994 in the likelihood of Bradley and
Terry 1952 (ties half-wins); Zrnic and Candès 2024, "Active statistical inference", section 5 (convex losses).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from scipy import special

from judgebench.errors import UserError
from judgebench.ratings.active import checked
from judgebench.ratings.intervals import Floats, t_quantile
from judgebench.ratings.ppi import FEW_LABELS
from judgebench.ratings.ppi_ratings import PPIRatings, Table, inverted, newton, plain, ratings_of, summed, table_of


def active_bradley_terry(
    games: Sequence[tuple[str, str, float]],
    human: Sequence[float | None],
    propensities: Sequence[float],
    *,
    lam: float = 1.0,
    clusters: Sequence[Hashable] | None = None,
    reference: str | None = None,
    level: float = 0.95,
) -> PPIRatings:
    """Bradley–Terry ratings that people would give, from labels drawn with known chances.

    Solves mean x(μ - ỹ) = 0 with ỹ = λ f + (label ? (Y - λ f) / π : 0) and μ = expit(x'θ). Covariance H⁻¹ V H⁻¹, V that
    of the questions' summed parts times G/(G-1); Student's quantile, with as many degrees of freedom as there are
    labelled questions but one.

    Args:
        games: n of (left, right, judge's score of left in [0, 1]).
        human: people's score of left where labelled, None where not.
        propensities: chance of a label of each game, in (0, 1].
        lam: λ.
        clusters: question of each game; None takes games as independent.
        reference: whose ``relative`` is 0; the first by name.
        level: coverage.

    Raises:
        UserError: as `judgebench.ratings.active.augmented_mean`; scores outside [0, 1]; models that no game joins; one
            labelled question; no finite fit.
    """
    _, y, chance = checked([game[2] for game in games], human, propensities)
    labelled = ~np.isnan(y)
    order = np.concatenate([np.flatnonzero(labelled), np.flatnonzero(~labelled)])
    n = int(labelled.sum())
    given = list(range(len(games))) if clusters is None else list(clusters)
    if len(given) != len(games):
        raise UserError(f"one question for each game, found {len(given)} for {len(games)}")
    questions = [given[number] for number in order]
    known = [(*games[number][:2], float(y[number]), games[number][2]) for number in order[:n]]
    rest = [games[number] for number in order[n:]]
    table = table_of(known, rest, questions[:n], questions[n:], reference)
    weights = 1 / chance[order][:n]
    theta, covariance = _fitted(table, _shifted(table, weights, lam))
    groups = len(np.unique(table.codes[:n]))
    if groups < 2:
        raise UserError("one labelled question: no interval")
    notes = ["labels drawn with known chances, weighted by them"]
    if groups < FEW_LABELS:
        notes.append(f"{groups} labelled questions: the interval is rough")
    try:
        alone = _fitted(table, _shifted(table, weights, 0.0))
    except UserError:
        alone = None
        notes.append("people's games alone allow no finite fit")
    return ratings_of(
        table, theta, covariance, lam, t_quantile(level, groups - 1), notes, alone,
        plain(table.x, table.judge, table.codes),
    )  # fmt: skip


def _shifted(table: Table, weights: Floats, lam: float) -> Floats:
    """ỹ of every game, the labelled first."""
    n = len(weights)
    outcome: Floats = lam * table.judge
    outcome[:n] += weights * (table.human - outcome[:n])
    return outcome


def _fitted(table: Table, outcome: Floats) -> tuple[Floats, Floats]:
    """θ relative to the first, and its covariance by question."""
    x, total = table.x, len(table.x)
    theta = newton(x, np.full(total, 1 / total), outcome / total)
    chance = special.expit(x @ theta)
    inverse = inverted((x * (chance * (1 - chance))[:, None]).T @ x / total)
    sums = summed(x * ((chance - outcome) / total)[:, None], table.codes)
    groups = len(sums)
    return theta, inverse @ (sums.T @ sums * (groups / max(1, groups - 1))) @ inverse
