"""Bradley–Terry with covariates: what position, length, style or self-preference add to the odds of the first answer.

logit P(first wins) = θ_first - θ_second + Σ b·x, ties as half-wins. Sources: Agresti 2013, section 11.6 (home-field
advantage); clustered sandwich: Liang and Zeger 1986; likelihood ratio: Wilks 1938; the ridge form is that of the public
chat arenas' style control.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence

import numpy as np
from scipy import linalg, special

from judgebench.errors import UserError
from judgebench.ratings.intervals import Codes, Floats, cluster_codes, finite, t_quantile
from judgebench.ratings.pools import groups_that_meet, not_comparable
from judgebench.ratings.sandwich import meat
from judgebench.types import Record

ELO = 400 / math.log(10)
"""Elo points of one unit of log-odds."""

POSITION = "position"
"""Name of the intercept: what being shown first adds to the log-odds."""

FLAT = 1e-7
"""Information below this share of what the games could give means that the fit runs to infinity, or is not unique."""

STILL = 1e-9
"""Below this a standard error is 0: nothing varies between questions."""
FEW = 10
"""Below this many questions the sandwich interval is said to be rough."""


class CovariateFit(Record, frozen=True, kw_only=True):
    """A Bradley–Terry fit with covariates; θ sum to 0, dictionaries are by model or by covariate."""

    models: tuple[str, ...]
    """Sorted names: the first rows of ``covariance``."""
    features: tuple[str, ...]
    """Covariates, in the order of its last rows."""
    theta: dict[str, float]
    """Log-odds strengths where every covariate is 0."""
    theta_se: dict[str, float] | None
    """Their clustered sandwich errors (CR0); None with one cluster or no variation."""
    elo: dict[str, float]
    """1000 + 400 / ln 10 · θ."""
    elo_low: dict[str, float] | None
    """Elo less t(G-1) · sqrt(G/(G-1)) · its error."""
    elo_high: dict[str, float] | None
    """Upper end."""
    coefficients: dict[str, float]
    """Log-odds for the first answer of one unit of each covariate."""
    se: dict[str, float] | None
    """Their clustered sandwich errors (CR0)."""
    low: dict[str, float] | None
    """Coefficient less t(G-1) · sqrt(G/(G-1)) · se."""
    high: dict[str, float] | None
    """Upper end."""
    p_values: dict[str, float] | None
    """Two-sided tests of each coefficient against 0, by the same t; NaN where its error is 0, with a note."""
    covariance: Floats
    """Sandwich covariance (CR0) of θ and coefficients."""
    log_likelihood: float
    """Σ score · ln P at the fit."""
    likelihood_ratio: float | None
    """2 · (log-likelihood - that without any covariate); None with a ridge. Games are taken as independent."""
    likelihood_ratio_p: float | None
    """Its χ² p-value with one degree of freedom a covariate."""
    likelihood_ratios: dict[str, float] | None
    """The same, leaving out one covariate at a time; None with a ridge."""
    games: int
    """Games."""
    clusters: int
    """Clusters."""
    ridge: float
    """Declared penalty: ridge/2 · (Σ (θ / ln base)² + Σ b²)."""
    note: str
    """What a reader must know."""


def fit(
    games: Sequence[tuple[str, str, float]],
    features: Mapping[str, Sequence[float]] | None = None,
    clusters: Sequence[Hashable] | None = None,
    *,
    position: bool = False,
    ridge: float = 0.0,
    base: float = math.e,
    level: float = 0.95,
) -> CovariateFit:
    """The Bradley–Terry fit of games in the order shown, with covariates of each game.

    Args:
        games: (first, second, first's share of the point in [0, 1]).
        features: covariate → its value in each game, for the first answer against the second; ``position`` is one too
            if it is given here (all ones).
        clusters: the question of each game; None takes games as independent.
        position: adds the intercept ``position``.
        ridge: above 0 it pulls all parameters towards 0; the note says so.
        base: the ridge is on θ / ln base; 10 as on the chat arenas, where 0.5 is their penalty.
        level: coverage of the intervals.

    Raises:
        UserError: no games, a score outside [0, 1], a model against itself, lengths that differ, models that no game
            joins; and without a ridge: covariates that cannot be told apart from each other or from the models, or
            games that some covariate or model separates, so that no finite fit exists.
    """
    if not len(games):
        raise UserError("no games: a fit of nothing is undefined")
    scores = finite([score for _, _, score in games])
    if scores.min() < 0 or scores.max() > 1:
        raise UserError(f"scores must lie in [0, 1], found {scores.min():g} to {scores.max():g}")
    if ridge < 0 or not base > 1:
        raise UserError(f"ridge must be 0 or above and base above 1, found {ridge} and {base}")
    models = sorted({name for first, second, _ in games for name in (first, second)})
    index = {name: number for number, name in enumerate(models)}
    a = np.array([index[first] for first, _, _ in games], dtype=np.int64)
    b = np.array([index[second] for _, second, _ in games], dtype=np.int64)
    if (a == b).any():
        raise UserError(f"a game joins two models, found {models[int(a[a == b][0])]!r} against itself")
    groups = groups_that_meet((first, second) for first, second, _ in games)
    if len(groups) > 1:
        raise UserError(not_comparable(groups))
    columns = dict(features or {})
    if position:
        columns.setdefault(POSITION, np.ones(len(scores)).tolist())
    names = tuple(columns)
    x = np.empty((len(scores), len(names)))
    for at, name in enumerate(names):
        values = finite(columns[name])
        if len(values) != len(scores):
            raise UserError(f"{len(scores)} games but {len(values)} values of {name!r}: give one for each game")
        x[:, at] = values
    codes = cluster_codes(clusters, len(scores))
    penalty = np.concatenate([np.full(len(models), ridge / math.log(base) ** 2), np.full(len(names), ridge)])
    data = a, b, x, scores, len(models)
    beta, hessian, likelihood = _newton(data, penalty, names)
    inverse = _inverse(hessian, len(models), free=not ridge)
    residuals = scores - special.expit(beta[a] - beta[b] + x @ beta[len(models) :])
    covariance = inverse @ meat(a, b, residuals, codes, len(models), x * residuals[:, None]) @ inverse
    ratios = None if ridge else _ratios(data, names, likelihood)
    return _found(
        models, names, beta, covariance, (likelihood, ratios), (len(scores), int(codes.max()) + 1), (ridge, base, level)
    )


Data = tuple[Codes, Codes, Floats, Floats, int]
"""First and second model's number, covariates, scores, number of models."""


def _ratios(data: Data, names: tuple[str, ...], likelihood: float) -> tuple[float, dict[str, float]]:
    """Likelihood ratio of all covariates, and of each one alone."""
    a, b, x, scores, m = data

    def without(kept: Sequence[int]) -> float:
        fewer = x[:, list(kept)]
        return _newton((a, b, fewer, scores, m), np.zeros(m + len(kept)), tuple(names[at] for at in kept))[2]

    every = range(len(names))
    single = {name: 2 * (likelihood - without([o for o in every if o != at])) for at, name in enumerate(names)}
    joint = next(iter(single.values())) if len(names) == 1 else 2 * (likelihood - without([]))
    return joint, single


def _found(
    models: list[str],
    names: tuple[str, ...],
    beta: Floats,
    covariance: Floats,
    likelihoods: tuple[float, tuple[float, dict[str, float]] | None],
    counts: tuple[int, int],
    settings: tuple[float, float, float],
) -> CovariateFit:
    """The record of a fit."""
    (games, clusters), (ridge, base, level), m = counts, settings, len(models)
    likelihood, ratios = likelihoods
    errors = np.sqrt(np.clip(np.diag(covariance), 0, None))
    defined = clusters > 1 and bool(errors.max() > STILL)
    notes = [f"ridge {ridge:g} (base {base:g}): estimates are drawn towards 0"] if ridge else []
    if clusters == 1:
        notes.append("one question: no interval")
    elif not defined:
        notes.append("no variation between games: no interval")
    elif clusters < max(FEW, len(beta)):
        notes.append(f"{clusters} questions for {len(beta)} parameters: the interval is rough")
    factor = math.sqrt(clusters / (clusters - 1)) if clusters > 1 else math.nan
    half = t_quantile(level, clusters - 1) * factor * errors if defined else errors
    elo = 1000 + ELO * beta[:m]

    def by(keys: Sequence[str], values: Floats) -> dict[str, float]:
        return dict(zip(keys, values.tolist(), strict=True))

    p_values = None
    if defined:
        varies = errors[m:] > STILL
        scaled = np.divide(beta[m:], factor * errors[m:], out=np.full(len(names), math.nan), where=varies)
        p_values = by(names, 2 * special.stdtr(clusters - 1, -np.abs(scaled)))
        still = [name for name, moves in zip(names, varies, strict=True) if not moves]
        notes += [f"no variation between questions along {', '.join(still)}: no test"] if still else []
    return CovariateFit(
        models=tuple(models),
        features=names,
        theta=by(models, beta[:m]),
        theta_se=by(models, errors[:m]) if defined else None,
        elo=by(models, elo),
        elo_low=by(models, elo - ELO * half[:m]) if defined else None,
        elo_high=by(models, elo + ELO * half[:m]) if defined else None,
        coefficients=by(names, beta[m:]),
        se=by(names, errors[m:]) if defined else None,
        low=by(names, beta[m:] - half[m:]) if defined else None,
        high=by(names, beta[m:] + half[m:]) if defined else None,
        p_values=p_values,
        covariance=covariance,
        log_likelihood=likelihood,
        likelihood_ratio=ratios[0] if ratios and names else None,
        likelihood_ratio_p=float(special.chdtrc(len(names), max(0.0, ratios[0]))) if ratios and names else None,
        likelihood_ratios=ratios[1] if ratios else None,
        games=games,
        clusters=clusters,
        ridge=ridge,
        note="; ".join(notes),
    )


def _log_likelihood(eta: Floats, scores: Floats) -> float:
    """Σ score · ln P + (1 - score) · ln(1 - P)."""
    return float((scores * eta - np.logaddexp(0, eta)).sum())


def _information(data: Data, weights: Floats) -> Floats:
    """X' W X of the design: one column a model (+1 first, -1 second), then the covariates."""
    a, b, x, _, m = data
    k = x.shape[1]
    found = np.zeros((m + k, m + k))
    met = np.bincount(a * m + b, weights=weights, minlength=m * m).reshape(m, m)
    met = met + met.T
    found[:m, :m] = np.diag(met.sum(axis=1)) - met
    weighted = x * weights[:, None]
    for at in range(k):
        found[:m, m + at] = np.bincount(a, weighted[:, at], m) - np.bincount(b, weighted[:, at], m)
    found[m:, :m] = found[:m, m:].T
    found[m:, m:] = x.T @ weighted
    return found


def _gradient(data: Data, residuals: Floats) -> Floats:
    """X' residuals."""
    a, b, x, _, m = data
    return np.concatenate([np.bincount(a, residuals, m) - np.bincount(b, residuals, m), x.T @ residuals])


def _inverse(hessian: Floats, m: int, *, free: bool) -> Floats:
    """Its inverse; without a ridge on the space where the θ sum to 0."""
    level = np.zeros_like(hessian)
    if free:
        level[:m, :m] = 1 / m
    inverse: Floats = np.linalg.inv(hessian + level) - level
    return inverse


def _newton(data: Data, penalty: Floats, names: tuple[str, ...]) -> tuple[Floats, Floats, float]:
    """Parameters (θ sum to 0), the negative Hessian there, and the log-likelihood."""
    a, b, x, scores, m = data
    level = np.zeros((len(penalty), len(penalty)))
    level[:m, :m] = 1 / m
    ridged = bool(penalty.any())
    start = _information(data, np.full(len(scores), 0.25)) + level
    if not ridged:
        _refuse_alike(start, names, m)
    beta = np.zeros(len(penalty))
    value = _log_likelihood(np.zeros(len(scores)), scores)
    for turn in range(200):
        eta = beta[a] - beta[b] + x @ beta[m:]
        chance = special.expit(eta)
        hessian = _information(data, chance * (1 - chance)) + np.diag(penalty)
        if not ridged and turn > 8 and linalg.eigvalsh(hessian + level, start)[0] < FLAT:
            break
        step = np.linalg.solve(hessian + level, _gradient(data, scores - chance) - penalty * beta)
        if np.abs(step).max() < 1e-10 * max(1.0, float(np.abs(beta).max())):
            return beta, hessian, _log_likelihood(eta, scores)
        for _ in range(60):
            tried = beta + step
            tried[:m] -= tried[:m].mean()
            reached = _log_likelihood(tried[a] - tried[b] + x @ tried[m:], scores) - float(penalty @ tried**2) / 2
            if reached >= value - 1e-12 * abs(value):
                break
            step /= 2
        beta, value = tried, reached
    raise UserError("separated: some model or covariate foretells every game it tells apart, so that no finite fit "
                    "exists; a ridge above 0 would give one")  # fmt: skip


def _refuse_alike(information: Floats, names: tuple[str, ...], m: int) -> None:
    """Nothing, where every parameter can be told apart from the others.

    Raises:
        UserError: a covariate is a mixture of the models and the other covariates.
    """
    for at, name in enumerate(names):
        row = m + at
        rest = information[:row, :row]
        own = float(information[row, row])
        left = own - float(information[row, :row] @ np.linalg.solve(rest, information[:row, row])) if own else 0.0
        if left <= 1e-9 * own:
            said = "never varies from 0" if not own else "is fixed by who plays whom or by the other covariates"
            raise UserError(f"the effect of {name!r} cannot be told apart: it {said}")
