"""Confusion of a rater's labels with the truth: counts, macro precision, recall and F1, labels taken together.

Sources: the table of PandaLM (Wang et al. 2023); the four levels of Self-Instruct (Wang et al. 2022).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from judgebench.ratings.intervals import Estimate, Floats, clustered_interval
from judgebench.ratings.label_tables import Label, label_pairs, missing, of_tables, ratio, tables_of
from judgebench.ratings.resampling import RESAMPLE, Resample, same_length
from judgebench.types import Record


class Confusion(Record, frozen=True, kw_only=True):
    """How often each label of the first rater met each of the second."""

    labels: tuple[Any, ...]
    """Labels of rows and columns."""
    counts: tuple[tuple[int, ...], ...]
    """Rows: the first rater (truth, where there is one); columns: the second."""
    n: int
    """Rows with both labels."""
    left_out: int
    """Rows that lack one."""


class MacroScores(Record, frozen=True, kw_only=True):
    """Precision, recall and F1 of the second rater's labels against the first's, averaged over labels."""

    accuracy: float | None
    """Share of equal labels."""
    precision: float | None
    """Mean over labels; a label never given counts 0."""
    recall: float | None
    """Mean over labels; a label that never was true counts 0."""
    f1: float | None
    """Mean of the labels' own F1."""
    weighted_f1: float | None
    """The same, each label weighing as often as it is true."""
    by_label: dict[str, tuple[float, float, float, int]]
    """Label → precision, recall, F1, how often it is true."""
    n: int
    """Rows with both labels."""
    left_out: int
    """Rows that lack one."""


def confusion_matrix(
    first: Sequence[Label], second: Sequence[Label], labels: Sequence[Label] | None = None
) -> Confusion:
    """Counts of every pair of labels.

    Args:
        first: the one rater's labels (the truth, where there is one).
        second: the other's, in the same order.
        labels: which there are, in order; those found, sorted, by default.

    Raises:
        UserError: lengths differ, or a label is not among ``labels``.
    """
    pairs = label_pairs(first, second, labels)
    table = tables_of(pairs).sum(axis=0).astype(int)
    return Confusion(
        labels=tuple(pairs.labels),
        counts=tuple(tuple(row) for row in table.tolist()),
        n=len(pairs.codes),
        left_out=pairs.left_out,
    )


def macro_scores(truth: Sequence[Label], given: Sequence[Label], labels: Sequence[Label] | None = None) -> MacroScores:
    """Accuracy and macro precision, recall and F1, as PandaLM's table has them; an empty denominator counts 0.

    Args:
        truth: the right labels.
        given: the judge's, in the same order.
        labels: over which is averaged; those found in either, by default.

    Raises:
        UserError: lengths differ, or a label is not among ``labels``.
    """
    pairs = label_pairs(truth, given, labels)
    if not len(pairs.codes):
        return MacroScores(
            accuracy=None,
            precision=None,
            recall=None,
            f1=None,
            weighted_f1=None,
            by_label={},
            n=0,
            left_out=pairs.left_out,
        )
    table = tables_of(pairs).sum(axis=0)
    precision, recall, f1 = (each[0] for each in _by_label(table[None]))
    true = table.sum(axis=1)
    return MacroScores(
        accuracy=float(np.trace(table) / table.sum()),
        precision=float(precision.mean()),
        recall=float(recall.mean()),
        f1=float(f1.mean()),
        weighted_f1=float((f1 * true).sum() / true.sum()),
        by_label={
            str(name): (float(precision[i]), float(recall[i]), float(f1[i]), int(true[i]))
            for i, name in enumerate(pairs.labels)
        },
        n=len(pairs.codes),
        left_out=pairs.left_out,
    )


def macro_f1(
    truth: Sequence[Label],
    given: Sequence[Label],
    labels: Sequence[Label] | None = None,
    *,
    clusters: Sequence[Hashable] | None = None,
    resample: Resample = RESAMPLE,
) -> Estimate:
    """Macro F1 of `macro_scores`, with an interval where clusters are given."""
    return of_tables(lambda tables: _by_label(tables)[2].mean(-1), truth, given, labels, clusters, resample)


def macro_precision(
    truth: Sequence[Label],
    given: Sequence[Label],
    labels: Sequence[Label] | None = None,
    *,
    clusters: Sequence[Hashable] | None = None,
    resample: Resample = RESAMPLE,
) -> Estimate:
    """Macro precision of `macro_scores`, with an interval where clusters are given."""
    return of_tables(lambda tables: _by_label(tables)[0].mean(-1), truth, given, labels, clusters, resample)


def macro_recall(
    truth: Sequence[Label],
    given: Sequence[Label],
    labels: Sequence[Label] | None = None,
    *,
    clusters: Sequence[Hashable] | None = None,
    resample: Resample = RESAMPLE,
) -> Estimate:
    """Macro recall of `macro_scores`, with an interval where clusters are given."""
    return of_tables(lambda tables: _by_label(tables)[1].mean(-1), truth, given, labels, clusters, resample)


def label_shares(
    labels: Sequence[Label],
    wanted: Sequence[Label],
    *,
    clusters: Sequence[Hashable] | None = None,
    level: float = 0.95,
) -> Estimate:
    """Share of labels that are among those wanted (acceptable: ``("A", "B")``), with the default interval of a mean.

    Args:
        labels: one rater's; missing ones are left out and counted in the note.
        wanted: which count.
        clusters: the question of each; each is its own by default.
        level: coverage.

    >>> label_shares(["A", "B", "D", None], ["A", "B"]).n
    3

    Raises:
        UserError: lengths differ.
    """
    same_length([labels] if clusters is None else [labels, clusters])
    kept = [place for place, label in enumerate(labels) if not missing(label)]
    found = clustered_interval(
        [float(labels[place] in wanted) for place in kept],
        kept if clusters is None else [clusters[place] for place in kept],
        level,
    )
    left_out = len(labels) - len(kept)
    note = f"{left_out} of {len(labels)} rows lack a label and are left out" if left_out else ""
    return Estimate(
        value=found.value, low=found.low, high=found.high, se=found.se, n=found.n, clusters=found.clusters,
        note="; ".join(filter(None, (found.note, note))),
    )  # fmt: skip


def collapse(labels: Sequence[Label], into: Mapping[Any, Any]) -> list[Label]:
    """The labels with some taken as one; missing ones stay missing, those not named stay as they are.

    >>> collapse(["A", "B", "C", None], {"A": "AB", "B": "AB", "C": "CD", "D": "CD"})
    ['AB', 'AB', 'CD', None]
    """
    return [None if missing(label) else into.get(label, label) for label in labels]


AB_CD: dict[str, str] = {"A": "AB", "B": "AB", "C": "CD", "D": "CD"}
"""Self-Instruct's four levels as acceptable or not (Wang et al. 2023, section 4.3 and appendix)."""


def collapse_ab_cd(labels: Sequence[Label]) -> list[Label]:
    """Self-Instruct's four levels A–D as ``AB`` (acceptable) or ``CD``."""
    return collapse(labels, AB_CD)


def _by_label(tables: Floats) -> tuple[Floats, Floats, Floats]:
    """Precision, recall and F1 of every label, 0 where a denominator is."""
    hit = np.diagonal(tables, axis1=-2, axis2=-1)
    true, given = tables.sum(-1), tables.sum(-2)
    precision, recall, f1 = (
        np.nan_to_num(ratio(top, low)) for top, low in ((hit, given), (hit, true), (2 * hit, true + given))
    )
    return precision, recall, f1
