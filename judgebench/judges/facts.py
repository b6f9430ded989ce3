"""FActScore: an answer split into atomic facts, each held against passages of a folder of sources.

Source: Min et al. (2023), "FActScore": facts by a model, k = 5 passages by BM25 from the topic's page, True or False
each. The score is the share supported, with the length penalty of `judgebench.judges.factscore`. All wording is the
rubric's.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Annotated, ClassVar

import msgspec

from judgebench.errors import UserError
from judgebench.judges.factscore import GAMMA, length_penalty
from judgebench.judges.passages import Passage, Sources, sources_in
from judgebench.judges.rubric import ItemLacks, from_meta
from judgebench.judges.steps import StepsJudge, entries, failed, last_word
from judgebench.types import Matchup, Reading, Reply, Request

NO_FACTS = "NONE"
"""What the splitting step replies of an answer that claims nothing."""

ABSTAINS = "not applicable: the answer holds no fact"
"""Why an answer that abstains has no score; it counts in the respond ratio."""

MOST_FACTS = 100.0
"""Upper end of the scale of the number of facts; more are kept as they are."""


class FactOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What ``options`` of a rubric, or ``--option RUBRIC.KEY=VALUE``, may set."""

    sources: str = ""
    """Folder of the sources, ``.txt`` and ``.md``."""
    topic: str = ""
    """Field of an item's meta that names its source; empty searches the whole folder."""
    passages: Annotated[int, msgspec.Meta(ge=1)] = 5
    """Passages shown with each fact."""
    gamma: Annotated[float, msgspec.Meta(ge=0)] = GAMMA
    """Facts up to which an answer is penalised; 0 is no penalty."""


class FactsJudge(StepsJudge):
    """Splits an answer into facts (the rubric's prompt) and checks each against the sources (its step ``check``).

    Dimensions: ``factscore`` with penalty, ``supported`` without, ``facts`` their number, ``responds`` 1 where there is
    any, else 0. The folder is read when the first answer is judged, so that rubrics can be checked without it.
    """

    Options = FactOptions
    STEPS: ClassVar[Mapping[str, frozenset[str]]] = {
        "check": frozenset({"question", "topic", "fact", "passages", "fence"})
    }
    DIMENSIONS = frozenset({"factscore", "supported", "facts", "responds"})

    def refuse_unready(self) -> None:
        """Nothing, when the sources can be read; asked before anything is spent.

        Raises:
            UserError: no folder is named, or it cannot be read.
        """
        self._sources()

    def steps_of(self, matchup: Matchup) -> Generator[list[Request], list[Reply], Mapping[str, Reading]]:
        """One request that splits, then one for each fact, all at once."""
        sources, topic = self._sources(), ""
        source: str | None = ""
        if self.options.topic:
            topic = from_meta(matchup.item, self.options.topic)
            source = sources.named(topic)
            if source is None:
                raise ItemLacks(f"a source of the topic {topic!r} in {self.options.sources}")
        (split,) = yield [Request(id="", messages=self.ask(matchup), sampling=self.sampling(matchup))]
        if why := failed(split):
            return self.unread(matchup, why, split.text)
        facts = entries(split.text)
        if not facts:
            if last_word(split.text, (NO_FACTS,)):
                return self._abstained(matchup, split.text)
            return self.unread(matchup, f"unreadable: neither a list of facts nor {NO_FACTS}", split.text)
        shown = [sources.best(f"{topic} {fact}", self.options.passages, source or "") for fact in facts]
        asked = matchup.item.question or matchup.item.turns
        replies = yield [
            self.step("check", matchup, question=asked[max(matchup.turn, 1) - 1], topic=topic, fact=fact,
                      passages=_printed(each))
            for fact, each in zip(facts, shown, strict=True)
        ]  # fmt: skip
        return self._settled(matchup, facts, shown, replies)

    def _settled(
        self, matchup: Matchup, facts: list[str], shown: Sequence[Sequence[Passage]], replies: Sequence[Reply]
    ) -> Mapping[str, Reading]:
        marks: list[bool | None] = []
        errors: list[str] = []
        for reply in replies:
            why = failed(reply)
            word = "" if why else last_word(reply.text, ("True", "False"))
            marks.append({"True": True, "False": False}.get(word))
            if not word:
                errors.append(why or "unreadable: a fact was called neither True nor False")
        passages = [[f"{each.source}:{each.number}" for each in one] for one in shown]
        words = msgspec.json.encode(
            {"facts": facts, "supported": marks, "passages": passages, "replies": [each.text for each in replies]}
        ).decode()
        if errors:
            broken = [error for error in errors if not error.startswith("unreadable")]
            lost = f"unreadable: {len(errors)} of {len(facts)} facts: {errors[0].removeprefix('unreadable: ')}"
            return self.unread(matchup, broken[0] if broken else lost, words)
        share = sum(mark is True for mark in marks) / len(marks)
        penalised = share * length_penalty(len(facts), self.options.gamma)
        found = {"responds": 1.0, "supported": share, "factscore": penalised, "facts": float(len(facts))}
        return {
            name: Reading(scores=(found[name],), reply=words, scale=(0.0, MOST_FACTS if name == "facts" else 1.0))
            for name in matchup.dimensions
        }

    def _abstained(self, matchup: Matchup, said: str) -> Mapping[str, Reading]:
        words = msgspec.json.encode({"facts": [], "supported": [], "passages": [], "replies": [said]}).decode()
        answered = Reading(scores=(0.0,), reply=words)
        return {
            name: answered if name == "responds" else Reading(error=ABSTAINS, reply=words)
            for name in matchup.dimensions
        }

    def _sources(self) -> Sources:
        if not self.options.sources:
            name = self.spec.name
            raise UserError(
                f"rubric {name}: judge {self.spec.made_by} needs a folder of sources: --option {name}.sources=FOLDER"
            )
        return sources_in(self.options.sources)


def _printed(passages: Sequence[Passage]) -> str:
    return "\n\n".join(f"[{number}] {each.text}" for number, each in enumerate(passages, 1))
