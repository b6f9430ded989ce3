"""What an importer gathers from files, before it is joined with what the run holds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from judgebench.errors import UserError
from judgebench.types import Item, Kind, Record

FIRST, SECOND, TIE = (1.0, 0.0), (0.0, 1.0), (0.5, 0.5)
"""Scores of a preference: the answer shown first is better, the second is, or neither."""


class Options(Record, frozen=True, kw_only=True):
    """What the command line adds to the files."""

    names: Mapping[str, str] = {}
    """Name of a model in the files → its name in the run."""
    suite: str = ""
    """Suite to import into; empty: the format's own, or the run's suite of the same questions."""
    judge: str = ""
    """Judge of files that do not name theirs."""
    baseline: str = ""
    """Model shown beside the others, where the files do not name it."""
    compat: bool = False
    """Count an unreadable verdict as the tool's own code does, where that is a tie; else it is unscored."""
    aliases: Mapping[str, str] = {}
    """What earlier imports of the run learned: the stem of a file's name → the model whose answers it holds."""
    answers: Mapping[str, str] = {}
    """The same of answer ids: id → model."""
    learned: Mapping[str, Sequence[str]] = {}
    """And of ids that no file of answers has: id → models that stood beside a known one; equal words share an id."""


class Side(Record, frozen=True, kw_only=True):
    """One answer that was judged, as far as the file tells which it was."""

    model: str = ""
    """Who wrote it; empty where only the id is known."""
    text: tuple[str, ...] | None = None
    """Its words, turn by turn; None where the file does not hold them."""
    id: str = ""
    """Id of the answer in its tool; it decides before the text, and the text before the name."""
    sample: int | None = None
    """Which of the model's answers to the question it is, where the file says so; its words are not looked for then."""
    anonymous: bool = False
    """True where ``model`` only says the place (``output-1``): a model of the run with the same words takes it."""


class Given(Record, frozen=True, kw_only=True):
    """One answer in a file of answers."""

    place: str
    """File and row."""
    suite: str
    """Suite of the item."""
    item: str
    """Id of the item."""
    side: Side
    """The answer."""


class Judged(Record, frozen=True, kw_only=True):
    """One judgement in a file."""

    place: str
    """File and row."""
    suite: str
    """Suite of the item."""
    item: str = ""
    """Id of the item; empty where ``pair`` is given."""
    shown: tuple[Side, ...] = ()
    """The answers in the order shown; empty where ``pair`` is given."""
    pair: str = ""
    """Key of a pair that a file gathered before."""
    swapped: bool = False
    """True where the pair was shown the other way round."""
    judge: str
    """Who judged."""
    rubric: str = ""
    """Bare name of what was asked; empty for people and exact scorers."""
    dimension: str = "overall"
    """What was judged."""
    turn: int = 1
    """1-based turn; 0 the whole conversation."""
    sample: int = 0
    """0-based sample of the judge."""
    vote: bool = False
    """True where the rows of one judge on one pair are votes of people that the file does not tell apart."""
    kind: Kind = "preference"
    """What the scores are."""
    scores: tuple[float, ...] = ()
    """One for each answer in the order shown; empty is unscored."""
    scale: tuple[float, float] = (0.0, 1.0)
    """Lowest and highest value that was asked for."""
    reply: str = ""
    """The judge's own words, where recorded."""
    error: str = ""
    """Why it is unscored."""


class Pair(Record, frozen=True, kw_only=True):
    """Two answers that further files speak of by a key."""

    place: str
    """File and row."""
    suite: str
    """Suite of the item."""
    item: str
    """Id of the item."""
    shown: tuple[Side, Side]
    """First and second, in the file's own order."""


class Gathered:
    """Everything that files of one format say.

    Attributes:
        items: (suite, id) → item; a question that is not in the files has one empty turn.
        answers: answers of files of answers, in order.
        pairs: key → pair.
        verdicts: judgements, in order.
        aliases: stem of a file's name → the model whose answers it holds.
        learned: id of an answer that no file of answers has → whose it is.
        scorers: suite → name of the tool whose exact scores its verdicts are.
        notes: what a user should know.
    """

    def __init__(self) -> None:
        self.items: dict[tuple[str, str], Item] = {}
        self.answers: list[Given] = []
        self.pairs: dict[str, Pair] = {}
        self.verdicts: list[Judged] = []
        self.aliases: dict[str, str] = {}
        self.learned: dict[str, set[str]] = {}
        self.scorers: dict[str, str] = {}
        self.notes: list[str] = []

    def item(
        self, suite: str, turns: Sequence[str], *, id: str = "", place: str = "", reference: Sequence[str] = (),
        category: str = "", choices: Sequence[str] = (), meta: Mapping[str, Any] | None = None,
    ) -> str:  # fmt: skip
        """The id of a question, gathered once; without an id of its own it is named by its words.

        Raises:
            UserError: the id stands for another question already.
        """
        name = id or question_id(turns)
        item = Item(
            id=name, turns=tuple(turns) or ("",), reference=tuple(reference), category=category,
            choices=tuple(choices), meta=dict(meta or {}),
        )  # fmt: skip
        known = self.items.get((suite, name))
        if known is None or not any(known.turns):
            self.items[suite, name] = item
        elif any(item.turns) and fingerprint(known.turns) != fingerprint(item.turns):
            raise UserError(f"{place}: question {name!r} has other words here than before")
        return name

    def answer(
        self, place: str, suite: str, item: str, model: str, turns: Sequence[str], id: str = "",
        sample: int | None = None,
    ) -> None:  # fmt: skip
        """Gathers one answer."""
        side = Side(model=model, text=tuple(turns), id=id, sample=sample)
        self.answers.append(Given(place=place, suite=suite, item=item, side=side))

    def note(self, text: str) -> None:
        """Gathers a note, once."""
        if text not in self.notes:
            self.notes.append(text)


def fingerprint(turns: Sequence[str]) -> str:
    """A hash of words alone: what differs in white space is the same text."""
    return hashlib.sha256(
        "\n\n".join(" ".join(turn.split()) for turn in turns).encode("utf-8", "surrogatepass")
    ).hexdigest()


def said(turns: Sequence[str]) -> str:
    """A hash of an answer's words: what differs in white space around a turn alone is the same answer."""
    return hashlib.sha256("\0".join(turn.strip() for turn in turns).encode("utf-8", "surrogatepass")).hexdigest()


def as_tie(judged: Judged, gathered: Gathered) -> Judged:
    """The judgement as a tool counts it that makes ties of what it cannot read; a note says so."""
    if judged.scores:
        return judged
    gathered.note("what could not be read is counted as a tie, as this tool's own code does (--compat)")
    return msgspec.structs.replace(judged, scores=TIE, error="", reply=judged.reply or judged.error)


def question_id(turns: Sequence[str]) -> str:
    """An id for a question that has none: the first digits of the hash of its words."""
    return fingerprint(turns)[:12]


def preference(winner: object, first: object = 1, second: object = 2, tie: object = 0) -> tuple[float, float] | None:
    """Scores of a label; None where it is none of the three.

    >>> preference("B", "A", "B", "tie")
    (0.0, 1.0)
    """
    if isinstance(winner, bool) or winner is None:
        return None
    return {first: FIRST, second: SECOND, tie: TIE}.get(winner) if isinstance(winner, str | int | float) else None
