"""Agreement of two raters on the same things: shares, chance-corrected kappas, tie-aware accuracies.

Labels are any hashable values; None or NaN is missing, and its row is left out and counted in the note. Every function
gives an `Estimate`; with ``clusters`` it has a question-clustered bootstrap interval.

Sources: Cohen 1960, 1968; Scott 1955; Gwet 2008; tie-discounted accuracy of LIMA (Zhou et al. 2023, section 4);
setups S1 and S2 of MT-Bench (Zheng et al. 2023, section 4.2).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Literal

import numpy as np

from judgebench.errors import UserError, did_you_mean
from judgebench.ratings.intervals import Estimate, Floats
from judgebench.ratings.label_tables import Label, label_pairs, of_tables, ratio
from judgebench.ratings.resampling import RESAMPLE, Resample

Weights = Literal["", "linear", "quadratic"]


def accuracy(
    first: Sequence[Label],
    second: Sequence[Label],
    *,
    clusters: Sequence[Hashable] | None = None,
    resample: Resample = RESAMPLE,
) -> Estimate:
    """Share of rows with equal labels (observed agreement).

    >>> accuracy(["A", "B", None], ["A", "A", "B"]).value
    0.5
    """
    return of_tables(_accuracy, first, second, None, clusters, resample)


def cohen_kappa(
    first: Sequence[Label],
    second: Sequence[Label],
    weights: Weights | None = "",
    labels: Sequence[Label] | None = None,
    *,
    clusters: Sequence[Hashable] | None = None,
    resample: Resample = RESAMPLE,
) -> Estimate:
    """Cohen's kappa, 1 - Σ w·observed / Σ w·expected, chance being each rater's own label shares (Cohen 1960, 1968).

    Args:
        first: the one rater's labels.
        second: the other's.
        weights: none (every disagreement counts 1), ``linear`` (|i - j|) or ``quadratic`` ((i - j)²), i and j being
            places in ``labels``.
        labels: in order, unused ones included; those found, sorted, by default. Weighted kappas depend on it.
        clusters: what rows share, for the interval.
        resample: draws, seed and level of the interval.

    Raises:
        UserError: lengths differ, a label is not among ``labels``, or an unknown weighting.
    """
    how = weights or ""
    if how not in ("", "linear", "quadratic"):
        raise UserError(f"no weights of kappa are called {how!r}: {did_you_mean(how, ('linear', 'quadratic'))}")

    def kappa(tables: Floats) -> Floats:
        return _kappa(tables, how)

    return of_tables(kappa, first, second, labels, clusters, resample)


def scott_pi(
    first: Sequence[Label],
    second: Sequence[Label],
    *,
    clusters: Sequence[Hashable] | None = None,
    resample: Resample = RESAMPLE,
) -> Estimate:
    """Scott's pi: chance is the two raters' pooled label shares, squared and summed (Scott 1955)."""
    return of_tables(_scott, first, second, None, clusters, resample)


def gwet_ac1(
    first: Sequence[Label],
    second: Sequence[Label],
    labels: Sequence[Label] | None = None,
    *,
    clusters: Sequence[Hashable] | None = None,
    resample: Resample = RESAMPLE,
) -> Estimate:
    """Gwet's AC1: chance is Σ p(1 - p) / (K - 1) over pooled label shares, K labels (Gwet 2008, equation 6)."""
    return of_tables(_ac1, first, second, labels, clusters, resample)


def tie_discounted_accuracy(
    first: Sequence[Label],
    second: Sequence[Label],
    tie: Label = "T",
    *,
    clusters: Sequence[Hashable] | None = None,
    resample: Resample = RESAMPLE,
) -> Estimate:
    """LIMA's agreement: 1 for equal labels, 0.5 where exactly one says tie, else 0 (Zhou et al. 2023, section 4)."""
    labels = label_pairs(first, second).labels
    place = labels.index(tie) if tie in labels else -1

    def credit(tables: Floats) -> Floats:
        same = np.trace(tables, axis1=-2, axis2=-1)
        half = 0.0 if place < 0 else tables[..., place, :].sum(-1) + tables[..., :, place].sum(-1)
        if place >= 0:
            half = half - 2 * tables[..., place, place]
        return ratio(same + half / 2, tables.sum((-2, -1)))

    return of_tables(credit, first, second, None, clusters, resample)


def agreement_s1(
    first: Sequence[Label],
    second: Sequence[Label],
    *,
    clusters: Sequence[Hashable] | None = None,
    resample: Resample = RESAMPLE,
) -> Estimate:
    """MT-Bench's setup S1: share of equal labels, ties kept; chance is 1/3 (Zheng et al. 2023, section 4.2).

    A judge whose two orders disagree has said tie: give the labels of swap policy ``tie``.
    """
    return of_tables(_accuracy, first, second, None, clusters, resample)


def agreement_s2(
    first: Sequence[Label],
    second: Sequence[Label],
    tie: Label = "T",
    *,
    clusters: Sequence[Hashable] | None = None,
    resample: Resample = RESAMPLE,
) -> Estimate:
    """MT-Bench's setup S2: share of equal labels where neither says tie; chance is 1/2; ``n`` counts those rows."""
    pairs = label_pairs(first, second)
    decisive = np.array([label != tie for label in pairs.labels], dtype=np.float64)

    def agree(tables: Floats) -> Floats:
        kept = tables * decisive[:, None] * decisive[None, :]
        return _accuracy(kept)

    found = of_tables(agree, first, second, None, clusters, resample)
    both = int(decisive[pairs.codes].all(axis=1).sum())
    note = "no row in which both name a winner" if not both and len(pairs.codes) else found.note
    return Estimate(
        value=found.value, low=found.low, high=found.high, se=found.se, n=both, clusters=found.clusters, note=note
    )


def _accuracy(tables: Floats) -> Floats:
    return ratio(np.trace(tables, axis1=-2, axis2=-1), tables.sum((-2, -1)))


def _kappa(tables: Floats, weights: str) -> Floats:
    k = tables.shape[-1]
    gap = np.abs(np.arange(k)[:, None] - np.arange(k)[None, :]).astype(np.float64)
    cost = {"": (gap > 0).astype(np.float64), "linear": gap, "quadratic": gap**2}[weights]
    shares = tables / tables.sum((-2, -1), keepdims=True)
    expected = shares.sum(-1)[..., :, None] * shares.sum(-2)[..., None, :]
    return 1.0 - ratio((shares * cost).sum((-2, -1)), (expected * cost).sum((-2, -1)))


def _pooled(tables: Floats) -> Floats:
    """Label shares of both raters together."""
    pooled: Floats = (tables.sum(axis=-1) + tables.sum(-2)) / (2 * tables.sum((-2, -1)))[..., None]
    return pooled


def _scott(tables: Floats) -> Floats:
    chance = (_pooled(tables) ** 2).sum(-1)
    return ratio(_accuracy(tables) - chance, 1.0 - chance)


def _ac1(tables: Floats) -> Floats:
    k = tables.shape[-1]
    if k < 2:
        return np.full(tables.shape[:-2], np.nan)
    pooled = _pooled(tables)
    chance = (pooled * (1 - pooled)).sum(-1) / (k - 1)
    return ratio(_accuracy(tables) - chance, 1.0 - chance)
