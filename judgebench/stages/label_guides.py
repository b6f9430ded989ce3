"""How a rubric is put to people: which labels may be given, on which dimensions, in which words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from judgebench.errors import UserError
from judgebench.rubrics import load_rubric
from judgebench.runs import Run
from judgebench.types import Record

MOST_BUTTONS = 20
"""A scale of whole grades up to this many has a button for each; a longer one has a field."""


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
    mode: Literal["pairwise", "pointwise", "ordinal"]
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


def guide_of(run: Run, rubric: str = "") -> Guide:
    """The form in which a rubric of the run is put to people.

    Args:
        run: whose judges' rubrics are known.
        rubric: bare name, ``name@hash``, a shipped rubric or a file; empty is the run's only one.

    Raises:
        UserError: no such rubric, several to choose from, or a checklist.
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
    if mode not in ("pairwise", "pointwise", "ordinal"):
        raise UserError(f"rubric {name}: people label pairs and grades; a {mode} is not asked of them")
    choices, scale = _choices(mode, record)
    dimensions = dict(record["dimensions"]) or {"overall": ""}
    return Guide(
        rubric=name, mode=mode, about=record.get("about", ""), dimensions=dimensions, choices=choices, scale=scale,
        prompt=record.get("prompt", ""),
    )  # fmt: skip


def _choices(mode: str, record: Mapping[str, Any]) -> tuple[tuple[Choice, ...], tuple[float, float]]:
    if mode == "pairwise":
        found = [
            Choice(code="1", scores=(1.0, 0.0), means="answer 1 is better"),
            Choice(code="2", scores=(0.0, 1.0), means="answer 2 is better"),
        ]
        margins = [label["margin"] for label in (record.get("verdicts") or {}).values()]
        if 0 in margins or (not margins and record.get("ties", True)):
            found.append(Choice(code="3", scores=(0.5, 0.5), means="they are equally good"))
        return tuple(found), (0.0, 1.0)
    levels = {int(level): str(means) for level, means in (record.get("levels") or {}).items()}
    if mode == "ordinal":
        best_first = sorted(levels, reverse=True)
        found = [
            Choice(code=chr(ord("A") + place), scores=(float(level),), means=levels[level])
            for place, level in enumerate(best_first)
        ]
        return tuple(found), (float(best_first[-1]), float(best_first[0]))
    low, high = (float(end) for end in record.get("scale") or (1, 10))
    if low.is_integer() and high.is_integer() and high - low < MOST_BUTTONS:
        whole = range(int(low), int(high) + 1)
        return tuple(Choice(code=str(n), scores=(float(n),), means=levels.get(n, "")) for n in whole), (low, high)
    return (), (low, high)
