"""``judgebench export RUN FORMAT``: a run's answers, verdicts and numbers as the files of other tools."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from judgebench import __version__, plugins
from judgebench.errors import UserError, did_you_mean
from judgebench.files import write_atomic
from judgebench.ratings.dimensions import with_overall
from judgebench.report.exports.held import Exported, Held
from judgebench.report.visible import one_line
from judgebench.runs import Run
from judgebench.stages import settings as flags
from judgebench.stages.games import Fallen, dimensions_of, games_of, standing
from judgebench.stages.rated_records import doubts
from judgebench.stages.report import read_summary

RATED = ("model-card", "model-index")
"""Formats made of the numbers of a rated run."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this stage's flags."""
    parser.description = (
        "Write a run as files of another tool, below RUN/export/FORMAT. Formats: "
        f"{', '.join(plugins.BUILT_IN['exporters'])}."
    )
    flags.add_run(parser)
    parser.add_argument("format", metavar="FORMAT", help="the tool whose files are wanted")
    parser.add_argument("--to", metavar="FOLDER", help="write there instead of RUN/export/FORMAT")
    parser.add_argument(
        "--baseline", default="", metavar="MODEL", help="alpaca-eval: the model that the others are compared with"
    )
    parser.add_argument("--json", action="store_true", help="print JSON: folder, files and notes")
    parser.add_argument("--quiet", action="store_true", help="print nothing")


def main(args: argparse.Namespace) -> int:
    """Writes the files and says what they do not hold.

    Returns:
        0; exit codes of errors are theirs.
    """
    run = Run(flags.run_path(args.run))
    folder = Path(args.to) if args.to else run.path / "export" / args.format
    made = export(run, args.format, folder, baseline=args.baseline)
    if args.json:
        # Escapes to ASCII: a folder's name need not be text.
        said = {"format": args.format, "folder": str(folder), "files": sorted(made.files), "notes": made.notes}
        sys.stdout.write(json.dumps(said, indent=1) + "\n")
    elif not args.quiet:
        sys.stdout.write(one_line(f"{folder}: {len(made.files)} files") + "\n")
        sys.stdout.writelines(one_line(f"note: {note}") + "\n" for note in made.notes)
    return 0


def export(run: Run, format: str, folder: Path, *, baseline: str = "") -> Exported:
    """The files of a run in another tool's form, once they are written.

    Args:
        run: what is exported.
        format: name of an exporter.
        folder: where the files go.
        baseline: whom the others are compared with, where the form needs one.

    Raises:
        UserError: the format is unknown, the run holds nothing that it could hold, or a file cannot be written.
    """
    write = plugins.load("exporters", format)
    if baseline and baseline not in run.manifest["models"]:
        raise UserError(
            f"no model of {run.path} is called {baseline!r}: {did_you_mean(baseline, run.manifest['models'])}"
        )
    held, fallen = held_by(run, summary=format in RATED, baseline=baseline)
    made: Exported = write(held)
    for line in (*fallen.lines, *(() if held.summary is None else doubts(run, held.summary))):
        made.note(line)
    if not made.files:
        why = f": {'; '.join(made.notes)}" if made.notes else ""
        raise UserError(f"{run.path} holds nothing that {format} files could hold{why}")
    if folder.is_file():
        raise UserError(f"{folder} is a file; a folder is needed")
    before = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    others = sorted(before - set(made.files))
    if others:
        made.note(f"{folder} holds {len(others)} other files, left as they are: {', '.join(others[:3])}")
    for name, content in made.files.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot write {path.parent}: {error.strerror}") from error
        write_atomic(path, content)
    return made


def held_by(run: Run, *, summary: bool, baseline: str = "") -> tuple[Held, Fallen]:
    """What a run holds, for an exporter, and which of its verdicts do not stand.

    Args:
        run: the run.
        summary: whether its numbers are wanted.
        baseline: whom the others are compared with.

    Raises:
        UserError: its numbers are wanted, and it was never rated.
    """
    verdicts, fallen = standing(run, run.verdicts().values())
    games = with_overall(games_of(run, verdicts)[0], dimensions_of(run))
    manifest = run.manifest
    held = Held(
        name=run.name, created=manifest["created"], version=__version__, models=manifest["models"],
        suites=manifest["suites"],
        items={(suite, item.id): item for suite in manifest["suites"] for item in run.items(suite).values()},
        answers=tuple(run.answers().values()), verdicts=tuple(verdicts), games=tuple(games),
        summary=read_summary(run) if summary else None, baseline=baseline,
    )  # fmt: skip
    return held, fallen
