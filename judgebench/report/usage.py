"""What was used and what it cost: requests, tokens and money per model and judge."""

from __future__ import annotations

from judgebench.report.figures import MISSING, count
from judgebench.report.tables import Cell, Column, Summary, Table, judge_cell, name_column


def usage_table(summary: Summary) -> Table:
    """Requests and tokens per model and judge, and their sum; what they cost and what came from the response cache,
    where there is any of it.
    """
    columns: tuple[Column, ...] = (
        name_column("Name"),
        name_column("Role"),
        Column(title="Requests", brief="requests"),
        Column(title="Prompt tokens", brief="prompt tokens"),
        Column(title="Completion tokens", brief="completion tokens"),
    )
    fields: tuple[str, ...] = ("requests", "prompt_tokens", "completion_tokens")
    cached = sum(row.get("cached", 0) for row in summary["usage"])
    if cached:
        columns = (*columns, Column(title="From the cache", brief="cached"))
        fields = (*fields, "cached")
    prices = summary.get("prices", {})
    currency = prices.get("currency", "")
    if currency:
        columns = (*columns, Column(title=f"Cost ({currency})", brief="cost"))
    rows = []
    for row in summary["usage"]:
        name = judge_cell(summary, row["name"]) if row["role"] == "judge" else Cell(text=row["name"])
        numbers = tuple(Cell(text=count(row.get(field, 0)), sort=row.get(field, 0)) for field in fields)
        if currency:
            numbers = (*numbers, _cost_cell(row.get("cost")))
        rows.append((name, Cell(text=row["role"]), *numbers))
    sums = tuple(sum(row.get(field, 0) for row in summary["usage"]) for field in fields)
    total = f"In all {count(sums[0])} requests, {count(sums[1])} prompt and {count(sums[2])} completion tokens."
    if cached:
        total += f" {count(cached)} replies came from the response cache, and nothing was spent on them."
    if currency:
        costs = [row.get("cost") for row in summary["usage"]]
        known = sum(cost for cost in costs if cost is not None)
        lacking = "" if None not in costs else ", and some have no price"
        total += f" Cost {known:,.4g} {currency} at prices of {prices['date']}{lacking}."
    return Table(title="Usage", columns=columns, rows=tuple(rows), remarks=(total,) if rows else ())


def _cost_cell(cost: float | None) -> Cell:
    return Cell(text=MISSING) if cost is None else Cell(text=f"{cost:,.4g}", sort=cost)
