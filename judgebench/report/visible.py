"""Text that a model or a user wrote, with every character that hides or moves text made visible."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

_JOINERS = "\u200c\u200d"
_EMPTY = "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\U0001d159"
"""Letters and marks that print nothing: fillers, the grapheme joiner, inherent vowels, a note without a head."""
_SELECTORS = "\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef"
"""Variation selectors: one behind a character chooses how it is drawn; elsewhere, or in rows, they only hide."""
_SELECTOR = re.compile(f"[{_SELECTORS}]")
_PRINTS_NOTHING = re.compile(f"[{_EMPTY}{_SELECTORS}\u2800]")
"""What Python calls printable, and is not seen."""


def _stands_for(character: str) -> str:
    """What a reader sees instead of one hidden character: its code point in brackets, which every font can show."""
    return f"⟨U+{ord(character):04X}⟩"


def _hidden(text: str, at: int) -> bool:
    """True where the character at ``at`` shows nothing, or changes how its neighbours are shown."""
    character = text[at]
    if character in "\n\t":
        return False
    if character in _JOINERS:  # emoji and several scripts need them; between ASCII letters they only hide something
        inside = 0 < at < len(text) - 1
        return not (inside and text[at - 1] > "\x7f" and text[at + 1] > "\x7f")
    if _PRINTS_NOTHING.match(character):
        before, after = text[at - 1 : at], text[at + 1 : at + 2]
        if character == "\u2800":  # between dots it is the space of Braille
            return not any("\u2801" <= each <= "\u28ff" for each in before + after)
        if _SELECTOR.match(character):
            keycap = after == "\u20e3" and before in tuple("0123456789#*")
            return not (keycap or (before > "\x7f" and not _hidden(text, at - 1) and not _SELECTOR.match(before)))
        return True
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def pieces(text: str) -> Iterator[tuple[str, bool]]:
    """Runs of ``text`` in order, each with True where it replaces a hidden character; a line ends with one feed."""
    text = text.replace("\r\n", "\n")
    if text.isprintable() and not _PRINTS_NOTHING.search(text):
        if text:
            yield text, False
        return
    start = 0
    for at in range(len(text)):
        if _hidden(text, at):
            if at > start:
                yield text[start:at], False
            yield _stands_for(text[at]), True
            start = at + 1
    if start < len(text):
        yield text[start:], False


def visible(text: str) -> str:
    r"""``text`` with control, ANSI, bidirectional, zero-width, empty and broken characters written out.

    Lines and tabs stay.

    >>> print(visible("\x1b[31mred \u202eback"))
    ⟨U+001B⟩[31mred ⟨U+202E⟩back
    """
    return "".join(piece for piece, _ in pieces(text))


def one_line(text: str) -> str:
    """``visible(text)`` on one line: a line end is shown as ⏎ and a tab as a space."""
    return visible(text).replace("\n", "⏎").replace("\t", " ")


def shorten(text: str, characters: int) -> tuple[str, int]:
    """The first ``characters`` characters of ``text``, and how many were left out."""
    return text[:characters], max(0, len(text) - characters)
