"""What a judge and people said of the same things: verdicts joined by what was judged, un-swapped, as labels or grades.

A unit is (suite, item, turn, dimension) and two answers, or one; rubrics and judges are not part of it, so that
anyone's verdicts on it meet. A label says which answer is better: ``first``, ``second`` or ``tie``, first being the one
that those who are compared with were shown first.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple

from judgebench.judges.debias import Policy, points_of, settle
from judgebench.ratings.grades import SLACK, TIE_WITHIN
from judgebench.ratings.raters import majority_vote
from judgebench.types import Item, Verdict

Who = tuple[str, int]
"""(model, answer sample)."""
PairUnit = tuple[str, str, int, str, Who, Who]
"""(suite, item, turn, dimension, left, right), left being the first by name."""
GradeUnit = tuple[str, str, int, str, Who]
"""(suite, item, turn, dimension, who)."""

FIRST, SECOND, TIE = "first", "second", "tie"
LABELS = (SECOND, TIE, FIRST)
"""In order, for weighted kappas and ordinal alphas."""
GOLD = ("gold", "human@gold")
"""Judges whose verdicts are the truth."""


class Orders(NamedTuple):
    """Readings of one pair: points of its left answer by sample, None unreadable, for each order it was shown in."""

    first: dict[int, float | None]
    """Shown left first."""
    second: dict[int, float | None]
    """Shown right first."""


class Pairs(NamedTuple):
    """What one rater said of pairs."""

    read: dict[PairUnit, Orders]
    """Unit → readings."""
    both: bool
    """Whether the rater was to see every pair in both orders, so that one order is half a verdict."""
    shown_first: dict[PairUnit, Who]
    """Unit → the answer shown first, in the first verdict recorded."""
    margins: Mapping[PairUnit, tuple[float, float]] = MappingProxyType({})
    """Unit graded in both orders → by how much its left answer is ahead on the raw scale, in either order."""


Grades = Mapping[GradeUnit, list[float | None]]
"""Unit → grades by sample; None is unscored."""


Scale = tuple[float, float]
"""(lowest, highest) grade."""


class Graded(NamedTuple):
    """What one rater said of single answers."""

    grades: Grades = MappingProxyType({})
    """As given."""
    shares: Grades = MappingProxyType({})
    """The same as shares of the way from the lowest to the highest of the scale that each was given on."""
    scales: Mapping[tuple[str, str], frozenset[Scale]] = MappingProxyType({})
    """(suite, dimension) → scales of the grades there."""

    def comparable(self, among: frozenset[Scale]) -> Grades:
        """The grades as given where all that they are pooled with are on one scale, else the shares."""
        return self.grades if len(among) < 2 else self.shares


def is_person(judge: str) -> bool:
    """True for a person's name in verdicts, gold labels not being one."""
    return judge.startswith("human@") and judge not in GOLD


def pairs_of(verdicts: Iterable[Verdict], orders: Literal["both", "one"] | None = None) -> Pairs:
    """The pairwise readings of one rater's verdicts, by unit.

    Args:
        verdicts: of one rater.
        orders: in how many orders it was to see each pair; where nobody says, both if it saw most of them in both.
    """
    read: dict[PairUnit, Orders] = {}
    shown_first: dict[PairUnit, Who] = {}
    gaps: dict[PairUnit, tuple[list[float], list[float]]] = {}
    for verdict in verdicts:
        if len(verdict.shown) != 2 or verdict.shown[0] == verdict.shown[1]:
            continue
        left, right = sorted(verdict.shown)
        unit = (verdict.suite, verdict.item, verdict.turn, verdict.dimension, left, right)
        readings = read.setdefault(unit, Orders({}, {}))
        readings[0 if verdict.shown[0] == left else 1][verdict.sample] = points_of(verdict)
        shown_first.setdefault(unit, verdict.shown[0])
        if verdict.kind == "grade" and len(verdict.scores) == 2:
            turned = verdict.shown[0] != left
            gap = verdict.scores[turned] - verdict.scores[not turned]
            gaps.setdefault(unit, ([], []))[turned].append(gap)
    margins = {
        unit: (math.fsum(one) / len(one), math.fsum(two) / len(two)) for unit, (one, two) in gaps.items() if one and two
    }
    twice = sum(bool(each.first and each.second) for each in read.values())
    both = 2 * twice > len(read) if orders is None else orders == "both"
    return Pairs(read, both, shown_first, margins)


def grades_of(verdicts: Iterable[Verdict]) -> Grades:
    """The grades of one rater's verdicts, by unit."""
    return graded_of(verdicts).grades


def graded_of(verdicts: Iterable[Verdict]) -> Graded:
    """One rater's grades, by unit, as given and as shares of their scales."""
    grades: dict[GradeUnit, list[float | None]] = defaultdict(list)
    shares: dict[GradeUnit, list[float | None]] = defaultdict(list)
    scales: dict[tuple[str, str], set[Scale]] = defaultdict(set)
    for verdict in verdicts:
        if len(verdict.shown) == 1:
            unit = (verdict.suite, verdict.item, verdict.turn, verdict.dimension, verdict.shown[0])
            grades[unit].append(verdict.scores[0] if verdict.scores else None)
            shares[unit].append(share_of_scale(verdict))
            if verdict.scores:
                scales[verdict.suite, verdict.dimension].add(verdict.scale)
    return Graded(dict(grades), dict(shares), {place: frozenset(found) for place, found in scales.items()})


