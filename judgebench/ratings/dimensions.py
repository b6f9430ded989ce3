"""Ratings along several dimensions: one independent rating each, and an overall that is the mean of their games.

Source: Wu and Aji 2023, "Style Over Substance" (Multi-Elo: one judge call and one Elo for each dimension, no pooled
verdict).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from judgebench.errors import UserError
from judgebench.ratings.elo import Battle, Elo, sequential_elo
from judgebench.ratings.pools import groups_that_meet, not_comparable
from judgebench.types import Game, Rating, RatingMethod

OVERALL = "overall"
"""Name of the dimension that is the mean of the others."""

Family = tuple[str, str, str]
"""(suite, judge, rubric): the games whose dimensions belong together."""


def multi_elo(battles: Mapping[str, Sequence[Battle]], settings: Elo | None = None) -> dict[str, dict[str, float]]:
    """Dimension → model → online Elo, each dimension on its own, in the order given (Wu and Aji 2023, section 5).

    Raises:
        UserError: no dimensions, one without battles, what is no battle, or models that no game joins.
    """
    if not battles:
        raise UserError("no dimensions: there is nothing to rate")
    found = {}
    for dimension, sequence in battles.items():
        if not len(sequence):
            raise UserError(f"in {dimension!r}: no battles: Elo of nothing is undefined")
        groups = groups_that_meet((left, right) for left, right, _ in sequence)
        if len(groups) > 1:
            raise UserError(f"in {dimension!r}: {not_comparable(groups)}")
        found[dimension] = sequential_elo(sequence, settings)
    return found


def averaged_dimensions(
    games: Sequence[Game], rubrics: Mapping[str, Sequence[str]] | None = None
) -> dict[Family, tuple[str, ...]]:
    """The dimensions that the overall of each (suite, judge, rubric) is the mean of.

    Only those with several dimensions of which none is called ``overall`` itself are here.

    Args:
        games: any.
        rubrics: ``name@hash`` → all its dimensions, so that one without a single game is missed; those of a rubric not
            named here are the ones in the games.
    """
    found: dict[Family, set[str]] = defaultdict(set)
    for game in games:
        found[game.suite, game.judge, game.rubric].add(game.dimension)
        found[game.suite, game.judge, game.rubric].update((rubrics or {}).get(game.rubric, ()))
    return {
        family: tuple(sorted(dimensions))
        for family, dimensions in sorted(found.items())
        if len(dimensions) > 1 and OVERALL not in dimensions
    }


def with_overall(games: Sequence[Game], rubrics: Mapping[str, Sequence[str]] | None = None) -> list[Game]:
    """The games, and after them one ``overall`` game wherever every dimension has one.

    Its score is the mean over dimensions of the game scores of one (suite, item, turn, rubric, judge, left, right);
    where a dimension has several games of that key (answer samples), their mean stands for it. It is consistent where
    all of them are. A question that lacks a dimension has no overall game; ``rubrics`` as in `averaged_dimensions`.
    """
    wanted = averaged_dimensions(games, rubrics)
    grouped: dict[tuple[str, str, int, str, str, str, str], dict[str, list[Game]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for game in games:
        if (game.suite, game.judge, game.rubric) in wanted:
            turned = game.left > game.right
            names = (game.right, game.left) if turned else (game.left, game.right)
            seen = (
                msgspec.structs.replace(game, left=names[0], right=names[1], score=1 - game.score) if turned else game
            )
            key = game.suite, game.item, game.turn, game.rubric, game.judge, *names
            grouped[key][game.dimension].append(seen)
    overall = []
    for (suite, _, _, rubric, judge, _, _), by_dimension in grouped.items():
        if len(by_dimension) < len(wanted[suite, judge, rubric]):
            continue
        # Sorted, so that the order of the games cannot move the last digit of the mean.
        means = [
            sum(sorted(game.score for game in by_dimension[dimension])) / len(by_dimension[dimension])
            for dimension in wanted[suite, judge, rubric]
        ]
        every = [game for members in by_dimension.values() for game in members]
        overall.append(
            msgspec.structs.replace(
                every[0],
                dimension=OVERALL,
                score=min(1.0, sum(means) / len(means)),
                consistent=all(game.consistent for game in every),
            )
        )
    return [*games, *overall]


def rate(
    games: Sequence[Game], method: RatingMethod, rubrics: Mapping[str, Sequence[str]] | None = None
) -> list[Rating]:
    """The method's ratings of every dimension and of the overall.

    The note of a computed overall names the dimensions that it is the mean of; ``rubrics`` as in `averaged_dimensions`.
    """
    wanted = averaged_dimensions(games, rubrics)
    ratings = []
    for rating in method(with_overall(games, rubrics)):
        averaged = wanted.get((rating.suite, rating.judge, rating.rubric))
        if averaged and rating.dimension == OVERALL:
            label = f"mean of the dimensions' game scores: {', '.join(averaged)}"
            rating = msgspec.structs.replace(rating, note="; ".join(part for part in (label, rating.note) if part))
        ratings.append(rating)
    return ratings
