"""Reporting: a run's summary and records → report.html, report.md and the terminal's tables; several runs compared."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import msgspec

from judgebench import plugins
from judgebench.errors import UserError
from judgebench.files import safe_name
from judgebench.ratings.dimensions import with_overall
from judgebench.report import extraction, item_pages
from judgebench.report.behind import Behind
from judgebench.report.markdown import render_markdown
from judgebench.report.pages import Records, report_files
from judgebench.report.runs_compared import only_lines, tables
from judgebench.report.submission import submission
from judgebench.report.terminal import print_comparison, print_summary
from judgebench.report.visible import one_line
from judgebench.runs import Run
from judgebench.stages import settings as flags
from judgebench.stages.cards import card_rows, read_cards
from judgebench.stages.games import dimensions_of, games_of, standing
from judgebench.stages.rated_records import doubts
from judgebench.stages.reasons import Row, reason
from judgebench.stages.report_runs import OUT, report_runs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this stage's flags."""
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", help="run folder; a bare name means results/NAME; several are compared"
    )
    group = parser.add_argument_group("several runs")
    group.add_argument(
        "--out", metavar="FILE", help=f"the page that compares them (default {OUT}); Markdown goes beside it"
    )
    group.add_argument("--allow-unlike", action="store_true", help="compare although they were not asked alike")
    parser.add_argument(
        "--json", action="store_true", help="print JSON instead of tables: summary.json, with --extraction its list"
    )
    parser.add_argument(
        "--submission", action="store_true", help="write the files that authors score who keep the answers, no report"
    )
    parser.add_argument(
        "--extraction", action="store_true", help="list the answers on which the strict and the flexible rule differ"
    )
    parser.add_argument("--quiet", action="store_true", help="write the files, print nothing")


def main(args: argparse.Namespace) -> int:
    """Writes the reports of a rated run and prints its tables; of several runs, a page that compares them.

    Returns:
        0.
    """
    runs = [Run(flags.run_path(text)) for text in args.runs]
    if len(runs) > 1:
        return _compare(runs, args)
    for flag, given in (("--out", args.out), ("--allow-unlike", args.allow_unlike)):
        if given:
            raise UserError(f"{flag} is for several runs; one run's report is {runs[0].path / 'report.html'}")
    run = runs[0]
    if args.submission:
        if args.json:
            raise UserError("--submission writes files and prints no JSON: leave out --json")
        hand_in(run, quiet=args.quiet)
        return 0
    if args.json and not args.extraction:
        sys.stdout.write((summary_file(run)).read_text(encoding="utf-8") + "\n")
        sys.stderr.writelines(one_line(f"warning: {line}") + "\n" for line in doubts(run, read_summary(run)))
    report(run, quiet=args.quiet or args.json or args.extraction)
    if args.extraction:
        rows = extraction_audit(run)
        if args.json:
            sys.stdout.write(msgspec.json.format(msgspec.json.encode(rows), indent=1).decode() + "\n")
        elif not args.quiet:
            sys.stdout.write(f"{extraction.render_text(rows)}{one_line(str(run.path / 'extraction.csv'))}\n")
    return 0


def _compare(runs: list[Run], args: argparse.Namespace) -> int:
    for flag, given in (("--submission", args.submission), ("--extraction", args.extraction)):
        if given:
            raise UserError(f"{flag} is for one run")
    out = Path(args.out or OUT)
    found, summary = report_runs(runs, out, behind, allow_unlike=args.allow_unlike)
    if args.json:
        sys.stdout.write(
            msgspec.json.format(msgspec.json.encode({**found, "summary": summary}), indent=1).decode() + "\n"
        )
    elif not args.quiet:
        from rich.console import Console

        print_comparison(tables(found), [*found["unlike"], *only_lines(found)], Console())
        sys.stdout.write(f"\n{one_line(str(out))}\n")
    return 0


def extraction_audit(run: Run) -> list[extraction.Disagreement]:
    """The answers that the strict and the flexible rule read differently; extraction.csv holds them afterwards."""
    items = {(suite, item.id): item for suite in run.manifest["suites"] for item in run.items(suite).values()}
    rows = extraction.disagreements(items, run.answers().values(), run.verdicts().values())
    run.write("extraction.csv", extraction.render_csv(rows))
    return rows


