"""Instruction data: convert its columns, rate, filter, take duplicates out, write new (data VERB --help)."""

from __future__ import annotations

import argparse
import hashlib
import importlib
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from judgebench import __version__
from judgebench.errors import MissingPackage, UserError
from judgebench.files import write_atomic
from judgebench.report.visible import one_line
from judgebench.stages import settings as flags
from judgebench.stages.progress import say
from judgebench.train.columns import WRITTEN, Row, prompt_text, read_data, write_form
from judgebench.train.guard import Held
from judgebench.train.held_out import ENDING, DataManifest, manifest_of
from judgebench.train.replies import forget_replies
from judgebench.train.settings import refuse_odd

Made = tuple[list[Row], dict[str, int], list[str]]
"""Rows, reason → what was left out, what is to be said."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verbs and their flags."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    _verb(verbs, "convert", "one form of columns into another")
    rate = _verb(verbs, "rate", "a judge's grade for every row, and only the best kept (AlpaGasus; rubric ifs: IFS)")
    _judge(rate, "alpagasus")
    rate.add_argument("--least", type=float, metavar="X", help="grade to be kept, on the rubric's scale (default: all)")
    lima = _verb(verbs, "lima", "LIMA's filters: length, first person, other answers, a quota of each kind")
    lima.add_argument("--min-chars", type=int, default=1200, metavar="N", help="of an answer (default 1200)")
    lima.add_argument("--max-chars", type=int, default=4096, metavar="N", help="of an answer (default 4096)")
    lima.add_argument(
        "--quota", type=int, metavar="N", help="most rows of a kind, by the column 'score', then in order"
    )
    lima.add_argument("--kind", default="category", metavar="COLUMN", help="what kinds are told by (default category)")
    _alike(_verb(verbs, "dedup", "near duplicates taken out, the first of each kept"))
    seeds = _verb(verbs, "self-instruct", "new instructions in the manner of the file's, with answers")
    seeds.add_argument("--count", type=int, default=100, metavar="N", help="of new instructions (default 100)")
    seeds.add_argument("--requests", type=int, default=4, metavar="N", help="of a round (default 4)")
    evol = _verb(verbs, "evol-instruct", "the file's instructions made harder and rarer, with answers")
    evol.add_argument("--rounds", type=int, default=1, metavar="N", help="of changes (default 1)")
    for writer in (seeds, evol):
        writer.add_argument("--model", action="append", metavar="[NAME=]BACKEND/ID", help="who writes")
        writer.add_argument("--prompts", metavar="FILE.yaml", help="other prompts than the shipped ones")
        _drawn(writer, 1.0)
        _alike(writer)
        flags.add_shared(writer)
    lion = _verb(verbs, "lion", "a teacher's answers, where a student's are worse by a referee (Lion)")
    lion.add_argument("--teacher", required=True, metavar="[NAME=]BACKEND/ID", help="whose answers are learned")
    lion.add_argument("--student", required=True, metavar="[NAME=]BACKEND/ID", help="who learns")
    lion.add_argument("--threshold", type=float, default=1.0, metavar="X", help="on the rubric's scale (default 1)")
    lion.add_argument("--all", action="store_true", help="keep easy ones too; the column 'hard' tells them apart")
    _drawn(lion, 0.0)
    _judge(lion, "mec")


def main(args: argparse.Namespace) -> int:
    """Writes the data file and its manifest.

    Returns:
        0; exit codes of errors are theirs.
    """
    for name in ("min_chars", "max_chars", "quota", "count", "requests", "rounds", "max_new_tokens"):
        if getattr(args, name, None) is not None and getattr(args, name) < 1:
            raise UserError(f"--{name.replace('_', '-')} {getattr(args, name)}: must be at least 1")
    refuse_odd(args, [name for name in ("least", "threshold", "temperature") if name in args])
    if getattr(args, "temperature", 0) < 0:
        raise UserError(f"--temperature {args.temperature:g}: must not be negative")
    if "min_chars" in args and args.min_chars > args.max_chars:
        raise UserError(f"--min-chars {args.min_chars} is above --max-chars {args.max_chars}")
    if not 0 < getattr(args, "most_alike", 1) <= 1:
        raise UserError(f"--most-alike {args.most_alike:g}: must be above 0 and at most 1")
    for name in ("judge", "rubric"):
        if name in args and isinstance(getattr(args, name), str):
            setattr(args, name, [getattr(args, name)])
    unread: Counter[str] = Counter()
    rows, form = read_data(args.file, unread)
    before = manifest_of(args.file)
    try:
        kept, dropped, notes = VERBS[args.verb](args, rows)
    except ModuleNotFoundError as error:
        if error.name in ("rouge_score", "datasketch"):
            raise MissingPackage(error.name, "train") from error
        raise
    notes = [*(f"column {column} of {count} rows not read: these are rows of {form}"
               for column, count in sorted(unread.items())), *notes]  # fmt: skip
    wanted = args.form or (form if form in WRITTEN and args.verb not in WRITES else "completion")
    made, formless = write_form(kept, wanted)
    dropped = {**dropped, **formless}
    counted = "; ".join(f"{count} {why}" for why, count in sorted(dropped.items())) or "nothing"
    if not made:
        raise UserError(f"{args.file}: no row is left (left out: {counted})")
    content = b"".join(msgspec.json.encode(row) + b"\n" for row in made)
    own = {key: value for key, value in vars(args).items() if key not in ("file", "out", "quiet", "verb", "config")}
    manifest = DataManifest(
        judgebench=__version__, stage=f"data {args.verb}", form=wanted, sha256=hashlib.sha256(content).hexdigest(),
        rows=len(made), settings={"file": args.file, "read": len(rows), **own}, dropped=dropped, notes=notes,
        training_suites=before.training_suites if before else [],
        contamination=before.contamination if before else Held(),
    )  # fmt: skip
    write_atomic(args.out, content)
    write_atomic(args.out + ENDING, msgspec.json.format(msgspec.json.encode(manifest), indent=1))
    forget_replies(args)
    say(f"left out: {counted}", quiet=args.quiet)
    if not args.quiet:
        sys.stdout.write(
            "".join(one_line(line) + "\n" for line in (*notes, f"{args.out}: {len(made)} rows of {wanted}"))
        )
    return 0


def convert(args: argparse.Namespace, rows: Sequence[Row]) -> Made:
    """All rows, to be written in another form."""
    if not args.form:
        raise UserError(f"convert needs --as, one of {', '.join(WRITTEN)}")
    return list(rows), {}, []


def dedup(args: argparse.Namespace, rows: Sequence[Row]) -> Made:
    """The rows whose prompt is like none kept before."""
    from judgebench.train.duplicates import unlike

    kept = unlike([prompt_text(row) for row in rows], args.by, args.most_alike)
    return [rows[at] for at in kept], {"like one before": len(rows) - len(kept)}, []


def lima(args: argparse.Namespace, rows: Sequence[Row]) -> Made:
    """The rows that LIMA's filters leave, at most ``--quota`` of a kind."""
    from judgebench.train.columns import split
    from judgebench.train.lima import unfit, within_quota

    kept, dropped = split(rows, lambda row: unfit(
        str(row.get("completion", row.get("chosen", ""))), args.min_chars, args.max_chars))  # fmt: skip
    if args.quota is not None:
        inside = within_quota(kept, args.kind, args.quota)
        dropped["over the quota of their kind"] = len(kept) - len(inside)
        kept = [kept[at] for at in inside]
    return kept, dropped, []


