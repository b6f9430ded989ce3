"""Verdicts as one JSON object: the words that ask for it, the schema that a decoder can be held to, and the reader.

A Python dictionary is read as well (FLASK's judges print one): the last ``{...}`` that holds what is wanted counts.
"""

from __future__ import annotations

import ast
import itertools
import json
import re
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from judgebench.errors import Unreadable
from judgebench.rubrics import Rubric

VERDICT = "verdict"
"""Key of the verdict where only one dimension is asked for."""

REASONING = "reasoning"
"""Key of the explanation, where one comes first."""

MOST_OBJECTS = 200
"""Objects looked at, the last ones of a reply."""

FLAT = re.compile(r"\{[^{}]*\}")
"""An object that holds no other."""


def keys(dimensions: Sequence[str]) -> tuple[str, ...]:
    """The keys of the object for these dimensions."""
    return tuple(dimensions) if len(dimensions) > 1 else (VERDICT,)


def schema(rubric: Rubric, dimensions: Sequence[str], labels: Sequence[str]) -> dict[str, Any]:
    """The JSON schema of a reply.

    Args:
        rubric: whose form it is.
        dimensions: those asked for in one call.
        labels: what a verdict can be; empty for numbers on the rubric's scale.
    """
    low, high = rubric.scale
    one: dict[str, Any] = {"type": "number", "minimum": low, "maximum": high}
    if labels:
        one = {"type": "string", "enum": list(labels)}
    if rubric.not_applicable:
        one = {"anyOf": [one, {"type": "string", "enum": ["N/A"]}]}
    properties: dict[str, Any] = {REASONING: {"type": "string"}} if rubric.reason_first else {}
    properties.update(dict.fromkeys(keys(dimensions), one))
    return {
        "type": "object", "properties": properties, "required": list(properties), "additionalProperties": False,
    }  # fmt: skip


def ask_for(rubric: Rubric, dimensions: Sequence[str], options: str, example: str) -> str:
    """The instruction that asks for the object.

    Args:
        rubric: whose form it is.
        dimensions: those asked for in one call.
        options: what each verdict is, in words.
        example: one verdict as it is printed.
    """
    shape = dict.fromkeys([REASONING] if rubric.reason_first else [], "…")
    parts = [f'"{key}": "{value}"' for key, value in shape.items()]
    parts += [f'"{key}": {example}' for key in keys(dimensions)]
    first = ", your reasoning in a few sentences first" if rubric.reason_first else ""
    each = "each verdict" if len(dimensions) > 1 else "the verdict"
    none = ' Where it does not apply to the response, print "N/A" instead.' if rubric.not_applicable else ""
    return f"Reply with one JSON object{first}: {{{', '.join(parts)}}}, where {each} is {options}.{none}"


def read(text: str, dimensions: Sequence[str]) -> dict[str, Any]:
    """Dimension → what the last object that holds any of them says of it; a dimension it leaves out is missing.

    Keys are compared without case, with spaces for underscores.

    Raises:
        Unreadable: no object holds any.
    """
    wanted = {_plain(key): dimension for key, dimension in zip(keys(dimensions), dimensions, strict=True)}
    if len(dimensions) == 1:
        wanted[_plain(dimensions[0])] = dimensions[0]
    for found in _objects(text):
        read = {wanted[_plain(key)]: value for key, value in found.items() if _plain(key) in wanted}
        if read:
            return read
    raise Unreadable("no JSON object with a verdict")


def _plain(key: object) -> str:
    return " ".join(str(key).replace("_", " ").split()).casefold()


def _objects(text: str) -> Iterator[dict[Any, Any]]:
    """JSON objects and flat Python dictionaries, the last to begin first."""
    flat = {match.start(): match[0] for match in deque(FLAT.finditer(text), maxlen=MOST_OBJECTS)}
    decoder = json.JSONDecoder()
    begins = (match.start() for match in deque(re.finditer(r"\{", text), maxlen=MOST_OBJECTS))
    for begin in sorted(itertools.chain(begins, flat), reverse=True):
        found: Any = None
        try:
            found, _ = decoder.raw_decode(text, begin)
        except (ValueError, RecursionError):
            if begin in flat and len(flat[begin]) < 100_000:
                try:
                    found = ast.literal_eval(flat[begin])
                except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
                    found = None
        if isinstance(found, dict):
            yield found
