"""Several addresses of one model: calls go to the least busy, a dead one is dropped and tried again later. No I/O."""

from __future__ import annotations

from collections.abc import Sequence

FIRST_PAUSE = 1.0
"""Seconds for which an address that fails is left alone; doubled each time."""
LONGEST_PAUSE = 60.0
"""Most seconds between two tries."""
FAILURES = 3
"""Failures in a row after which an address that was reached counts as down."""


class Address:
    """One address and what is known of it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.active = 0
        self.reached = self.answered = False
        self.dismissed = ""
        """Why it is never asked again."""
        self.down_until = 0.0
        self._failures = self._pauses = 0

    def works(self) -> None:
        """It answered."""
        self.reached = self.answered = True
        self._failures = self._pauses = 0
        self.down_until = 0.0

    def fails(self, now: float, *, unreachable: bool) -> bool:
        """True where it counts as down from now on, for a while."""
        self._failures += 1
        if not unreachable and self._failures < FAILURES and not self._pauses:
            return False
        if now < self.down_until:  # calls that fail together are one failure
            return False
        self.down_until = now + min(LONGEST_PAUSE, FIRST_PAUSE * 2.0**self._pauses)
        self._pauses = min(self._pauses + 1, 16)
        return True

    def open(self, now: float) -> bool:
        """Whether a call may go there: it is up, or due for one call that tries it."""
        return not self.dismissed and now >= self.down_until and (not self._pauses or not self.active)


class Addresses:
    """The addresses of one model.

    Args:
        urls: at least one, no two alike.
    """

    def __init__(self, urls: Sequence[str]) -> None:
        self.all = [Address(url) for url in urls]
        self._dropped: dict[str, None] = {}

    def choose(self, now: float) -> tuple[Address, float]:
        """Where the next call goes, and how many seconds it waits before: 0 unless all addresses are down."""
        if len(self.all) == 1:
            return self.all[0], 0.0
        up = [address for address in self.all if address.open(now)]
        if up:
            return min(up, key=lambda address: address.active), 0.0
        left = [address for address in self.all if not address.dismissed]
        soonest = min(left, key=lambda address: (address.down_until, address.active))
        return soonest, max(0.0, soonest.down_until - now)

    def fails(self, address: Address, now: float, *, unreachable: bool) -> bool:
        """True where another address can take the call at once."""
        if len(self.all) == 1:
            return False
        if address.fails(now, unreachable=unreachable):
            self._dropped[address.url] = None
        return any(other.open(now) for other in self.all if other is not address)

    def dismiss(self, address: Address, why: str) -> bool:
        """True where an address that refuses every call is left out for good, since another answers."""
        if address.answered or not any(other.answered for other in self.all if other is not address):
            return False
        address.dismissed = why
        return True

    @property
    def reached(self) -> bool:
        """Whether any address was ever reached."""
        return any(address.reached for address in self.all)

    @property
    def notes(self) -> list[str]:
        """What is to be said of addresses that were dropped."""
        gone = [f"{each.url} was left out: {each.dismissed}" for each in self.all if each.dismissed]
        return gone + [f"{url} did not answer and was dropped for a while" for url in self._dropped]
