"""What a number was counted over, as plain data: what `judgebench.report.behind` finds the items of."""

from __future__ import annotations

from typing import Literal

from judgebench.types import Record

Place = tuple[str, str]
"""(suite, item)."""
KINDS = {
    "answers": "answers",
    "exact": "exact scores",
    "verdicts": "verdicts",
    "games": "games",
    "orders": "pairs judged in both orders",
    "readings": "answers that the two rules do not read alike",
    "skills": "grades",
    "labelled": "judged by people or gold labels too",
    "listed": "",
}
"""What is counted → how it is said."""


class Where(Record, frozen=True, kw_only=True):
    """What a number was counted over; empty fields do not narrow it."""

    of: Literal["answers", "exact", "verdicts", "games", "orders", "readings", "skills", "labelled", "listed"]
    """Kind of record that was counted; ``listed`` names its items."""
    what: str = ""
    """Which of them, see the methods of `Behind`; empty is all."""
    suite: str = ""
    """Name of the suite."""
    model: str = ""
    """Name of the model; of a game the left one."""
    other: str = ""
    """Name of the right model of a game."""
    judge: str = ""
    """Name of the judge, or ``exact@SCORER``."""
    rubric: str = ""
    """``name@hash``."""
    dimension: str = ""
    """What was judged."""
    category: str = ""
    """Category of the items."""
    cell: tuple[tuple[str, str], ...] = ()
    """What grades are broken down by (skill, difficulty, domain; level) → its value; "" is one not said."""
    grades: tuple[float, ...] = ()
    """Of verdicts that are ``given``, which grades; of those ``between``, which not."""
    people: tuple[str, ...] = ()
    """Whose labels, of ``labelled``: names of judges, ``human``, ``gold``; empty is both of these."""
    places: tuple[Place, ...] = ()
    """The items of ``listed``."""

    @property
    def title(self) -> str:
        """In words, for the head of the list."""
        who = f"{self.model} against {self.other}" if self.other else self.model
        head = f"{KINDS[self.of]}, {self.what}" if KINDS[self.of] and self.what else KINDS[self.of] or self.what
        cell = ", ".join(f"{name} {value or 'not said'}" for name, value in self.cell)
        parts = [head, who, self.category, cell, self.suite, self.dimension, self.judge, self.rubric]
        return " · ".join(part for part in parts if part)
