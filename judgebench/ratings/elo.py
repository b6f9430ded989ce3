"""Online Elo: one pass over the games, which depends on their order, so its mean and spread over shuffles.

Sources: Elo 1978; K = 4, start 1000, scale 400, base 10 as in the public chat arenas' first leaderboards.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from math import exp, log

import numpy as np

from judgebench.errors import UserError
from judgebench.ratings.intervals import cluster_codes
from judgebench.ratings.pools import groups_that_meet, not_comparable, pools, question
from judgebench.types import Game, Rating, Record

SHUFFLES = 200
"""Shuffles behind a rating."""

Battle = tuple[str, str, float]
"""(left, right, left's score in [0, 1])."""


class Elo(Record, frozen=True, kw_only=True):
    """Online Elo's parameters."""

    k: float = 4.0
    """Most points one game moves."""
    start: float = 1000.0
    """Rating of a model before its first game."""
    scale: float = 400.0
    """Rating difference at which the odds are ``base`` to one."""
    base: float = 10.0
    """Those odds."""


class Spread(Record, frozen=True, kw_only=True):
    """One model's online Elo over shuffles of the order."""

    mean: float
    """Mean over the shuffles."""
    sd: float
    """Standard deviation (ddof 1) over the shuffles: what the order alone does, not a sampling error."""
    low: float
    """Smallest."""
    high: float
    """Largest."""


def expected_score(difference: float, scale: float = 400.0, base: float = 10.0) -> float:
    """The score Elo expects of a model that is ``difference`` points above its opponent.

    >>> round(expected_score(400), 6)
    0.909091
    """
    return 1 / (1 + exp(-difference / scale * log(base)))


def sequential_elo(battles: Iterable[Battle], settings: Elo | None = None) -> dict[str, float]:
    """Ratings after one pass over the battles in the order given.

    E = 1 / (1 + base^((R_right - R_left) / scale)); R_left += K (S - E) and R_right -= the same, so the sum stays.

    Raises:
        UserError: a score outside [0, 1], or a model against itself.
    """
    elo = settings or Elo()
    k, slope = elo.k, log(elo.base) / elo.scale
    ratings: dict[str, float] = {}
    for left, right, score in battles:
        if score is None or not 0 <= score <= 1 or left == right:
            raise UserError(f"a battle joins two models with a score in [0, 1], found {left!r}, {right!r}, {score}")
        ours, theirs = ratings.setdefault(left, elo.start), ratings.setdefault(right, elo.start)
        change = k * (score - 1 / (1 + exp((theirs - ours) * slope)))
        ratings[left], ratings[right] = ours + change, theirs - change
    return ratings


def shuffled_elo(
    battles: Sequence[Battle],
    clusters: Sequence[Hashable] | None = None,
    *,
    shuffles: int = SHUFFLES,
    seed: int = 0,
    settings: Elo | None = None,
) -> dict[str, Spread]:
    """Mean and spread of online Elo over orders in which questions, and the battles within each, are shuffled.

    The battles are sorted first, so that the order in which they are given makes no difference.

    Args:
        battles: (left, right, left's score).
        clusters: the question of each battle, sortable; its battles stay together in every order. None: one each.
        shuffles: how many orders, at least 2.
        seed: of numpy's default generator.
        settings: K, start, scale and base.

    Raises:
        UserError: no battles, fewer than 2 shuffles, a score outside [0, 1], a model against itself, lengths that
            differ, or models that no game joins ("not comparable").
    """
    if not battles:
        raise UserError("no battles: Elo of nothing is undefined")
    if shuffles < 2:
        raise UserError(f"a spread over orders needs at least 2 shuffles, found {shuffles}")
    elo = settings or Elo()
    sequential_elo(battles, elo)  # refuses what is not a battle, before any work
    groups = groups_that_meet((left, right) for left, right, _ in battles)
    if len(groups) > 1:
        raise UserError(not_comparable(groups))
    if clusters is not None and len(clusters) != len(battles):
        raise UserError(f"{len(battles)} battles but {len(clusters)} clusters: give one cluster for each battle")
    keys = list(clusters) if clusters is not None else [""] * len(battles)
    order = sorted(range(len(battles)), key=lambda at: (keys[at], battles[at]))
    names = sorted({name for left, right, _ in battles for name in (left, right)})
    index = {name: number for number, name in enumerate(names)}
    pairs = [(index[battles[at][0]], index[battles[at][1]], float(battles[at][2])) for at in order]
    codes = cluster_codes(None if clusters is None else [keys[at] for at in order], len(order))
    random = np.random.default_rng(seed)
    final = np.empty((shuffles, len(names)))
    for row in range(shuffles):
        shuffled = np.lexsort((random.random(len(order)), random.random(int(codes.max()) + 1)[codes]))
        final[row] = _one_pass(pairs, shuffled.tolist(), len(names), elo)
    return {
        name: Spread(
            mean=float(column.mean()), sd=float(column.std(ddof=1)), low=float(column.min()), high=float(column.max())
        )
        for name, column in zip(names, final.T, strict=True)
    }


def _one_pass(pairs: list[tuple[int, int, float]], order: list[int], models: int, elo: Elo) -> list[float]:
    """Ratings by model number; plain floats in a list are the fastest way through so serial a sum."""
    ratings, k, slope = [elo.start] * models, elo.k, log(elo.base) / elo.scale
    for at in order:
        left, right, score = pairs[at]
        change = k * (score - 1 / (1 + exp((ratings[right] - ratings[left]) * slope)))
        ratings[left] += change
        ratings[right] -= change
    return ratings


def rate(games: Sequence[Game]) -> list[Rating]:
    """Online Elo of every model in every (suite, judge, rubric, dimension): mean ± sd over shuffled questions.

    ``low`` and ``high`` are one standard deviation over shuffles from the mean, not a confidence interval; the note
    says so. Models that no game joins have no value.
    """
    ratings = []
    for pool, members in pools(games).items():
        battles = [(game.left, game.right, game.score) for game in members]
        groups = groups_that_meet((left, right) for left, right, _ in battles)
        comparable = len(groups) == 1
        spreads = shuffled_elo(battles, [question(game) for game in members]) if comparable else {}
        note = f"mean and sd over {SHUFFLES} question-level shuffles (K=4, seed 0): spread of order, not an interval"
        for model in sorted(name for group in groups for name in group):
            own = [game for game in members if model in (game.left, game.right)]
            spread = spreads.get(model)
            ratings.append(
                Rating(
                    model=model,
                    dimension=pool.dimension,
                    method="online-elo",
                    value=spread.mean if spread else None,
                    low=spread.mean - spread.sd if spread else None,
                    high=spread.mean + spread.sd if spread else None,
                    n=len(own),
                    clusters=len({question(game) for game in own}),
                    suite=pool.suite,
                    judge=pool.judge,
                    rubric=pool.rubric,
                    note=note if comparable else not_comparable(groups),
                )
            )
    return ratings
