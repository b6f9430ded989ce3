"""What sways a judge beside merit: repetition, length, and its own family; beside what people do on the same items.

Sources: repetition stability, Shi et al. 2024; P(prefers the longer), AlpacaEval's analyzer (Dubois et al. 2023);
self-preference as an equal-opportunity difference, Wataoka et al. 2024; clustered errors by the linearised ratio
(Cameron and Miller 2015, CR1). Position is `judgebench.judges.debias.position_of`'s.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np

from judgebench.errors import UserError
from judgebench.ratings.intervals import (
    FLAT,
    Estimate,
    Floats,
    cluster_codes,
    clustered_interval,
    t_interval,
)
from judgebench.types import Record

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


class Verbosity(Record, frozen=True, kw_only=True):
    """How often the longer answer is preferred, by a judge and by people on the same items."""

    prefers_longer: Estimate
    """P(prefers the longer), over decisive verdicts on answers that differ by more than the threshold."""
    people: Estimate | None
    """The people's own on the items that both judged; None where no people were given."""
    excess: Estimate | None
    """Judge less people on those items: only this is a bias, as people like longer answers too."""
    extra_length: float | None
    """Mean of (preferred - other) / other length over every decisive verdict."""
    ties: int
    """Verdicts that name no winner."""
    alike: int
    """Decisive verdicts on answers that differ by no more than the threshold."""
    unscored: int
    """Pairs without a verdict."""


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
    own, other = None, None
    if people is not None:
        theirs, _ = _prefers_longer(lengths, people, threshold)
        both = [a is not None and b is not None for a, b in zip(preferences, people, strict=True)]
        ours = [value if shared else None for value, shared in zip(judged, both, strict=True)]
        theirs = [value if shared else None for value, shared in zip(theirs, both, strict=True)]
        own = _share(theirs, codes.tolist(), level)
        other = difference_of_shares(ours, theirs, codes.tolist(), level)
    return Verbosity(
        prefers_longer=_share(judged, codes.tolist(), level),
        people=own,
        excess=other,
        extra_length=math.fsum(extra) / len(extra) if extra else None,
        ties=sum(value == 0.5 for value in preferences),
        alike=len(decided) - sum(value is not None for value in judged),
        unscored=sum(value is None for value in preferences),
    )


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
    if groups < 2:
        return Estimate(value=value, n=n, clusters=groups, note="one question: no interval")
    sums = np.bincount(codes, weights=influence)
    se = math.sqrt(groups / (groups - 1) * float(sums @ sums))
    if se < FLAT:
        return Estimate(value=value, se=0.0, n=n, clusters=groups, note="no variation between questions: no interval")
    low, high = t_interval(value, se, groups - 1, level)
    return Estimate(value=value, low=max(-1.0, low), high=min(1.0, high), se=se, n=n, clusters=groups)


def _prefers_longer(
    lengths: Sequence[tuple[float, float]], points: Sequence[float | None], threshold: float
) -> tuple[list[float | None], list[float]]:
    """1 where the longer answer is preferred, 0 where the shorter, None elsewhere; and the relative extra lengths."""
    _in_unit([value for value in points if value is not None])
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


def _share(values: Sequence[float | None], codes: Sequence[int], level: float) -> Estimate:
    kept = [(value, code) for value, code in zip(values, codes, strict=True) if value is not None]
    return clustered_interval([value for value, _ in kept], [code for _, code in kept], level)


def _with_gaps(values: Sequence[float | None]) -> Floats:
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)


def _in_unit(values: Sequence[float]) -> None:
    wrong = [value for value in values if not 0 <= value <= 1]
    if wrong:
        raise UserError(f"points must lie in [0, 1], found {wrong[0]}")


def _minus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b


def _root_of_sum(parts: Sequence[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    return math.sqrt(math.fsum(known)) if len(known) == len(parts) else None
