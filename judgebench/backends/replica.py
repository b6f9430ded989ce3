"""One replica of a backend in a process of its own: shards of requests in, shards of replies out.

Nothing here knows how the shards travel; `judgebench.backends.replicas` sends them over Ray.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any, Literal

from judgebench import plugins
from judgebench.errors import BackendError, UserError
from judgebench.types import Backend, ChoiceReply, ChoiceRequest, Model, Record, Reply, Request

Method = Literal["generate", "loglikelihood"]

SHARD = 4
"""Most requests of one shard: few, so that replicas share even a short list evenly."""

STOCK = 16
"""Requests waiting in a replica below which it asks for more, so that its backend need not pause."""

GRACE = 0.2
"""Seconds for which a backend that asks for its next request waits for one that is on its way."""


class Fault(Record, frozen=True, kw_only=True):
    """Why a replica cannot go on."""

    backend: bool
    """True for a `BackendError`: the backend answers nothing more; False for a mistake of the user's."""
    words: str
    """Its one line."""


class Opened(Record, frozen=True, kw_only=True):
    """A replica after its start."""

    description: dict[str, Any]
    """What its backend says of itself."""
    judgebench: str
    """Version of this package there."""
    fault: Fault | None = None
    """Why it could not start."""


class Shard(Record, frozen=True, kw_only=True):
    """Requests on their way to a replica."""

    call: int
    """Number of the ``generate`` or ``loglikelihood`` call they belong to."""
    method: Method
    """Which of the two."""
    requests: tuple[Request | ChoiceRequest, ...] = ()
    """What is asked; none only fetches replies."""
    more: bool = True
    """Whether more can follow, so that the replica says when it runs short."""


class Replies(Record, frozen=True, kw_only=True):
    """Replies on their way back."""

    call: int
    """Number of the call they belong to."""
    answered: tuple[tuple[str, Reply | ChoiceReply], ...] = ()
    """(id of the request, its reply)."""
    waiting: int = 0
    """Requests here that the backend has not taken yet."""
    fault: Fault | None = None
    """Why no more will come."""


class Replica:
    """A backend in a thread of its own, fed shard by shard without a pause between them.

    The methods may be called from several threads at once; of ``exchange`` at most one at a time for each call.
    """

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._waiting: deque[Request | ChoiceRequest] = deque()
        self._taken: set[str] = set()
        self._answered: list[tuple[str, Reply | ChoiceReply]] = []
        self._call, self._method, self._more = 0, "generate", False
        self._fault: Fault | None = None
        self._bug: BaseException | None = None
        self._stopping = False
        self._backend: Backend | None = None
        self._thread: threading.Thread | None = None

    def where(self) -> str:
        """Id of the Ray node it runs on, empty outside Ray."""
        ray = sys.modules.get("ray")
        return str(ray.get_runtime_context().get_node_id()) if ray is not None and ray.is_initialized() else ""

    def start(self, model: Model, folder: str, environment: Mapping[str, str]) -> Opened:
        """The backend's description, once it is made.

        Args:
            model: whose backend it is.
            folder: what relative paths are meant from; left alone where it is empty or not there.
            environment: variables to set first; never a key.
        """
        if folder:
            with contextlib.suppress(OSError):
                os.chdir(folder)
        os.environ.update(environment)
        self._thread = threading.Thread(target=self._run, args=(model,), name="judgebench-replica", daemon=True)
        self._thread.start()
        with self._change:
            self._change.wait_for(lambda: self._backend is not None or self._ended)
        self._raise_bug()
        if self._backend is None:
            return Opened(description={}, fault=self._fault, judgebench=version("judgebench"))
        return Opened(description=self._backend.describe(), judgebench=version("judgebench"))

    def exchange(self, shard: Shard) -> Replies:
        """The replies that are there, waiting for the first; none where the replica runs short and more can follow.

        A shard of a later call ends the one before: what waits of it is dropped. One of an earlier call is too late.
        """
        with self._change:
            if shard.call < self._call:
                return Replies(call=shard.call)
            if shard.call > self._call:
                self._begin(shard.call)
            self._method, self._more = shard.method, shard.more
            self._waiting.extend(shard.requests)
            self._change.notify_all()
            self._change.wait_for(
                lambda: self._answered or self._ended or shard.call != self._call
                or (shard.more and len(self._waiting) < STOCK)
            )  # fmt: skip
            if shard.call != self._call:
                return Replies(call=shard.call)
            answered, self._answered = tuple(self._answered), []
            if not answered:
                self._raise_bug()
            fault = self._fault if not answered else None
            return Replies(call=shard.call, answered=answered, waiting=len(self._waiting), fault=fault)

    def drop(self, call: int) -> None:
        """Ends a call that nobody waits for any longer."""
        with self._change:
            if call >= self._call:
                self._begin(call + 1)
            self._change.notify_all()

    def describe(self) -> dict[str, Any]:
        """What the backend says of itself now."""
        return {} if self._backend is None else self._backend.describe()

    def stop(self, patience: float = 10.0) -> None:
        """Closes the backend, in its own thread; what is under way ends with its next reply.

        Args:
            patience: seconds to wait for that.
        """
        with self._change:
            self._stopping = True
            self._begin(self._call + 1)
            self._change.notify_all()
        if self._thread is not None:
            self._thread.join(patience)

    @property
    def _ended(self) -> bool:
        return self._fault is not None or self._bug is not None or self._stopping

    def _raise_bug(self) -> None:
        if self._bug is not None:
            raise self._bug

    def _begin(self, call: int) -> None:
        self._call, self._more = call, False
        self._waiting.clear()
        self._answered.clear()
        self._taken.clear()

    def _run(self, model: Model) -> None:
        backend: Backend | None = None
        try:
            backend = plugins.load("backends", model.backend)(model)
            with self._change:
                self._backend = backend
                self._change.notify_all()
            while self._wait_for_work():
                self._work(backend)
        except BackendError as error:
            self._end(Fault(backend=True, words=str(error)), None)
        except UserError as error:
            self._end(Fault(backend=False, words=str(error)), None)
        except BaseException as error:
            self._end(None, error)
        finally:
            if backend is not None:
                backend.close()

    def _end(self, fault: Fault | None, bug: BaseException | None) -> None:
        with self._change:
            self._fault, self._bug = fault, bug
            self._change.notify_all()

    def _wait_for_work(self) -> bool:
        with self._change:
            self._change.wait_for(lambda: self._waiting or self._stopping)
            return not self._stopping

    def _work(self, backend: Backend) -> None:
        """Answers what waits; returns when nothing does, or when the call has ended."""
        with self._change:
            call, method = self._call, self._method
        replies = getattr(backend, method)(self._requests(call))
        for request, reply in replies:
            with self._change:
                if call != self._call:
                    break
                self._taken.discard(request.id)
                self._answered.append((request.id, reply))
                self._change.notify_all()
        if hasattr(replies, "close"):
            replies.close()
        with self._change:
            if call == self._call and self._taken:
                raise RuntimeError(f"the backend lost {len(self._taken)} of its requests")

    def _requests(self, call: int) -> Iterator[Request | ChoiceRequest]:
        while True:
            with self._change:
                if not self._waiting and self._more:
                    self._change.notify_all()
                    self._change.wait_for(lambda: self._waiting or not self._more or call != self._call, GRACE)
                if call != self._call or not self._waiting:
                    return
                request = self._waiting.popleft()
                self._taken.add(request.id)
                if len(self._waiting) < STOCK:
                    self._change.notify_all()
            yield request
