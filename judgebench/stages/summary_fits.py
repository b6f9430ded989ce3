"""What games say beyond a rating: places that hold for all models at once, and which model of ties fits."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from judgebench.errors import UserError
from judgebench.ratings import bradley_terry, ranks, ties
from judgebench.ratings.pools import pools, question
from judgebench.stages.reasons import Row
from judgebench.types import Game


def fit_rows(games: Sequence[Game]) -> list[Row]:
    """A row for each (suite, judge, rubric, dimension) of games: ``ranks``, ``ties``, and why one of them is None.

    ``ranks`` is a row a model (``model, rank, best, worst``) by tested differences of the Bradley–Terry fit, Bonferroni
    over all pairs. ``ties`` is a `TieComparison`: log-likelihoods, Vuong's test and deviances of Davidson's and Rao and
    Kupper's models, which need wins, ties and losses: a game of .25 or .75, out of orders that disagree, is neither.
    """
    rows: list[Row] = []
    for pool, members in pools(games).items():
        sides = [game.left for game in members], [game.right for game in members], [game.score for game in members]
        questions = [question(game) for game in members]
        row: Row = {**pool._asdict(), "ranks": None, "ranks_note": "", "ties": None, "ties_note": ""}
        try:
            fitted = bradley_terry.fit(*sides, questions)
            found = ranks.fit_ranks(fitted)
            row["ranks"] = found and [{"model": name, **msgspec.to_builtins(each)} for name, each in found.items()]
            row["ranks_note"] = "" if found else fitted.note
        except UserError as error:
            row["ranks_note"] = str(error)
        try:
            row["ties"] = msgspec.to_builtins(ties.compare(*sides, questions))
        except UserError as error:
            row["ties_note"] = str(error)
        rows.append(row)
    return rows
