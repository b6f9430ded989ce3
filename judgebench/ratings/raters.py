"""Agreement among any number of raters: Fleiss, Krippendorff, majority votes, everyone against the others.

Ratings are given as one row for each thing rated and one column for each rater; None or NaN is missing.

Sources: Fleiss 1971; Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability"; the human agreement of
AlpacaEval's analyzer (Dubois et al. 2023, appendix).
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from judgebench.errors import UserError, did_you_mean
from judgebench.ratings.agreement import accuracy
from judgebench.ratings.intervals import Estimate, Floats
from judgebench.ratings.label_tables import ONE_LABEL, Label, labels_of, missing, ratio
from judgebench.ratings.resampling import RESAMPLE, Resample, bootstrap_sums, same_length

Metric = Literal["nominal", "ordinal", "interval", "ratio"]
METRICS = ("nominal", "ordinal", "interval", "ratio")
MOST_CELLS = 30_000_000
"""Past this many numbers an interval of alpha is not drawn: values so fine are better correlated."""


class Stacked(NamedTuple):
    """Two raters' labels of many pairs of raters, one below the other."""

    first: list[Label]
    """One rater's label."""
    second: list[Label]
    """What it is compared with."""
    rows: list[int]
    """Row of the ratings that each comes from."""


def fleiss_kappa(
    ratings: Sequence[Sequence[Label]],
    labels: Sequence[Label] | None = None,
    *,
    clusters: Sequence[Hashable] | None = None,
    resample: Resample = RESAMPLE,
) -> Estimate:
    """Fleiss' kappa of three or more raters, everything rated by equally many (Fleiss 1971).

    Args:
        ratings: a row for each thing rated; rows that lack a rating are left out and counted in the note.
        labels: which there are; those found, by default.
        clusters: the question of each row, for the interval.
        resample: draws, seed and level of the interval.

    Raises:
        UserError: rows of different lengths, fewer than two raters, or a label not among ``labels``.
    """
    if len({len(row) for row in ratings}) > 1:
        raise UserError("rows of one length are needed: a column for each rater, None where one gave no label")
    whole = [place for place, row in enumerate(ratings) if not any(map(missing, row))]
    counts, _ = _counted([ratings[place] for place in whole], labels)
    left_out = len(ratings) - len(whole)
    note = f"{left_out} of {len(ratings)} rows lack a rating and are left out" if left_out else ""
    return fleiss_kappa_of_counts(
        counts.tolist(), clusters=_kept(clusters, whole, len(ratings)), resample=resample, note=note
    )


def fleiss_kappa_of_counts(
    counts: Sequence[Sequence[float]],
    *,
    clusters: Sequence[Hashable] | None = None,
    resample: Resample = RESAMPLE,
    note: str = "",
) -> Estimate:
    """Fleiss' kappa of a table: a row for each thing rated, a column for each label, how many raters gave it.

    Raises:
        UserError: rows whose counts sum to different numbers of raters, or to fewer than two.
    """
    table = np.asarray(counts, dtype=np.float64)
    if not len(table):
        return Estimate(value=None, note="; ".join(filter(None, ("no ratings", note))))
    raters = set(table.sum(axis=1).tolist())
    if len(raters) > 1 or not 2 <= min(raters) < math.inf or table.min() < 0:
        raise UserError(
            f"Fleiss' kappa needs equally many raters, two at least, for each thing; found {sorted(raters)}"
        )
    n = raters.pop()
    agreed = ((table**2).sum(axis=1) - n) / (n * (n - 1))
    parts = np.column_stack([np.ones(len(table)), agreed, table])

    def kappa(sums: Floats) -> Floats:
        shares = sums[:, 2:] / (sums[:, :1] * n)
        chance = (shares**2).sum(axis=1)
        return ratio(sums[:, 1] / sums[:, 0] - chance, 1.0 - chance)

    return bootstrap_sums(parts, kappa, clusters, resample, note=note, undefined=ONE_LABEL)


