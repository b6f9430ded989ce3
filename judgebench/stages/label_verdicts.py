"""What a person says of a task as verdicts, and verdicts as what was said: labels, skips, marks of checklists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from judgebench.errors import UserError
from judgebench.judges.checklist import ALL_MET
from judgebench.judges.matchups import digest
from judgebench.stages.label_guides import NOT_APPLICABLE, Guide
from judgebench.stages.label_samples import SKIPPED
from judgebench.stages.labelling import Plan, Task
from judgebench.types import Answer, Item, Verdict

UNDONE = "undone by the annotator"
SKIP_REASONS = ("cannot tell", "beyond my knowledge", "broken or empty answer", "should not be shown")
"""Reasons that the page offers; any other text may be given."""
MOST_REASON = 500
"""Characters of a reason."""
DOES_NOT_APPLY = "not applicable: the annotator says so"
"""Error of a verdict whose label is ``N/A``."""


class Asked(NamedTuple):
    """A task with what it shows."""

    plan: Plan
    """Whose it is."""
    task: Task
    """What is asked."""
    item: Item
    """The question."""
    answers: Sequence[Answer]
    """In the order shown."""


class _Marks(msgspec.Struct, frozen=True):
    """What a checklist's verdict keeps in its words, as those of judges do."""

    questions: list[str]
    answers: list[bool]
    replies: list[str] = []


def reason_of(text: str) -> str:
    """A reason for a skip as it is kept: words with single spaces.

    Raises:
        UserError: it is empty, or longer than `MOST_REASON`.
    """
    reason = " ".join(text.split())
    if not reason:
        raise UserError("a skipped task needs a reason")
    if len(reason) > MOST_REASON:
        raise UserError(f"a reason has at most {MOST_REASON} characters, this one has {len(reason)}")
    return reason


def fields_of(guide: Guide, task: Task, item: Item) -> dict[str, str]:
    """What a task has to be given a label for → what it asks: its dimensions, or the questions of its checklist."""
    if guide.mode == "checklist":
        return {f"question {place}": text for place, text in enumerate(guide.questions(item), 1)}
    return {name: guide.dimensions.get(name, "") for name in task.dimensions}


def code_of(guide: Guide, verdict: Verdict) -> str:
    """The label that a verdict came from; empty where it came from none."""
    if verdict.error:
        return NOT_APPLICABLE if verdict.error == DOES_NOT_APPLY else ""
    for choice in guide.choices:
        if choice.scores == verdict.scores:
            return choice.code
    return f"{verdict.scores[0]:g}" if verdict.scores else ""


def marks_of(guide: Guide, verdicts: Mapping[str, Verdict]) -> dict[str, str]:
    """Field → label of a checklist, as the words of its verdicts keep them; empty where there are none."""
    verdict = next(iter(verdicts.values()), None)
    if guide.mode != "checklist" or verdict is None or not verdict.scores:
        return {}
    yes, no = (choice.code for choice in guide.choices)
    try:
        marks = msgspec.json.decode(verdict.reply, type=_Marks).answers
    except msgspec.MsgspecError:
        return {}
    return {f"question {place}": yes if mark else no for place, mark in enumerate(marks, 1)}


def labelled(asked: Asked, labels: Mapping[str, str]) -> list[Verdict]:
    """A verdict on each dimension of a task.

    Args:
        asked: the task.
        labels: field → code, or a number on the scale.

    Raises:
        UserError: a field has no label, or one that is none.
    """
    guide, task = asked.plan.guide, asked.task
    fields = fields_of(guide, task, asked.item)
    scores = {field: guide.scores_of(field, labels.get(field, "")) for field in fields}
    if guide.mode != "checklist":
        return [
            _verdict(asked, name, scores=found, error="" if found else DOES_NOT_APPLY) for name, found in scores.items()
        ]
    marks = [bool(found[0]) for found in scores.values()]
    reply = msgspec.json.encode(_Marks(questions=list(fields.values()), answers=marks)).decode()
    return [
        _verdict(asked, name, scores=(float(all(marks)) if name == ALL_MET else sum(marks) / len(marks),), reply=reply)
        for name in task.dimensions
    ]


def skipped(asked: Asked, reason: str) -> list[Verdict]:
    """The same of a task that is skipped.

    Raises:
        UserError: as `reason_of`.
    """
    why = SKIPPED + reason_of(reason)
    return [_verdict(asked, name, error=why) for name in asked.task.dimensions]


def undone(asked: Asked) -> list[Verdict]:
    """The same of a task whose label or skip is taken back."""
    return [_verdict(asked, name, error=UNDONE) for name in asked.task.dimensions]


def _verdict(
    asked: Asked, dimension: str, *, scores: tuple[float, ...] = (), error: str = "", reply: str = ""
) -> Verdict:
    guide, task = asked.plan.guide, asked.task
    return Verdict(
        suite=task.suite, item=task.item, turn=task.turn, judge=asked.plan.annotator, dimension=dimension,
        shown=task.shown, kind=guide.kind or ("preference" if guide.mode == "pairwise" else "grade"),
        scores=scores, scale=guide.scale, error=error, reply=reply, seen=digest(asked.answers, task.turn),
    )  # fmt: skip
