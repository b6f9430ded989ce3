"""Texts as their words and letters, whatever they are set in: case, width, accents, look-alikes, mark-up, spacing."""

from __future__ import annotations

import html
import re
import unicodedata
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any

Words = tuple[str, ...]

_WORD = re.compile(r"[぀-ヿ㐀-鿿가-힣]|[^\W_぀-ヿ㐀-鿿가-힣]+|[+*/=<>%^]|-(?![^\W\d_])")
"""A run of letters and digits, one character of a script without spaces, or a sign that changes what is computed."""

_UNSEEN = re.compile(
    "[\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
"""Characters that nobody sees: joiners, soft hyphens, directions, variation selectors."""

_ACCENT = re.compile("[\u0300-\u036f]")

_ALIKE = str.maketrans(
    "авеёкмнорстухіїјѕԁһԛԝӏ" + "αβεικνορτυχ" + "ıɑɡ" + "×∗∙⋅÷⁄−–—‒",
    "abeekmhopctyxiijsdhqwl" + "abeikvoptux" + "iag" + "****//----",
)
"""Letters of other scripts that look like Latin ones, in lower case (of both cases one), and signs of arithmetic."""

ESCAPED = 3
"""Times that a text is escaped which is still read."""

_TAG = re.compile(r"</?[A-Za-z][^<>]{0,200}>")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})|\\[nrt]")


def words(text: str) -> Words:
    """The words of a text, without case, width, accents, punctuation or spacing; signs of arithmetic are words.

    >>> words("What’s 3 +4,  Ève?")
    ('what', 's', '3', '+', '4', 'eve')
    """
    if text.isascii():
        return tuple(_WORD.findall(text.lower()))
    plain = _UNSEEN.sub("", unicodedata.normalize("NFKC", text)).casefold()
    plain = unicodedata.normalize("NFKC", _ACCENT.sub("", unicodedata.normalize("NFD", plain)))
    return tuple(_WORD.findall(plain.translate(_ALIKE)))


def unescaped(text: str) -> str:
    r"""The text as a reader would see it: without mark-up, its entities and escapes as what they stand for.

    >>> unescaped("<b>3 &lt; 4</b>%20\\u003f")
    ' 3 < 4  ?'
    """
    for _ in range(ESCAPED):
        if not any(sign in text for sign in "&<%\\"):
            break
        before = text
        text = _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else " ", text)
        text = html.unescape(_TAG.sub(" ", urllib.parse.unquote(text)))
        if text == before:
            break
    return text


def ngrams(sequence: Sequence[str], size: int) -> list[Words]:
    """Every ``size`` words in a row; none where the sequence is shorter.

    >>> ngrams(["a", "b", "c"], 2)
    [('a', 'b'), ('b', 'c')]
    """
    return [tuple(sequence[at : at + size]) for at in range(len(sequence) - size + 1)]


def texts_of(row: Mapping[str, Any]) -> list[str]:
    """Every text that a training row teaches or shows: its strings, and the contents of its messages.

    >>> texts_of({"prompt": "a", "chosen": [{"role": "assistant", "content": "b"}], "label": True})
    ['a', 'b']
    """
    return [text for _, text in _said(row)]


def threads_of(row: Mapping[str, Any]) -> list[list[str]]:
    """The texts of a row that are read one after another: with each of its answers, and each speaker's own.

    A question may be cut up over them.

    >>> threads_of({"prompt": "a", "chosen": "b", "rejected": "c"})
    [['a', 'b'], ['a', 'c']]
    """
    said = _said(row)
    before = [text for column, text in said if not column.startswith("answer")]
    answers = [text for column, text in said if column.startswith("answer")]
    threads = [[*before, answer] for answer in answers] or [before]
    for speaker in ("user", "assistant", "system"):
        own = [text for column, text in said if column == speaker]
        if 1 < len(own) < len(before):
            threads.append(own)
    return [thread for thread in threads if len(thread) > 1]


def _said(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(who says it, or ``answer`` where it is one of several ways to go on; what) of a row's texts."""
    found: list[tuple[str, str]] = []
    for column in ("messages", "prompt", "completion", "chosen", "rejected", "responses"):
        value = row.get(column, ())
        for part in [value] if isinstance(value, str) else value:
            text = part if isinstance(part, str) else part["content"]
            speaker = "" if isinstance(part, str) else part.get("role", "")
            found.append((speaker if column in ("messages", "prompt") else f"answer {column}", text))
    return found
