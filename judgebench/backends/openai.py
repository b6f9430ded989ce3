"""Any endpoint that speaks OpenAI's chat completions, asked many calls at once.

The client is our own thin HTTP/1.1 (`judgebench.backends.http_client`): the openai package costs four to five times the
processor time per call over either of its transports, and aiohttp by itself is not quick enough (docs/performance.md).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import weakref
from collections.abc import AsyncIterator, Generator, Iterable, Iterator
from typing import Any

import msgspec

from judgebench import __version__
from judgebench.backends.addresses import Address, Addresses
from judgebench.backends.batches import Batches, Place
from judgebench.backends.chat_completions import Dialect, Fault, one_line, read_refusal, read_reply, with_system
from judgebench.backends.endpoint_health import Health
from judgebench.backends.http_client import Client
from judgebench.backends.http_connection import CallFailed
from judgebench.backends.openai_options import OFFICIAL, OpenAIOptions, proxy_for, read_added, read_key, read_urls
from judgebench.backends.options import read_options
from judgebench.backends.pool import Call, Slots, in_parallel
from judgebench.backends.promises import Promises
from judgebench.backends.retry import LONGEST_WAIT, retry_after, wait_before
from judgebench.errors import UserError
from judgebench.types import Message, Model, Reply, Request, Sampling

HEAD_START = 0.5
"""Seconds for which a backend's first call goes alone: what refuses every call refuses that one, at once."""

REPEATED_TIMEOUTS = 2
"""Repeats of a call that ran into its deadline; a server that hangs would else hold one call for an hour."""

MOST_SERVED = 20
"""Most names of served models that are kept; some gateways make up a new one for each call."""


