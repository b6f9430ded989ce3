"""The floor of the endpoint benchmarks: bare sockets, one worker a connection, no HTTP library.

``python benchmarks/endpoint_floor.py PROMPTS.jsonl http://127.0.0.1:PORT/v1 OUT.jsonl`` sends each prompt, reads the
JSON, takes the verdict out and writes a line; nothing is repeated, checked or resumed. With ``--client openai`` or
``--client openai-httpx`` the openai package does it over its aiohttp or its own transport, with the same workers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

VERDICT = re.compile(r"\[\[(A|B|C|\d+(?:\.\d+)?)\]\]")
SAMPLING = {"max_tokens": 1024, "temperature": 0.0}

Prompt = dict[str, Any]
Emit = Callable[[Prompt, str], None]


async def bare(prompts: Iterator[Prompt], base: str, concurrency: int, emit: Emit) -> None:
    """Answers all prompts over persistent sockets."""
    url = urlsplit(base)

    async def work() -> None:
        reader, writer = await asyncio.open_connection(url.hostname, url.port)
        for prompt in prompts:
            body = msgspec.json.encode({"model": "mock", "messages": messages(prompt), **SAMPLING})
            head = f"POST {url.path}/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            told = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", told)
            assert length is not None
            found = msgspec.json.decode(await reader.readexactly(int(length[1])))
            emit(prompt, found["choices"][0]["message"]["content"])
        writer.close()

    await asyncio.gather(*(work() for _ in range(concurrency)))


async def package(prompts: Iterator[Prompt], base: str, concurrency: int, emit: Emit, *, over_aiohttp: bool) -> None:
    """Answers all prompts through the openai package."""
    import openai

    client = openai.DefaultAioHttpClient() if over_aiohttp else None
    async with openai.AsyncOpenAI(base_url=base, api_key="none", max_retries=6, http_client=client) as api:

        async def work() -> None:
            for prompt in prompts:
                reply = await api.chat.completions.create(model="mock", messages=messages(prompt), **SAMPLING)
                emit(prompt, reply.choices[0].message.content or "")

        await asyncio.gather(*(work() for _ in range(concurrency)))


def messages(prompt: Prompt) -> Any:
    """The chat of one prompt."""
    return [{"role": "system", "content": prompt["system"]}, {"role": "user", "content": prompt["prompt"]}]


def main() -> None:
    """Answers the file's prompts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prompts", type=Path)
    parser.add_argument("base")
    parser.add_argument("out", type=Path)
    parser.add_argument("--client", choices=("bare", "openai", "openai-httpx"), default="bare")
    parser.add_argument("--concurrency", type=int, default=64)
    given = parser.parse_args()
    with given.prompts.open("rb") as lines, given.out.open("wb", buffering=0) as out:

        def emit(prompt: Prompt, text: str) -> None:
            found = VERDICT.search(text)
            line = {"id": prompt["id"], "reply": text, "verdict": found and found[1]}
            out.write(msgspec.json.encode(line) + b"\n")

        prompts = iter([json.loads(line) for line in lines])
        work: Awaitable[None]
        if given.client == "bare":
            work = bare(prompts, given.base, given.concurrency, emit)
        else:
            over_aiohttp = given.client == "openai"
            work = package(prompts, given.base, given.concurrency, emit, over_aiohttp=over_aiohttp)
        asyncio.run(_awaited(work))


async def _awaited(work: Awaitable[None]) -> None:
    await work


if __name__ == "__main__":
    main()
