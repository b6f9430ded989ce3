"""Training data out of a run: preference pairs, best answers, ranked lists or marked answers, guarded and counted."""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from judgebench import __version__
from judgebench.errors import UserError, did_you_mean
from judgebench.files import write_atomic
from judgebench.report.visible import one_line
from judgebench.runs import Run
from judgebench.stages import settings as flags
from judgebench.stages.games import orders_of, policy_of, standing
from judgebench.stages.progress import say
from judgebench.train.examples import FORMS, Talks, rows_of
from judgebench.train.guard import Held, keep_out, reasons, united
from judgebench.train.held_out import ENDING, DataManifest, add_guard, guard_of, training_suites
from judgebench.train.preferences import Preference, Standing, from_games, from_grades, sure
from judgebench.types import Verdict


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this stage's flags."""
    flags.add_run(parser)
    parser.add_argument("--out", required=True, metavar="FILE.jsonl", help="rows; FILE.jsonl.manifest.json beside them")
    parser.add_argument("--as", dest="form", choices=tuple(FORMS), default="pairs",
                        help="pairs: chosen and rejected; best: the best answers, for sft; ranked: lists, for rank; "
                        "marked: good and bad, for kto (default pairs)")  # fmt: skip
    parser.add_argument("--messages", action="store_true", help="prompts and answers as messages, also where texts do")
    group = parser.add_argument_group("whose verdicts")
    group.add_argument("--judge", action="append", metavar="NAME", help="judge or scorer (exact@number); repeat")
    group.add_argument("--rubric", action="append", metavar="NAME", help="by its name; repeat")
    group.add_argument("--dimension", metavar="NAME", help="default: overall or accuracy, or the only one")
    group.add_argument("--train-suite", action="append", metavar="NAME",
                       help="suite of the run that is training data; repeat; all others are kept out")  # fmt: skip
    group = parser.add_argument_group("how clear")
    group.add_argument("--margin", type=float, default=0.0, metavar="X", help="least, 0 to 1 (default: not a tie)")
    group.add_argument("--min-agreement", type=float, default=0.0, metavar="SHARE", help="of verdicts on the better")
    group.add_argument("--consistent-only", action="store_true", help="both orders, and all judges, name the same")
    group.add_argument("--keep-truncated", action="store_true", help="also teach answers cut off at the token limit")
    add_guard(parser)
    parser.add_argument("--quiet", action="store_true", help="no progress")


def main(args: argparse.Namespace) -> int:
    """Writes the data file and its manifest.

    Returns:
        0; exit codes of errors are theirs.
    """
    for name in ("margin", "min_agreement"):
        if not 0 <= getattr(args, name) <= 1:
            raise UserError(f"--{name.replace('_', '-')} {getattr(args, name):g}: must be between 0 and 1")
    run = Run(flags.run_path(args.run))
    suites = training_suites(run, args.train_suite, everything=args.allow_contamination)
    verdicts = _chosen(run, args, suites)
    preferences, standings, dropped = _compared(run, verdicts)
    kept, unclear = sure(preferences, margin=args.margin, agreement=args.min_agreement, consistent=args.consistent_only)
    rows, useless = rows_of(
        args.form, kept, preferences, standings, _talks(run, suites), messages=args.messages,
        keep_truncated=args.keep_truncated, margin=args.margin,
    )  # fmt: skip
    counts: Counter[str] = Counter(dropped)
    counts.update(unclear if args.form in ("pairs", "marked") else {})
    counts.update(useless)
    declared = suites if args.train_suite else []
    places, held = keep_out(rows, guard_of(run, args, suites), allow=args.allow_contamination)
    counts.update(reasons(held.dropped))
    write(args, run, [rows[at] for at in places], dict(counts), declared, held, sorted({v.judge for v in verdicts}))
    return 0


