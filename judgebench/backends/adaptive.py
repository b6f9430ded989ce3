"""How many calls at once a server keeps up with: a rule over what calls came to, without clock or I/O.

It goes by windows, each as many calls as are let through at once, which double from window to window at first. Where a
window refuses or fails many, fewer are let through; where more at once brought no more replies a second and each took
that much longer, the step is taken back for a while; where calls take twice as long as usual at the same number, too.
Otherwise an eighth more is tried. It is additive increase and multiplicative decrease (Chiu and Jain 1989) with
throughput beside loss, since engines answer fuller batches more slowly and are the better for it.
"""

from __future__ import annotations

from statistics import median
from typing import Literal

Outcome = Literal["answered", "refused", "failed"]

FIRST = 64
"""Calls at once to begin with."""
WINDOW = 8
"""Fewest calls in a window."""
MANY = 0.25
"""Share of refused and failed calls in a window past which fewer are let through; below, single repeats do."""
GAIN = 1.05
"""Replies a second must grow by this for a step to have been worth it, where each call became slower."""
SLOWER = 2.0
"""Times the usual seconds of a call at the same number, from which the server counts as busy with others."""
NOTICEABLE = 0.1
"""Seconds by which a call must be slower to say anything of the server: less is this machine's own doing."""
FORGETS = 1.03
"""What is usual becomes slower by this with each window: longer calls are not held against the server for ever."""
HOLD = 16
"""Windows until a step that was taken back is tried again."""


class Adaptive:
    """The limit on calls at once.

    Args:
        most: the user's limit.
        first: where to begin.
    """

    def __init__(self, most: int, first: int = FIRST) -> None:
        self.most = most
        self.limit = min(most, first)
        self.least = self.limit
        self.refusals = self.slowdowns = 0
        self._doubling = True
        self._hold = 0
        self._below: tuple[int, float, float] | None = None
        self._above: tuple[int, float] | None = None
        self._usual: dict[int, float] = {}
        self._open(float("-inf"))

    def _open(self, now: float) -> None:
        self._since = now
        self._seconds: list[float] = []
        self._lost = 0

    def observe(self, began: float, ended: float, outcome: Outcome) -> int:
        """The limit from now on, given what one more attempt came to.

        Args:
            began: seconds on any monotonic clock; attempts from before the window say nothing of it.
            ended: likewise.
            outcome: a reply, a refusal for coming too often (429), or a failure of the server.
        """
        if began < self._since:
            return self.limit
        if self._since == float("-inf"):
            self._since = began
        if outcome == "answered":
            self._seconds.append(ended - began)
        else:
            self._lost += 1
        seen = len(self._seconds) + self._lost
        if seen >= max(WINDOW, self.limit):
            self._close(seen)
            self._open(ended)
        return self.limit

    def _close(self, seen: int) -> None:
        lost = self._lost / seen
        if lost > MANY:
            self.refusals += 1
            self._shrink(0.5 if lost > 0.5 else 0.75)
            return
        seconds = max(median(self._seconds), 1e-6)
        rate = self.limit / seconds  # Little's law; a count would hold the time against a window in which others ended
        self._usual = {calls: each * FORGETS for calls, each in self._usual.items()}
        usual = min([seconds, *(each for calls, each in self._usual.items() if calls >= self.limit)])
        if self._above is not None:
            more, rate_then = self._above
            self._above = None
            if rate < rate_then / GAIN:  # fewer at once were no quicker: that cost replies and helped nobody
                self.limit, self._hold = more, HOLD
                return
        if seconds > max(SLOWER * usual, usual + NOTICEABLE) and not self._hold:
            self.slowdowns += 1
            self._above = (self.limit, rate)
            self._shrink(0.75)
            return
        self._usual[self.limit] = min(seconds, self._usual.get(self.limit, seconds))
        if self._hold:
            self._hold -= 1
            return
        if self._below is not None and self._below[0] < self.limit:
            fewer, seconds_then, rate_then = self._below
            dearer = seconds > seconds_then * (1 + 0.5 * (self.limit / fewer - 1)) + NOTICEABLE / 2
            if dearer and rate < GAIN * rate_then:
                self.limit, self._below, self._hold, self._doubling = fewer, None, HOLD, False
                self.least = min(self.least, fewer)
                self.slowdowns += 1
                return
        self._below = (self.limit, seconds, rate)
        step = self.limit if self._doubling else max(1, self.limit // 8)
        self.limit = min(self.most, self.limit + step)

    def _shrink(self, share: float) -> None:
        self.limit = max(1, int(self.limit * share))
        self.least = min(self.least, self.limit)
        self._below, self._doubling = None, False
