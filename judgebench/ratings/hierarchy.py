"""Bradley–Terry along several dimensions at once: one spread of models over all of them, one clustered covariance.

θ_m ~ N(μ, Σ) over models m, an entry a dimension. The fits of the dimensions are made apart; their errors are joined by
question, as one answer is judged along all of them; then strengths and Σ are drawn from their posterior given these,
Σ being uniform beforehand (Everson and Morris 2000: plugging in one estimate of Σ makes intervals too narrow). So what
one dimension says leans on the others as far as models go together in them, and differences between dimensions and
weighted composites have intervals that know of it.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import linalg, special

from judgebench.errors import UserError
from judgebench.ratings.bradley_terry import ELO, FEW
from judgebench.ratings.elo import Battle
from judgebench.ratings.intervals import Codes, Floats, cluster_codes, t_quantile
from judgebench.ratings.likelihood import maximise
from judgebench.ratings.tallies import Tally, separation, tally
from judgebench.types import Record

ALIKE = 0.9
"""Correlation over models past which two dimensions are said not to be told apart."""

SPARE = 4
"""Σ is estimated where models number at least 2 · dimensions + this; under that nothing is shrunk."""

DRAWS, BURN = 600, 100
"""Draws of Σ that are averaged over, and those thrown away before."""

EACH = 6
"""Every so many-th draw's covariance is averaged."""

BLOCK = 4_000_000
"""Numbers of the questions' scores held at a time."""


class Contrast(Record, frozen=True, kw_only=True):
    """A weighted sum of strengths, in Elo points."""

    value: float
    """400 / ln 10 · Σ w θ."""
    se: float | None
    """Its standard error; None where there is none."""
    low: float | None
    """Lower end."""
    high: float | None
    """Upper end."""


class Correlation(Record, frozen=True, kw_only=True):
    """How far models go together in two dimensions."""

    one: str
    """A dimension."""
    other: str
    """Another."""
    r: float
    """Σ's correlation of the true strengths over models, errors taken out: posterior median."""
    low: float
    """Lower posterior quantile: what so few models can tell."""
    high: float
    """Upper end."""
    statement: str
    """Plain words where |r| is past 0.9; else empty."""


class DimensionFit(Record, frozen=True, kw_only=True):
    """Strengths of models along dimensions; rows of the covariances run through models within dimensions."""

    dimensions: tuple[str, ...]
    """Sorted names."""
    models: tuple[str, ...]
    """Sorted names."""
    theta: dict[str, dict[str, float]]
    """Dimension → model → strength given all dimensions (posterior mean), summing to 0 over models."""
    elo: dict[str, dict[str, float]]
    """1000 + 400 / ln 10 · θ."""
    low: dict[str, dict[str, float]] | None
    """Lower end of the interval of ``elo``; None with one question or no variation."""
    high: dict[str, dict[str, float]] | None
    """Upper end."""
    plain: dict[str, dict[str, float]]
    """Dimension → model → Elo by that dimension's games alone."""
    covariance: Floats
    """Posterior covariance of θ; the joint clustered one where nothing is shrunk."""
    plain_covariance: Floats
    """Joint clustered covariance (CR1) of the dimensions' own fits."""
    sigma: tuple[tuple[float, ...], ...] | None
    """Covariance of strengths over models, in squared log-odds (posterior mean); None where models are too few."""
    correlations: tuple[Correlation, ...]
    """Of every two dimensions; empty without Σ."""
    games: int
    """Games of all dimensions."""
    clusters: int
    """Questions."""
    level: float
    """Coverage of every interval."""
    note: str
    """What a reader must know."""

    def contrast(self, weights: Mapping[tuple[str, str], float], *, plain: bool = False) -> Contrast:
        """Σ w θ of (dimension, model) with its interval; ``plain`` by the dimensions' own fits.

        Raises:
            UserError: a dimension or model that is not here.
        """
        m = len(self.models)
        vector, value = np.zeros(m * len(self.dimensions)), 0.0
        for (dimension, model), weight in weights.items():
            if dimension not in self.dimensions or model not in self.models:
                raise UserError(f"no rating of {model!r} in {dimension!r}: there are {', '.join(self.dimensions)}")
            vector[self.dimensions.index(dimension) * m + self.models.index(model)] = weight
            value += weight * ((self.plain if plain else self.elo)[dimension][model] - 1000)
        if self.low is None:
            return Contrast(value=value, se=None, low=None, high=None)
        covariance = self.plain_covariance if plain else self.covariance
        error = ELO * math.sqrt(max(0.0, float(vector @ covariance @ vector)))
        half = t_quantile(self.level, self.clusters - 1) * error
        return Contrast(value=value, se=error, low=value - half, high=value + half)

    def difference(self, model: str, one: str, other: str) -> Contrast:
        """How much higher the model stands in one dimension than in another, against the mean of all models in each."""
        return self.contrast({(one, model): 1.0, (other, model): -1.0})

    def composite(self, weights: Mapping[str, float]) -> dict[str, Contrast]:
        """Model → 1000 + Σ w (Elo - 1000) over dimensions, with its interval."""
        found = {}
        for model in self.models:
            made = self.contrast({(dimension, model): weight for dimension, weight in weights.items()})
            ends = [None if end is None else 1000 + end for end in (made.low, made.high)]
            found[model] = Contrast(value=1000 + made.value, se=made.se, low=ends[0], high=ends[1])
        return found