def _from(module: str, name: str) -> Callable[[argparse.Namespace, Sequence[Row]], Made]:
    def call(args: argparse.Namespace, rows: Sequence[Row]) -> Made:
        found: Made = getattr(importlib.import_module(f"judgebench.train.{module}"), name)(args, rows)
        return found

    return call


VERBS: dict[str, Callable[[argparse.Namespace, Sequence[Row]], Made]] = {
    "convert": convert, "dedup": dedup, "lima": lima, "rate": _from("quality", "rate"),
    "lion": _from("quality", "lion"),
    "self-instruct": _from("instruct", "self_instruct"), "evol-instruct": _from("instruct", "evol_instruct"),
}  # fmt: skip
WRITES = ("lion", "self-instruct", "evol-instruct")
"""Verbs whose rows have answers of their own."""


def _verb(verbs: Any, name: str, about: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=about, description=about, allow_abbrev=False)
    parser.add_argument("file", metavar="FILE", help="rows as JSON Lines or a JSON list, in any known columns")
    parser.add_argument("--out", required=True, metavar="FILE.jsonl", help="rows; FILE.jsonl.manifest.json beside them")
    parser.add_argument("--as", dest="form", choices=WRITTEN, help="columns written (default: those read)")
    if name in ("convert", "lima", "dedup"):
        parser.add_argument("--quiet", action="store_true", help="no progress")
    return parser


def _judge(parser: argparse.ArgumentParser, rubric: str) -> None:
    parser.add_argument("--judge", required=True, metavar="[NAME=]BACKEND/ID", help="who judges")
    parser.add_argument("--rubric", default=rubric, metavar="NAME", help=f"by what (default {rubric})")
    parser.add_argument("--dimension", metavar="NAME", help="of the rubric (default overall, or its first)")
    flags.add_shared(parser)


def _drawn(parser: argparse.ArgumentParser, temperature: float) -> None:
    parser.add_argument("--temperature", type=float, default=temperature, metavar="T",
                        help=f"of what is written (default {temperature:g})")  # fmt: skip
    parser.add_argument("--max-new-tokens", type=int, default=1024, metavar="N", help="of a reply (default 1024)")


def _alike(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--by", choices=("rouge-l", "minhash"), default="rouge-l",
                        help="how alike: ROUGE-L against all, or MinHash for many (default rouge-l)")  # fmt: skip
    parser.add_argument("--most-alike", type=float, default=0.7, metavar="X", help="to be a duplicate (default 0.7)")
