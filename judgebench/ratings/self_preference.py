"""Self-preference as excess over people, from win rates in a two-by-two of judge and people, own and other families.

Sources: Panickssery et al. 2024 and Wataoka et al. 2024; a difference-in-differences in log-odds takes
out what a judge does to everyone. From single verdicts: `judgebench.ratings.bias.equal_opportunity` and
`judgebench.ratings.sway`, both clustered by question.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np

from judgebench.errors import UserError
from judgebench.ratings.influence import linearised
from judgebench.ratings.intervals import Estimate, cluster_codes
from judgebench.types import Record


class SelfPreference(Record, frozen=True, kw_only=True):
    """How much more a judge favours its own family than people do; None where a share is 0, 1 or of nothing."""

    rate_gap: float | None
    """Judge's win rate of its own family less the people's."""
    log_odds: float | None
    """The same in log-odds: logit(judge own) - logit(people own)."""
    log_odds_se: float | None
    """Its error from the cells' sizes, cells taken as independent."""
    difference_in_differences: float | None
    """log_odds less the same of other families, so that a judge that favours everyone favours nobody."""
    difference_in_differences_se: float | None
    """Its error, cells taken as independent."""


def self_preference(
    judge_own: float,
    people_own: float,
    judge_other: float | None = None,
    people_other: float | None = None,
    *,
    n: int | Sequence[int] | None = None,
) -> SelfPreference:
    """Self-preference as excess over people, from win rates: of the judge's own family, and of other families.

    Args:
        judge_own: win rate that the judge gives to answers of its own family.
        people_own: win rate that people give to the same answers.
        judge_other: win rate that the judge gives to other families' answers.
        people_other: win rate that people give to those.
        n: judgements behind each of the four rates (one number for all), for the errors; None gives none.

    Raises:
        UserError: a rate outside [0, 1], or n below 1.
    """
    rates = (judge_own, people_own, judge_other, people_other)
    if any(rate is not None and not 0 <= rate <= 1 for rate in rates):
        raise UserError(f"win rates must lie in [0, 1], found {rates}")
    sizes: list[int | None] = [None] * 4 if n is None else [n] * 4 if isinstance(n, int) else list(n)
    if len(sizes) not in (2, 4) or any(size is not None and size < 1 for size in sizes):
        raise UserError(f"n must be one count above 0, or one for each rate, found {n}")
    sizes += [None] * (4 - len(sizes))
    logits = [None if rate is None or rate in (0, 1) else math.log(rate / (1 - rate)) for rate in rates]
    spreads = [
        None if rate is None or rate in (0, 1) or size is None else 1 / (size * rate * (1 - rate))
        for rate, size in zip(rates, sizes, strict=True)
    ]
    own, other = _minus(logits[0], logits[1]), _minus(logits[2], logits[3])
    return SelfPreference(
        rate_gap=judge_own - people_own,
        log_odds=own,
        log_odds_se=_root_of_sum(spreads[:2]),
        difference_in_differences=_minus(own, other),
        difference_in_differences_se=_root_of_sum(spreads),
    )


def excess_log_odds(
    own: Sequence[tuple[float, float]],
    other: Sequence[tuple[float, float]] = (),
    own_clusters: Sequence[Hashable] | None = None,
    other_clusters: Sequence[Hashable] | None = None,
    level: float = 0.95,
) -> Estimate:
    """Self-preference in log-odds from single judgements, with a question-clustered interval.

    logit J_own - logit H_own, less the same of other families where those are given (a difference-in-differences). The
    error is that of the linearised log-odds of means summed by question (delta method, CR1), t with G - 1 degrees of
    freedom: so judge and people on one answer, and own and other answers of one question, are not taken as independent.

    Args:
        own: (judge's points, people's points) of an answer of the judge's family, one for each pair.
        other: the same of answers of other families.
        own_clusters: the question of each of ``own``; None takes them, and then ``other`` too, as independent.
        other_clusters: the question of each of ``other``, named as in ``own_clusters``.
        level: coverage.

    Raises:
        UserError: lengths that differ, points outside [0, 1], or clusters for one of two sides only.
    """
    if any(each is None or not 0 <= each <= 1 for pair in (*own, *other) for each in pair):
        raise UserError("points must lie in [0, 1]: leave unscored verdicts out and count them")
    if len(other) and (own_clusters is None) != (other_clusters is None):
        raise UserError("clusters are needed for both own and other, or for neither")
    clusters = None if own_clusters is None else [*own_clusters, *(() if other_clusters is None else other_clusters)]
    n = len(own) + len(other)
    codes = cluster_codes(clusters, n)
    groups = int(codes.max()) + 1 if n else 0
    if not len(own):
        return Estimate(value=None, n=n, clusters=groups, note="no answer of the judge's family")
    value = 0.0
    influence = np.zeros(n)
    for pairs, start, sign in ((own, 0, 1.0), (other, len(own), -1.0)):
        for column, side in ((0, 1.0), (1, -1.0)) if len(pairs) else ():
            points = np.array([pair[column] for pair in pairs])
            mean = float(points.mean())
            if mean in (0.0, 1.0):
                return Estimate(value=None, n=n, clusters=groups, note="a win rate of 0 or 1 has no finite log-odds")
            value += sign * side * math.log(mean / (1 - mean))
            spread = len(points) * mean * (1 - mean)
            influence[start : start + len(points)] += sign * side * (points - mean) / spread
    return linearised(value, influence, codes, n=n, groups=groups, level=level)


def _minus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b


def _root_of_sum(parts: Sequence[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    return math.sqrt(math.fsum(known)) if len(known) == len(parts) else None
