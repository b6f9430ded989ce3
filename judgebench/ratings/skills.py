"""Grades by skill, difficulty and domain (FLASK, Ye et al. 2024): means of what applies, clustered by question."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any

from judgebench.errors import UserError
from judgebench.ratings.grades import mean_grade
from judgebench.types import Item, Record, Verdict

EVERY = ("skill", "difficulty", "domain")
"""What grades can be broken down by."""


class SkillMean(Record, frozen=True, kw_only=True):
    """The mean grade of one cell."""

    model: str
    """Whose answers."""
    skill: str
    """What was graded; empty for all."""
    difficulty: str
    """How difficult the questions are; empty for all."""
    domain: str
    """What they are about; empty for all."""
    mean: float | None
    """Mean grade on the raw scale; None without any."""
    low: float | None
    """Lower end of the 95 % interval, clustered by question."""
    high: float | None
    """Upper end."""
    n: int
    """Grades that entered."""
    clusters: int
    """Questions that entered."""
    not_applicable: int
    """Grades that are N/A or unread: in no mean."""


def breakdown(
    rows: Iterable[Mapping[str, Any]], by: Sequence[str] = ("skill",), scale: tuple[float, float] = (1, 5)
) -> list[SkillMean]:
    """Mean grades of each model in each cell of ``by``, sorted.

    Args:
        rows: each with ``skill``, ``score`` (a number; None or a text such as "N/A" applies not), and where used
            ``model``, ``item``, ``difficulty`` and ``domain`` (a text, or several: the grade then counts in each).
        by: any of skill, difficulty and domain; empty gives one mean a model.
        scale: lowest and highest grade.

    >>> rows = [{"skill": "Factuality", "score": 4}, {"skill": "factuality", "score": "N/A"}]
    >>> [(cell.skill, cell.mean, cell.not_applicable) for cell in breakdown(rows)]
    [('factuality', 4.0, 1)]

    Raises:
        UserError: something else in ``by``.
    """
    unknown = set(by) - set(EVERY)
    if unknown:
        raise UserError(f"grades are broken down by {', '.join(EVERY)}, not by {sorted(unknown)[0]!r}")
    cells: dict[tuple[str, ...], list[tuple[float | None, str]]] = defaultdict(list)
    for number, row in enumerate(rows):
        score = row.get("score")
        value = float(score) if isinstance(score, (int, float)) and not isinstance(score, bool) else None
        item = str(row.get("item", number))
        for place in _places(row, by):
            cells[str(row.get("model", "")), *place].append((value, item))
    found = []
    for (model, skill, difficulty, domain), grades in sorted(cells.items()):
        read = [(value, item) for value, item in grades if value is not None]
        estimate = mean_grade([value for value, _ in read], [item for _, item in read], scale)
        found.append(
            SkillMean(
                model=model, skill=skill, difficulty=difficulty, domain=domain, mean=estimate.value, low=estimate.low,
                high=estimate.high, n=len(read), clusters=estimate.clusters, not_applicable=len(grades) - len(read),
            )
        )  # fmt: skip
    return found


def items_of(
    verdicts: Iterable[Verdict], items: Mapping[tuple[str, str], Item], by: Sequence[str]
) -> dict[tuple[str, ...], tuple[list[tuple[str, str]], list[tuple[str, str]]]]:
    """(model, skill, difficulty, domain) of each cell of `breakdown` → the items whose grades entered, and did not.

    Items are (suite, id), once for each grade; what ``by`` does not name is empty.

    Args:
        verdicts: pointwise ones; those on items that are not given are left out.
        items: (suite, id) → item.
        by: any of skill, difficulty and domain.
    """
    found: dict[tuple[str, ...], tuple[list[tuple[str, str]], list[tuple[str, str]]]] = defaultdict(lambda: ([], []))
    for verdict in verdicts:
        if (verdict.suite, verdict.item) in items:
            for row in rows_of([verdict], items):
                for place in _places(row, by):
                    found[row["model"], *place][row["score"] is None].append((verdict.suite, verdict.item))
    return dict(found)


def rows_of(verdicts: Iterable[Verdict], items: Mapping[tuple[str, str], Item]) -> list[dict[str, Any]]:
    """The rows that `breakdown` takes, of pointwise verdicts and the items they are on, by (suite, id)."""
    rows = []
    for verdict in {verdict.key: verdict for verdict in verdicts if len(verdict.shown) == 1}.values():
        meta = items[verdict.suite, verdict.item].meta
        rows.append(
            {
                "model": verdict.shown[0][0], "item": f"{verdict.suite}/{verdict.item}", "skill": verdict.dimension,
                "difficulty": meta.get("difficulty", ""), "domain": meta.get("domain", ""),
                "score": verdict.scores[0] if verdict.scores else None,
            }
        )  # fmt: skip
    return rows


def skill_name(text: str) -> str:
    """A skill as breakdowns call it.

    >>> skill_name("Logical_Robustness")
    'logical robustness'
    """
    return " ".join(text.replace("_", " ").split()).lower()


def _places(row: Mapping[str, Any], by: Sequence[str]) -> list[tuple[str, ...]]:
    """(skill, difficulty, domain) of every cell that a row counts in."""
    return list(product(*(_names(row.get(name), name) if name in by else [""] for name in EVERY)))


def _names(found: Any, name: str) -> list[str]:
    listed = list(found) if isinstance(found, (list, tuple)) else [found]
    texts = ["" if one is None else str(one).strip() for one in listed] or [""]
    return [skill_name(text) if name == "skill" else text for text in texts]
