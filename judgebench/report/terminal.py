"""The summary in a terminal: tables that fit 80 columns, plain when piped."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from judgebench.report import apart, exact, judge_record, judged, overview, protocols, sway
from judgebench.report.figures import count, share
from judgebench.report.judge_card import JudgeCard, card_title, trial_table
from judgebench.report.tables import Summary, Table
from judgebench.report.usage import usage_table
from judgebench.report.visible import one_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_MARKS = {"": "", "warn": "!", "bad": "!!"}
_COLOURS = {"": "", "warn": "yellow", "bad": "bold red"}
_SHARE = re.compile(r" \(\d+\.\d %\)")
"""A share beside a count: left out of a table that is too wide for the terminal; the counts say the same."""
_ASCII = str.maketrans({"—": "-", "–": "-", "±": "+/-", "·": ".", "…": "...", "⏎": "\\n"})


def print_summary(summary: Summary, console: Console) -> None:
    """Prints counts, warnings, exact scores, leaderboards, the judges' own record and usage.

    Args:
        summary: a run's summary.json, decoded.
        console: where to; colours and lines only where it is a terminal, ASCII only where its encoding has no more.
    """
    for entry in overview.headline_counts(summary):
        whole = f"/{count(entry.whole)} ({share(entry.part, entry.whole)})" if entry.whole else ""
        mark = f" {_MARKS[entry.alarm]}".rstrip()
        console.print(_text(f"{entry.label:>18}  {count(entry.part)}{whole}{mark}", console, _COLOURS[entry.alarm]))
    for line in summary["warnings"]:
        console.print(_text(f"warning: {line}", console, "yellow"))
    _print(exact.accuracy_table(summary), "Exact scores", console)
    extraction = exact.extraction_table(summary)
    _print(extraction, extraction.title, console)
    for group in judged.groups(summary):
        console.print()
        console.print(_text(f"== {judged.group_title(summary, group)}", console, "bold"))
        card = judged.card_line(summary, group)
        if card:
            console.print(_text(card, console, "dim"))
        for dimension in group.dimensions:
            board = judged.leaderboard(summary, group, dimension)
            _print(board, board.title, console)
        tables = (
            judge_record.verdicts_table,
            judge_record.bias_table,
            sway.sway_table,
            sway.debiased_table,
            apart.apart_table,
        )
        for made in tables:
            table = made(summary, group)
            _print(table, table.title, console, remarks=made is sway.sway_table)
        for table in protocols.protocol_tables(summary, group):
            _print(table, table.title, console)
    _print(usage_table(summary), "Usage", console)


def print_comparison(tables: Sequence[Table], lines: Sequence[str], console: Console) -> None:
    """Prints the tables of a comparison of runs and what stands beside them.

    Args:
        tables: with their titles.
        lines: further remarks.
        console: where to.
    """
    for table in tables:
        _print(table, table.title, console)
    console.print()
    for line in lines:
        console.print(_text(line, console))


def print_cards(cards: Sequence[JudgeCard], console: Console) -> None:
    """Prints every trial of judge cards.

    Args:
        cards: of one run.
        console: where to.
    """
    for card in cards:
        console.print()
        console.print(_text(f"== {card_title(card)}; swap policy {card.policy}", console, "bold"))
        for trial in card.trials:
            table = trial_table(trial)
            _print(table, table.title, console)


def _text(text: str, console: Console, style: str = "") -> Text:
    """A text that can neither be read as markup nor fail to be encoded; its own control characters are shown."""
    from rich.text import Text

    safe = "\n".join(one_line(line) for line in text.split("\n"))
    try:
        safe.encode(console.encoding)
    except UnicodeEncodeError:
        safe = safe.translate(_ASCII).encode(console.encoding, "backslashreplace").decode(console.encoding)
    return Text(safe, style=style)


def _print(table: Table, title: str, console: Console, *, remarks: bool = True) -> None:
    """One table with those of its columns that a terminal has room for, and its remarks."""
    from rich import box
    from rich.table import Table as Grid

    if not table.rows:
        return
    console.print()
    console.print(_text(title, console, "bold"))
    lines = box.SIMPLE_HEAD if console.is_terminal and not console.options.ascii_only else None
    grid = Grid(box=lines, padding=(0, 1, 0, 0), pad_edge=False, highlight=False)
    kept = [place for place, column in enumerate(table.columns) if column.brief]
    texts = [[f"{row[place].text}{_MARKS[row[place].level]}" for place in kept] for row in table.rows]
    headings = [[table.columns[place].brief for place in kept]]
    widths = [max(map(len, column)) for column in zip(*headings, *texts, strict=True)]
    if sum(widths) + len(widths) - 1 > console.width:
        texts = [[_SHARE.sub("", text) for text in row] for row in texts]
    for place in kept:
        column = table.columns[place]
        heading = _text(column.brief, console)
        if column.numeric:
            grid.add_column(heading, justify="right", no_wrap=True)
        else:
            grid.add_column(heading, overflow="fold", min_width=6)
    for row, shown in zip(table.rows, texts, strict=True):
        colours = [_COLOURS[row[place].level] for place in kept]
        grid.add_row(*(_text(text, console, colour) for text, colour in zip(shown, colours, strict=True)))
    console.print(grid)
    if remarks:
        for remark in table.remarks:
            console.print(_text(remark, console, "dim"))
