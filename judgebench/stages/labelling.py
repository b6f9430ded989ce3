"""What people are asked to label: which pairs or answers of a run, by which rubric, drawn how.

A plan is drawn once for each annotator and kept (`label_plans`): who, how, seed, the rubric's form and the tasks in
order. Tasks at random are a prefix of one seeded permutation of everything that was judged, so a larger plan goes on
where a smaller one ended, and annotators of the same seed label the same.
"""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Literal, cast, get_args

import msgspec

from judgebench.errors import UserError, did_you_mean
from judgebench.ratings.active import draw_labels, label_chances
from judgebench.runs import Run
from judgebench.stages.label_guides import Guide
from judgebench.stages.label_pools import (
    Pool,
    Shown,
    Unit,
    dimensions_of_units,
    judged_units,
    pools_of,
    unjudged_units,
)
from judgebench.types import Record, Verdict

How = Literal["random", "unsure", "disagree"]


class Task(Record, frozen=True, kw_only=True):
    """One thing to label."""

    suite: str
    """Name of the suite."""
    item: str
    """Id of the item."""
    turn: int
    """1-based turn; 0 the whole conversation."""
    shown: Shown
    """(model, answer sample), in the order in which this annotator sees them."""
    dimensions: tuple[str, ...]
    """What is judged."""
    chance: float | None = None
    """Chance with which it (``unsure``: its item) was drawn; None where nothing was drawn (``disagree``)."""


class Plan(Record, frozen=True, kw_only=True):
    """What one annotator is asked."""

    annotator: str
    """``human@NAME``."""
    how: How
    """Drawn at random, by the judges' doubt, or where judges disagree."""
    seed: int
    """Of the draw and of the sides."""
    guide: Guide
    """The rubric as people see it."""
    population: int
    """Units that could have been drawn."""
    tasks: tuple[Task, ...]
    """In the order in which they are asked."""
    chances: dict[str, dict[str, float]] = msgspec.field(default_factory=dict)
    """Suite → item → chance that all of the item was drawn, of every item; empty but where judges are unsure."""
    drawn_from: tuple[Pool, ...] = ()
    """The units that could have been drawn; empty in plans of before this was kept."""


def annotator_name(text: str) -> str:
    """``human@NAME`` of a name as given.

    Raises:
        UserError: it is empty, too long, begins with '.', or holds other than letters, digits, '.', '_' and '-'.
    """
    name = text.removeprefix("human@")
    if not name or len(name) > 60 or not all(letter.isalnum() or letter in "._-" for letter in name):
        raise UserError(f"--as {text!r}: a name of letters, digits, '.', '_' and '-' is needed")
    if name.startswith("."):
        raise UserError(f"--as {text!r}: a name must not begin with '.': it is part of addresses and files")
    if name == "gold":
        raise UserError("--as gold: gold labels are no annotator's; take another name")
    return f"human@{name}"


