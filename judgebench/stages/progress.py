"""Progress on stderr from the first second: one live line on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from judgebench.report.visible import one_line, visible
from judgebench.stages.budget import price_of
from judgebench.types import Usage

PLAIN_SECONDS = 10.0
"""Between two lines where stderr is not a terminal."""


class Progress:
    """Counts what is done out of a total, with what it takes.

    Args:
        title: what is being done.
        total: how many there are.
        backend: whose tokens have a price, where anybody said what it is.
        quiet: say nothing.
    """

    def __init__(self, title: str, total: int, *, backend: object = None, quiet: bool = False) -> None:
        self.title, self.total, self.quiet = title, total, quiet
        self.done = self.failed = 0
        self._usage = Usage()
        self._price = price_of(backend)
        self._began = self._said = time.monotonic()
        self._live = sys.stderr.isatty()

    def __enter__(self) -> Progress:
        if not self.quiet:
            self._write(f"{self.title}: 0/{self.total}")
        return self

    def advance(self, *, failed: bool = False, usage: Usage | None = None) -> None:
        """Counts one more, and what it took."""
        self.done += 1
        self.failed += failed
        if usage is not None:
            self._usage += usage
        now = time.monotonic()
        if not self.quiet and now - self._said > (0.1 if self._live else PLAIN_SECONDS):
            self._said = now
            self._write(self._line(now))

    def _line(self, now: float) -> str:
        seconds = max(now - self._began, 1e-9)
        rate = self.done / seconds
        left = f", {(self.total - self.done) / rate:.0f} s left" if self.done and self.done < self.total else ""
        failed = f", {self.failed} failed" if self.failed else ""
        kept = f", {self._usage.cached} from the cache" if self._usage.cached else ""
        tokens = self._usage.prompt_tokens + self._usage.completion_tokens
        speed = f", {tokens / seconds:,.0f} tokens/s" if tokens else ""
        cost = ""
        if self._price is not None and tokens:
            price, currency = self._price
            cost = f", {price.of(self._usage):.4g} {currency}"
        return f"{one_line(self.title)}: {self.done}/{self.total}, {rate:.1f}/s{speed}{failed}{kept}{cost}{left}"

    def _write(self, line: str) -> None:
        sys.stderr.write(f"\r\x1b[K{line}" if self._live else f"{line}\n")
        sys.stderr.flush()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.quiet:
            self._write(self._line(time.monotonic()))
            if self._live:
                sys.stderr.write("\n")


def say(text: str, *, quiet: bool = False) -> None:
    """Writes one line to stderr."""
    if not quiet:
        sys.stderr.write(f"{visible(text)}\n")
        sys.stderr.flush()
