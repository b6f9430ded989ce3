"""Hierarchical ratings of games: a value for every model and dimension, and for the mean of the dimensions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

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
        own = [game for game in games if (game.suite, game.judge, game.rubric) == family and game.dimension != OVERALL]
        dimensions = sorted({game.dimension for game in own})
        models = sorted({name for game in own for name in (game.left, game.right)})
        for dimension in (*dimensions, OVERALL):
            note = found if isinstance(found, str) else found.note
            if dimension == OVERALL:
                note = "; ".join(part for part in (f"equal weights of {', '.join(dimensions)}", note) if part)
            for model in models:
                seen = [game for game in own if model in (game.left, game.right)]
                seen = [game for game in seen if dimension in (game.dimension, OVERALL)]
                made = None if isinstance(found, str) else _made(found, dimension, model)
                ratings.append(
                    Rating(
                        model=model,
                        dimension=dimension,
                        method=METHOD,
                        value=made.value if made else None,
                        low=made.low if made else None,
                        high=made.high if made else None,
                        n=len(seen),
                        clusters=len({question(game) for game in seen}),
                        suite=family[0],
                        judge=family[1],
                        rubric=family[2],
                        note=note,
                    )
                )
    return ratings


def _made(found: DimensionFit, dimension: str, model: str) -> Contrast:
    """The Elo of a model in a dimension, or in the composite."""
    if dimension == OVERALL:
        return found.composite({name: 1 / len(found.dimensions) for name in found.dimensions})[model]
    low = found.low[dimension][model] if found.low else None
    high = found.high[dimension][model] if found.high else None
    return Contrast(value=found.elo[dimension][model], se=None, low=low, high=high)
