"""What servers get silently wrong: log-probabilities, counts, limits, forms and seeds that were asked for. No I/O."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from judgebench.types import Message, Reply, Sampling

SEEDED = 256
"""Most prompts whose seeds are compared."""
ALIKE = 3
"""Prompts whose samples must all be alike before the server is said to ignore seeds."""
LONG = 40
"""Characters from which two replies are not alike by chance."""

WORDS = {
    "usage": "the server does not say how many tokens a call took: they are counted as 0",
    "logprobs": "the server left out the log-probabilities that were asked for",
    "length": "the server wrote more tokens than the limit it was given",
    "stop": "the server did not end replies at the stop text it was given",
    "schema": "the server ignored the JSON schema it was given",
    "seed": "the server ignores the seed: one call put twice with one seed came back as two replies",
    "sample": "the server ignores the seed, or answers out of a cache: samples with seeds of their own are alike",
}


class Promises:
    """Compares replies with what was asked for; what is broken is said once, with how often."""

    def __init__(self) -> None:
        self._broken: Counter[str] = Counter()
        self._seen: Counter[str] = Counter()
        self._seeds: dict[int, dict[int | None, str]] = {}

    def check(self, messages: tuple[Message, ...], sampling: Sampling, reply: Reply) -> None:
        """Takes note of one reply."""
        usage = reply.usage
        self._count("usage", not usage.prompt_tokens and not usage.completion_tokens)
        self._count("length", usage.completion_tokens > sampling.max_tokens)
        if sampling.stop:
            self._count("stop", any(text and text in reply.text for text in sampling.stop))
        if reply.finish == "filter":
            return
        if sampling.logprobs and (reply.text or reply.reasoning):
            self._count("logprobs", not reply.logprobs)
        if sampling.json_schema is not None and reply.finish == "stop":
            self._count("schema", not follows(reply.text, sampling.json_schema))
        if sampling.seed is not None:
            self._compare(hash((messages, sampling.temperature, sampling.max_tokens)), sampling.seed, reply.text)

    @property
    def notes(self) -> list[str]:
        """What was broken, a line each."""
        found = []
        for kind, count in self._broken.items():
            whole = kind in ("usage", "seed") or count == self._seen[kind]
            often = "" if whole else f" in {count} of {self._seen[kind]} replies"
            found.append(WORDS[kind] + often)
        several = [set(texts.values()) for texts in self._seeds.values() if len(texts) > 1]
        long = [texts for texts in several if all(len(text) >= LONG for text in texts)]
        if len(long) >= ALIKE and all(len(texts) == 1 for texts in long):
            found.append(WORDS["sample"])
        return found

    def _count(self, kind: str, broken: bool) -> None:
        self._seen[kind] += 1
        if broken:
            self._broken[kind] += 1

    def _compare(self, asked: int, seed: int, text: str) -> None:
        known = self._seeds.get(asked)
        if known is None:
            if len(self._seeds) < SEEDED:
                self._seeds[asked] = {seed: text}
        elif known.setdefault(seed, text) != text:
            self._broken["seed"] += 1


def follows(text: str, schema: dict[str, Any]) -> bool:
    """Whether a text is JSON of the schema's type, with all that it requires at the top."""
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return False
    if schema.get("type") == "object" or "properties" in schema:
        return isinstance(found, dict) and all(name in found for name in schema.get("required", ()))
    if schema.get("type") == "array":
        return isinstance(found, list)
    return True
