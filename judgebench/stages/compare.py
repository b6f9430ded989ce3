"""Compares models on the items both have: paired difference with interval, and how many items would decide it."""

from __future__ import annotations

import argparse
import sys

import msgspec

from judgebench.errors import UserError
from judgebench.report.visible import one_line
from judgebench.runs import Run
from judgebench.stages import calibration
from judgebench.stages.comparison_text import lines
from judgebench.stages.comparisons import Extras, compare_pairs
from judgebench.stages.settings import run_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this stage's flags."""
    parser.add_argument("words", nargs="+", metavar="RUN… A B", help="one or more runs, then the two models' names")
    group = parser.add_argument_group("what")
    group.add_argument("--all", action="store_true", help="every pair of models of the runs; name runs only")
    group.add_argument("--pair", action="append", metavar="A:B", help="one pair; repeat for more; name runs only")
    group.add_argument(
        "--margin", type=float, metavar="D", help="test whether they are as good as one another within D"
    )
    group.add_argument("--bootstrap", type=int, metavar="N", default=0, help="also N question bootstraps, by category")
    group.add_argument("--seed", type=int, metavar="N", default=0, help="seed of bootstraps and folds (default 0)")
    calibration.add_arguments(parser)
    parser.add_argument("--allow-unlike", action="store_true", help="compare although the settings differ")
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(args: argparse.Namespace) -> int:
    """Prints a row for each thing on which both were scored.

    Returns:
        0; exit codes of errors are theirs.
    """
    pairs = None
    if args.all or args.pair:
        runs = args.words
        if args.all and args.pair:
            raise UserError("give --all or --pair, not both")
        pairs = [_pair(text) for text in args.pair or ()]
    elif len(args.words) < 3:
        raise UserError("compare needs one run or more, then two models: judgebench compare RUN A B (or --all)")
    else:
        *runs, left, right = args.words
        pairs = [(left, right)]
    extras = Extras(margin=args.margin, calibrate=args.calibrate or "", random_labels=args.random_labels,
                    bootstrap=args.bootstrap, seed=args.seed)  # fmt: skip
    found = compare_pairs(
        [Run(run_path(text)) for text in runs], None if args.all else pairs, extras, allow_unlike=args.allow_unlike
    )
    if args.json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(found), indent=1).decode() + "\n")
    else:
        sys.stdout.write("".join(one_line(line) + "\n" for line in lines(found)))
    return 0


def _pair(text: str) -> tuple[str, str]:
    left, colon, right = text.partition(":")
    if not colon or not left or not right:
        raise UserError(f"--pair {text!r} is not A:B")
    return left, right
