"""Training rows: a JSON Lines file read, its columns checked, rows that teach nothing dropped and counted."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from judgebench.errors import FileError, UserError, did_you_mean
from judgebench.types import Record

Row = dict[str, Any]
Message = dict[str, str]
ROLES = ("system", "user", "assistant", "tool")
BOM = b"\xef\xbb\xbf"

SIDES = ("prompt", "completion", "chosen", "rejected")
"""Columns that hold a text, or a list of messages."""


class Rows(Record, frozen=True, kw_only=True):
    """What is left of a data file."""

    rows: list[dict[str, Any]]
    """Rows with the stage's columns and no others, all of one form: texts or messages."""
    dropped: dict[str, int]
    """Reason → rows left out for it."""
    read: int
    """Rows of the file."""
    sha256: str
    """Of the file."""

    @property
    def messages(self) -> bool:
        """Whether the rows are messages, and need a chat template."""
        return any(isinstance(value, list) and value and isinstance(value[0], dict) for value in self.rows[0].values())


def read_rows(file: str, forms: Sequence[Sequence[str]], optional: Sequence[str] = ()) -> Rows:
    """The rows of a file that have the columns of one of the forms.

    Dropped and counted are rows with an empty side, and pairs whose sides are equal. All rows have one form. Sides that
    are whole conversations are taken for what they answer after the prompt (`own_replies`).

    Args:
        file: JSON Lines.
        forms: lists of columns; the first that the first row has is taken.
        optional: columns kept where a row has them, and not null.

    Raises:
        FileError: no JSON object, a column is missing or of a wrong type, texts and messages mixed, or conversations
            that do not begin alike.
        UserError: the file is not there, or nothing is left of it.
    """
    path = Path(file)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"--data {file}: cannot be read: {error.strerror}") from error
    if content.removeprefix(BOM).lstrip()[:1] == b"[":
        raise FileError(path, "is a JSON list, and JSON Lines, one object a line, are meant: 'judgebench data convert' "
                        "makes them of it")  # fmt: skip
    rows: list[Row] = []
    dropped: Counter[str] = Counter()
    columns: tuple[str, ...] = ()
    shapes: dict[str, type] = {}
    read = 0
    for number, row in json_lines(path, content):
        read += 1
        if not columns:
            columns = _form(path, number, row, forms)
        for column in columns:
            if column not in row:
                raise FileError(path, f"the column is missing; this row has {_names(row)}", line=number, key=column)
            row[column] = _checked(path, number, column, row[column])
        for column in optional:
            if row.get(column) is not None:
                row[column] = _checked(path, number, column, row[column])
        if "chosen" in columns and whole(row["chosen"], row["rejected"]):
            try:
                row["prompt"], row["chosen"], row["rejected"] = own_replies(
                    row["prompt"], row["chosen"], row["rejected"]
                )
            except ValueError as error:
                raise FileError(path, str(error), line=number, key="chosen, rejected") from error
        for column in columns:
            if column in SIDES and shapes.setdefault("side", type(row[column])) is not type(row[column]):
                raise FileError(path, "texts and messages are mixed in one file", line=number, key=column)
        why = _useless(row, columns)
        if why:
            dropped[why] += 1
            continue
        rows.append({key: row[key] for key in (*columns, *optional) if row.get(key) is not None})
    if not rows:
        counted = ", ".join(f"{count} {why}" for why, count in dropped.items()) or "it is empty"
        raise UserError(f"--data {file}: no row to train on ({counted})")
    return Rows(rows=rows, dropped=dict(dropped), read=read, sha256=hashlib.sha256(content).hexdigest())


