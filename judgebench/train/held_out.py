"""What may not be trained on: the run's suites and those named, held against data; what a data file says of itself."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from judgebench.errors import FileError, UserError, did_you_mean
from judgebench.runs import Run
from judgebench.stages.progress import say
from judgebench.suites import list_suites, load_suite
from judgebench.train.guard import Guard, Held, keep_out, reasons, united
from judgebench.train.record import read_record
from judgebench.train.rows import Rows
from judgebench.types import Item

ENDING = ".manifest.json"
"""After a data file's name: what the file was made of."""


def add_guard(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the contamination guard."""
    group = parser.add_argument_group("contamination")
    group.add_argument("--guard", action="append", metavar="SUITE",
                       help="kept out of the data beside the run's own suites; repeat, or 'all'")  # fmt: skip
    group.add_argument("--data-folder", metavar="DIR", help="folder with benchmark files, for --guard")
    group.add_argument("--allow-contamination", action="store_true",
                       help="train on evaluation items all the same; every later report says so")  # fmt: skip


def guard_of(run: Run, args: argparse.Namespace, training: Iterable[str] = ()) -> Guard:
    """The guard of all suites of a run but the training ones, and of those that ``--guard`` names.

    Raises:
        UserError: a suite is named that is a training one, is unknown, or whose questions are not here.
    """
    training = set(training)
    suites: dict[str, Iterable[Item]] = {
        name: run.items(name).values() for name in run.manifest["suites"] if name not in training
    }
    folder = getattr(args, "data_folder", None)
    named = [name for text in getattr(args, "guard", None) or () for name in text.split(",") if name]
    for name in dict.fromkeys(named):
        for each in list_suites() if name == "all" else (name,):
            try:
                suite = load_suite(each, Path(folder) if folder else None)
            except UserError as error:
                if name != "all":
                    raise
                say(f"note: not guarded: {error}", quiet=getattr(args, "quiet", False))
                continue
            if suite.name in training:
                if name != "all":
                    raise UserError(f"--guard {name}: the data are made of this suite; it cannot be kept out of them")
                continue
            suites[suite.name] = suite.items
    return Guard(suites)


def guarded(rows: Rows, run: Run, args: argparse.Namespace, data: str, parent: Path | None) -> tuple[Rows, Held]:
    """The rows that may be trained on, and what was held, with what the data file and the parent were made of.

    Args:
        rows: as read.
        run: whose suites are evaluation suites, but for those that the data file's manifest names as training ones.
        args: with the guard's flags.
        data: the file.
        parent: folder of the parent; None where it lies elsewhere.

    Raises:
        UserError: nothing is left; the data file is no longer what its manifest says.
    """
    made = manifest_of(data)
    trained = made.contamination.trained_on if made else {}
    guard = guard_of(run, args, made.training_suites if made else ())
    kept, held = keep_out(rows.rows, guard, allow=args.allow_contamination)
    if not kept:
        counted = ", ".join(f"{count} {why}" for why, count in reasons(held.dropped).items())
        raise UserError(f"--data {data}: every row is an evaluation item ({counted}); --allow-contamination trains on "
                        "them, and every later report says so")  # fmt: skip
    before = read_record(parent) if parent is not None else None
    inherited = before.contamination.get("trained_on", {}) if before else {}
    # `trained_on` is complete: it names every known item in this checkpoint's or its parents' training data
    held = msgspec.structs.replace(
        held, trained_on=united(held.trained_on, trained, inherited),
        suites={**(made.contamination.suites if made else {}), **held.suites},
        earlier=made.contamination.dropped if made else [],
    )  # fmt: skip
    dropped = {**rows.dropped, **reasons(held.dropped)}
    return msgspec.structs.replace(rows, rows=[rows.rows[at] for at in kept], dropped=dropped), held


class DataManifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a data file was made of; ``FILE.manifest.json``."""

    judgebench: str
    """Version that wrote it."""
    stage: str
    """The stage that made it."""
    form: str
    """Its columns, joined by +."""
    sha256: str
    """Of the data file."""
    rows: int
    """Rows of the data file."""
    settings: dict[str, Any]
    """What decided the rows."""
    dropped: dict[str, int]
    """Reason → what was left out."""
    training_suites: list[str] = msgspec.field(default_factory=list)
    """Suites declared to be training data."""
    contamination: Held = msgspec.field(default_factory=Held)
    """What the guard kept out; ``trained_on`` names the items in the data."""
    notes: list[str] = msgspec.field(default_factory=list)
    """What was said while it was made."""


def manifest_of(file: str) -> DataManifest | None:
    """The manifest beside a data file; None where there is none.

    Raises:
        FileError: it is damaged, or the data file was changed since.
    """
    path = Path(file + ENDING)
    if not path.is_file():
        return None
    try:
        made = msgspec.json.decode(path.read_bytes(), type=DataManifest)
    except msgspec.DecodeError as error:
        raise FileError(path, f"is no manifest of a data file: {error}") from error
    if hashlib.sha256(Path(file).read_bytes()).hexdigest() != made.sha256:
        raise FileError(path, f"{file} is not as it was written: make it again, or delete this manifest, and with it "
                              "what is known of evaluation items in the data")  # fmt: skip
    return made


def training_suites(run: Run, named: Iterable[str] | None, *, everything: bool = False) -> list[str]:
    """The suites of a run that are training data.

    Args:
        run: whose suites they are.
        named: values of ``--train-suite``.
        everything: all of them, where none is named.

    Raises:
        UserError: none is named, or one that the run does not have.
    """
    known = list(run.manifest["suites"])
    wanted = list(dict.fromkeys(name for text in named or () for name in text.split(",") if name))
    for name in wanted:
        if name not in known:
            raise UserError(f"--train-suite {name}: {did_you_mean(name, known)}")
    if not wanted and everything:
        return known
    if not wanted:
        raise UserError(
            f"which of the run's suites are training data? --train-suite NAME ({', '.join(known)}); all others are "
            "kept out. --allow-contamination takes all, and every later report says so"
        )
    return wanted
