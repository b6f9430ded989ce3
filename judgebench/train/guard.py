"""The contamination guard: no question of an evaluation suite is trained on, whole, set otherwise, or in part."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from judgebench.train.wording import Words, ngrams, texts_of, threads_of, unescaped, words
from judgebench.types import Item, Record

SIZE = 13
"""Words in a row that are looked for, as in GPT-3's check (Brown et al. 2020, appendix C)."""
SHORTEST = 3
"""Questions of fewer words are held out by equality alone: their words stand in every text."""
COMMON = 3
"""Words in a row that this many questions of one suite share are its form, and say nothing of one question."""

LETTERS = 16
"""Letters in a row by which words are looked for that are set without spaces, or with others."""
TELLING = (8, 24)
"""Words, and letters in all, from which a question that is alone in its words is found without its choices."""

How = Literal["exact", "normalised", "n-gram", "letters"]


class Overlap(Record, frozen=True, kw_only=True):
    """A question found in a text."""

    suite: str
    """Name of the suite."""
    item: str
    """Id of the item."""
    how: How
    """The first test that found it: equal, equal in its words, words in a row, or their letters in a row."""


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
    """Of which one must stand in the text too: those of a short question, as many questions share such words."""
    whole: bool = False
    """Whether all of them must: three questions of the suite have the very same words, and choices alone tell them."""


class Guard:
    """Finds the questions of suites in texts.

    A text overlaps a question that equals it (``exact``), has the same words (``normalised``), or shares 13 words in a
    row with it (``n-gram``): of shorter questions all words in a row, with one of their choices somewhere in the text
    where they have any, and are of fewer than 8 words (or 24 letters) or not alone in their words; with all of their
    choices where three questions of a suite are in the very same words. Words cut up over
    the texts of one row are looked for too, and words that are spaced in another way, by their letters in a row
    (``letters``), from 16 on. So a row that holds a question's words whole, however they are set, is always found, from
    3 words on. Words in a row that three questions of a suite share are its form, and count only for questions that
    have no others.

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
        self._letters: dict[str, list[tuple[str, _Question]]] = defaultdict(list)
        for suite, items in suites.items():
            self._add(suite, list(items))

    def overlap(self, texts: Iterable[str], threads: Iterable[Sequence[str]] = ()) -> Overlap | None:
        """The first question found in any of the texts of one row, None where there is none.

        Args:
            texts: prompt and answers, or the messages; choices may stand in another text than their question.
            threads: texts that are read one after another, over which a question may be cut up.
        """
        texts, threads = list(texts), [list(each) for each in threads]
        plain = {text: unescaped(text) for text in texts}
        seen = [*texts, *(shown for text, shown in plain.items() if shown != text)]
        joined = ["\n".join(each) for each in threads]
        if len(seen) > len(texts):
            joined += ["\n".join(plain[text] for text in each) for each in threads]
        split = [words(text) for text in seen]
        across = [words(text) for text in joined]
        for how, found in (
            ("exact", (self._equal.get(text.strip(), ()) for text in texts)),
            ("normalised", (self._same.get(each, ()) for each in split)),
            ("n-gram", (self._in_a_row(each) for each in (*split, *across))),
            ("letters", (self._set_otherwise(_letters(each)) for each in (*across, *split))),
        ):
            for questions in found:
                for question in questions:
                    enough = all if question.whole else any
                    if not question.choices or enough(
                        any(_within(choice, each) for each in split) for choice in question.choices
                    ):
                        return Overlap(suite=question.suite, item=question.item, how=how)  # type: ignore[arg-type]
        return None

    def _in_a_row(self, text: Words) -> Iterator[_Question]:
        for size, known in self._grams.items():
            for gram in ngrams(text, size):
                if gram in known:
                    yield from known[gram]

    def _set_otherwise(self, line: str) -> Iterator[_Question]:
        """Questions whose letters stand in a row in a text without spaces; numbers must end where theirs do."""
        for at in range(len(line) - LETTERS + 1):
            for letters, question in self._letters.get(line[at : at + LETTERS], ()):
                after = at + len(letters)
                if line.startswith(letters, at) and not (
                    (letters[-1].isdigit() and line[after : after + 1].isdigit())
                    or (at and letters[0].isdigit() and line[at - 1].isdigit())
                ):
                    yield question

    def _add(self, suite: str, items: list[Item]) -> None:
        self.suites[suite] = len(items)
        asked = [(item, text, words(text)) for item in items for text in item.question or item.turns]
        own = [ngrams(each, min(self.size, len(each))) for _, _, each in asked]
        shared = Counter(gram for grams in own for gram in set(grams))
        for (item, text, said), grams in zip(asked, own, strict=True):
            if not said:
                continue
            alone = len(said) >= TELLING[0] and len("".join(said)) >= TELLING[1] and shared[said] == 1
            choices = () if alone or len(said) >= self.size else tuple(filter(None, map(words, item.choices)))
            question = _Question(suite=suite, item=item.id, words=said, choices=choices, whole=shared[said] >= COMMON)
            self._equal[text.strip()].append(question)
            self._same[said].append(question)
            if len(said) < SHORTEST:
                continue
            telling = [gram for gram in grams if shared[gram] < COMMON] or grams
            for gram in dict.fromkeys(telling):
                self._grams[len(gram)][gram].append(question)
            for gram in telling[:: self.size]:
                letters = _letters(gram)
                if len(letters) >= LETTERS:
                    self._letters[letters[:LETTERS]].append((letters, question))
        for item in items:
            for text in item.turns if item.question else ():
                shown = _Question(suite=suite, item=item.id, words=words(text), choices=())
                self._equal[text.strip()].append(shown)
                self._same[shown.words].append(shown)


def _letters(text: Words) -> str:
    """The words without spaces; without minus signs too, which are told from hyphens by spaces alone."""
    return "".join(word for word in text if word != "-")


def _within(part: Words, whole: Words) -> bool:
    return part in ngrams(whole, len(part))


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
        overlap = guard.overlap(texts_of(row), threads_of(row))
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
