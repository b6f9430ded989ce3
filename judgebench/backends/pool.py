"""Asynchronous inside, synchronous outside: many calls at once, replies as they complete, requests taken lazily."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager
from itertools import islice
from queue import SimpleQueue

from judgebench.types import Reply, Request

Call = Callable[[Request], Awaitable[Reply]]
"""Answers one request; whatever it raises ends the whole iteration."""

CHUNK = 8
"""Requests handed over to the calling thread at a time: fewer wake-ups than one by one."""


class Slots:
    """How many calls may be under way at once. To be used on the event loop of the calls.

    Args:
        most: most calls at once, ever.
    """

    def __init__(self, most: int) -> None:
        self.most = self.limit = most
        self.taken = 0
        self.closed = False
        """Whether no further call is to begin, while those that have begun go on."""
        self._returning: deque[asyncio.Future[None]] = deque()
        self.freed: Callable[[], None] = lambda: None
        """Called when a slot may have become free for a call that has not begun."""

    @property
    def free(self) -> int:
        """Slots for calls not yet begun."""
        return 0 if self.closed else self.limit - self.taken

    def set_limit(self, limit: int) -> None:
        """Lets so many calls be under way from now on; those that are go on."""
        before, self.limit = self.limit, max(1, min(limit, self.most))
        if self.limit > before:
            self._hand_on()

    def open(self) -> None:
        """Lets calls begin again."""
        if self.closed:
            self.closed = False
            self._hand_on()

    def take(self) -> None:
        """One more call is under way."""
        self.taken += 1

    def give_back(self) -> None:
        """One call less is under way."""
        self.taken -= 1
        if self._returning or self.limit - self.taken > 1:
            self._hand_on()

    async def rest(self, seconds: float) -> None:
        """Gives the slot of a call that waits to another, and has one again at the end, before calls not yet begun."""
        self.taken -= 1
        self._hand_on()
        counted = False
        try:
            await asyncio.sleep(seconds)
            if self.taken >= self.limit:
                turn = asyncio.get_running_loop().create_future()
                self._returning.append(turn)
                await turn
                counted = True
        finally:
            if not counted:
                self.taken += 1

    def _hand_on(self) -> None:
        while self._returning and self.taken < self.limit:
            self.taken += 1
            self._returning.popleft().set_result(None)
        if self.taken < self.limit:
            self.freed()


def in_parallel(
    requests: Iterable[Request], opened: Callable[[], AbstractAsyncContextManager[Call]], *, slots: Slots
) -> Iterator[tuple[Request, Reply]]:
    """Each request with its reply, in order of completion.

    The calls run on an event loop in a thread of their own, so that this works inside a running loop as well. Requests
    are taken in the caller's thread, between two replies, and never more than ``2 * slots.most`` (at most 32 beyond
    it) ahead of the replies given out, so memory does not grow with their number. Replies come over together where
    several are there; those not yet taken by the consumer take slots too, so that no more than ``slots.most`` calls
    are ever lost with the process. When the iteration is left, by its end, an error, Ctrl-C or ``close()``, the calls
    still under way are cancelled and the thread has ended.

    Args:
        requests: what to ask.
        opened: gives the context in which calls are made; entered and left on the event loop.
        slots: how many calls are under way at once.

    Raises:
        Exception: whatever a call raised.
    """
    source = iter(requests)
    most = slots.most + min(slots.most, 32)
    refill_at = most - max(1, (most - slots.most) // 2)
    crew: _Crew | None = None
    outstanding, exhausted = 0, False
    come: deque[tuple[Request, Reply] | BaseException] = deque()
    try:
        while True:
            if not exhausted and outstanding <= refill_at:
                while outstanding < most:
                    chunk = list(islice(source, min(CHUNK, most - outstanding)))
                    if not chunk:
                        exhausted = True
                        break
                    crew = crew or _Crew(opened, slots, most)
                    crew.hand_over(chunk)
                    outstanding += len(chunk)
            if crew is None or not outstanding:
                return
            if not come:
                crew.go_on()
                come.extend(crew.answered.get())
            answered = come.popleft()
            if isinstance(answered, BaseException):
                raise answered
            outstanding -= 1
            yield answered
            crew.consumed += 1
            if not crew.consumed % CHUNK:
                crew.go_on()
    finally:
        if crew is not None:
            crew.stop()


class _Crew:
    """The workers on their own event loop, in their own thread."""

    def __init__(self, opened: Callable[[], AbstractAsyncContextManager[Call]], slots: Slots, most: int) -> None:
        self.answered: SimpleQueue[list[tuple[Request, Reply] | BaseException]] = SimpleQueue()
        self._done: list[tuple[Request, Reply] | BaseException] = []
        self._opened, self._slots, self._most = opened, slots, most
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._waiting: deque[Request] = deque()
        self._parked: deque[asyncio.Future[None]] = deque()
        self._workers: list[asyncio.Task[None]] = []
        self._call: Call | None = None
        self._given = self.consumed = 0
        self._held = False
        self._thread = threading.Thread(target=self._run, name="judgebench-calls", daemon=True)
        self._thread.start()
        self._ready.wait()

    def hand_over(self, chunk: list[Request]) -> None:
        """Queues requests for the workers."""
        self._waiting.extend(chunk)
        with contextlib.suppress(RuntimeError):  # the loop has died: what it died of is in ``answered``
            self._loop.call_soon_threadsafe(self._wake)

    def go_on(self) -> None:
        """Wakes workers that were held back since replies had not been taken."""
        if self._held:
            self._held = False
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._wake)

    def stop(self) -> None:
        """Cancels what is under way and waits for the thread's end."""
        with contextlib.suppress(RuntimeError):  # it has ended by itself
            self._loop.call_soon_threadsafe(self._main.cancel)
        self._thread.join()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._serve())
        except asyncio.CancelledError:
            pass
        except BaseException as error:
            self.answered.put([error])

    async def _serve(self) -> None:
        main = asyncio.current_task()
        assert main is not None
        self._main = main
        self._slots.freed = self._wake
        self._ready.set()
        async with self._opened() as call:
            self._call = call
            self._wake()
            try:
                await self._loop.create_future()
            finally:
                self._call = None
                self._slots.freed = lambda: None
                for worker in self._workers:
                    worker.cancel()
                await asyncio.gather(*self._workers, return_exceptions=True)

    def _wake(self) -> None:
        """Sets as many workers to work as there are requests and slots for; hires those that are lacking."""
        if self._call is None:
            return
        for _ in range(min(len(self._waiting), self._places())):
            while self._parked:
                parked = self._parked.popleft()
                if not parked.done():
                    parked.set_result(None)
                    break
            else:
                if len(self._workers) < self._most:
                    self._workers.append(self._loop.create_task(self._work(self._call)))

    def _places(self) -> int:
        """How many calls may begin now."""
        free, slots = self._slots.free, self._slots
        untaken = self._given - self.consumed
        if untaken and slots.most - slots.taken - untaken < free:
            self._held = True  # before the numbers are read again: whoever takes a reply meanwhile sees it
            free = min(free, slots.most - slots.taken - (self._given - self.consumed))
        return free

    async def _work(self, call: Call) -> None:
        slots, waiting = self._slots, self._waiting
        while True:
            while not waiting or self._places() <= 0:
                parked = self._loop.create_future()
                self._parked.append(parked)
                await parked
            request = waiting.popleft()
            slots.take()
            try:
                reply = await call(request)
            except Exception as error:
                self._give_out(error)
                return
            finally:
                slots.give_back()
            self._give_out((request, reply))

    def _give_out(self, answered: tuple[Request, Reply] | BaseException) -> None:
        self._given += 1
        if not self._done:
            self._loop.call_soon(self._flush)
        self._done.append(answered)

    def _flush(self) -> None:
        self.answered.put(self._done)
        self._done = []
