"""What sways a judge beside merit: repetition, length, and its own family; beside what people do on the same items.

Sources: repetition stability, Shi et al. 2024; P(prefers the longer), AlpacaEval's analyzer (Dubois et al. 2023);
self-preference as an equal-opportunity difference, Wataoka et al. 2024; clustered errors by the linearised ratio
(Cameron and Miller 2015, CR1). Position by counts is `judgebench.judges.debias.position_of`'s.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence

import msgspec
import numpy as np

from judgebench.errors import UserError
from judgebench.ratings.covariates import fit
from judgebench.ratings.influence import linearised
from judgebench.ratings.intervals import (
    Estimate,
    Floats,
    cluster_codes,
    clustered_interval,
)
from judgebench.ratings.label_tables import missing
from judgebench.types import Record

SLACK = 1e-9
"""Below this a difference of points from a half is rounding."""
LONGER_BY = 30
"""Characters by which two answers must differ before one of them is called the longer (AlpacaEval)."""


class Stability(Record, frozen=True, kw_only=True):
    """How far a judge repeats itself when it is asked the same thing again."""

    groups: int
    """Questions put to the judge that have at least two readable verdicts."""
    left_out: int
    """Those with fewer."""
    mode_share: Estimate
    """Mean share of a group's verdicts that its commonest one has."""
    pairwise_agreement: Estimate
    """Mean share of a group's pairs of verdicts that are the same."""


class PositionShares(Record, frozen=True, kw_only=True):
    """How much the order decides, each share with its question-clustered interval."""

    pairs: int
    """Pairs readable in both orders."""
    left_out: int
    """Pairs of which an order is unreadable or missing."""
    first_rate: Estimate
    """Mean share of the point that went to the answer shown first; 0.5 without bias."""
    consistency: Estimate
    """Share of pairs in which both orders say the same: win, tie or loss."""
    conflict_rate: Estimate
    """The rest."""
    flip_rate: Estimate
    """Share of pairs in which the orders name opposite winners."""


class Verbosity(Record, frozen=True, kw_only=True):
    """How often the longer answer is preferred, by a judge and by people on the same items."""

    prefers_longer: Estimate
    """P(prefers the longer), over decisive verdicts on answers that differ by more than the threshold."""
    people: Estimate | None
    """The people's own on the items that both judged; None where no people were given."""
    excess: Estimate | None
    """Judge less people on those items: only this is a bias, as people like longer answers too."""
    coefficient: Estimate
    """`length_effect` on the judge."""
    people_coefficient: Estimate | None
    """The same on people, over the items that both judged."""
    extra_length: float | None
    """Mean of (preferred - other) / other length over every decisive verdict."""
    ties: int
    """Verdicts that name no winner."""
    alike: int
    """Decisive verdicts on answers that differ by no more than the threshold."""
    unscored: int
    """Pairs without a verdict."""


def repetition_stability(
    repeats: Sequence[Sequence[Hashable | None]], clusters: Sequence[Hashable] | None = None, level: float = 0.95
) -> Stability:
    """Mode share and pairwise agreement of repeated verdicts, with question-clustered intervals.

    Args:
        repeats: the verdicts on each thing that was put to the judge more than once; None is unreadable and left out.
        clusters: the question of each; None takes them as independent.
        level: coverage.

    >>> repetition_stability([["A", "A", "A"], ["A", "B", "A"]]).mode_share.value
    0.8333333333333333

    Raises:
        UserError: lengths that differ.
    """
    codes = cluster_codes(clusters, len(repeats)).tolist()
    modes, agreements, kept = [], [], []
    for code, group in zip(codes, repeats, strict=True):
        counts = Counter(verdict for verdict in group if verdict is not None)
        n = counts.total()
        if n < 2:
            continue
        modes.append(max(counts.values()) / n)
        agreements.append(sum(count * (count - 1) for count in counts.values()) / (n * (n - 1)))
        kept.append(code)
    return Stability(
        groups=len(kept),
        left_out=len(repeats) - len(kept),
        mode_share=clustered_interval(modes, kept, level),
        pairwise_agreement=clustered_interval(agreements, kept, level),
    )


def position_shares(
    pairs: Sequence[tuple[float | None, float | None]], clusters: Sequence[Hashable] | None = None, level: float = 0.95
) -> PositionShares:
    """First rate, consistency, conflict and flip rate of pairs, with question-clustered intervals.

    Args:
        pairs: one answer's points where it is shown first and where it is shown second; None is unreadable.
        clusters: the question of each pair; None takes them as independent.
        level: coverage.

    Raises:
        UserError: lengths that differ, or points outside [0, 1].
    """
    codes = cluster_codes(clusters, len(pairs)).tolist()
    read = [(a, b, code) for (a, b), code in zip(pairs, codes, strict=True) if a is not None and b is not None]
    _in_unit([points for a, b, _ in read for points in (a, b)])
    kept = [code for _, _, code in read]
    moved = [abs(_winner(a) - _winner(b)) for a, b, _ in read]
    return PositionShares(
        pairs=len(read),
        left_out=len(pairs) - len(read),
        first_rate=clustered_interval([(a + 1 - b) / 2 for a, b, _ in read], kept, level),
        consistency=clustered_interval([float(move == 0) for move in moved], kept, level),
        conflict_rate=clustered_interval([float(move > 0) for move in moved], kept, level),
        flip_rate=clustered_interval([float(move == 1) for move in moved], kept, level),
    )


