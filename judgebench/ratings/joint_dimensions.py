"""Hierarchical ratings of games: a value for every model and dimension, and for the mean of the dimensions."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from judgebench.errors import UserError
from judgebench.ratings.dimensions import OVERALL, Family
from judgebench.ratings.hierarchy import Contrast, DimensionFit, fit
from judgebench.ratings.pools import question
from judgebench.types import Game, Rating

METHOD = "hierarchical"
"""Name of the ratings."""


def families(games: Sequence[Game]) -> dict[Family, DimensionFit | str]:
    """(suite, judge, rubric) → its hierarchical fit, or why there is none; only those with several dimensions.

    A dimension that is called ``overall`` is left out: the composite of the others has that name.
    """
    held: dict[Family, dict[str, list[Game]]] = defaultdict(lambda: defaultdict(list))
    for game in games:
        if game.dimension != OVERALL:
            held[game.suite, game.judge, game.rubric][game.dimension].append(game)
    found: dict[Family, DimensionFit | str] = {}
    for family, by_dimension in sorted(held.items()):
        if len(by_dimension) > 1:
            battles = {
                name: [(game.left, game.right, game.score) for game in own] for name, own in by_dimension.items()
            }
            questions = {name: [question(game) for game in own] for name, own in by_dimension.items()}
            try:
                found[family] = fit(battles, questions)
            except UserError as error:
                found[family] = str(error)
    return found


def ratings_of(games: Sequence[Game], fits: Mapping[Family, DimensionFit | str]) -> list[Rating]:
    """Ratings of every model in every dimension of every family, and in ``overall``: the composite of equal weights.

    Where there is no fit every model is undefined, and the note says why.
    """
    ratings = []
    for family, found in fits.items():
        seen: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
        for game in games:
            if (game.suite, game.judge, game.rubric) == family and game.dimension != OVERALL:
                for place in itertools.product((game.dimension, OVERALL), (game.left, game.right)):
                    seen[place].append(question(game))
        dimensions = sorted({dimension for dimension, _ in seen} - {OVERALL})
        models = sorted({model for _, model in seen})
        composite = {} if isinstance(found, str) else found.composite(dict.fromkeys(dimensions, 1 / len(dimensions)))
        for dimension in (*dimensions, OVERALL):
            note = found if isinstance(found, str) else found.note
            if dimension == OVERALL:
                note = "; ".join(part for part in (f"equal weights of {', '.join(dimensions)}", note) if part)
            for model in models:
                met = seen[dimension, model]
                if isinstance(found, str):
                    made = None
                else:
                    made = composite[model] if dimension == OVERALL else _along(found, dimension, model)
                ratings.append(
                    Rating(
                        model=model,
                        dimension=dimension,
                        method=METHOD,
                        value=made.value if made else None,
                        low=made.low if made else None,
                        high=made.high if made else None,
                        n=len(met),
                        clusters=len(set(met)),
                        suite=family[0],
                        judge=family[1],
                        rubric=family[2],
                        note=note,
                    )
                )
    return ratings


def described(fits: Mapping[Family, DimensionFit | str]) -> list[dict[str, Any]]:
    """A row for each family: its note, and for every two dimensions the correlation and each model's difference.

    ``differs`` is whether the interval of the difference leaves out 0; ``r`` is None where Σ was not estimated.
    """
    rows = []
    for (suite, judge, rubric), found in fits.items():
        row: dict[str, Any] = {"suite": suite, "judge": judge, "rubric": rubric, "note": found, "pairs": []}
        if not isinstance(found, str):
            row["note"] = found.note
            correlations = {(each.one, each.other): each for each in found.correlations}
            for one, other in itertools.combinations(found.dimensions, 2):
                known = correlations.get((one, other))
                models = []
                for model in found.models:
                    gap = found.difference(model, one, other)
                    differs = gap.low is not None and gap.high is not None and not gap.low <= 0 <= gap.high
                    models.append(
                        {"model": model, "value": gap.value, "low": gap.low, "high": gap.high, "differs": differs}
                    )
                row["pairs"].append(
                    {
                        "one": one, "other": other, "models": models, "r": known.r if known else None,
                        "low": known.low if known else None, "high": known.high if known else None,
                    }
                )  # fmt: skip
        rows.append(row)
    return rows


def doubts(fits: Mapping[Family, DimensionFit | str]) -> list[str]:
    """A line for every two dimensions that a judge does not tell apart."""
    return [
        f"{judge} by {rubric} on {suite}: {each.statement}"
        for (suite, judge, rubric), found in fits.items()
        if not isinstance(found, str)
        for each in found.correlations
        if each.statement
    ]


def _along(found: DimensionFit, dimension: str, model: str) -> Contrast:
    """The Elo of a model in a dimension."""
    low = found.low[dimension][model] if found.low else None
    high = found.high[dimension][model] if found.high else None
    return Contrast(value=found.elo[dimension][model], se=None, low=low, high=high)