def fit(
    games: Mapping[str, Sequence[Battle]],
    clusters: Mapping[str, Sequence[Hashable]] | None = None,
    *,
    level: float = 0.95,
) -> DimensionFit:
    """The hierarchical fit of games along several dimensions.

    Args:
        games: dimension → (left, right, left's share of the point).
        clusters: dimension → the question of each game; the same question in two dimensions is one cluster. None:
            the k-th game of every dimension is of one question.
        level: coverage of intervals: Student's with G - 1 degrees of freedom.

    Raises:
        UserError: no dimension, dimensions of other models, lengths that differ, and in any dimension what
            `bradley_terry.fit` refuses: the message names it.
    """
    if not games:
        raise UserError("no dimensions: there is nothing to fit")
    dimensions = tuple(sorted(games))
    tallies = [_tally(name, games[name]) for name in dimensions]
    models = tallies[0].models
    for name, each in zip(dimensions, tallies, strict=True):
        if each.models != models:
            odd = sorted(set(each.models) ^ set(models))
            raise UserError(
                f"{odd[0]!r} is rated in {dimensions[0]!r} or {name!r} only: give the games of shared models"
            )
    codes = _codes(games, clusters, dimensions)
    m, groups = len(models), int(max(each.max() for each in codes)) + 1
    fits = [maximise(each.points, 0.0) for each in tallies]
    plain = np.stack([theta for theta, _ in fits])
    errors = _joint(tallies, fits, codes, groups)
    defined = groups > 1 and bool(np.diag(errors).max() > 1e-18)
    notes = []
    if groups == 1:
        notes.append("one question: no interval")
    elif not defined:
        notes.append("no variation between games: no interval")
    elif groups < FEW:
        notes.append(f"{groups} questions: the interval is rough")
    enough = len(dimensions) > 1 and m >= 2 * len(dimensions) + SPARE
    theta, covariance, sigma, spreads = plain, errors, None, None
    if defined and enough:
        theta, covariance, sigma, spreads = _shrunk(plain, errors)
    elif len(dimensions) > 1 and not enough:
        notes.append(f"{m} models are too few for the spread over {len(dimensions)} dimensions: nothing is shrunk")
    correlations = _correlations(spreads, dimensions, m, level) if spreads is not None else ()
    notes += [each.statement for each in correlations if each.statement]
    elo = 1000 + ELO * theta
    half = t_quantile(level, groups - 1) * ELO * np.sqrt(np.clip(np.diag(covariance), 0, None)) if defined else None

    def named(values: Floats) -> dict[str, dict[str, float]]:
        return {
            name: dict(zip(models, row.tolist(), strict=True)) for name, row in zip(dimensions, values, strict=True)
        }

    return DimensionFit(
        dimensions=dimensions,
        models=tuple(models),
        theta=named(theta),
        elo=named(elo),
        low=None if half is None else named(elo - half.reshape(elo.shape)),
        high=None if half is None else named(elo + half.reshape(elo.shape)),
        plain=named(1000 + ELO * plain),
        covariance=covariance,
        plain_covariance=errors,
        sigma=None if sigma is None else tuple(tuple(row) for row in sigma.tolist()),
        correlations=correlations,
        games=sum(len(each.scores) for each in tallies),
        clusters=groups,
        level=level,
        note="; ".join(notes),
    )


