"""Every stage in turn: generate, score, judge, rate, report. All mistakes are found before the first token is spent."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from judgebench import __version__
from judgebench.errors import UserError
from judgebench.rubrics import Rubric
from judgebench.runs import Run
from judgebench.stages import answering, fallback, judging, rate, report, score, steps
from judgebench.stages import settings as flags
from judgebench.stages.budget import refuse_unpriced
from judgebench.stages.cost_tables import dry_run
from judgebench.stages.named_models import check_owners, parse_models
from judgebench.stages.opening import Ready, alone, try_out
from judgebench.stages.scoring import check_scorers
from judgebench.stages.settings import Settings
from judgebench.stages.unscored import refuse_unscored
from judgebench.suites import Suite
from judgebench.types import Model

PACKAGES = ("numpy", "scipy", "openai", "aiohttp", "torch", "transformers", "vllm")
"""Packages whose versions a manifest records, where they are installed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this stage's flags."""
    parser.add_argument("run", nargs="?", metavar="RUN",
                        help="run folder; a bare name means results/NAME (a file of steps has its own)")  # fmt: skip
    flags.add_suites(parser)
    flags.add_models(parser)
    flags.add_judges(parser)
    flags.add_scoring(parser)
    flags.add_rating(parser)
    flags.add_shared(parser)
    flags.add_dry_run(parser)


def main(args: argparse.Namespace) -> int:
    """Takes a run from its suites to its report; a run without suites or models named goes on as it was begun.

    A run file with ``steps`` is taken step by step (`judgebench.stages.steps`).

    Returns:
        0; exit codes of errors are theirs.
    """
    if steps.has_steps(args.config):
        steps.refuse_flags(args)
        return steps.walk(args.config, args.run, quiet=args.quiet)
    if args.run is None:
        raise UserError("the following arguments are required: RUN (see 'judgebench run --help')")
    path = flags.run_path(args.run)
    begun = path / "config.yaml"
    if not args.config and bool(args.suite) != bool(args.model) and begun.is_file():
        lacking = "--model" if args.suite else "--suite"
        raise UserError(f"no {lacking}: name it too, or go on with what the run began with by --config {begun}")
    stored = path / "config.yaml" if not (args.suite or args.model or args.config) else None
    settings = flags.resolve(args, stored)
    if args.dry_run:
        plan(path, settings, models(settings), quiet=args.quiet)
    else:
        whole(path, settings, models(settings), {}, quiet=args.quiet)
    return 0


def models(settings: Settings) -> list[Model]:
    """The models under test of the settings.

    Raises:
        UserError: there is none, or no suite for them.
    """
    found = parse_models(settings.model, settings.option)
    if not settings.suite or not found:
        raise UserError("run needs at least one --suite and one --model (or --config FILE)")
    for model in found:
        if model.backend == "baseline":
            raise UserError(f"--model {model.name}: a baseline judges, it does not answer; use it as --judge")
    return found


def whole(path: Path, settings: Settings, contestants: Sequence[Model], ready: Ready, *, quiet: bool) -> dict[str, Any]:
    """The summary of a run after every stage.

    Args:
        path: the run folder.
        settings: what is wanted.
        contestants: the models under test.
        ready: backends already open.
        quiet: no progress, no tables.

    Raises:
        TooManyUnscored: at the end, when a judge or scorer is past ``max_unscored``.
        BudgetReached: a limit of the settings is reached; what was done is kept.
    """
    judges, rubrics, readers, suites = _checked(settings, contestants, ready, quiet=quiet)
    closed = {suite.name: (suite.scorer, suite.scorer_options) for suite in suites if suite.scorer}
    run = Run(path, create=True)
    answering.check(run, suites, contestants, settings, ready, quiet=True)
    judging.check(run, judges, rubrics, settings)
    names = [model.name for model in contestants]
    scope = _scope(suites, contestants)
    if any(rubric.mode == "pairwise" for rubric in rubrics):
        judging.meetings_of(list(dict.fromkeys([*run.manifest["models"], *names])), settings, scope)
    _keep_config(run, resolved(settings))
    _sign(run, settings)
    answering.generate(run, suites, contestants, settings, ready, quiet=quiet)
    if closed:
        score.score(run, settings, quiet=quiet)
        if readers:
            fallback.fall_back(run, settings.extract_with, settings, ready, quiet=quiet)
    if judges:
        judging.judge(run, judges, rubrics, settings, ready, scope=scope, quiet=quiet)
    summary = rate.rate(run, settings)
    report.report(run, quiet=quiet)
    refuse_unscored(summary, settings.max_unscored)
    return summary


