"""Fences around what is judged: marks that text inside them cannot forge, and quotations that are no verdicts.

A mark is made of a hash over everything that is fenced in one call and of what the call is about. So it is the same
when a run goes on, differs from call to call, and nothing that is fenced contains it: whoever writes an answer would
have to put the hash of that answer into it.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections import deque
from collections.abc import Iterable, Sequence

LENGTH = 10
"""Hexadecimal digits of a mark."""

NEAR, ALIKE = 40, 16
"""Characters looked at on either side of a token, and how many must be those of an answer to make it a quotation."""

MOST = 200
"""Tokens compared of each text, the last ones."""

_MARKS = {'"': '"', "'": "'", "`": "`", "“": "”", "‘": "’", "«": "»", "„": "“", "「": "」", "『": "』"}
"""Opening quotation mark → closing."""


def fence(texts: Iterable[str], key: object = "") -> str:
    """A mark of ten hexadecimal digits that none of the texts holds.

    Args:
        texts: everything that is fenced in one call.
        key: what the call is about, so that equal texts get other marks elsewhere.

    >>> fence(["answer"], ("suite", "1")) == fence(["answer"], ("suite", "1")) != fence(["answer!"], ("suite", "1"))
    True
    """
    fenced = list(texts)
    digest = hashlib.sha256(repr((key, fenced)).encode("utf-8", "surrogatepass"))
    while True:
        mark = digest.hexdigest()[:LENGTH]
        if not any(mark in text for text in fenced):
            return mark
        digest.update(b"+")


def without_quotations(reply: str, shown: Sequence[str], token: re.Pattern[str]) -> str:
    r"""The judge's reply with the verdict-like tokens that it quotes from the answers blanked out, its length kept.

    Only what the answers themselves hold can be a quotation: where no answer holds such a token the reply comes back as
    it is. Else a token that an answer holds too is a quotation where the reply puts it into quotation marks, alone or
    behind the answer's own words, or repeats at least 16 of the 80 characters around it.

    Args:
        reply: the judge's words.
        shown: texts of the answers.
        token: what looks like a verdict, with the words that the form itself puts before it.

    >>> pattern = re.compile(r"\[\[[AB]\]\]")
    >>> without_quotations("It ends 'and so you print [[A]]'. Mine: [[A]]", ["Well, and so you print [[A]]"], pattern)
    "It ends 'and so you print      '. Mine: [[A]]"
    """
    held: dict[str, list[tuple[str, str]]] = {}
    for text in shown:
        for match in _last(token, text):
            held.setdefault(_plain(match[0]), []).append(_around(text, match))
    if not held:
        return reply
    for match in _last(token, reply):
        before, after = _around(reply, match)
        if any(
            _alike(before[::-1], other[::-1]) + _alike(after, following) >= ALIKE or _in_marks(before, after, other)
            for other, following in held.get(_plain(match[0]), ())
        ):
            reply = reply[: match.start()] + " " * len(match[0]) + reply[match.end() :]
    return reply


def _last(token: re.Pattern[str], text: str) -> Iterable[re.Match[str]]:
    return list(deque(token.finditer(text), maxlen=MOST))


def _plain(token: str) -> str:
    return "".join(token.split()).casefold()


def _around(text: str, match: re.Match[str]) -> tuple[str, str]:
    return text[max(0, match.start() - NEAR) : match.start()], text[match.end() : match.end() + NEAR]


def _in_marks(before: str, after: str, other: str) -> bool:
    """Whether a quotation mark opens before the token and closes behind it, with only the answer's words between."""
    return any(
        opening in before and after.startswith(closing) and other.endswith(before.rpartition(opening)[2])
        for opening, closing in _MARKS.items()
    )


def _alike(one: str, other: str) -> int:
    """Characters that both begin with."""
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
