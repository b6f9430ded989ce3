"""Checks rubric, suite and run files without asking any model: every mistake in one line with file, line and key."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from judgebench import plugins
from judgebench.errors import FileError, UserError
from judgebench.files import read_bytes
from judgebench.report.visible import one_line
from judgebench.yaml_tree import parse

SUITE = {"source", "items", "generate", "scorer", "license"}
"""Keys that only suite files have."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this stage's flags."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="rubric, suite or run file")
    parser.add_argument("--quiet", action="store_true", help="print mistakes only")


def main(args: argparse.Namespace) -> int:
    """Prints a line for each file.

    Returns:
        0 when all are well, 2 when one is not.
    """
    bad = 0
    for name in args.files:
        try:
            kind = check(Path(name))
        except UserError as error:
            bad += 1
            sys.stderr.write(one_line(f"judgebench: {error}") + "\n")
        else:
            if not args.quiet:
                sys.stdout.write(one_line(f"{name}: a sound {kind}") + "\n")
                if kind == "rubric" and b"{fence}" not in read_bytes(Path(name)):
                    sys.stderr.write(
                        f"note: {name}: without {{fence}} in its lines, an answer can forge where it ends\n"
                    )
    return 2 if bad else 0


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
        from judgebench.stages.settings import Settings, checked

        checked(read_yaml(path, Settings))
        return "run file"
    if not text.strip():
        raise FileError(path, "is empty")
    parse(path, read_bytes(path))  # what is no YAML at all says where and why
    raise FileError(path, "is neither a rubric (mode, dimensions, prompt), a suite (source or items) nor a run file")
