"""Finding what looks like a key where it would be recorded: options stand in manifests, config files and errors."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

_FIELD = re.compile(
    r"(?:^|[_-])(?:api[_-]?key|apikey|secret(?:[_-]?(?:access[_-]?)?key)?|password|passwd|credentials?|private[_-]?key"
    r"|(?:auth|access|bearer|refresh|session|id)[_-]?token|access[_-]?key(?:[_-]?id)?|authorization|x[_-]?api[_-]?key)$"
    r"|^(?:key|token|auth|bearer|cookie)$",
    re.IGNORECASE,
)
"""Names of fields that hold a key and nothing else; ``max_tokens`` and ``stop_token_ids`` are none of them."""
_VALUE = re.compile(
    r"(?<![A-Za-z0-9])(?:sk-[A-Za-z0-9_-]{16,}|sk_[a-z]+_[A-Za-z0-9]{16,}|hf_[A-Za-z0-9]{20,}|gsk_[A-Za-z0-9]{20,}"
    r"|xai-[A-Za-z0-9]{20,}|AIza[A-Za-z0-9_-]{30,}|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,}|AKIA[A-Z0-9]{16}"
    r"|r8_[A-Za-z0-9]{30,}|nvapi-[A-Za-z0-9_-]{20,}|pplx-[A-Za-z0-9]{20,}"
    r"|eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]+)"
    r"|(?i:^\s*(?:bearer|basic)\s+\S{8,})"
    r"|(?i:\bhttps?://[^\s/?#@:]*:[^\s/?#@]+@)"
)
"""Forms that keys of well-known services have, signed web tokens, Authorization values, passwords in addresses."""
_VARIABLE = re.compile(
    r"(?:^|_)(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS)(?:_|$)|(?:APIKEY|_PAT)$", re.IGNORECASE
)
SHORTEST = 8
"""Characters below which the value of a variable is too short to be told from a word."""


def find_secret(value: Any, where: str = "") -> str:
    """Where in a value something looks like a key, as a dotted path and why; empty where nothing does. Never the key.

    Looked at are fields whose name says so and that hold a text, texts in the form of a well-known service's keys, and
    the values of this process's environment variables whose names end in KEY, TOKEN, SECRET or PASSWORD.

    Args:
        value: texts, numbers, lists and mappings; a text of JSON is looked into.
        where: path of the value itself.

    >>> find_secret({"nested": [{"api_key": "0123456789"}]}, "extra_body")
    "extra_body.nested.0.api_key (a field called 'api_key')"
    >>> find_secret({"max_tokens": 5, "stop_token_ids": [1], "guided_choice": ["A", "B"]})
    ''
    """
    known = [text for name, text in os.environ.items() if _VARIABLE.search(name) and len(text.strip()) >= SHORTEST]
    return next(_found(value, where, [text.strip() for text in known]), "")


def _found(value: Any, where: str, known: list[str]) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, each in value.items():
            path = f"{where}.{name}" if where else str(name)
            if _in_text(str(name), known):
                yield f"{where or 'a field'} (the name of a field)"
                continue
            if _FIELD.search(str(name)) and isinstance(each, str) and each.strip():
                yield f"{path} (a field called {str(name)!r})"
            yield from _found(each, path, known)
    elif isinstance(value, list | tuple):
        for number, each in enumerate(value):
            yield from _found(each, f"{where}.{number}" if where else str(number), known)
    elif isinstance(value, str):
        why = _in_text(value, known)
        if why:
            yield f"{where or 'a text'} ({why})"
        elif value.lstrip()[:1] in ("{", "["):
            try:
                decoded = msgspec.json.decode(value)
            except msgspec.DecodeError:
                return
            yield from _found(decoded, where, known)


def _in_text(text: str, known: list[str]) -> str:
    if _VALUE.search(text):
        return "it has the form of a key"
    return "the value of an environment variable that holds a key" if any(key in text for key in known) else ""
