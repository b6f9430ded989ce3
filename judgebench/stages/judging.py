"""Judging: answers → verdicts. Plans what is to be judged, leaves out what stands, has the rest heard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from judgebench import plugins
from judgebench.errors import UserError
from judgebench.judges import matchups
from judgebench.rubrics import Rubric, load_rubric, with_options
from judgebench.runs import Run, read_records
from judgebench.stages.budget import budget_of
from judgebench.stages.hearings import hear, missing, nothing_open, verdicts_of
from judgebench.stages.judge_sampling import drawn, refuse_unable
from judgebench.stages.named_models import parse_models
from judgebench.stages.opening import (
    WITHOUT_MODEL,
    Ready,
    closing_words,
    identity,
    loaded_identity,
    opened,
)
from judgebench.stages.progress import say
from judgebench.stages.settings import Settings
from judgebench.types import (
    Answer,
    Backend,
    Judge,
    Matchup,
    Model,
    Usage,
    Verdict,
)

FINAL = ("unreadable", "not applicable", "item lacks")
"""How the errors begin that asking again would not mend, or would pay for twice."""


class Scope(NamedTuple):
    """What of a run one command is about."""

    items: Mapping[str, Collection[str]]
    """Suite → ids of its items."""
    models: Collection[str]
    """Models named now; they meet every model of the run."""


def plan(settings: Settings, ready: Ready | None = None) -> tuple[list[Model], list[Rubric]]:
    """Judges and rubrics of the settings, checked against each other before anything is spent.

    Raises:
        UserError: one without the other, or a baseline that cannot judge in a rubric's mode.
        FileError: a mistake in a rubric file.
    """
    own = [text for text in settings.judge if text != "rubric" and text in plugins.others("judges")]
    judges = parse_models(tuple(text for text in settings.judge if text not in own), settings.option)
    judges += [Model(name=text, backend="judge", id=text) for text in own]
    rubrics = [with_options(load_rubric(name), settings.option) for name in settings.rubric]
    if bool(judges) != bool(rubrics):
        raise UserError(
            "a judge needs a --rubric" if judges else "a --rubric needs a --judge, such as baseline/overlap"
        )
    for rubric in rubrics:
        if settings.stop_when == "decided" and rubric.mode != "pairwise":
            raise UserError(f"--stop-when decided is for pairs: rubric {rubric.name} is {rubric.mode}")
    names = [rubric.name for rubric in rubrics]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"two rubrics are called {name!r}")
    for rubric in rubrics:
        samples, sampling = drawn(rubric, settings)
        if samples > 1 and sampling.temperature == 0:
            raise UserError(
                f"rubric {rubric.name}: {samples} samples at temperature 0 are the same sample; give a "
                "--judge-temperature above 0"
            )
        for model in judges:
            maker = make_judge(model, rubric)
            refuse_unready = getattr(maker, "refuse_unready", None)
            if refuse_unready is not None:
                refuse_unready()
            if model.backend not in WITHOUT_MODEL:
                backend = (ready or {}).get(("judge", model.name)) or plugins.load("backends", model.backend)
                refuse_unable(maker, model, backend)
    return judges, rubrics


def make_judge(model: Model, rubric: Rubric) -> Judge:
    """The judge that a model and a rubric make; a baseline or a plug-in's judge needs no model behind it.

    Raises:
        UserError: there is no such baseline, or it cannot judge in the rubric's mode.
    """
    kind = plugins.load("judges", model.name if model.backend in WITHOUT_MODEL else rubric.made_by)
    made: Judge = kind(model.name, rubric)
    return made


def check(run: Run, judges: Sequence[Model], rubrics: Sequence[Rubric], settings: Settings) -> None:
    """Nothing, when the verdicts that the run holds were made under these settings.

    Raises:
        RunConflict: some were not.
    """
    for model in judges:
        for rubric in rubrics:
            _, sampling = drawn(rubric, settings)
            parts = {**identity(model, settings), "temperature": sampling.temperature,
                     "max_tokens": sampling.max_tokens, "seed": settings.seed, "rubric": rubric.id}  # fmt: skip
            run.check_fingerprint("verdicts", f"{rubric.name} | {model.name}", parts, held=_held(run, model, rubric))


def _held(run: Run, model: Model, rubric: Rubric) -> bool:
    return any(True for _ in read_records(run.verdicts_file(model.name, rubric.name), Verdict))


def judged_suites(run: Run, settings: Settings) -> list[str]:
    """Names of the run's suites that judges see: those without an exact scorer, or all where the settings say so."""
    known: dict[str, dict[str, Any]] = run.manifest["suites"]
    return [name for name, record in known.items() if settings.judge_scored or not record["scorer"]]