def krippendorff_alpha(
    ratings: Sequence[Sequence[Label]],
    metric: Metric = "nominal",
    labels: Sequence[Label] | None = None,
    *,
    clusters: Sequence[Hashable] | None = None,
    resample: Resample = RESAMPLE,
) -> Estimate:
    """Krippendorff's alpha: 1 - observed / expected disagreement, any number of raters, missing ratings allowed.

    Args:
        ratings: a row for each thing rated, a column for each rater (not the other way round); rows with fewer than
            two ratings say nothing and are counted in the note.
        metric: how labels differ: ``nominal`` (1), ``ordinal`` (ranks between them), ``interval`` (difference squared)
            or ``ratio`` (difference over sum, squared).
        labels: in order; those found, sorted, by default. Ordinal alphas depend on it.
        clusters: the question of each row, for the interval.
        resample: draws, seed and level of the interval.

    Raises:
        UserError: an unknown metric, labels that are no numbers where the metric needs them, or one not among
            ``labels``.
    """
    if metric not in METRICS:
        raise UserError(f"no metric of alpha is called {metric!r}: {did_you_mean(metric, METRICS)}")
    kept = [place for place, row in enumerate(ratings) if sum(not missing(label) for label in row) > 1]
    counts, names = _counted([ratings[place] for place in kept], labels)
    left_out = len(ratings) - len(kept)
    note = f"{left_out} of {len(ratings)} rows have fewer than two ratings" if left_out else ""
    if not kept:
        return Estimate(value=None, note="; ".join(filter(None, ("no row has two ratings", note))))
    values = _numbers(names, metric)
    k = len(names)
    of_rows = _kept(clusters, kept, len(ratings))
    large = len(kept) * k * k > MOST_CELLS
    if large and of_rows is not None:
        of_rows, note = None, "; ".join(filter(None, (note, f"{k} values: no interval is drawn")))
    weights = 1.0 / (counts.sum(axis=1) - 1)
    if large:
        whole = (counts.T * weights) @ counts - np.diag((counts * weights[:, None]).sum(axis=0))
        value = float(_alpha(whole[None], values, metric)[0])
        if np.isnan(value):
            return Estimate(value=None, n=len(kept), clusters=len(kept), note=ONE_LABEL)
        return Estimate(value=value, n=len(kept), clusters=len(kept), note=note)
    parts = counts[:, :, None] * counts[:, None, :]
    parts[:, np.arange(k), np.arange(k)] -= counts
    parts *= weights[:, None, None]
    return bootstrap_sums(
        parts, lambda tables: _alpha(tables, values, metric), of_rows, resample, note=note, undefined=ONE_LABEL
    )


def majority_vote(labels: Sequence[Label], split: Label = None) -> Label:
    """The label that more raters gave than any other; ``split`` where several share the most, or nobody gave one.

    >>> majority_vote(["A", "B", "A", None]), majority_vote(["A", "B"]), majority_vote(["A", "B"], "tie")
    ('A', None, 'tie')
    """
    counts = Counter(label for label in labels if not missing(label)).most_common(2)
    if not counts or (len(counts) == 2 and counts[0][1] == counts[1][1]):
        return split
    return counts[0][0]


def majority_votes(ratings: Sequence[Sequence[Label]], split: Label = None) -> list[Label]:
    """The majority vote of every row."""
    return [majority_vote(row, split) for row in ratings]


def all_pairs(ratings: Sequence[Sequence[Label]]) -> Stacked:
    """Every two raters' labels of every row that both rated, one below the other."""
    found = Stacked([], [], [])
    for place, row in enumerate(ratings):
        for a, b in itertools.combinations(row, 2):
            if not missing(a) and not missing(b):
                found.first.append(a)
                found.second.append(b)
                found.rows.append(place)
    return found


def against_the_others(ratings: Sequence[Sequence[Label]], split: Label = None) -> Stacked:
    """Every rater's label against the majority of the others, one below the other; a split majority is ``split``."""
    found = Stacked([], [], [])
    for place, row in enumerate(ratings):
        for column, label in enumerate(row):
            others = [other for where, other in enumerate(row) if where != column and not missing(other)]
            if not missing(label) and others:
                found.first.append(label)
                found.second.append(majority_vote(others, split))
                found.rows.append(place)
    return found


