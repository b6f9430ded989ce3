"""The tables of every report, before they become HTML, Markdown or terminal lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from judgebench.report.figures import Level, superscript
from judgebench.report.where import Where
from judgebench.types import Record

Summary = Mapping[str, Any]
"""A run's ``summary.json``, decoded."""
Row = Mapping[str, Any]
"""One entry of one of its lists."""

ALL_SUITES = "all suites"
"""Shown for a rating whose suite is empty."""


class Column(Record, frozen=True, kw_only=True):
    """One column of a table."""

    title: str
    """Its heading."""
    brief: str = ""
    """Its heading in a terminal; empty leaves the column out there."""
    numeric: bool = True
    """True aligns its cells to the right."""


class Cell(Record, frozen=True, kw_only=True):
    """One cell of a table."""

    text: str
    """What is shown, not yet escaped."""
    sort: float | None = None
    """What it is sorted by where that is not the text."""
    level: Level = ""
    """How alarming it is."""
    badge: str = ""
    """A word that must stand beside it."""
    where: Where | None = None
    """What it was counted over; None leads nowhere."""


class Table(Record, frozen=True, kw_only=True):
    """A table with its heading and the remarks below it."""

    title: str
    """What it shows; empty where the surroundings say so."""
    columns: tuple[Column, ...]
    """From left to right; the first names the row."""
    rows: tuple[tuple[Cell, ...], ...]
    """One cell per column."""
    remarks: tuple[str, ...] = ()
    """What a reader must know about single cells or the whole table."""


class Remarks:
    """Numbered remarks of one table: the same remark made twice has one number."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def mark(self, remark: str) -> str:
        """The superscript that points to ``remark``; empty for an empty one."""
        if not remark:
            return ""
        return superscript(self._numbers.setdefault(remark, len(self._numbers) + 1))

    def lines(self) -> tuple[str, ...]:
        """Every remark behind its number, in order of first use."""
        return tuple(f"{superscript(number)} {remark}" for remark, number in self._numbers.items())


def name_column(title: str, brief: str = "") -> Column:
    """A column of names: left-aligned, in the terminal too."""
    return Column(title=title, brief=brief or title, numeric=False)


def distinct(values: Iterable[str]) -> list[str]:
    """The values without repeats, in order of first appearance."""
    return list(dict.fromkeys(values))


def matching(rows: Sequence[Row], **wanted: str) -> list[Row]:
    """The rows whose fields have the wanted values."""
    return [row for row in rows if all(row[field] == value for field, value in wanted.items())]


def baselines(summary: Summary) -> frozenset[str]:
    """Names of the judges that are baselines, not language models."""
    return frozenset(judge["name"] for judge in summary["judges"] if judge["baseline"])


def judge_label(summary: Summary, name: str) -> str:
    """A judge's name, saying ``baseline`` where it is one.

    >>> judge_label({"judges": [{"name": "dice", "baseline": True}]}, "dice")
    'dice (baseline)'
    """
    if name in baselines(summary) and not name.startswith("baseline/"):
        return f"{name} (baseline)"
    return name


def judge_cell(summary: Summary, name: str) -> Cell:
    """A judge's name as a cell, with a badge where it is a baseline."""
    return Cell(text=judge_label(summary, name), badge="baseline" if name in baselines(summary) else "")


def suite_label(name: str) -> str:
    """A suite's name, or what stands for all of them."""
    return name or ALL_SUITES
