"""The stage ``generate``: items → answers."""

from __future__ import annotations

import argparse
from pathlib import Path

from judgebench.errors import UserError
from judgebench.runs import Run
from judgebench.stages import settings as flags
from judgebench.stages.answering import generate, load_suites
from judgebench.stages.budget import refuse_unpriced
from judgebench.stages.cost_tables import dry_run
from judgebench.stages.named_models import check_owners, parse_models
from judgebench.stages.opening import alone, try_out


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this stage's flags."""
    flags.add_run(parser)
    flags.add_suites(parser)
    flags.add_models(parser)
    flags.add_shared(parser)
    flags.add_dry_run(parser)


def main(args: argparse.Namespace) -> int:
    """Answers every item that has no answer yet.

    Returns:
        0; exit codes of errors are theirs.
    """
    path = flags.run_path(args.run)
    settings = flags.resolve(args, path / "config.yaml")
    models = parse_models(settings.model, settings.option)
    if not settings.suite or not models:
        raise UserError("generate needs at least one --suite and one --model")
    readers = (settings.extract_with,) if settings.extract_with else ()
    others = [*parse_models(settings.judge, settings.option), *parse_models(readers, settings.option)]
    check_owners(settings.option, [*models, *others], [Path(name).stem for name in settings.rubric])
    refuse_unpriced(models, settings)
    settings = alone(settings) if args.dry_run else settings
    try_out("model", models, settings, {})
    suites = load_suites(settings, quiet=args.quiet)
    if args.dry_run:
        return dry_run(path, settings, suites=suites, models=models)
    run = Run(path, create=True)
    generate(run, suites, models, settings, {}, quiet=args.quiet)
    return 0
