"""A mock of OpenAI's chat completions for benchmarks: ``python benchmarks/endpoint_mock.py --latency 0.05``.

One asyncio protocol per connection, so that it costs less than what it measures. Prints ``ready PORT``. Every prompt
carries ``ITEM-000123`` somewhere, by which first calls are told from repeats. Faults are drawn from (seed, item,
attempt) and so are the same for every client. ``GET /stats`` tells what was seen; ``POST /reset`` forgets it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import random
import re
import signal
from collections import Counter
from typing import Any

ITEM = re.compile(rb"ITEM-(\d+)")
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
FAULTS = (("429", 0.05), ("500", 0.02), ("torn", 0.01), ("hang", 0.01))
"""Kind of fault and its share of all attempts."""


class Seen:
    """What has arrived since the last reset."""

    def __init__(self) -> None:
        self.requests = self.connections = self.answered_again = self.most_at_once = self.now = 0
        self.attempts: Counter[int] = Counter()
        self.answered: set[int] = set()
        self.faults: Counter[str] = Counter()

    def stats(self) -> dict[str, Any]:
        """The counts as JSON."""
        return {
            "requests": self.requests,
            "items": len(self.attempts),
            "answered": len(self.answered),
            "answered_again": self.answered_again,
            "extra": self.requests - len(self.attempts),
            "faults": dict(self.faults),
            "injected": sum(self.faults.values()),
            "most_at_once": self.most_at_once,
            "connections": self.connections,
        }


class Conversation(asyncio.Protocol):
    """One connection."""

    seen = Seen()
    options: argparse.Namespace

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Counts it."""
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.buffer, self.waiting = transport, bytearray(), False
        self.seen.connections += 1

    def connection_lost(self, error: Exception | None) -> None:
        """Whatever was under way is over."""
        if self.waiting:
            self.seen.now -= 1
            self.waiting = False

    def data_received(self, data: bytes) -> None:
        """Takes every whole request."""
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = bytes(self.buffer[:end])
            found = LENGTH.search(head)
            whole = end + 4 + (int(found[1]) if found else 0)
            if len(self.buffer) < whole:
                return
            body = bytes(self.buffer[end + 4 : whole])
            del self.buffer[:whole]
            self.request(head, body)

    def request(self, head: bytes, body: bytes) -> None:
        """Plans the response to one request."""
        line = head.partition(b"\r\n")[0]
        if b"/stats" in line:
            self.respond(200, json.dumps(self.seen.stats()).encode())
            return
        if b"/reset" in line:
            type(self).seen = Seen()
            self.respond(200, b"{}")
            return
        seen, options = self.seen, self.options
        found = ITEM.search(body)
        item = int(found[1]) if found else -1
        attempt = seen.attempts[item]
        seen.attempts[item] += 1
        seen.requests += 1
        seen.answered_again += item in seen.answered
        seen.now += 1
        seen.most_at_once = max(seen.most_at_once, seen.now)
        self.waiting = True
        delay, fault = options.latency, ""
        if options.tail or options.faults:
            draw = random.Random(f"{options.seed} {item} {attempt}")
            if options.tail:
                delay *= min(30.0, math.exp(draw.gauss(0.0, 0.5)) * (5.0 if draw.random() < 0.01 else 1.0))
            if options.faults:
                fault = drawn(draw.random())
        if fault:
            seen.faults[fault] += 1
        if fault != "hang":
            asyncio.get_running_loop().call_later(0.002 if fault == "429" else delay, self.answer, item, fault)

    def answer(self, item: int, fault: str) -> None:
        """Sends the response, unless the client has left."""
        if not self.waiting:
            return
        self.waiting = False
        self.seen.now -= 1
        if fault == "429":
            refused = b'{"error":{"message":"rate limit","code":"rate_limit_exceeded"}}'
            self.respond(429, refused, b"retry-after: %d\r\n" % self.options.retry_after)
        elif fault == "500":
            self.respond(500, b'{"error":{"message":"boom","type":"server_error"}}')
        else:
            body = completion(item)
            if fault == "torn":
                body = body[: len(body) // 2]
            else:
                self.seen.answered.add(item)
            self.respond(200, body)

    def respond(self, status: int, body: bytes, more: bytes = b"") -> None:
        """Writes one response."""
        head = b"HTTP/1.1 %d Said\r\ncontent-type: application/json\r\ncontent-length: %d\r\n" % (status, len(body))
        self.transport.write(head + more + b"\r\n" + body)


def drawn(share: float) -> str:
    """The fault that a number in [0, 1) stands for; none where it is past them all."""
    for kind, weight in FAULTS:
        if share < weight:
            return kind
        share -= weight
    return ""


def completion(item: int) -> bytes:
    """A chat completion that grades, or prefers, by the item's number."""
    words = ("The first is better. [[A]]", "The second is better. [[B]]")[item % 2]
    text = f"{words} Rating: [[{item % 10 + 1}]]"
    return json.dumps(
        {
            "id": f"chatcmpl-{item}",
            "object": "chat.completion",
            "created": 1700000000,
            "model": "mock",
            "choices": [{"index": 0, "finish_reason": "stop", "logprobs": None,
                         "message": {"role": "assistant", "content": text, "refusal": None}}],
            "usage": {"prompt_tokens": 300, "completion_tokens": 10, "total_tokens": 310},
        }
    ).encode()  # fmt: skip


async def main() -> None:
    """Serves until it is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.05, help="seconds; the median with --tail")
    parser.add_argument(
        "--tail", action="store_true", help="log-normal latency, one call in a hundred five times slower"
    )
    parser.add_argument("--faults", action="store_true", help="5 %% 429, 2 %% 500, 1 %% torn JSON, 1 %% hang")
    parser.add_argument("--retry-after", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    Conversation.options = parser.parse_args()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Conversation, "127.0.0.1", Conversation.options.port, backlog=4096)
    stopping = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    print("ready", server.sockets[0].getsockname()[1], flush=True)
    await stopping.wait()


if __name__ == "__main__":
    asyncio.run(main())
