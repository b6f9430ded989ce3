"""``judgebench import FORMAT FILE… RUN``: other tools' answers, verdicts and people's labels become a run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from judgebench import plugins
from judgebench.errors import UserError
from judgebench.importers.joining import read_keys
from judgebench.importers.records import Options
from judgebench.importers.writing import Imported, write
from judgebench.report.visible import one_line
from judgebench.runs import Run
from judgebench.stages.games import seen_of
from judgebench.stages.settings import run_path

TIES = ("pandalm", "prd")
"""Formats whose tools count what they cannot read as a tie."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this stage's flags."""
    parser.description = (
        "Read files of another tool into a run, so that rate, compare, meta-eval and report work on them. Answers, "
        f"verdicts and labels of one question come together, whichever import brought them. Formats: "
        f"{', '.join(plugins.BUILT_IN['importers'])}."
    )
    parser.add_argument("format", metavar="FORMAT", help="the tool whose files they are")
    parser.add_argument("files", nargs="+", metavar="FILE", help="its files, plain or .gz, answers and verdicts alike")
    parser.add_argument("run", metavar="RUN", help="run folder, new or not; a bare name means results/NAME")
    parser.add_argument("--name", action="append", default=[], metavar="OLD=NEW",
                        help="a model's name in the files, and in the run; repeat for more")  # fmt: skip
    parser.add_argument("--suite", default="", metavar="NAME",
                        help="suite (default: the run's with the same questions, else the format's)")  # fmt: skip
    parser.add_argument("--judge", default="", metavar="NAME", help="who judged, where the files do not say")
    parser.add_argument("--baseline", default="", metavar="MODEL",
                        help="arena-hard: the model that all met, where the files do not say")  # fmt: skip
    parser.add_argument("--compat", action="store_true",
                        help="pandalm, prd: count what could not be read as a tie, as their code does")  # fmt: skip
    parser.add_argument("--quiet", action="store_true", help="print nothing")


def main(args: argparse.Namespace) -> int:
    """Imports the files and says what is new.

    Returns:
        0; exit codes of errors are theirs.
    """
    found = import_files(
        args.format, [Path(text) for text in args.files], run_path(args.run), names=parse_names(args.name),
        suite=args.suite, judge=args.judge, baseline=args.baseline, compat=args.compat,
    )  # fmt: skip
    if not args.quiet:
        sys.stdout.write(one_line(f"{args.run}: {_counts(found)}") + "\n")
        for note in found.notes:
            sys.stdout.write(one_line(f"note: {note}") + "\n")
    return 0


def import_files(
    format: str, files: Sequence[Path], path: Path, *, names: dict[str, str] | None = None, suite: str = "",
    judge: str = "", baseline: str = "", compat: bool = False,
) -> Imported:  # fmt: skip
    """What was added to a run by importing files.

    Args:
        format: name of an importer.
        files: its files.
        path: the run's folder; made where there is none.
        names: model in the files → model in the run.
        suite: suite to import into.
        judge: who judged, where the files do not say.
        baseline: whom all met, where the files do not say.
        compat: read unreadable verdicts as the tool's own code does, where it counts them as ties.

    Raises:
        UserError: the format is unknown, or a row is not of it; nothing is written then.
    """
    read = plugins.load("importers", format)
    if compat and format not in TIES:
        raise UserError(f"--compat has no effect with {format}: its tool leaves out what it cannot read")
    held = read_keys(Run(path)) if (path / "manifest.json").is_file() else None
    options = Options(
        names=names or {}, suite=suite, judge=judge, baseline=baseline,
        aliases=held.aliases if held else {}, answers={id: key[2] for id, key in held.answers.items()} if held else {},
        learned=held.learned if held else {}, compat=compat,
    )  # fmt: skip
    gathered = read(files, options)
    run = Run(path, create=True)
    try:
        return write(run, format, files, gathered, options, seen_of)
    except UserError:
        if held is None:  # what could not be imported leaves no empty run behind
            _remove_empty(path)
        raise


def _remove_empty(path: Path) -> None:
    made = {"manifest.json", ".manifest.lock"}
    if {each.name for each in path.iterdir()} <= made:
        for name in made:
            (path / name).unlink(missing_ok=True)
        path.rmdir()


def parse_names(texts: Sequence[str]) -> dict[str, str]:
    """OLD → NEW of each OLD=NEW.

    Raises:
        UserError: a text has no ``=`` or an empty side, or one model would get two names.
    """
    names: dict[str, str] = {}
    for text in texts:
        old, _, new = text.rpartition("=")
        if not old or not new:
            raise UserError(f"--name {text!r} is not OLD=NEW")
        if names.setdefault(old, new) != new:
            raise UserError(f"--name gives {old!r} two names: {names[old]!r} and {new!r}")
    return names


def _counts(found: Imported) -> str:
    parts = [f"{found.items} questions", f"{found.answers} answers", f"{found.verdicts} verdicts"]
    text = f"{', '.join(parts)} added to {', '.join(found.suites)}"
    if found.held:
        text += f"; {found.held} verdicts were there already"
    return text + (f"; {found.unscored} of them say nothing and are unscored" if found.unscored else "")
