"""Bradley–Terry over resampled questions: intervals and ranks that lean on no formula for the error.

Source: Efron and Tibshirani 1993 (whole clusters where games share a question). A draw is as many questions as there
are, drawn with replacement, with all their games. Only the totals of each pair move, so a draw is refitted on those,
all draws of a block at once: steps with the information at the fit of all games, and Newton's own where those do not
settle.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import numpy as np

from judgebench.errors import UserError
from judgebench.ratings.intervals import Codes, Floats, cluster_codes
from judgebench.ratings.likelihood import maximise
from judgebench.ratings.pools import classes_that_trade
from judgebench.ratings.tallies import Tally, separation, tally
from judgebench.types import Record

ELO = 400 / math.log(10)
"""Elo points of one unit of log-odds."""

BLOCK = 100
"""Draws refitted at once: memory is flat in their number."""

CLOSE = 1e-7
"""Largest last step, in log-odds, of a draw that has arrived: 2e-5 Elo."""

MOST_SEPARATED = 0.01
"""Share of draws without a finite fit past which no interval is given."""


FLAT_ELO = 1e-3
"""Draws that lie nearer than this differ by rounding only."""


class Bootstrap(Record, frozen=True, kw_only=True):
    """Bradley–Terry's Elo over resamples of questions; dictionaries are by model."""

    models: tuple[str, ...]
    """Sorted names, the columns of ``distribution``."""
    elo: dict[str, float]
    """1000 + 400 / ln 10 · θ of all games, mean 1000."""
    se: dict[str, float] | None
    """Standard deviation (ddof 1) over draws; None where too many draws are separated, or none differs."""
    low: dict[str, float] | None
    """Type-7 percentile (1 - level)/2 over draws."""
    high: dict[str, float] | None
    """Percentile (1 + level)/2."""
    rank_low: dict[str, int] | None
    """Best rank within the level: lower percentile of the rank over draws, 1 the best."""
    rank_high: dict[str, int] | None
    """Worst rank within the level."""
    best: dict[str, float] | None
    """Share of the draws in which the model is first."""
    distribution: Floats
    """draws × m Elo, NaN where a draw has no finite fit."""
    draws: int
    """Resamples, B."""
    separated: int
    """Of them without a finite fit: left out of every number, and counted here."""
    clusters: int
    """Questions."""
    seed: int
    """Of numpy's default generator."""
    note: str
    """What a reader must know."""


