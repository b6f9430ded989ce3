"""The contamination guard: no question of an evaluation suite is trained on, whole, set otherwise, or in part."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from judgebench.types import Item, Record

SIZE = 13
"""Words in a row that are looked for, as in GPT-3's check (Brown et al. 2020, appendix C)."""
SHORTEST = 3
"""Questions of fewer words are held out by equality alone: their words stand in every text."""
COMMON = 3
"""Words in a row that this many questions of one suite share are its form, and say nothing of one question."""

_WORD = re.compile(r"[぀-ヿ㐀-鿿가-힣]|[^\W぀-ヿ㐀-鿿가-힣]+|[+*/=<>%^]|-(?![^\W\d_])")
"""A run of letters and digits, one character of a script without spaces, or a sign that changes what is computed."""

How = Literal["exact", "normalised", "n-gram"]
Words = tuple[str, ...]


class Overlap(Record, frozen=True, kw_only=True):
    """A question found in a text."""

    suite: str
    """Name of the suite."""
    item: str
    """Id of the item."""
    how: How
    """The first test that found it: equal, equal in its words, or words in a row."""


class Held(Record, frozen=True, kw_only=True):
    """What was kept out of training data, and what was not; part of the training record."""

    suites: dict[str, int] = msgspec.field(default_factory=dict)
    """Suite guarded → its items."""
    size: int = SIZE
    """Words in a row that were looked for, in longer questions."""
    rows: int = 0
    """Rows looked at."""
    dropped: list[dict[str, Any]] = msgspec.field(default_factory=list)
    """Each row kept out: ``row`` (1-based), ``suite``, ``item``, ``how``."""
    earlier: list[dict[str, Any]] = msgspec.field(default_factory=list)
    """The same of rows kept out when the data file was made; they are not in it."""
    let_in: list[dict[str, Any]] = msgspec.field(default_factory=list)
    """The same of rows trained on all the same, by ``--allow-contamination``."""
    trained_on: dict[str, list[str]] = msgspec.field(default_factory=dict)
    """Suite → ids of items trained on: declared training suites, rows let in, and the parent's."""


class _Question(Record, frozen=True, kw_only=True):
    suite: str
    item: str
    words: Words
    choices: tuple[Words, ...]
    """What must stand in the text too: a short question's choices, as many questions share such words."""


def words(text: str) -> Words:
    """The words of a text, without case, width, punctuation or spacing; signs of arithmetic are words.

    >>> words("What’s 3 +4,  Eve?")
    ('what', 's', '3', '+', '4', 'eve')
    """
    return tuple(_WORD.findall(unicodedata.normalize("NFKC", text).casefold()))


def ngrams(sequence: Sequence[str], size: int) -> list[Words]:
    """Every ``size`` words in a row; none where the sequence is shorter.

    >>> ngrams(["a", "b", "c"], 2)
    [('a', 'b'), ('b', 'c')]
    """
    return [tuple(sequence[at : at + size]) for at in range(len(sequence) - size + 1)]


