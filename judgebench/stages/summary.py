"""The summary of a run: every count and number that the reports show, as plain data (docs/architecture.md)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from judgebench import __version__
from judgebench.judges.debias import LeftOut
from judgebench.runs import Run
from judgebench.stages.cards import card_rows
from judgebench.stages.contamination import contaminated, origin
from judgebench.stages.contamination import lines as taint_lines
from judgebench.stages.games import dimensions_of, policy_of
from judgebench.stages.reasons import NOT_APPLICABLE, Row
from judgebench.stages.scoring import KEPT_BACK
from judgebench.stages.spending import usage_rows
from judgebench.stages.summary_exact import accuracy_rows, answer_rows, extraction_rows, other_rule
from judgebench.stages.summary_judged import bias_rows, differing, pair_rows, sum_rows
from judgebench.stages.summary_protocols import protocol_rows
from judgebench.stages.summary_sway import family_lines, sway_rows
from judgebench.stages.unscored import judged_rows
from judgebench.types import Answer, Game, Rating, Verdict

WARN_UNSCORED = 0.02
"""Share of unscored verdicts from which a warning is printed (DESIGN: 2 %)."""


def summarise(
    run: Run, verdicts: Sequence[Verdict], games: tuple[Sequence[Game], Sequence[LeftOut]], ratings: Sequence[Rating],
) -> Row:  # fmt: skip
    """Everything that report.html, report.md, leaderboard.csv and the terminal show.

    Args:
        run: the run.
        verdicts: those of the run that stand.
        games: made of them, the overall of several dimensions included; and the pairs that made none.
        ratings: made of both.
    """
    manifest = run.manifest
    items = {suite: run.items(suite) for suite in manifest["suites"]}
    answers = list(run.answers().values())
    accuracy = accuracy_rows(run, items, answers, verdicts, ratings)
    judged = judged_rows(run, verdicts)
    summary: Row = {
        "judgebench": __version__,
        "run": run.name,
        "created": manifest["created"],
        "models": [
            {
                "name": name, "backend": record["backend"], "id": record["id"], "notes": _notes(record),
                "contaminated": contaminated(run, name), "origin": origin(run, name),
            }
            for name, record in manifest["models"].items()
        ],
        "judges": [
            {
                "name": name, "rubric": rubric, "baseline": record["baseline"],
                "notes": [*_notes(record), *_remarks(record, rubric)], "mode": manifest["rubrics"][rubric]["mode"],
                "contaminated": contaminated(run, name, "judges"),
            }
            for name, record in manifest["judges"].items()
            for rubric in (each["id"] for each in record["rubrics"].values())
        ],
        "rubric_dimensions": dimensions_of(run),
        "suites": [
            {
                "name": name, "version": record["version"], "items": record["items"],
                "available": record["available"], "scorer": record["scorer"], "missing": record["missing"],
                "license": record["license"], "about": record["about"], "notes": record["notes"],
            }
            for name, record in manifest["suites"].items()
        ],
        "answers": answer_rows(run, items, answers),
        "accuracy": [row for row in accuracy if not other_rule(row["dimension"])],
        "extraction": extraction_rows(accuracy, verdicts),
        "verdicts": judged,
        "grades": [
            {**_rating(rating), "scale": list(_scale(verdicts, rating))}
            for rating in ratings
            if rating.method == "grade"
        ],
        "pairs": pair_rows(*games, policy_of(run)),
        "score_sums": sum_rows(verdicts),
        "bias": bias_rows(verdicts),
        "sway": sway_rows(run, verdicts),
        "protocols": protocol_rows(run, verdicts, games[0], items),
        "cards": card_rows(run, judged),
        "ratings": [msgspec.to_builtins(rating) for rating in ratings],
        "usage": usage_rows(run, answers, verdicts),
        "prices": {name: manifest.get("prices", {}).get(name, "") for name in ("date", "currency")},
        "warnings": [],
    }  # fmt: skip
    tainted = [*taint_lines(summary["models"], run), *taint_lines(summary["judges"], run, "judges")]
    summary["warnings"] = [*tainted, *_warnings(summary), *family_lines(run), *_doubts(run, answers)]
    return summary


def _notes(record: Row) -> list[str]:
    return list(record.get("loaded", {}).get("notes", ()))


def _remarks(record: Row, rubric: str) -> list[str]:
    """What a judge noticed while it was heard, with how often."""
    found = record["rubrics"].get(rubric.partition("@")[0], {}).get("remarks", {})
    return [f"{words}: {count} times" for words, count in found.items()]


def _rating(rating: Rating) -> Row:
    row: Row = msgspec.to_builtins(rating)
    row.pop("method")
    return row


def _scale(verdicts: Iterable[Verdict], rating: Rating) -> tuple[float, float]:
    for verdict in verdicts:
        if (verdict.suite, verdict.judge, verdict.rubric) == (
            rating.suite,
            rating.judge,
            rating.rubric,
        ) and verdict.scores:
            return verdict.scale
    return 0.0, 1.0


def _warnings(summary: Row) -> list[str]:
    lines = []
    for suite in summary["suites"]:
        if suite["missing"]:
            some = ", ".join(suite["missing"][:3]) + (", …" if len(suite["missing"]) > 3 else "")
            lines.append(f"{suite['name']} {suite['version']}: {len(suite['missing'])} files are missing ({some})")
        lines += [f"{suite['name']}: {note}" for note in suite["notes"]]
    for who in (*summary["models"], *summary["judges"]):
        lines += [f"{who['name']}: {note}" for note in who["notes"]]
    for row in summary["answers"]:
        if row["failed"] or row["unfinished"]:
            lines.append(f"{row['model']} on {row['suite']}: {row['answered']} of {row['planned']} items answered")
        if row["truncated"] > WARN_UNSCORED * row["planned"]:
            count = f"{row['truncated']} of {row['planned']} answers"
            lines.append(f"{row['model']} on {row['suite']}: {count} are cut off at the token limit")
    for row in (*summary["accuracy"], *summary["verdicts"]):
        kept_back = row["reasons"].get(KEPT_BACK, 0)
        if kept_back:
            hand_in = "'judgebench report RUN --submission' writes the file that its authors score"
            lines.append(f"{row['model']} on {row['suite']}: {kept_back} unscored, answers kept back; {hand_in}")
        on_purpose = kept_back + row["reasons"].get(NOT_APPLICABLE, 0)
        if row["unscored"] - on_purpose > WARN_UNSCORED * row["planned"]:
            who = f"{row['model']} by {row['scorer']}" if "scorer" in row else f"{row['judge']} by {row['rubric']}"
            what = f"{row['suite']}, {row['dimension']}"
            lines.append(f"{who} on {what}: {row['unscored']} of {row['planned']} unscored")
    for row in summary["verdicts"]:
        lines += differing(row)
    baselines = sorted({judge["name"] for judge in summary["judges"] if judge["baseline"]})
    if baselines:
        lines.append(f"{', '.join(baselines)}: a baseline, no language model; it shows what a judge must beat")
    return list(dict.fromkeys(lines))


def _doubts(run: Run, answers: Sequence[Answer]) -> list[str]:
    """Lines on what a reader would not guess from the numbers: one order, missing references, records left aside."""
    lines = []
    for name, judge in run.manifest["judges"].items():
        for rubric, record in judge["rubrics"].items():
            if record["orders"] == "one" and run.manifest["rubrics"][record["id"]]["mode"] == "pairwise":
                how = "as its files record it" if judge.get("backend") == "imported" else "drawn by lot"
                lines.append(f"{name} by {rubric}: each pair was shown in one order, {how}; position bias "
                             "is not measured and adds to the noise")  # fmt: skip
            stopped = record.get("stopped", {})
            if stopped.get("put", 0) < stopped.get("matchups", 0):
                lines.append(f"{name} by {rubric}: judged until decided, {stopped['put']} of {stopped['matchups']} "
                             "matchups; intervals of win rates and ratings take no account of that")  # fmt: skip
            for suite, count in record.get("without_reference", {}).items():
                lines.append(
                    f"{name} by {rubric}: {count} items of {suite} lack a reference and are not (wholly) judged"
                )
    unknown = sorted({answer.model for answer in answers} - set(run.manifest["models"]))
    lines += [f"answers of {name} lie in the run, but its manifest does not know that model" for name in unknown]
    return lines
