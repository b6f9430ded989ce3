"""The command line's stages as functions, for scripts and notebooks, also inside a running event loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from judgebench.errors import UserError
from judgebench.runs import Run
from judgebench.stages.named_models import parse_models
from judgebench.stages.opening import Role
from judgebench.stages.settings import Settings, checked, run_path
from judgebench.types import Backend, Game, Model, Record

if TYPE_CHECKING:
    import pandas

    from judgebench.importers.writing import Imported
    from judgebench.report.judge_card import JudgeCard
    from judgebench.stages.comparisons import Comparison

Contestant = str | Backend | Callable[[list[dict[str, str]]], Any]
"""A ``backend/id`` text, an open backend, or a function from chat to reply."""


class Results:
    """What a run holds, as pandas frames; read from disk, so it costs nothing and can be made again at any time.

    Args:
        path: a run folder, or a bare name for ``results/NAME``.

    Raises:
        UserError: there is no run.
    """

    def __init__(self, path: str | Path) -> None:
        self.run = Run(run_path(str(path)))
        self.path = self.run.path

    @cached_property
    def summary(self) -> dict[str, Any]:
        """summary.json, decoded."""
        from judgebench.stages.report import read_summary

        return read_summary(self.run)

    @cached_property
    def answers(self) -> pandas.DataFrame:
        """One row an answer: suite, item, model, sample, turns, finish, error …"""
        return _frame(self.run.answers().values())

    @cached_property
    def verdicts(self) -> pandas.DataFrame:
        """One row a verdict, exact scores included."""
        return _frame(self.run.verdicts().values())

    @cached_property
    def games(self) -> pandas.DataFrame:
        """One row a game under the swap policy last rated with, the overall of several dimensions included."""
        from judgebench.ratings.dimensions import with_overall
        from judgebench.stages.games import dimensions_of, games_of, standing

        games: list[Game] = games_of(self.run, standing(self.run, self.run.verdicts().values())[0])[0]
        return _frame(with_overall(games, dimensions_of(self.run)))

    @cached_property
    def ratings(self) -> pandas.DataFrame:
        """One row a rating: model, dimension, method, value, low, high, n, clusters …"""
        return _frame(self.run.ratings())


def run(
    path: str | Path, *, suite: Sequence[str], model: Sequence[str] | Mapping[str, Contestant],
    judge: Sequence[str] | Mapping[str, Contestant] = (), rubric: Sequence[str] = (),
    settings: Settings | None = None, quiet: bool = True,
) -> Results:  # fmt: skip
    """The results of a run after every stage, as ``judgebench run``.

    Args:
        path: run folder, or a bare name for ``results/NAME``.
        suite: suites by name or file.
        model: models under test, ``[name=]backend/id`` each; or name → text, open backend, or a
            function from chat to reply.
        judge: judges in the same forms, or ``baseline/NAME``.
        rubric: rubrics by name or file.
        settings: everything else; its lists of suites, models, judges and rubrics are replaced by these.
        quiet: no progress, no tables.

    Raises:
        UserError: a mistake, found before anything is spent.
        TooManyUnscored: the run is whole, but too many verdicts are missing.
    """
    from judgebench.stages.run import models, whole

    chosen, ready = _settings(settings, model, judge)
    chosen = checked(msgspec.structs.replace(chosen, suite=_list(suite), rubric=_list(rubric)))
    folder = run_path(str(path))
    whole(folder, chosen, models(chosen), ready, quiet=quiet)
    return Results(folder)


def judge(
    path: str | Path, *, judge: Sequence[str] | Mapping[str, Contestant], rubric: Sequence[str],
    settings: Settings | None = None, quiet: bool = True,
) -> Results:  # fmt: skip
    """The results of a run after judging what it holds, rating and reporting, as ``judgebench judge`` and ``rate``.

    Args: as `run`.

    Raises:
        UserError: there is no such run, or a mistake, found before anything is spent.
    """
    from judgebench.stages import judging, rate, report
    from judgebench.stages.opening import try_out
    from judgebench.stages.settings import stored_settings

    folder = run_path(str(path))
    held = Run(folder)
    base = settings or stored_settings(folder / "config.yaml")
    chosen, ready = _settings(base, base.model, judge)
    chosen = checked(msgspec.structs.replace(chosen, rubric=_list(rubric)))
    judges, rubrics = judging.plan(chosen, ready)
    try_out("judge", judges, chosen, ready)
    judging.judge(held, judges, rubrics, chosen, ready, quiet=quiet)
    rate.rate(held, chosen)
    report.report(held, quiet=quiet)
    return Results(folder)


def compare(
    path: str | Path | Sequence[str | Path], a: str = "", b: str = "", *,
    pairs: Sequence[tuple[str, str]] | None = None, margin: float | None = None, calibrate: str = "",
    random_labels: bool = False, bootstrap: int = 0, seed: int = 0, allow_unlike: bool = False,
) -> list[Comparison]:  # fmt: skip
    """Comparisons of models on the items both have, as ``judgebench compare``.

    Args:
        path: one run or several.
        a: name of a model; every two models are compared where neither names nor pairs are given.
        b: name of the other; differences are a minus b.
        pairs: several pairs in place of a and b; p-values are corrected for all that is compared (Holm, and
            Benjamini-Hochberg).
        margin: smallest difference that matters: tests whether two are as good as one another (TOST).
        calibrate: ``human`` or ``human@NAME``: people's labels correct the judges (PPI++), shown beside.
        random_labels: the declaration that those labels are a random sample of what was judged.
        bootstrap: draws of a question bootstrap by category, shown beside; 0 makes none.
        seed: of bootstraps and folds.
        allow_unlike: go on where they were not asked alike.

    Raises:
        UserError: a model is unknown, or they share nothing; one name without the other, or names and pairs.
        RunConflict: they were not asked alike.
    """
    from judgebench.stages.comparisons import Extras, compare_pairs

    if bool(a) != bool(b) or (a and pairs is not None):
        raise UserError("compare two models by name, several pairs by pairs=, or every two by naming none")
    paths = [path] if isinstance(path, str | Path) else path
    extras = Extras(margin, calibrate, random_labels, bootstrap, seed)
    chosen = [(a, b)] if a else pairs
    return compare_pairs([Run(run_path(str(each))) for each in paths], chosen, extras, allow_unlike=allow_unlike)


def meta_eval(
    path: str | Path, judges: Sequence[str] = (), against: str = "", *, suites: Sequence[str] = (),
    dimensions: Sequence[str] = (),
) -> list[JudgeCard]:  # fmt: skip
    """The cards of judges held against people or gold labels, as ``judgebench meta-eval``; the run keeps them.

    Args:
        path: the run.
        judges: names; ``A+B`` is a panel; every judge by default.
        against: ``human``, ``human@NAME``, ``gold`` or a judge's name; people where there are any, else gold.
        suites: only these.
        dimensions: only these.

    Raises:
        UserError: a name is unknown, or nothing was judged by both sides.
    """
    from judgebench.stages.cards import write_cards
    from judgebench.stages.meta_eval import meta_evaluate

    held = Run(run_path(str(path)))
    cards = meta_evaluate(held, judges, against, suites=suites, dimensions=dimensions)
    write_cards(held, cards)
    return cards


def audit(
    judge: str | Backend | Callable[[list[dict[str, str]]], Any], rubric: str, *, path: str | Path | None = None,
    suite: Sequence[str] = (), attack: Sequence[str] = (), gate: float | None = None, out: str | Path = "",
    settings: Settings | None = None, quiet: bool = True,
) -> dict[str, Any]:  # fmt: skip
    """What worthless answers got from a judge, as ``judgebench audit``: a row for each attack; its run keeps it.

    Args:
        judge: ``[name=]backend/id``, ``baseline/NAME``, an open backend, or a function from chat to reply, which two
            are called ``judge``.
        rubric: rubric by name or file.
        path: a run whose answers the attacks meet; else the references of ``suite``.
        suite: suites whose references the attacks meet; with ``path``, those of its suites.
        attack: only these; all by default.
        gate: below which an attack's interval must lie; as the command line's by default.
        out: run folder of the audit; ``audit-JUDGE+RUBRIC`` by default.
        settings: everything else, such as ``limit``.
        quiet: no progress.

    Returns:
        dict: ``passed`` says whether every attack was withstood; an attack that was not raises nothing here.

    Raises:
        UserError: a mistake, found before anything is spent.
    """
    from judgebench.judges.attacks import battery
    from judgebench.ratings.gate import GATE
    from judgebench.stages.audit import audit as stage

    named: Sequence[str] | Mapping[str, Contestant] = [judge] if isinstance(judge, str) else {"judge": judge}
    chosen, ready = _settings(settings, (), named)
    chosen = checked(msgspec.structs.replace(chosen, suite=_list(suite), rubric=(rubric,)))
    source = None if path is None else Run(run_path(str(path)))
    attacks = battery(_list(attack))
    return stage(chosen, source, attacks, ready, gate=GATE if gate is None else gate, out=str(out), quiet=quiet)


def import_files(
    path: str | Path, format: str, files: Sequence[str | Path], *, names: Mapping[str, str] | None = None,
    suite: str = "", judge: str = "", baseline: str = "", compat: bool = False,
) -> Imported:  # fmt: skip
    """What other tools' files added to a run, as ``judgebench import``: answers, verdicts and people's labels.

    Args:
        path: the run; made where there is none.
        format: name of an importer, such as ``llmbar``.
        files: the tool's files, answers and verdicts alike.
        names: model in the files → model in the run.
        suite: suite to import into; the run's with the same questions, else the format's, by default.
        judge: who judged, where the files do not say.
        baseline: whom all met, where the files do not say.
        compat: read what could not be read as the tool's own code does, where that counts it as a tie.

    Raises:
        UserError: the format is unknown, or a row is not of it; nothing is written then.
    """
    from judgebench.stages.importing import import_files as stage

    if isinstance(files, str | Path):
        raise UserError(f"files are given as a list: [{str(files)!r}]")
    return stage(
        format, [Path(file) for file in files], run_path(str(path)), names=dict(names or {}), suite=suite, judge=judge,
        baseline=baseline, compat=compat,
    )  # fmt: skip


def load(path: str | Path) -> Results:
    """What a run holds.

    Raises:
        UserError: there is no run.
    """
    return Results(path)


def _settings(
    settings: Settings | None, model: Sequence[str] | Mapping[str, Contestant],
    judge: Sequence[str] | Mapping[str, Contestant],
) -> tuple[Settings, dict[tuple[Role, str], Backend]]:  # fmt: skip
    ready: dict[tuple[Role, str], Backend] = {}
    texts = tuple(_text("model", each, ready) for each in _named(model))
    judges = tuple(_text("judge", each, ready) for each in _named(judge))
    return msgspec.structs.replace(settings or Settings(), model=texts, judge=judges), ready


def _named(given: Sequence[str] | Mapping[str, Contestant]) -> list[tuple[str, Contestant]]:
    return list(given.items()) if isinstance(given, Mapping) else [("", text) for text in _list(given)]


def _list(given: Sequence[str]) -> tuple[str, ...]:
    if isinstance(given, str):
        raise UserError(f"suites, models, judges and rubrics are given as a list: [{given!r}]")
    if callable(given):
        name = getattr(given, "__name__", "")
        raise UserError(f"a function needs a name in the run: {{'{name if name.isidentifier() else 'mine'}': …}}")
    return tuple(given)


def _text(role: Role, named: tuple[str, Contestant], ready: dict[tuple[Role, str], Backend]) -> str:
    name, given = named
    if isinstance(given, str):
        if given.startswith("baseline/"):
            return given
        return f"{name}={given}" if name else given
    from judgebench.backends.scripted import ScriptedBackend

    backend = given if isinstance(given, Backend) else ScriptedBackend.of(given, name=name)
    if "/" in name or "=" in name:
        raise UserError(f"model name {name!r}: '/' and '=' are not allowed in the name of a function or open backend")
    text = f"{name}=scripted/{name}"
    model: Model = parse_models((text,), {})[0]
    ready[role, model.name] = backend
    return text


def _frame(records: object) -> pandas.DataFrame:
    import pandas

    rows = [record if not isinstance(record, Record) else msgspec.structs.asdict(record) for record in records]  # type: ignore[attr-defined]
    return pandas.DataFrame(rows)
