"""Several right answers at once: all of them and nothing else, letters (AGIEval) or texts between separators (KoLA)."""

from __future__ import annotations

import re
import unicodedata

from judgebench.errors import Unreadable
from judgebench.scorers.extraction import Rule, checked_headline, compiled, read_both
from judgebench.types import Answer, Item, Reading

_BETWEEN = r"(?:[^\S\n]|[,;:/&+、()\[\]【】*\"'$]|and|和|与|及)*"
_RUN = rf"(?:[A-Z]{_BETWEEN})+"
_STATED = re.compile(
    rf"(?:答案\s?(?:应该|应当|应)?\s?(?:是|为|选)?|故选|应选|应选择|选择|选|"
    rf"\banswers?\b[^.\n]{{0,40}}?(?:\bis\b|\bare\b|:)|\\boxed\{{(?:\\text\{{)?){_BETWEEN}(?-i:({_RUN}))(?![A-Za-z])",
    re.IGNORECASE,
)
_LETTERS_ONLY = re.compile(rf"{_BETWEEN}({_RUN})")
_LIST = r"[A-Z](?:(?: ?[,、;] ?| )?[A-Z])*"
_ALONE = re.compile(rf"\(?({_LIST})\)?[.。]?")
_SAID = re.compile(
    rf"(?:答案\s?(?:是|为|:)|故选|\b[Aa]nswers?(?: is| are|:))\s?\(?({_LIST})\)?[.。]?\s*$", re.MULTILINE
)
_ANSWER = re.compile(r"(?i)(?:\banswers?(?:\s+(?:is|are)\b(?:\s*:)?|\s*:))")
"""What a reader takes a statement by."""
LONGEST_LINE = 100
"""Characters of the longest line that may be nothing but letters."""


class SeveralScorer:
    """Right where exactly the answers of the reference are given, in any order.

    Letters, strictly: the reply is nothing but letters, or ``答案是`` or ``answer is`` and letters to a line's end;
    flexibly: as `stated_letters`. Texts, strictly: the first line, or what follows ``cue``, as it is; flexibly: what
    follows ``cue`` or the last "answer is", without what marks it (``**``, quotes, ``Answer:``).

    Args:
        letters: the answers are letters of choices (``AC``, ``A、C``, ``A and C``); else texts.
        separator: what stands between texts, in reply and reference.
        cue: regular expression; what follows its last match, to the end of the line, is read where it matches; else
            the first line.
        headline: ``flexible`` or ``strict``: the rule that ``accuracy`` is by.
    """

    name = "several"
    workers = 1

    def __init__(self, letters: bool = False, separator: str = ";", cue: str = "", headline: str = "flexible") -> None:
        self.letters, self.separator = letters, separator
        self.cue = compiled(cue) if cue else None
        self.headline = checked_headline(headline)

    def score(self, item: Item, answer: Answer) -> dict[str, Reading]:
        """``accuracy`` → 1 where the sets are equal, by both rules; for texts ``f1`` of the headline's set too."""
        reference = self.parts(item.reference[-1]) if item.reference else frozenset()

        def strictly(reply: str) -> str:
            return strict_letters(reply, len(item.choices)) if self.letters else self._line(reply, self.cue)

        def flexibly(reply: str) -> str:
            if self.letters:
                return stated_letters(reply, len(item.choices))
            return self._line(unmarked(reply), self.cue, _ANSWER)

        def right(stated: str) -> bool:
            return self.parts(stated) == reference

        readings = read_both(item, answer, Rule(flexibly, right), Rule(strictly, right), self.headline)
        found = readings["accuracy"]
        if self.letters or not found.scores:
            return readings
        given = self.parts(found.reply) if not found.error else frozenset()
        overlap = len(given & reference)
        f1 = 2 * overlap / (len(given) + len(reference)) if given or reference else 0.0
        return {**readings, "f1": Reading(scores=(f1,), reply=found.reply, error=found.error)}

    def parts(self, text: str) -> frozenset[str]:
        """The answers in a text, as they are compared.

        >>> sorted(SeveralScorer().parts("May 1; first Monday in  May."))
        ['first monday in may', 'may 1']
        """
        if self.letters:
            return frozenset(each for each in text if each.isalpha())
        folded = (
            " ".join(unicodedata.normalize("NFKC", each).casefold().split()) for each in text.split(self.separator)
        )
        return frozenset(stripped for each in folded if (stripped := each.strip(" .\"'")))

    def _line(self, reply: str, *cues: re.Pattern[str] | None) -> str:
        stated = reply.strip().partition("\n")[0]
        for cue in cues:
            if cue is not None and (matches := list(cue.finditer(reply))):
                stated = reply[matches[-1].end() :].strip().partition("\n")[0]
                break
        if not self.parts(stated):
            raise Unreadable("no answer stated")
        return stated.strip()


def unmarked(reply: str) -> str:
    r"""A reply without stars, back quotes and boxes around its words.

    >>> unmarked("**Answer:** `Mysore`, \\boxed{true}")
    'Answer: Mysore, true'
    """
    return re.sub(r"\\boxed\{(?:\\text\{)?([^{}\n]*)\}+", r"\1", re.sub(r"\*{1,3}|`+", "", reply))


def strict_letters(reply: str, count: int) -> str:
    """The letters of a reply that is nothing else, or says to the end of a line that they are the answer (the last).

    Raises:
        Unreadable: neither is there, or a letter is none of the choices'.

    >>> strict_letters("AC", 4), strict_letters("答案是 A、C。", 4)
    ('AC', 'AC')
    """
    reply = unicodedata.normalize("NFKC", reply).strip()
    said = _SAID.findall(reply)
    if alone := _ALONE.fullmatch(reply):
        said = [alone[1]]
    if not said:
        raise Unreadable("neither letters alone nor after 'answer is'")
    return _checked(said[-1], count)


def stated_letters(reply: str, count: int) -> str:
    """The letters that a reply states last as its answer, sorted, each once.

    Read in this order: what follows ``答案``, ``选`` or ``answer is``; a line of nothing but letters.

    Args:
        reply: the model's words, reasoning taken off.
        count: choices there are; none allows A to G.

    Raises:
        Unreadable: neither is there, or a letter is none of the choices'.

    >>> stated_letters("所以答案是 A、C。", 4)
    'AC'
    """
    reply = re.sub(r"[^\S\n]+", " ", unicodedata.normalize("NFKC", reply))
    found = [match[1] for match in _STATED.finditer(reply)]
    if not found:
        lines = [line.strip(" *#>-.。)") for line in reply.split("\n")]
        alone = [_LETTERS_ONLY.fullmatch(line) for line in lines if 0 < len(line) <= LONGEST_LINE]
        found = [match[1] for match in alone if match]
    if not found:
        raise Unreadable("no letters stated")
    return _checked(found[-1], count)


def _checked(found: str, count: int) -> str:
    letters = "".join(sorted({each for each in found if "A" <= each <= "Z"}))
    allowed = [chr(ord("A") + index) for index in range(count or 7)]
    if not set(letters) <= set(allowed):
        raise Unreadable(f"{letters} is not among {allowed[0]} to {allowed[-1]}")
    return letters
