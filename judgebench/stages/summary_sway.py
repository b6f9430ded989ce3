"""What sways each judge of a run, for the summary: position, length, style, self; people's own beside; families."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from judgebench.judges.debias import first_points, points_of
from judgebench.judges.families import kinship
from judgebench.ratings.bias import position_shares, repetition_stability, verbosity
from judgebench.ratings.style import style_counts
from judgebench.ratings.sway import ShownPair, sway
from judgebench.runs import Run
from judgebench.stages.reasons import Row
from judgebench.types import Answer, Verdict

Place = tuple[str, str, str, str]
"""(suite, judge, rubric, dimension)."""
Pair = tuple[str, int, tuple[str, int], tuple[str, int]]
"""(item, turn, left, right), left and right being (model, answer sample) in order of name."""

PEOPLE = ("human@", "gold")
"""How the names of people's verdicts begin."""


def sway_rows(run: Run, verdicts: Iterable[Verdict]) -> list[Row]:
    """A row for each (suite, judge, rubric, dimension) of pairwise verdicts: effects, ratings, P(prefers the longer).

    The reference is people where any judged pairs of the suite, by whatever rubric, on the dimension or overall; else
    the judges of other families by the same rubric.

    Args:
        run: whose answers and manifest are read.
        verdicts: those that count.
    """
    groups: dict[Place, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        if len(verdict.shown) == 2 and verdict.shown[0][0] != verdict.shown[1][0]:
            groups[verdict.suite, verdict.judge, verdict.rubric, verdict.dimension].append(verdict)
    if not groups:
        return []
    looks = Looks(run.answers())
    shown = {place: [pair for pair in map(looks.pair, group) if pair is not None] for place, group in groups.items()}
    rows = []
    for place, group in sorted(groups.items()):
        suite, judge, rubric, dimension = place
        own = kin(run, judge)
        reference, who = _reference(run, place, list(groups), own)
        compared = [pair for other in reference for pair in shown[other]]
        by_people = who == "people"
        found = sway(shown[place], own, compared, people=by_people)
        people = [verdict for other in reference for verdict in groups[other]] if by_people else None
        row: Row = {
            "suite": suite, "judge": judge, "rubric": rubric, "dimension": dimension, "reference": who,
            "own": dict(own), **msgspec.to_builtins(found), "longer": looks.longer(group, people),
            "stability": _stability(group), "position": _position(group),
        }  # fmt: skip
        rows.append(row)
    return rows


def kin(run: Run, judge: str) -> dict[str, str]:
    """Model of the run → why it seems to be of the judge's family; no one for baselines and people."""
    record = run.manifest["judges"].get(judge, {})
    if judge.startswith((*PEOPLE, "exact@", "baseline/", "panel@")) or record.get("baseline"):
        return {}
    reasons = {
        name: kinship(record, model, (judge, name))
        for name, model in run.manifest["models"].items()
        if model.get("backend") != "audit"
    }
    return {name: reason for name, reason in reasons.items() if reason}


def family_lines(run: Run) -> list[str]:
    """A warning for each judge that judges its own family, with what of the names says so."""
    found = []
    for judge in run.manifest["judges"]:
        own = kin(run, judge)
        said = "; ".join(f"{name}: {reason}" for name, reason in list(own.items())[:3])
        if own:
            more = f" and {len(own) - 3} more" if len(own) > 3 else ""
            found.append(f"{judge} judges models of its own family ({said}{more}): it may favour them")
    return found


def _reference(run: Run, place: Place, places: Sequence[Place], own: Mapping[str, str]) -> tuple[list[Place], str]:
    """The groups that this one is held against, and who they are in words."""
    suite, judge, rubric, dimension = place
    if judge.startswith(PEOPLE):
        return [], ""
    people = [other for other in places if other[0] == suite and other[1].startswith(PEOPLE)]
    same = [other for other in people if other[3] == dimension] or [o for o in people if o[3] == "overall"]
    if same:
        return same, "people"
    if not own:
        return [], ""
    others = [
        other
        for other in places
        if (other[0], other[2], other[3]) == (suite, rubric, dimension)
        and other[1] != judge
        and not other[1].startswith("baseline/")
        and not kin(run, other[1])
    ]
    return others, ", ".join(other[1] for other in others)


def _position(group: Iterable[Verdict]) -> Row | None:
    """How much the order decides; None where no pair was shown in both."""
    pairs = _orders(group)
    both = {pair: (mean(first), mean(second)) for pair, (first, second) in pairs.items()}
    if not any(first is not None and second is not None for first, second in both.values()):
        return None
    row: Row = msgspec.to_builtins(position_shares(list(both.values()), [pair[0] for pair in both]))
    return row


def mean(points: Sequence[float]) -> float | None:
    """The mean; None of nothing."""
    return sum(points) / len(points) if points else None


def _stability(group: Iterable[Verdict]) -> Row | None:
    """How far samples of the judge agree; None where nothing was asked twice."""
    asked: dict[tuple[Any, ...], list[str | None]] = defaultdict(list)
    for verdict in group:
        said = None
        if verdict.scores:
            first, second = verdict.scores
            said = "first" if first > second else "second" if second > first else "tie"
        asked[verdict.item, verdict.turn, verdict.shown].append(said)
    if all(len(each) < 2 for each in asked.values()):
        return None
    row: Row = msgspec.to_builtins(repetition_stability(list(asked.values()), [key[0] for key in asked]))
    return row


class Looks:
    """Lengths and styles of the answers judged, each counted once."""

    def __init__(self, answers: Mapping[tuple[str, str, str, int], Answer]) -> None:
        self._answers = answers
        self._known: dict[tuple[str, str, str, int, int], dict[str, int] | None] = {}

    def of(self, verdict: Verdict, shown: tuple[str, int]) -> dict[str, int] | None:
        """`style_counts` of what was judged of one answer; None where the run does not hold it."""
        key = (verdict.suite, verdict.item, *shown, verdict.turn)
        if key not in self._known:
            answer = self._answers.get(key[:4])
            turns = answer.turns if answer is not None else ()
            judged = turns[verdict.turn - 1 : verdict.turn] if verdict.turn else turns
            self._known[key] = style_counts("\n".join(judged)) if judged else None
        return self._known[key]

    def pair(self, verdict: Verdict) -> ShownPair | None:
        """The verdict with the looks of both answers; None where it is unscored or an answer is not held."""
        first, second = (self.of(verdict, shown) for shown in verdict.shown)
        points = first_points(verdict)
        if points is None or first is None or second is None:
            return None
        (one, _), (two, _) = verdict.shown
        return ShownPair((verdict.suite, verdict.item), one, two, points, first, second)

    def longer(self, group: Sequence[Verdict], people: Sequence[Verdict] | None) -> Row | None:
        """P(prefers the longer) over pairs, orders and samples averaged; None where no answer is held."""
        pairs: dict[Pair, tuple[int, int]] = {}
        for verdict in group:
            left, right = sorted(verdict.shown)
            first, second = self.of(verdict, left), self.of(verdict, right)
            if first is not None and second is not None:
                pairs[verdict.item, verdict.turn, left, right] = first["length"], second["length"]
        if not pairs:
            return None
        ours, theirs = _means(group), _means(people) if people is not None else None
        found = verbosity(
            list(pairs.values()),
            [ours.get(pair) for pair in pairs],
            [theirs.get(pair) for pair in pairs] if theirs is not None else None,
            [pair[0] for pair in pairs],
        )
        row: Row = msgspec.to_builtins(found)
        return row


def _orders(verdicts: Iterable[Verdict]) -> dict[Pair, tuple[list[float], list[float]]]:
    """The left answer's points in each pair, shown first and shown second, sample by sample."""
    found: dict[Pair, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for verdict in verdicts:
        points = points_of(verdict)
        if points is not None:
            left, right = sorted(verdict.shown)
            found[verdict.item, verdict.turn, left, right][verdict.shown[0] != left].append(points)
    return found


def _means(verdicts: Iterable[Verdict]) -> dict[Pair, float]:
    """The left answer's points in each pair, the two orders weighing the same."""
    means = {}
    for pair, orders in _orders(verdicts).items():
        each = [sum(points) / len(points) for points in orders if points]
        means[pair] = sum(each) / len(each)
    return means
