"""Rows of other tools' files: JSON, JSON Lines or Parquet, plain or gzip, each with the place to name in an error."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from judgebench.errors import FileError, UserError, did_you_mean
from judgebench.hub import parquet
from judgebench.sources import read_content


class Row:
    """One row of a file.

    Args:
        path: the file.
        number: 1-based row.
        value: its columns.
    """

    __slots__ = ("number", "path", "place", "value")

    def __init__(self, path: Path, number: int, value: Mapping[str, Any]) -> None:
        self.path, self.number, self.value = path, number, value
        self.place = f"{path}: row {number}"

    def __contains__(self, key: str) -> bool:
        return key in self.value

    def get(self, key: str) -> Any:
        """The value of a column; None where there is none."""
        return self.value.get(key)

    def text(self, key: str) -> str:
        """The text of a column; a number or a truth value is written out, as some tools' files hold them bare.

        Raises:
            UserError: there is none, or it is neither.
        """
        value = self.value.get(key)
        if isinstance(value, str):
            return value
        if isinstance(value, int | float):
            return f"{value:g}" if isinstance(value, float) and value.is_integer() else str(value)
        if key not in self.value:
            raise self.fail(f"has no {key!r}; it has {', '.join(map(str, self.value)) or 'nothing'}")
        raise self.fail(f"{key!r} is {short(value)}; a text is needed")

    def texts(self, key: str) -> list[str]:
        """The list of texts in a column.

        Raises:
            UserError: there is none.
        """
        value = self.value.get(key)
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise self.fail(f"{key!r} is {short(value)}; a list of texts is needed")
        return value

    def number_or_none(self, key: str) -> float | None:
        """The number in a column; None where it is null, missing or NaN.

        Raises:
            UserError: it is something else.
        """
        value = self.value.get(key)
        if value is None or (isinstance(value, float) and value != value):
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.fail(f"{key!r} is {short(value)}; a number is needed")
        if math.isinf(value):
            raise self.fail(f"{key!r} is {short(value)}; a finite number is needed")
        return float(value)

    def objects(self, key: str) -> list[dict[str, Any]]:
        """The list of objects in a column.

        Raises:
            UserError: there is none.
        """
        value = self.value.get(key)
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise self.fail(f"{key!r} is {short(value)}; a list of objects is needed")
        return value

    def unknown(self, key: str, found: object, allowed: str) -> UserError:
        """The error of a label that the format does not have."""
        return self.fail(f"unknown label {short(found)} in {key!r}; {allowed} are allowed")

    def fail(self, message: str) -> UserError:
        """An error that names file and row."""
        return UserError(f"{self.place}: {message}")


def read_rows(path: Path) -> list[Row]:
    """Every row of a file: a JSON list, a JSON object (one row), JSON Lines, or Parquet; ``.gz`` is unpacked.

    Raises:
        FileError: it is missing, holds nothing, or a row is no object.
    """
    if path.suffix == ".parquet":
        return [Row(path, number, value) for number, value in enumerate(parquet(path), 1)]
    content = read_text(path)
    if not content.strip():
        raise FileError(path, "is empty")
    rows = []
    for number, value in enumerate(_values(path, content), 1):
        if not isinstance(value, dict):
            raise FileError(path, f"row {number} is {short(value)}; an object is needed")
        rows.append(Row(path, number, value))
    if not rows:
        raise FileError(path, "holds no rows")
    return rows


def read_text(path: Path) -> str:
    """The text of a file, unpacked.

    Raises:
        FileError: it cannot be read or is not UTF-8.
    """
    try:
        return read_content(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileError(path, f"is not UTF-8: {error}") from None


def no_form(row: Row, format: str, known: str) -> UserError:
    """The error of a row whose columns the format does not know."""
    found = ", ".join(map(str, row.value)) or "no columns"
    return row.fail(f"is no row of {format}: it has {found}; known are {known}")


def named(found: str, allowed: Mapping[str, Any]) -> str:
    """The tail of an error on a name, with what is allowed."""
    return did_you_mean(found, allowed)


def short(value: object) -> str:
    """A value as JSON, cut to what fits an error."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _values(path: Path, content: str) -> Iterator[Any]:
    head = content.lstrip()[0]
    if head == "[":
        yield from _decoded(path, content, 0)
        return
    if head == "{":
        try:
            yield msgspec.json.decode(content)
            return
        except msgspec.DecodeError:
            pass  # several objects: JSON Lines, or one that is not whole, which the first line's error says
    for number, line in enumerate(content.split("\n"), 1):
        if line.strip():
            yield _decoded(path, line, number)


def _decoded(path: Path, text: str, line: int) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        try:
            return json.loads(text)  # takes NaN, which some tools write
        except ValueError:
            raise FileError(path, f"is not JSON: {error}", line=line) from None
