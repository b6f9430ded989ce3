"""Bradley–Terry ratings by maximum likelihood, ties as half-wins, with question-clustered sandwich intervals.

Sources: Bradley and Terry 1952; existence of the fit: Ford 1957; clustered sandwich: Liang and Zeger 1986. Elo scale:
1000 + 400 / ln 10 · θ. With half-wins the inverse Hessian is not the variance, so it is given only for comparison.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np
from scipy import special

from judgebench.errors import UserError
from judgebench.ratings.intervals import Codes, Floats, cluster_codes, t_quantile
from judgebench.ratings.likelihood import log_likelihood, maximise
from judgebench.ratings.pools import Pool, classes_that_trade, groups_that_meet, not_comparable, pools, question
from judgebench.ratings.sandwich import meat
from judgebench.ratings.tallies import Tally, points_table, separation, tally
from judgebench.types import Game, Rating, Record

ELO = 400 / math.log(10)
"""Elo points of one unit of log-odds."""

FEW = 10
"""Below this many questions the sandwich interval is said to be rough."""


class Fit(Record, frozen=True, kw_only=True):
    """A Bradley–Terry fit; dictionaries are by model, centred so that the θ sum to 0."""

    models: tuple[str, ...]
    """Sorted names, the order of ``covariance``."""
    theta: dict[str, float]
    """Log-odds strengths: P(a beats b) = 1 / (1 + exp(θ_b - θ_a))."""
    elo: dict[str, float]
    """1000 + 400 / ln 10 · θ."""
    se: dict[str, float] | None
    """Clustered sandwich errors of θ (CR0); None with one cluster or no variation."""
    se_elo: dict[str, float] | None
    """The same in Elo points."""
    se_hessian: dict[str, float]
    """Errors of θ by the inverse Hessian, for comparison: wrong with half-wins or clusters."""
    low: dict[str, float] | None
    """Elo less t(G-1) · sqrt(G/(G-1)) · se_elo: lower end of the interval."""
    high: dict[str, float] | None
    """Upper end."""
    covariance: Floats
    """m × m sandwich covariance of θ (CR0)."""
    log_likelihood: float
    """Σ score · ln P at the fit, ties as half-wins."""
    games: int
    """Games."""
    clusters: int
    """Clusters."""
    ridge: float
    """Declared penalty: ridge/2 · Σ θ²."""
    note: str
    """What a reader must know."""

    def difference(self, left: str, right: str) -> tuple[float, float]:
        """Elo of left above right, and the sandwich error (CR0) of that difference."""
        a, b = self.models.index(left), self.models.index(right)
        variance = self.covariance[a, a] + self.covariance[b, b] - 2 * self.covariance[a, b]
        return self.elo[left] - self.elo[right], ELO * math.sqrt(max(0.0, float(variance)))

    def anchored(self, model: str, rating: float = 1000.0) -> dict[str, float]:
        """Elo ratings shifted so that ``model`` has ``rating``."""
        return {name: value - self.elo[model] + rating for name, value in self.elo.items()}

    def win_probabilities(self) -> list[list[float]]:
        """P(row beats column) for every two models, in the order of ``models``."""
        theta = np.array([self.theta[name] for name in self.models])
        return [[float(p) for p in row] for row in special.expit(theta[:, None] - theta[None, :])]


def fit(
    left: Sequence[str],
    right: Sequence[str],
    score: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    *,
    ridge: float = 0.0,
    level: float = 0.95,
) -> Fit:
    """The Bradley–Terry fit of games given as three equally long sequences.

    Newton's method on the m × m table of points; the sandwich is H⁻¹ (Σ_c U_c U_c') H⁻¹ with U_c the score of a
    cluster's games.

    Args:
        left: name of one model of each game.
        right: name of the other.
        score: left's share of the point, in [0, 1].
        clusters: the question of each game; None takes games as independent.
        ridge: above 0 it pulls every θ towards 0, so that separated models get a finite rating; the note says so.
        level: coverage of ``low`` and ``high``.

    Raises:
        UserError: no games, a score outside [0, 1], a model against itself, lengths that differ, models that no game
            joins ("not comparable"), or, without a ridge, a model or group that never yields a point ("separated").
    """
    if ridge < 0:
        raise UserError(f"ridge must be 0 or above, found {ridge}")
    games = tally(left, right, score)
    apart = separation(games.models, games.points)
    if apart and not ridge:
        raise UserError(f"separated: {apart}; a ridge above 0 would give a finite fit")
    codes = cluster_codes(clusters, len(games.scores))
    notes = [f"ridge {ridge:g}: ratings are drawn together"] if ridge else []
    if apart:
        notes.append(f"separated: {apart}")
    return _solve(games, codes, (ridge, level), notes)


def rate(games: Sequence[Game]) -> list[Rating]:
    """Bradley–Terry ratings on the Elo scale, mean 1000, of every model in every (suite, judge, rubric, dimension).

    Intervals are the question-clustered sandwich's. Nothing is fitted silently: where no game joins two groups, every
    model is undefined ("not comparable"); where a model or group never yields a point, only the one largest class that
    does trade points is rated, among itself, and the note names who is left out; the others are undefined.
    """
    ratings = []
    for pool, members in pools(games).items():
        ratings += _rate_pool(pool, members)
    return ratings


def _rate_pool(pool: Pool, games: list[Game]) -> list[Rating]:
    """The ratings of one pool."""
    groups = groups_that_meet((game.left, game.right) for game in games)
    if len(groups) > 1:
        reason = not_comparable(groups)
        return [_rating(pool, games, name, None, reason) for name in sorted(name for group in groups for name in group)]
    models = groups[0]
    index = {name: number for number, name in enumerate(models)}
    a, b = np.array([index[game.left] for game in games]), np.array([index[game.right] for game in games])
    points = points_table(a, b, np.array([game.score for game in games]), len(models))
    classes = classes_that_trade(points)
    unique = len(classes) == 1 or len(classes[0]) > len(classes[1])
    inside = {models[row] for row in classes[0]} if unique and len(classes[0]) > 1 else set()
    outside = sorted(set(models) - inside)
    reason = f"separated: {separation(models, points)}" if outside else ""
    found = None
    if inside:
        kept = [game for game in games if game.left in inside and game.right in inside]
        found = fit(
            [game.left for game in kept],
            [game.right for game in kept],
            [game.score for game in kept],
            [question(game) for game in kept],
        )
        games_of = {name: kept if name in inside else games for name in models}
    else:
        games_of = dict.fromkeys(models, games)
    among = f"rated without {', '.join(outside)} ({reason})" if outside else ""
    ratings = []
    for name in models:
        if name in inside and found is not None:
            note = "; ".join(part for part in (among, found.note) if part)
            ratings.append(_rating(pool, games_of[name], name, found, note))
        else:
            ratings.append(_rating(pool, games_of[name], name, None, f"no finite rating, {reason}"))
    return ratings


def _rating(pool: Pool, games: list[Game], model: str, found: Fit | None, note: str) -> Rating:
    """One model's rating, undefined where there is no fit."""
    own = [game for game in games if model in (game.left, game.right)]
    return Rating(
        model=model,
        dimension=pool.dimension,
        method="bradley-terry",
        value=found.elo[model] if found else None,
        low=found.low[model] if found and found.low else None,
        high=found.high[model] if found and found.high else None,
        n=len(own),
        clusters=len({question(game) for game in own}),
        suite=pool.suite,
        judge=pool.judge,
        rubric=pool.rubric,
        note=note,
    )


