"""Texts as cells of a CSV file: nothing that a spreadsheet runs, nothing that hides, and the way back."""

from __future__ import annotations

import re
import sys

from judgebench.report.visible import visible

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%", "＝", "＋", "－", "＠")
"""First characters at which a spreadsheet may take a cell for a formula; some take the wide forms too."""
_LINES = str.maketrans({"\n": "⟨U+000A⟩", "\t": "⟨U+0009⟩"})
_WRITTEN = re.compile("⟨U\\+([0-9A-F]{4,6})⟩")
"""A character by its code point."""


def runs(text: str) -> bool:
    """Whether a spreadsheet may take the text for a formula, or for one behind apostrophes."""
    return text.lstrip("'").lstrip(" ").startswith(FORMULA)


def guarded(text: str) -> str:
    """The text behind an apostrophe where a spreadsheet may run it.

    >>> guarded("=HYPERLINK(1)"), guarded("fine")
    ("'=HYPERLINK(1)", 'fine')
    """
    return f"'{text}" if runs(text) else text


def restored(cell: str) -> str:
    """What `guarded` made the cell of.

    >>> restored(guarded("=1")), restored(guarded("'=1")), restored(guarded("'tis"))
    ('=1', "'=1", "'tis")
    """
    return cell[1:] if cell.startswith("'") and runs(cell) else cell


def name_cell(text: str) -> str:
    r"""A name as a cell: on one line, hidden characters, line ends and tabs written out by their code points, guarded.

    >>> name_cell("a\nb\x1b"), name_cell("@a")
    ('a⟨U+000A⟩b⟨U+001B⟩', "'@a")
    """
    return guarded(written_out(text))


def named_by(cell: str) -> str:
    r"""What `name_cell` made the cell of.

    >>> named_by(name_cell("=a\r\n⟨U+200B⟩\u200b"))
    '=a\r\n⟨U+200B⟩\u200b'
    """
    return turned_back(restored(cell))


def written_out(text: str) -> str:
    r"""The text on one line, with hidden characters, line ends and tabs as their code points.

    The first letter of what already looks so is written out too: no two texts give the same.

    >>> written_out("a\nb"), written_out("⟨U+000A⟩")
    ('a⟨U+000A⟩b', '⟨U+27E8⟩U+000A⟩')
    """
    return "⟨U+000D⟩".join(map(lines_written_out, text.split("\r"))).translate(_LINES)


def lines_written_out(text: str) -> str:
    r"""The same with lines and tabs kept; a line ends with one feed.

    >>> lines_written_out("a\r\nb\u200b")
    'a\nb⟨U+200B⟩'
    """
    return visible(_WRITTEN.sub(lambda found: f"⟨U+27E8⟩{found[0][1:]}", text))


def turned_back(shown: str) -> str:
    r"""What `written_out` was given, or `lines_written_out` of a text whose lines end with one feed.

    >>> turned_back("a⟨U+000A⟩b ⟨U+27E8⟩U+000A⟩")
    'a\nb ⟨U+000A⟩'
    """
    return _WRITTEN.sub(
        lambda found: chr(int(found[1], 16)) if int(found[1], 16) <= sys.maxunicode else found[0], shown
    )
