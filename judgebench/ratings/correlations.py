"""Correlations of two raters' numbers: over things rated, within documents, and between the leaderboards they make.

Sources: Spearman 1904; Kendall 1945 (tau-b); Stuart 1953 (tau-c); the per-document correlation of G-Eval's
meta-evaluation (Liu et al. 2023, section 4), as SummEval's is computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from judgebench.errors import UserError, did_you_mean
from judgebench.ratings.intervals import Estimate, Floats, clustered_t_interval
from judgebench.ratings.label_tables import label_pairs, missing, ratio
from judgebench.ratings.resampling import RESAMPLE, Resample, bootstrap_sums, same_length, with_interval
from judgebench.types import Record

Method = Literal["spearman", "kendall", "pearson"]
METHODS: tuple[Method, ...] = ("spearman", "kendall", "pearson")
Numbers = Sequence[float | None]

CONSTANT = "undefined: one side does not vary"
"""Why a correlation has no value."""
MOST_CELLS = 5_000_000
"""Past this many numbers draws are computed one by one."""


class DocumentCorrelation(Record, frozen=True, kw_only=True):
    """A correlation within documents, averaged over them."""

    mean: Estimate
    """Mean over documents, t over clusters."""
    documents: int
    """Documents that entered."""
    skipped: int
    """Documents on which a side is constant or has fewer than two numbers: their correlation is undefined."""
    by_document: dict[str, float]
    """Document → its correlation."""


def spearman(
    first: Numbers, second: Numbers, *, clusters: Sequence[Hashable] | None = None, resample: Resample = RESAMPLE
) -> Estimate:
    """Spearman's rank correlation, ties at their mean rank.

    Args:
        first: the one rater's numbers; None or NaN is missing, and its row is left out.
        second: the other's.
        clusters: the question of each row, for the interval.
        resample: draws, seed and level of the interval.

    Raises:
        UserError: lengths differ.
    """
    return _of_grid(_spearman, first, second, clusters, resample)


def kendall_tau_b(
    first: Numbers, second: Numbers, *, clusters: Sequence[Hashable] | None = None, resample: Resample = RESAMPLE
) -> Estimate:
    """Kendall's tau-b, corrected for ties on either side. Args: as `spearman`."""
    return _of_grid(_tau_b, first, second, clusters, resample)


def kendall_tau_c(
    first: Numbers, second: Numbers, *, clusters: Sequence[Hashable] | None = None, resample: Resample = RESAMPLE
) -> Estimate:
    """Stuart's tau-c, for scales of different lengths. Args: as `spearman`."""
    return _of_grid(_tau_c, first, second, clusters, resample)


def pearson(
    first: Numbers, second: Numbers, *, clusters: Sequence[Hashable] | None = None, resample: Resample = RESAMPLE
) -> Estimate:
    """Pearson's linear correlation. Args: as `spearman`."""
    rows = [(a, b) for a, b in zip(first, second, strict=False) if not missing(a) and not missing(b)]
    same_length([first, second] if clusters is None else [first, second, clusters])
    note = _left_out(len(first) - len(rows), len(first))
    if len(rows) < 2:
        return Estimate(value=None, n=len(rows), note="; ".join(filter(None, ("fewer than two rows", note))))
    values: Floats = np.array(rows, dtype=np.float64)
    if not np.isfinite(values).all():
        raise UserError("Pearson's correlation takes finite numbers")
    for side in (0, 1):
        values[:, side] -= values[:, side].mean()
        spread = np.ptp(values[:, side])
        values[:, side] *= 1 / spread if spread > 0 else 0.0
    a, b = values[:, 0], values[:, 1]
    parts = np.column_stack([np.ones(len(a)), a, b, a * a, b * b, a * b])
    of_rows = None if clusters is None else _whole(first, second, clusters)
    return bootstrap_sums(parts, _moments, of_rows, resample, note=note, undefined=CONSTANT)


def correlation(
    first: Numbers,
    second: Numbers,
    method: Method = "spearman",
    *,
    clusters: Sequence[Hashable] | None = None,
    resample: Resample = RESAMPLE,
) -> Estimate:
    """`spearman`, `kendall_tau_b` or `pearson`, by name.

    Raises:
        UserError: an unknown method.
    """
    if method not in METHODS:
        raise UserError(f"no correlation is called {method!r}: {did_you_mean(method, METHODS)}")
    chosen: Callable[..., Estimate] = {"spearman": spearman, "kendall": kendall_tau_b, "pearson": pearson}[method]
    return chosen(first, second, clusters=clusters, resample=resample)


