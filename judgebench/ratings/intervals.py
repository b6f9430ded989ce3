"""Intervals of a mean whose scores come in clusters; the question is the sampling unit.

Sources: Miller 2024, "Adding Error Bars to Evals" (clustered standard errors); CR0 and CR1 as in Cameron and Miller
2015; Wilson 1927; Clopper and Pearson 1934; type-7 quantiles of Hyndman and Fan 1996.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt
from scipy import special

from judgebench.errors import UserError
from judgebench.types import Record

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

FLAT = 1e-12
"""A standard error below this is no variation at all, only rounding."""


class ClusteredError(Record, frozen=True, kw_only=True):
    """Standard errors of a mean; None where too few scores or clusters are there to define one."""

    mean: float
    """Mean over all scores."""
    n: int
    """Scores."""
    clusters: int
    """Clusters."""
    clt: float | None
    """sd (ddof 1) / sqrt n: right only if no two scores share a question."""
    miller: float | None
    """Miller's clustered error: the CLT variance plus the cross products within clusters."""
    cr0: float | None
    """Cluster-robust, no small-sample factor."""
    cr1: float | None
    """CR0 times sqrt(G/(G-1)); the factor of a regression on a constant."""
    design_effect: float | None
    """CR0 variance over CLT variance."""


class Estimate(Record, frozen=True, kw_only=True):
    """A mean with its interval; what is undefined is None and ``note`` says why."""

    value: float | None
    """The mean."""
    low: float | None = None
    """Lower end."""
    high: float | None = None
    """Upper end."""
    se: float | None = None
    """Standard error."""
    n: int = 0
    """Scores."""
    clusters: int = 0
    """Clusters."""
    note: str = ""
    """What a reader must know."""


def cluster_codes(clusters: Sequence[Hashable] | None, n: int) -> Codes:
    """0-based cluster number of every score, in order of first appearance; None puts each score in its own cluster.

    Raises:
        UserError: there is not one cluster for each score.
    """
    if clusters is None:
        return np.arange(n, dtype=np.int64)
    if len(clusters) != n:
        raise UserError(f"{n} scores but {len(clusters)} clusters: give one cluster for each score")
    if isinstance(clusters, np.ndarray):
        if np.issubdtype(clusters.dtype, np.integer) and n and int(np.ptp(clusters)) < 4 * n:
            return _renumbered(clusters - clusters.min())
        clusters = clusters.tolist()
    index = {cluster: number for number, cluster in enumerate(dict.fromkeys(clusters))}
    return np.fromiter(map(index.__getitem__, clusters), dtype=np.int64, count=n)


def _renumbered(numbers: Codes) -> Codes:
    """Numbers from 0 in order of first appearance."""
    first = np.full(int(numbers.max()) + 1, len(numbers))
    first[numbers[::-1]] = np.arange(len(numbers))[::-1]  # of repeated places the last written stays: the first seen
    seen = np.flatnonzero(first < len(numbers))
    rank = np.empty(len(first), dtype=np.int64)
    rank[seen[np.argsort(first[seen])]] = np.arange(len(seen))
    return np.asarray(rank[numbers], dtype=np.int64)


def finite(scores: Sequence[float]) -> Floats:
    """The scores as an array.

    Raises:
        UserError: one of them is not a finite number; unscored verdicts are left out before, never given as NaN.
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 1:
        raise UserError(f"scores must be one flat sequence, not of shape {values.shape}")
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise UserError(f"score {bad[0]} is {values[bad[0]]}: leave unscored verdicts out and count them")
    return values


def clustered_error(scores: Sequence[float], clusters: Sequence[Hashable] | None = None) -> ClusteredError:
    """The standard errors of a mean: plain, Miller's clustered, CR0 and CR1.

    Miller: SE² = SE_clt² + n⁻² Σ_c Σ_{i≠j in c} (s_i - m)(s_j - m). CR0 = sqrt(Σ_c (Σ_{i in c} (s_i - m))²) / n and
    CR1 = CR0 · sqrt(G / (G - 1)) (Miller 2024, section 2.2; Cameron and Miller 2015, section II).

    Args:
        scores: n numbers of any unit.
        clusters: what they share, one hashable each; None means nothing.

    Raises:
        UserError: no scores, a score that is not finite, or lengths that differ.
    """
    values = finite(scores)
    n = len(values)
    if n == 0:
        raise UserError("no scores: a mean of nothing is undefined")
    codes = cluster_codes(clusters, n)
    groups = int(codes.max()) + 1
    mean = float(values.mean())
    residuals = values - mean
    sums = np.bincount(codes, weights=residuals)
    between, within = float(sums @ sums), float(residuals @ residuals)
    clt = math.sqrt(within / (n - 1) / n) if n > 1 else None
    cr0 = math.sqrt(between) / n if groups > 1 else None
    # Strong negative correlation within clusters can push Miller's sum below zero: its variance is then nil.
    miller = math.sqrt(max(0.0, clt**2 + (between - within) / n**2)) if clt is not None and groups > 1 else None
    return ClusteredError(
        mean=mean,
        n=n,
        clusters=groups,
        clt=clt,
        miller=miller,
        cr0=cr0,
        cr1=None if cr0 is None else cr0 * math.sqrt(groups / (groups - 1)),
        design_effect=None if cr0 is None or not clt else cr0**2 / clt**2,
    )


def normal_quantile(level: float) -> float:
    """Two-sided standard normal quantile: 1.96 for a level of 0.95."""
    return float(special.ndtri(0.5 + level / 2))


def t_quantile(level: float, df: float) -> float:
    """Two-sided quantile of Student's t with ``df`` degrees of freedom."""
    return float(special.stdtrit(df, 0.5 + level / 2))


