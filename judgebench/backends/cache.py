"""A backend whose replies are kept across runs: what was answered once, under the very same everything, is not asked
again.

The file is ``responses.sqlite`` in the user's cache folder (``JUDGEBENCH_CACHE``), see `judgebench.backends.responses`;
what decides an answer is in `judgebench.backends.deciding`. Errors are never kept.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import msgspec

from judgebench.backends.responses import ResponseCache
from judgebench.types import (
    Backend,
    ChoiceReply,
    ChoiceRequest,
    ComparesChoices,
    Message,
    Model,
    Reply,
    Request,
    Usage,
)

MOST_HITS = 5_000
"""Replies out of the cache that are held at once while other calls are under way."""

Asked = TypeVar("Asked", Request, ChoiceRequest)
Said = TypeVar("Said", Reply, ChoiceReply)


class CachedBackend:
    """A backend whose replies are kept, and not asked for again.

    The key of a reply is the sha256 of `deciding`'s parts, the messages, the sampling with its seed, and the number of
    the sample. What is drawn (at any temperature but 0) is found again only for the same model's name, suite, item and
    turn, and call by call: two models that are alike still draw for themselves.

    A reply out of the cache has a usage of ``cached=1`` and nothing else: nothing was spent on it now.

    Args:
        inner: who answers what is not kept.
        cache: the file; closed with this backend.
        model: whose backend it is.
        parts: what decides its answers, from `deciding`.
    """

    def __init__(self, inner: Backend, cache: ResponseCache, model: Model, parts: Mapping[str, Any]) -> None:
        self.inner, self.cache, self.model = inner, cache, model
        self.hits = self.asked = 0
        self._decided = _hash(parts)
        self._drawn: Counter[bytes] = Counter()
        self._warmth = _warmth(model)

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Reply]]:
        """Each request with its reply, kept or fresh, as the backend's own `generate`.

        Raises:
            BackendError: as the backend.
            UserError: the file is damaged.
        """
        return self._answered(requests, self.inner.generate, Reply)

    def describe(self) -> dict[str, Any]:
        """The backend's own description."""
        return self.inner.describe()

    def counts(self) -> dict[str, int]:
        """How many replies came out of the cache, and how many calls were made."""
        return {"hits": self.hits, "asked": self.asked}

    def close(self) -> None:
        """Closes the backend and the file."""
        try:
            self.inner.close()
        finally:
            self.cache.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def _answered(
        self, requests: Iterable[Asked], ask: Callable[[Iterable[Asked]], Iterator[tuple[Asked, Said]]],
        kind: type[Said],
    ) -> Iterator[tuple[Asked, Said]]:  # fmt: skip
        source = iter(requests)
        hits: deque[tuple[Asked, Said]] = deque()
        keys: dict[str, bytes] = {}
        first: list[Asked] = []

        def fresh() -> Iterator[Asked]:
            """Requests without a kept reply; replies of the others go to ``hits``."""
            yield from first
            while len(hits) < MOST_HITS and (request := next(source, None)) is not None:
                if not self._held(request, kind, hits, keys):
                    yield request

        while True:
            first = []
            for request in source:
                if not self._held(request, kind, hits, keys):
                    first = [request]
                    break
                yield hits.popleft()
            if not first:
                break
            for request, reply in ask(fresh()):
                while hits:
                    yield hits.popleft()
                self.asked += 1
                key = keys.pop(request.id, None)
                decided = not getattr(self.inner, "left_to_the_server", ())
                if key is not None and decided and not reply.error and _whole(request, reply):
                    self.cache.keep(key, reply)
                yield request, reply
                if self.cache.due:  # after the reply is in the run: a full disk loses none that was paid for
                    self.cache.commit()
            while hits:
                yield hits.popleft()
        self.cache.commit()

    def _held(self, request: Asked, kind: type[Said], hits: deque[tuple[Asked, Said]], keys: dict[str, bytes]) -> bool:
        """Whether a reply is kept; it is then among the hits, else the request's key is among the keys."""
        key = self._key(request)
        if key is None:
            return False
        found = self.cache.find(key, kind)
        if found is None:
            keys[request.id] = key
            return False
        self.hits += 1
        hits.append((request, msgspec.structs.replace(found, usage=Usage(cached=1))))
        return True

    def _key(self, request: Request | ChoiceRequest) -> bytes | None:
        """What a reply is found by; None where the request cannot be written down (lone surrogates)."""
        what: list[Any] = [request.messages]
        drawn = False
        if isinstance(request, ChoiceRequest):
            what += ["choices", request.choices, request.lead]
        else:
            what += ["reply", request.sampling, request.sample]
            warmth = request.sampling.temperature if self._warmth is None else self._warmth
            drawn = warmth != 0
            if drawn:
                what += [self.model.name, request.suite, request.item, request.turn]
        try:
            key = hashlib.sha256(self._decided + _plain(what)).digest()
        except UnicodeEncodeError:
            return None
        if drawn:
            self._drawn[key] += 1
            key = hashlib.sha256(key + str(self._drawn[key]).encode()).digest()
        return key


class CachedChooser(CachedBackend):
    """A backend that also compares choices, and whose replies are kept."""

    def loglikelihood(self, requests: Iterable[ChoiceRequest]) -> Iterator[tuple[ChoiceRequest, ChoiceReply]]:
        """Each request with the log-probabilities of its choices, kept or fresh.

        Raises:
            BackendError: as the backend.
            UserError: the file is damaged.
        """
        assert isinstance(self.inner, ComparesChoices)
        return self._answered(requests, self.inner.loglikelihood, ChoiceReply)


def cached(inner: Backend, cache: ResponseCache, model: Model, parts: Mapping[str, Any]) -> CachedBackend:
    """The backend with its replies kept in a file.

    Args: as `CachedBackend`.
    """
    kind = CachedChooser if hasattr(inner, "loglikelihood") else CachedBackend
    return kind(inner, cache, model, parts)


def _whole(request: Request | ChoiceRequest, reply: Reply | ChoiceReply) -> bool:
    """Whether all that was asked for came back: log-probabilities that a server left out may come another time.

    Numbers that are not finite cannot be written as JSON.
    """
    if isinstance(reply, ChoiceReply):
        return all(math.isfinite(choice.logprob) for choice in reply.choices)
    wanted = isinstance(request, Request) and request.sampling.logprobs
    return not (wanted and isinstance(reply, Reply) and not reply.logprobs)


def _warmth(model: Model) -> float | None:
    """The temperature that the model's options set over the request's; None where they set none."""
    body, given = model.options.get("extra_body"), model.options.get("temperature", "null")
    if isinstance(body, str):  # from a command line, and checked by the backend
        body = msgspec.json.decode(body)
    if isinstance(body, Mapping) and "temperature" in body:
        given = "the server's own" if body["temperature"] is None else body["temperature"]
    if given in (None, "null"):
        return None
    try:
        return float(given)
    except (TypeError, ValueError):
        return math.nan


def _plain(what: object) -> bytes:
    def told(value: Any) -> Any:
        if isinstance(value, Message):
            return [value.role, value.content]
        return str(value)

    # In the order given: a decoder that is held to a JSON schema writes its fields in the schema's order.
    return msgspec.json.encode(what, enc_hook=told)


def _hash(what: object) -> bytes:
    return hashlib.sha256(_plain(what)).digest()
