"""Prompts and replies as tokens, with what is learned told from what is not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

IGNORED = -100
"""The label of a token that is not learned."""


def with_reply(tokenizer: Any, prompt: Any, reply: str) -> tuple[list[int], int]:
    """Tokens of a prompt with its reply and end, and how many of them are the prompt's.

    Args:
        tokenizer: the model's; its template is used where the prompt is messages.
        prompt: a text, or messages.
        reply: a text.
    """
    if isinstance(prompt, str):
        end = tokenizer.eos_token or ""
        before = tokenizer(prompt)["input_ids"]
        whole = tokenizer(prompt + reply + ("" if end and reply.endswith(end) else end))["input_ids"]
    else:
        before = _rendered(tokenizer, prompt, generation=True)
        whole = _rendered(tokenizer, [*prompt, {"role": "assistant", "content": reply}], generation=False)
    return whole, _shared(before, whole)


def pair_tokens(tokenizer: Any, prompt: str, chosen: str, rejected: str, *, rendered: bool) -> dict[str, list[int]]:
    """A pair as TRL's older trainers batch it, its prompt the very tokens with which the model is asked.

    Their own tokenising puts BOS before and EOS behind whatever a chat template has printed. Here a template's text
    stands as it is, and a plain one has what the tokenizer gives it, and the end.

    Args:
        tokenizer: the model's.
        prompt: a text.
        chosen: what follows it, the better.
        rejected: the worse.
        rendered: the texts are a chat template's.

    Returns:
        ``prompt_``, ``chosen_`` and ``rejected_`` ``input_ids`` and ``attention_mask``; the last two hold the prompt,
        too, and have ``labels``, `IGNORED` over it.
    """
    made: dict[str, list[int]] = {}
    starts = []
    for side, reply in (("chosen", chosen), ("rejected", rejected)):
        if rendered:
            before = tokenizer(prompt, add_special_tokens=False)["input_ids"]
            whole = list(tokenizer(prompt + reply, add_special_tokens=False)["input_ids"])
            start = _shared(before, whole)
        else:
            whole, start = with_reply(tokenizer, prompt, reply)
        starts.append(start)
        made[f"{side}_input_ids"] = whole
        made[f"{side}_attention_mask"] = [1] * len(whole)
        made[f"{side}_labels"] = [IGNORED] * start + whole[start:]
    made["prompt_input_ids"] = made["chosen_input_ids"][: min(starts)]
    made["prompt_attention_mask"] = [1] * min(starts)
    return made


def replies_labelled(tokenizer: Any, messages: Sequence[dict[str, str]]) -> tuple[list[int], list[int]]:
    """Token ids of a chat, and labels in which only the assistant's replies are learned.

    A reply is what its chat has more than the chat before it and the beginning of a reply, as the template prints it;
    no generation marks are needed. It holds for templates that print a chat's beginning alike whatever follows.

    Raises:
        ValueError: the template prints an earlier message in another way once others follow.
    """
    ids: list[int] = []
    labels: list[int] = []
    for place, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        before = _rendered(tokenizer, messages[:place], generation=True)
        whole = _rendered(tokenizer, messages[: place + 1], generation=False)
        start = _shared(before, whole)
        if _shared(ids, whole) < len(ids) or start < len(ids):
            raise ValueError("the chat template prints a message in another way once others follow")
        labels += [IGNORED] * (start - len(ids)) + whole[start:]
        ids = whole
    return ids, labels


def parts_labelled(tokenizer: Any, parts: Sequence[tuple[str, bool]]) -> tuple[list[int], list[int]]:
    """Token ids of texts put together, and labels in which only the marked parts and the end are learned.

    Args:
        tokenizer: the model's.
        parts: (text, whether it is learned), in order.
    """
    ids: list[int] = list(tokenizer("")["input_ids"])
    if ids and ids[-1] == tokenizer.eos_token_id:
        ids.pop()
    labels = [IGNORED] * len(ids)
    for text, learned in parts:
        tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
        ids += tokens
        labels += tokens if learned else [IGNORED] * len(tokens)
    if tokenizer.eos_token_id is not None:
        ids.append(tokenizer.eos_token_id)
        labels.append(tokenizer.eos_token_id)
    return ids, labels


def _rendered(tokenizer: Any, messages: Sequence[dict[str, str]], *, generation: bool) -> list[int]:
    text = tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=generation)
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _shared(first: Sequence[int], second: Sequence[int]) -> int:
    """Tokens that two lists have in common at their beginning."""
    return next((place for place, (a, b) in enumerate(zip(first, second, strict=False)) if a != b),
                min(len(first), len(second)))  # fmt: skip