def normal_interval(mean: float, se: float, level: float = 0.95) -> tuple[float, float]:
    """Low and high of mean ± z · se."""
    half = normal_quantile(level) * se
    return mean - half, mean + half


def t_interval(mean: float, se: float, df: float, level: float = 0.95) -> tuple[float, float]:
    """Low and high of mean ± t · se; ``df`` is the number of clusters less one."""
    half = t_quantile(level, df) * se
    return mean - half, mean + half


def wilson(successes: float, n: float, level: float = 0.95, quantile: float | None = None) -> tuple[float, float]:
    """Wilson's score interval of a share (Wilson 1927); fractional successes and an effective n are welcome.

    Args:
        successes: 0 to n.
        n: trials, above 0.
        level: coverage; ignored where ``quantile`` is given.
        quantile: the z (or t) to use in its place.

    Raises:
        UserError: n is not above 0, or successes are outside 0…n.
    """
    if not n > 0 or not 0 <= successes <= n:
        raise UserError(f"a share needs 0 <= successes <= n and n > 0, found {successes} of {n}")
    z = normal_quantile(level) if quantile is None else quantile
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, centre - half), min(1.0, centre + half)


def clopper_pearson(successes: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """The exact interval of a binomial share (Clopper and Pearson 1934): never covers less than its level.

    Raises:
        UserError: n is not above 0, or successes are outside 0…n.
    """
    if n <= 0 or not 0 <= successes <= n:
        raise UserError(f"a share needs 0 <= successes <= n and n > 0, found {successes} of {n}")
    tail = (1 - level) / 2
    low = 0.0 if successes == 0 else float(special.betaincinv(successes, n - successes + 1, tail))
    high = 1.0 if successes == n else float(special.betaincinv(successes + 1, n - successes, 1 - tail))
    return low, high


def clustered_interval(
    scores: Sequence[float], clusters: Sequence[Hashable] | None = None, level: float = 0.95
) -> Estimate:
    """The default interval of this project for a mean of scores in [0, 1].

    Wilson's formula at the effective sample size m(1-m)/SE², SE being CR1, with Student's quantile of G-1 degrees of
    freedom: it stays in [0, 1], leans the right way near the edges, and is within O(1/n) of m ± t·CR1 elsewhere. At the
    edges, where every score is 0 or every score is 1, it is Clopper–Pearson on the G questions, which is valid for any
    distribution on [0, 1], as P(score = 1) <= mean. Where all scores are equal in between (all ties), it is Wilson with
    G as the effective size, and the note says so. One question has no interval.

    Raises:
        UserError: a score outside [0, 1] or not finite, or lengths that differ.
    """
    values = finite(scores)
    if len(values) == 0:
        return Estimate(value=None, note="no scores")
    if values.min() < 0 or values.max() > 1:
        raise UserError(f"scores must lie in [0, 1], found {values.min():g} to {values.max():g}")
    error = clustered_error(scores, clusters)
    mean, groups, se = error.mean, error.clusters, error.cr1
    if se is None:
        note = "one question: no interval"
        return Estimate(value=mean, n=error.n, clusters=groups, note=note)
    if values.min() == values.max() and mean in (0.0, 1.0):
        low, high = clopper_pearson(groups if mean else 0, groups, level)
        note = f"every score is {mean:g}: Clopper-Pearson on the questions"
        return Estimate(value=mean, low=low, high=high, se=0.0, n=error.n, clusters=groups, note=note)
    flat = se < FLAT
    effective = float(groups) if flat else mean * (1 - mean) / se**2
    low, high = wilson(mean * effective, effective, quantile=t_quantile(level, groups - 1))
    note = "no variation between questions: Wilson on their number" if flat else ""
    return Estimate(value=mean, low=low, high=high, se=0.0 if flat else se, n=error.n, clusters=groups, note=note)


def clustered_t_interval(
    scores: Sequence[float], clusters: Sequence[Hashable] | None = None, level: float = 0.95
) -> Estimate:
    """Mean ± t(G-1) · CR1, for scores without known bounds; no variation or one question has no interval.

    Raises:
        UserError: a score that is not finite, or lengths that differ.
    """
    if len(scores) == 0:
        return Estimate(value=None, note="no scores")
    error = clustered_error(scores, clusters)
    if error.cr1 is None:
        return Estimate(value=error.mean, n=error.n, clusters=error.clusters, note="one question: no interval")
    if error.cr1 < FLAT * max(1.0, abs(error.mean)):
        note = "no variation between questions: no interval"
        return Estimate(value=error.mean, se=0.0, n=error.n, clusters=error.clusters, note=note)
    low, high = t_interval(error.mean, error.cr1, error.clusters - 1, level)
    return Estimate(value=error.mean, low=low, high=high, se=error.cr1, n=error.n, clusters=error.clusters)


def cluster_bootstrap(
    scores: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    *,
    strata: Sequence[Hashable] | None = None,
    draws: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    indices: Sequence[Sequence[int]] | None = None,
) -> Estimate:
    """Percentile interval of the mean over whole clusters drawn with replacement; type-7 quantiles.

    Args:
        scores: n numbers.
        clusters: what they share; clusters are numbered by first appearance.
        strata: a stratum for each score (a category): as many clusters are drawn from each as it has.
        draws: number of resamples, B.
        seed: of numpy's default generator; B and seed are in the note.
        level: coverage.
        indices: cluster numbers of every draw, B rows, in place of drawing.

    Returns:
        Estimate whose ``se`` is the sd (ddof 1) over the draws; without an interval where no draw differs from another.

    Raises:
        UserError: a cluster in two strata, fewer than two draws, an index out of range, or lengths that differ.
    """
    values = finite(scores)
    if len(values) == 0:
        return Estimate(value=None, note="no scores")
    codes = cluster_codes(clusters, len(values))
    groups = int(codes.max()) + 1
    if groups == 1:
        return Estimate(value=float(values.mean()), n=len(values), clusters=1, note="one question: no interval")
    sums: Floats = np.bincount(codes, weights=values).astype(np.float64)
    sizes: Floats = np.bincount(codes).astype(np.float64)
    if indices is not None:
        given = np.asarray(indices, dtype=np.int64)
        if given.ndim != 2 or len(given) < 2 or given.min() < 0 or given.max() >= groups:
            raise UserError(f"indices must be at least two rows of cluster numbers below {groups}")
        means, origin = sums[given].sum(axis=1) / sizes[given].sum(axis=1), f"B={len(given)}, given indices"
    else:
        if draws < 2:
            raise UserError(f"a bootstrap needs at least two draws, found {draws}")
        means = _resampled_means(sums, sizes, _strata_members(codes, strata, groups), draws, seed)
        origin = f"B={draws}, seed={seed}"
    if np.ptp(means) < FLAT:
        note = f"no variation between questions: no interval ({origin})"
        return Estimate(value=float(values.mean()), se=0.0, n=len(values), clusters=groups, note=note)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], method="linear")
    return Estimate(
        value=float(values.mean()),
        low=float(low),
        high=float(high),
        se=float(means.std(ddof=1)),
        n=len(values),
        clusters=groups,
        note=f"cluster bootstrap: {origin}",
    )


