"""LM-Examiner: a model that writes the questions, digs deeper into them, and grades answers without a reference.

Source: Bai et al. (2023), "Benchmarking Foundation Models with Language-Model-as-an-Examiner": questions by domain,
follow-ups that build on the examiner's own answer, grades for accuracy, coherence, factuality and comprehensiveness
and an overall one. Ranks come from the grades; several examiners are a panel. All wording is the rubric's.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import ClassVar

from judgebench.judges.fences import fence
from judgebench.judges.steps import StepsJudge, entries, failed
from judgebench.prompts import fill
from judgebench.thinking import strip_thinking
from judgebench.types import Matchup, Message, Reading, Record, Reply, Request, Sampling


class Examined(Record, frozen=True, kw_only=True):
    """What an examiner asks about one domain."""

    domain: str
    """What about."""
    items: tuple[tuple[str, ...], ...] = ()
    """The questions, each with its follow-ups behind it."""
    notes: tuple[str, ...] = ()
    """What a user must know: fewer than asked for, repeated, unreadable."""
    error: str = ""
    """Why there are none."""


class ExaminerJudge(StepsJudge):
    """Grades as the rubric says; its steps ``questions``, ``answer`` and ``follow_up`` write what is asked."""

    STEPS: ClassVar[Mapping[str, frozenset[str]]] = {
        "questions": frozenset({"domain", "count", "fence"}),
        "answer": frozenset({"question", "fence"}),
        "follow_up": frozenset({"question", "answer", "fence"}),
    }

    def steps_of(self, matchup: Matchup) -> Generator[list[Request], list[Reply], Mapping[str, Reading]]:
        """One question, one reply, graded without a reference."""
        return (yield from self.heard(matchup, self.ask(matchup)))

    def examine(
        self, domain: str, count: int, follow_ups: int = 0, sampling: Sampling | None = None
    ) -> Generator[list[Request], list[Reply], Examined]:
        """Questions about a domain, each with follow-ups: as a judge deliberates, it yields requests.

        Every follow-up is made of the question and of what the examiner itself answers to it.

        Args:
            domain: what about.
            count: questions wanted; more are not taken, fewer are noted.
            follow_ups: for each question; the turns of one conversation.
            sampling: how the questions are drawn.
        """
        drawn = sampling or Sampling()
        (reply,) = yield [self._put("questions", drawn, domain=domain, count=str(count))]
        if why := failed(reply):
            return Examined(domain=domain, error=why)
        listed = entries(reply.text)
        known: dict[str, str] = {}
        for one in listed:
            known.setdefault(" ".join(one.casefold().split()), one)
        asked = list(known.values())[:count]
        if not asked:
            return Examined(domain=domain, error="unreadable: no list of questions")
        notes = []
        if len(asked) < count:
            notes.append(f"{len(asked)} questions of {count} wanted ({len(listed)} listed, repeated ones left out)")
        elif len(known) > count:
            notes.append(f"{len(known)} questions listed, the first {count} taken")
        items: list[tuple[str, ...]] = [(one,) for one in asked]
        for _ in range(follow_ups):
            items, lost = yield from self._deeper(items, drawn)
            if lost:
                notes.append(f"{lost} follow-ups could not be read: those questions stay without")
        return Examined(domain=domain, items=tuple(items), notes=tuple(notes))

    def _deeper(
        self, items: Sequence[tuple[str, ...]], drawn: Sampling
    ) -> Generator[list[Request], list[Reply], tuple[list[tuple[str, ...]], int]]:
        """Each conversation with one more question, and how many could not be given one."""
        own = yield [self._put("answer", drawn, question=_printed(item)) for item in items]
        known = [at for at, reply in enumerate(own) if not failed(reply) and reply.text.strip()]
        further = yield [
            self._put("follow_up", drawn, question=_printed(items[at]), answer=strip_thinking(own[at].text).strip())
            for at in known
        ]
        found = list(items)
        lost = len(items) - len(known)
        for at, reply in zip(known, further, strict=True):
            text = "" if failed(reply) else strip_thinking(reply.text).strip()
            listed = entries(text)
            one = listed[0] if len(listed) == 1 else text
            if not one or "\n" in one:
                lost += 1
            else:
                found[at] = (*items[at], one)
        return found, lost

    def _put(self, step: str, drawn: Sampling, **values: str) -> Request:
        mark = fence(values.values(), (self.spec.name, step))
        chat = [Message(role="system", content=self.spec.system)] if self.spec.system else []
        content = fill(self.spec.steps[step], {**values, "fence": mark})
        return Request(id="", messages=(*chat, Message(role="user", content=content)), sampling=drawn)


def _printed(turns: Sequence[str]) -> str:
    return turns[0] if len(turns) == 1 else "\n".join(f"[Turn {number}] {text}" for number, text in enumerate(turns, 1))