class OpenAIBackend:
    """A model behind an OpenAI-compatible endpoint, or behind several that serve the same.

    Calls run at most ``max_concurrency`` at once, and fewer where the server does not keep up (`Adaptive`). A call is
    repeated after a timeout, a lost connection, a torn body, 408, 409, 425, 429 and 5xx, at most ``max_retries``
    times, with exponential waits, or as long as ``Retry-After`` says (at most two minutes), and its slot is another's
    while it waits. Whatever then remains is a reply with ``error`` set. Where five calls in a row come to that and
    nothing is answered meanwhile, the endpoint is dead: that is an error, and the calls not yet made are not wasted.

    The first call goes alone for at most half a second, so that a wrong key costs one call and not thousands.
    Proxies of the environment (``HTTPS_PROXY``, ``NO_PROXY`` ...) are honoured, except for this machine itself.

    Args:
        model: ``id`` is the endpoint's name of the model; ``options`` as in `OpenAIOptions`.

    Raises:
        UserError: a wrong option or address; no key, where one was named or the endpoint is OpenAI's own.
    """

    Options = OpenAIOptions
    provides = frozenset({"logprobs", "json_schema"})

    def __init__(self, model: Model) -> None:
        self.model = model
        self.options = options = read_options(model, OpenAIOptions)
        urls = read_urls(model, options)
        self.base_url = urls[0]
        self._addresses = Addresses(urls)
        self._key = read_key(model, options, urls)
        self._proxies = {url: proxy_for(url) for url in urls}
        tokens, official = options.max_tokens_parameter, self.base_url == OFFICIAL
        if tokens == "auto":
            self._dialect = Dialect("max_completion_tokens" if official else "max_tokens", True)
        else:
            self._dialect = Dialect(tokens, False)
        self._added = read_added(model, options)
        said = f"the key in {options.api_key_env}" if self._key else f"no key ({options.api_key_env} is not set)"
        self._health = Health(self._addresses, options.max_concurrency, model=model.id, key=said)
        self._promises = Promises()
        self._notes: dict[str, str] = {}
        self._served: dict[str, None] = {}
        self._live: weakref.WeakSet[Generator[tuple[Request, Reply]]] = weakref.WeakSet()
        self.batches: Batches | None = self._made_batches(urls) if options.batch else None
        """Asks by batches instead of calls, where the option says so; it must be told where to note them."""

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Reply]]:
        """Each request with its reply, in order of completion.

        Raises:
            BackendError: before any call has succeeded, the key is refused, the model is unknown, nobody listens, or
                the endpoint speaks another protocol; or it has died. No call is made after it.
        """
        replies = self._generate(requests) if self.batches is None else self.batches.generate(requests)
        self._live.add(replies)
        return replies

    def describe(self) -> dict[str, Any]:
        """What changes an answer or explains it; never the key.

        ``notes`` (what was learned and must be said) and ``served`` (model names and fingerprints in the responses)
        grow while calls are made; all else is fixed from the start.
        """
        options = self.options
        urls = [address.url for address in self._addresses.all]
        return {
            "backend": "openai",
            "model": self.model.id,
            "base_url": urls[0] if len(urls) == 1 else urls,
            "api_key_env": options.api_key_env,
            "revision": options.revision,
            "system": options.system,
            "temperature": options.temperature,
            "top_p": options.top_p,
            "max_tokens": options.max_tokens,
            "max_tokens_parameter": options.max_tokens_parameter,
            "chat_template_kwargs": dict(options.chat_template_kwargs),
            "extra_body": dict(options.extra_body),
            "max_concurrency": options.max_concurrency,
            "timeout": options.timeout,
            "deadline": options.deadline,
            "max_retries": options.max_retries,
            "proxy": any(self._proxies.values()),
            "client": f"judgebench {__version__}",
            "served": list(self._served),
            "notes": [
                *self._dialect.notes,
                *self._notes.values(),
                *self._promises.notes,
                *self._addresses.notes,
                *self._health.notes,
            ],
        }

    @property
    def left_to_the_server(self) -> frozenset[str]:
        """Parameters that the model refused, so that what it answers is not decided by what was asked for."""
        return frozenset(self._dialect.dropped)

    def close(self) -> None:
        """Ends calls still under way; safe to call twice."""
        for replies in list(self._live):
            with contextlib.suppress(ValueError):  # it is being advanced right now, and ends by itself
                replies.close()
        if self.batches is not None:
            self.batches.close()

    def _made_batches(self, urls: list[str]) -> Batches:
        """What asks by batches.

        Raises:
            UserError: there are several addresses, and a batch is known at one only.
        """
        if len(urls) > 1:
            raise UserError(f"model {self.model.name!r}: option 'batch' takes one base_url")
        return Batches(
            Place(
                model=self.model, options=self.options, url=urls[0], key=self._key, proxy=self._proxies[urls[0]],
                dialect=self._dialect, added=self._added, promises=self._promises, sampling=self._sampling,
                served=self._note_served, notes=self._notes,
            )
        )  # fmt: skip

    def _note_served(self, served: str) -> None:
        if served and served not in self._served and len(self._served) < MOST_SERVED:
            self._served[served] = None

    def _generate(self, requests: Iterable[Request]) -> Generator[tuple[Request, Reply]]:
        self._health.refuse_hopeless()
        slots = Slots(self.options.max_concurrency)
        slots.set_limit(self._health.limit)

        @contextlib.asynccontextmanager
        async def session() -> AsyncIterator[Call]:
            calls = _Calls(self, slots)
            try:
                yield calls.call
            finally:
                await calls.close()

        yield from in_parallel(requests, session, slots=slots)

    def _wait(self, repeats: int, fault: Fault) -> float:
        if fault.retry_after is not None and fault.retry_after > LONGEST_WAIT:
            asked = f"the server asked to wait {fault.retry_after:.0f} s before asking again"
            self._notes["retry-after"] = f"{asked}: {LONGEST_WAIT:.0f} s is the most that is waited"
        return wait_before(repeats, fault.retry_after)

    def _sampling(self, sampling: Sampling) -> Sampling:
        options = self.options
        given = {"temperature": options.temperature, "top_p": options.top_p, "max_tokens": options.max_tokens}
        instead = {name: value for name, value in given.items() if value is not None}
        return msgspec.structs.replace(sampling, **instead) if instead else sampling

    def _body(self, messages: tuple[Message, ...], sampling: Sampling) -> dict[str, Any]:
        return {**self._dialect.body(self.model.id, messages, sampling), **self._added}


