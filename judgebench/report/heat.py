"""The win-rate matrix as a heat map: every cell holds its number, so that no meaning rests on colour alone."""

from __future__ import annotations

from judgebench.report.figures import MISSING, count, estimate, points
from judgebench.report.html_tables import linked
from judgebench.report.judged import Group, dimension_label, matrix
from judgebench.report.markup import Child, Safe, element
from judgebench.report.styles import STEPS
from judgebench.report.tables import Summary
from judgebench.report.ways import Ways

LARGE = 12
"""Models from which cells hold the number alone, in per cent; intervals and games are then in the table of pairs."""


def heat_map(summary: Summary, group: Group, dimension: str, ways: Ways | None = None) -> Safe | None:
    """Win rates of every row's model over every column's; None where no two models met."""
    found = matrix(summary, group, dimension)
    if not found.models:
        return None
    large = len(found.models) > LARGE
    rows = []
    for left in found.models:
        cells = [element("th", {"scope": "row"}, left)]
        for right in found.models:
            value, low, high, games = found.cells.get((left, right), (None, None, None, 0))
            where = group.where("games", dimension, "", left, right)
            if left == right:
                cells.append(element("td.none", "·"))
            elif value is None:
                cells.append(element("td.none", MISSING, None if large else element("small", f"{count(games)} games")))
            elif large:
                cells.append(element(f"td.h{round(value * STEPS)}", linked(ways, where, points(100 * value))))
            else:
                number, _, interval = estimate(value, low, high).partition(" ")
                small: list[Child] = [interval, element("br"), f"{count(games)} games"]
                cells.append(
                    element(
                        f"td.h{round(value * STEPS)}",
                        element("b", linked(ways, where, number)),
                        element("small", small),
                    )
                )
        rows.append(element("tr", cells))
    corner = element("td", "%" if large else None)
    head = element("tr", corner, [element("th", {"scope": "col"}, model) for model in found.models])
    label = dimension_label(summary, group, dimension)
    caption = element("caption", label, ": per cent, intervals are in the table of pairs" if large else None)
    table = element(
        "table.heat.large" if large else "table.heat", caption, element("thead", head), element("tbody", rows)
    )
    name = f"Win rates, {label}"
    return element("div.scroll", {"tabindex": "0", "role": "region", "aria-label": name}, table)


def legend() -> Safe:
    """What the colours mean, for those who see them."""
    steps = [element(f"i.h{step}") for step in range(STEPS + 1)]
    return element(
        "p.legend", {"aria-hidden": "true"}, element("span", "row loses"), steps, element("span", "row wins")
    )