def judge(
    run: Run, judges: Sequence[Model], rubrics: Sequence[Rubric], settings: Settings, ready: Ready,
    *, scope: Scope | None = None, quiet: bool = False,
) -> None:  # fmt: skip
    """Writes the verdicts of each judge by each rubric on the answers that the run holds.

    Args:
        run: the run; its items and answers are what is judged.
        judges: judge models.
        rubrics: what each of them is asked.
        settings: pairs, orders, samples and the shared flags.
        ready: backends already open.
        scope: what of the run is judged; all of its open suites, items and models by default.
        quiet: no progress.

    Raises:
        RunConflict: verdicts of a judge by a rubric were made under other settings.
        UserError: there is nothing to judge.
        BudgetReached: a limit of the settings is reached; what was judged before is kept.
    """
    suites = judged_suites(run, settings)
    if scope is not None:
        suites = [name for name in suites if name in scope.items]
    if not suites:
        raise UserError("nothing to judge: every suite of this run is scored exactly (--judge-scored judges them too)")
    check(run, judges, rubrics, settings)
    recorded = recorded_in(run)
    budget = budget_of(run, settings)
    for model in judges:
        todo: list[tuple[Rubric, Judge, list[Matchup]]] = []
        everything: dict[str, list[Matchup]] = {}
        for rubric in rubrics:
            maker = make_judge(model, rubric)
            known = run.verdicts(run.verdicts_file(model.name, rubric.name))
            planned: list[Matchup] = []
            for suite in suites:
                here = list(planned_on(run, suite, recorded.get(suite, {}), maker, rubric, settings, scope, quiet))
                planned += here
                if settings.stop_when == "all":
                    _record_plan(run, suite, maker, rubric, here)
            open_ = [matchup for matchup in planned if not standing(matchup, maker, known)]
            if settings.stop_when == "decided" and not _undecided(run, maker, planned, open_, settings):
                say(f"{model.name} by {rubric.name}: {nothing_open(planned, decided=True)}", quiet=quiet)
            elif open_:
                todo.append((rubric, maker, open_))
                everything[rubric.id] = planned
            else:
                say(f"{model.name} by {rubric.name}: {nothing_open(planned, decided=False)}", quiet=quiet)
        _record(run, model, rubrics, settings)
        run.save_manifest()
        if not todo:
            continue
        if model.backend in WITHOUT_MODEL:
            for rubric, maker, open_ in todo:
                _heard(run, maker, rubric, (everything[rubric.id], open_), None, settings, quiet=quiet)
            continue
        with opened("judge", model, settings, ready, budget=budget, run=run, quiet=quiet) as (backend, description):
            run.manifest["judges"][model.name]["loaded"] = description
            for rubric, _, _ in todo:
                held = _held(run, model, rubric)
                run.check_fingerprint(
                    "verdicts", f"{rubric.name} | {model.name}", loaded_identity(description), held=held
                )
            run.save_manifest()
            try:
                for rubric, maker, open_ in todo:
                    refuse_unable(maker, model, backend)
                    _heard(run, maker, rubric, (everything[rubric.id], open_), backend, settings, quiet=quiet)
                    _remark(run, maker, rubric, quiet=quiet)
            finally:
                run.manifest["judges"][model.name]["loaded"] = closing_words(backend, model, description, quiet=quiet)
                run.save_manifest()


def _heard(
    run: Run, maker: Judge, rubric: Rubric, work: tuple[list[Matchup], list[Matchup]], backend: Backend | None,
    settings: Settings, *, quiet: bool,
) -> None:  # fmt: skip
    """Has the open ones of all planned matchups heard: all of them, or until every pair is decided."""
    planned, open_ = work
    if settings.stop_when == "all":
        hear(run, maker, open_, backend, settings, quiet=quiet)
        return

    def put(batch: list[Matchup]) -> None:
        hear(run, maker, batch, backend, settings, quiet=quiet)

    from judgebench.stages import stopping

    asked = stopping.hear_until_decided(run, maker, planned, open_, put, settings, quiet=quiet)
    for suite in dict.fromkeys(matchup.suite for matchup in asked):
        _record_plan(run, suite, maker, rubric, [matchup for matchup in asked if matchup.suite == suite])
    run.save_manifest()


def _undecided(
    run: Run, maker: Judge, planned: list[Matchup], open_: list[Matchup], settings: Settings
) -> list[Matchup]:
    """What would be put next, were judging to stop once every pair is decided."""
    from judgebench.stages import stopping

    return stopping.next_matchups(run, maker, stopping.plan_of(run, maker, planned, settings), open_, settings)


def recorded_in(run: Run) -> dict[str, dict[str, dict[str, dict[int, Answer]]]]:
    """Suite → item → model → sample → answer."""
    found: dict[str, dict[str, dict[str, dict[int, Answer]]]] = {}
    for answer in run.answers().values():
        by_item = found.setdefault(answer.suite, {}).setdefault(answer.item, {})
        by_item.setdefault(answer.model, {})[answer.sample] = answer
    return found


