"""How a rubric is put to people: which labels may be given, on which dimensions, in which words."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from judgebench.errors import UserError
from judgebench.rubrics import load_rubric
from judgebench.runs import Run
from judgebench.types import Item, Kind, Record

MOST_BUTTONS = 20
"""A scale of whole grades up to this many has a button for each; a longer one has a field."""
NOT_APPLICABLE = "N/A"
"""Label of what cannot be judged here; it is kept apart and in no mean."""
UNIT = (0.0, 1.0)


class Choice(Record, frozen=True, kw_only=True):
    """One label that may be given."""

    code: str
    """What is sent and written into a spreadsheet."""
    scores: tuple[float, ...]
    """What the verdict says, in the order shown."""
    means: str = ""
    """What the annotator reads beside it."""


class Guide(Record, frozen=True, kw_only=True):
    """How a rubric is put to people."""

    rubric: str
    """``name@hash``."""
    mode: Literal["pairwise", "pointwise", "ordinal", "checklist"]
    """How many answers are shown, and on what scale."""
    about: str = ""
    """Where the rubric is from."""
    dimensions: dict[str, str]
    """Dimension → what it asks."""
    choices: tuple[Choice, ...] = ()
    """Labels that may be given, in the order of the keys; empty where any number on the scale may be."""
    scale: tuple[float, float] = (0.0, 1.0)
    """Lowest and highest score."""
    prompt: str = ""
    """What the judges were asked, holes included."""
    kind: Kind | None = None
    """What the scores are; None is what the mode alone says."""
    checklist: str | tuple[str, ...] = ()
    """The questions of a checklist, or the field of an item's meta that lists them."""
    dimensions_from: str = ""
    """Field of an item's meta that lists which of the dimensions are asked there; empty is all of them."""
    from_item: dict[str, str] = msgspec.field(default_factory=dict)
    """What the rubric takes from an item's meta: name → field (dots go into mappings)."""

    def scores_of(self, field: str, code: str) -> tuple[float, ...]:
        """What a label says, on the scale.

        Raises:
            UserError: it is none; names what is allowed.
        """
        found = code.strip()
        for choice in self.choices:
            if (
                found.upper() in (choice.code, choice.means.upper() or None)
                or _number(found) == _number(choice.code) is not None
            ):
                return choice.scores
        value = _number(found)
        if not self.choices and value is not None and self.scale[0] <= value <= self.scale[1]:
            return (value,)
        if self.choices:
            allowed = ", ".join(choice.code for choice in self.choices)
        else:
            allowed = f"a number from {self.scale[0]:g} to {self.scale[1]:g}"
        raise UserError(f"{field}: {'no label' if not found else repr(found) + ' is no label'}; allowed: {allowed}")

    def questions(self, item: Item) -> tuple[str, ...]:
        """The questions of an item's checklist; none where it lists none."""
        if not isinstance(self.checklist, str):
            return self.checklist
        found = item.meta.get(self.checklist) if self.checklist else None
        listed = found.splitlines() if isinstance(found, str) else found if isinstance(found, (list, tuple)) else ()
        return tuple(str(one).strip() for one in listed if str(one).strip())

    def asked(self, item: Item) -> tuple[str, ...]:
        """The dimensions that are judged of an item; none where the item lacks what the rubric takes from it."""
        if self.mode == "checklist" and not self.questions(item):
            return ()
        if not self.dimensions_from:
            return tuple(self.dimensions)
        listed = item.meta.get(self.dimensions_from)
        wanted = {_plain(name) for name in listed} if isinstance(listed, (list, tuple)) else set()
        return tuple(name for name in self.dimensions if _plain(name) in wanted)

    def told(self, item: Item) -> dict[str, str]:
        """What the rubric takes from the item, in words, for those who label."""
        found: dict[str, str] = {}
        for name, field in self.from_item.items():
            value: Any = item.meta
            for part in field.split("."):
                value = value.get(part) if isinstance(value, Mapping) else None
            if value not in (None, "", [], {}):
                found[name.replace("_", " ")] = (
                    value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
                )
        return found


def guide_of(run: Run, rubric: str = "") -> Guide:
    """The form in which a rubric of the run is put to people.

    Args:
        run: whose judges' rubrics are known.
        rubric: bare name, ``name@hash``, a shipped rubric or a file; empty is the run's only one.

    Raises:
        UserError: no such rubric, or several to choose from.
    """
    known: dict[str, dict[str, Any]] = run.manifest["rubrics"]
    fitting = [name for name in known if rubric in ("", name, name.partition("@")[0])]
    if len(fitting) > 1:
        raise UserError(f"--rubric: the run was judged by several; name one: {', '.join(sorted(fitting))}")
    if fitting:
        return _guide(fitting[0], known[fitting[0]])
    if not rubric:
        raise UserError("the run was judged by no rubric; name one to label by with --rubric")
    loaded = load_rubric(rubric)
    return _guide(loaded.id, msgspec.to_builtins(loaded, str_keys=True))


