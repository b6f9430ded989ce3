"""A rubric put to a model: two hooks, `ask` and `read`, and the deliberation made of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Mapping
from typing import Any

import msgspec

from judgebench.errors import UserError
from judgebench.judges import parse, structured
from judgebench.judges.fences import fence
from judgebench.prompts import fill
from judgebench.rubrics import Example, Rubric
from judgebench.types import Answer, Item, Matchup, Message, Reading, Reply, Request, Sampling

ITEM_LACKS = "item lacks"
"""Kind of the error of a verdict that was never asked for, since the item lacks what the rubric shows of it."""

AGAIN = "Your last reply held no verdict that could be read. Judge no further, and give only the verdict. "
"""Said before the form is repeated, where a judge is asked once more."""


class ItemLacks(Exception):
    """An item lacks a field of its meta that the rubric shows."""


class RubricJudge:
    """Asks what a rubric file says and reads the form it asked for.

    ``needs`` names what of `Sampling` its requests use beyond drawing text; ``remarks`` counts what a user must be told
    of at the end.

    Args:
        name: the judge's name in records.
        rubric: the rubric.

    Raises:
        UserError: an example in the rubric has a reply that the rubric's own form cannot read.
    """

    needs: frozenset[str] = frozenset()

    def __init__(self, name: str, rubric: Rubric) -> None:
        self.name = name
        self.spec = rubric
        self.rubric = rubric.id
        self.mode: str = rubric.mode
        self.remarks: Counter[str] = Counter()
        if rubric.structured:
            self.needs = frozenset({"json_schema" if rubric.form == "json" else "one_of"})
        for number, example in enumerate(rubric.examples, 1):
            self._check(number, example)

    def ask(self, matchup: Matchup) -> tuple[Message, ...]:
        """The messages for one matchup. Text of an item or an answer never opens a hole: holes are filled once.

        Raises:
            ItemLacks: the item has no field that the rubric shows.
        """
        return self.messages(self.values(matchup), matchup.dimensions)

    def read(self, matchup: Matchup, reply: Reply) -> Mapping[str, Reading]:
        """Dimension → reading of the reply; what cannot be read is unscored and says why."""
        return parse.read(self.spec, matchup.dimensions, reply, shown_texts(matchup))

    def deliberate(self, matchup: Matchup) -> Generator[list[Request], list[Reply], Mapping[str, Reading]]:
        """One question, one reply, one reading; one more of each where the rubric allows it and nothing was read."""
        try:
            messages = self.ask(matchup)
        except ItemLacks as lack:
            return dict.fromkeys(matchup.dimensions, Reading(error=f"{ITEM_LACKS}: {lack}"))
        return (yield from self.heard(matchup, messages))

    def heard(
        self, matchup: Matchup, messages: tuple[Message, ...]
    ) -> Generator[list[Request], list[Reply], Mapping[str, Reading]]:
        """What is read once these messages are put, the second try included."""
        sampling = self.sampling(matchup)
        (reply,) = yield [Request(id="", messages=messages, sampling=sampling)]
        readings = dict(self.read(matchup, reply))
        lost = tuple(name for name, reading in readings.items() if reading.error.startswith("unreadable"))
        if not lost or not self.spec.reask:
            return readings
        self.remarks["asked once more for a verdict that could not be read"] += 1
        form = "Keep exactly to the form asked for." if self.spec.pattern else parse.ask_for(self.spec, lost)
        again = Message(role="user", content=AGAIN + form)
        said = Message(role="assistant", content=reply.text)
        (second,) = yield [Request(id="", messages=(*messages, said, again), sampling=sampling)]
        for name, reading in self.read(msgspec.structs.replace(matchup, dimensions=lost), second).items():
            words = f"{reply.text}\n\n[asked once more]\n\n{second.text}"
            readings[name] = msgspec.structs.replace(reading, reply=words)
        return readings

    def sampling(self, matchup: Matchup) -> Sampling:
        """The matchup's sampling, held to the form where the rubric says so."""
        if not self.spec.structured:
            return matchup.sampling
        if self.spec.form == "json":
            schema = structured.schema(self.spec, matchup.dimensions, tuple(parse.labels(self.spec)))
            return msgspec.structs.replace(matchup.sampling, json_schema=schema)
        return msgspec.structs.replace(matchup.sampling, one_of=parse.one_of(self.spec))

    def values(self, matchup: Matchup, **more: str) -> dict[str, str]:
        """Hole → text, for one matchup; ``more`` lays over it and is fenced as well.

        Raises:
            ItemLacks: the item has no field that the rubric shows.
        """
        spec, item, turn = self.spec, matchup.item, matchup.turn
        own = {hole: from_meta(item, field) for hole, field in spec.from_item.items()}
        replies = [answer.turns[:turn] for answer in matchup.shown]
        asked = item.question or item.turns
        mark = fence(
            [*asked, *item.reference, *(text for texts in replies for text in texts), *own.values(), *more.values()],
            (spec.name, matchup.suite, item.id, turn, matchup.dimensions, len(replies)),
        )
        values = {
            **own,
            "question": question(item, turn, whole=not _has_conversation(spec), mark=mark),
            "category": item.category,
            "reference": numbered(item.reference[:turn], mark) if turn > 1 else "".join(item.reference[:1]),
            "dimensions": "\n".join(f"- {name}: {spec.dimensions[name]}" for name in matchup.dimensions),
            "format": parse.ask_for(spec, matchup.dimensions) + _focus(turn),
            "fence": mark,
        }
        letters = ("",) if spec.mode != "pairwise" else ("_a", "_b")
        for letter, answer, texts in zip(letters, matchup.shown, replies, strict=True):
            values[f"answer{letter}"] = numbered(texts, mark) if turn > 1 else "".join(texts)
            values[f"conversation{letter}"] = conversation(item, answer, turn, mark)
        return {**values, **more}

    def messages(self, values: Mapping[str, str], dimensions: tuple[str, ...]) -> tuple[Message, ...]:
        """The chat with the system message, the examples and the prompt, filled."""
        spec = self.spec
        chat = [Message(role="system", content=spec.system)] if spec.system else []
        for example in spec.examples:
            told = {**values, **_example_values(example, spec, dimensions)}
            chat += [Message(role="user", content=self._filled(told)), Message(role="assistant", content=example.reply)]
        return (*chat, Message(role="user", content=self._filled(values)))

    def _filled(self, values: Mapping[str, str]) -> str:
        return fill(self.spec.prompt, {name: values[name] for name in self.spec.holes})

    def readable(self, reply: str) -> bool:
        """Whether an example's reply is one that the rubric's own form reads."""
        names = tuple(self.spec.dimensions)
        dimensions = names if self.spec.ask == "together" else names[:1]
        read = parse.read(self.spec, dimensions, Reply(text=reply)).values()
        return all(reading.scores or reading.error == parse.NOT_APPLICABLE for reading in read)

    def _check(self, number: int, example: Example) -> None:
        if not self.readable(example.reply):
            raise UserError(f"rubric {self.spec.name}: example {number}: its reply cannot be read in the rubric's form")
        wanted = {"pairwise": ("answer_a", "answer_b")}.get(self.spec.mode, ("answer",))
        for key in wanted:
            if not getattr(example, key):
                raise UserError(f"rubric {self.spec.name}: example {number} has no {key!r}")


