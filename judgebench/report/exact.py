"""Exact scores: accuracy, both rules of a scorer beside one another, and by category."""

from __future__ import annotations

from judgebench.report.contaminated import taint
from judgebench.report.figures import MISSING, count, estimate, level, out_of, rate, share
from judgebench.report.overview import alarming, reasons
from judgebench.report.tables import (
    Cell,
    Column,
    Remarks,
    Row,
    Summary,
    Table,
    distinct,
    matching,
    name_column,
    suite_label,
)
from judgebench.report.where import Where


def exact_where(row: Row, what: str, category: str = "") -> Where:
    """The items behind a number of a row of exact scores."""
    return Where(
        of="exact", what=what, suite=row["suite"], model=row["model"], judge=row["scorer"],
        dimension=row["dimension"], category=category,
    )  # fmt: skip


def accuracy_table(summary: Summary) -> Table:
    """Exact scores with their 95 % intervals, extraction and truncation beside."""
    accuracy = summary["accuracy"]
    several = any(row["dimension"] != "accuracy" for row in accuracy)
    remarks = Remarks()
    columns = [
        name_column("Suite"),
        name_column("Model"),
        Column(title="Accuracy [95 % interval]", brief="accuracy [95 %]"),
        Column(title="Scored/planned", brief="scored"),
        Column(title="Accuracy among the read", brief="read"),
        Column(title="Questions"),
        Column(title="Extraction rate"),
        Column(title="Unextracted", brief="unex."),
        Column(title="Truncated", brief="trunc."),
        Column(title="Scorer", numeric=False),
    ]
    if several:
        columns.insert(2, name_column("Dimension"))
    rows = []
    for row in accuracy:
        why = "; ".join(part for part in (row["note"], _unscored_reasons(row)) if part)
        tainted = taint(summary, row["suite"], row["model"])
        cells = [
            Cell(text=row["suite"]),
            Cell(text=row["model"] + remarks.mark(tainted)),
            Cell(
                text=estimate(row["value"], row["low"], row["high"]) + remarks.mark(why),
                sort=row["value"],
                where=exact_where(row, "scored"),
            ),
            Cell(
                text=out_of(row["n"], row["planned"]),
                sort=row["n"],
                level=level(row["unscored"], row["planned"]),
                where=exact_where(row, "unscored" if row["unscored"] else "scored"),
            ),
            Cell(text=rate(row["accuracy_read"]), sort=row["accuracy_read"], where=exact_where(row, "read")),
            Cell(text=count(row["clusters"]), sort=row["clusters"], where=exact_where(row, "scored")),
            Cell(
                text=share(row["n"] - row["unextracted"], row["n"]),
                sort=row["n"] - row["unextracted"],
                where=exact_where(row, "read"),
            ),
            alarming(row["unextracted"], row["n"], exact_where(row, "unextracted")),
            alarming(row["truncated"], row["n"], exact_where(row, "truncated")),
            Cell(text=row["scorer"]),
        ]
        if several:
            cells.insert(2, Cell(text=row["dimension"]))
        rows.append(tuple(cells))
    return Table(title="Exact scores", columns=tuple(columns), rows=tuple(rows), remarks=remarks.lines())


def extraction_table(summary: Summary) -> Table:
    """Both rules of each exact scorer beside one another: accuracy, and the share each could read; no rows without."""
    columns = [
        name_column("Suite"),
        name_column("Model"),
        Column(title="Accuracy, strict rule", brief="strict"),
        Column(title="Read by it", brief="read"),
        Column(title="Among the read, strict"),
        Column(title="Accuracy, flexible rule", brief="flexible"),
        Column(title="Read by it, flexible", brief="read"),
        Column(title="Among the read, flexible"),
        Column(title="Rules differ", brief="differ"),
        Column(title="Headline", numeric=False),
        Column(title="Unread, by a model", numeric=False, brief="unread, by a model"),
    ]
    rows = []
    for row in summary.get("extraction", ()):
        cells = [Cell(text=row["suite"]), Cell(text=row["model"])]
        for name in ("strict", "flexible"):
            rule = row["rules"][name]
            read = rule["n"] - rule["unextracted"]
            cells += [
                Cell(text=rate(rule["value"]), sort=rule["value"]),
                Cell(text=share(read, rule["n"]), sort=read),
                Cell(text=rate(rule["accuracy_read"]), sort=rule["accuracy_read"]),
            ]
        differing = Where(of="readings", suite=row["suite"], model=row["model"], judge=row["scorer"])
        cells += [alarming(row["differ"], row["rules"]["strict"]["n"], differing), Cell(text=row["headline"])]
        by_models = [
            f"{each['by']}: {count(each['read'])} of {count(each['asked'])} read, {each['right']:g} right"
            + (f", {count(each['unscored'])} unscored" if each.get("unscored") else "")
            for each in row.get("fallback", ())
        ]
        cells.append(Cell(text="; ".join(by_models) or MISSING))
        rows.append(tuple(cells))
    remarks = ("'judgebench report RUN --extraction' lists the answers on which the rules differ.",) if rows else ()
    return Table(title="Extraction by both rules", columns=tuple(columns), rows=tuple(rows), remarks=remarks)


def _unscored_reasons(row: Row) -> str:
    return f"unscored ({reasons(row['reasons'])})" if any(row["reasons"].values()) else ""


def category_tables(summary: Summary) -> list[Table]:
    """Accuracy by category, one table per suite and dimension that has categories; models are columns."""
    tables = []
    for suite in distinct(row["suite"] for row in summary["accuracy"]):
        of_suite = [row for row in matching(summary["accuracy"], suite=suite) if row["by_category"]]
        for dimension in distinct(row["dimension"] for row in of_suite):
            rows = matching(of_suite, dimension=dimension)
            categories = distinct(category for row in rows for category in row["by_category"])
            body = tuple(
                (
                    Cell(text=category or "no category"),
                    *(_category_cell(row, category) for row in rows),
                )
                for category in categories
            )
            what = "accuracy" if dimension == "accuracy" else dimension
            columns = (name_column("Category"), *(Column(title=row["model"]) for row in rows))
            title = f"{suite_label(suite)}: {what} by category (number of scores)"
            tables.append(Table(title=title, columns=columns, rows=body))
    return tables


def _category_cell(row: Row, category: str) -> Cell:
    entry = row["by_category"].get(category)
    if entry is None:
        return Cell(text=MISSING)
    return Cell(
        text=f"{rate(entry['value'])} ({count(entry['n'])})",
        sort=entry["value"],
        where=exact_where(row, "scored", category),
    )
