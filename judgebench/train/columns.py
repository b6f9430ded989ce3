"""Training rows in the field's columns: recognised by their columns, read into one form, written in another."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from judgebench.errors import FileError, UserError
from judgebench.train.rows import BOM, json_lines, own_replies, whole

Row = dict[str, Any]
Talk = list[dict[str, str]]

READ = {
    "pairs": ("prompt", "chosen", "rejected"), "talks": ("chosen", "rejected"), "messages": ("messages",),
    "sharegpt": ("conversations",), "marked": ("prompt", "completion", "label"), "ranked": ("prompt", "responses"),
    "completion": ("prompt", "completion"), "alpaca": ("instruction", "output"), "response": ("prompt", "response"),
    "prompts": ("prompt",), "instructions": ("instruction",),
}  # fmt: skip
"""Form → the columns by which it is known; the first that fits counts. ``talks`` are whole conversations."""

NAMED = frozenset((*(column for columns in READ.values() for column in columns), "input"))
"""Columns that some form gives a meaning."""

WRITTEN = ("messages", "sharegpt", "completion", "alpaca", "pairs", "marked", "ranked", "prompts")
"""Forms that can be written."""

_SPEAKERS = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "model": "assistant",
             "system": "system"}  # fmt: skip


def read_data(file: str, unread: Counter[str] | None = None) -> tuple[list[Row], str]:
    """The rows of a JSON Lines file (or a JSON list) as ``prompt`` (messages), its answers as texts, and other columns.

    A column that belongs to another form than the row's is not read, since it would stand for something else there:
    UltraChat's ``prompt`` beside ``messages``. A ``label`` that is true or false marks an answer in any form.

    Args:
        file: its path.
        unread: counts the rows that have such a column, by its name.

    Returns:
        The rows and the form they were in, all of them one.

    Raises:
        UserError: the file cannot be read or is empty.
        FileError: no JSON object, unknown columns, another form than the first row's, or a malformed conversation.
    """
    path = Path(file)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from error
    plain = content.removeprefix(BOM)
    if plain.lstrip()[:1] == b"[":
        try:
            found = list(enumerate(msgspec.json.decode(plain, type=list[Any]), 1))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise FileError(path, f"is neither a JSON list nor JSON Lines: {error}") from error
    else:
        found = list(json_lines(path, content))
    rows: list[Row] = []
    form = ""
    for number, row in found:
        if not isinstance(row, dict):
            raise FileError(path, "is no JSON object", line=number)
        own = next((name for name, columns in READ.items() if all(column in row for column in columns)), "")
        if not own:
            known = "; ".join("+".join(columns) for columns in READ.values())
            raise FileError(path, f"has the columns {', '.join(sorted(row)) or 'none'}; known are {known}", line=number)
        form = form or own
        if own != form:
            raise FileError(path, f"has the columns of {own}, and the first row those of {form}", line=number)
        try:
            rows.append(_read(own, row))
            if unread is not None:
                unread.update(_unread(own, row))
        except (KeyError, TypeError, ValueError) as error:
            raise FileError(path, f"is no row of {own}: {error}", line=number) from error
    if not rows:
        raise UserError(f"{file}: it is empty")
    return rows, form


def write_form(rows: Iterable[Mapping[str, Any]], form: str) -> tuple[list[Row], dict[str, int]]:
    """The rows in one of the forms written, and reason → rows that have no such form.

    Pairs as ``marked`` are two rows each; in forms of one answer it is the chosen one.

    Args:
        rows: as `read_data` gives them.
        form: one of `WRITTEN`.
    """
    made: list[Row] = []
    dropped: Counter[str] = Counter()
    for row in rows:
        own = _written(row, form)
        if isinstance(own, str):
            dropped[own] += 1
        else:
            made += own
    if all(len(row["prompt"]) == 1 for row in made if isinstance(row.get("prompt"), list)):
        made = [
            {**row, "prompt": row["prompt"][0]["content"]} if isinstance(row.get("prompt"), list) else row
            for row in made
        ]
    else:
        sides = ("completion", "chosen", "rejected")
        made = [{key: _said(value) if key in sides else value for key, value in row.items()} for row in made]
    return made, dict(dropped)


def prompt_text(row: Mapping[str, Any]) -> str:
    """The prompt of a row as one text."""
    return "\n\n".join(message["content"] for message in row["prompt"])


def _read(form: str, row: Row) -> Row:
    columns = READ[form]
    passed_over = _unread(form, row)
    more = {key: value for key, value in row.items() if key not in columns and key not in passed_over}
    if form in ("messages", "sharegpt"):
        talk = _talk(row[columns[0]])
        return {"prompt": talk[:-1], "completion": talk[-1]["content"], **more} if _answered(talk) else {
            "prompt": talk, **more}  # fmt: skip
    if form == "talks":
        chosen, rejected = _talk(row["chosen"]), _talk(row["rejected"])
        if not (_answered(chosen) and _answered(rejected)) or chosen[:-1] != rejected[:-1]:
            raise ValueError("chosen and rejected must be one conversation up to their last reply")
        return {"prompt": chosen[:-1], "chosen": chosen[-1]["content"], "rejected": rejected[-1]["content"], **more}
    if form in ("alpaca", "instructions"):
        given = more.pop("input", "") or ""
        if not isinstance(row["instruction"], str) or not isinstance(given, str):
            raise ValueError("instruction and input are texts")
        asked = row["instruction"] + (f"\n\n{given}" if given else "")
        answered = {"completion": _text(row["output"])} if form == "alpaca" else {}
        return {"prompt": [{"role": "user", "content": asked}], **answered, **more}
    prompt = row["prompt"]
    if form == "pairs":
        row = _pair(row)
        prompt = row["prompt"]
    made: Row = {"prompt": [{"role": "user", "content": prompt}] if isinstance(prompt, str) else _talk(prompt)}
    for column in columns[1:]:
        if column == "responses" and not (isinstance(row[column], list) and all(map(_is_text, row[column]))):
            raise ValueError("responses is a list of texts, the best first")
        if column == "label" and not _marks(row[column]):
            raise ValueError(f"label: true or false is meant, found {json.dumps(row[column])[:40]}")
        name = "completion" if column == "response" else column
        made[name] = row[column] if column in ("label", "responses") else _text(row[column])
    return {**made, **more}


def _unread(form: str, row: Row) -> list[str]:
    """The columns of a row that another form gives a meaning, and its own none."""
    own = {*READ[form], *(("input",) if form in ("alpaca", "instructions") else ())}
    return [column for column in row if column in NAMED and column not in own
            and not (column == "label" and _marks(row[column]))]  # fmt: skip


def _marks(value: Any) -> bool:
    return isinstance(value, bool) or value in (0, 1)


def _pair(row: Row) -> Row:
    """A pair whose sides are whole conversations as one of replies; another as it is."""
    sides = [_talk(row[side]) if isinstance(row[side], list) else row[side] for side in ("chosen", "rejected")]
    if not whole(*sides):
        return row
    prompt = row["prompt"] if isinstance(row["prompt"], str) else _talk(row["prompt"])
    asked, chosen, rejected = own_replies(prompt, *sides)
    return {**row, "prompt": asked, "chosen": chosen, "rejected": rejected}


def _written(row: Mapping[str, Any], form: str) -> list[Row] | str:
    """The rows in a form, or why there is none."""
    answer = row.get("completion", row.get("chosen"))
    more = {key: value for key, value in row.items()
            if key not in ("prompt", "completion", "chosen", "rejected", "label", "responses")}  # fmt: skip
    prompt: Talk = list(row["prompt"])
    if form == "prompts":
        return [{"prompt": prompt, **more}]
    if form == "pairs":
        if "rejected" not in row:
            return "without a rejected answer"
        return [{"prompt": prompt, "chosen": row["chosen"], "rejected": row["rejected"], **more}]
    if form == "ranked":
        responses = row.get("responses") or ([row["chosen"], row["rejected"]] if "rejected" in row else None)
        return [{"prompt": prompt, "responses": responses, **more}] if responses else "without ranked answers"
    if form == "marked":
        if "rejected" in row:
            sides = ((row["chosen"], True), (row["rejected"], False))
            return [{"prompt": prompt, "completion": text, "label": label, **more} for text, label in sides]
        if "label" not in row:
            return "without a label"
        return [{"prompt": prompt, "completion": answer, "label": bool(row["label"]), **more}]
    if answer is None:
        answer = (row.get("responses") or [None])[0]
    if answer is None:
        return "without an answer"
    if row.get("label") in (False, 0):
        return "marked bad"
    if form == "completion":
        return [{"prompt": prompt, "completion": answer, **more}]
    talk = [*prompt, {"role": "assistant", "content": answer}]
    if form == "messages":
        return [{"messages": talk, **more}]
    if form == "sharegpt":
        names = {"user": "human", "assistant": "gpt", "system": "system"}
        return [{"conversations": [{"from": names[each["role"]], "value": each["content"]} for each in talk], **more}]
    if len(prompt) > 1:
        return "of several messages"
    return [{"instruction": prompt[0]["content"], "input": "", "output": answer, **more}]


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _talk(value: Any) -> Talk:
    talk = []
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise ValueError(f"a text or a list of messages is meant, found {json.dumps(value)[:40]}")
    for each in value:
        role = each.get("role") or each.get("from")
        content = each.get("content", each.get("value"))
        if role not in _SPEAKERS or not isinstance(content, str):
            raise ValueError(f"a message needs a role ({', '.join(_SPEAKERS)}) and a text")
        talk.append({"role": _SPEAKERS[role], "content": content})
    if not talk:
        raise ValueError("a conversation without messages")
    return talk


def _answered(talk: Talk) -> bool:
    return talk[-1]["role"] == "assistant" and len(talk) > 1


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    talk = _talk(value)
    if len(talk) != 1:
        raise ValueError("an answer of one message is meant")
    return talk[0]["content"]


def _said(value: str) -> Talk:
    return [{"role": "assistant", "content": value}]


def split(rows: Sequence[Row], why: Callable[[Row], str]) -> tuple[list[Row], dict[str, int]]:
    """The rows for which there is no reason against them, and reason → the others."""
    kept, dropped = [], Counter[str]()
    for row in rows:
        reason = why(row)
        if reason:
            dropped[reason] += 1
        else:
            kept.append(row)
    return kept, dict(dropped)
