"""What judges of several steps share: prompts beyond the first, options of their own, reading lists and last words."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Mapping
from typing import Any, ClassVar

import msgspec

from judgebench.errors import Unreadable, UserError, did_you_mean
from judgebench.judges.fences import fence
from judgebench.judges.rubric import ITEM_LACKS, ItemLacks, RubricJudge
from judgebench.prompts import fill, holes, unknown_hole
from judgebench.rubrics import Rubric
from judgebench.thinking import strip_thinking
from judgebench.types import Matchup, Message, Reading, Reply, Request

_ENTRY = re.compile(r"\s*(?:[-*•–]|\(?\d{1,3}[.):]\)?)\s+(?P<entry>\S.*)")
"""A line of a list: a dash, a star, a point or a number, and what is listed."""


class NoOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A judge that takes no options."""


class StepsJudge(RubricJudge):
    """A judge whose rubric has further prompts (``steps``) and ``options``; both are checked when it is made.

    Args:
        name: the judge's name in records.
        rubric: the rubric.

    Raises:
        UserError: a step missing, unknown or with a hole that nothing fills; an option unknown or out of range.
    """

    Options: ClassVar[type[msgspec.Struct]] = NoOptions
    """The options that it takes, each with a default."""
    STEPS: ClassVar[Mapping[str, frozenset[str]]] = {}
    """Name of each step → the holes that it fills."""
    MODES: ClassVar[tuple[str, ...]] = ("pointwise",)
    """Modes in which it judges."""
    DIMENSIONS: ClassVar[frozenset[str]] = frozenset()
    """The dimensions that it knows; empty is any."""

    def __init__(self, name: str, rubric: Rubric) -> None:
        super().__init__(name, rubric)
        who = f"rubric {rubric.name}: judge {rubric.made_by}"
        if rubric.mode not in self.MODES:
            raise UserError(f"{who} judges in mode {' or '.join(self.MODES)}, not {rubric.mode}")
        if rubric.ask == "each" and len(rubric.dimensions) > 1:
            raise UserError(f"{who} gives all of its dimensions at once: ask: each has no meaning")
        for dimension in rubric.dimensions:
            if self.DIMENSIONS and dimension not in self.DIMENSIONS:
                raise UserError(f"{who} knows no dimension {dimension!r}: {did_you_mean(dimension, self.DIMENSIONS)}")
        for step in rubric.steps:
            if step not in self.STEPS:
                hint = did_you_mean(step, self.STEPS) if self.STEPS else "it takes none"
                raise UserError(f"{who} knows no step {step!r}: {hint}")
        for step, allowed in self.STEPS.items():
            if step not in rubric.steps:
                raise UserError(f"{who} needs the prompt of its step {step!r} under 'steps'")
            for hole, _ in holes(rubric.steps[step]):
                if hole not in allowed:
                    raise UserError(f"rubric {rubric.name}: steps: {step}: {unknown_hole(hole, allowed)}")
        self.options: Any = self._checked(who)

    def _checked(self, who: str) -> Any:
        known = [field.name for field in msgspec.structs.fields(self.Options)]
        for key in self.spec.options:
            if key not in known:
                hint = did_you_mean(key, known) if known else "it takes none"
                raise UserError(f"{who} knows no option {key!r}: {hint}")
        try:
            return msgspec.convert(dict(self.spec.options), self.Options, strict=False)
        except msgspec.ValidationError as error:
            raise UserError(f"{who}: options: {error}") from None

    def deliberate(self, matchup: Matchup) -> Generator[list[Request], list[Reply], Mapping[str, Reading]]:
        """What `steps_of` comes to; an item that lacks something is not asked about."""
        try:
            return (yield from self.steps_of(matchup))
        except ItemLacks as lack:
            return dict.fromkeys(matchup.dimensions, Reading(error=f"{ITEM_LACKS}: {lack}"))

    def steps_of(self, matchup: Matchup) -> Generator[list[Request], list[Reply], Mapping[str, Reading]]:
        """The steps themselves.

        Raises:
            ItemLacks: the item has no field that is needed.
        """
        raise NotImplementedError
        yield []

    def step(self, name: str, matchup: Matchup, **values: str) -> Request:
        """The request of one step; its ``{fence}`` is in none of the values."""
        mark = fence(values.values(), (self.spec.name, name, matchup.suite, matchup.item.id, matchup.turn))
        chat = [Message(role="system", content=self.spec.system)] if self.spec.system else []
        content = fill(self.spec.steps[name], {**values, "fence": mark})
        return Request(id="", messages=(*chat, Message(role="user", content=content)), sampling=self.sampling(matchup))

    def unread(self, matchup: Matchup, error: str, reply: str = "") -> dict[str, Reading]:
        """Every dimension unscored for one reason."""
        return dict.fromkeys(matchup.dimensions, Reading(error=error, reply=reply))


def entries(text: str) -> list[str]:
    r"""What a list in a reply lists, one entry a line; lines that begin with no mark of a list are passed over.

    >>> entries("Facts:\n- He was born in 1950.\n2. He sings.\n\nDone.")
    ['He was born in 1950.', 'He sings.']
    """
    lines = (_settled(text) or "").splitlines()
    return [match["entry"].strip() for line in lines if (match := _ENTRY.fullmatch(line.rstrip()))]


def last_word(text: str, words: Iterable[str]) -> str:
    r"""Which of the words a reply ends with, or begins with; empty where neither line tells exactly one.

    The last line that is not empty is looked at first, then the first. A word that is denied (``not true``) counts as
    none. Marks around a word do not matter, nor do capitals.

    >>> last_word("The passage says otherwise.\n\n**False**", ("True", "False"))
    'False'
    """
    lines = [line for line in (_settled(text) or "").splitlines() if line.strip()]
    for line in (lines[-1:] + lines[:1]) if lines else []:
        found = {word for word in words if re.search(rf"(?<!\w){re.escape(word)}(?!\w)", line, re.IGNORECASE)}
        denied = any(re.search(rf"\b(?:not|neither)\s+\W*{re.escape(word)}\b", line, re.IGNORECASE) for word in found)
        if len(found) == 1 and not denied:
            return found.pop()
    return ""


def failed(reply: Reply) -> str:
    """Why a reply of a step cannot be used; empty where it can."""
    if reply.error:
        return reply.error
    if reply.finish == "length":
        return "unreadable: a step was cut off at the token limit"
    if reply.finish == "filter":
        return "unreadable: a step was filtered"
    return "" if _settled(reply.text) is not None else "unreadable: the reasoning of a step never ended"


def _settled(text: str) -> str | None:
    """The text after its reasoning; None where that never ended."""
    try:
        return strip_thinking(text)
    except Unreadable:
        return None
