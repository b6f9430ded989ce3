"""Checklists: yes-or-no questions about one answer, each put apart (TICK) or in one chat that grows (InFoBench).

Sources: TICK (Cook et al. 2024): questions of the item's own, each answered separately with reasons first. InFoBench
(Qin et al. 2024): decomposed requirements, asked one after the other in one chat; the share of YES is the DRFR. What is
read of each question is kept in the verdict's words as JSON, so that micro and macro shares can be computed later
(`judgebench.ratings.checklists`).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence

import msgspec

from judgebench.judges import parse
from judgebench.judges.rubric import ITEM_LACKS, ItemLacks, RubricJudge, shown_texts
from judgebench.types import Item, Matchup, Message, Reading, Reply, Request

ALL_MET = "all met"
"""Dimension that is 1 where every question was answered with yes, and 0 elsewhere."""


class ChecklistJudge(RubricJudge):
    """Asks each question of a checklist; the share answered with yes is the score.

    A question without a readable answer leaves the whole answer unscored: what is missing may be what was not met.
    """

    def deliberate(self, matchup: Matchup) -> Generator[list[Request], list[Reply], Mapping[str, Reading]]:
        """All questions at once, or one after the other where the rubric says ``ask: chat``."""
        try:
            questions = self.questions(matchup.item)
            form = parse.ask_for(self.spec, ("overall",))
            filled = [self.values(matchup, criterion=one, format=form) for one in questions]
            chats = [self.messages(values, matchup.dimensions) for values in filled]
        except ItemLacks as lack:
            return dict.fromkeys(matchup.dimensions, Reading(error=f"{ITEM_LACKS}: {lack}"))
        sampling = self.sampling(matchup)
        if self.spec.ask != "chat":
            replies = yield [Request(id="", messages=messages, sampling=sampling) for messages in chats]
            return self.settled(matchup, questions, replies)
        replies = []
        chat: tuple[Message, ...] = ()
        for number, messages in enumerate(chats):
            asked = messages[-1] if number == 0 else Message(role="user", content=self.further(questions[number]))
            chat = messages if number == 0 else (*chat, asked)
            (reply,) = yield [Request(id="", messages=chat, sampling=sampling)]
            replies.append(reply)
            if reply.error:
                break
            chat = (*chat, Message(role="assistant", content=reply.text))
        return self.settled(matchup, questions, replies)

    def questions(self, item: Item) -> tuple[str, ...]:
        """The questions: the rubric's own, or the item's.

        Raises:
            ItemLacks: the item has none.
        """
        listed = self.spec.checklist
        if not isinstance(listed, str):
            return listed
        found = item.meta.get(listed)
        if isinstance(found, str):
            found = [line.strip() for line in found.splitlines()]
        if not isinstance(found, Sequence) or not any(str(one).strip() for one in found):
            raise ItemLacks(f"no {listed!r} in its meta")
        return tuple(str(one).strip() for one in found if str(one).strip())

    def further(self, criterion: str) -> str:
        """What a growing chat is asked after the first question."""
        return f"The next question about the same response:\n{criterion}\n\n{parse.ask_for(self.spec, ('overall',))}"

    def settled(self, matchup: Matchup, questions: Sequence[str], replies: Sequence[Reply]) -> Mapping[str, Reading]:
        """Dimension → reading of all replies together."""
        shown = shown_texts(matchup)
        read = [parse.read(self.spec, ("overall",), reply, shown)["overall"] for reply in replies]
        marks = [bool(one.scores[0]) if one.scores else None for one in read]
        marks += [None] * (len(questions) - len(marks))
        words = msgspec.json.encode(
            {"questions": list(questions), "answers": marks, "replies": [reply.text for reply in replies]}
        ).decode()
        broken = [one.error for one in read if one.error and not one.error.startswith("unreadable")]
        lost = [one.error.removeprefix("unreadable: ") for one in read if one.error]
        error = (
            broken[0] if broken else f"unreadable: {len(lost)} of {len(questions)} questions: {lost[0]}" if lost else ""
        )
        met = sum(mark is True for mark in marks)
        readings = {}
        for dimension in matchup.dimensions:
            score = float(met == len(marks)) if dimension == ALL_MET else met / len(marks)
            readings[dimension] = Reading(scores=() if error else (score,), error=error, reply=words)
        return readings
