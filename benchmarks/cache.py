"""What the response cache and the limits cost: processor time a request beside a backend that answers at once.

python benchmarks/cache.py [REQUESTS]
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from judgebench.backends.cache import cached
from judgebench.backends.responses import ResponseCache
from judgebench.stages.budget import Budget, metered
from judgebench.types import Backend, Message, Model, Reply, Request, Usage

MODEL = Model(name="m", backend="openai", id="some-model")


class Instant:
    """A backend that answers at once, in 200 characters."""

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Reply]]:
        """Each request with its reply."""
        for request in requests:
            yield request, Reply(text="x" * 200, usage=Usage(prompt_tokens=500, completion_tokens=50, requests=1))

    def describe(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def close(self) -> None:
        """Does nothing."""


def requests(count: int) -> Iterator[Request]:
    """Prompts of 2,000 characters, no two alike."""
    for number in range(count):
        message = Message(role="user", content=f"{number} " + "y" * 2000)
        yield Request(id=str(number), messages=(message,), item=str(number))


def microseconds(backend: Backend, count: int) -> float:
    """Processor time a request."""
    began = time.process_time()
    answered = sum(1 for _ in backend.generate(requests(count)))
    assert answered == count
    return (time.process_time() - began) / count * 1e6


def main() -> None:
    """Prints a line for each wrapper."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "responses.sqlite"
        print(f"bare: {microseconds(Instant(), count):.1f} µs a request")
        print(f"counted: {microseconds(metered(Instant(), MODEL, Budget()), count):.1f}")
        print(f"limited: {microseconds(metered(Instant(), MODEL, Budget(max_tokens=10**12)), count):.1f}")
        for what in ("kept", "found"):
            backend = cached(metered(Instant(), MODEL, Budget()), ResponseCache(file), MODEL, {"weights": "x"})
            print(f"{what}: {microseconds(backend, count):.1f}")
            backend.close()
        print(f"{file.stat().st_size / count:.0f} bytes a reply of 200 characters")


if __name__ == "__main__":
    main()