def plan(path: Path, settings: Settings, contestants: Sequence[Model], *, quiet: bool) -> None:
    """Prints what `whole` would ask, with its checks; asks nobody and leaves the run as it is.

    Args: as `whole`.
    """
    settings = alone(settings)
    judges, rubrics, readers, suites = _checked(settings, contestants, {}, quiet=quiet)
    dry_run(path, settings, suites=suites, models=contestants, judges=judges, rubrics=rubrics, readers=readers,
            scope=_scope(suites, contestants))  # fmt: skip


def _scope(suites: Sequence[Suite], contestants: Sequence[Model]) -> judging.Scope:
    items = {suite.name: {item.id for item in suite.items} for suite in suites}
    return judging.Scope(items, [model.name for model in contestants])


def _checked(
    settings: Settings, contestants: Sequence[Model], ready: Ready, *, quiet: bool
) -> tuple[list[Model], list[Rubric], list[Model], list[Suite]]:
    """Judges, rubrics, readers and suites, when everything fits together and every backend can be made.

    Raises:
        UserError: something does not, found before anything is spent.
    """
    judges, rubrics = judging.plan(settings, ready)
    readers = [fallback.reader(settings.extract_with, settings)] if settings.extract_with else []
    check_owners(settings.option, [*contestants, *judges, *readers], [rubric.name for rubric in rubrics])
    suites = answering.load_suites(settings, quiet=quiet)
    closed = {suite.name: (suite.scorer, suite.scorer_options) for suite in suites if suite.scorer}
    check_scorers(closed, settings)
    if judges and len(closed) == len(suites) and not settings.judge_scored:
        raise UserError(
            "--judge has nothing to judge: every suite named is scored exactly; --judge-scored has judges see them too"
        )
    if readers and not closed:
        raise UserError("--extract-with has nothing to read: no suite named is scored exactly")
    refuse_unpriced([*contestants, *judges, *readers], settings)
    try_out("model", contestants, settings, ready)
    try_out("judge", [*judges, *readers], settings, ready)
    return judges, rubrics, readers, suites


def resolved(settings: Settings) -> str:
    """The settings as a run file that reproduces the run."""
    import msgspec

    head = (
        f"# The last 'judgebench run' on this folder (judgebench {__version__}), every setting in full.\n"
        "# Earlier ones that differ are config.1.yaml, config.2.yaml and so on:\n"
        "# 'judgebench run OTHER --config FILE' with each in turn makes the same run again.\n"
    )
    return head + yaml.safe_dump(msgspec.to_builtins(settings), sort_keys=False, allow_unicode=True)


def _keep_config(run: Run, text: str) -> None:
    """Writes config.yaml; what it held before, if other settings, is kept under the next free number."""
    path = run.path / "config.yaml"
    if path.is_file() and path.read_text(encoding="utf-8") != text:
        number = 1
        while (run.path / f"config.{number}.yaml").exists():
            number += 1
        run.write(f"config.{number}.yaml", path.read_bytes())
    run.write("config.yaml", text)


def _sign(run: Run, settings: Settings) -> None:
    packages = {}
    for name in PACKAGES:
        try:
            packages[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    run.manifest.update(
        judgebench=__version__,
        updated=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        seed=settings.seed,
        swap_policy=settings.swap_policy,
        python=sys.version.split()[0],
        platform=platform.platform(),
        machine=platform.machine(),
        packages=packages,
    )
    run.save_manifest()
