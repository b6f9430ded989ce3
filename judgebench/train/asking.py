"""Prompt files of data stages, and their requests put to a model in bulk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from judgebench.errors import FileError, Unreadable, UserError
from judgebench.files import read_yaml
from judgebench.judges.fences import fence
from judgebench.prompts import fill, holes, unknown_hole
from judgebench.stages.seeds import draw_seed
from judgebench.thinking import strip_thinking
from judgebench.types import Backend, Message, Reply, Request, Sampling

SHIPPED = Path(__file__).parent / "prompts"


class Prompts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The prompts of one data stage."""

    name: str
    """Its name."""
    version: str
    """Of the wording."""
    about: str
    """What it does, and its source."""
    steps: dict[str, str]
    """Step → prompt with holes."""
    kinds: dict[str, str] = {}
    """Kind of change → how it is asked for."""
    excluded: list[str] = []
    """Words that no new instruction may hold."""


def read_prompts(name: str, wanted: Mapping[str, frozenset[str]], file: str | None = None) -> Prompts:
    """The prompts of a stage, its own or those of a file of the user's.

    Args:
        name: of the shipped file.
        wanted: step → holes that are filled.
        file: another file.

    Raises:
        FileError: a step or hole that is missing or unknown.
    """
    path = Path(file) if file else SHIPPED / f"{name}.yaml"
    read = read_yaml(path, Prompts)
    if set(read.steps) != set(wanted):
        raise FileError(path, f"has the steps {', '.join(read.steps)}; meant are {', '.join(wanted)}", key="steps")
    for step, allowed in wanted.items():
        for hole, _ in holes(read.steps[step]):
            if hole not in allowed:
                raise FileError(path, unknown_hole(hole, allowed), key=f"steps.{step}")
    return read


def filled(prompts: Prompts, step: str, **values: str) -> list[Message]:
    """The chat of one step, its fence in none of the values."""
    mark = fence(values.values(), (prompts.name, step))
    return [Message(role="user", content=fill(prompts.steps[step], {**values, "fence": mark}))]


def spoken(reply: Reply) -> str:
    """The text of a reply without its reasoning; empty where that never ended."""
    try:
        return strip_thinking(reply.text).strip()
    except Unreadable:
        return ""


def teachable(reply: Reply) -> tuple[str, str]:
    """The answer that a reply holds, and why it is not to be taught: it is none, or was cut off; empty where it is.

    >>> teachable(Reply(text="<think>Hm.</think> Blue.")), teachable(Reply(text="Blu", finish="length"))
    (('Blue.', ''), ('Blu', 'cut off at the token limit'))
    >>> teachable(Reply(text="<think>Hm.", finish="length"))
    ('', 'none')
    """
    text = "" if reply.error else spoken(reply)
    return text, "none" if not text else "cut off at the token limit" if reply.finish == "length" else ""


def asked(
    backend: Backend, chats: Sequence[Sequence[Message]], sampling: Sampling, seed: int, *where: object
) -> list[Reply]:
    """The reply to each chat, in order.

    Args:
        backend: whom to ask.
        chats: what.
        sampling: how to draw; each chat has a seed of its own where it is not greedy.
        seed: of the seeds.
        where: what else they depend on.

    Raises:
        UserError: every call failed.
    """
    requests = []
    for number, chat in enumerate(chats):
        own = sampling
        if sampling.temperature != 0:
            own = msgspec.structs.replace(sampling, seed=draw_seed(seed, *where, number))
        requests.append(Request(id=str(number), messages=tuple(chat), sampling=own))
    found = {request.id: reply for request, reply in backend.generate(requests)} if requests else {}
    replies = [found[str(number)] for number in range(len(chats))]
    if replies and all(reply.error for reply in replies):
        raise UserError(f"every call failed: {' '.join(replies[0].error.split())[:200]}")
    return replies