class _Calls:
    """Calls on one event loop: the connections to each address, and what a call goes through until its reply."""

    def __init__(self, backend: OpenAIBackend, slots: Slots) -> None:
        self._backend, self._slots = backend, slots
        self._now = asyncio.get_running_loop().time
        self._head_start = asyncio.get_running_loop().call_later(HEAD_START, self._end_head_start)
        headers = {"Authorization": f"Bearer {backend._key or 'none'}"}
        self._clients = {
            url: Client(url, headers, timeout=backend.options.timeout, proxy=proxy)
            for url, proxy in backend._proxies.items()
        }

    async def close(self) -> None:
        """Ends all connections."""
        self._head_start.cancel()
        for client in self._clients.values():
            await client.close()

    async def call(self, request: Request) -> Reply:
        """The reply to one request, or the error that remains after all repeats."""
        backend = self._backend
        health, options, dialect = backend._health, backend.options, backend._dialect
        messages = with_system(request.messages, options.system)
        sampling = backend._sampling(request.sampling)
        attempts = repeats = timeouts = 0
        until = self._now() + options.deadline
        version: tuple[str, int] | None = None
        while True:
            health.refuse_hopeless()
            if version != dialect.version:
                version, fields = dialect.version, backend._body(messages, sampling)
                try:
                    body = msgspec.json.encode(fields)
                except UnicodeEncodeError as error:
                    return Reply(finish="error", error=f"http: the prompt cannot be sent: {one_line(str(error))}")
            began = self._now()
            address, wait = health.addresses.choose(began)
            if wait:
                await self._slots.rest(wait)
                began = self._now()
            attempts += 1
            address.active += 1
            try:
                outcome = await self._attempt(address, body, until - began)
            finally:
                address.active -= 1
            if isinstance(outcome, Reply):
                health.answered(address, began, self._now())
                self._heed()
                backend._promises.check(messages, sampling, outcome)
                usage = msgspec.structs.replace(outcome.usage, requests=attempts)
                return msgspec.structs.replace(outcome, usage=usage)
            if outcome.stale:
                continue
            if outcome.bad_parameters and (version != dialect.version or dialect.learn(outcome.bad_parameters, fields)):
                continue
            elsewhere = health.failed(address, began, self._now(), outcome, first=attempts == 1)
            self._heed()
            timeouts += outcome.kind == "timeout"
            spent = repeats >= options.max_retries or timeouts > REPEATED_TIMEOUTS
            pause = 0.0 if elsewhere else backend._wait(repeats, outcome)
            late = self._now() + pause >= until
            if not (outcome.again or elsewhere) or spent or late:
                health.given_up(outcome)
                return _failure(outcome, attempts)
            if pause:
                await self._slots.rest(pause)
            repeats += 1

    def _end_head_start(self) -> None:
        """Lets others go beside the first call."""
        self._backend._health.alone = False
        self._heed()

    def _heed(self) -> None:
        """Lets through as many calls as the endpoint's health allows."""
        health = self._backend._health
        self._slots.set_limit(health.limit)
        if health.closed:
            self._slots.closed = True
        else:
            self._slots.open()

    async def _attempt(self, address: Address, body: bytes, seconds: float) -> Reply | Fault:
        backend = self._backend
        try:
            response = await self._clients[address.url].call("POST", "/chat/completions", body, timeout=seconds)
        except CallFailed as error:
            words = self._words(error)
            if error.kind == "connect":
                return Fault(kind="http", detail=words, again=True, fatal_until="reached")
            if error.kind == "torn":
                return Fault(kind="torn", detail=f"the response broke off: {words}", again=True)
            if error.kind == "protocol":
                detail = f"the response is not HTTP: {words}"
                return Fault(kind="http", detail=detail, again=True, fatal_until="answered")
            return Fault(kind="http", detail=f"the connection was lost: {words}", again=True, stale=error.stale)
        except TimeoutError as error:
            return Fault(kind="timeout", detail=str(error), again=True)
        status, raw = response.status, response.body
        if len(backend._key) >= 8:  # shorter ones are placeholders for local servers, and words of replies
            raw = raw.replace(backend._key.encode(), b"***")
        if status != 200:
            return read_refusal(status, raw, retry_after=retry_after(response.headers, time.time()))
        outcome = read_reply(raw)
        if isinstance(outcome, Fault):
            return outcome
        reply, served = outcome
        backend._note_served(served)
        return reply

    def _words(self, error: BaseException) -> str:
        key, words = self._backend._key, one_line(str(error)) or type(error).__name__
        return words.replace(key, "***") if len(key) >= 8 else words


def _failure(fault: Fault, attempts: int) -> Reply:
    times = f" (asked {attempts} times)" if attempts > 1 else ""
    return Reply(
        finish="filter" if fault.filtered else "error",
        error=f"{fault.kind}: {fault.detail}{times}",
        usage=msgspec.structs.replace(Reply().usage, requests=attempts),
    )