def _strata_members(codes: Codes, strata: Sequence[Hashable] | None, groups: int) -> list[Codes]:
    """The cluster numbers of each stratum."""
    if strata is None:
        return [np.arange(groups, dtype=np.int64)]
    of_score = cluster_codes(strata, len(codes))
    of_cluster = np.zeros(groups, dtype=np.int64)
    of_cluster[codes] = of_score
    if (of_cluster[codes] != of_score).any():
        raise UserError("a cluster lies in two strata: a question has one category")
    return [np.flatnonzero(of_cluster == stratum) for stratum in range(int(of_score.max()) + 1)]


def _resampled_means(sums: Floats, sizes: Floats, members: list[Codes], draws: int, seed: int) -> Floats:
    """One mean for each draw, in blocks so that memory stays flat in their number."""
    random = np.random.default_rng(seed)
    block = max(1, min(draws, 4_000_000 // len(sums)))
    means = []
    for start in range(0, draws, block):
        rows = min(block, draws - start)
        total, size = np.zeros(rows), np.zeros(rows)
        for clusters in members:
            drawn = clusters[random.integers(0, len(clusters), size=(rows, len(clusters)))]
            total += sums[drawn].sum(axis=1)
            size += sizes[drawn].sum(axis=1)
        means.append(total / size)
    return np.concatenate(means)
