"""Ratings at equal length or style, beside those as judged."""

from __future__ import annotations

from judgebench.report.figures import MISSING, count, share
from judgebench.report.judged import Group, dimension_label
from judgebench.report.tables import Cell, Column, Remarks, Row, Summary, Table, matching, name_column

EXPLAINED = {
    "length": "Win rate in per cent against the baseline, were both answers equally long (AlpacaEval's model).",
    "style": "Elo, were both answers equal in length, lists, headers and bold (the chat arenas' form).",
}
"""What was held equal → how it is said."""


def controlled_table(summary: Summary, group: Group) -> Table:
    """A row for each model and dimension that 'rate --control' looked at, best first; no rows where it was not."""
    found = matching(summary.get("controlled", ()), **group.fields)
    remarks = Remarks()
    rows = []

    def order(row: Row) -> tuple[str, int, str, bool, float]:
        dimension = row["dimension"]
        return row["control"], group.place(dimension), dimension, row["value"] is None, -(row["value"] or 0)

    for row in sorted(found, key=order):
        where = group.where("games", row["dimension"], "", row["model"], row["baseline"])
        longer = MISSING if row["longer"] is None else share(round(1000 * row["longer"]), 1000)
        rows.append(
            (
                Cell(text=dimension_label(summary, group, row["dimension"])),
                Cell(text=row["model"]),
                Cell(text=row["control"]),
                Cell(text=row["baseline"] or MISSING),
                Cell(text=_number(row, "plain"), sort=row["plain"]),
                Cell(text=_controlled(row) + remarks.mark(row["note"]), sort=row["value"], where=where),
                Cell(text=longer, sort=row["longer"]),
                Cell(text=count(row["n"]), sort=row["n"], where=where),
            )
        )
    columns = (
        name_column("Dimension"),
        name_column("Model"),
        name_column("Equal", "equal"),
        Column(title="Baseline", numeric=False),
        Column(title="As judged", brief="as judged"),
        Column(title="At equal length or style [95 % interval]", brief="at equal [95 %]"),
        Column(title="Its answer is the longer", brief="longer"),
        Column(title="n", brief="n"),
    )
    kinds = dict.fromkeys(row["control"] for row in found)
    below = [*(EXPLAINED.get(kind, kind) for kind in kinds), *remarks.lines()]
    return Table(title="At equal length or style", columns=columns, rows=tuple(rows), remarks=tuple(below))


def _number(row: Row, name: str) -> str:
    return MISSING if row[name] is None else f"{row[name]:.1f}"


def _controlled(row: Row) -> str:
    ends = f" [{_number(row, 'low')}, {_number(row, 'high')}]" if row["low"] is not None else ""
    return _number(row, "value") + ends
