"""Checks rubric, suite and run files without asking any model: every mistake in one line with file, line and key."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import msgspec

from judgebench import plugins
from judgebench.errors import FileError, UserError
from judgebench.files import read_bytes
from judgebench.report.visible import one_line
from judgebench.types import Record
from judgebench.yaml_tree import parse

SUITE = {"source", "items", "generate", "scorer", "license"}
"""Keys that only suite files have."""


class Checked(Record, frozen=True, kw_only=True):
    """What is known of one file."""

    file: str
    """Its name as given."""
    sound: bool
    """Whether it holds no mistake."""
    kind: str = ""
    """``rubric``, ``suite``, ``run file`` or ``run file of steps``; empty where it is not sound."""
    mistake: str = ""
    """The first mistake, with file, line and key; empty where it is sound."""
    line: int | None = None
    """1-based line of the mistake; None where none can be named."""
    key: str = ""
    """Dotted key of the mistake; empty where none applies."""
    note: str = ""
    """What to think of although it is sound."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this stage's flags."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="rubric, suite or run file")
    parser.add_argument("--json", action="store_true", help="print JSON: a row for each file")
    parser.add_argument("--quiet", action="store_true", help="print mistakes only")


def main(args: argparse.Namespace) -> int:
    """Prints a line for each file.

    Returns:
        0 when all are well, 2 when one is not.
    """
    found = []
    for name in args.files:
        each = checked(name)
        found.append(each)
        if each.mistake:
            sys.stderr.write(one_line(f"judgebench: {each.mistake}") + "\n")
        elif not args.quiet and not args.json:
            sys.stdout.write(one_line(f"{name}: a sound {each.kind}") + "\n")
            if each.note:
                sys.stderr.write(one_line(f"note: {name}: {each.note}") + "\n")
    if args.json:
        # Escapes to ASCII: a file's name need not be text.
        sys.stdout.write(json.dumps(msgspec.to_builtins(found), indent=1) + "\n")
    return 0 if all(each.sound for each in found) else 2


def checked(name: str) -> Checked:
    """What is known of a file once it is checked: its kind, or its first mistake."""
    try:
        kind = check(Path(name))
    except FileError as error:
        return Checked(file=name, sound=False, mistake=str(error), line=error.line or None, key=error.key)
    except UserError as error:
        return Checked(file=name, sound=False, mistake=str(error))
    forged = kind == "rubric" and b"{fence}" not in read_bytes(Path(name))
    note = "without {fence} in its lines, an answer can forge where it ends" if forged else ""
    return Checked(file=name, sound=True, kind=kind, note=note)


def check(path: Path) -> str:
    """What kind of file it is, once it is found sound.

    Raises:
        FileError: its first mistake.
    """
    text = read_bytes(path).decode("utf-8", errors="replace")
    keys = {line.partition(":")[0].strip() for line in text.splitlines() if line[:1].isalpha()}
    if keys & {"mode", "dimensions", "levels", "pattern"} or ("prompt" in keys and not keys & SUITE):
        from judgebench.rubrics import check_rubric

        rubric = check_rubric(path)
        try:
            plugins.load("judges", rubric.made_by)("check", rubric)
        except FileError:
            raise
        except UserError as error:
            raise FileError(path, str(error)) from error
        return "rubric"
    if keys & SUITE:
        from judgebench.suites import check_suite

        check_suite(path)
        return "suite"
    if "steps" in keys:
        from judgebench.stages.steps import plan

        plan(str(path), None, quiet=True)
        return "run file of steps"
    if keys & {"suite", "model", "judge"}:
        from judgebench.files import read_yaml
        from judgebench.stages import settings

        settings.checked(read_yaml(path, settings.Settings))
        return "run file"
    if not text.strip():
        raise FileError(path, "is empty")
    parse(path, read_bytes(path))  # what is no YAML at all says where and why
    raise FileError(path, "is neither a rubric (mode, dimensions, prompt), a suite (source or items) nor a run file")