def scales_at(place: tuple[str, str], raters: Iterable[Graded]) -> frozenset[Scale]:
    """All scales that the raters' grades at one (suite, dimension) are on."""
    return frozenset(scale for rater in raters for scale in rater.scales.get(place, ()))


def share_of_scale(verdict: Verdict) -> float | None:
    """How far the grade of a single answer lies from the lowest to the highest of its scale; None is unscored.

    Imported grades may lie off their scale: below 0 then, or above 1.
    """
    low, high = verdict.scale
    return (verdict.scores[0] - low) / (high - low) if verdict.scores else None


def pairs_of_grades(grades: Grades, units: Iterable[PairUnit]) -> Pairs:
    """Readings that grades imply for the units: who is graded higher, a tie within 0.1 (MT-Bench); one order."""
    read = {}
    for unit in units:
        sides = [mean(grades.get((*unit[:4], who), [])) for who in unit[4:]]
        if any((*unit[:4], who) in grades for who in unit[4:]):
            gap = None if sides[0] is None or sides[1] is None else sides[0] - sides[1]
            points = None if gap is None else 0.5 if abs(gap) <= TIE_WITHIN + SLACK else float(gap > 0)
            read[unit] = Orders({0: points}, {})
    return Pairs(read, False, {unit: unit[4] for unit in read})


def mean(values: Iterable[float | None]) -> float | None:
    """Mean of those that are not None; None where none is left."""
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def settled(pairs: Pairs, unit: PairUnit, policy: Policy, seed: int = 0) -> tuple[float | None, str]:
    """The left answer's share of the point under a swap policy, or None and the reason.

    Where one order is a whole verdict, a pair that was shown in both all the same is still joined by the policy.
    """
    orders = pairs.read[unit]
    first, second = mean(orders.first.values()), mean(orders.second.values())
    if first is None and second is None:
        return None, "unscored"
    if not pairs.both and (first is None or second is None):
        return (second if first is None else first), ""
    if policy == "score" and unit in pairs.margins:
        margin = math.fsum(pairs.margins[unit])
        return (0.5 if abs(margin) <= SLACK else float(margin > 0)), ""
    share = settle(first, second, policy, seed=seed, key=repr(unit))
    if share is not None:
        return share, ""
    if first is not None and second is not None:
        return None, "orders disagree"
    return None, "one order unscored" if orders.first and orders.second else "one order missing"


def label(points: float | None, *, flipped: bool) -> str | None:
    """The label of the left answer's points, told from the side of whoever was shown first."""
    if points is None:
        return None
    if abs(points - 0.5) <= SLACK:
        return TIE
    return FIRST if (points > 0.5) != flipped else SECOND


class Truth(NamedTuple):
    """What a judge is held against, on pairs."""

    labels: dict[PairUnit, str]
    """Unit → label."""
    flipped: dict[PairUnit, bool]
    """Unit → whether its right answer was shown first."""
    raters: dict[str, dict[PairUnit, str]]
    """Each person's own labels."""


def truth_of(raters: Mapping[str, Pairs], policy: Policy = "tie") -> Truth:
    """The majority of the raters' labels on every unit; a split vote is no label.

    The first rater that has a unit decides which of its answers is called first.
    """
    flipped: dict[PairUnit, bool] = {}
    for pairs in raters.values():
        for unit, who in pairs.shown_first.items():
            flipped.setdefault(unit, who != unit[4])
    own: dict[str, dict[PairUnit, str]] = {name: {} for name in raters}
    labels = {}
    for unit, turned in flipped.items():
        given = []
        for name, pairs in raters.items():
            if unit in pairs.read:
                said = label(settled(pairs, unit, policy)[0], flipped=turned)
                given.append(said)
                if said is not None:
                    own[name][unit] = said
        vote = majority_vote(given)
        if isinstance(vote, str):
            labels[unit] = vote
    return Truth(labels, flipped, own)


def item_labels(units: Iterable[PairUnit], items: Mapping[tuple[str, str], Item]) -> Truth:
    """The truth that items' own references name: the better answer's model, or ``tie``."""
    found = Truth({}, {}, {})
    for unit in units:
        item = items.get((unit[0], unit[1]))
        named = "".join(item.reference[unit[2] - 1 : unit[2]] if unit[2] else item.reference[:1]) if item else ""
        points = {unit[4][0]: 1.0, unit[5][0]: 0.0, "tie": 0.5}.get(named.strip())
        said = label(points, flipped=False)
        if said is not None:
            found.labels[unit] = said
            found.flipped[unit] = False
    return found


def texts_of(unit: PairUnit, answers: Mapping[tuple[str, str, str, int], Sequence[str]]) -> tuple[str, str] | None:
    """What was judged of the two answers, left first; None where the run does not hold both."""
    left, right = (text_of((*unit[:4], who), answers) for who in unit[4:])
    return None if left is None or right is None else (left, right)


def text_of(unit: GradeUnit, answers: Mapping[tuple[str, str, str, int], Sequence[str]]) -> str | None:
    """What was judged of one answer: its turn, or all of them; None where the run does not hold it."""
    turns = answers.get((unit[0], unit[1], *unit[4]))
    if not turns or len(turns) < unit[2]:
        return None
    return "".join(turns[unit[2] - 1 : unit[2]] if unit[2] else turns)
