"""Replies by a provider's batches: files of requests that are answered within a day, at a lower price.

A batch outlives the command that made it. What was sent is kept in a file of the run (`batch_state`) under a digest of
each request, so that a later command, whose open requests may be fewer, waits for the same batches and makes none anew.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any
from uuid import uuid4

import msgspec

from judgebench.backends.batch_state import Batch, BatchEvent, BatchState
from judgebench.backends.batch_wire import ENDED, BatchInfo, Wire, WireFailed, read_rows
from judgebench.backends.chat_completions import Dialect, Fault, one_line, with_system
from judgebench.backends.openai_options import OpenAIOptions
from judgebench.backends.promises import Promises
from judgebench.errors import BackendError, UserError
from judgebench.types import Model, Reply, Request, Sampling, Usage

MOST_ROWS = 50_000
"""Requests in one batch."""
MOST_BYTES = 190_000_000
"""Size of one batch's file; providers take 200 MB."""
PATIENCE = 10
"""Looks in a row at a batch that may all fail, each with its repeats, before the command ends."""

_NEUTRAL = Dialect("max_tokens", False)
"""Writes requests for their digest: what a server makes us rename or leave out changes no digest."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """The endpoint as its backend knows it, and how the backend writes a request."""

    model: Model
    options: OpenAIOptions
    url: str
    key: str
    proxy: str | None
    dialect: Dialect
    added: dict[str, Any]
    promises: Promises
    sampling: Callable[[Sampling], Sampling]
    served: Callable[[str], None]
    notes: dict[str, str]


@dataclass
class _Under:
    """A batch under way, and the requests that wait for it."""

    batch: Batch
    version: tuple[str, int]
    """Of the dialect, when it was made."""
    asked: dict[str, Request] = field(default_factory=dict)
    """Row → request."""


class _Work:
    """The requests of one ``generate`` call: those that wait for a batch, and those not sent yet."""

    def __init__(self) -> None:
        self.under: dict[str, _Under] = {}
        self.lines: list[bytes] = []
        self.asked: dict[str, Request] = {}
        self.size = 0


class Batches:
    """Batches of one model at one address.

    Args:
        place: the endpoint.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._file: Path | None = None
        self._state: BatchState | None = None
        self._wire: Wire | None = None
        self._closed = Event()
        self._unheard = 0

    def keep_state(self, file: Path) -> None:
        """Says where the batches are noted; needed before any request."""
        self._file = file

    def settle(self) -> None:
        """Says that all replies given out are on the run's disk: they are never given out again."""
        if self._state is not None:
            self._state.settle(_now())

    def close(self) -> None:
        """Ends the waiting; the batches go on. Safe to call twice."""
        self._closed.set()
        if self._wire is not None:
            self._wire.close()
            self._wire = None
        if self._state is not None:
            self._state.close()
            self._state = None

    def generate(self, requests: Iterable[Request]) -> Generator[tuple[Request, Reply]]:
        """Each request with its reply, batch by batch as they end.

        What a batch that failed, expired or was cancelled left unanswered is a reply with that error.

        Raises:
            BackendError: the provider refuses files or batches, or cannot be reached; batches made are kept.
            RunConflict: another command waits for the same batches.
            UserError: there is nowhere to note the batches.
        """
        state, wire = self._opened()
        work = _Work()
        seen: Counter[str] = Counter()
        version = self._place.dialect.version
        for request in requests:
            try:
                digest = self._digest(request)
            except UnicodeEncodeError as error:
                yield request, Reply(finish="error", error=f"http: the prompt cannot be sent: {one_line(str(error))}")
                continue
            row = f"{digest}-{seen[digest]}"
            seen[digest] += 1
            home = state.home(row)
            if home is None:
                self._add(state, wire, work, row, request)
            else:
                work.under.setdefault(home.token, _Under(home, version)).asked[row] = request
        for each in [each for each in work.under.values() if each.batch.over]:
            yield from self._ended(state, wire, work, each)
        self._send(state, wire, work)
        while work.under:
            for each in list(work.under.values()):
                yield from self._ended(state, wire, work, each)
            self._send(state, wire, work)
            if work.under and self._closed.wait(self._place.options.batch_poll):
                raise BackendError("the waiting for batches was ended; run it again to go on")

    def _opened(self) -> tuple[BatchState, Wire]:
        place = self._place
        if self._file is None:
            raise UserError(f"model {place.model.name!r}: option 'batch' needs a run, in which batches are noted")
        if self._state is None or self._wire is None:
            self._closed.clear()
            self._state = state = BatchState(self._file, place.url)
            options = place.options
            self._wire = wire = Wire(
                place.url, place.key, timeout=options.timeout, proxy=place.proxy, max_retries=options.max_retries
            )
            if state.learnt is not None:
                self._recall(state.learnt)
            for batch in state.unconfirmed():
                try:
                    info = wire.find(batch.token)
                except WireFailed as error:
                    if not error.fault.detail.startswith(("404", "405")):
                        raise self._refused("a batch that may have been made is not found", error) from None
                    info = None  # this provider lists no batches
                if info is None:
                    state.ended(batch, "never made", _now())
                else:
                    state.made(batch, info.id, _now())
        return self._state, self._wire

    def _digest(self, request: Request) -> str:
        """What a request is found again by: all that is asked, and what it is about."""
        place = self._place
        messages = with_system(request.messages, place.options.system)
        body = _NEUTRAL.body(place.model.id, messages, place.sampling(request.sampling))
        about = [request.suite, request.item, request.turn, request.sample]
        return hashlib.sha256(msgspec.json.encode([body, place.added, about], order="deterministic")).hexdigest()[:32]

    def _add(self, state: BatchState, wire: Wire, work: _Work, row: str, request: Request) -> None:
        """Puts a request into the next batch; the one before is sent where it is full."""
        place = self._place
        messages = with_system(request.messages, place.options.system)
        body = {**place.dialect.body(place.model.id, messages, place.sampling(request.sampling)), **place.added}
        what = {"custom_id": row, "method": "POST", "url": "/v1/chat/completions", "body": body}
        line = msgspec.json.encode(what) + b"\n"
        if len(work.lines) >= MOST_ROWS or work.size + len(line) > MOST_BYTES:
            self._send(state, wire, work)
        work.lines.append(line)
        work.asked[row] = request
        work.size += len(line)

    def _send(self, state: BatchState, wire: Wire, work: _Work) -> None:
        """Makes a batch of the requests not sent yet, if there are any."""
        if not work.lines:
            return
        place, token = self._place, uuid4().hex
        try:
            file = wire.upload(work.lines)
            batch = state.planned(token, work.asked, _now())
            info = wire.create(file, place.options.batch_window, token)
        except WireFailed as error:
            if not error.fault.again and token in state.batches:
                state.ended(state.batches[token], "refused", _now())
            raise self._refused("no batch can be made", error) from None
        state.made(batch, info.id, _now())
        work.under[token] = _Under(batch, place.dialect.version, work.asked)
        work.lines, work.asked, work.size = [], {}, 0

    def _ended(self, state: BatchState, wire: Wire, work: _Work, each: _Under) -> Iterator[tuple[Request, Reply]]:
        """What became of the requests in a batch, once it has ended; those to be asked again are added anew."""
        info = self._look(wire, each.batch)
        if info.status not in ENDED:
            return
        del work.under[each.batch.token]
        known_before = each.batch.over
        outcomes = self._outcomes(wire, each, info)
        state.ended(each.batch, info.status, _now())
        unanswered = _Unanswered(info, each.batch)
        self._remark(info, len(each.asked), outcomes)
        for row, request in each.asked.items():
            outcome = outcomes.get(row) or unanswered.reason(row)
            if isinstance(outcome, Fault):
                if known_before or self._learnt(state, each, request, outcome):
                    state.took(each.batch, row)
                    self._add(state, wire, work, row, request)
                    continue
                sent = int(row in outcomes and outcome.kind != "timeout")
                yield (
                    request,
                    Reply(
                        finish="filter" if outcome.filtered else "error",
                        error=f"{outcome.kind}: {outcome.detail}",
                        usage=Usage(requests=sent),
                    ),
                )
            else:
                yield request, self._taken(request, *outcome)
            state.took(each.batch, row)

    def _taken(self, request: Request, reply: Reply, served: str) -> Reply:
        place = self._place
        place.served(served)
        place.promises.check(request.messages, place.sampling(request.sampling), reply)
        return msgspec.structs.replace(reply, usage=msgspec.structs.replace(reply.usage, requests=1))

    def _learnt(self, state: BatchState, each: _Under, request: Request, fault: Fault) -> bool:
        """True where the server refused a parameter that is renamed or left out from now on."""
        dialect = self._place.dialect
        if not fault.bad_parameters:
            return False
        if each.version != dialect.version:
            return True
        body = dialect.body(self._place.model.id, request.messages, self._place.sampling(request.sampling))
        learnt = dialect.learn(fault.bad_parameters, body)
        if learnt:
            state.learns(dialect.tokens_parameter, dialect.dropped, _now())
        return learnt

    def _recall(self, learnt: BatchEvent) -> None:
        """Writes requests as earlier batches have taught, and says so."""
        dialect = self._place.dialect
        if self._place.options.max_tokens_parameter == "auto" and learnt.tokens_parameter:
            dialect.tokens_parameter = learnt.tokens_parameter
        dialect.dropped.update(learnt.dropped)
        for name in learnt.dropped:
            self._place.notes[name] = f"the model refused {name!r} in an earlier batch: it is left to the server"

    def _look(self, wire: Wire, batch: Batch) -> BatchInfo:
        try:
            info = wire.look(batch.id)
        except WireFailed as error:
            fault = error.fault
            if fault.detail.startswith("404"):
                return BatchInfo(batch.id, "failed", errors={"data": [{"message": f"it is gone: {fault.detail}"}]})
            self._unheard += 1
            if not fault.again or self._unheard >= PATIENCE:
                raise self._refused(f"what became of batch {batch.id} cannot be told", error) from None
            return BatchInfo(batch.id)
        self._unheard = 0
        return info

    def _outcomes(self, wire: Wire, each: _Under, info: BatchInfo) -> dict[str, tuple[Reply, str] | Fault]:
        """Awaited row → its reply, or why it has none, as far as the batch's files tell."""
        found: dict[str, tuple[Reply, str] | Fault] = {}
        for file in (info.error_file_id, info.output_file_id):
            if not file:
                continue
            try:
                found.update(read_rows(wire.content(file), each.asked))
            except WireFailed as error:
                if not error.fault.detail.startswith("404"):
                    raise self._refused(f"the replies of batch {info.id} cannot be read", error) from None
                self._place.notes[file] = f"batch {info.id}: file {file} is gone"
        return found

    def _remark(self, info: BatchInfo, asked: int, outcomes: dict[str, tuple[Reply, str] | Fault]) -> None:
        answered = sum(not isinstance(outcome, Fault) for outcome in outcomes.values())
        if info.status != "completed":
            self._place.notes[info.id] = f"batch {info.id}: {info.status}; {answered} of {asked} requests were answered"

    def _refused(self, what: str, error: WireFailed) -> BackendError:
        place, detail = self._place, error.fault.detail
        if detail.startswith(("401", "403")):
            what += f", {f'the key in {place.options.api_key_env}' if place.key else 'no key'} is refused"
        return BackendError(f"{place.url}: {what}: {detail}; batches already made go on: run it again to go on")


class _Unanswered:
    """Why rows of a batch that has ended have neither a reply nor an error of their own.

    Args:
        info: the batch as the provider tells of it.
        batch: the batch as the run knows it.
    """

    def __init__(self, info: BatchInfo, batch: Batch) -> None:
        self._info = info
        self._first, problems = info.problems()
        self._problems = {batch.rows[line]: words for line, words in problems.items() if 0 <= line < len(batch.rows)}

    def reason(self, row: str) -> Fault:
        """The reason of one row."""
        status, name = self._info.status, f"batch {self._info.id}"
        if status == "failed":
            return Fault(kind="http", detail=f"{name} failed: {self._problems.get(row, self._first)}")
        if status == "expired":
            return Fault(kind="timeout", detail=f"{name} expired before it was answered")
        if status == "cancelled":
            return Fault(kind="refused", detail=f"{name} was cancelled before it was answered")
        return Fault(kind="torn", detail=f"{name} holds no readable row for this request")


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