def length_effect(
    lengths: Sequence[tuple[float, float]],
    points: Sequence[float | None],
    clusters: Sequence[Hashable] | None = None,
    level: float = 0.95,
) -> Estimate:
    """Log-odds that one unit of (l1 - l2) / (l1 + l2) adds to the first answer, beside an intercept for its place.

    The models' strengths are not part of it (`judgebench.ratings.sway` estimates them too): where better models write
    more, this is above 0 without any bias, in people as in judges.

    Args:
        lengths: of the two answers of each pair.
        points: of the first answer in [0, 1]; None is unscored and left out.
        clusters: the question of each pair; None takes them as independent.
        level: coverage.

    Raises:
        UserError: lengths that differ or are not known, or points outside [0, 1].
    """
    if len(lengths) != len(points):
        raise UserError(f"{len(lengths)} pairs of lengths but {len(points)} points")
    _measured(lengths)
    codes = cluster_codes(clusters, len(points)).tolist()
    known = [(pair, value, code) for pair, value, code in zip(lengths, points, codes, strict=True) if value is not None]
    _in_unit([value for _, value, _ in known])
    gaps = [(one - two) / (one + two) if one + two else 0.0 for (one, two), _, _ in known]
    kept = [code for _, _, code in known]
    groups = len(set(kept))
    try:
        found = fit([("first", "second", value) for _, value, _ in known], {"length": gaps}, kept, level=level)
    except UserError as error:
        return Estimate(value=None, n=len(known), clusters=groups, note=str(error))
    return Estimate(
        value=found.coefficients["length"],
        low=found.low["length"] if found.low else None,
        high=found.high["length"] if found.high else None,
        se=found.se["length"] if found.se else None,
        n=len(known),
        clusters=groups,
        note=found.note,
    )


def verbosity(
    lengths: Sequence[tuple[float, float]],
    preferences: Sequence[float | None],
    people: Sequence[float | None] | None = None,
    clusters: Sequence[Hashable] | None = None,
    *,
    threshold: float = LONGER_BY,
    level: float = 0.95,
) -> Verbosity:
    """P(prefers the longer) of a judge, the people's own on the same items, and the excess, clustered by question.

    Args:
        lengths: of the two answers of each pair, in characters.
        preferences: the judge's points of the first answer in [0, 1]; None is unscored.
        people: the people's points of the first answer, likewise.
        clusters: the question of each pair; None takes them as independent.
        threshold: answers that differ by no more are of one length.
        level: coverage.

    Raises:
        UserError: lengths that differ, or points outside [0, 1].
    """
    n = len(lengths)
    if len(preferences) != n or (people is not None and len(people) != n):
        raise UserError(f"{n} pairs of lengths need as many preferences, found {len(preferences)}")
    codes = cluster_codes(clusters, n)
    judged, extra = _prefers_longer(lengths, preferences, threshold)
    decided = [place for place, value in enumerate(preferences) if value is not None and value != 0.5]
    own, other, their_coefficient = None, None, None
    if people is not None:
        theirs, _ = _prefers_longer(lengths, people, threshold)
        both = [a is not None and b is not None for a, b in zip(preferences, people, strict=True)]
        ours = [value if shared else None for value, shared in zip(judged, both, strict=True)]
        theirs = [value if shared else None for value, shared in zip(theirs, both, strict=True)]
        own = _share(theirs, codes.tolist(), level)
        other = difference_of_shares(ours, theirs, codes.tolist(), level)
        told = [value if shared else None for value, shared in zip(people, both, strict=True)]
        their_coefficient = length_effect(lengths, told, codes.tolist(), level)
    return Verbosity(
        prefers_longer=_share(judged, codes.tolist(), level),
        people=own,
        excess=other,
        coefficient=length_effect(lengths, preferences, codes.tolist(), level),
        people_coefficient=their_coefficient,
        extra_length=math.fsum(extra) / len(extra) if extra else None,
        ties=sum(value == 0.5 for value in preferences),
        alike=len(decided) - sum(value is not None for value in judged),
        unscored=sum(value is None for value in preferences),
    )