def write(
    args: argparse.Namespace, run: Run, rows: Sequence[dict[str, Any]], dropped: dict[str, int],
    declared: Sequence[str], held: Held, judges: Sequence[str],
) -> None:  # fmt: skip
    """Writes rows and manifest, and says what became of everything.

    Raises:
        UserError: no row is left.
    """
    counted = "; ".join(f"{count} {why}" for why, count in sorted(dropped.items())) or "nothing"
    if not rows:
        raise UserError(f"{run.path}: no row is left to train on (left out: {counted})")
    content = b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
    used: dict[str, list[str]] = {}
    for row in rows:
        used.setdefault(row["suite"], []).append(row["item"])
    held = msgspec.structs.replace(held, trained_on=united(held.trained_on, used))
    manifest = DataManifest(
        judgebench=__version__, stage="pairs", form="+".join(FORMS[args.form]),
        sha256=hashlib.sha256(content).hexdigest(), rows=len(rows), dropped=dropped, training_suites=list(declared),
        contamination=held,
        settings={
            "run": run.name, "judges": list(judges), "rubric": args.rubric or [], "dimension": args.dimension or "",
            "margin": args.margin, "min_agreement": args.min_agreement, "consistent_only": args.consistent_only,
            "swap_policy": policy_of(run), "keep_truncated": args.keep_truncated,
        },
    )  # fmt: skip
    write_atomic(args.out, content)
    write_atomic(args.out + ENDING, msgspec.json.format(msgspec.json.encode(manifest), indent=1))
    entry = {"sha256": manifest.sha256, "rows": len(rows), "form": manifest.form, "dropped": dropped,
             "guarded": held.suites, "kept_out": len(held.dropped), "let_in": len(held.let_in)}  # fmt: skip
    run.manifest.setdefault("data", {})[Path(args.out).name] = entry
    run.save_manifest()
    say(f"left out: {counted}", quiet=args.quiet)
    guarded = ", ".join(f"{name} ({count})" for name, count in held.suites.items()) or "no suite"
    say(f"guarded: {guarded}; {len(held.dropped)} rows kept out, {len(held.let_in)} let in", quiet=args.quiet)
    if not args.quiet:
        sys.stdout.write(one_line(f"{args.out}: {len(rows)} rows of {manifest.form} from {', '.join(judges)}") + "\n")


def _chosen(run: Run, args: argparse.Namespace, suites: Sequence[str]) -> list[Verdict]:
    """The verdicts that count, along one dimension.

    Raises:
        UserError: there are none; or of several kinds or dimensions, and none was named.
    """
    found, fallen = standing(run, run.verdicts().values())
    found = [verdict for verdict in found if verdict.suite in suites]
    for line in fallen.lines:
        say(f"note: {line}", quiet=args.quiet)
    named = [name for text in args.judge or () for name in text.split(",")]
    found = _of(found, named, "judge", "--judge")
    found = _of(found, args.rubric or [], "rubric", "--rubric")
    if not found:
        raise UserError(f"{run.path}: no verdict on {', '.join(suites)}: judge or score it first")
    if not named:
        judged = [each for each in found if not each.judge.startswith(("exact@", "baseline/"))]
        found = judged or [each for each in found if not each.judge.startswith("baseline/")] or found
    known = list(dict.fromkeys(verdict.dimension for verdict in found))
    wanted = args.dimension or next((name for name in ("overall", "accuracy") if name in known), "")
    wanted = wanted or (known[0] if len(known) == 1 else "")
    if wanted not in known:
        hint = did_you_mean(wanted, known) if wanted else f"name one of {', '.join(sorted(known))}"
        raise UserError(f"--dimension {wanted}: {hint}")
    found = [verdict for verdict in found if verdict.dimension == wanted]
    if len({len(verdict.shown) for verdict in found}) > 1:
        who = ", ".join(sorted({f"{v.judge} by {v.rubric.partition('@')[0] or 'scorer'}" for v in found}))
        raise UserError(f"verdicts on pairs and on single answers do not mix ({who}): choose by --judge or --rubric")
    return found


def _of(verdicts: Sequence[Verdict], named: Iterable[str], field: str, flag: str) -> list[Verdict]:
    named = list(named)
    known = {getattr(verdict, field).partition("@")[0] if field == "rubric" else verdict.judge for verdict in verdicts}
    for name in named:
        if name not in known:
            raise UserError(f"{flag} {name}: {did_you_mean(name, known - {''})}")
    if not named:
        return list(verdicts)
    return [
        each for each in verdicts
        if (each.rubric.partition("@")[0] if field == "rubric" else each.judge) in named
    ]  # fmt: skip


def _compared(run: Run, verdicts: Sequence[Verdict]) -> tuple[list[Preference], list[Standing], dict[str, int]]:
    if len(verdicts[0].shown) == 1:
        return from_grades(verdicts)
    return from_games(verdicts, policy_of(run), lambda judge, rubric: orders_of(run, judge, rubric),
                      run.manifest.get("seed", 0))  # fmt: skip


def _talks(run: Run, suites: Sequence[str]) -> Talks:
    return Talks(
        items={(suite, item.id): item for suite in suites for item in run.items(suite).values()},
        systems={suite: run.manifest["suites"][suite].get("system", "") for suite in suites},
        answers=run.answers(),
    )