def pairwise_agreement(
    ratings: Sequence[Sequence[Label]],
    statistic: Callable[..., Estimate] = accuracy,
    *,
    clusters: Sequence[Hashable] | None = None,
    resample: Resample = RESAMPLE,
) -> Estimate:
    """A statistic of two raters over all pairs of raters, pooled: what people agree with one another.

    Args:
        ratings: a row for each thing rated.
        statistic: of `judgebench.ratings.agreement`.
        clusters: the question of each row; rows are questions by default.
        resample: draws, seed and level of the interval.
    """
    return _of_stacked(all_pairs(ratings), statistic, clusters, len(ratings), resample)


def leave_one_out_agreement(
    ratings: Sequence[Sequence[Label]],
    statistic: Callable[..., Estimate] = accuracy,
    *,
    clusters: Sequence[Hashable] | None = None,
    resample: Resample = RESAMPLE,
) -> Estimate:
    """A statistic of each rater against the majority of the others, pooled: the human ceiling of AlpacaEval.

    Args: as `pairwise_agreement`. Where the others are split, the row has no label and is counted in the note.
    """
    return _of_stacked(against_the_others(ratings), statistic, clusters, len(ratings), resample)


def _of_stacked(
    stacked: Stacked,
    statistic: Callable[..., Estimate],
    clusters: Sequence[Hashable] | None,
    rows: int,
    resample: Resample,
) -> Estimate:
    if clusters is not None:
        same_length([range(rows), clusters])
    names: Sequence[Hashable] = range(rows) if clusters is None else clusters
    of_pairs = [names[row] for row in stacked.rows]
    return statistic(stacked.first, stacked.second, clusters=of_pairs, resample=resample)


def _counted(rows: Sequence[Sequence[Label]], labels: Sequence[Label] | None) -> tuple[Floats, list[Any]]:
    """(rows, labels): how many raters gave each label; and the labels."""
    names = labels_of([label for row in rows for label in row if not missing(label)], labels)
    places = {name: place for place, name in enumerate(names)}
    counts = np.zeros((len(rows), len(names)))
    for place, row in enumerate(rows):
        for label in row:
            if not missing(label):
                counts[place, places[label]] += 1
    return counts, names


def _kept(clusters: Sequence[Hashable] | None, places: Sequence[int], rows: int) -> list[Hashable] | None:
    if clusters is None:
        return None
    same_length([range(rows), clusters])
    return [clusters[place] for place in places]


def _numbers(names: Sequence[Any], metric: Metric) -> Floats:
    if metric in ("nominal", "ordinal"):
        return np.arange(len(names), dtype=np.float64)
    try:
        return np.array([float(name) for name in names], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UserError(f"alpha by {metric} needs numbers, found {names[0]!r}") from error


def _alpha(tables: Floats, values: Floats, metric: Metric) -> Floats:
    """Alpha of coincidence tables, (draws, labels, labels)."""
    totals = tables.sum(axis=-1)
    n = totals.sum(axis=-1)
    if metric == "ordinal":
        before = np.cumsum(totals, axis=-1)
        middle = before - totals / 2
        cost: Floats = (middle[:, :, None] - middle[:, None, :]) ** 2
    else:
        gap = values[:, None] - values[None, :]
        if metric == "nominal":
            gap = (gap != 0).astype(np.float64)
        elif metric == "ratio":
            sums = values[:, None] + values[None, :]
            gap = np.where(sums == 0, 0.0, gap / np.where(sums == 0, 1.0, sums))
        cost = (gap**2)[None]
    observed = (tables * cost).sum(axis=(-2, -1))
    expected = (totals[:, :, None] * totals[:, None, :] * cost).sum(axis=(-2, -1))
    alpha: Floats = 1.0 - (n - 1) * ratio(observed, expected)
    return alpha
