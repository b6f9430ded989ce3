"""Hearings: the judges' generators driven over a backend, in waves, every verdict written as soon as it is known."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from judgebench.errors import UserError
from judgebench.judges import matchups
from judgebench.runs import Journal, Run
from judgebench.stages.progress import Progress
from judgebench.stages.seeds import draw_seed
from judgebench.stages.settings import Settings
from judgebench.types import (
    Backend,
    ChoiceReply,
    ChoiceRequest,
    ComparesChoices,
    Judge,
    Matchup,
    Reading,
    Reply,
    Request,
    Usage,
    Verdict,
)

Deliberation = Generator[Sequence[Request | ChoiceRequest], list[Any], Mapping[str, Reading]]

Done = Callable[["Hearing", Mapping[str, Reading]], None]
"""Takes a hearing that ended, with what was read."""


def verdicts_of(
    maker: Judge, matchup: Matchup, readings: Mapping[str, Reading], usage: Usage, reply: str
) -> list[Verdict]:
    """One verdict for each dimension of a matchup; the usage stands on the first, so that sums are right."""
    shown = tuple((answer.model, answer.sample) for answer in matchup.shown)
    verdicts: list[Verdict] = []
    for dimension in matchup.dimensions:
        reading = readings.get(dimension, Reading(error="unreadable: the judge gave no reading"))
        verdicts.append(
            Verdict(
                suite=matchup.suite, item=matchup.item.id, turn=matchup.turn, rubric=maker.rubric, judge=maker.name,
                dimension=dimension, shown=shown, sample=matchup.sample, kind=reading.kind, scores=reading.scores,
                scale=reading.scale, reply=reading.reply or reply, error=reading.error,
                usage=usage if not verdicts else Usage(), seen=matchups.digest(matchup.shown, matchup.turn),
            )
        )  # fmt: skip
    return verdicts


def missing(matchup: Matchup) -> str:
    """Why the matchup cannot be shown; empty where it can."""
    errors = [answer.error for answer in matchup.shown if answer.error]
    if not errors:
        return ""
    return errors[0] if errors[0].startswith("no answer") else f"no answer: {errors[0]}"


def nothing_open(planned: Sequence[Matchup], *, decided: bool) -> str:
    """Why there is nothing to put to a judge, in words: nothing could be planned or judged, or all is there.

    Args:
        planned: what could be judged.
        decided: whether judging stops once every pair is decided.
    """
    if not planned:
        return "nothing could be planned: the items lack what the rubric needs, or the answers it needs are not there"
    lacking = [missing(matchup) for matchup in planned]
    if all(lacking):
        return f"nothing can be judged: {lacking[0]} (all {len(planned)} planned)"
    return "every pair is decided, or asked in full" if decided else f"all {len(planned)} verdicts are there"


class Hearing:
    """One matchup on its way: its generator, the requests still out, and what it has cost."""

    def __init__(self, matchup: Matchup, deliberation: Deliberation) -> None:
        self.matchup, self.deliberation = matchup, deliberation
        self.requests: Sequence[Request | ChoiceRequest] = ()
        self.replies: dict[int, Reply | ChoiceReply] = {}
        self.usage = Usage()
        self.words = ""


def hear(
    run: Run, maker: Judge, todo: list[Matchup], backend: Backend | None, settings: Settings, *, quiet: bool
) -> None:
    """Writes the verdicts of one judge by one rubric on the matchups given.

    Args:
        run: where to.
        maker: the judge.
        todo: what it is to judge.
        backend: who answers its requests; None for a judge that asks nobody.
        settings: the seed.
        quiet: no progress.
    """
    rubric = maker.rubric.partition("@")[0]
    title = f"{maker.name} by {rubric}"
    with (
        Journal(run.verdicts_file(maker.name, rubric)) as journal,
        Progress(title, len(todo), backend=backend, quiet=quiet) as progress,
    ):

        def done(hearing: Hearing, readings: Mapping[str, Reading]) -> None:
            for verdict in verdicts_of(maker, hearing.matchup, readings, hearing.usage, hearing.words):
                journal.append(verdict)
            progress.advance(failed=any(not reading.scores for reading in readings.values()), usage=hearing.usage)

        def opening() -> Iterator[Hearing]:
            for matchup in todo:
                hearing = Hearing(matchup, maker.deliberate(matchup))
                if why := missing(matchup):
                    done(hearing, dict.fromkeys(matchup.dimensions, Reading(error=why)))
                elif _step(hearing, None, done):
                    yield hearing

        waiting: Iterator[Hearing] | list[Hearing] = opening()
        while True:
            waiting = _wave(waiting, backend, settings, done)
            if not waiting:
                return


def _wave(
    hearings: Iterator[Hearing] | list[Hearing], backend: Backend | None, settings: Settings, done: Done
) -> list[Hearing]:
    """Puts the open requests of all hearings to the backend; gives back those that ask for more."""
    out: dict[str, tuple[Hearing, int]] = {}
    compared: list[ChoiceRequest] = []
    further: list[Hearing] = []

    def requests() -> Iterator[Request]:
        for number, hearing in enumerate(hearings):
            for index, request in enumerate(hearing.requests):
                identifier = f"{number}.{index}"
                out[identifier] = (hearing, index)
                if isinstance(request, Request):
                    yield _addressed(request, identifier, hearing.matchup, settings)
                else:
                    suite, item = hearing.matchup.suite, hearing.matchup.item.id
                    compared.append(msgspec.structs.replace(request, id=identifier, suite=suite, item=item))

    if backend is None:
        for _ in requests():
            break
        for hearing, _ in out.values():
            raise UserError(f"a judge of {hearing.matchup.suite} asks a model, and it was named without one")
        return []
    for identifier, reply in _replies(backend, requests(), compared):
        hearing, index = out.pop(identifier)
        hearing.replies[index] = reply
        hearing.usage += reply.usage
        hearing.words = (reply.text if isinstance(reply, Reply) else "") or hearing.words
        if len(hearing.replies) == len(hearing.requests):
            replies = [hearing.replies[i] for i in range(len(hearing.requests))]
            if _step(hearing, replies, done):
                further.append(hearing)
    if out:
        raise RuntimeError(f"the backend lost {len(out)} of its requests")
    return further


def _replies(
    backend: Backend, requests: Iterator[Request], compared: list[ChoiceRequest]
) -> Iterator[tuple[str, Reply | ChoiceReply]]:
    """(id, reply) of all requests; those to be compared come to light while the others are taken."""
    for request, reply in backend.generate(requests):
        yield request.id, reply
    if compared:
        assert isinstance(backend, ComparesChoices)
        for asked, found in backend.loglikelihood(compared):
            yield asked.id, found


def _step(hearing: Hearing, replies: list[Reply | ChoiceReply] | None, done: Done) -> bool:
    """True where the judge asks for more; else its verdict is handed to ``done``."""
    try:
        hearing.requests = next(hearing.deliberation) if replies is None else hearing.deliberation.send(replies)
    except StopIteration as end:
        done(hearing, end.value)
        return False
    hearing.replies = {}
    return True


def _addressed(request: Request, identifier: str, matchup: Matchup, settings: Settings) -> Request:
    """The request under its id for this wave, with the item it is about and a seed where it is drawn."""
    drawn = request.sampling.temperature != 0
    shown = [(answer.model, answer.sample) for answer in matchup.shown]
    seed = draw_seed(settings.seed, matchup.item.id, matchup.turn, matchup.dimensions, shown, matchup.sample)
    return msgspec.structs.replace(
        request,
        id=identifier,
        sampling=msgspec.structs.replace(request.sampling, seed=seed) if drawn else request.sampling,
        suite=matchup.suite,
        item=matchup.item.id,
        turn=matchup.turn,
        sample=matchup.sample,
    )
