"""The stage ``judge``: answers → verdicts."""

from __future__ import annotations

import argparse

from judgebench.errors import UserError
from judgebench.runs import Run
from judgebench.stages import settings as flags
from judgebench.stages.budget import refuse_unpriced
from judgebench.stages.cost_tables import dry_run
from judgebench.stages.judging import judge, plan
from judgebench.stages.named_models import check_owners
from judgebench.stages.opening import alone, try_out
from judgebench.stages.unscored import judged_rows, refuse_unscored
from judgebench.types import Model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this stage's flags."""
    flags.add_run(parser)
    flags.add_judges(parser)
    flags.add_shared(parser)
    flags.add_dry_run(parser)


def main(args: argparse.Namespace) -> int:
    """Judges everything that has no verdict yet.

    Returns:
        0; exit codes of errors are theirs.
    """
    path = flags.run_path(args.run)
    run = Run(path)
    settings = flags.resolve(args, path / "config.yaml")
    judges, rubrics = plan(settings)
    if not judges:
        raise UserError("judge needs at least one --judge and one --rubric")
    others = [Model(name=name, backend=record["backend"], id="") for name, record in run.manifest["models"].items()]
    check_owners(settings.option, [*others, *judges], [rubric.name for rubric in rubrics])
    refuse_unpriced(judges, settings)
    settings = alone(settings) if args.dry_run else settings
    try_out("judge", judges, settings, {})
    if args.dry_run:
        return dry_run(path, settings, judges=judges, rubrics=rubrics)
    judge(run, judges, rubrics, settings, {}, quiet=args.quiet)
    asked = {(each.name, rubric.name) for each in judges for rubric in rubrics}
    rows = [row for row in judged_rows(run) if (row["judge"], row["rubric"].partition("@")[0]) in asked]
    refuse_unscored({"accuracy": [], "verdicts": rows}, settings.max_unscored)
    return 0
