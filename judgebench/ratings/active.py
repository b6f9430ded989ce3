"""Labels asked for where the judge is unsure, each with a known chance, and means that allow for it.

Sources: Horvitz and Thompson 1952 (inverse propensities); Robins, Rotnitzky and Zhao 1994 (augmented); Zrnic and Candès
2024, "Active statistical inference".
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np

from judgebench.errors import UserError
from judgebench.ratings.intervals import (
    FLAT,
    Floats,
    cluster_codes,
    clustered_error,
    finite,
    normal_quantile,
    t_quantile,
)
from judgebench.ratings.ppi import PPIEstimate
from judgebench.types import Record


class WeightedMean(Record, frozen=True, kw_only=True):
    """A mean over all questions out of labels on some."""

    value: float
    """The mean."""
    low: float | None
    """Lower end."""
    high: float | None
    """Upper end."""
    se: float | None
    """sd (ddof 1) of the questions' parts / sqrt n; by clusters where given (CR1)."""
    se_ddof0: float | None
    """The same without the small-sample factor."""
    lam: float
    """Weight of the judge's scores: 0 is inverse propensities alone."""
    n: int
    """All scores, labelled or not."""
    labelled: int
    """Labels."""
    clusters: int
    """Questions."""
    note: str = ""
    """What a reader must know."""


def augmented_mean(
    judge: Sequence[float],
    human: Sequence[float | None],
    propensities: Sequence[float],
    *,
    lam: float = 1.0,
    clusters: Sequence[Hashable] | None = None,
    level: float = 0.95,
) -> WeightedMean:
    """Mean of people's scores over all n: mean of λ f + (label ? (Y - λ f) / π : 0) (AIPW).

    Unbiased whatever the judge is worth, because π, the chance with which each was to be labelled, is known and not
    estimated.

    Args:
        judge: f, the judge's score of each of the n.
        human: Y where labelled, None (or NaN) where not.
        propensities: π of each of the n, in (0, 1], labelled or not, fixed before the labels were seen.
        lam: λ.
        clusters: the question of each, where several share one.
        level: coverage.

    Raises:
        UserError: a propensity of 0 or outside (0, 1]; lengths that differ; no labels; scores that are not finite.
    """
    f, y, chance = checked(judge, human, propensities)
    known = ~np.isnan(y)
    parts = lam * f
    parts[known] += (y[known] - lam * f[known]) / chance[known]
    codes = cluster_codes(clusters, len(parts))
    groups = int(codes.max()) + 1
    value = float(parts.mean())
    sums = np.bincount(codes, weights=parts - value)
    plain = math.sqrt(float(sums @ sums)) / len(parts) if groups > 1 else None
    se = None if plain is None else plain * math.sqrt(groups / (groups - 1))
    count = int(known.sum())
    quantile = t_quantile(level, groups - 1) if groups < 30 and groups > 1 else normal_quantile(level)
    note = f"{count} labels: rough" if count < 20 else ""
    if se is None:
        note = "one question: no interval"
    elif se < FLAT:
        note = "no variation between questions: no interval"
    half = None if se is None or se < FLAT else quantile * se
    return WeightedMean(
        value=value, low=None if half is None else value - half, high=None if half is None else value + half, se=se,
        se_ddof0=plain, lam=lam, n=len(parts), labelled=count, clusters=groups, note=note,
    )  # fmt: skip


def checked(
    judge: Sequence[float], human: Sequence[float | None], propensities: Sequence[float]
) -> tuple[Floats, Floats, Floats]:
    """The judge's scores, the labels (NaN: none) and the chances as arrays of one length.

    Raises:
        UserError: as `augmented_mean`.
    """
    f = finite(judge)
    y = np.array([math.nan if each is None else float(each) for each in human])
    chance = _propensities(propensities)
    if not len(f) == len(y) == len(chance):
        raise UserError(
            f"one judge's score, label or None, and propensity each, found {len(f)}, {len(y)} and {len(chance)}"
        )
    known = ~np.isnan(y)
    if not known.any():
        raise UserError("no labels: nothing to estimate from")
    if np.isinf(y).any():
        raise UserError("a label is infinite")
    unlabelled = int((~known & (chance >= 1)).sum())
    if unlabelled:
        raise UserError(
            f"{unlabelled} of propensity 1 have no label: the propensities are not those used, or labels are lost"
        )
    return f, y, chance


