"""Texts as cells of a CSV file: nothing that a spreadsheet runs, nothing that hides, and the way back."""

from __future__ import annotations

from judgebench.report.visible import visible

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%", "＝", "＋", "－", "＠")
"""First characters at which a spreadsheet may take a cell for a formula; some take the wide forms too."""
_LINES = str.maketrans({"\n": "⟨U+000A⟩", "\t": "⟨U+0009⟩"})


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


def written_out(text: str) -> str:
    r"""The text on one line, with hidden characters, line ends and tabs as their code points.

    >>> written_out("a\nb")
    'a⟨U+000A⟩b'
    """
    return visible(text).translate(_LINES)
