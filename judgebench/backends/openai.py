"""Any endpoint that speaks OpenAI's chat completions, asked many calls at once.

The client is aiohttp with our own thin layer on it: the openai package costs five times the processor time per call,
over either of its transports (docs/performance.md).
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import time
import urllib.parse
import urllib.request
import weakref
from collections.abc import AsyncIterator, Generator, Iterable, Iterator
from typing import Annotated, Any, Literal

import aiohttp
import msgspec

from judgebench.backends.chat_completions import Dialect, Fault, one_line, read_refusal, read_reply, with_system
from judgebench.backends.options import read_options
from judgebench.backends.pool import Call, in_parallel
from judgebench.backends.retry import LONGEST_WAIT, retry_after, wait_before
from judgebench.backends.secret_values import find_secret
from judgebench.errors import BackendError, UserError
from judgebench.types import Model, Reply, Request, Sampling

OFFICIAL = "https://api.openai.com/v1"
"""Where calls go when neither the option ``base_url`` nor ``OPENAI_BASE_URL`` says otherwise."""

HEAD_START = 1.0
"""Seconds for which a backend's first call goes alone: what refuses every call refuses that one, at once."""

REPEATED_TIMEOUTS = 2
"""Repeats of a call that ran into its deadline; a server that hangs would else hold one call for an hour."""

MOST_SERVED = 20
"""Most names of served models that are kept; some gateways make up a new one for each call."""

LARGE_BODY = 1 << 20
"""Bytes from which a body is handed to aiohttp as a stream, as it asks for."""


class OpenAIOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What ``--option NAME.key=value`` may set for a model behind an endpoint. The key itself is never an option."""

    base_url: str | None = None
    """Root of the API, usually ending in ``/v1``; default ``OPENAI_BASE_URL``, else OpenAI's own."""
    api_key_env: str = "OPENAI_API_KEY"
    """Name of the environment variable that holds the key."""
    max_concurrency: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 16
    """Most calls at once."""
    timeout: Annotated[float, msgspec.Meta(gt=0)] = 600.0
    """Seconds until one attempt is given up."""
    max_retries: Annotated[int, msgspec.Meta(ge=0, le=100)] = 6
    """Most repeats of a call; of these at most two after timeouts."""
    max_tokens_parameter: Literal["auto", "max_tokens", "max_completion_tokens"] = "auto"
    """Name under which the limit on new tokens is sent; auto learns it from the server."""
    system: str = ""
    """System prompt put first; a rubric's or suite's own follows it in the same message."""
    revision: str = ""
    """What the endpoint serves, where it can be known; recorded, not sent."""
    temperature: Annotated[float, msgspec.Meta(ge=0)] | None = None
    """Instead of the request's."""
    top_p: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    """Instead of the request's."""
    max_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Instead of the request's."""
    chat_template_kwargs: dict[str, Any] = {}
    """Sent as such, for servers with chat templates (vLLM, SGLang)."""
    extra_body: dict[str, Any] = {}
    """Further fields of the request's body."""


