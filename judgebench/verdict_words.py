"""Lists of decisions that verdicts hold in their words, such as a checklist's answers or which facts are supported."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import msgspec

from judgebench.types import Verdict

Whose = tuple[str, str, str, str]
"""(suite, judge, rubric, model)."""


def decisions(verdicts: Iterable[Verdict], opening: str, field: str) -> dict[Whose, list[list[bool | None]]]:
    """Whose → the list of decisions on each of its answers, None being unread; of one verdict given again the last.

    Args:
        verdicts: of any judges; those on pairs, and whose words are others, are passed over.
        opening: the first field of the words' JSON object.
        field: the one that holds the list.

    >>> words = '{"questions": ["Short?"], "answers": [true]}'
    >>> said = Verdict(suite="s", item="1", judge="j", shown=(("m", 0),), reply=words)
    >>> decisions([said], "questions", "answers")
    {('s', 'j', '', 'm'): [[True]]}
    """
    found: dict[Whose, dict[tuple[Any, ...], list[bool | None]]] = defaultdict(dict)
    for verdict in verdicts:
        if len(verdict.shown) != 1 or not verdict.reply.startswith(f'{{"{opening}"'):
            continue
        try:
            said = msgspec.convert(msgspec.json.decode(verdict.reply)[field], list[bool | None])
        except (msgspec.MsgspecError, KeyError):
            continue  # the words of another judge that begin alike
        model, answer = verdict.shown[0]
        found[verdict.suite, verdict.judge, verdict.rubric, model][
            verdict.item, verdict.turn, answer, verdict.sample
        ] = said
    return {whose: list(lists.values()) for whose, lists in sorted(found.items())}
