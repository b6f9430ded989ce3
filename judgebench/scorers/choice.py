"""Multiple choice: the letter (or the text) of the choice that a reply states as its answer."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence

from judgebench.errors import Unreadable
from judgebench.scorers.choice_statements import CLOSING, OPENING, denied, stated
from judgebench.scorers.choice_texts import (
    folded,
    letter_of_reply,
    letter_of_text,
    letter_or_text,
    letters_of,
    only_mentioned,
    plain,
)
from judgebench.scorers.extraction import HEADLINES, Rule, checked_headline, compiled, last_match, read_both
from judgebench.types import Answer, Item, Reading


class ChoiceScorer:
    """Right where the choice stated last is the reference, which is a letter or a choice's text.

    Args:
        pattern: used in place of the rules of `extract_choice`; the first group of its last match is a letter.
        strict: the same in place of the rules of `strict_choice`.
        headline: ``flexible`` or ``strict``: the rule that ``accuracy`` is by.
    """

    name = "choice"
    workers = 1

    def __init__(self, pattern: str = "", strict: str = "", headline: str = "flexible") -> None:
        self.pattern = compiled(pattern) if pattern else None
        self.strict = compiled(strict) if strict else None
        self.headline = checked_headline(headline)

    def score(self, item: Item, answer: Answer) -> dict[str, Reading]:
        """``accuracy`` → 1 where the letter is the reference's; ``accuracy_strict`` the same by the strict rule."""
        reference = letter_of(item.reference[-1], item.choices) if item.reference else ""
        if reference and reference not in letters_of(item.choices) and not answer.error:
            unknown = Reading(error=f"the reference {reference[:40]!r} is not one of the choices")
            other = HEADLINES[1 - HEADLINES.index(self.headline)]
            return {"accuracy": unknown, f"accuracy_{other}": unknown}

        def rule(pattern: re.Pattern[str] | None, own: Callable[[str, Sequence[str]], str]) -> Rule:
            def extract(reply: str) -> str:
                if pattern is None:
                    return own(reply, item.choices)
                letter = last_match(pattern, reply).strip().upper()
                if letter not in letters_of(item.choices):
                    raise Unreadable(f"{letter[:40]!r} is not one of the letters")
                return letter

            return Rule(extract, lambda stated: stated == reference)

        flexible, strict = rule(self.pattern, extract_choice), rule(self.strict, strict_choice)
        return read_both(item, answer, flexible, strict, self.headline)


def letter_of(reference: str, choices: Sequence[str]) -> str:
    """The letter of a reference that is a letter or a choice's text; what is neither comes back as it is.

    A suite's references are letters already (`judgebench.mapping`), so a letter is one here, whatever the texts are.

    >>> letter_of("Paris", ["London", "Paris"]), letter_of("b", ["a", "b"]), letter_of("(B)", ["London", "Paris"])
    ('B', 'B', 'B')
    """
    reference = reference.strip()
    letters = list(letters_of(choices))
    if reference in letters:
        return reference
    try:
        if found := letter_of_text(reference, choices):
            return found
    except Unreadable:
        return reference
    bare = reference.strip("().")
    if not choices:
        bare = bare.upper()
    return bare if bare in letters else reference


def extract_choice(reply: str, choices: Sequence[str]) -> str:
    r"""The letter of the choice that a reply states.

    Read in this order: what is stated as the answer (``The answer is B``, ``Answer: (b)``, ``\boxed{C}``, in letters or
    with the choice's text; see `choice_statements`), or else in passing (``B is correct``, ``so it is B``); a line that
    is only a letter; one line that begins with a letter as a label (``B) Paris``); the reply that is a choice's text;
    one letter in brackets or bold; the only choice whose text occurs. The article "a" and the word "I" are no letters.

    Args:
        reply: the model's words, reasoning taken off.
        choices: texts of the choices; none allows A to E.

    Raises:
        Unreadable: nothing of this is there, or several are, or a text is that of several choices.
    """
    exact = plain(reply) in map(plain, choices) and plain(reply) not in letters_of(choices)
    if (exact or len(folded(reply)) > 1) and (letter := letter_of_text(reply, choices)):
        return letter
    reply = re.sub(r"\n{3,}", "\n\n", re.sub(r"[^\S\n]+", " ", unicodedata.normalize("NFKC", reply)))
    if letter := stated(reply, choices, _opening(reply, choices)):
        return letter
    for rule in (_alone, _labelled, letter_of_reply, _marked, only_mentioned):
        if letter := rule(reply, choices):
            return letter
    raise Unreadable("no choice stated")


