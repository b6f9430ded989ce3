"""People label a run in the browser or a spreadsheet: pairs and grades, blind, at random unless told otherwise."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec

from judgebench.errors import MissingPackage, UserError
from judgebench.report.visible import one_line
from judgebench.runs import Run
from judgebench.stages.label_agreement import agreement
from judgebench.stages.label_csv import export_csv, import_csv
from judgebench.stages.label_plans import plan_for, plans
from judgebench.stages.labelling import annotator_name
from judgebench.stages.labels import Labels
from judgebench.stages.settings import run_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this stage's flags."""
    parser.add_argument("run", metavar="RUN", help="run folder; a bare name means results/NAME")
    parser.add_argument("--as", dest="people", action="append", metavar="NAME",
                        help="who labels, as human@NAME; repeat for more (default: the run's, or me)")  # fmt: skip
    group = parser.add_argument_group("what is labelled")
    group.add_argument("--rubric", default="", metavar="NAME", help="by which rubric (default: the run's only one)")
    group.add_argument("--sample", metavar="random|unsure|disagree", choices=("random", "unsure", "disagree"),
                       help="at random (default; the only one that calibrates as it is), where judges are unsure "
                       "(chances are kept), or where they disagree")  # fmt: skip
    group.add_argument("--labels", type=int, metavar="N", help="tasks for each annotator (default 100)")
    group.add_argument("--seed", type=int, metavar="N", help="seed of the draw (default 0)")
    group = parser.add_argument_group("how")
    group.add_argument("--port", type=int, default=0, metavar="N", help="port on 127.0.0.1 (default: any free one)")
    group.add_argument("--export-csv", metavar="FILE", help="write one annotator's tasks for a spreadsheet, and end")
    group.add_argument("--import-csv", metavar="FILE", help="read the labels of such a file, and end")
    group.add_argument("--agreement", action="store_true", help="print how far the annotators agree, and end")
    group.add_argument("--json", action="store_true", help="print JSON: with --agreement, a row for each dimension")


def main(args: argparse.Namespace) -> int:
    """Serves the page until interrupted, or moves labels between run and spreadsheet.

    Returns:
        0; exit codes of errors are theirs.
    """
    run = Run(run_path(args.run))
    known = [name.removeprefix("human@") for name in plans(run)]
    names = [annotator_name(text) for text in dict.fromkeys(args.people or known or ["me"])]
    ends = [flag for flag in ("export_csv", "import_csv", "agreement") if getattr(args, flag)]
    if args.agreement and not known:
        raise UserError(f"{run.path}: nobody has labels to agree on; 'judgebench annotate {args.run} --as NAME' asks")
    if args.json and not args.agreement:
        raise UserError("--json prints how far annotators agree: give --agreement as well")
    if len(ends) > 1:
        raise UserError("give one of --export-csv, --import-csv and --agreement")
    if ends and ends[0] != "agreement" and len(names) != 1:
        raise UserError(f"--{ends[0].replace('_', '-')}: say whose labels with --as: one annotator has one file")
    people = {
        name.removeprefix("human@"): Labels(
            run, plan_for(run, name, rubric=args.rubric, how=args.sample, size=args.labels, seed=args.seed)
        )
        for name in names
    }
    for name, each in people.items():
        if args.labels is not None and len(each.plan.tasks) > args.labels:
            sys.stderr.write(
                f"note: {name} keeps the {len(each.plan.tasks)} tasks drawn before: --labels makes a sample larger, "
                "never smaller\n"
            )
    labels = next(iter(people.values()))
    if args.export_csv:
        count = export_csv(labels, Path(args.export_csv))
        sys.stdout.write(one_line(f"{count} tasks of {labels.plan.annotator} are in {args.export_csv}") + "\n")
    elif args.import_csv:
        labelled, skipped, empty = import_csv(labels, Path(args.import_csv))
        sys.stdout.write(
            one_line(f"{labels.plan.annotator}: {labelled} labelled, {skipped} skipped, {empty} rows left empty") + "\n"
        )
        if empty and labels.plan.how == "random":
            sys.stdout.write("note: rows left empty because they were hard make the rest no random sample\n")
    elif args.agreement:
        rows = agreement(list(people.values()))
        if args.json:
            sys.stdout.write(msgspec.json.format(msgspec.json.encode(rows), indent=1).decode() + "\n")
        else:
            sys.stdout.writelines(one_line(f"{each.dimension}: {each.said}") + "\n" for each in rows)
    else:
        _serve(people, args.port)
    return 0


def _serve(people: dict[str, Labels], port: int) -> None:
    try:
        from judgebench.web.annotate_app import annotate_app
        from judgebench.web.serving import serve
    except ModuleNotFoundError as error:
        raise MissingPackage((error.name or "starlette").partition(".")[0], "ui") from error
    for name, labels in people.items():
        plan = labels.plan
        sys.stderr.write(
            one_line(f"{name}: {len(plan.tasks)} tasks by {plan.guide.rubric}, {plan.how}, of {plan.population}") + "\n"
        )
    serve(
        annotate_app(people),
        port,
        ["", *(f"{name}/" for name in people)] if len(people) > 1 else [f"{next(iter(people))}/"],
    )
    for name, labels in people.items():
        labels.refresh()
        counts = labels.counts()
        sys.stderr.write(
            one_line(f"{name}: {counts.labelled} labelled, {counts.skipped} skipped, of {counts.total}") + "\n"
        )