def hand_in(run: Run, *, quiet: bool = False) -> None:
    """Writes ``submission/SUITE/MODEL/`` for each suite whose authors keep the answers and each model that answered.

    Raises:
        UserError: the run has no such suite.
    """
    suites = {name: record for name, record in run.manifest["suites"].items() if record.get("submission")}
    if not suites:
        raise UserError(f"{run.path}: no suite of this run keeps its answers back; nothing to hand in")
    answers = run.answers().values()
    for suite, record in suites.items():
        items = run.items(suite)
        scorer = plugins.load("scorers", record["scorer"])(**record["scorer_options"])
        for model in run.manifest["models"]:
            given = {each.item: each for each in answers if (each.suite, each.model, each.sample) == (suite, model, 0)}
            if not given:
                continue
            made = submission(record["submission"], items.values(), given, scorer)
            for name, content in made.files.items():
                run.write(f"submission/{safe_name(suite)}/{safe_name(model)}/{name}", content)
            folder = run.path / "submission" / safe_name(suite) / safe_name(model)
            left = len(items) - made.unread - made.missing
            parts = (
                f"{left} of {record['available']} questions answered, {made.unread} unreadable, {made.missing} missing"
            )
            if not quiet:
                sys.stdout.write(one_line(f"{folder}: {parts}") + "\n")


def summary_file(run: Run) -> Path:
    """The run's summary.json.

    Raises:
        UserError: the run was never rated.
    """
    path = run.path / "summary.json"
    if not path.is_file():
        raise UserError(f"{run.path} is not rated yet: 'judgebench rate {run.path}' does it")
    return path


def read_summary(run: Run) -> dict[str, Any]:
    """The run's summary.json, decoded.

    Raises:
        UserError: the run was never rated, or the file is damaged.
    """
    path = summary_file(run)
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise UserError(f"{path} is damaged: {error}; 'judgebench rate {run.path}' writes it anew") from error


def report(run: Run, *, quiet: bool = False) -> None:
    """Writes report.html, report-items/ where one file does not hold all items, and report.md; prints the tables.

    Args:
        run: a rated run.
        quiet: print nothing.
    """
    summary = read_summary(run)
    summary["warnings"] = [*doubts(run, summary), *summary["warnings"]]
    summary["cards"] = with_trials(run, card_rows(run, summary["verdicts"]))
    for kind, flag in (("calibrated", "--calibrate human"), ("controlled", "--control length")):
        summary[kind] = run.rows(f"{kind}.json", dict[str, Any], f"rate {run.path} {flag}")
    items = [(suite, item) for suite in run.manifest["suites"] for item in run.items(suite).values()]
    records = items, run.answers().values(), run.verdicts().values()
    written = set()
    for name, content in report_files(summary, records, behind(run, records)):
        run.write(name, content)
        written.add(run.path / name)
    for path in (run.path / item_pages.FOLDER).glob("*.html"):
        if path not in written:
            path.unlink()  # of an earlier, longer report
    run.write("report.md", render_markdown(summary))
    if not quiet:
        from rich.console import Console

        print_summary(summary, Console())
        sys.stdout.write(f"\n{one_line(str(run.path / 'report.html'))}\n")


def with_trials(run: Run, rows: list[Row]) -> list[Row]:
    """The rows of judge cards, with the trials of those that lie in the run itself."""
    trials = {(card.judge, card.rubric, card.key): card.trials for card in read_cards(run)}
    return [
        {**row, "trials": msgspec.to_builtins(trials.get((row["judge"], row["rubric"], row["key"]), ()))}
        for row in rows
    ]


def behind(run: Run, records: Records) -> Behind:
    """What finds the items behind a number of a run's report: by the verdicts that stand, and the games they make."""
    items, answers, verdicts = records
    kept, _ = standing(run, verdicts)
    games, left_out = games_of(run, kept)
    return Behind(items, answers, kept, with_overall(games, dimensions_of(run)), left_out, reason)
