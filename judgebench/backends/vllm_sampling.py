"""What a vLLM engine is asked for one reply or for several samples of one, and what it says of each token."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from judgebench.backends.chat import Rendered
from judgebench.backends.local_sampling import Drawing
from judgebench.types import Request, Sampling


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request made ready."""

    request: Request
    """What is asked."""
    prompt: list[int]
    """Its token ids."""
    rendered: Rendered
    """Its text."""
    drawing: Drawing
    """How the reply is drawn."""


def together(asked: Sequence[Asked]) -> Iterator[list[Asked]]:
    """The requests in the order of their tokens, those that one request of the engine can answer as one list.

    Prompts with a shared beginning so meet in the prefix cache. Samples of one question go as one request of ``n``
    where their seeds follow one another: the engine draws sample k of a request with its seed + k, so each reply is
    the one that it would be alone.
    """
    group: list[Asked] = []
    for one in sorted(asked, key=lambda one: (one.prompt, one.drawing.seed)):
        if group and not _follows(group[-1], one):
            yield group
            group = []
        group.append(one)
    if group:
        yield group


def _follows(before: Asked, one: Asked) -> bool:
    return (
        one.drawing.temperature > 0
        and one.drawing == msgspec.structs.replace(before.drawing, seed=before.drawing.seed + 1)
        and one.prompt == before.prompt
        and held(one.request.sampling) == held(before.request.sampling)
    )


def sampling_arguments(drawing: Drawing, ends: frozenset[int], samples: int = 1) -> dict[str, Any]:
    """Every argument of ``SamplingParams`` that changes a reply: no default of vLLM or of the checkpoint does.

    Args:
        drawing: how the reply is drawn; the first of them, where there are several.
        ends: tokens that end a reply.
        samples: replies wanted.
    """
    return {
        "n": samples,
        "temperature": drawing.temperature,
        "top_p": drawing.top_p,
        "top_k": drawing.top_k,
        "min_p": 0.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "repetition_penalty": 1.0,
        "seed": drawing.seed if drawing.temperature > 0 else None,
        "max_tokens": drawing.max_tokens,
        "min_tokens": 0,
        "stop": list(drawing.stop),
        "stop_token_ids": sorted(ends),
        "ignore_eos": False,
        "detokenize": bool(drawing.stop),
        "skip_special_tokens": True,
        "spaces_between_special_tokens": False,
        "include_stop_str_in_output": True,
        "logprobs": drawing.logprobs or None,
    }


def held(sampling: Sampling) -> dict[str, Any]:
    """Arguments of ``StructuredOutputsParams`` that hold a reply to a schema or a choice of texts; none where free."""
    if sampling.json_schema is not None:
        return {"json": sampling.json_schema}
    return {"choice": list(sampling.one_of)} if sampling.one_of else {}


def noted(tokens: Sequence[int], logprobs: Any, most: int) -> list[tuple[float, list[tuple[int, float]]]]:
    """What the engine says of each token: it gives the token's own value beside the best, at one more place."""
    values = []
    for token, found in zip(tokens, logprobs or (), strict=False):
        best = sorted(((other, float(each.logprob)) for other, each in found.items()), key=lambda pair: -pair[1])
        values.append((float(found[token].logprob), best[:most]))
    return values
