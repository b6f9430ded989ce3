"""How a local model draws: a request's sampling settled with the model's options, and whether the request fits."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from judgebench.backends.chat import Chat
from judgebench.backends.checkpoint import CheckpointOptions
from judgebench.types import Request, TokenLogprob


class Drawing(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decides how tokens are drawn; nothing is left to an engine's own defaults."""

    temperature: float
    """0 is greedy."""
    top_p: float
    """1 is off."""
    top_k: int
    """0 is off."""
    max_tokens: int
    """Most new tokens."""
    stop: tuple[str, ...]
    """Texts that end the reply."""
    seed: int
    """Seed of this request, at most 63 bits."""
    logprobs: int = 0
    """Most probable tokens to note at each token of the reply."""


def settle(
    request: Request, options: CheckpointOptions, defaults: Mapping[str, Any], stop: tuple[str, ...] = ()
) -> Drawing:
    """How this request is drawn.

    The model's options stand over the request's sampling. A temperature of None is the checkpoint's own choice: its
    ``generation_config.json``, temperature, top_p and top_k, and 1 where that says nothing. In all other cases nothing
    of that file is used. A seed of None is made from what is asked, so that the same question, sample by sample, is
    drawn the same way again; seeds of samples follow one another.

    Args:
        request: what is asked.
        options: the model's options.
        defaults: ``generation_config.json`` of the checkpoint.
        stop: stop texts beside the request's.
    """
    sampling = request.sampling
    temperature = sampling.temperature if options.temperature is None else options.temperature
    top_p = sampling.top_p if options.top_p is None else options.top_p
    top_k = 0
    if temperature is None:
        temperature = float(defaults.get("temperature") or 1.0)
        top_p = top_p if top_p is not None else defaults.get("top_p")
        top_k = max(int(defaults.get("top_k") or 0), 0)
    return Drawing(
        temperature=temperature,
        top_p=1.0 if top_p is None or temperature == 0 else float(top_p),
        top_k=0 if temperature == 0 else top_k,
        max_tokens=sampling.max_tokens if options.max_tokens is None else options.max_tokens,
        stop=tuple(text for text in (*sampling.stop, *stop) if text),
        seed=_seed(request) if sampling.seed is None else sampling.seed % (1 << 63),
        logprobs=sampling.logprobs,
    )


def unfit(prompt: Sequence[int], drawing: Drawing, most: int | None, context: int | None) -> str:
    """Why a prompt cannot be answered, as a reply's error; empty where it can.

    Args:
        prompt: its token ids.
        drawing: its ``max_tokens`` must fit too.
        most: longest prompt that the user allows.
        context: positions of the model.
    """
    if not prompt:
        return "empty: the prompt has no tokens, and the tokenizer has no BOS to begin with"
    if most is not None and len(prompt) > most:
        return f"context: the prompt has {len(prompt)} tokens, more than max_input_tokens={most}"
    if context is not None and len(prompt) + drawing.max_tokens > context:
        return f"context: {len(prompt)} prompt tokens and max_tokens={drawing.max_tokens} exceed the model's {context}"
    return ""


def token_logprobs(
    chat: Chat, tokens: Sequence[int], noted: Sequence[tuple[float, Sequence[tuple[int, float]]]]
) -> tuple[TokenLogprob, ...]:
    """The tokens of a reply in words, with what was noted of each; empty where nothing was.

    Args:
        chat: turns a token into its text; special tokens have none.
        tokens: those of the reply, without the one that ended it.
        noted: for each token (and perhaps the one that ended it): its log-probability, and the best tokens' there.
    """
    return tuple(
        TokenLogprob(
            token=chat.tail([token]), logprob=logprob, top=tuple((chat.tail([other]), value) for other, value in best)
        )
        for token, (logprob, best) in zip(tokens, noted, strict=False)
    )


def _seed(request: Request) -> int:
    asked = msgspec.json.encode([request.suite, request.item, request.turn, request.messages])
    return ((int.from_bytes(hashlib.sha256(asked).digest()[:8], "big") >> 1) + request.sample) % (1 << 63)
