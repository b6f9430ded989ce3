"""What people are asked to label: which pairs or answers of a run, by which rubric, drawn how.

A plan is drawn once for each annotator and kept in ``labelling/human@NAME.json``: who, how, seed, the rubric's form and
the tasks in order. Tasks at random are a prefix of one seeded permutation of everything that was judged, so a larger
plan goes on where a smaller one ended, and annotators of the same seed label the same.
"""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast, get_args

import msgspec

from judgebench.errors import RunConflict, UserError, did_you_mean
from judgebench.files import safe_name
from judgebench.judges import matchups
from judgebench.ratings.active import draw_labels, label_chances
from judgebench.runs import Run
from judgebench.stages.games import standing
from judgebench.stages.label_guides import Guide, guide_of
from judgebench.stages.label_pools import Pool, Shown, Unit, pools_of, units_of
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
    judged = _judged(run, guide)
    units = sorted(judged) if judged else sorted(_unjudged(run, guide))
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
    asked = _asked(run, guide, chosen, judged)
    tasks = tuple(_task(unit, asked[unit], chances[unit], seed, annotator) for unit in chosen)
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


def plan_for(
    run: Run, annotator: str, *, rubric: str = "", how: str | None = None, size: int | None = None,
    seed: int | None = None,
) -> Plan:  # fmt: skip
    """The annotator's plan: the one kept in the run, made larger where that is asked for, else a new one.

    Raises:
        RunConflict: the kept plan was drawn in another way, or the name has labels that this program did not ask for.
        UserError: as `draw`.
    """
    kept = read_plan(run, annotator)
    if kept is None:
        if run.verdicts_file(annotator, "").exists():
            raise RunConflict(f"{run.path}: {annotator} has labels from elsewhere; take another name with --as")
        if "drawn" in run.manifest["judges"].get(annotator, {}):
            if how not in (None, "unsure") or size is not None or seed is not None:
                raise RunConflict(
                    f"{annotator}: 'judgebench escalate --active' drew what these people label; leave --sample, "
                    "--labels and --seed out, or take another name with --as"
                )
            return _keep(run, _as_drawn(run, guide_of(run, rubric), annotator))
        plan = draw(run, guide_of(run, rubric), annotator, how=how or "random", size=size or 100, seed=seed or 0)
        return _keep(run, plan)
    if rubric and rubric not in (kept.guide.rubric, kept.guide.rubric.partition("@")[0]):
        raise RunConflict(f"{annotator} labels by {kept.guide.rubric} in this run; take another name with --as")
    for flag, asked, held in (("--sample", how, kept.how), ("--seed", seed, kept.seed)):
        if asked is not None and asked != held:
            raise RunConflict(f"{annotator}: {flag} was {held} and is now {asked}; take another name with --as")
    if size is None or size <= len(kept.tasks) or kept.how == "unsure":
        return kept
    larger = draw(run, kept.guide, annotator, how=kept.how, size=size, seed=kept.seed)
    held_tasks = [(task.suite, task.item, task.turn, task.shown) for task in kept.tasks]
    grown = kept.drawn_from and larger.drawn_from != kept.drawn_from
    if (
        grown
        or [(each.suite, each.item, each.turn, each.shown) for each in larger.tasks[: len(held_tasks)]] != held_tasks
    ):
        raise RunConflict(
            f"{annotator}: the run has changed since its labels were drawn, so no larger sample of the same draw can "
            "be had; take another name with --as"
        )
    return _keep(run, larger)


def _as_drawn(run: Run, guide: Guide, annotator: str) -> Plan:
    """All units of the items that ``judgebench escalate --active`` drew for this annotator.

    Raises:
        UserError: none of them was judged by the rubric.
    """
    record = run.manifest["judges"][annotator]
    drawn = {(suite, item) for suite, items in record["drawn"].items() for item in items}
    judged = _judged(run, guide)
    chosen = [unit for unit in sorted(judged) if unit[:2] in drawn]
    if not chosen:
        raise UserError(
            f"{annotator}: no item drawn for these people was judged by {guide.rubric}; give another --rubric"
        )
    seed = record["seed"]
    random.Random(f"{seed}\norder").shuffle(chosen)
    asked = _asked(run, guide, chosen, judged)
    tasks = [_task(unit, asked[unit], record["chances"][unit[0]][unit[1]], seed, annotator) for unit in chosen]
    return Plan(
        annotator=annotator, how="unsure", seed=seed, guide=guide, population=len(judged), tasks=tuple(tasks),
        chances=record["chances"], drawn_from=pools_of(judged),
    )  # fmt: skip


def population_of(run: Run, plan: Plan) -> frozenset[Unit]:
    """The units that could have been drawn.

    A plan of before they were kept counts them only: where the run still holds as many, it is those.

    Raises:
        UserError: the plan counts them only, and the run holds more or fewer now.
    """
    if plan.drawn_from:
        return units_of(plan.drawn_from)
    judged = _judged(run, plan.guide)
    for units in (judged, () if len(judged) == plan.population else _unjudged(run, plan.guide)):
        if len(units) == plan.population:
            return frozenset(units)
    raise UserError(
        f"{plan.annotator}: labels were drawn from {plan.population} things, and the run holds {len(judged)} that are "
        "judged now: they are no random sample of these; draw labels anew for other people"
    )


def read_plan(run: Run, annotator: str) -> Plan | None:
    """The plan kept in the run; None where there is none.

    Raises:
        UserError: its file is damaged.
    """
    path = run.path / _file(annotator)
    return _read(path) if path.is_file() else None


def _read(path: Path) -> Plan:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Plan)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is damaged: {error}") from error


def plans(run: Run) -> dict[str, Plan]:
    """Annotator → plan, of all whom this run asks.

    Raises:
        UserError: one of their files is damaged.
    """
    found: dict[str, Plan] = {}
    for path in sorted((run.path / "labelling").glob("*.json")):
        plan = _read(path)
        found[plan.annotator] = plan
    return found


def _file(annotator: str) -> str:
    return f"labelling/{safe_name(annotator)}.json"


def _keep(run: Run, plan: Plan) -> Plan:
    (run.path / "labelling").mkdir(exist_ok=True)
    run.write(_file(plan.annotator), msgspec.json.format(msgspec.json.encode(plan), indent=1))
    return plan


def _judged(run: Run, guide: Guide) -> dict[Unit, list[Verdict]]:
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


def _unjudged(run: Run, guide: Guide) -> set[Unit]:
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


def _whole(answer: Any) -> bool:
    return answer is not None and not answer.error and any(answer.turns)


def _asked(
    run: Run, guide: Guide, units: Iterable[Unit], judged: Mapping[Unit, Sequence[Verdict]]
) -> dict[Unit, tuple[str, ...]]:
    """Unit → the dimensions on which it is labelled: those on which it was judged, else those that its item has."""
    items = {suite: run.items(suite) for suite in run.manifest["suites"]}
    found = {}
    for unit in units:
        named = {verdict.dimension for verdict in judged.get(unit, ())}
        found[unit] = tuple(name for name in guide.dimensions if name in named) or guide.asked(items[unit[0]][unit[1]])
    return found


def _task(unit: Unit, dimensions: tuple[str, ...], chance: float | None, seed: int, annotator: str) -> Task:
    suite, item, turn, shown = unit
    lot = hashlib.sha256(repr((seed, annotator, unit)).encode()).digest()[0] & 1
    return Task(
        suite=suite, item=item, turn=turn, shown=shown[::-1] if lot else shown, chance=chance, dimensions=dimensions
    )