def json_lines(path: Path, content: bytes) -> Iterator[tuple[int, Row]]:
    """The objects of JSON Lines with the numbers of their lines; empty lines and a byte order mark are passed over.

    Raises:
        FileError: a line is no JSON object, or the file is not UTF-8.
    """
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise FileError(path, "is UTF-16, and UTF-8 is meant")
    if content[:2] == b"\x1f\x8b":
        raise FileError(path, "is compressed: unpack it first")
    for number, line in enumerate(content.removeprefix(BOM).splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = msgspec.json.decode(line)
        except UnicodeDecodeError as error:
            raise FileError(path, f"is not UTF-8 (byte {error.object[error.start]:#x})", line=number) from error
        except msgspec.DecodeError as error:
            raise FileError(path, f"is no JSON object: {error}", line=number) from error
        if not isinstance(row, dict):
            raise FileError(path, f"is no JSON object but {json.dumps(row)[:40]}", line=number)
        yield number, row


def own_replies(prompt: Any, chosen: Any, rejected: Any) -> tuple[list[Message], list[Message], list[Message]]:
    """A pair of whole conversations as the prompt that they share, and the last reply of each.

    So are the rows of UltraFeedback, binarised: the prompt as a text, and each side a chat that begins with it. What
    both sides say before their replies, a system message or further turns, belongs to the prompt.

    Raises:
        ValueError: a side is no conversation that ends in a reply, or they do not begin alike, and with the prompt.
    """
    asked = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    if not all(
        isinstance(side, list) and len(side) > 1 and side[-1]["role"] == "assistant" for side in (chosen, rejected)
    ):
        raise ValueError("where a side is a whole conversation, both must be, and end in a message of the assistant")
    begun = chosen[:-1]
    if begun != rejected[:-1]:
        raise ValueError("the conversations are not the same up to their last replies")
    unheard = begun[1:] if begun[0]["role"] == "system" and asked[:1] != begun[:1] else begun
    if [_said(each) for each in unheard[: len(asked)]] != [_said(each) for each in asked]:
        raise ValueError("the conversations do not begin with the prompt")
    return begun, chosen[-1:], rejected[-1:]


def only_text(value: Any, why: str) -> str:
    """A text, or that of the one message of a side.

    Args:
        value: the side.
        why: what stands in the error, such as "a ranked answer is one message".

    Raises:
        UserError: there are several messages.
    """
    if isinstance(value, str):
        return value
    if len(value) != 1:
        raise UserError(f"{why}; these rows have several")
    return str(value[0]["content"])


def with_messages(rows: Iterable[Row]) -> list[Row]:
    """Rows of ``messages`` whose last message is the assistant's, as ``prompt`` and ``completion`` messages."""
    return [{"prompt": row["messages"][:-1], "completion": row["messages"][-1:]} for row in rows]


def keep_fitting(
    rows: Sequence[Row], length: Callable[[Row], int], limit: int | None, dropped: dict[str, int]
) -> list[int]:
    """Indices of the rows of at most ``limit`` tokens; the others are counted under ``dropped``."""
    if limit is None:
        return list(range(len(rows)))
    kept = [index for index, row in enumerate(rows) if length(row) <= limit]
    if len(kept) < len(rows):
        dropped[f"longer than {limit} tokens"] = len(rows) - len(kept)
    return kept


def _form(path: Path, number: int, row: Row, forms: Sequence[Sequence[str]]) -> tuple[str, ...]:
    for form in forms:
        if all(column in row for column in form):
            return tuple(form)
    wanted = " or ".join("+".join(form) for form in forms)
    known = {column for form in forms for column in form}
    near = [did_you_mean(column, known).partition("?")[0] for column in row if column not in known]
    hint = next((f"; {text}?" for text in near if text.startswith("did you mean")), "")
    raise FileError(path, f"has the columns {_names(row)}, and {wanted} are needed{hint}", line=number)


def _names(row: Mapping[str, Any]) -> str:
    return ", ".join(sorted(row)) or "none"


def _checked(path: Path, number: int, column: str, value: Any) -> Any:
    if column in SIDES and isinstance(value, str):
        return value
    if column == "label":
        if not isinstance(value, bool) and value not in (0, 1):
            raise FileError(path, f"true or false is meant, found {json.dumps(value)[:40]}", line=number, key=column)
        return bool(value)
    if column == "scores":
        numbers = isinstance(value, list) and all(type(each) in (int, float) for each in value)
        if not numbers:
            raise FileError(path, "a list of numbers is meant", line=number, key=column)
        return [float(each) for each in value]
    if column == "responses":
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise FileError(path, "a list of texts is meant, the best first", line=number, key=column)
        return value
    if column == "choices":
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise FileError(path, "a list of texts is meant", line=number, key=column)
        return value
    if column == "reference":
        if not isinstance(value, str) and type(value) not in (int, float):
            raise FileError(path, f"a text is meant, found {json.dumps(value)[:40]}", line=number, key=column)
        return value
    if column in SIDES or column == "messages":
        return _messages(path, number, column, value)
    return value


def whole(chosen: Any, rejected: Any) -> bool:
    """Whether a side is a conversation from its beginning: a reply begins with the assistant."""
    return any(isinstance(side, list) and side and side[0]["role"] in ("user", "system") for side in (chosen, rejected))


def _said(message: Message) -> tuple[str, str]:
    return message["role"], message["content"].strip()


def _messages(path: Path, number: int, column: str, value: Any) -> list[dict[str, str]]:
    wrong = "a list of messages with role and content is meant"
    if not isinstance(value, list):
        meant = wrong if column == "messages" else f"a text or {wrong.removesuffix(' is meant')} is meant"
        raise FileError(path, f"{meant}, found {json.dumps(value)[:40]}", line=number, key=column)
    for message in value:
        if not isinstance(message, dict) or not isinstance(message.get("content"), str):
            raise FileError(path, wrong, line=number, key=column)
        if message.get("role") not in ROLES:
            raise FileError(
                path, f"role {message.get('role')!r}: {did_you_mean(str(message.get('role')), ROLES)}",
                line=number, key=column,
            )  # fmt: skip
    return [{"role": message["role"], "content": message["content"]} for message in value]


def _empty(value: Any) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return not value or not value[-1]["content"].strip()


def _useless(row: Row, columns: Sequence[str]) -> str:
    """Why a row teaches nothing; empty where it does."""
    for column in columns:
        if column in (*SIDES, "messages") and _empty(row[column]):
            return f"with an empty {column}"
    if "messages" in columns:
        if row["messages"][-1]["role"] != "assistant":
            return "whose last message is not the assistant's"
        if len(row["messages"]) < 2:
            return "of one message only"
    if "chosen" in columns and "rejected" in columns and row["chosen"] == row["rejected"]:
        return "with chosen equal to rejected"
    if "responses" in columns:
        if any(not text.strip() for text in row["responses"]):
            return "with an empty response"
        if len(set(row["responses"])) < max(2, len(row["responses"])):
            return "with fewer than two responses, or equal ones"
    return ""
