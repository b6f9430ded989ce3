"""What is exported, and what an export is made of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from judgebench.files import safe_name
from judgebench.types import Answer, Game, Item, Record, Verdict


class Held(Record, frozen=True, kw_only=True):
    """What a run holds, as exports need it."""

    name: str
    """The run's name."""
    created: str
    """When the run was made, as ``2026-01-31T12:00:00Z``."""
    version: str
    """This program's version."""
    models: Mapping[str, Mapping[str, Any]]
    """Name → backend, id and options of each model."""
    suites: Mapping[str, Mapping[str, Any]]
    """Name → the manifest's record of each suite."""
    items: Mapping[tuple[str, str], Item]
    """(suite, id) → item, in file order."""
    answers: tuple[Answer, ...]
    """Every answer."""
    verdicts: tuple[Verdict, ...]
    """The verdicts that stand."""
    games: tuple[Game, ...] = ()
    """What they make under the run's swap policy, the overall of several dimensions included."""
    summary: Mapping[str, Any] | None = None
    """summary.json, decoded; None where the run was never rated."""
    baseline: str = ""
    """Model that the others are compared with, where a form needs one; empty leaves it to the form."""


class Exported:
    """Files of another tool, before they are written.

    Attributes:
        files: path below the export's folder → content.
    """

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self._left_out: dict[str, int] = {}
        self._notes: dict[str, None] = {}

    def add(self, path: str, content: str) -> None:
        """Adds a file; one without content is none."""
        if content:
            self.files[path] = content

    def leave_out(self, reason: str, count: int = 1) -> None:
        """Counts what the form cannot hold, by reason."""
        self._left_out[reason] = self._left_out.get(reason, 0) + count

    def note(self, text: str) -> None:
        """Keeps what a user should know, once."""
        self._notes[text] = None

    @property
    def notes(self) -> list[str]:
        """What was left out and what is written otherwise than the run holds it."""
        return [f"{count:,} left out: {reason}" for reason, count in self._left_out.items() if count] + [*self._notes]


def group_name(judge: str, rubric: str, dimension: str) -> str:
    """The verdicts of one judge by one rubric along one dimension, as one file name."""
    return "+".join(safe_name(part) for part in (judge, rubric, dimension) if part)


def lines(rows: Iterable[Mapping[str, Any]]) -> str:
    """JSON Lines; NaN is written bare, as Python tools write and read it."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def document(value: Any) -> str:
    """One JSON document, indented."""
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


def whole_answers(held: Held, out: Exported) -> dict[tuple[str, str], dict[tuple[str, int], Answer]]:
    """(suite, item) → (model, sample) → answer that has every turn; others are counted as left out."""
    found: dict[tuple[str, str], dict[tuple[str, int], Answer]] = {}
    for answer in held.answers:
        item = held.items.get((answer.suite, answer.item))
        if item is None:
            out.leave_out("answers to questions that the run does not hold")
        elif answer.error or len(answer.turns) < len(item.turns):
            out.leave_out("answers that failed or miss a turn")
        else:
            found.setdefault((answer.suite, answer.item), {})[answer.model, answer.sample] = answer
    return found


def one_of_each(groups: Iterable[Iterable[Verdict]], out: Exported) -> None:
    """Notes a judge of several dimensions or rubrics, where a form has no place for either."""
    kinds: dict[str, set[tuple[str, str]]] = {}
    for verdict in (each for group in groups for each in group):
        kinds.setdefault(verdict.judge, set()).add((verdict.rubric, verdict.dimension))
    for judge, found in kinds.items():
        if len(found) > 1:
            out.note(
                f"{judge} judged along {len(found)} dimensions or by as many rubrics, a file for each: these files do "
                "not say which, so import one of them at a time, each into a run of its own"
            )
