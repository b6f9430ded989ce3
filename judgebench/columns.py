"""How upstream's columns become fields: dotted names, patterns, lists of values; every mistake names file and row."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from judgebench.errors import UserError, did_you_mean
from judgebench.prompts import fill, holes


class Column(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A column that needs more than its name."""

    column: str = ""
    """Dotted name: ``answer``, ``choices.0.turns``, ``5``."""
    template: str = ""
    """Instead of one: a text with {holes} for the row's columns, white space around each taken off."""
    pattern: str = ""
    """Regular expression searched in the column, or in each text of a list; its first group (or the whole match) is
    the value."""
    split: str = ""
    """Regular expression at which the text of a list that has only one is cut into several (``A. x B. y``)."""
    position_of: str = ""
    """The value is the letter of the place at which the list in the column holds this (``"1"`` in 0, 1, 0: B)."""
    join: str | None = None
    """What stands between the texts of a list to make one text of them; None leaves a list a list."""
    values: dict[str, str] = {}
    """Column's value → ours (``"0": A``); a value that is not listed is an error."""
    optional: bool = False
    """True where a row may lack it."""
    json: bool = False
    """True keeps the value as JSON text, with the NaN and Infinity that Python writes and JSON has not."""


Spec = str | list[str] | Column


class Columns(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fields of an item → columns of a row."""

    id: str | Column | None = None
    """None counts the rows from 1, with the category before it where there is one file for each."""
    question: Spec | None = None
    """The question of one turn; several columns are joined by an empty line, what is empty left out."""
    turns: Spec | None = None
    """Or a list of turns, or the list of columns that hold them."""
    choices: Spec | None = None
    """A list, or the columns that hold them."""
    reference: Spec | None = None
    """The right answer, or one per turn."""
    labels: Spec | None = None
    """What the reference calls the choices, in their order; the reference becomes the letter of its place."""
    shuffle: int | None = None
    """Seed by which each item's choices are put into an order of its own: that of the sha256 of SEED/ID/PLACE."""
    category: str | Column | None = None
    """None takes the file's category."""
    meta: dict[str, Spec] = {}
    """What else to keep; texts and numbers are holes of the prompt too."""


class Row(NamedTuple):
    """One upstream row."""

    place: str
    """File and row, for messages."""
    category: str
    """Category of its file; empty where there is one file."""
    number: int
    """1-based within its file."""
    value: Any
    """Dictionary, or list of the cells of a CSV without a header."""


def value(row: Row, spec: Spec) -> Any:
    """What a column (or each of several) of a row holds; None where it is optional and absent.

    Raises:
        UserError: there is no such column, the pattern does not match, or the value is not listed.
    """
    if isinstance(spec, list):
        return [value(row, each) for each in spec]
    column = spec if isinstance(spec, Column) else Column(column=spec)
    found, here = row.value, ""
    if column.template:
        names = {name for name, _ in holes(column.template)}
        found = fill(column.template, {name: text(value(row, name), row, name).strip() for name in names})
    for part in column.column.split(".") if column.column else ():
        here = f"{here}.{part}" if here else part
        if isinstance(found, list) and part.isdecimal() and int(part) < len(found):
            found = found[int(part)]
        elif isinstance(found, Mapping) and part in found:
            found = found[part]
        elif column.optional or column.column.startswith("join."):
            return None
        else:
            if not isinstance(found, list | Mapping):
                what = f"column {here.rpartition('.')[0]!r} holds" if "." in here else "the row is"
                raise UserError(f"{row.place}: no column {here!r}: {what} {str(found)[:60]!r}, no object or list")
            columns = map(str, range(len(found))) if isinstance(found, list) else found
            hint = did_you_mean(part, [str(each) for each in columns])
            raise UserError(f"{row.place}: no column {here!r}: {hint}")
    if column.split and isinstance(found, list) and len(found) == 1:
        found = [each.strip() for each in re.split(column.split, text(found[0], row, column.column)) if each.strip()]
    if column.position_of:
        return _position(found, column, row)
    if column.join is not None:
        found = column.join.join(texts(found, row, column.column))
    if column.optional and found is None:
        return None
    if column.pattern and isinstance(found, list):
        found = [_matched(each, column, row) for each in found]
    elif column.pattern:
        found = _matched(found, column, row)
    if column.values:
        key = text(found, row, column.column)
        if key not in column.values:
            raise UserError(f"{row.place}: {column.column}: found {key!r}: {did_you_mean(key, column.values)}")
        return column.values[key]
    return json.dumps(found, ensure_ascii=False) if column.json else found


def _position(found: Any, column: Column, row: Row) -> str:
    wanted = column.position_of
    if not isinstance(found, list | tuple):
        raise UserError(f"{row.place}: {column.column}: found {str(found)[:60]}; allowed: a list that holds {wanted}")
    places = [number for number, each in enumerate(texts(found, row, column.column)) if each == wanted]
    if len(places) != 1:
        raise UserError(f"{row.place}: {column.column}: holds {wanted!r} {len(places)} times; allowed: once")
    return chr(ord("A") + places[0])


def _matched(found: Any, column: Column, row: Row) -> str:
    match = re.search(column.pattern, text(found, row, column.column))
    if match is None:
        raise UserError(f"{row.place}: {column.column}: {column.pattern!r} matches nothing in {str(found)[-80:]!r}")
    return str(match[1] if match.re.groups else match[0])


def text(found: Any, row: Row, column: str) -> str:
    """A single value as text: texts as they are, numbers and truth values as JSON writes them.

    Raises:
        UserError: it is a list, a mapping or nothing.
    """
    if isinstance(found, str):
        return found
    if isinstance(found, bool | int | float):
        return msgspec.json.encode(found).decode()
    raise UserError(f"{row.place}: {column}: found {str(found)[:60]}; allowed: a text or a number")


def texts(found: Any, row: Row, column: str) -> tuple[str, ...]:
    """One or several values as a tuple of texts; nothing is an empty tuple."""
    if found is None:
        return ()
    return tuple(text(each, row, column) for each in (found if isinstance(found, list | tuple) else [found]))
