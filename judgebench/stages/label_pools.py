"""What of a run could be drawn for people: found in the run, and kept compactly in their plan."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from judgebench.judges import matchups
from judgebench.runs import Run
from judgebench.stages.games import standing
from judgebench.stages.label_guides import Guide
from judgebench.types import Answer, Record, Verdict

Shown = tuple[tuple[str, int], ...]
"""(model, answer sample) of each answer."""
Unit = tuple[str, str, int, Shown]
"""(suite, item, turn, answers by name): what is labelled at once, on all its dimensions."""


class Pool(Record, frozen=True, kw_only=True):
    """Items of a suite that all have the same units."""

    suite: str
    """Name of the suite."""
    items: tuple[str, ...]
    """Ids of the items."""
    units: tuple[tuple[int, Shown], ...]
    """(turn, answers by name) of each of them."""


def pools_of(units: Iterable[Unit]) -> tuple[Pool, ...]:
    """The units, items that have the same ones together."""
    by_item: dict[tuple[str, str], list[tuple[int, Shown]]] = defaultdict(list)
    for suite, item, turn, shown in units:
        by_item[suite, item].append((turn, shown))
    alike: dict[tuple[str, tuple[tuple[int, Shown], ...]], list[str]] = defaultdict(list)
    for (suite, item), held in sorted(by_item.items()):
        alike[suite, tuple(sorted(held))].append(item)
    return tuple(Pool(suite=suite, items=tuple(items), units=held) for (suite, held), items in alike.items())


def units_of(pools: Iterable[Pool]) -> frozenset[Unit]:
    """What `pools_of` was given."""
    return frozenset((pool.suite, item, *unit) for pool in pools for item in pool.items for unit in pool.units)


def judged_units(run: Run, guide: Guide) -> dict[Unit, list[Verdict]]:
    """Unit → the judges' verdicts by this rubric; of empty answers too: they are part of what is estimated."""
    wanted = 2 if guide.mode == "pairwise" else 1
    found: dict[Unit, list[Verdict]] = defaultdict(list)
    for verdict in standing(run, run.verdicts().values())[0]:
        models = {model for model, _ in verdict.shown}
        person = verdict.judge.startswith(("human@", "exact@"))
        if not person and verdict.rubric == guide.rubric and len(models) == wanted == len(verdict.shown):
            found[verdict.suite, verdict.item, verdict.turn, tuple(sorted(verdict.shown))].append(verdict)
    answers = run.answers()
    items = {suite: run.items(suite) for suite in run.manifest["suites"]}
    return {
        unit: verdicts
        for unit, verdicts in found.items()
        if all((unit[0], unit[1], *each) in answers for each in unit[3])
        and unit[1] in items.get(unit[0], ())
        and guide.asked(items[unit[0]][unit[1]])
    }


def unjudged_units(run: Run, guide: Guide) -> set[Unit]:
    """Every unit that a judge could be put before: all pairs of all models, or all answers."""
    recorded: dict[tuple[str, str], list[tuple[str, int]]] = defaultdict(list)
    for answer in run.answers().values():
        if _whole(answer):
            recorded[answer.suite, answer.item].append((answer.model, answer.sample))
    units: set[Unit] = set()
    meetings = matchups.pairs(sorted(run.manifest["models"])) if guide.mode == "pairwise" else []
    for suite in run.manifest["suites"]:
        for item in run.items(suite).values():
            if not guide.asked(item):
                continue
            held = sorted(recorded.get((suite, item.id), ()))
            if guide.mode == "pairwise":
                shown: list[Shown] = [
                    tuple(sorted(((left, sample), (right, sample))))
                    for left, right in meetings
                    for model, sample in held
                    if model == left and (right, sample) in held
                ]
            else:
                shown = [(each,) for each in held]
            turns = matchups.turns(item, needs_reference=False)
            units.update((suite, item.id, turn, each) for turn in turns for each in shown)
    return units


def _whole(answer: Answer) -> bool:
    return not answer.error and any(answer.turns)


def dimensions_of_units(
    run: Run, guide: Guide, units: Iterable[Unit], judged: Mapping[Unit, Sequence[Verdict]]
) -> dict[Unit, tuple[str, ...]]:
    """Unit → the dimensions on which it is labelled: those on which it was judged, else those that its item has."""
    items = {suite: run.items(suite) for suite in run.manifest["suites"]}
    found = {}
    for unit in units:
        named = {verdict.dimension for verdict in judged.get(unit, ())}
        found[unit] = tuple(name for name in guide.dimensions if name in named) or guide.asked(items[unit[0]][unit[1]])
    return found
