"""A judge that answers the question itself first, and then grades beside its own answer (MT-Bench, section 3.4)."""

from __future__ import annotations

from collections.abc import Generator, Mapping

from judgebench.errors import Unreadable
from judgebench.judges.rubric import ITEM_LACKS, ItemLacks, RubricJudge, numbered
from judgebench.thinking import strip_thinking
from judgebench.types import Matchup, Message, Reading, Reply, Request


class OwnReferenceJudge(RubricJudge):
    """Fills ``{reference}`` with what the judge itself answers, turn by turn, before it sees the answers judged.

    Zheng et al. (2023) take a judge's own independent answer as the reference for mathematics, reasoning and coding.
    """

    def deliberate(self, matchup: Matchup) -> Generator[list[Request], list[Reply], Mapping[str, Reading]]:
        """As many questions as there are turns, then the one of the rubric."""
        asked = (matchup.item.question or matchup.item.turns)[: matchup.turn]
        chat: tuple[Message, ...] = ()
        own: list[str] = []
        for text in asked:
            chat = (*chat, Message(role="user", content=text))
            (reply,) = yield [Request(id="", messages=chat, sampling=matchup.sampling)]
            try:
                said = strip_thinking(reply.text)
            except Unreadable as endless:
                return dict.fromkeys(matchup.dimensions, Reading(error=f"unreadable: its own answer: {endless}"))
            if reply.error or not said.strip():
                error = reply.error or "unreadable: the judge's own answer is empty"
                return dict.fromkeys(matchup.dimensions, Reading(error=error))
            if reply.finish == "length":
                self.remarks["its own answer was cut off at the token limit and was its reference all the same"] += 1
            own.append(said)
            chat = (*chat, Message(role="assistant", content=said))
        try:
            values = self.values(matchup, reference=own[0] if len(own) == 1 else numbered(tuple(own)))
        except ItemLacks as lack:
            return dict.fromkeys(matchup.dimensions, Reading(error=f"{ITEM_LACKS}: {lack}"))
        return (yield from self.heard(matchup, self.messages(values, matchup.dimensions)))
