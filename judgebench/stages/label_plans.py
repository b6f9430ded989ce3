"""The plans of a run: what each annotator is asked, drawn once and kept in ``labelling/human@NAME.json``."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec

from judgebench.errors import RunConflict, UserError
from judgebench.files import safe_name
from judgebench.runs import Run
from judgebench.stages.label_guides import Guide, guide_of
from judgebench.stages.label_pools import (
    Unit,
    dimensions_of_units,
    judged_units,
    pools_of,
    units_of,
    unjudged_units,
)
from judgebench.stages.labelling import Plan, draw, task_of


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
    judged = judged_units(run, guide)
    chosen = [unit for unit in sorted(judged) if unit[:2] in drawn]
    if not chosen:
        raise UserError(
            f"{annotator}: no item drawn for these people was judged by {guide.rubric}; give another --rubric"
        )
    seed = record["seed"]
    random.Random(f"{seed}\norder").shuffle(chosen)
    asked = dimensions_of_units(run, guide, chosen, judged)
    tasks = [task_of(unit, asked[unit], record["chances"][unit[0]][unit[1]], seed, annotator) for unit in chosen]
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
    judged = judged_units(run, plan.guide)
    for units in (judged, () if len(judged) == plan.population else unjudged_units(run, plan.guide)):
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
