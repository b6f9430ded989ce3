"""A number as the answer (GSM8K): the last one stated, compared as a number."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation

from judgebench.errors import Unreadable
from judgebench.scorers.extraction import Rule, checked_headline, compiled, last_match, read_both
from judgebench.types import Answer, Item, Reading

_VALUE = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+"
_SIGN = r"(?:(?<![\w.)%])[-−–]\s?)?[$€£]?\s?(?:(?<=[$€£])-)?"
_NUMBER = re.compile(rf"{_SIGN}(?:{_VALUE})(?:\s?/\s?[0-9]+)?")
_HASHES = re.compile(r"####\s*([^\n]*)")
_STATED = re.compile(
    r"\\boxed\s*\{([^{}\n]*(?:\{[^{}\n]*\}[^{}\n]*)*)\}"
    r"|\banswer\b[^\n0-9]{0,60}?(?:\bis\b|\bare\b|\bbe\b|[:=])\s*(?=([^\n]{0,400}))"
    r"|^\s*\**A:\s*(?=([^\n]{0,400}))"
    r"|答案\s*(?:是|为|：|:)\s*(?=([^\n]{0,400}))",
    re.IGNORECASE | re.MULTILINE,
)

_STRICT = re.compile(
    r"(?:####\s*|\b[Aa]nswer is:?\s*|\\boxed\s*\{\s*|答案是\s*)\\?[$€£]?\s*(-?[0-9][0-9,]*(?:\.[0-9]+)?(?:/[0-9]+)?)"
)


class NumberScorer:
    r"""Right where the number stated last equals the reference's.

    Read in this order: after the last ``####``; after the last ``answer is``, ``A:`` or inside ``\boxed{}``; the last
    number of the reply. Commas, currency signs and a full stop at the end are no part of a number; a fraction stays one
    text, equal only to itself.

    Args:
        pattern: a regular expression in place of these rules; the first group of its last match is the number.
        as_text: compare the digits as they are written, as the zero-shot-CoT authors do: 70.0 is then not 70, and a
            reference of 1,200 is never met.
        strict: a regular expression in place of the strict rule, which is the last number right after ``####`` or
            ``answer is``, or boxed.
        strict_as_text: compare as ``as_text`` does by the strict rule alone.
        headline: ``flexible`` or ``strict``: the rule that ``accuracy`` is by.
    """

    name = "number"
    workers = 1

    def __init__(
        self,
        pattern: str = "",
        as_text: bool = False,
        strict: str = "",
        strict_as_text: bool = False,
        headline: str = "flexible",
    ) -> None:
        self.pattern = compiled(pattern) if pattern else None
        self.strict = compiled(strict) if strict else _STRICT
        self.headline = checked_headline(headline)
        self.as_text, self.strict_as_text = as_text, as_text or strict_as_text

    def score(self, item: Item, answer: Answer) -> dict[str, Reading]:
        """``accuracy`` → 1 where the numbers are equal; ``accuracy_strict`` the same by the strict rule."""

        def right(as_text: bool) -> Callable[[str], bool]:
            return lambda stated: (
                stated == item.reference[-1].strip() if as_text else same_number(stated, item.reference[-1])
            )

        strict = Rule(lambda reply: self._number(cleaned(last_match(self.strict, reply))), right(self.strict_as_text))
        return read_both(item, answer, Rule(self._extract, right(self.as_text)), strict, self.headline)

    def _extract(self, reply: str) -> str:
        return self._number(cleaned(last_match(self.pattern, reply)) if self.pattern else extract_number(reply))

    def _number(self, stated: str) -> str:
        if _decimal(stated) is None and "/" not in stated:
            raise Unreadable(f"{stated[:40]!r} is not a number")
        return stated


def extract_number(reply: str) -> str:
    """The number stated last, without commas and signs of currency.

    Raises:
        Unreadable: there is no number.

    >>> extract_number("3 bags of 400 are 1,200. The answer is $1,200.")
    '1200'
    """
    reply = re.sub(r"[^\S\n]+", " ", reply)
    reply = reply.replace("{,}", ",").replace("\\,", "").replace("\\!", "").replace("\\$", "$").replace("**", "")
    hashes = [match[1] for match in _HASHES.finditer(reply) if _NUMBER.search(match[1])]
    if hashes:
        return _first(hashes[-1])
    stated = ""
    for match in _STATED.finditer(reply):
        words = next(group for group in match.groups() if group is not None)
        stated = words if re.search("[0-9]", words) else stated
    if stated:
        return _first(stated)
    numbers = _NUMBER.findall(reply)
    if not numbers:
        raise Unreadable("no number")
    return cleaned(numbers[-1])


def _first(words: str) -> str:
    """The number a statement gives: after its last equals sign where it computes, else its first."""
    tail = words.rpartition("=")[2]
    match = _NUMBER.search(tail) or _NUMBER.search(words)
    assert match is not None  # the caller has seen a digit
    return cleaned(match[0])


def cleaned(number: str) -> str:
    """The text of a number without commas, currency, spaces and a trailing full stop.

    >>> cleaned("-$1,234.50.")
    '-1234.50'
    """
    return re.sub(r"[,$€£\s%]", "", number).replace("−", "-").replace("–", "-").rstrip(".")


def same_number(left: str, right: str) -> bool:
    """True where both are the same number, or where one is none and the texts are the same.

    >>> same_number("18.00", "18"), same_number("1/2", "1/2"), same_number("1/2", "12")
    (True, True, False)
    """
    first, second = _decimal(cleaned(left)), _decimal(cleaned(right))
    if first is None or second is None:
        return cleaned(left) == cleaned(right)
    return first == second


def _decimal(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
