"""A run at a glance: one row a model, one column for each thing it was measured by, doubts marked in the cells."""

from __future__ import annotations

from judgebench.report.contaminated import taint
from judgebench.report.exact import exact_where
from judgebench.report.figures import MISSING, estimate, level
from judgebench.report.judged import Group, dimension_label, estimates, groups, headline_method, rating_text
from judgebench.report.overview import once_each
from judgebench.report.places import ranked
from judgebench.report.tables import (
    Cell,
    Column,
    Remarks,
    Row,
    Summary,
    Table,
    distinct,
    judge_label,
    matching,
    name_column,
    suite_label,
)

SHORT = {"bradley-terry": "Bradley–Terry", "win-rate": "win rate", "grade": "mean grade"}
"""Method → its name in a heading."""
FEW = 8
"""Columns up to which single dimensions stand beside their overall."""
MOST = 400
"""Most cells; beyond, the sections below say it better."""


def brief_table(summary: Summary) -> Table:
    """Every model with its headline numbers and 95 % intervals; the best of the first judged column first.

    A cell is marked where answers were cut off, nothing was extracted or verdicts are missing above the usual shares.
    No rows where nothing was measured, or where the table would be larger than `MOST` cells.
    """
    remarks = Remarks()
    columns: list[tuple[Column, dict[str, Cell]]] = []
    leading: dict[str, Cell] = {}
    exact = once_each(summary["accuracy"])
    for suite in distinct(row["suite"] for row in exact):
        of_suite = matching(exact, suite=suite)
        what = of_suite[0]["dimension"]
        cells = {row["model"]: _exact_cell(row, remarks) for row in of_suite}
        columns.append((Column(title=f"{suite}: {what}", brief=suite), cells))
    found = groups(summary)
    some = len(columns) + sum(len(group.dimensions) for group in found) <= FEW
    for group in found:
        dimensions = sorted(group.dimensions, key=lambda dimension: dimension != "overall")
        for dimension in dimensions if some or "overall" not in dimensions else dimensions[:1]:
            method = headline_method(summary, group, dimension)
            if method:
                columns.append(_judged(summary, group, dimension, method))
                leading = leading or columns[-1][1]
    known = [model["name"] for model in summary["models"]]
    names = distinct([*known, *(model for _, cells in columns for model in cells)])
    if not columns or len(names) * len(columns) > MOST:
        return Table(title="", columns=(), rows=())
    leading = leading or columns[0][1]
    names.sort(key=lambda name: _worth(leading.get(name)))
    rows = tuple(
        (
            Cell(text=name + remarks.mark(taint(summary, "", name))),
            *(cells.get(name, Cell(text=MISSING)) for _, cells in columns),
        )
        for name in names
    )
    return Table(
        title="Leaderboard",
        columns=(name_column("Model"), *(column for column, _ in columns)),
        rows=rows,
        remarks=("With 95 % intervals; # is the place, or the places that cannot be told apart.", *remarks.lines()),
    )


def _worth(cell: Cell | None) -> float:
    return float("inf") if cell is None or cell.sort is None else -cell.sort


def _exact_cell(row: Row, remarks: Remarks) -> Cell:
    lacking = {
        "unscored": (row["unscored"], row["planned"]),
        "unextracted": (row["unextracted"], row["n"]),
        "truncated": (row["truncated"], row["n"]),
    }
    worst = max(lacking.values(), key=lambda each: each[0] / each[1] if each[1] else 0)
    said = ", ".join(f"{part:,} of {whole:,} {name}" for name, (part, whole) in lacking.items() if level(part, whole))
    return Cell(
        text=estimate(row["value"], row["low"], row["high"]) + remarks.mark(said),
        sort=row["value"],
        level=level(*worst),
        where=exact_where(row, "scored"),
    )


def _judged(summary: Summary, group: Group, dimension: str, method: str) -> tuple[Column, dict[str, Cell]]:
    found = estimates(summary, group, dimension, method)
    placed, _ = ranked(found, matching(summary.get("fits", ()), **group.fields, dimension=dimension))
    valued = [row["model"] for row in found if row["value"] is not None]
    ranks = placed if all(model in placed for model in valued) else {}  # a first place among some is none
    counts = matching(summary["verdicts"], **group.fields, dimension=dimension)
    counts = counts or matching(summary["verdicts"], **group.fields)
    alarm = level(sum(row["unscored"] for row in counts), sum(row["planned"] for row in counts))
    cells = {}
    for row in found:
        best, worst = ranks.get(row["model"], (0, 0))
        place = "" if not best else f"#{best} · " if best == worst else f"#{best}–{worst} · "
        cells[row["model"]] = Cell(
            text=place + rating_text(row),
            sort=row["value"],
            level=alarm,
            where=group.where("games", dimension, model=row["model"]),
        )
    label = dimension_label(summary, group, dimension)
    title = f"{suite_label(group.suite)}: {label}, {SHORT.get(method, method)}, by {judge_label(summary, group.judge)}"
    return Column(title=title, brief=suite_label(group.suite)), cells