def _solve(
    games: Tally,
    codes: Codes,
    settings: tuple[float, float],
    notes: list[str],
) -> Fit:
    """The fit of a connected table."""
    models, a, b, scores, points = games
    ridge, level = settings
    m, clusters = len(models), int(codes.max()) + 1
    theta, hessian = maximise(points, ridge)
    # A table without ridge leaves the common level free: the inverse is taken on the space of θ that sum to 0.
    inverse = np.linalg.inv(hessian + 1 / m) - 1 / m if not ridge else np.linalg.inv(hessian)
    chance = special.expit(theta[:, None] - theta[None, :])
    residuals = scores - chance.ravel().take(a * m + b)
    covariance = inverse @ meat(a, b, residuals, codes, m) @ inverse
    errors = np.sqrt(np.clip(np.diag(covariance), 0, None))
    defined = clusters > 1 and bool(errors.max() > 1e-9)
    if clusters == 1:
        notes = [*notes, "one question: no interval"]
    elif not defined:
        notes = [*notes, "no variation between games: no interval"]
    elif clusters < FEW:
        notes = [*notes, f"{clusters} questions: the interval is rough"]
    half = t_quantile(level, clusters - 1) * math.sqrt(clusters / (clusters - 1)) * ELO * errors if defined else errors
    elo = 1000 + ELO * theta

    def by_model(values: Floats) -> dict[str, float]:
        return dict(zip(models, values.tolist(), strict=True))

    return Fit(
        models=tuple(models),
        theta=by_model(theta),
        elo=by_model(elo),
        se=by_model(errors) if defined else None,
        se_elo=by_model(ELO * errors) if defined else None,
        se_hessian=by_model(np.sqrt(np.clip(np.diag(inverse), 0, None))),
        low=by_model(elo - half) if defined else None,
        high=by_model(elo + half) if defined else None,
        covariance=covariance,
        log_likelihood=log_likelihood(points, theta),
        games=len(scores),
        clusters=clusters,
        ridge=ridge,
        note="; ".join(notes),
    )
