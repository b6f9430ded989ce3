"""Person fit over the verdicts of a run: whose scores over the items fit nobody else's. No model is asked."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Hashable, Mapping
from typing import Any

import msgspec

from judgebench.errors import UserError
from judgebench.ratings.person_fit import FLAG_BELOW, duplicate_rate, permutation_test, person_fit
from judgebench.report.visible import visible
from judgebench.runs import Run
from judgebench.stages.games import games_of, standing

MOST_FOR_PERMUTATION = 500
"""Items of a model, the first in file order, whose answers the permutation test deals out anew."""

Place = tuple[str, str, str]
"""(judge, rubric, dimension)."""


def show(run: Run, *, as_json: bool) -> int:
    """Prints the fit of every model and keeps it in person-fit.json of the run.

    Returns:
        0: a flag is a reason to look, not a verdict.

    Raises:
        UserError: the run holds no scored verdict.
    """
    found = fits(run)
    run.write("person-fit.json", msgspec.json.format(msgspec.json.encode(found), indent=1))
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(found), indent=1).decode() + "\n")
    else:
        sys.stdout.write(visible(_table(found)))
    return 0


def fits(run: Run) -> dict[str, Any]:
    """A group for each (judge, rubric, dimension) with a row for each model, and a row on each model's answers.

    A model's score on an item is its share of the point against one opponent, its grade, or its exact score. Scores
    against different opponents are compared apart: where all meet one baseline, that baseline has nobody to compare
    with, and is left out.

    Raises:
        UserError: the run holds no scored verdict.
    """
    scores: dict[Place, dict[str, dict[tuple[str, ...], list[float]]]] = defaultdict(lambda: defaultdict(_empty))
    verdicts = standing(run, run.verdicts().values())[0]
    for game in games_of(run, verdicts)[0]:
        place = game.judge, game.rubric, game.dimension
        scores[place][game.left][game.suite, game.item, game.right].append(game.score)
        scores[place][game.right][game.suite, game.item, game.left].append(1 - game.score)
    for verdict in verdicts:
        place = verdict.judge, verdict.rubric, verdict.dimension
        names = {name for name, _ in verdict.shown}
        if len(verdict.shown) == 1 and verdict.scores:
            scores[place][verdict.shown[0][0]][verdict.suite, verdict.item, ""].append(verdict.scores[0])
        elif len(names) == 1 and verdict.scores:  # against itself: what it is worth shows in no game
            scores[place][next(iter(names))][verdict.suite, verdict.item, ""].append(0.5)
    if not scores:
        raise UserError(f"{run.path} holds no scored verdict")
    groups = []
    for (judge, rubric, dimension), by_model in sorted(scores.items()):
        means: dict[str, dict[Hashable, float]] = {
            model: {item: sum(values) / len(values) for item, values in own.items()} for model, own in by_model.items()
        }
        rows = person_fit(means)
        groups.append({"judge": judge, "rubric": rubric, "dimension": dimension, "models": msgspec.to_builtins(rows)})
    return {"run": run.name, "flag_below": FLAG_BELOW, "groups": groups, "answers": _answers(run)}


def _empty() -> dict[tuple[str, ...], list[float]]:
    return defaultdict(list)


def _answers(run: Run) -> list[dict[str, Any]]:
    """Duplicates, and whether answers belong to their questions, for each suite and model."""
    rows = []
    texts: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    items = {suite: run.items(suite) for suite in run.manifest["suites"]}
    for answer in run.answers().values():
        item = items.get(answer.suite, {}).get(answer.item)
        if item is not None and answer.turns and not answer.sample:
            texts[answer.suite, answer.model].append(((item.question or item.turns)[0], answer.turns[0]))
    for (suite, model), pairs in sorted(texts.items()):
        tested = pairs[:MOST_FOR_PERMUTATION]
        test = permutation_test([asked for asked, _ in tested], [said for _, said in tested])
        rows.append(
            {
                "suite": suite, "model": model, "answers": len(pairs),
                "duplicates": duplicate_rate([said for _, said in pairs]),
                "permutation": None if test is None else msgspec.to_builtins(test),
            }
        )  # fmt: skip
    return rows


def _table(found: Mapping[str, Any]) -> str:
    """Lines of at most 80 columns, long names apart."""
    lines = []
    for group in found["groups"]:
        by = f" by {group['rubric']}" if group["rubric"] else ""
        lines += [f"{group['judge']}{by}, {group['dimension']}: person fit",
                  f"  {'model':<31}{'mean':>8}{'items':>7}{'Spearman':>10}{'robust z':>10}"]  # fmt: skip
        for row in group["models"]:
            mark = "  flagged" if row["flagged"] else ""
            numbers = f"{_number(row['mean'])}{row['items']:>7}{_number(row['correlation'], 10)}"
            lines.append(f"  {_named(row['model'])}{numbers}{_number(row['robust_z'], 10, 2)}{mark}")
        for note in dict.fromkeys(row["note"] for row in group["models"] if row["note"]):
            lines.append(f"  {', '.join(row['model'] for row in group['models'] if row['note'] == note)}: {note}")
        lines.append("")
    if found["answers"]:
        lines += ["answers: duplicates, and whether they fit their questions (permutation test)",
                  f"  {'model':<31}{'answers':>8}{'dupl.':>8}{'own':>8}{'dealt':>8}{'p':>8}"]  # fmt: skip
    for row in found["answers"]:
        test = row["permutation"] or {"observed": None, "shuffled": None, "p_value": None}
        numbers = "".join(_number(test[name]) for name in ("observed", "shuffled", "p_value"))
        lines.append(f"  {_named(row['model'])}{row['answers']:>8}{_number(row['duplicates'])}{numbers}")
    return "\n".join(lines) + "\n"


def _named(model: str) -> str:
    """A name as the table's first column; a longer one on a line of its own."""
    return f"{model:<31}" if len(model) < 31 else f"{model}\n  {'':<31}"


def _number(value: float | None, width: int = 8, digits: int = 3) -> str:
    return f"{'-':>{width}}" if value is None else f"{value:>{width}.{digits}f}"