def _tally(name: str, battles: Sequence[Battle]) -> Tally:
    """The games of a dimension as numbers.

    Raises:
        UserError: no finite fit exists; the message names the dimension.
    """
    try:
        found = tally([left for left, _, _ in battles], [r for _, r, _ in battles], [score for _, _, score in battles])
    except UserError as error:
        raise UserError(f"in {name!r}: {error}") from None
    apart = separation(found.models, found.points)
    if apart:
        raise UserError(f"in {name!r}: separated: {apart}; no finite fit exists")
    return found


def _codes(
    games: Mapping[str, Sequence[Battle]], clusters: Mapping[str, Sequence[Hashable]] | None, dimensions: Sequence[str]
) -> list[Codes]:
    """Cluster numbers of each dimension's games, one numbering for all."""
    if clusters is None:
        return [np.arange(len(games[name]), dtype=np.int64) for name in dimensions]
    every: list[Hashable] = []
    for name in dimensions:
        own = clusters.get(name, ())
        if len(own) != len(games[name]):
            raise UserError(f"in {name!r}: {len(games[name])} games but {len(own)} clusters: give one for each game")
        every.extend(own)
    numbers = cluster_codes(every, len(every))
    ends = np.cumsum([len(games[name]) for name in dimensions])
    return [np.asarray(part) for part in np.split(numbers, ends[:-1])]


