"""What was used and what it cost: requests, tokens and money per model and judge, and of a run as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from judgebench.report.figures import count
from judgebench.report.tables import Cell, Column, Row, Summary, Table, distinct, judge_cell, name_column
from judgebench.types import Record

UNKNOWN = "not known"
"""What is said of a number that nobody counted, or for which there is no price."""
TOKENS = ("prompt_tokens", "completion_tokens")
"""Fields of a row that are tokens."""


class Spent(Record, frozen=True, kw_only=True):
    """What a run took in all; a number is None where it is known of nobody who took any."""

    requests: int | None
    """Calls made, retries included."""
    prompt_tokens: int | None
    """Tokens read."""
    completion_tokens: int | None
    """Tokens written."""
    cached: int
    """Replies that came out of the response cache."""
    cost: float | None
    """Money, in the currency of the run's prices."""
    lacking: Mapping[str, tuple[str, ...]]
    """Number → names of those of whom it is not known, or not wholly: it is at least what stands there."""


def known(row: Row, field: str) -> tuple[float | None, bool]:
    """A number of a row of usage, None where it is not known; and whether that is all of it.

    >>> known({"requests": 3, "prompt_tokens": 0, "completion_tokens": 0, "uncounted": 3}, "prompt_tokens")
    (None, False)

    Args:
        row: of a summary's ``usage``.
        field: ``requests``, ``prompt_tokens``, ``completion_tokens`` or ``cost``.
    """
    uncounted = bool(row.get("uncounted"))
    value: float | None = row.get(field, None if field == "cost" else 0)
    if field == "cost":
        return value, value is not None and not uncounted
    if field == "requests":
        return (value, True) if value or not uncounted else (None, False)
    return (value, not uncounted) if not uncounted or any(row[each] for each in TOKENS) else (None, False)


def spent(rows: Sequence[Row]) -> Spent:
    """The sums of a summary's ``usage``: what is known, and of whom it is not."""
    sums: dict[str, Any] = {}
    lacking: dict[str, tuple[str, ...]] = {}
    for field in ("requests", *TOKENS, "cost"):
        found = [known(row, field) for row in rows]
        total = sum(value for value, _ in found if value is not None)
        names = tuple(distinct(row["name"] for row, (_, whole) in zip(rows, found, strict=True) if not whole))
        sums[field] = None if names and not total else total
        lacking |= {field: names} if names else {}
    return Spent(**sums, cached=sum(row.get("cached", 0) for row in rows), lacking=lacking)


def number_cell(value: float | None, whole: bool, currency: str | None = None) -> Cell:
    """A number as a cell: ``not known``, ``≥`` what is known of it, or all of it.

    Args:
        value: None is not known.
        whole: whether it is all.
        currency: of money, empty where no price was given; None where it is no money.
    """
    if value is None:
        return Cell(text=UNKNOWN)
    text = count(int(value))
    if currency is not None:
        text = f"{f'{value:,.4g}' if value < 1000 else f'{value:,.2f}'} {currency}".strip()
    return Cell(text=text if whole else f"≥ {text}", sort=value)


def _of_whom(found: Spent, field: str) -> str:
    """Of whom a number is not known, or not wholly, as the end of a sentence; empty where it is all."""
    names = ", ".join(found.lacking.get(field, ()))
    return f" (of {names}: {UNKNOWN}, or not wholly)" if names else ""


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
    sums = spent(summary["usage"])
    if sums.cached:
        columns = (*columns, Column(title="From the cache", brief="cached"))
    prices = summary.get("prices", {})
    currency = prices.get("currency", "")
    if currency:
        columns = (*columns, Column(title=f"Cost ({currency})", brief="cost"))
    rows = []
    for row in summary["usage"]:
        name = judge_cell(summary, row["name"]) if row["role"] == "judge" else Cell(text=row["name"])
        numbers = [number_cell(*known(row, field)) for field in ("requests", *TOKENS)]
        if sums.cached:
            numbers.append(number_cell(row.get("cached", 0), True))
        if currency:
            numbers.append(number_cell(*known(row, "cost"), ""))
        rows.append((name, Cell(text=row["role"]), *numbers))
    said = [number_cell(getattr(sums, field), field not in sums.lacking).text for field in ("requests", *TOKENS)]
    total = f"In all {said[0]} requests, {said[1]} prompt and {said[2]} completion tokens."
    if UNKNOWN in said:
        total = f"In all: requests {said[0]}, prompt tokens {said[1]}, completion tokens {said[2]}."
    if sums.cached:
        total += f" {count(sums.cached)} replies came from the response cache, and nothing was spent on them."
    if currency:
        cost = number_cell(sums.cost, "cost" not in sums.lacking, currency).text
        at = "" if sums.cost is None else f" at prices of {prices['date']}"
        total += f" Cost {cost}{at}{_of_whom(sums, 'cost')}."
    return Table(title="Usage", columns=columns, rows=tuple(rows), remarks=(total,) if rows else ())
