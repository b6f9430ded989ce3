"""A choice by its text: the exact words first, and of choices that read alike none is guessed."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Sequence

from judgebench.errors import Unreadable

_EDGES = " .,;:!?*_`\"'“”‘’$。，、；："
_DENIAL = re.compile(
    r"(?:(?:\b(?:not|never|cannot|isn|wasn|neither|nor|without|wrong|incorrect|exclude|excludes|except)|n['’]t)\W+"
    r"(?:\w+\W+){0,2}|(?:不|非|没有|排除))$",
    re.IGNORECASE,
)
# 10 is not 10,000, 10.5, 10% or 10/3; what "or" follows is not chosen.
_GOES_ON = r"(?!\w)(?![.,:]\d)(?!-\w)(?!\s*[%^/×÷=+°•∨⊃≡])(?!\s*[-−–]\s*\d)(?!\s*(?:or\b|或))"


def letters_of(choices: Sequence[str]) -> str:
    """A, B, C ... as many as there are choices; A to E where there are none.

    >>> letters_of(["x", "y", "z"])
    'ABC'
    """
    return "".join(chr(ord("A") + place) for place in range(len(choices) or 5))


def plain(text: str) -> str:
    """The text with white space folded, all else as it is."""
    return " ".join(text.split())


def trimmed(text: str) -> str:
    """The text with Unicode composed and without the marks around it; capitals stay.

    >>> trimmed("**New  York**.")
    'New York'
    """
    text = plain(unicodedata.normalize("NFKC", text))
    inner = text.strip(_EDGES)
    if inner.startswith("(") and inner.endswith(")") and not re.search(r"[()]", inner[1:-1]):
        inner = inner[1:-1].strip(_EDGES)
    return inner or text


def folded(text: str) -> str:
    """The same without capitals."""
    return trimmed(text).casefold()


def letter_of_text(words: str, choices: Sequence[str]) -> str:
    """The letter of the one choice that these words are; empty where they are none.

    Compared as they are, then without the marks around them, then without capitals: the first that fits decides.

    Raises:
        Unreadable: they are several choices alike, so that the letter is ambiguous.

    >>> letter_of_text("aa", ["AA", "Aa", "aa"])
    'C'
    """
    for form in (plain, trimmed, folded):
        wanted = form(words)
        fits = [place for place, choice in enumerate(choices) if wanted and form(choice) == wanted]
        if len(fits) > 1:
            alike = " and ".join(chr(ord("A") + place) for place in fits)
            raise Unreadable(f"ambiguous: {words.strip()[:40]!r} is the text of choices {alike}")
        if fits:
            return chr(ord("A") + fits[0])
    return ""


def letter_or_text(letter: str, choices: Sequence[str]) -> str:
    """The capital of a letter as written in a reply; a small one that is the text of one choice is that choice.

    >>> letter_or_text("D", "gdrn"), letter_or_text("d", "gdrn"), letter_or_text("d", "wxyz")
    ('D', 'B', 'D')
    """
    texts = [plain(choice) for choice in choices]
    return chr(ord("A") + texts.index(letter)) if letter.islower() and texts.count(letter) == 1 else letter.upper()


@functools.lru_cache(maxsize=256)
def _finder(choices: tuple[str, ...], inside: bool) -> re.Pattern[str] | None:
    """What finds a choice's text as whole words, the longest first; inside a sentence single letters are no text."""
    texts = {trimmed(choice) for choice in choices}
    texts = {each for each in texts if each and (not inside or len(each) > 1 or each.isdecimal())}
    if not texts:
        return None
    found = []
    for each in sorted(texts, key=lambda text: (-len(text), text)):
        words = r"\s+".join(map(re.escape, each.split()))
        before = r"(?<!\w)(?<!\d[.,:/])(?<![-−–~^√/])" if inside and re.match(r"\w", each) else ""
        after = _GOES_ON if re.search(r"\w$", each) else ""
        found.append(before + words + after)
    return re.compile("|".join(found), re.IGNORECASE)


def text_at_start(words: str, choices: Sequence[str]) -> tuple[str, int]:
    """The letter of the longest choice that the words begin with and where its text ends; ('', 0) where none is.

    Raises:
        Unreadable: the text is that of several choices.
    """
    finder = _finder(tuple(choices), False)
    for start in (0, len(words) - len(words.lstrip(_EDGES + "([{「“"))):
        match = finder.match(words, start) if finder else None
        if match:
            return letter_of_text(match[0], choices), match.end()
    return "", 0


def letter_of_reply(reply: str, choices: Sequence[str]) -> str:
    """The letter of the choice whose text is the whole reply or its last line; empty where there is none.

    Raises:
        Unreadable: the text is that of several choices.
    """
    lines = reply.strip().splitlines()
    return letter_of_text(reply, choices) or (letter_of_text(lines[-1], choices) if lines else "")


def only_mentioned(reply: str, choices: Sequence[str]) -> str:
    """The letter of the only choice whose text occurs as whole words and is not denied; single letters are no text.

    Raises:
        Unreadable: the text is that of several choices.
    """
    finder = _finder(tuple(choices), True)
    found: set[str] = set()
    for match in finder.finditer(reply) if finder else ():
        if _DENIAL.search(reply[max(0, match.start() - 40) : match.start()]):
            return ""
        found.add(letter_of_text(match[0], choices))
        if len(found) > 1:
            return ""
    return found.pop() if found else ""
