"""Which request goes out next: those of lost replicas first, and alone those that replicas die of."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Generic, TypeVar

from judgebench.backends.replica import SHARD
from judgebench.types import ChoiceRequest, Request

Asked = TypeVar("Asked", Request, ChoiceRequest)

SUSPECT_AFTER = 2
"""Replicas lost with a request after which it goes out alone, so that it takes no others with it."""

MOST_LOSSES = 3
"""Replicas lost with a request after which it is not asked again in this call."""


class Desk(Generic[Asked]):
    """The requests of one call, taken from their source only as they are sent.

    >>> desk = Desk([Request(id="a", messages=()), Request(id="b", messages=())])
    >>> [request.id for request in desk.shard(idle=True)], desk.more
    (['a', 'b'], False)
    """

    def __init__(self, requests: Iterable[Asked]) -> None:
        self._source: Iterator[Asked] = iter(requests)
        self._again: deque[Asked] = deque()
        self._suspects: deque[Asked] = deque()
        self._losses: Counter[str] = Counter()
        self._exhausted = False
        self.repeated = 0

    @property
    def more(self) -> bool:
        """Whether an idle replica could be given anything but suspects."""
        return bool(self._again) or not self._exhausted

    @property
    def empty(self) -> bool:
        """Whether everything has been sent."""
        return not self.more and not self._suspects

    def suspected(self, request: Asked) -> bool:
        """Whether replicas were lost with this request more than once."""
        return self._losses[request.id] >= SUSPECT_AFTER

    def shard(self, *, idle: bool) -> list[Asked]:
        """The requests to send next.

        Args:
            idle: whether the replica has nothing to do; only then it is sent a suspect.
        """
        if idle and self._suspects:
            return [self._suspects.popleft()]
        shard = [self._again.popleft() for _ in range(min(SHARD, len(self._again)))]
        if len(shard) < SHARD and not self._exhausted:
            fresh = list(islice(self._source, SHARD - len(shard)))
            self._exhausted = len(fresh) < SHARD - len(shard)
            shard += fresh
        return shard

    def take_back(self, requests: Iterable[Asked]) -> list[Asked]:
        """Requests that a replica was lost with, to be sent again; those lost too often come back and are not."""
        given_up = []
        for request in requests:
            self._losses[request.id] += 1
            if self._losses[request.id] >= MOST_LOSSES:
                given_up.append(request)
                continue
            self.repeated += 1
            (self._suspects if self.suspected(request) else self._again).append(request)
        return given_up