def draw(
    run: Run, guide: Guide, annotator: str, *, how: str = "random", size: int = 100, seed: int = 0
) -> Plan:  # fmt: skip
    """What an annotator is asked, drawn anew.

    Args:
        run: whose answers are labelled.
        guide: by which rubric.
        annotator: ``human@NAME``; the sides are shuffled for each.
        how: ``random``, ``unsure`` (items drawn whole, with chances that grow with the judges' doubt and are
            kept) or ``disagree``.
        size: tasks at most; in expectation where ``how`` is ``unsure``.
        seed: of the draw.

    Raises:
        UserError: nothing can be labelled, an unknown way, or a size below 1.
    """
    if how not in get_args(How):
        raise UserError(f"--sample {how!r}: {did_you_mean(how, get_args(How))}")
    if size < 1:
        raise UserError(f"--labels {size}: at least 1 is needed")
    judged = judged_units(run, guide)
    units = sorted(judged) if judged else sorted(unjudged_units(run, guide))
    if not units:
        raise UserError(f"nothing to label: the run holds no answers that {guide.rubric} could compare or grade")
    doubts = {} if how == "random" else {unit: doubt(judged.get(unit, ())) for unit in units}
    items: dict[tuple[str, str], float] = {}
    chances: dict[Unit, float | None]
    if how == "random":
        order = list(units)
        random.Random(f"{seed}\nlabels").shuffle(order)
        chosen = order[:size]
        chances = dict.fromkeys(chosen, len(chosen) / len(units))
    elif how == "unsure":
        if not judged:
            raise UserError("--sample unsure: no judge has judged anything by this rubric")
        items, taken = _by_doubt(doubts, size, seed)
        chosen = [unit for unit in units if unit[:2] in taken]
        chances = {unit: items[unit[:2]] for unit in chosen}
        random.Random(f"{seed}\norder").shuffle(chosen)
        if not chosen:
            raise UserError("--sample unsure: the draw came out empty; ask for more --labels")
    else:
        chosen = sorted((unit for unit in units if doubts[unit] > 0), key=lambda unit: -doubts[unit])[:size]
        chances = dict.fromkeys(chosen)
        if not chosen:
            raise UserError("--sample disagree: no two verdicts differ on anything here")
    asked = dimensions_of_units(run, guide, chosen, judged)
    tasks = tuple(task_of(unit, asked[unit], chances[unit], seed, annotator) for unit in chosen)
    of_items: dict[str, dict[str, float]] = {}
    for (suite, item), chance in items.items():
        of_items.setdefault(suite, {})[item] = chance
    return Plan(
        annotator=annotator, how=cast(How, how), seed=seed, guide=guide, population=len(units), tasks=tasks,
        chances=of_items, drawn_from=pools_of(units),
    )  # fmt: skip


def _by_doubt(
    doubts: Mapping[Unit, float], size: int, seed: int
) -> tuple[dict[tuple[str, str], float], set[tuple[str, str]]]:
    """(suite, item) → chance that all of it is labelled, by its mean doubt; and the items drawn."""
    by_item: dict[tuple[str, str], list[float]] = defaultdict(list)
    for unit, found in doubts.items():
        by_item[unit[:2]].append(found)
    wanted = max(1, min(len(by_item), round(size * len(by_item) / len(doubts))))
    given = label_chances([sum(each) / len(each) for each in by_item.values()], wanted)
    taken = {item for item, yes in zip(by_item, draw_labels(given, seed), strict=True) if yes}
    return dict(zip(by_item, given, strict=True)), taken


def doubt(verdicts: Iterable[Verdict]) -> float:
    """How far a unit's verdicts are apart, in [0, 1]: twice the standard deviation of their points on a scale of 0 … 1.

    Points are the share of the answer first by name, over all judges, orders and samples, averaged over dimensions.
    """
    by_dimension: dict[str, list[float]] = defaultdict(list)
    for verdict in verdicts:
        if len(verdict.scores) == 2:
            ahead = verdict.scores[0] - verdict.scores[1]
            points = 0.5 + 0.5 * (ahead > 0) - 0.5 * (ahead < 0)
            by_dimension[verdict.dimension].append(points if verdict.shown[0] <= verdict.shown[1] else 1 - points)
        elif verdict.scores:
            low, high = verdict.scale
            by_dimension[verdict.dimension].append((verdict.scores[0] - low) / (high - low))
    spreads = []
    for points_of in by_dimension.values():
        mean = sum(points_of) / len(points_of)
        spreads.append(2 * (sum((points - mean) ** 2 for points in points_of) / len(points_of)) ** 0.5)
    return sum(spreads) / len(spreads) if spreads else 0.0


def task_of(unit: Unit, dimensions: tuple[str, ...], chance: float | None, seed: int, annotator: str) -> Task:
    """A unit as it is put to an annotator, whose lot decides the sides."""
    suite, item, turn, shown = unit
    lot = hashlib.sha256(repr((seed, annotator, unit)).encode()).digest()[0] & 1
    return Task(
        suite=suite, item=item, turn=turn, shown=shown[::-1] if lot else shown, chance=chance, dimensions=dimensions
    )