def strict_choice(reply: str, choices: Sequence[str]) -> str:
    """The letter of a reply that is a letter, begins with one as a label, or says that the answer is one (the last).

    Raises:
        Unreadable: nothing of this is there.

    >>> strict_choice("(B)", "xyz"), strict_choice("B. Paris", "xyz"), strict_choice("Thus the answer is (C).", "xyz")
    ('B', 'B', 'C')
    """
    letters = letters_of(choices)
    reply = unicodedata.normalize("NFKC", reply).strip()
    if found := re.match(rf"\(?([{letters}])(?:\)?[.:]?$|[).:]\s|、)", reply):
        return found[1]
    said = rf"(?:[Aa]nswer(?: is)?\s*:?|答案\s*[是为:]|故选)\s*\**\(?([{letters}])\)?\**\s*(?:[.。,]|$)"
    found_last = ""
    for match in re.finditer(said, reply, re.MULTILINE):
        found_last = found_last if denied(reply, match.start()) else match[1]
    if not found_last:
        raise Unreadable("no letter alone, as a label or after 'answer is'")
    return found_last


_NAMED = r"(?:(?:[Oo]ption|[Cc]hoice|[Aa]nswer|选项)\s?)?"


def _letter_lines(reply: str, choices: Sequence[str]) -> list[str]:
    """Letters of the lines that are a letter and nothing else."""
    pattern = rf"^[\s>#•→✅☑👉-]*{_NAMED}{OPENING}([{letters_of(choices)}]){CLOSING}[\s.:,)*。!！]*$"
    return [match[1] for line in reply.splitlines() if (match := re.match(pattern, line))]


def _opening(reply: str, choices: Sequence[str]) -> str:
    """Letter that the first line gives alone, or as the label of its own text before an empty line; else empty."""
    first, _, _ = reply.strip().partition("\n")
    alone = _letter_lines(first, choices)
    if alone:
        return alone[0] if set(_letter_lines(reply, choices)) == set(alone) else ""
    paragraph, _, rest = reply.strip().partition("\n\n")
    if "\n" in paragraph or not (
        label := re.match(rf"[\s>#*-]*\(?([{letters_of(choices)}])[).:*、,]+\s*(\S.*)", first)
    ):
        return ""
    place = ord(label[1]) - ord("A")
    return label[1] if rest and place < len(choices) and folded(choices[place]) == folded(label[2]) else ""


def _alone(reply: str, choices: Sequence[str]) -> str:
    if found := _letter_lines(reply, choices):
        return found[-1]
    small = re.fullmatch(rf"\s*{OPENING}([{letters_of(choices).lower()}]){CLOSING}[\s.:)*]*", reply)
    return letter_or_text(small[1], choices) if small else ""


def _labelled(reply: str, choices: Sequence[str]) -> str:
    """Letter of the only line that has one as its label, or of the first where it is a paragraph of its own."""
    letters = letters_of(choices)
    several = rf"(?!\s*(?:(?:or|and)\b|或|和)?\s*\(?[{letters}](?![A-Za-z0-9]))"
    pattern = re.compile(
        rf"^[\s>#*-]*{_NAMED}\(?([{letters}{letters.lower()}])"
        rf"(?:(?:[).:*]|\s*[-–—:])+(?:\s+|(?<=[–—-][–—-])|(?=[^\x00-\x7f])){several}\S"
        rf"|[、,]\s*{several}(?=([^\n]*))|(?:选项|项)?\s*(?=([^\n]+)))",
        re.MULTILINE,
    )
    found = []
    for match in pattern.finditer(reply):
        own = match[2] if match[2] is not None else match[3]
        # a comma or nothing behind the letter is a weaker sign: before the choice's own words, or at the very start
        texts = [letter for letter, each in zip(letters, choices, strict=False) if own and _begins(own, each)]
        opens = match[2] is not None and match.start() == 0 and match[1].isupper() and not texts
        if own is None or match[1].upper() in texts or opens:
            found.append(match)
    if len({match[1].upper() for match in found}) == 1:
        return str(found[0][1].upper())
    first, _, rest = reply.strip().partition("\n\n")
    opening = pattern.match(first)
    whole = opening is not None and opening[2] is None and opening[3] is None
    return str(opening[1].upper()) if opening and whole and "\n" not in first and rest else ""


def _begins(words: str, text: str) -> bool:
    """True where the words begin with a text, white space within them aside."""
    return bool(folded(text)) and folded(words).replace(" ", "").startswith(folded(text).replace(" ", ""))


def _marked(reply: str, choices: Sequence[str]) -> str:
    letters = letters_of(choices)
    marks = rf"\(([{letters}])\)|\*\*\(?([{letters}])[).:]*(?:\s[^*\n]*)?\*\*|\[([{letters}])\]|【([{letters}])】"
    distinct = {next(filter(None, groups)) for groups in re.findall(marks, reply)}
    return distinct.pop() if len(distinct) == 1 else ""
