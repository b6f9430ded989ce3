"""Two texts word by word: which pieces the other one lacks."""

from __future__ import annotations

import re

import numpy as np

MOST_WORDS = 4000
"""Words of either text up to which they are compared."""
LEAST_ALIKE = 0.15
"""Share of the words that two texts must have in common, in order, for marks to help a reader."""
LONE = 2
"""Common words between two differences, up to which they count as part of one difference."""

Pieces = list[tuple[str, bool]]
"""A text in pieces, each with True where the other text lacks it."""


def word_diff(left: str, right: str) -> tuple[Pieces, Pieces, str]:
    """Both texts in pieces, and why nothing is marked, where that is so.

    A longest common subsequence of words; one or two words in common between longer differences are marked with them.
    It takes words × words steps whatever the texts: models that repeat themselves for ever cost no more than others.

    >>> word_diff("a b c", "a x c")[1]
    [('a ', False), ('x ', True), ('c', False)]
    """
    one, two = (re.findall(r"\s*\S+\s*|\s+", text) for text in (left, right))
    if max(len(one), len(two)) > MOST_WORDS:
        return _whole(left), _whole(right), f"no words are marked in texts of more than {MOST_WORDS:,} words"
    same_one, same_two = _common([word.strip() for word in one], [word.strip() for word in two])
    if one and two and 2 * sum(same_one) < LEAST_ALIKE * (len(one) + len(two)):
        return _whole(left), _whole(right), "no words are marked: the two have too few in common"
    _join_lone(same_one, same_two)
    return _pieces(one, same_one), _pieces(two, same_two), ""


def _whole(text: str) -> Pieces:
    return [(text, False)] if text else []


def _common(one: list[str], two: list[str]) -> tuple[list[bool], list[bool]]:
    """Which words of each are part of one longest common subsequence."""
    start = 0
    while start < min(len(one), len(two)) and one[start] == two[start]:
        start += 1
    end = 0
    while end < min(len(one), len(two)) - start and one[-1 - end] == two[-1 - end]:
        end += 1
    a, b = one[start : len(one) - end], two[start : len(two) - end]
    same_a, same_b = [False] * len(a), [False] * len(b)
    numbers = {word: number for number, word in enumerate(dict.fromkeys(a + b))}
    row = np.array([numbers[word] for word in b], dtype=np.int32)
    lengths = np.zeros((len(a) + 1, len(b) + 1), dtype=np.int16)
    for at, word in enumerate(a):
        matched = lengths[at, :-1] + (row == numbers[word])
        lengths[at + 1, 1:] = np.maximum.accumulate(np.maximum(lengths[at, 1:], matched))
    i, j = len(a), len(b)
    while i and j:
        if a[i - 1] == b[j - 1]:
            i, j = i - 1, j - 1
            same_a[i] = same_b[j] = True
        elif lengths[i - 1, j] >= lengths[i, j - 1]:
            i -= 1
        else:
            j -= 1
    head, tail = [True] * start, [True] * end
    return [*head, *same_a, *tail], [*head, *same_b, *tail]


def _join_lone(one: list[bool], two: list[bool]) -> None:
    """Takes away what stands alone between longer differences on both sides, in place."""
    matches = list(
        zip((i for i, same in enumerate(one) if same), (j for j, same in enumerate(two) if same), strict=True)
    )
    runs: list[list[tuple[int, int]]] = []
    for i, j in matches:
        if runs and runs[-1][-1] == (i - 1, j - 1):
            runs[-1].append((i, j))
        else:
            runs.append([(i, j)])
    before = (-1, -1)
    for place, run in enumerate(runs):
        after = runs[place + 1][0] if place + 1 < len(runs) else (len(one), len(two))
        gaps = [
            max(run[0][0] - before[0], run[0][1] - before[1]) - 1,
            max(after[0] - run[-1][0], after[1] - run[-1][1]) - 1,
        ]
        before = run[-1]
        if len(run) <= LONE and min(gaps) > LONE:
            for i, j in run:
                one[i] = two[j] = False


def _pieces(words: list[str], same: list[bool]) -> Pieces:
    found: Pieces = []
    for word, common in zip(words, same, strict=True):
        if found and found[-1][1] != common:
            found[-1] = found[-1][0] + word, found[-1][1]
        else:
            found.append((word, not common))
    return found