def _guide(name: str, record: Mapping[str, Any]) -> Guide:
    mode = record["mode"]
    choices, scale, kind = _choices(mode, record)
    dimensions = dict(record["dimensions"]) or {"overall": ""}
    checklist = record.get("checklist") or ()
    if mode == "checklist":
        # Both shares are computed of what is said to each question.
        choices, scale = (
            (Choice(code="Y", scores=(1.0,), means="yes"), Choice(code="N", scores=(0.0,), means="no")),
            UNIT,
        )
    return Guide(
        rubric=name, mode=mode, about=record.get("about", ""), dimensions=dimensions, choices=choices, scale=scale,
        prompt=record.get("prompt", ""), kind=kind, dimensions_from=record.get("dimensions_from", ""),
        checklist=checklist if isinstance(checklist, str) else tuple(checklist),
        from_item=dict(record.get("from_item") or {}),
    )  # fmt: skip


def _choices(mode: str, record: Mapping[str, Any]) -> tuple[tuple[Choice, ...], tuple[float, float], Kind]:
    if mode == "pairwise":
        return _preferences(record)
    if mode == "checklist":
        # What is said to each question; both shares are computed of it.
        return (
            (Choice(code="Y", scores=(1.0,), means="yes"), Choice(code="N", scores=(0.0,), means="no")),
            UNIT,
            "grade",
        )
    levels = {int(level): str(means) for level, means in (record.get("levels") or {}).items()}
    none = (Choice(code=NOT_APPLICABLE, scores=(), means="does not apply"),) if record.get("not_applicable") else ()
    if mode == "ordinal":
        best_first = sorted(levels, reverse=True)
        found = [
            Choice(code=chr(ord("A") + place), scores=(float(level),), means=levels[level])
            for place, level in enumerate(best_first)
        ]
        return (*found, *none), (float(best_first[-1]), float(best_first[0])), "grade"
    low, high = (float(end) for end in record.get("scale") or (1, 10))
    share = high - low == 1 and record.get("judge")  # a judge of its own that gives any share of 1
    if low.is_integer() and high.is_integer() and high - low < MOST_BUTTONS and not share:
        whole = range(int(low), int(high) + 1)
        numbers = tuple(Choice(code=str(n), scores=(float(n),), means=levels.get(n, "")) for n in whole)
        return (*numbers, *none), (low, high), "grade"
    return (), (low, high), "grade"


def _preferences(record: Mapping[str, Any]) -> tuple[tuple[Choice, ...], tuple[float, float], Kind]:
    """1 and 2 for the better answer, 3 for a tie; where verdicts say by how much, from the first down to the second."""
    labels = (record.get("verdicts") or {}).values()
    if any(label["margin"] not in (-1, 0, 1) for label in labels):
        ordered = sorted(labels, key=lambda label: -label["margin"])
        scored = [(max(0.0, float(label["margin"])), max(0.0, -float(label["margin"]))) for label in ordered]
        choices = tuple(
            Choice(
                code=str(number),
                scores=scores,
                means=_numbered(label.get("means", "")) or f"margin {label['margin']:g}",
            )
            for number, (label, scores) in enumerate(zip(ordered, scored, strict=True), 1)
        )
        return choices, (0.0, max(map(max, scored))), "grade"
    said = {label["margin"]: _numbered(label.get("means", "")) for label in labels}
    found = [
        Choice(code="1", scores=(1.0, 0.0), means=said.get(1) or "answer 1 is better"),
        Choice(code="2", scores=(0.0, 1.0), means=said.get(-1) or "answer 2 is better"),
    ]
    if 0 in said or (not said and record.get("ties", True)):
        found.append(Choice(code="3", scores=(0.5, 0.5), means=said.get(0) or "they are equally good"))
    return tuple(found), UNIT, "preference"


def _numbered(means: str) -> str:
    """A label's meaning in the words of the page, which numbers the answers."""
    for letter, number in (("A", "1"), ("B", "2")):
        means = re.sub(rf"\b(?:assistant|answer|response|model)\s+(?:{letter}|{number})\b", f"answer {number}", means)
    return means


def _plain(name: object) -> str:
    return " ".join(str(name).replace("_", " ").split()).lower()


def _number(text: str) -> float | None:
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        return None
    return value if math.isfinite(value) else None
