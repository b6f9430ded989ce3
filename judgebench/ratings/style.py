"""How an answer looks beside what it says: length, lists, headers and bold, counted in Markdown.

Counts and normalised differences as the public chat arenas' style control takes them; code blocks are not looked into.
"""

from __future__ import annotations

import re

_CODE = re.compile(r"^[ \t]*(```|~~~).*?(?:^[ \t]*\1[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
_PATTERNS = {
    "lists": re.compile(r"^[ \t]*(?:[-*+•]|\d{1,3}[.)])[ \t]+\S", re.MULTILINE),
    "headers": re.compile(r"^ {0,3}#{1,6}[ \t]+\S", re.MULTILINE),
    "bold": re.compile(r"\*\*(?=\S)[^*\n]+\*\*|(?<!\w)__(?=\S)[^_\n]+__(?!\w)"),
}
FEATURES = ("length", *_PATTERNS)
"""Names of the features, in the order of every table."""


def style_counts(text: str) -> dict[str, int]:
    r"""Characters, list entries, headers and bold passages of a text; the last three outside of code blocks.

    >>> style_counts("# A\n- **b**\n- c")
    {'length': 15, 'lists': 2, 'headers': 1, 'bold': 1}
    """
    plain = _CODE.sub("", text)
    return {"length": len(text), **{name: len(pattern.findall(plain)) for name, pattern in _PATTERNS.items()}}


def style_differences(first: dict[str, int], second: dict[str, int]) -> dict[str, float]:
    """Feature → (first - second) / (first + second), in [-1, 1]; 0 where neither has any.

    >>> style_differences(style_counts("ab"), style_counts("abcdef"))["length"]
    -0.5
    """
    sums = {name: first[name] + second[name] for name in FEATURES if name in first and name in second}
    return {name: (first[name] - second[name]) / total if total else 0.0 for name, total in sums.items()}