class Guard:
    """Finds the questions of suites in texts.

    A text overlaps a question that equals it (``exact``), has the same words (``normalised``), or shares 13 words in a
    row with it (``n-gram``): of shorter questions all words in a row, with all their choices somewhere in the text. A
    text that holds a question's words whole, however they are set, is therefore always found, from 3 words on. Words in
    a row that three questions of a suite share are its form, and count only for questions that have no others.

    Args:
        suites: name → items; each turn of an item is a question.
        size: words in a row.
    """

    def __init__(self, suites: Mapping[str, Iterable[Item]], size: int = SIZE) -> None:
        self.size = size
        self.suites: dict[str, int] = {}
        self._equal: dict[str, list[_Question]] = defaultdict(list)
        self._same: dict[Words, list[_Question]] = defaultdict(list)
        self._grams: dict[int, dict[Words, list[_Question]]] = defaultdict(lambda: defaultdict(list))
        for suite, items in suites.items():
            self._add(suite, list(items))

    def overlap(self, texts: Iterable[str]) -> Overlap | None:
        """The first question found in any of the texts of one row, None where there is none.

        Args:
            texts: prompt and answers, or the messages; choices may stand in another text than their question.
        """
        texts = list(texts)
        split = [words(text) for text in texts]
        for how, found in (
            ("exact", (self._equal.get(text.strip(), ()) for text in texts)),
            ("normalised", (self._same.get(each, ()) for each in split)),
            ("n-gram", (self._in_a_row(each) for each in split)),
        ):
            for questions in found:
                for question in questions:
                    if all(any(_within(choice, each) for each in split) for choice in question.choices):
                        return Overlap(suite=question.suite, item=question.item, how=how)  # type: ignore[arg-type]
        return None

    def _in_a_row(self, text: Words) -> Iterable[_Question]:
        for size, known in self._grams.items():
            for gram in ngrams(text, size):
                if gram in known:
                    yield from known[gram]

    def _add(self, suite: str, items: list[Item]) -> None:
        self.suites[suite] = len(items)
        bare: list[_Question] = []
        for item in items:
            for text in item.question or item.turns:
                asked = words(text)
                if not asked:
                    continue
                choices = tuple(filter(None, map(words, item.choices))) if len(asked) < self.size else ()
                question = _Question(suite=suite, item=item.id, words=asked, choices=choices)
                bare.append(question)
                self._equal[text.strip()].append(question)
                self._same[asked].append(question)
            for text in item.turns if item.question else ():
                shown = _Question(suite=suite, item=item.id, words=words(text), choices=())
                self._equal[text.strip()].append(shown)
                self._same[shown.words].append(shown)
        own = {at: set(ngrams(each.words, min(self.size, len(each.words)))) for at, each in enumerate(bare)}
        shared = Counter(gram for grams in own.values() for gram in grams)
        for at, question in enumerate(bare):
            if len(question.words) < SHORTEST:
                continue
            telling = {gram for gram in own[at] if shared[gram] < COMMON} or own[at]
            for gram in telling:
                self._grams[len(gram)][gram].append(question)


def _within(part: Words, whole: Words) -> bool:
    return part in ngrams(whole, len(part))


def texts_of(row: Mapping[str, Any]) -> list[str]:
    """Every text that a training row teaches or shows: its strings, and the contents of its messages.

    >>> texts_of({"prompt": "a", "chosen": [{"role": "assistant", "content": "b"}], "label": True})
    ['a', 'b']
    """
    found: list[str] = []
    for column in ("messages", "prompt", "completion", "chosen", "rejected", "responses"):
        value = row.get(column, ())
        for part in [value] if isinstance(value, str) else value:
            found.append(part if isinstance(part, str) else part["content"])
    return found


def keep_out(
    rows: Sequence[Mapping[str, Any]], guard: Guard, *, allow: bool = False, numbers: Sequence[int] | None = None
) -> tuple[list[int], Held]:
    """Indices of the rows that may be trained on, and what was held.

    Args:
        rows: with training columns.
        guard: of what is evaluated.
        allow: keep rows that overlap too, and say which.
        numbers: 1-based number of each row in its file; the rows' own order where not given.
    """
    kept: list[int] = []
    found: list[dict[str, Any]] = []
    for at, row in enumerate(rows):
        overlap = guard.overlap(texts_of(row))
        if overlap is not None:
            number = numbers[at] if numbers else at + 1
            found.append({"row": number, "suite": overlap.suite, "item": overlap.item, "how": overlap.how})
        if overlap is None or allow:
            kept.append(at)
    trained: dict[str, set[str]] = defaultdict(set)
    for each in found if allow else ():
        trained[each["suite"]].add(each["item"])
    return kept, Held(
        suites=dict(guard.suites), size=guard.size, rows=len(rows), dropped=[] if allow else found,
        let_in=found if allow else [], trained_on={suite: sorted(ids) for suite, ids in trained.items()},
    )  # fmt: skip


def united(*parts: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Suite → ids, of all the parts.

    >>> united({"s": ["2"]}, {"s": ["1", "2"], "t": ["1"]})
    {'s': ['1', '2'], 't': ['1']}
    """
    found: dict[str, set[str]] = defaultdict(set)
    for part in parts:
        for suite, ids in part.items():
            found[suite].update(ids)
    return {suite: sorted(ids) for suite, ids in sorted(found.items())}


def reasons(found: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """``overlapping SUITE (how)`` → rows, for counts of what was dropped."""
    return dict(sorted(Counter(f"overlapping {each['suite']} ({each['how']})" for each in found).items()))