def document_correlation(
    documents: Sequence[Hashable],
    first: Numbers,
    second: Numbers,
    method: Method = "spearman",
    *,
    clusters: Sequence[Hashable] | None = None,
    level: float = 0.95,
) -> DocumentCorrelation:
    """Mean over documents of the correlation within each; documents on which a side is constant are counted apart.

    Args:
        documents: the document of each row.
        first: the judge's numbers.
        second: the people's.
        method: ``spearman``, ``kendall`` (tau-b) or ``pearson``.
        clusters: what the rows of a document share with other documents; documents are the clusters by default.
        level: coverage.

    Raises:
        UserError: lengths differ, or an unknown method.
    """
    same_length([documents, first, second] if clusters is None else [documents, first, second, clusters])
    rows: dict[Hashable, list[int]] = {}
    for place, document in enumerate(documents):
        rows.setdefault(document, []).append(place)
    found: dict[str, float] = {}
    shared: list[Hashable] = []
    for document, places in rows.items():
        value = correlation([first[place] for place in places], [second[place] for place in places], method).value
        if value is not None:
            found[str(document)] = value
            shared.append(document if clusters is None else clusters[places[0]])
    return DocumentCorrelation(
        mean=clustered_t_interval(list(found.values()), shared, level),
        documents=len(found),
        skipped=len(rows) - len(found),
        by_document=found,
    )


def leaderboard_correlation(
    models: Sequence[str],
    first: Numbers,
    second: Numbers,
    method: Method = "spearman",
    *,
    clusters: Sequence[Hashable] | None = None,
    resample: Resample = RESAMPLE,
) -> Estimate:
    """The correlation of two leaderboards: models' mean scores by one rater against those by the other.

    Questions are drawn, means made anew and correlated: so the interval says how firm the two orders are, not only how
    many models there are. ``n`` counts models.

    Args:
        models: the model that each row is a score of.
        first: the one rater's scores; a row that lacks either is left out.
        second: the other's.
        method: ``spearman``, ``kendall`` (tau-b) or ``pearson``.
        clusters: the question of each row, for the interval.
        resample: draws, seed and level of the interval.

    Raises:
        UserError: lengths differ, a model is not named, or an unknown method.
    """
    if method not in METHODS:
        raise UserError(f"no correlation is called {method!r}: {did_you_mean(method, METHODS)}")
    same_length([models, first, second] if clusters is None else [models, first, second, clusters])
    if any(map(missing, models)):
        raise UserError("a leaderboard needs the model of each row")
    whole = [row for row in range(len(models)) if not missing(first[row]) and not missing(second[row])]
    names = sorted({models[row] for row in whole})
    note = _left_out(len(models) - len(whole), len(models))
    if len(names) < 3:
        return Estimate(value=None, n=len(names), note="; ".join(filter(None, ("fewer than three models", note))))
    places = {name: place for place, name in enumerate(names)}
    parts = np.zeros((len(whole), len(names), 3))
    for at, row in enumerate(whole):
        parts[at, places[models[row]]] = 1.0, first[row], second[row]

    def of_means(sums: Floats) -> Floats:
        means = ratio(sums[..., 1:], sums[..., :1])
        return _by_column(means[..., 0], means[..., 1], method)

    of_rows = None if clusters is None else [clusters[row] for row in whole]
    found = bootstrap_sums(parts, of_means, of_rows, resample, note=note, undefined=CONSTANT)
    return Estimate(
        value=found.value, low=found.low, high=found.high, se=found.se, n=len(names), clusters=found.clusters,
        note=found.note,
    )  # fmt: skip


def _left_out(count: int, rows: int) -> str:
    return f"{count} of {rows} rows lack a number and are left out" if count else ""


def _whole(first: Numbers, second: Numbers, clusters: Sequence[Hashable]) -> list[Hashable]:
    rows = zip(first, second, clusters, strict=True)
    return [cluster for a, b, cluster in rows if not missing(a) and not missing(b)]


def _of_grid(
    finish: Callable[[Floats], Floats],
    first: Numbers,
    second: Numbers,
    clusters: Sequence[Hashable] | None,
    resample: Resample,
) -> Estimate:
    """A rank correlation out of the table of both sides' distinct values."""
    same_length([first, second] if clusters is None else [first, second, clusters])
    pairs = label_pairs(_floats(first), _floats(second), None, clusters)
    note = _left_out(pairs.left_out, len(first))
    n = len(pairs.codes)
    if n < 2:
        return Estimate(value=None, n=n, note="; ".join(filter(None, ("fewer than two rows", note))))
    (rows, a), (columns, b) = (np.unique(pairs.codes[:, side], return_inverse=True) for side in (0, 1))
    if n * len(rows) * len(columns) > MOST_CELLS:
        sides = [a.tolist(), b.tolist()]
        if clusters is None:
            return _loose(finish, sides[0], sides[1], note)
        found = with_interval(lambda one, two: _loose(finish, one, two, note), sides, pairs.clusters, *resample)
        return found
    parts = np.zeros((n, len(rows), len(columns)))
    parts[np.arange(n), a, b] = 1.0
    return bootstrap_sums(parts, finish, pairs.clusters, resample, note=note, undefined=CONSTANT)