def _joint(
    tallies: Sequence[Tally], fits: Sequence[tuple[Floats, Floats]], codes: Sequence[Codes], groups: int
) -> Floats:
    """Joint covariance of all dimensions' θ: H⁻¹ (Σ_c U_c U_c') H⁻¹ over the questions of all, times G/(G-1)."""
    from scipy.sparse import csr_matrix

    m, size = len(tallies[0].models), len(tallies[0].models) * len(tallies)
    values, columns, rows = [], [], []
    bread = np.zeros((size, size))
    for at, (games, (theta, hessian), own) in enumerate(zip(tallies, fits, codes, strict=True)):
        residuals = games.scores - special.expit(theta[games.a] - theta[games.b])
        values += [residuals, -residuals]
        columns += [at * m + games.a, at * m + games.b]
        rows += [own, own]
        bread[at * m : (at + 1) * m, at * m : (at + 1) * m] = np.linalg.inv(hessian + 1 / m) - 1 / m
    where = np.concatenate(rows), np.concatenate(columns)
    scores = csr_matrix((np.concatenate(values), where), (groups, size))
    meat, step = np.zeros((size, size)), max(1, BLOCK // size)
    for start in range(0, groups, step):
        part = scores[start : start + step].toarray()
        meat += part.T @ part
    found: Floats = bread @ meat @ bread
    return found * groups / (groups - 1) if groups > 1 else found


class _Posterior(NamedTuple):
    theta: Floats
    covariance: Floats
    sigma: Floats
    """Mean over draws of the strengths' own spread over models."""
    spreads: Floats
    """Draws of Σ."""


def _shrunk(plain: Floats, errors: Floats) -> _Posterior:
    """Posterior mean and covariance of θ, and draws of Σ, by Gibbs' sampler with a fixed seed.

    In coordinates that leave out each dimension's level (m - 1 orthonormal contrasts of the models) the strengths are
    independent draws of N(0, Σ), whatever μ is. Given them Σ is inverse-Wishart, given Σ they are normal; means and
    covariances of the latter are averaged, not the draws.
    """
    dimensions, m = plain.shape
    k = m - 1
    contrasts = np.linalg.svd(np.full((1, m), 1.0))[2][1:]
    spread = np.kron(np.eye(dimensions), contrasts)
    seen, noise = spread @ plain.ravel(), spread @ errors @ spread.T
    random = np.random.default_rng(0)
    rows = seen.reshape(dimensions, k)
    sigma = rows @ rows.T / k
    root = np.linalg.cholesky(noise + 1e-12 * np.eye(len(noise)))
    means, within, spreads, shown = [], np.zeros_like(noise), [], np.zeros_like(sigma)
    for turn in range(BURN + DRAWS):
        prior = np.kron(sigma, np.eye(k))
        factor = linalg.cho_factor(prior + noise, lower=True, check_finite=False)
        # A draw given what was seen: one drawn blindly, moved by what the sight of it would have been off.
        blind = (np.linalg.cholesky(sigma) @ random.normal(size=(dimensions, k))).ravel()
        off = seen - blind - root @ random.normal(size=len(seen))
        solved = linalg.cho_solve(factor, np.column_stack([seen, off]), check_finite=False)
        mean, drawn = prior @ solved[:, 0], blind + prior @ solved[:, 1]
        if turn >= BURN:
            means.append(mean)
            spreads.append(sigma)
            if turn % EACH == 0:
                within += (prior - prior @ linalg.cho_solve(factor, prior, check_finite=False)) * EACH / DRAWS
        held = drawn.reshape(dimensions, k)
        shown += held @ held.T / k / DRAWS if turn >= BURN else 0.0
        sigma = _inverse_wishart(held @ held.T, k - dimensions - 1, random)
    held = np.stack(means)
    covariance = within + np.cov(held.T)
    theta = (spread.T @ held.mean(axis=0)).reshape(dimensions, m)
    return _Posterior(theta, np.asarray(spread.T @ covariance @ spread), shown, np.stack(spreads))


def _inverse_wishart(scale: Floats, df: int, random: np.random.Generator) -> Floats:
    """A draw of Σ with Σ⁻¹ ~ Wishart(df, scale⁻¹), by Bartlett's decomposition."""
    d = len(scale)
    lower = np.tril(random.normal(size=(d, d)), -1) + np.diag(np.sqrt(random.chisquare(df - np.arange(d))))
    root = np.linalg.solve(lower, np.linalg.cholesky(scale + 1e-12 * np.eye(d)).T)
    found: Floats = root.T @ root
    return found


def _correlations(spreads: Floats, dimensions: Sequence[str], m: int, level: float) -> tuple[Correlation, ...]:
    """Draws of Σ as correlations, each with its interval and, past `ALIKE`, in words."""
    found = []
    for at, one in enumerate(dimensions):
        for to in range(at + 1, len(dimensions)):
            other = dimensions[to]
            drawn = spreads[:, at, to] / np.sqrt(spreads[:, at, at] * spreads[:, to, to])
            low, r, high = (float(end) for end in np.quantile(drawn, ((1 - level) / 2, 0.5, (1 + level) / 2)))
            statement = (
                f"{one} and {other} are not told apart (r = {r:.2f} over {m} models): a difference between them is no "
                "finding unless its own interval says so"
            )
            found.append(
                Correlation(
                    one=one, other=other, r=r, low=low, high=high, statement=statement if abs(r) > ALIKE else ""
                )
            )
    return tuple(found)
