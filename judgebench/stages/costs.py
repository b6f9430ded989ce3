"""What a command would ask, before anything is asked: requests, tokens, price and time by stage and model.

The plan is made by the stages' own code on a copy of the run in a scratch folder: what the run holds is not counted
again, recorded answers (``replay``) are read, and the prompts of judges are those that would be sent, with words of
the expected number in place of replies that nobody has given yet.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from judgebench.backends.responses import ResponseCache, Speed
from judgebench.rubrics import Rubric
from judgebench.runs import Run
from judgebench.stages import answering, judging
from judgebench.stages.fallback import MOST as MOST_READ
from judgebench.stages.hearings import missing
from judgebench.stages.opening import WITHOUT_MODEL, made, responses_file, speed_key
from judgebench.stages.prices import FREE, PriceTable, read_prices, spent
from judgebench.stages.settings import Settings
from judgebench.suites import Suite
from judgebench.types import (
    Answer,
    ChoiceReply,
    ChoiceRequest,
    ChoiceScore,
    Judge,
    Matchup,
    Message,
    Model,
    Record,
    Reply,
    Request,
    Sampling,
    Usage,
)

ASSUMED = {"answers": 300, "verdicts": 200, "readings": 20}
"""Tokens of a reply where nothing was measured."""

BYTES_A_TOKEN = 4.0
"""Rough size of a token of English text, where there is no tokenizer."""

SAMPLE = 200
"""Prompts that are tokenised; the others are taken to hold as many tokens a byte."""

MOST_STEPS = 20
"""Rounds of requests of one judge on one matchup that are played through."""


class Stage(Record, frozen=True, kw_only=True):
    """What one model would be asked in one stage."""

    stage: str
    """``answers``, ``verdicts`` or ``readings``."""
    who: str
    """Name of the model; of a judge also its rubric."""
    calls: int
    """Requests."""
    read: int
    """Tokens of all prompts."""
    written: int
    """Tokens of all replies, as expected."""
    written_most: int
    """Tokens of all replies, if each is as long as it may be."""
    read_basis: str
    """Where the tokens read are from."""
    written_basis: str
    """Where the length of a reply is from."""
    price: float | None
    """As expected; None where it is not known."""
    price_most: float | None
    """If each reply is as long as it may be."""
    seconds: float | None
    """Wall time at the speed last measured; None where none was."""
    note: str = ""
    """What must be known of these numbers."""


class _Sizes:
    """Sizes of prompts as they come, and a sample of them to be tokenised."""

    def __init__(self) -> None:
        self.calls = self.bytes = self.most = 0
        self.sample: list[tuple[Message, ...]] = []

    def add(self, request: Request) -> None:
        self.calls += 1
        self.bytes += _bytes(request.messages)
        self.most += request.sampling.max_tokens
        if len(self.sample) < SAMPLE:
            self.sample.append(request.messages)


def planned(
    path: Path, suites: Sequence[Suite], models: Sequence[Model], judges: Sequence[Model], rubrics: Sequence[Rubric],
    readers: Sequence[Model], settings: Settings, scratch: Path, scope: judging.Scope | None = None,
) -> list[Stage]:  # fmt: skip
    """What would be asked, a row for each stage and model.

    Args:
        path: the run, which need not be there.
        suites: loaded suites; empty where only judging is planned.
        models: models under test.
        judges: judge models.
        rubrics: what each judge is asked.
        readers: models that read what a scorer's rules could not.
        settings: how.
        scratch: an empty folder, for a copy of the run.
        scope: what of the run is judged.

    Raises:
        RunConflict: the run holds records that were made under other settings.
        UserError: as the stages.
    """
    run = _copied(path, scratch)
    if suites:
        answering.check(run, suites, models, settings, {}, quiet=True)
        judging.check(run, judges, rubrics, settings)
        answering.register(run, suites, models, settings)
    table = read_prices(settings.prices) if settings.prices else None
    known, rows = spent(run), []
    with contextlib.closing(_Measured(settings)) as measured:
        recorded = [model for model in models if model.backend == "replay"]
        if recorded:
            answering.generate(run, suites, recorded, _free(settings), {}, quiet=True)
        given = judging.recorded_in(run)
        for model in (each for each in models if each.backend not in FREE or each.backend == "scripted"):
            length = _length("answers", known.get(("model", model.name)), measured.speed(model))
            sizes = _answers(run, suites, model, settings, given, length[0])
            rows.append(_row("answers", model, model.name, sizes, length, table, measured, settings))
        for model in judges:
            for rubric in rubrics:
                length = _length("verdicts", known.get(("judge", model.name)), measured.speed(model))
                sizes = _verdicts(run, model, rubric, given, settings, scope, length[0])
                who = f"{model.name} by {rubric.name}"
                rows.append(_row("verdicts", model, who, sizes, length, table, measured, settings))
        for model in readers:
            length = (ASSUMED["readings"], f"assumed {ASSUMED['readings']} a reply")
            sizes = _readings(suites, given, settings)
            note = "at most: only answers are read that no rule could"
            rows.append(_row("readings", model, model.name, sizes, length, table, measured, settings, note))
    return rows


def _copied(path: Path, scratch: Path) -> Run:
    """The run with its records in the scratch folder, or a new one of that name."""
    folder = scratch / (path.resolve().name or "run")
    if (path / "manifest.json").is_file():
        Run(path)
        folder.mkdir()
        shutil.copy(path / "manifest.json", folder)
        for name in ("items", "answers", "verdicts"):
            if (path / name).is_dir():
                shutil.copytree(path / name, folder / name, ignore=shutil.ignore_patterns(".*"))
    elif path.exists() and (not path.is_dir() or any(path.iterdir())):
        Run(path, create=True)
    return Run(folder, create=True)


def _free(settings: Settings) -> Settings:
    """The settings without limits: what is read from files costs nothing."""
    return msgspec.structs.replace(
        settings, max_cost=None, max_tokens_total=None, prices="", executor="local", replicas=1
    )


def _answers(
    run: Run, suites: Sequence[Suite], model: Model, settings: Settings,
    given: dict[str, dict[str, dict[str, dict[int, Answer]]]], length: int,
) -> _Sizes:  # fmt: skip
    """Sizes of a model's requests; what it would say is put among the answers given, in words of that length."""
    sizes = _Sizes()
    for task in answering.tasks_of(run, suites, model, _free(settings), {}):
        if task.to_compare:
            messages = (*task.messages(), Message(role="user", content=task.item.turns[0]))
            sizes.add(Request(id="", messages=messages, sampling=Sampling(max_tokens=0)))
        while task.generates and not task.written:
            request = task.request(settings)
            sizes.add(request)
            task.take(Reply(text="the " * min(length, request.sampling.max_tokens)))
        by_model = given.setdefault(task.suite.name, {}).setdefault(task.item.id, {}).setdefault(model.name, {})
        by_model[task.answer.sample] = msgspec.structs.replace(task.answer, error="")
    return sizes