def inverse_propensity_mean(
    human: Sequence[float | None],
    propensities: Sequence[float],
    *,
    clusters: Sequence[Hashable] | None = None,
    level: float = 0.95,
) -> WeightedMean:
    """Mean over all n of label / π, 0 where there is none (Horvitz and Thompson 1952): people alone.

    Args:
        human: Y where labelled, None (or NaN) where not.
        propensities: π of each of the n, in (0, 1].
        clusters: the question of each, where several share one.
        level: coverage.

    Raises:
        UserError: as `augmented_mean`.
    """
    return augmented_mean([0.0] * len(human), human, propensities, lam=0.0, clusters=clusters, level=level)


def active_estimate(
    judge: Sequence[float],
    human: Sequence[float | None],
    propensities: Sequence[float],
    *,
    lam: float = 1.0,
    clusters: Sequence[Hashable] | None = None,
    level: float = 0.95,
) -> PPIEstimate:
    """`augmented_mean` beside people alone (`inverse_propensity_mean`) and the judge alone, in the form of `ppi_mean`.

    Here ``judge_value`` is of all n, ``rectifier`` is value - λ · judge_value, ``clusters`` are the labelled questions.

    Args:
        judge: f, the judge's score of each of the n.
        human: Y where labelled, None (or NaN) where not.
        propensities: π of each of the n, in (0, 1].
        lam: λ.
        clusters: the question of each, where several share one.
        level: coverage.

    Raises:
        UserError: as `augmented_mean`.
    """
    both = augmented_mean(judge, human, propensities, lam=lam, clusters=clusters, level=level)
    people = inverse_propensity_mean(human, propensities, clusters=clusters, level=level)
    f, y, _ = checked(judge, human, propensities)
    error = clustered_error(judge, clusters)
    quantile = t_quantile(level, max(1, error.clusters - 1))
    half = None if error.cr1 is None or error.cr1 < FLAT else quantile * error.cr1
    mean = float(f.mean())
    codes = cluster_codes(clusters, len(f))
    return PPIEstimate(
        value=both.value, low=both.low, high=both.high, se=both.se, lam=lam, rectifier=both.value - lam * mean,
        human_value=people.value, human_low=people.low, human_high=people.high, human_se=people.se, judge_value=mean,
        judge_low=None if half is None else mean - half, judge_high=None if half is None else mean + half,
        judge_se=error.cr1, effective_n_ratio=people.se**2 / both.se**2 if people.se and both.se else None,
        n_human=both.labelled, n_judge=both.n - both.labelled, clusters=len(np.unique(codes[~np.isnan(y)])),
        method="augmented", note=both.note,
    )  # fmt: skip


def label_chances(uncertainty: Sequence[float], labels: int, uniform: float = 0.2) -> list[float]:
    """Chances with which each is to be labelled, summing to ``labels``: in proportion to the uncertainty, mixed with
    uniform.

    Args:
        uncertainty: how unsure the judge is of each (BPDE, disagreement, 1 - margin), 0 or above.
        labels: labels expected.
        uniform: share of the chances that is even over all, above 0: so no chance is 0 and no error of the judge is
            hidden.

    Returns:
        Propensities in (0, 1], to be kept with the labels.

    Raises:
        UserError: labels outside 1…n, a negative uncertainty, or a uniform share outside (0, 1].
    """
    doubt = finite(uncertainty)
    n = len(doubt)
    if not 1 <= labels <= n:
        raise UserError(f"labels must be between 1 and {n}, found {labels}")
    if not 0 < uniform <= 1 or (doubt < 0).any():
        raise UserError("the uniform share must lie in (0, 1] and no uncertainty be negative")
    total = float(doubt.sum())
    wanted = np.full(n, uniform / n) + ((1 - uniform) * doubt / total if total > 0 else (1 - uniform) / n)
    chance = np.zeros(n)
    capped = np.zeros(n, dtype=bool)
    while True:
        rest = labels - float(capped.sum())
        chance = np.where(capped, 1.0, wanted * rest / max(float(wanted[~capped].sum()), 1e-300))
        over = (chance > 1) & ~capped
        if not over.any():
            return [float(each) for each in np.minimum(chance, 1.0)]
        capped |= over


def draw_labels(chances: Sequence[float], seed: int = 0) -> list[bool]:
    """Who is to be labelled: each on its own with its chance.

    Raises:
        UserError: a chance of 0 or outside (0, 1].
    """
    chance = _propensities(chances)
    return [bool(each) for each in np.random.default_rng(seed).random(len(chance)) < chance]


def _propensities(values: Sequence[float]) -> Floats:
    chance = np.asarray(values, dtype=np.float64)
    bad = np.flatnonzero(~((chance > 0) & (chance <= 1)))
    if len(bad):
        raise UserError(
            f"propensity {bad[0]} is {chance[bad[0]]:g}: every chance of a label must be above 0 and at most 1, as "
            "what can never be labelled can never be corrected"
        )
    return chance
