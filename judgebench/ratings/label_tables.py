"""Two raters' labels as tables of pairs, which every statistic of two raters is a function of."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np

from judgebench.errors import UserError, did_you_mean
from judgebench.ratings.intervals import Codes, Estimate, Floats
from judgebench.ratings.resampling import RESAMPLE, Finish, Resample, bootstrap_sums, same_length

Label = Hashable | None
"""Any value; None and NaN are missing."""

ONE_LABEL = "undefined (0/0): chance agreement is complete, as where one label is used throughout"
"""Why a statistic has no value."""
NO_PAIR = "no row has both labels"
"""Why there is nothing to agree on."""
FLAT = 1e-12
"""Below this a denominator is zero."""


class LabelPairs(NamedTuple):
    """The rows in which both raters gave a label."""

    codes: Codes
    """(rows, 2): places of both labels among ``labels``."""
    labels: list[Any]
    """In order."""
    clusters: list[Hashable] | None
    """What the rows share."""
    left_out: int
    """Rows that lack a label."""


def missing(label: Any) -> bool:
    """True for None and NaN."""
    return label is None or (isinstance(label, float) and math.isnan(label))


def sorted_labels(labels: Sequence[Any]) -> list[Any]:
    """The labels without repeats, in order: as numbers or texts where all are, else by their text."""
    found = list(dict.fromkeys(labels))
    try:
        return sorted(found)
    except TypeError:
        return sorted(found, key=str)


def labels_of(found: Sequence[Any], labels: Sequence[Any] | None) -> list[Any]:
    """The labels that there are, in order: those given, else those found, sorted.

    Raises:
        UserError: one found is not among those given.
    """
    names = sorted_labels(found)
    if labels is None:
        return names
    for name in names:
        if name not in labels:
            raise UserError(f"label {name!r}: {did_you_mean(str(name), map(str, labels))}")
    return list(labels)


def label_pairs(
    first: Sequence[Label],
    second: Sequence[Label],
    labels: Sequence[Label] | None = None,
    clusters: Sequence[Hashable] | None = None,
) -> LabelPairs:
    """The whole rows as places among the labels.

    Raises:
        UserError: lengths differ, or a label is not among ``labels``.
    """
    same_length([first, second] if clusters is None else [first, second, clusters])
    whole = [place for place in range(len(first)) if not missing(first[place]) and not missing(second[place])]
    names = labels_of([each[place] for each in (first, second) for place in whole], labels)
    places = {name: place for place, name in enumerate(names)}
    codes = np.array([(places[first[row]], places[second[row]]) for row in whole], dtype=np.int64).reshape(-1, 2)
    kept = None if clusters is None else [clusters[row] for row in whole]
    return LabelPairs(codes, names, kept, len(first) - len(whole))


def tables_of(pairs: LabelPairs) -> Floats:
    """(rows, labels, labels): a 1 for each row's pair of labels."""
    size = len(pairs.labels)
    parts = np.zeros((len(pairs.codes), size, size))
    parts[np.arange(len(pairs.codes)), pairs.codes[:, 0], pairs.codes[:, 1]] = 1.0
    return parts


def of_tables(
    finish: Finish,
    first: Sequence[Label],
    second: Sequence[Label],
    labels: Sequence[Label] | None = None,
    clusters: Sequence[Hashable] | None = None,
    resample: Resample = RESAMPLE,
) -> Estimate:
    """A statistic of the table of label pairs, with its interval where clusters are given.

    Args:
        finish: tables of counts, (draws, labels, labels) → values, NaN where undefined.
        first: the one rater's labels.
        second: the other's.
        labels: which there are, in order.
        clusters: what rows share.
        resample: of the interval.
    """
    pairs = label_pairs(first, second, labels, clusters)
    note = f"{pairs.left_out} of {len(first)} rows lack a label and are left out" if pairs.left_out else ""
    if not len(pairs.codes):
        return Estimate(value=None, note="; ".join(filter(None, (NO_PAIR, note))))
    return bootstrap_sums(tables_of(pairs), finish, pairs.clusters, resample, note=note, undefined=ONE_LABEL)


def ratio(top: Floats, bottom: Floats) -> Floats:
    """Top over bottom, NaN where bottom is zero."""
    flat = np.abs(bottom) < FLAT
    found: Floats = np.where(flat, np.nan, top / np.where(flat, 1.0, bottom))
    return found
