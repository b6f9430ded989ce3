"""Near duplicates of instructions: by ROUGE-L, as Self-Instruct has it, or by MinHash for many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from judgebench.train.wording import ngrams, words

Method = Literal["rouge-l", "minhash"]
MOST_LIKE = 0.7
"""Instructions this much alike or more are one (Wang et al. 2023, arXiv 2212.10560, section 2.2)."""
SHINGLE = 3
"""Words in a row that MinHash compares sets of."""


class _Words:
    """The tokenizer of the guard for rouge-score, whose own leaves out all but a-z and digits."""

    def tokenize(self, text: str) -> list[str]:
        return list(words(text))


class Seen:
    """Texts seen, and whether another is like any of them.

    Args:
        method: ``rouge-l``: F-measure of the longest common subsequence of words, against every text; ``minhash``: the
            Jaccard index of sets of 3 words in a row, computed for what locality-sensitive hashing finds near.
        most: texts this much alike or more are duplicates, in (0, 1].
    """

    def __init__(self, method: Method = "rouge-l", most: float = MOST_LIKE) -> None:
        self._method, self._most = method, most
        self._texts: list[str] = []
        if method == "rouge-l":
            from rouge_score.rouge_scorer import RougeScorer

            self._rouge = RougeScorer(["rougeL"], tokenizer=_Words())
        else:
            from datasketch import MinHashLSH

            self._near = MinHashLSH(threshold=most, num_perm=128, weights=(0.1, 0.9))  # misses cost more than checks

    def add(self, text: str) -> None:
        """Remembers a text."""
        if self._method == "minhash":
            self._near.insert(str(len(self._texts)), self._hashed(text))
        self._texts.append(text)

    def like(self, text: str) -> bool:
        """Whether it is a duplicate of a text seen."""
        if self._method == "rouge-l":
            return any(self.rouge(text, other) >= self._most for other in self._texts)
        near = [self._texts[int(key)] for key in self._near.query(self._hashed(text))]
        return any(jaccard(text, other) >= self._most for other in near)

    def rouge(self, text: str, other: str) -> float:
        """ROUGE-L's F-measure of two texts, in [0, 1]."""
        return float(self._rouge.score(other, text)["rougeL"].fmeasure)

    def _hashed(self, text: str) -> object:
        from datasketch import MinHash

        made = MinHash(num_perm=128, seed=1)
        for part in _shingles(text):
            made.update(" ".join(part).encode())
        return made


def jaccard(text: str, other: str) -> float:
    """Shared sets of 3 words in a row over all of them, in [0, 1]; 1 for two texts without words.

    >>> jaccard("a b c d", "a b c e")  # {abc, bcd} and {abc, bce}
    0.3333333333333333
    """
    ours, theirs = _shingles(text), _shingles(other)
    return len(ours & theirs) / len(ours | theirs) if ours | theirs else 1.0


def unlike(texts: Sequence[str], method: Method = "rouge-l", most: float = MOST_LIKE) -> list[int]:
    """Indices of the texts that are like none kept before them.

    Args:
        texts: any.
        method: see `Seen`.
        most: texts this much alike or more are duplicates.
    """
    seen, kept = Seen(method, most), []
    for index, text in enumerate(texts):
        if not seen.like(text):
            seen.add(text)
            kept.append(index)
    return kept


def _shingles(text: str) -> set[tuple[str, ...]]:
    found = words(text)
    return set(ngrams(found, min(SHINGLE, len(found)))) if found else set()
