"""The plan of what a command would ask, as lines of text."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from judgebench.report.visible import one_line
from judgebench.rubrics import Rubric
from judgebench.runs import Run
from judgebench.stages.costs import Stage, planned
from judgebench.stages.judging import Scope
from judgebench.stages.prices import OLD_DAYS, read_prices, spent
from judgebench.stages.settings import Settings
from judgebench.suites import Suite
from judgebench.types import Model

WIDTH = 80
"""Columns of a terminal, which the table keeps to."""


def shown(rows: Sequence[Stage], settings: Settings, tokens_before: int) -> list[str]:
    """The plan in lines of text, the last one saying that nothing was asked."""
    table = read_prices(settings.prices) if settings.prices else None
    currency = table.currency if table else "price"
    cells = [("stage", "who", "calls", "tokens read", "written (at most)", f"{currency} (at most)", "time")]
    for row in rows:
        price = "not known" if row.price is None else f"{row.price:,.4g} ({row.price_most:,.4g})"
        cells.append((row.stage, row.who, f"{row.calls:,}", f"{row.read:,}", f"{row.written:,} ({row.written_most:,})",
                      price, _time(row.seconds)))  # fmt: skip
    prices = [row.price for row in rows]
    most = [row.price_most for row in rows]
    total = None if None in prices else sum(price for price in prices if price is not None)
    total_most = sum(price for price in most if price is not None)
    seconds = [row.seconds for row in rows]
    cells.append(
        ("in all", "", f"{sum(row.calls for row in rows):,}", f"{sum(row.read for row in rows):,}",
         f"{sum(row.written for row in rows):,} ({sum(row.written_most for row in rows):,})",
         "not known" if total is None else f"{total:,.4g} ({total_most:,.4g})",
         _time(None if None in seconds else sum(each for each in seconds if each is not None)))
    )  # fmt: skip
    lines = _table(cells)
    for row in rows:
        if row.calls:
            note = f"; {row.note}" if row.note else ""
            lines.append(f"{row.who}: tokens read: {row.read_basis}; written: {row.written_basis}{note}")
    if table:
        old = f", {table.age} days ago: look whether they still hold" if table.age > OLD_DAYS else ""
        lines.append(f"prices of {table.date}{old}")
    else:
        lines.append("no prices: give --prices FILE (examples/prices.yaml shows its form)")
    lines += _limits(rows, settings, tokens_before, total)
    return [*lines, "nothing was asked"]


def dry_run(
    path: Path, settings: Settings, *, suites: Sequence[Suite] = (), models: Sequence[Model] = (),
    judges: Sequence[Model] = (), rubrics: Sequence[Rubric] = (), readers: Sequence[Model] = (),
    scope: Scope | None = None,
) -> int:  # fmt: skip
    """Prints what would be asked, as `judgebench.stages.costs.planned`; the run is left as it is.

    Returns:
        0.
    """
    with tempfile.TemporaryDirectory(prefix="judgebench-") as scratch:
        rows = planned(path, suites, models, judges, rubrics, readers, settings, Path(scratch), scope)
    before = 0
    if (path / "manifest.json").is_file():
        before = sum(used.prompt_tokens + used.completion_tokens for used in spent(Run(path)).values())
    sys.stdout.write("".join(one_line(line) + "\n" for line in shown(rows, settings, before)))
    return 0


def _table(cells: Sequence[tuple[str, ...]]) -> list[str]:
    """Aligned lines; where they are wider than a terminal, the stage and who is asked stand above their numbers."""
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    if sum(widths) + 2 * len(widths) - 2 <= WIDTH:
        return [_aligned(line, widths, 2) for line in cells]
    head, *rows = cells
    lines = ["  " + _aligned(head[2:], widths[2:], 0)]
    for row in rows:
        lines += [" ".join(filter(None, row[:2])), "  " + _aligned(row[2:], widths[2:], 0)]
    return lines


def _aligned(line: Sequence[str], widths: Sequence[int], left: int) -> str:
    """Cells in columns, the first ``left`` of them to the left."""
    cells = zip(line, widths, strict=True)
    return "  ".join(
        text.ljust(width) if column < left else text.rjust(width) for column, (text, width) in enumerate(cells)
    ).rstrip()


def _limits(rows: Sequence[Stage], settings: Settings, tokens_before: int, price: float | None) -> list[str]:
    lines = []
    tokens = tokens_before + sum(row.read + row.written for row in rows)
    if settings.max_tokens_total is not None:
        word = "would be passed" if tokens > settings.max_tokens_total else "would be kept"
        lines.append(f"--max-tokens-total {settings.max_tokens_total:,} {word}: {tokens:,} tokens expected in all")
    if settings.max_cost is not None and price is not None:
        word = "would be passed" if price > settings.max_cost else "would be kept"
        lines.append(f"--max-cost {settings.max_cost:g} {word} by what is still to be asked")
    return lines


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "not measured"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
