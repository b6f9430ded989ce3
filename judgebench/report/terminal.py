"""The summary in a terminal: tables that fit 80 columns, plain when piped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from judgebench.report import apart, exact, judge_record, judged, overview, protocols, sway
from judgebench.report.figures import count, share
from judgebench.report.judge_card import JudgeCard, card_title, trial_table
from judgebench.report.tables import Summary, Table
from judgebench.report.usage import usage_table
from judgebench.report.visible import one_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as Grid
    from rich.text import Text

_MARKS = {"": "", "warn": "!", "bad": "!!"}
_COLOURS = {"": "", "warn": "yellow", "bad": "bold red"}
_SHARE = re.compile(r" \(\d+\.\d %\)")
"""A share beside a count: left out of a table that is too wide for the terminal; the counts say the same."""
WIDTH = 80
"""Columns that every table keeps to; a narrower terminal folds the lines itself, and no column is lost."""
SLIVERS = 2
"""Lines into which a name may be folded; one that would be cut into more stands below its table, behind a key."""
_ASCII = str.maketrans({"—": "-", "–": "-", "±": "+/-", "·": ".", "…": "...", "≥": ">=", "⏎": "\\n"})


def print_summary(summary: Summary, console: Console) -> None:
    """Prints counts, warnings, exact scores, leaderboards, the judges' own record and usage.

    Args:
        summary: a run's summary.json, decoded.
        console: where to; colours and lines only where it is a terminal, ASCII only where its encoding has no more.
    """
    keys: dict[str, str] = {}
    for entry in overview.headline_counts(summary):
        whole = f"/{count(entry.whole)} ({share(entry.part, entry.whole)})" if entry.whole else ""
        mark = f" {_MARKS[entry.alarm]}".rstrip()
        _say(_text(f"{entry.label:>18}  {count(entry.part)}{whole}{mark}", console, _COLOURS[entry.alarm]), console)
    for line in summary["warnings"]:
        _say(_text(f"warning: {line}", console, "yellow"), console)
    _print(exact.accuracy_table(summary), "Exact scores", console, keys)
    extraction = exact.extraction_table(summary)
    _print(extraction, extraction.title, console, keys)
    for group in judged.groups(summary):
        console.print()
        _say(_text(f"== {judged.group_title(summary, group)}", console, "bold"), console)
        card = judged.card_line(summary, group)
        if card:
            _say(_text(card, console, "dim"), console)
        for dimension in group.dimensions:
            board = judged.leaderboard(summary, group, dimension)
            _print(board, board.title, console, keys)
        tables = (
            judge_record.verdicts_table,
            judge_record.bias_table,
            sway.sway_table,
            sway.debiased_table,
            apart.apart_table,
        )
        for made in tables:
            table = made(summary, group)
            _print(table, table.title, console, keys, remarks=made is sway.sway_table)
        for table in protocols.protocol_tables(summary, group):
            _print(table, table.title, console, keys)
    _print(usage_table(summary), "Usage", console, keys)


def print_comparison(tables: Sequence[Table], lines: Sequence[str], console: Console) -> None:
    """Prints the tables of a comparison of runs and what stands beside them.

    Args:
        tables: with their titles.
        lines: further remarks.
        console: where to.
    """
    keys: dict[str, str] = {}
    for table in tables:
        _print(table, table.title, console, keys)
    console.print()
    for line in lines:
        _say(_text(line, console), console)


def print_cards(cards: Sequence[JudgeCard], console: Console) -> None:
    """Prints every trial of judge cards.

    Args:
        cards: of one run.
        console: where to.
    """
    keys: dict[str, str] = {}
    for card in cards:
        console.print()
        _say(_text(f"== {card_title(card)}; swap policy {card.policy}", console, "bold"), console)
        for note in card.notes:
            _say(_text(f"{note}.", console), console)
        for trial in card.trials:
            table = trial_table(trial)
            _print(table, table.title, console, keys)


def _text(text: str, console: Console, style: str = "") -> Text:
    """A text that can neither be read as markup nor fail to be encoded; its own control characters are shown."""
    from rich.text import Text

    safe = "\n".join(one_line(line) for line in text.split("\n"))
    try:
        safe.encode(console.encoding)
    except UnicodeEncodeError:
        safe = safe.translate(_ASCII).encode(console.encoding, "backslashreplace").decode(console.encoding)
    return Text(safe, style=style)


def _print(table: Table, title: str, console: Console, keys: dict[str, str], *, remarks: bool = True) -> None:
    """One table with those of its columns that a terminal has room for, and its remarks; ``keys`` as `_keyed`'s."""
    from rich import box
    from rich.cells import chop_cells
    from rich.table import Table as Grid

    if not table.rows:
        return
    console.width = max(console.width, WIDTH)  # in a narrower one columns without room would be left out
    console.print()
    _say(_text(title, console, "bold"), console)
    lines = box.SIMPLE_HEAD if console.is_terminal and not console.options.ascii_only else None
    grid = Grid(box=lines, padding=(0, 1, 0, 0), pad_edge=False, highlight=False)
    kept = [place for place, column in enumerate(table.columns) if column.brief]
    texts = [[f"{row[place].text}{_MARKS[row[place].level]}" for place in kept] for row in table.rows]
    headings = [[table.columns[place].brief for place in kept]]
    widths = [max(map(len, column)) for column in zip(*headings, *texts, strict=True)]
    if sum(widths) + len(widths) - 1 > console.width:
        texts = [[_SHARE.sub("", text) for text in row] for row in texts]
    numeric = [table.columns[place].numeric for place in kept]
    texts, replaced = _keyed(headings[0], texts, numeric, console.width, keys)
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
    _say(grid, console)
    for name in replaced:
        for part in chop_cells(_text(f"{keys[name]} {name}", console).plain, console.width):
            _say(_text(part, console), console)
    if remarks:
        for remark in table.remarks:
            _say(_text(remark, console, "dim"), console)


def _keyed(
    heading: Sequence[str], rows: list[list[str]], numeric: Sequence[bool], width: int, keys: dict[str, str]
) -> tuple[list[list[str]], list[str]]:
    """The cells, long names that would be cut into slivers replaced by keys, and the names so replaced.

    Args:
        heading: the columns' headings.
        rows: the cells.
        numeric: of each column, whether it holds numbers, which are never broken.
        width: columns of the terminal.
        keys: name → key, the same in all tables; grows.
    """
    shown = [list(row) for row in rows]
    replaced: dict[str, None] = {}
    for place in sorted(range(len(heading)), key=lambda place: -_longest(row[place] for row in rows)):
        if numeric[place]:
            continue
        taken = [max(len(heading[at]), *(len(row[at]) for row in shown)) for at in range(len(heading))]
        room = max(width - (sum(taken) - taken[place]) - len(heading) + 1, 6)
        if _longest(row[place] for row in shown) <= SLIVERS * room:
            continue
        for row in shown:
            if len(row[place]) > room:
                replaced[row[place]] = None
                row[place] = keys.setdefault(row[place], f"[{len(keys) + 1}]")
    return shown, sorted(replaced, key=lambda name: int(keys[name][1:-1]))


def _longest(texts: Iterable[str]) -> int:
    """Characters of the longest word, which only folding in its middle can break."""
    return max((len(word) for text in texts for word in text.split()), default=0)


def _say(part: Text | Grid, console: Console) -> None:
    """Prints one part; where it is piped, no line ends in spaces."""
    if console.is_terminal:
        console.print(part)
        return
    with console.capture() as kept:
        console.print(part)
    console.file.write("\n".join(line.rstrip() for line in kept.get().split("\n")))
