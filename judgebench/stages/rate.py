"""Rating: verdicts → games → ratings.jsonl, summary.json and leaderboard.csv. Reads the run only; asks nobody."""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from judgebench import plugins
from judgebench.ratings import dimensions, grades, joint_dimensions, passk
from judgebench.ratings.dimensions import with_overall
from judgebench.report.leaderboard import leaderboard_rows, render_csv
from judgebench.report.visible import one_line
from judgebench.runs import Run
from judgebench.stages import calibration, calibration_text, controls, panels, rated_records
from judgebench.stages import settings as flags
from judgebench.stages import summary as summaries
from judgebench.stages.games import dimensions_of, games_of, standing
from judgebench.stages.settings import Settings
from judgebench.stages.summary_fits import fit_rows
from judgebench.stages.unscored import refuse_unscored
from judgebench.types import Game, Rating, Verdict

PASS_AT = (5, 10, 100)
"""The k of pass@k that are reported where every question has as many samples (Chen et al. 2021 report 1, 10, 100)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this stage's flags."""
    flags.add_run(parser)
    flags.add_rating(parser)
    parser.add_argument("--seed", type=int, metavar="N", help="seed of the random swap policy")
    calibration.add_arguments(parser)
    controls.add_arguments(parser)
    panels.add_arguments(parser)
    parser.add_argument(
        "--json", action="store_true", help="print JSON: summary.json, with what --calibrate and --control add"
    )
    flags.add_config(parser)


def main(args: argparse.Namespace) -> int:
    """Rates what the run holds.

    Returns:
        0; exit codes of errors are theirs.
    """
    path = flags.run_path(args.run)
    run = Run(path)
    settings = flags.resolve(args, path / "config.yaml")
    panels.keep(run, args.panel, args.panel_method)
    if args.panel:
        panels.refresh(run)  # so that what is calibrated here has them too
    calibrated = calibration.calibrate(run, args.calibrate, declared=args.random_labels) if args.calibrate else []
    summary = rate(run, settings)
    controlled = controls.control(run, args.control, args.control_baseline, args.gamed) if args.control else []
    tables = not args.quiet and not args.json
    if tables:
        from rich.console import Console

        from judgebench.report.terminal import print_summary

        print_summary(summary, Console())
    if calibrated:
        run.write(
            "calibrated.json", msgspec.json.format(msgspec.json.encode(calibration_text.rows_of(calibrated)), indent=1)
        )
        if tables:
            sys.stdout.write("".join(one_line(line) + "\n" for line in calibration_text.lines(calibrated)))
    if controlled:
        run.write("controlled.json", msgspec.json.format(msgspec.json.encode(controls.rows_of(controlled)), indent=1))
        if tables:
            sys.stdout.write("".join(one_line(line) + "\n" for line in controls.lines(controlled)))
    if args.json:
        found = {**summary, **({"calibrated": calibration_text.rows_of(calibrated)} if calibrated else {})}
        found |= {"controlled": controls.rows_of(controlled)} if controlled else {}
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(found), indent=1).decode() + "\n")
    refuse_unscored(summary, settings.max_unscored)
    return 0


def rate(run: Run, settings: Settings) -> dict[str, Any]:
    """The summary of a run; ratings.jsonl, summary.json and leaderboard.csv hold it afterwards.

    Args:
        run: whose verdicts are read.
        settings: the swap policy.
    """
    run.manifest["swap_policy"] = settings.swap_policy
    run.save_manifest()
    seats = panels.refresh(run)
    records = rated_records.held(run)  # before they are read: what comes meanwhile is told
    verdicts, fallen = standing(run, run.verdicts().values())
    games, left_out = games_of(run, verdicts)
    rubrics = dimensions_of(run)
    joint = joint_dimensions.families(games)
    ratings = rated(verdicts, games, rubrics) + joint_dimensions.ratings_of(games, joint)
    every = with_overall(games, rubrics)
    summary = summaries.summarise(run, verdicts, (every, left_out), ratings)
    summary["fits"] = fit_rows(every)
    summary["dimensions"] = joint_dimensions.described(joint)
    summary["records"] = rated_records.noted(records)
    summary["panels"] = [seat.row for seat in seats]
    summary["warnings"] += [*fallen.lines, *joint_dimensions.doubts(joint), *(seat.line for seat in seats)]
    run.write("ratings.jsonl", b"".join(msgspec.json.encode(rating) + b"\n" for rating in ratings))
    run.write("summary.json", msgspec.json.format(msgspec.json.encode(summary), indent=1))
    run.write("leaderboard.csv", render_csv(leaderboard_rows(summary)))
    return summary


def rated(verdicts: list[Verdict], games: list[Game], rubrics: Mapping[str, Sequence[str]]) -> list[Rating]:
    """Accuracy and grades, then every rating method of games, per dimension and overall."""
    ratings = grades.rate(verdicts) + _pass_at_k(verdicts)
    if games:
        for name in plugins.names("ratings"):
            ratings += dimensions.rate(games, plugins.load("ratings", name), rubrics)
    return ratings


def _pass_at_k(verdicts: list[Verdict]) -> list[Rating]:
    """pass@k of code for every k in `PASS_AT` that each question has samples for; pass@1 is the accuracy."""
    samples: dict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
    code = [verdict for verdict in verdicts if verdict.judge == "exact@code" and verdict.scores]
    for verdict in code:
        samples[verdict.suite, verdict.shown[0][0], verdict.dimension][verdict.item] += 1
    ratings = []
    for key, counts in samples.items():
        own = [verdict for verdict in code if (verdict.suite, verdict.shown[0][0], verdict.dimension) == key]
        for k in PASS_AT:
            if 1 < k <= min(counts.values()):
                ratings += passk.rate(own, k)
    return ratings
