"""leaderboard.csv: one row per number, for spreadsheets and data frames."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from judgebench.report.cells import name_cell
from judgebench.report.contaminated import taint
from judgebench.report.tables import Row, Summary, matching

COLUMNS = (
    "model",
    "suite",
    "judge",
    "rubric",
    "dimension",
    "method",
    "value",
    "low",
    "high",
    "n",
    "clusters",
    "scored",
    "planned",
    "note",
)
"""The columns of leaderboard.csv, in this order for good."""
_KEY = COLUMNS[:6]


def leaderboard_rows(summary: Summary) -> list[dict[str, Any]]:
    """One row per (model, suite, judge, rubric, dimension, method), keys as in ``COLUMNS``, None where undefined.

    ``scored`` and ``planned`` are, for accuracy, the model's scores; for a judge, its verdicts on all models along that
    dimension (along all dimensions, where the dimension is a mean of them); None where the summary counts neither.
    A suite of "" is all suites together.

    Args:
        summary: a run's summary.json, decoded.
    """
    rows = [_row(summary, rating) for rating in summary["ratings"]]
    rows += [_row(summary, {**row, "method": "grade"}) for row in summary["grades"]]
    for row in summary["accuracy"]:
        rows.append(_row(summary, {**row, "method": "accuracy", "judge": row["scorer"], "rubric": ""}))
    kept: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        kept.setdefault(tuple(row[column] for column in _KEY), row)
    return list(kept.values())


def _row(summary: Summary, rating: Row) -> dict[str, Any]:
    row = {column: rating.get(column) for column in COLUMNS}
    row["scored"], row["planned"] = _counts(summary, rating)
    row["note"] = "; ".join(filter(None, (row["note"], taint(summary, row["suite"] or "", rating["model"]))))
    return row


def _counts(summary: Summary, rating: Row) -> tuple[int | None, int | None]:
    if rating["method"] == "accuracy":
        exact = matching(summary["accuracy"], model=rating["model"], dimension=rating["dimension"])
        exact = [row for row in exact if rating["suite"] in ("", row["suite"])]
        return _sum(exact, "n"), _sum(exact, "planned")
    of_judge = [
        row
        for row in matching(summary["verdicts"], judge=rating["judge"], rubric=rating["rubric"])
        if rating["suite"] in ("", row["suite"])
    ]
    along = matching(of_judge, dimension=rating["dimension"]) or of_judge
    return _sum(along, "scored"), _sum(along, "planned")


def _sum(rows: Sequence[Row], field: str) -> int | None:
    return sum(row[field] for row in rows) if rows else None


def _cell(value: Any) -> str:
    """A value as a cell: numbers in full, empty for None, names with nothing hidden that no spreadsheet runs."""
    if value is None:
        return ""
    if isinstance(value, str):
        return name_cell(value)
    return repr(value)


def render_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as CSV with a header, lines ended by a line feed, formulas defused by a leading apostrophe,
    hidden characters written out.

    Args:
        rows: as from `leaderboard_rows`.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([_cell(row[column]) for column in COLUMNS])
    return out.getvalue()