def _floats(numbers: Numbers) -> list[float | None]:
    return [None if number is None or missing(number) else float(number) for number in numbers]


def _loose(finish: Callable[[Floats], Floats], first: Sequence[int], second: Sequence[int], note: str) -> Estimate:
    """The same of one set of rows with many distinct values."""
    from scipy import stats

    if len(set(first)) < 2 or len(set(second)) < 2:
        return Estimate(value=None, n=len(first), note=CONSTANT)
    if finish is _spearman:
        value = float(stats.spearmanr(first, second).statistic)
    else:
        variant: Any = "b" if finish is _tau_b else "c"
        value = float(stats.kendalltau(first, second, variant=variant).statistic)
    return Estimate(value=value, n=len(first), clusters=len(first), note=note)


def _ranks(totals: Floats) -> Floats:
    """Mean rank of each value from how often it occurs."""
    ranks: Floats = np.cumsum(totals, axis=-1) - (totals - 1) / 2
    return ranks


def _spearman(tables: Floats) -> Floats:
    x, y = _ranks(tables.sum(axis=-1)), _ranks(tables.sum(axis=-2))
    n = tables.sum(axis=(-2, -1))
    rows, columns = tables.sum(axis=-1), tables.sum(axis=-2)
    middle = ((n + 1) / 2)[:, None]
    x, y = x - middle, y - middle
    top = (tables * x[:, :, None] * y[:, None, :]).sum(axis=(-2, -1))
    return ratio(top, np.sqrt((rows * x**2).sum(axis=-1) * (columns * y**2).sum(axis=-1)))


def _concordance(tables: Floats) -> Floats:
    """Concordant less discordant pairs."""
    below = np.flip(np.cumsum(np.flip(tables, axis=-2), axis=-2), axis=-2) - tables  # rows further down
    right = np.flip(np.cumsum(np.flip(below, axis=-1), axis=-1), axis=-1) - below
    left = np.cumsum(below, axis=-1) - below
    net: Floats = (tables * (right - left)).sum(axis=(-2, -1))
    return net


def _tau_b(tables: Floats) -> Floats:
    n = tables.sum(axis=(-2, -1))
    pairs = n * (n - 1) / 2
    tied = [(totals * (totals - 1) / 2).sum(axis=-1) for totals in (tables.sum(axis=-1), tables.sum(axis=-2))]
    return ratio(_concordance(tables), np.sqrt((pairs - tied[0]) * (pairs - tied[1])))


def _tau_c(tables: Floats) -> Floats:
    n = tables.sum(axis=(-2, -1))
    used = [(tables.sum(axis=axis) > 0).sum(axis=-1) for axis in (-1, -2)]
    m = np.minimum(used[0], used[1]).astype(np.float64)
    return ratio(2 * _concordance(tables) * m, n**2 * (m - 1))


def _moments(sums: Floats) -> Floats:
    n, a, b, aa, bb, ab = (sums[:, column] for column in range(6))
    spread = np.clip(aa - a * a / n, 0, None) * np.clip(bb - b * b / n, 0, None)
    return ratio(ab - a * b / n, np.sqrt(spread))


def _by_column(first: Floats, second: Floats, method: Method) -> Floats:
    """The correlation of each row of two matrices; NaN where a row holds one or does not vary."""
    whole: npt.NDArray[np.bool_] = np.asarray(np.isfinite(first + second).all(axis=-1), dtype=np.bool_)
    values = np.full(len(first), math.nan)
    x, y = first[whole], second[whole]
    if not len(x):
        return values
    if method == "kendall":
        dx, dy = (np.sign(np.round(side[:, :, None] - side[:, None, :], 12)) for side in (x, y))
        values[whole] = ratio(
            (dx * dy).sum(axis=(-2, -1)), np.sqrt((dx**2).sum(axis=(-2, -1)) * (dy**2).sum(axis=(-2, -1)))
        )
        return values
    if method == "spearman":
        from scipy.stats import rankdata

        x, y = (np.asarray(rankdata(np.round(side, 12), axis=-1), dtype=np.float64) for side in (x, y))
    x, y = x - x.mean(axis=-1, keepdims=True), y - y.mean(axis=-1, keepdims=True)
    values[whole] = ratio((x * y).sum(axis=-1), np.sqrt((x**2).sum(axis=-1) * (y**2).sum(axis=-1)))
    return values