def bootstrap(
    left: Sequence[str],
    right: Sequence[str],
    score: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    *,
    draws: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Bootstrap:
    """Elo, percentile intervals and rank intervals over resampled questions.

    Args:
        left: name of one model of each game.
        right: name of the other.
        score: left's share of the point, in [0, 1].
        clusters: the question of each game; None resamples games.
        draws: B, at least 2.
        seed: of numpy's default generator.
        level: coverage.

    Raises:
        UserError: fewer than 2 draws, or games that `bradley_terry.fit` refuses: none, a score outside [0, 1], models
            not comparable, or separated.
    """
    if draws < 2:
        raise UserError(f"a bootstrap needs at least two draws, found {draws}")
    games = tally(left, right, score)
    apart = separation(games.models, games.points)
    if apart:
        raise UserError(f"separated: {apart}; there is no finite fit to resample")
    codes = cluster_codes(clusters, len(games.scores))
    groups, m = int(codes.max()) + 1, len(games.models)
    theta, hessian = maximise(games.points, 0.0)
    inverse = np.asarray(np.linalg.inv(hessian + 1 / m) - 1 / m, dtype=np.float64)
    random = np.random.default_rng(seed)
    found = np.empty((draws, m))
    pairs, totals = (
        _game_totals(games, draws, random) if groups == len(codes) else _question_totals(games, codes, draws, random)
    )
    start = 0
    for met, won in totals:
        rows = met.shape[1]
        found[start : start + rows] = _refit(pairs, met, won, theta, (inverse, hessian.diagonal()[:, None])).T
        start += rows
    return _described(games.models, theta, ELO * found + 1000, (groups, seed, level))


def _described(models: list[str], theta: Floats, found: Floats, settings: tuple[int, int, float]) -> Bootstrap:
    """The record of a bootstrap."""
    groups, seed, level = settings
    draws = len(found)
    finite = found[np.isfinite(found[:, 0])]
    separated = draws - len(finite)
    varies = len(finite) > 1 and float(np.ptp(finite, axis=0).max()) > FLAT_ELO
    defined = groups > 1 and separated <= MOST_SEPARATED * draws and varies
    notes = [f"B={draws}, seed={seed}, {groups} questions"]
    if groups == 1:
        notes.append("one question: no interval")
    elif len(finite) > 1 and not varies:
        notes.append("no variation between questions: no interval")
    if separated:
        notes.append(f"{separated} draws have no finite fit and are left out" + ("" if defined else ": no interval"))

    def by_model(values: Any) -> dict[str, Any] | None:
        return dict(zip(models, values.tolist(), strict=True)) if defined else None

    ends = ((1 - level) / 2, (1 + level) / 2)
    low, high = np.quantile(finite, ends, axis=0) if defined else (theta, theta)
    ranks = 1 + (finite[:, :, None] < finite[:, None, :]).sum(axis=2) if len(finite) * len(models) ** 2 < 2e7 else None
    if ranks is None:
        ranks = len(models) - np.argsort(np.argsort(finite, axis=1), axis=1)
    best = (ranks == 1).mean(axis=0) if defined else theta
    rank_low, rank_high = (
        (np.quantile(ranks, ends[0], axis=0, method="lower"), np.quantile(ranks, ends[1], axis=0, method="higher"))
        if defined
        else (theta, theta)
    )
    return Bootstrap(
        models=tuple(models),
        elo=dict(zip(models, (1000 + ELO * theta).tolist(), strict=True)),
        se=by_model(finite.std(axis=0, ddof=1)) if defined else None,
        low=by_model(low),
        high=by_model(high),
        rank_low=by_model(np.asarray(rank_low).astype(int)),
        rank_high=by_model(np.asarray(rank_high).astype(int)),
        best=by_model(best),
        distribution=found,
        draws=draws,
        separated=separated,
        clusters=groups,
        seed=seed,
        note="; ".join(notes),
    )


Pairs = tuple[Codes, Codes]
"""Lower and higher model number of each pair that met."""

Totals = Iterator[tuple[Floats, Floats]]
"""Blocks of (games, points of the lower number): pairs × draws each."""


def _oriented(games: Tally) -> tuple[Codes, Floats, Pairs]:
    """Each game's pair number, the points of the pair's lower model number, and the pairs."""
    m = len(games.models)
    low, high = np.minimum(games.a, games.b), np.maximum(games.a, games.b)
    key = low * m + high
    met = np.flatnonzero(np.bincount(key, minlength=m * m))
    number = np.zeros(m * m, dtype=np.int64)
    number[met] = np.arange(len(met))
    points = np.where(games.a < games.b, games.scores, 1 - games.scores)
    return number[key], points, (met // m, met % m)


def _game_totals(games: Tally, draws: int, random: np.random.Generator) -> tuple[Pairs, Totals]:
    """Totals of resampled games, drawn as counts of cells (pair, score) where these are fewer than games."""
    from scipy.sparse import csr_matrix

    pair, points, pairs = _oriented(games)
    values, outcome = np.unique(points, return_inverse=True)
    key = pair * len(values) + outcome
    cells, cell, counts = np.unique(key, return_inverse=True, return_counts=True)
    n, few = len(points), 15 * len(cells) < len(points)  # where counts are drawn sooner than games
    of_pair = csr_matrix((np.ones(len(cells)), (cells // len(values), np.arange(len(cells)))))
    worth = of_pair.multiply(values[cells % len(values)]).tocsr()

    def blocks() -> Totals:
        for start in range(0, draws, BLOCK):
            rows = min(BLOCK, draws - start)
            if few:
                drawn = random.multinomial(n, counts / n, size=rows)
            else:
                drawn = np.stack(
                    [np.bincount(cell[random.integers(0, n, n)], minlength=len(cells)) for _ in range(rows)]
                )
            columns = np.ascontiguousarray(drawn.T, dtype=np.float64)
            yield np.asarray(of_pair @ columns), np.asarray(worth @ columns)

    return pairs, blocks()


def _question_totals(games: Tally, codes: Codes, draws: int, random: np.random.Generator) -> tuple[Pairs, Totals]:
    """Totals of resampled questions, each with all of its games."""
    from scipy.sparse import csr_matrix

    pair, points, pairs = _oriented(games)
    groups = int(codes.max()) + 1
    shape = len(pairs[0]), groups
    met = csr_matrix((np.ones(len(pair)), (pair, codes)), shape)
    won = csr_matrix((points, (pair, codes)), shape)
    met.sum_duplicates()
    won.sum_duplicates()

    def blocks() -> Totals:
        for start in range(0, draws, BLOCK):
            rows = min(BLOCK, draws - start)
            drawn = np.empty((groups, rows))
            for row in range(rows):
                drawn[:, row] = np.bincount(random.integers(0, groups, groups), minlength=groups)
            yield np.asarray(met @ drawn), np.asarray(won @ drawn)

    return pairs, blocks()


def _refit(pairs: Pairs, met: Floats, won: Floats, theta: Floats, curvature: tuple[Floats, Floats]) -> Floats:
    """Centred θ, m × draws; NaN where a draw has no finite fit.

    Args:
        pairs: model numbers.
        met: pairs × draws games.
        won: points of the lower number.
        theta: the fit of all games, from which every draw starts.
        curvature: inverse and diagonal of the information there.
    """
    from scipy.sparse import csr_matrix

    low, high = pairs
    games, points = met, won
    inverse, information = curvature
    m, draws = len(theta), met.shape[1]
    at = np.arange(len(low))
    signs = csr_matrix(
        (
            np.concatenate([np.ones(len(low)), -np.ones(len(low))]),
            (np.concatenate([low, high]), np.concatenate([at, at])),
        ),
        (m, len(low)),
    )
    both = abs(signs)
    found = np.tile(theta[:, None], (1, draws))
    last = np.full(draws, np.inf)
    moving, scale = np.arange(draws), np.ones((m, 1))
    for turn in range(25):
        now = found[:, moving]
        # The chance of the lower number, in place.
        chance = now[high]
        chance -= now[low]
        with np.errstate(over="ignore"):
            np.exp(chance, out=chance)
        chance += 1
        np.reciprocal(chance, out=chance)
        expected = met * chance
        if turn == 1:
            # From here on each model's share of the information is the draw's own.
            own = both @ (expected * (1 - chance))
            scale = np.sqrt(information / np.maximum(own, 0.1 * information))
        step = signs @ (won - expected)
        step *= scale
        step = inverse @ step
        step *= scale
        size = np.abs(step).max(axis=0)
        found[:, moving] = now + step
        # What shrinks by half or more a step has arrived to within its last step; what does not is left to Newton.
        keep = (size > CLOSE) & (size < 0.5 * last[moving])
        last[moving] = np.where(last[moving] <= CLOSE, last[moving], size)
        if not keep.any():
            break
        if keep.sum() <= 0.5 * len(moving):
            moving, met, won = moving[keep], met[:, keep], won[:, keep]
            scale = scale[:, keep] if scale.shape[1] > 1 else scale
    for draw in np.flatnonzero(~(last <= CLOSE)):
        found[:, draw] = _alone(pairs, games[:, draw], points[:, draw], m)
    found -= found.mean(axis=0)
    return found


def _alone(pairs: Pairs, met: Floats, won: Floats, m: int) -> Floats:
    """θ of one draw by Newton; NaN where it is not comparable or separated."""
    points = np.zeros((m, m))
    points[pairs] = won
    points[pairs[1], pairs[0]] = met - won
    if len(classes_that_trade(np.where(points > 1e-9, points, 0.0))) > 1:
        return np.full(m, np.nan)
    try:
        return maximise(points, 0.0)[0]
    except UserError:
        return np.full(m, np.nan)
