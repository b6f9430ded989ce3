"""Tables of a report as HTML: sortable, alarming cells marked in words too, numbers linked to the items behind them."""

from __future__ import annotations

from judgebench.report.cards import badge
from judgebench.report.markup import Child, Safe, element, together
from judgebench.report.tables import Cell, Column, Table
from judgebench.report.ways import Ways
from judgebench.report.where import Where

LEVELS = {"": ("", ""), "warn": (" !", " (warning)"), "bad": (" !!", " (too high)")}
"""Level → its mark and what a screen reader hears."""


SHORT = 24
"""Characters up to which words stay on one line."""


def linked(ways: Ways | None, where: Where | None, *content: Child) -> Child:
    """The content as a link to the items behind it, where there are any."""
    return content if ways is None else ways.link(where, *content)


def baseline_badge(is_baseline: bool) -> Safe | None:
    """The badge of a judge that is no language model."""
    return badge("baseline", "baseline") if is_baseline else None


def _cell(cell: Cell, column: Column, first: bool, ways: Ways | None) -> Safe:
    mark, spoken = LEVELS[cell.level]
    attributes = {"data-sort": None if cell.sort is None else f"{cell.sort:.12g}"}
    content = (
        linked(ways, cell.where, cell.text),
        baseline_badge(cell.badge == "baseline"),
        element("span", {"aria-hidden": "true"}, mark) if mark else None,
        element("span.unseen", spoken) if spoken else None,
    )
    kind = "number" if column.numeric else "words.short" if len(cell.text) <= SHORT else "words"
    if first:
        return element(f"th.{kind}", attributes, {"scope": "row"}, content)
    return element(f"td.{kind}.{cell.level}" if cell.level else f"td.{kind}", attributes, content)


def table_of(table: Table, ways: Ways | None = None, *, caption: bool = True) -> Safe:
    """A table with its remarks below, in a box that scrolls by itself.

    Args:
        table: what it shows.
        ways: links numbers to their items; None links nothing.
        caption: whether its title is seen; it is always read out.
    """
    heads = [
        element("th.number" if column.numeric else "th", {"scope": "col"}, column.title) for column in table.columns
    ]
    named = next((place for place, column in enumerate(table.columns) if not column.numeric), 0)
    rows = [
        element(
            "tr",
            [
                _cell(cell, column, place == named, ways)
                for place, (cell, column) in enumerate(zip(row, table.columns, strict=True))
            ],
        )
        for row in table.rows
    ]
    written = element(
        "table.sortable",
        element("caption" if caption else "caption.unseen", table.title),
        element("thead", element("tr", heads)),
        element("tbody", rows),
    )
    box = element("div.scroll", {"tabindex": "0", "role": "region", "aria-label": table.title}, written)
    return together(box, _remarks(table.remarks))


def _remarks(lines: tuple[str, ...]) -> Safe | None:
    return element("ul.remarks", [element("li", line) for line in lines]) if lines else None


def fold(title: str, *content: Child) -> Safe:
    """Content behind a line that opens it."""
    return element("details.fold", element("summary", title), content)