def _verdicts(
    run: Run, model: Model, rubric: Rubric, given: dict[str, dict[str, dict[str, dict[int, Answer]]]],
    settings: Settings, scope: judging.Scope | None, length: int,
) -> _Sizes:  # fmt: skip
    """Sizes of a judge's requests on what has no verdict yet, every step of it played through."""
    sizes = _Sizes()
    maker = judging.make_judge(model, rubric)
    player = judging.make_judge(model, msgspec.structs.replace(rubric, reask=False))
    known = run.verdicts(run.verdicts_file(model.name, rubric.name))
    for suite in judging.judged_suites(run, settings):
        if scope is not None and suite not in scope.items:
            continue
        for matchup in judging.planned_on(run, suite, given.get(suite, {}), maker, rubric, settings, scope, True):
            if model.backend in WITHOUT_MODEL or missing(matchup) or judging.standing(matchup, maker, known):
                continue
            for request in _steps(player, matchup, length):
                sizes.add(request)
    return sizes


def _steps(maker: Judge, matchup: Matchup, length: int) -> Iterator[Request]:
    """The requests of a judge on a matchup, if all its replies were words of a length and nothing else."""
    deliberation = maker.deliberate(matchup)
    try:
        requests = next(deliberation)
        for _ in range(MOST_STEPS):
            yield from (_plain(request) for request in requests)
            requests = deliberation.send([_said(request, length) for request in requests])
    except StopIteration:
        return
    finally:
        deliberation.close()


def _plain(request: Request | ChoiceRequest) -> Request:
    """The request, or one that reads the texts to be compared and writes nothing."""
    if isinstance(request, Request):
        return request
    texts = Message(role="assistant", content=" ".join(request.choices))
    return Request(id="", messages=(*request.messages, texts), sampling=Sampling(max_tokens=0))


def _said(request: Request | ChoiceRequest, length: int) -> Reply | ChoiceReply:
    """Words of a length, or log-probabilities that say nothing."""
    if isinstance(request, Request):
        return Reply(text="the " * length)
    return ChoiceReply(choices=tuple(ChoiceScore(logprob=-1.0, tokens=1, bytes=1) for _ in request.choices))