class OpenAIBackend:
    """A model behind an OpenAI-compatible endpoint.

    Calls run at most ``max_concurrency`` at once on one pool of connections. A call is repeated after a timeout, a
    lost connection, a torn body, 408, 409, 425, 429 and 5xx, at most ``max_retries`` times, with exponential waits, or
    as long as ``Retry-After`` says (at most two minutes). Whatever then remains is a reply with ``error`` set.

    The first call goes alone for at most a second, so that a wrong key costs one call and not thousands.
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
        self.options = read_options(model, OpenAIOptions)
        self.base_url = _checked_url(model, self.options.base_url or os.environ.get("OPENAI_BASE_URL") or OFFICIAL)
        self._key = self._read_key()
        self._proxy = _proxy_for(self.base_url)
        tokens, official = self.options.max_tokens_parameter, self.base_url == OFFICIAL
        if tokens == "auto":
            self._dialect = Dialect("max_completion_tokens" if official else "max_tokens", True)
        else:
            self._dialect = Dialect(tokens, False)
        self._added = self._read_added()
        self._notes: dict[str, str] = {}
        self._served: dict[str, None] = {}
        self._reached = self._answered = False
        self._hopeless = ""
        self._live: weakref.WeakSet[Generator[tuple[Request, Reply]]] = weakref.WeakSet()

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Reply]]:
        """Each request with its reply, in order of completion.

        Raises:
            BackendError: before any call has succeeded, the key is refused, the model is unknown, nobody listens, or
                the endpoint speaks another protocol. No call is made after it.
        """
        replies = self._generate(requests)
        self._live.add(replies)
        return replies

    def describe(self) -> dict[str, Any]:
        """What changes an answer or explains it; never the key.

        ``notes`` (what was learned and must be said) and ``served`` (model names and fingerprints in the responses)
        grow while calls are made; all else is fixed from the start.
        """
        options = self.options
        return {
            "backend": "openai",
            "model": self.model.id,
            "base_url": self.base_url,
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
            "max_retries": options.max_retries,
            "proxy": self._proxy is not None,
            "client": f"aiohttp {aiohttp.__version__}",
            "served": list(self._served),
            "notes": [*self._dialect.notes, *self._notes.values()],
        }

    def close(self) -> None:
        """Ends calls still under way; safe to call twice."""
        for replies in list(self._live):
            with contextlib.suppress(ValueError):  # it is being advanced right now, and ends by itself
                replies.close()

    def _generate(self, requests: Iterable[Request]) -> Generator[tuple[Request, Reply]]:
        if self._hopeless:
            raise BackendError(self._hopeless)
        yield from in_parallel(requests, self._session, concurrency=self.options.max_concurrency)

    @contextlib.asynccontextmanager
    async def _session(self) -> AsyncIterator[Call]:
        gate = _Gate(open=self._answered)
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self.options.max_concurrency, ttl_dns_cache=300),
            timeout=aiohttp.ClientTimeout(total=self.options.timeout, sock_connect=min(30.0, self.options.timeout)),
            headers={"Authorization": f"Bearer {self._key or 'none'}", "Content-Type": "application/json"},
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        async with session:

            async def call(request: Request) -> Reply:
                await gate.enter()
                return await self._call(session, gate, request)

            yield call

    async def _call(self, session: aiohttp.ClientSession, gate: _Gate, request: Request) -> Reply:
        messages = with_system(request.messages, self.options.system)
        sampling = self._sampling(request.sampling)
        attempts = repeats = timeouts = 0
        while True:
            if self._hopeless:
                raise BackendError(self._hopeless)
            version = self._dialect.version
            fields = {**self._dialect.body(self.model.id, messages, sampling), **self._added}
            attempts += 1
            try:
                body = msgspec.json.encode(fields)
            except UnicodeEncodeError as error:
                return Reply(finish="error", error=f"http: the prompt cannot be sent: {one_line(str(error))}")
            outcome = await self._attempt(session, body)
            if isinstance(outcome, Reply):
                self._answered = True
                gate.open()
                return msgspec.structs.replace(outcome, usage=msgspec.structs.replace(outcome.usage, requests=attempts))
            if outcome.bad_parameters and (
                version != self._dialect.version or self._dialect.learn(outcome.bad_parameters, fields)
            ):
                continue
            if self._stops_all(outcome):
                self._hopeless = self._explain(outcome)
                raise BackendError(self._hopeless)
            gate.open()
            timeouts += outcome.kind == "timeout"
            if not outcome.again or repeats >= self.options.max_retries or timeouts > REPEATED_TIMEOUTS:
                return _failure(outcome, attempts)
            await asyncio.sleep(self._wait(repeats, outcome))
            repeats += 1

    async def _attempt(self, session: aiohttp.ClientSession, body: bytes) -> Reply | Fault:
        try:
            async with session.post(
                f"{self.base_url}/chat/completions",
                data=body if len(body) < LARGE_BODY else io.BytesIO(body),
                proxy=self._proxy,
                allow_redirects=False,
            ) as response:
                raw = await response.read()
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            return Fault(kind="http", detail=self._words(error), again=True, fatal_until="reached")
        except TimeoutError:
            return Fault(kind="timeout", detail=f"no reply within {self.options.timeout:g} s", again=True)
        except aiohttp.ClientPayloadError as error:
            self._reached = True
            return Fault(kind="torn", detail=f"the response broke off: {self._words(error)}", again=True)
        except aiohttp.ClientResponseError as error:
            detail = f"the response is not HTTP: {self._words(error)}"
            return Fault(kind="http", detail=detail, again=True, fatal_until="answered")
        except aiohttp.ClientError as error:
            return Fault(kind="http", detail=f"the connection was lost: {self._words(error)}", again=True)
        self._reached = True
        if self._key and len(self._key) >= 8:  # shorter ones are placeholders for local servers, and words of replies
            raw = raw.replace(self._key.encode(), b"***")
        if response.status == 200:
            outcome = read_reply(raw)
            if isinstance(outcome, Fault):
                return outcome
            self._take_notes(*outcome)
            return outcome[0]
        return read_refusal(response.status, raw, retry_after=retry_after(response.headers, time.time()))

    def _stops_all(self, fault: Fault) -> bool:
        if fault.fatal_until == "reached":
            return not self._reached
        return fault.fatal_until == "answered" and not self._answered

    def _explain(self, fault: Fault) -> str:
        key = (
            f"the key in {self.options.api_key_env}" if self._key else f"no key ({self.options.api_key_env} is not set)"
        )
        if fault.fatal_until == "reached":
            return f"nobody answers at {self.base_url}: {fault.detail}"
        if fault.detail.startswith(("401", "403")):
            return f"{self.base_url} refuses {key}: {fault.detail}"
        if fault.detail.startswith("404"):
            about = f"does not know the model {self.model.id!r}, or is not the API's root (which often ends in /v1)"
            return f"{self.base_url} {about}: {fault.detail}"
        return f"{self.base_url} answers no call: {fault.detail}"

    def _wait(self, repeats: int, fault: Fault) -> float:
        if fault.retry_after is not None and fault.retry_after > LONGEST_WAIT:
            asked = f"the server asked to wait {fault.retry_after:.0f} s before asking again"
            self._notes["retry-after"] = f"{asked}: {LONGEST_WAIT:.0f} s is the most that is waited"
        return wait_before(repeats, fault.retry_after)

    def _take_notes(self, reply: Reply, served: str) -> None:
        if served and len(self._served) < MOST_SERVED:
            self._served[served] = None
        if not reply.usage.prompt_tokens and not reply.usage.completion_tokens:
            self._notes["usage"] = "the server does not say how many tokens a call took: they are counted as 0"

    def _sampling(self, sampling: Sampling) -> Sampling:
        options = self.options
        given = {"temperature": options.temperature, "top_p": options.top_p, "max_tokens": options.max_tokens}
        instead = {name: value for name, value in given.items() if value is not None}
        return msgspec.structs.replace(sampling, **instead) if instead else sampling

    def _words(self, error: BaseException) -> str:
        words = one_line(str(error)) or type(error).__name__
        return words.replace(self._key, "***") if len(self._key) >= 8 else words

    def _read_key(self) -> str:
        """The key, or an empty text where none is needed."""
        name = self.options.api_key_env
        key = os.environ.get(name, "").strip()
        found = find_secret({option: each for option, each in self.model.options.items() if option != "api_key_env"})
        if found:
            raise UserError(
                f"model {self.model.name!r}: option {found} looks like a key: options are recorded, so only an "
                "environment variable may hold one (api_key_env=NAME)"
            )
        if not key and ("api_key_env" in self.model.options or self.base_url == OFFICIAL):
            raise UserError(f"model {self.model.name!r}: {self.base_url} needs a key: set {name} in the environment")
        if not (key.isascii() and key.isprintable()):
            raise UserError(f"model {self.model.name!r}: the key in {name} holds characters that no key has")
        if len(key) >= 8 and key in repr((self.model, self.base_url)):
            raise UserError(f"model {self.model.name!r}: the key itself stands in its options: only {name} may hold it")
        return key

    def _read_added(self) -> dict[str, Any]:
        """Fields of every body beside those of the dialect."""
        owned = {"model", "messages", "stream", "n"} & self.options.extra_body.keys()
        if owned:
            named = ", ".join(sorted(owned))
            raise UserError(f"model {self.model.name!r}: option 'extra_body' may not set {named}: JudgeBench does")
        added = dict(self.options.extra_body)
        if self.options.chat_template_kwargs:
            added["chat_template_kwargs"] = self.options.chat_template_kwargs
        return added


class _Gate:
    """Lets one call go first, until it is answered or for `HEAD_START` seconds."""

    def __init__(self, *, open: bool) -> None:
        self._opened = asyncio.Event()
        self._first_gone = False
        if open:
            self._opened.set()

    async def enter(self) -> None:
        if self._first_gone:
            await self._opened.wait()
        else:
            self._first_gone = True
            asyncio.get_running_loop().call_later(HEAD_START, self._opened.set)

    def open(self) -> None:
        self._opened.set()


def _failure(fault: Fault, attempts: int) -> Reply:
    times = f" (asked {attempts} times)" if attempts > 1 else ""
    return Reply(
        finish="filter" if fault.filtered else "error",
        error=f"{fault.kind}: {fault.detail}{times}",
        usage=msgspec.structs.replace(Reply().usage, requests=attempts),
    )


def _checked_url(model: Model, url: str) -> str:
    """The address without its closing slash."""
    parts = urllib.parse.urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(f"model {model.name!r}: base_url {url!r} is not an address: http://HOST:PORT/v1 is meant")
    if parts.username or parts.password or parts.query or parts.fragment:
        place = f"{parts.scheme}://{parts.hostname}"
        raise UserError(
            f"model {model.name!r}: the base_url at {place} may hold no user, password or query: it is recorded"
        )
    return url.strip().rstrip("/").removesuffix("/chat/completions")


def _proxy_for(url: str) -> str | None:
    """The environment's proxy for an address; none for this machine itself."""
    parts = urllib.parse.urlsplit(url)
    host = parts.hostname or ""
    if host in ("localhost", "::1") or host.startswith("127.") or urllib.request.proxy_bypass(parts.netloc):
        return None
    proxies = urllib.request.getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if proxy and not proxy.startswith(("http://", "https://")):
        raise UserError(f"the proxy for {host} is {proxy.partition('://')[0]}: only http and https proxies can be used")
    return proxy