def shown_texts(matchup: Matchup) -> tuple[str, ...]:
    """Every text of the answers that a judge of this turn sees."""
    return tuple(text for answer in matchup.shown for text in answer.turns[: matchup.turn or None])


def question(item: Item, turn: int, *, whole: bool, mark: str = "") -> str:
    """What the user asked: the turn's own question, or with ``whole`` every turn up to it, numbered."""
    asked = (item.question or item.turns)[:turn]
    return numbered(asked, mark) if whole and turn > 1 else asked[-1]


def numbered(texts: tuple[str, ...], mark: str = "") -> str:
    """Texts of several turns under a line each that counts them, with the call's mark in it."""
    return "\n\n".join(f"[Turn {i}{_after(mark)}]\n{text}" for i, text in enumerate(texts, 1))


def conversation(item: Item, answer: Answer, turn: int, mark: str = "") -> str:
    """User and assistant in turn, up to and including the turn judged."""
    asked = item.question or item.turns
    pairs = zip(asked[:turn], answer.turns[:turn], strict=False)
    tail = _after(mark)
    return "\n\n".join(f"[User{tail}]\n{user}\n\n[Assistant{tail}]\n{reply}" for user, reply in pairs)


def from_meta(item: Item, field: str) -> str:
    """A field of an item's meta as text; dots go into mappings, lists become lines.

    Raises:
        ItemLacks: it has none, or an empty one.
    """
    found: Any = item.meta
    for part in field.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    if found is None or found in ("", [], {}):
        raise ItemLacks(f"no {field!r} in its meta")
    if isinstance(found, Mapping):
        return "\n".join(f"{key}: {value}" for key, value in found.items())
    return "\n".join(f"- {value}" for value in found) if isinstance(found, (list, tuple)) else str(found)


def _example_values(example: Example, spec: Rubric, dimensions: tuple[str, ...]) -> dict[str, str]:
    pairs = [("", example.answer), ("_a", example.answer_a), ("_b", example.answer_b)]
    values = {"question": example.question, "reference": example.reference, "format": parse.ask_for(spec, dimensions)}
    for letter, answer in pairs:
        values[f"answer{letter}"] = answer
        values[f"conversation{letter}"] = f"[User]\n{example.question}\n\n[Assistant]\n{answer}"
    return values


def _after(mark: str) -> str:
    return f" {mark}" if mark else ""


def _has_conversation(spec: Rubric) -> bool:
    return any(name.startswith("conversation") for name in spec.holes)


def _focus(turn: int) -> str:
    return "" if turn <= 1 else f" Judge the reply to turn {turn}; the earlier turns are there as its context."