def planned_on(
    run: Run, suite: str, recorded: matchups.Recorded, maker: Judge, rubric: Rubric, settings: Settings,
    scope: Scope | None, quiet: bool,
) -> Iterator[Matchup]:  # fmt: skip
    """What is to be judged on one suite; what cannot be is said aloud."""
    known = run.items(suite)
    if not known:
        raise UserError(f"{run.items_file(suite)} is missing: run the suite's generate stage again")
    items = [item for item in known.values() if scope is None or item.id in scope.items[suite]]
    needs_reference = rubric.needs_reference or bool(getattr(maker, "needs_reference", False))
    without = sum(len(matchups.turns(item, needs_reference=needs_reference)) < len(item.turns) for item in items)
    title = f"{maker.name} by {rubric.name}"
    if without:
        say(f"note: {title}: {without} of {len(items)} items of {suite} lack a reference and are not (wholly) judged",
            quiet=quiet)  # fmt: skip
    entry = run.manifest["judges"].setdefault(maker.name, {"rubrics": {}})["rubrics"].setdefault(rubric.name, {})
    entry.setdefault("without_reference", {})
    if without:
        entry["without_reference"][suite] = without
    samples, sampling = drawn(rubric, settings)
    models = list(run.manifest["models"])
    if rubric.mode != "pairwise":
        chosen = models if scope is None else [name for name in models if name in scope.models]
        return matchups.pointwise(
            suite, items, recorded, chosen, rubric, needs_reference=needs_reference,
            samples=samples, sampling=sampling,
        )  # fmt: skip
    if len(models) < 2:
        raise UserError(f"rubric {rubric.name} compares pairs: the run has {len(models)} model, and two are needed")
    meetings = meetings_of(models, settings, scope)
    alone = sum(not (recorded.get(item.id, {}).keys() >= set(pair)) for item in items for pair in meetings)
    if alone:
        say(f"note: {title}: on {suite}, {alone} pairs of an item and two models are not judged, as one of the two was "
            "not asked the item", quiet=quiet)  # fmt: skip
    return matchups.pairwise(
        suite, items, recorded, meetings, rubric, needs_reference=needs_reference, samples=samples,
        both_orders=settings.orders == "both", seed=settings.seed, sampling=sampling,
    )  # fmt: skip


def meetings_of(models: Sequence[str], settings: Settings, scope: Scope | None) -> list[tuple[str, str]]:
    """The pairs that meet: of all models of the run, those in which one is that was named now.

    Raises:
        UserError: as `judgebench.judges.matchups.pairs`.
    """
    found = matchups.pairs(models, settings.pairs, settings.baseline, settings.pair)
    return found if scope is None else [pair for pair in found if set(pair) & set(scope.models)]


def standing(matchup: Matchup, maker: Judge, known: Mapping[tuple[Any, ...], Verdict]) -> bool:
    """True where every dimension has a verdict on these very answers, or an unreadable one: asking again pays twice."""
    why = missing(matchup)
    for verdict in verdicts_of(maker, matchup, {}, Usage(), ""):
        found = known.get(verdict.key)
        if found is None or found.seen not in ("", verdict.seen):
            return False
        if why and found.error != why:
            return False
        if not why and not found.scores and not found.error.startswith(FINAL):
            return False
    return True


def _record(run: Run, model: Model, rubrics: Sequence[Rubric], settings: Settings) -> None:
    entry = run.manifest["judges"].setdefault(model.name, {"rubrics": {}})
    entry.update(backend=model.backend, id=model.id, options=model.options, baseline=model.backend == "baseline")
    for rubric in rubrics:
        known = entry["rubrics"].setdefault(rubric.name, {"without_reference": {}})
        samples, sampling = drawn(rubric, settings)
        known.update(
            id=rubric.id, orders=settings.orders, samples=samples, temperature=sampling.temperature,
            max_tokens=sampling.max_tokens,
        )  # fmt: skip
        run.manifest["rubrics"][rubric.id] = msgspec.to_builtins(rubric)


def _remark(run: Run, maker: Judge, rubric: Rubric, *, quiet: bool) -> None:
    """Says what the judge noticed while it was heard, and adds it to what the manifest holds of it."""
    remarks: Mapping[str, int] = getattr(maker, "remarks", {})
    known = run.manifest["judges"][maker.name]["rubrics"][rubric.name].setdefault("remarks", {})
    for words, count in remarks.items():
        known[words] = known.get(words, 0) + count
        say(f"note: {maker.name} by {rubric.name}: {words}: {count} times", quiet=quiet)


def _record_plan(run: Run, suite: str, maker: Judge, rubric: Rubric, planned: list[Matchup]) -> None:
    """Adds to what was ever planned of a judge by a rubric: dimension → who was shown in what order → verdicts."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in rubric.dimensions}
    for matchup in planned:
        for dimension in matchup.dimensions:
            counts[dimension][" > ".join(answer.model for answer in matchup.shown)] += 1
    plans = run.manifest["plans"].setdefault(suite, {}).setdefault(maker.name, {}).setdefault(rubric.id, {})
    for dimension, shown in counts.items():
        before = plans.setdefault(dimension, {})
        for who, count in shown.items():
            before[who] = max(count, before.get(who, 0))
