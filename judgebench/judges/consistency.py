"""Consistency of an answer with a context, by a classifier of premise and claim, in the manner of AlignScore.

Source: Zha et al. (2023), "AlignScore", section 3.2: the context in chunks of about 350 tokens (words, as in their
code, sentences kept whole), the claim in sentences; the score is the mean over sentences of the highest P(aligned) of
any chunk. Any classifier of entailment can be put to it (backend ``classifier``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Generator, Mapping, Sequence
from typing import Annotated

import msgspec

from judgebench.errors import Unreadable, UserError
from judgebench.judges.passages import tokens
from judgebench.judges.probability import MOST_LOGPROB
from judgebench.judges.rubric import ItemLacks, from_meta
from judgebench.judges.steps import StepsJudge, failed
from judgebench.rubrics import Rubric
from judgebench.types import Matchup, Message, Reading, Record, Reply, Request

ALIGNED = ("entailment", "entail", "entails", "aligned", "consistent", "supported", "supports")
"""Labels that mean that the premise supports the claim, in small letters."""

_END = re.compile(r"(?<=[.!?…])[\"'”’»)\]]*\s+|(?<=[。！？])[”’」』）]*|\n+")
"""Where a sentence ends. An abbreviation may end one too early, which costs a request and no more."""


class Alignment(Record, frozen=True, kw_only=True):
    """How far sentences are supported by chunks of a context."""

    score: float | None
    """Mean over sentences of their best chunk; None without sentences."""
    sentences: tuple[float, ...]
    """P(aligned) of each sentence with its best chunk."""
    chunks: tuple[int, ...]
    """Number of that chunk, from 0; the first of equals."""


def alignment(probabilities: Sequence[Sequence[float]]) -> Alignment:
    """AlignScore's mean over sentences of the highest P(aligned) of any chunk.

    Args:
        probabilities: sentences × chunks, each in [0, 1].

    >>> alignment([[0.1, 0.9], [0.4, 0.2]]).score
    0.65

    Raises:
        UserError: a sentence without chunks, or a number outside [0, 1].
    """
    for row in probabilities:
        if not row or not all(0 <= value <= 1 for value in row):
            raise UserError(f"every sentence needs a probability in [0, 1] for each chunk, found {list(row)}")
    best = [max(row) for row in probabilities]
    return Alignment(
        score=math.fsum(best) / len(best) if best else None, sentences=tuple(best),
        chunks=tuple(list(row).index(top) for row, top in zip(probabilities, best, strict=True)),
    )  # fmt: skip


def sentences(text: str) -> list[str]:
    r"""The sentences of a text; lines are sentences too, and what holds no word is none.

    >>> sentences("It rained. Why?\n- 北京是首都。很大。")
    ['It rained.', 'Why?', '- 北京是首都。', '很大。']
    """
    return [part.strip() for part in _END.split(text) if tokens(part)]


def chunked(text: str, words: int = 350) -> list[str]:
    """The text in chunks of whole sentences, about so many words each; a longer sentence is a chunk of its own.

    As many chunks are made as the words need, all of about one size (AlignScore's code does so).
    """
    parts = sentences(text)
    sizes = [len(tokens(part)) for part in parts]
    wanted = sum(sizes) / max(1, math.ceil(sum(sizes) / words))
    found: list[list[str]] = []
    held = 0
    for part, size in zip(parts, sizes, strict=True):
        if not found or held + size > words or held >= wanted:
            found.append([])
            held = 0
        found[-1].append(part)
        held += size
    return [" ".join(chunk) for chunk in found]


class ConsistencyOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What ``options`` of a rubric, or ``--option RUBRIC.KEY=VALUE``, may set."""

    context: str = "reference"
    """What the answer must agree with: ``reference``, ``question``, or a field of the item's meta."""
    words: Annotated[int, msgspec.Meta(ge=1)] = 350
    """Words of a chunk of the context."""
    label: str = ""
    """The classifier's label for a supported claim; empty is the one called entailment, aligned, consistent ..."""


class ConsistencyJudge(StepsJudge):
    """Puts every sentence of an answer with every chunk of the context to a classifier, all at once."""

    Options = ConsistencyOptions
    needs = frozenset({"entailment"})

    def __init__(self, name: str, rubric: Rubric) -> None:
        super().__init__(name, rubric)
        self.needs_reference = self.options.context == "reference"
        if len(rubric.dimensions) > 1:
            raise UserError(f"rubric {rubric.name}: judge {rubric.made_by} gives one number, so one dimension is meant")

    def steps_of(self, matchup: Matchup) -> Generator[list[Request], list[Reply], Mapping[str, Reading]]:
        """One request for each sentence and chunk: the premise, then the claim."""
        chunks = chunked(self._context(matchup), self.options.words)
        if not chunks:
            raise ItemLacks(f"a context: its {self.options.context} is empty")
        claims = sentences(matchup.shown[0].turns[max(matchup.turn, 1) - 1])
        if not claims:
            return self.unread(matchup, "unreadable: the answer claims nothing: it holds no sentence")
        replies = yield [
            Request(
                id="", messages=(Message(role="user", content=chunk), Message(role="user", content=claim)),
                sampling=matchup.sampling,
            )
            for claim in claims for chunk in chunks
        ]  # fmt: skip
        if why := next(filter(None, map(failed, replies)), ""):
            return self.unread(matchup, why)
        try:
            chances = [self._aligned(reply) for reply in replies]
        except Unreadable as error:
            return self.unread(matchup, f"unreadable: {error}")
        count = len(chunks)
        found = alignment([chances[at : at + count] for at in range(0, len(chances), count)])
        words = msgspec.json.encode(
            {"sentences": claims, "aligned": [round(value, 6) for value in found.sentences], "chunks": found.chunks}
        ).decode()
        assert found.score is not None
        return dict.fromkeys(matchup.dimensions, Reading(scores=(found.score,), reply=words))

    def _context(self, matchup: Matchup) -> str:
        item, turn, where = matchup.item, max(matchup.turn, 1), self.options.context
        if where == "reference":
            if len(item.reference) < turn:
                raise ItemLacks("a reference")
            return item.reference[turn - 1]
        return (item.question or item.turns)[turn - 1] if where == "question" else from_meta(item, where)

    def _aligned(self, reply: Reply) -> float:
        """P(aligned) out of the labels' log-probabilities.

        Raises:
            Unreadable: none of the labels, or several, mean it.
        """
        given = dict(reply.logprobs[0].top) if reply.logprobs else {}
        wanted = (self.options.label.lower(),) if self.options.label else ALIGNED
        meant = [label for label in given if label.strip().lower() in wanted]
        if len(meant) != 1:
            labels = ", ".join(sorted(given)) or "none"
            raise Unreadable(f"which label means support? --option {self.spec.name}.label says so; there are {labels}")
        value = given[meant[0]]
        if not value <= MOST_LOGPROB:
            raise Unreadable(f"{meant[0]!r} has {value} for a log-probability")
        return min(1.0, math.exp(value))