def equal_opportunity(
    judge_own: Sequence[float],
    people_own: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    level: float = 0.95,
) -> Estimate:
    """P(judge picks its own | people pick it) - P(judge picks the other | people pick that), clustered by question.

    0 is a judge whose errors do not depend on whose answer it is; above 0 it favours its own (Wataoka et al. 2024).

    Args:
        judge_own: points that the judge gives to its own family's answer, one for each pair of own against other.
        people_own: points that people give to it; ties (0.5) condition nothing and are left out.
        clusters: the question of each pair; None takes them as independent.
        level: coverage.

    Raises:
        UserError: lengths that differ, or points outside [0, 1].
    """
    if len(judge_own) != len(people_own):
        raise UserError(f"{len(judge_own)} judge's points but {len(people_own)} of people")
    codes = cluster_codes(clusters, len(judge_own)).tolist()
    _in_unit([*judge_own, *people_own])
    where_own = [j if p > 0.5 else None for j, p in zip(judge_own, people_own, strict=True)]
    where_other = [1 - j if p < 0.5 else None for j, p in zip(judge_own, people_own, strict=True)]
    return difference_of_shares(where_own, where_other, codes, level)


def difference_of_shares(
    first: Sequence[float | None],
    second: Sequence[float | None],
    clusters: Sequence[Hashable] | None = None,
    level: float = 0.95,
) -> Estimate:
    """Mean of first less mean of second, each over its own defined entries, with one question-clustered interval.

    The error is that of the linearised difference of two ratios (CR1), t with G - 1 degrees of freedom: so means over
    different but overlapping parts of the same questions are compared as what they are.

    Args:
        first: values; None is not part of this mean.
        second: as many values.
        clusters: the question of each place; None takes them as independent.
        level: coverage.

    Raises:
        UserError: lengths that differ.
    """
    if len(first) != len(second):
        raise UserError(f"{len(first)} values on one side but {len(second)} on the other")
    codes = cluster_codes(clusters, len(first))
    a, b = _with_gaps(first), _with_gaps(second)
    in_a, in_b = ~np.isnan(a), ~np.isnan(b)
    kept = in_a | in_b
    n, groups = int(kept.sum()), len(set(codes[kept].tolist()))
    if not in_a.any() or not in_b.any():
        return Estimate(value=None, n=n, clusters=groups, note="no scores on one side")
    mean_a, mean_b = float(a[in_a].mean()), float(b[in_b].mean())
    influence = np.where(in_a, np.nan_to_num(a) - mean_a, 0) / in_a.sum()
    influence -= np.where(in_b, np.nan_to_num(b) - mean_b, 0) / in_b.sum()
    value = mean_a - mean_b
    found = linearised(value, influence, codes, n=n, groups=groups, level=level)
    if found.low is None or found.high is None:
        return found
    return msgspec.structs.replace(found, low=max(-1.0, found.low), high=min(1.0, found.high))


def _prefers_longer(
    lengths: Sequence[tuple[float, float]], points: Sequence[float | None], threshold: float
) -> tuple[list[float | None], list[float]]:
    """1 where the longer answer is preferred, 0 where the shorter, None elsewhere; and the relative extra lengths."""
    _in_unit([value for value in points if value is not None])
    _measured(lengths)
    longer: list[float | None] = []
    extra = []
    for (one, two), value in zip(lengths, points, strict=True):
        decided = value is not None and value != 0.5
        if decided:
            assert value is not None
            chosen, other = (one, two) if value > 0.5 else (two, one)
            if other > 0:
                extra.append((chosen - other) / other)
            longer.append(float(chosen > other) if abs(one - two) > threshold else None)
        else:
            longer.append(None)
    return longer, extra


def _winner(points: float) -> float:
    return 0.5 if abs(points - 0.5) <= SLACK else float(points > 0.5)


def _share(values: Sequence[float | None], codes: Sequence[int], level: float) -> Estimate:
    kept = [(value, code) for value, code in zip(values, codes, strict=True) if value is not None]
    return clustered_interval([value for value, _ in kept], [code for _, code in kept], level)


def _with_gaps(values: Sequence[float | None]) -> Floats:
    found = np.array([math.nan if value is None else value for value in values], dtype=np.float64)
    if np.isinf(found).any():
        raise UserError("a score is not a finite number")
    return found


def _measured(lengths: Sequence[tuple[float, float]]) -> None:
    wrong = [pair for pair in lengths if any(missing(each) or not 0 <= each < math.inf for each in pair)]
    if wrong:
        raise UserError(
            f"lengths must be 0 or above, found {tuple(wrong[0])}: leave pairs out of which one is not known"
        )


def _in_unit(values: Sequence[float]) -> None:
    wrong = [value for value in values if value is None or not 0 <= value <= 1]
    if wrong:
        raise UserError(f"points must lie in [0, 1], found {wrong[0]}: leave unscored verdicts out and count them")
