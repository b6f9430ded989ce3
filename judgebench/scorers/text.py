"""Exact text, after normalisation."""

from __future__ import annotations

import re
import unicodedata

from judgebench.errors import Unreadable, UserError
from judgebench.scorers.extraction import Rule, checked_headline, compiled, last_match, read_both
from judgebench.scorers.forms import same_form
from judgebench.types import Answer, Item, Reading


class TextScorer:
    """Right where the normalised reply is the normalised reference.

    White space is folded and Unicode composed always.

    Args:
        ignore_case: fold case.
        ignore_articles: drop a, an, the.
        ignore_punctuation: drop punctuation.
        pattern: compare the first group of its last match instead of the whole reply.
        remove: regular expression; what it matches is taken out of the answer, not of the reference.
        strict: regular expression whose last match is compared in place of the strict rule, which is the same words
            compared letter by letter, nothing ignored but white space.
        strict_remove: regular expression; what it matches is taken out of the answer of ``strict``.
        by_form: the flexible rule compares as a reader would, by the form of the reference
            (`judgebench.scorers.forms`): ``B`` is then ``(B)``.
        headline: ``flexible`` or ``strict``: the rule that ``accuracy`` is by.
    """

    name = "text"
    workers = 1

    def __init__(
        self,
        ignore_case: bool = True,
        ignore_articles: bool = False,
        ignore_punctuation: bool = False,
        pattern: str = "",
        remove: str = "",
        strict: str = "",
        strict_remove: str = "",
        by_form: bool = False,
        headline: str = "flexible",
    ) -> None:
        self.ignore_case, self.ignore_articles, self.ignore_punctuation = (
            ignore_case,
            ignore_articles,
            ignore_punctuation,
        )
        self.pattern = compiled(pattern) if pattern else None
        self.remove = compiled(remove) if remove else None
        self.strict = compiled(strict) if strict else None
        self.strict_remove = compiled(strict_remove) if strict_remove else None
        self.by_form = by_form
        self.headline = checked_headline(headline)
        if self.strict_remove is not None and self.strict is None:
            raise UserError("strict_remove is of no use without strict")

    def score(self, item: Item, answer: Answer) -> dict[str, Reading]:
        """``accuracy`` → 1 where the texts agree; ``accuracy_strict`` the same by the strict rule."""
        reference = item.reference[-1] if item.reference else ""

        def flexibly(stated: str) -> bool:
            return self._same(stated, reference) or (self.by_form and same_form(stated, reference))

        flexible = Rule(self._extract, flexibly)
        strict = Rule(self._extract, lambda stated: stated.split() == reference.split())
        if (pattern := self.strict) is not None:
            strict = Rule(
                lambda reply: _without(self.strict_remove, last_match(pattern, reply)),
                lambda stated: self._same(stated, reference),
            )
        return read_both(item, answer, flexible, strict, self.headline)

    def _extract(self, reply: str) -> str:
        return _without(self.remove, last_match(self.pattern, reply) if self.pattern else reply.strip())

    def _same(self, left: str, right: str) -> bool:
        return self.normalised(left) == self.normalised(right)

    def normalised(self, text: str) -> str:
        """The text as it is compared.

        >>> TextScorer(ignore_articles=True, ignore_punctuation=True).normalised(" The  Nile. ")
        'nile'
        """
        text = unicodedata.normalize("NFKC", text)
        if self.ignore_case:
            text = text.casefold()
        if self.ignore_punctuation:
            text = "".join(each for each in text if not unicodedata.category(each).startswith("P"))
        if self.ignore_articles:
            text = re.sub(r"\b(?:a|an|the)\b", " ", text, flags=re.IGNORECASE)
        return " ".join(text.split())


def _without(remove: re.Pattern[str] | None, stated: str) -> str:
    if remove is not None and not (stated := remove.sub("", stated)):
        raise Unreadable("nothing is left of the answer")
    return stated