def _readings(
    suites: Sequence[Suite], given: dict[str, dict[str, dict[str, dict[int, Answer]]]], settings: Settings
) -> _Sizes:
    """Sizes of the requests of a model that reads answers, were it asked about all of them."""
    sizes = _Sizes()
    for suite in (each for each in suites if each.scorer and each.scorer != "code"):
        asked = {item.id: item.turns for item in suite.items}
        for item, by_model in given.get(suite.name, {}).items():
            for answer in (answer for samples in by_model.values() for answer in samples.values()):
                text = "\n".join((*asked.get(item, ()), *answer.turns))
                sampling = msgspec.structs.replace(answering.sampling(suite, suite.items[0], settings),
                                                   max_tokens=settings.judge_max_tokens or MOST_READ)  # fmt: skip
                sizes.add(Request(id="", messages=(Message(role="user", content=text),), sampling=sampling))
    return sizes


def _length(stage: str, used: Usage | None, speed: Speed | None) -> tuple[int, str]:
    """Tokens expected of a reply, and where the number is from."""
    if used is not None and used.requests and used.completion_tokens:
        return round(used.completion_tokens / used.requests), f"mean of {used.requests:,} calls of this run"
    if speed is not None and speed.completion_tokens:
        mean = round(speed.completion_tokens / speed.requests)
        return mean, f"mean of {speed.requests:,} calls on {speed.day}"
    return ASSUMED[stage], f"assumed {ASSUMED[stage]} a reply"


def _row(
    stage: str, model: Model, who: str, sizes: _Sizes, length: tuple[int, str], table: PriceTable | None,
    measured: _Measured, settings: Settings, note: str = "",
) -> Stage:  # fmt: skip
    read, basis = _read(model, sizes, settings)
    written = min(length[0] * sizes.calls, sizes.most)
    price = table.of(model) if table else None
    if not sizes.calls or model.backend in FREE:
        price_now: float | None = 0.0
        price_most: float | None = 0.0
    else:
        price_now = price.of_tokens(read, written) if price else None
        price_most = price.of_tokens(read, sizes.most) if price else None
    speed = measured.speed(model)
    seconds = 0.0 if not sizes.calls or model.backend in FREE else None
    if speed is not None and sizes.calls:
        each = speed.seconds / speed.requests
        mean = speed.completion_tokens / speed.requests
        seconds = sizes.calls * each * (written / sizes.calls / mean if mean and written else 1.0)
        note = "; ".join(filter(None, (note, f"time at the speed of {speed.requests:,} calls on {speed.day}")))
    if settings.stop_when == "decided" and stage == "verdicts":
        note = "; ".join(filter(None, (note, "at most: judging stops where a pair is decided")))
    return Stage(
        stage=stage, who=who, calls=sizes.calls, read=read, written=written, written_most=sizes.most, read_basis=basis,
        written_basis=length[1], price=price_now, price_most=price_most, seconds=seconds, note=note,
    )  # fmt: skip


def _read(model: Model, sizes: _Sizes, settings: Settings) -> tuple[int, str]:
    """Tokens of all prompts, and whether they were counted or estimated."""
    guess = round(sizes.bytes / BYTES_A_TOKEN), f"an estimate, {BYTES_A_TOKEN:g} bytes a token"
    if not sizes.calls or model.backend in ("openai", *FREE):
        return guess
    with contextlib.closing(made(model, settings)) as backend:
        count = getattr(backend, "prompt_tokens", None)
        if count is None:
            return guess
        found = [(len(count(messages).tokens), _bytes(messages)) for messages in sizes.sample]
    counted = [(tokens, size) for tokens, size in found if tokens]
    if not counted:
        return guess
    tokens = sum(tokens for tokens, _ in counted)
    if len(counted) == sizes.calls:
        return tokens, "counted by the model's own tokenizer"
    share = tokens / sum(size for _, size in counted)
    return round(sizes.bytes * share), f"{len(counted)} of them counted by the model's own tokenizer"


class _Measured:
    """The speeds kept in the cache folder."""

    def __init__(self, settings: Settings) -> None:
        usable = not settings.no_cache and responses_file().is_file()
        self._cache = ResponseCache(responses_file()) if usable else None

    def speed(self, model: Model) -> Speed | None:
        return None if self._cache is None else self._cache.speed(speed_key(model))

    def close(self) -> None:
        if self._cache is not None:
            self._cache.close()


def _bytes(messages: Sequence[Message]) -> int:
    return sum(len(message.content.encode("utf-8", "surrogatepass")) for message in messages)
