"""The difference between two models on the same questions.

Sources: Miller 2024, section 4 (paired differences); McNemar 1947 in its exact form.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np
from scipy import special

from judgebench.errors import UserError
from judgebench.ratings.intervals import FLAT, Codes, Floats, cluster_codes, clustered_error, finite, t_interval
from judgebench.ratings.power import items_needed, smallest_difference
from judgebench.types import Record


class PairedDifference(Record, frozen=True, kw_only=True):
    """A minus B on shared questions; what is undefined is None and ``note`` says why."""

    n: int
    """Shared scores."""
    clusters: int
    """Shared questions."""
    mean_a: float
    """Mean of A."""
    mean_b: float
    """Mean of B."""
    difference: float
    """mean_a - mean_b."""
    se: float | None
    """Clustered error of the difference (CR1; sd(d)/sqrt n where each question is one score)."""
    unpaired_se: float | None
    """What the error would be had the two answered different questions."""
    low: float | None
    """Lower end of the interval, t with G-1 degrees of freedom."""
    high: float | None
    """Upper end."""
    p_value: float | None
    """Two-sided p of the t-test that the difference is 0."""
    correlation: float | None
    """Pearson correlation of the two models' scores; None where one of them never varies."""
    effect: float | None
    """Standardised difference: difference / sd of the questions' differences."""
    only_a: int
    """Scores where A is above B."""
    only_b: int
    """Scores where B is above A."""
    mcnemar_p: float | None
    """Exact two-sided McNemar p; None where scores are not all 0 or 1, or several share a question."""
    smallest_difference: float | None
    """Smallest difference that this many questions show with the power asked for."""
    items_needed: int | None
    """Questions needed to show the difference found, were it the true one; None where it is 0."""
    note: str = ""
    """What a reader must know."""


def sign_test(above: int, below: int) -> float:
    """Exact two-sided p of ``above`` against ``below`` under even odds; McNemar's exact test on discordant pairs.

    >>> round(sign_test(6, 3), 7)
    0.5078125
    """
    total = above + below
    return 1.0 if total == 0 else min(1.0, 2 * float(special.bdtr(min(above, below), total, 0.5)))


def t_test(difference: float, se: float | None, clusters: int) -> float | None:
    """Two-sided p of Student's t with G - 1 degrees of freedom that a clustered mean is 0; None with one cluster.

    Where no question varies, the exact sign test of the questions, all of which lean one way (1 where they lean
    neither).
    """
    if se is None or clusters < 2:
        return None
    if se < FLAT:
        return sign_test(clusters, 0) if abs(difference) > FLAT else 1.0
    return 2 * float(special.stdtr(clusters - 1, -abs(difference / se)))


def paired_difference(
    a: Sequence[float],
    b: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    *,
    level: float = 0.95,
    power: float = 0.8,
) -> PairedDifference:
    """A minus B, question by question, with all that `judgebench compare` prints.

    Args:
        a: A's scores, any unit.
        b: B's scores on the same questions, in the same order.
        clusters: the question of each score where a question has several (turns, samples); None: one score each.
        level: coverage of the interval; the test's alpha is 1 - level.
        power: for ``smallest_difference`` and ``items_needed``.

    Raises:
        UserError: lengths that differ, nothing shared, or a score that is not finite.
    """
    left, right = finite(a), finite(b)
    if len(left) != len(right):
        raise UserError(f"a paired difference needs the same questions for both, found {len(left)} and {len(right)}")
    if len(left) == 0:
        raise UserError("the two share no scored question: nothing to compare")
    delta = left - right
    error = clustered_error(delta.tolist(), clusters)
    groups, difference, se = error.clusters, error.mean, error.cr1
    unit = bool(min(left.min(), right.min()) >= 0 and max(left.max(), right.max()) <= 1)
    binary = bool(np.isin(left, (0, 1)).all() and np.isin(right, (0, 1)).all())
    only_a, only_b = int((delta > 0).sum()), int((delta < 0).sum())
    scale = max(1.0, float(np.abs(left).max()), float(np.abs(right).max()))
    low, high, p_value, note = _interval(difference, se, groups, scale, unit, level)
    varies = se is not None and se >= FLAT * scale
    spread = se * math.sqrt(groups) if varies and se is not None else None
    alpha = 1 - level
    return PairedDifference(
        n=error.n,
        clusters=groups,
        mean_a=float(left.mean()),
        mean_b=float(right.mean()),
        difference=difference,
        se=se if varies or se is None else 0.0,
        unpaired_se=_unpaired(left, right, cluster_codes(clusters, len(left))),
        low=low,
        high=high,
        p_value=p_value,
        correlation=_correlation(left, right),
        effect=None if spread is None else difference / spread,
        only_a=only_a,
        only_b=only_b,
        mcnemar_p=sign_test(only_a, only_b) if binary and groups == len(left) else None,
        smallest_difference=None if spread is None else smallest_difference(groups, spread**2, alpha, power),
        items_needed=(
            None
            if spread is None or abs(difference) < FLAT * scale
            else math.ceil(items_needed(difference, spread**2, alpha, power))
        ),
        note=note,
    )


def _interval(
    difference: float, se: float | None, groups: int, scale: float, unit: bool, level: float
) -> tuple[float | None, float | None, float | None, str]:
    """Low, high, p and a note."""
    if se is None:
        return None, None, None, "one question: no interval"
    if se >= FLAT * scale:
        low, high = t_interval(difference, se, groups - 1, level)
        p_value = 2 * float(special.stdtr(groups - 1, -abs(difference / se)))
        return (max(-1.0, low), min(1.0, high), p_value, "") if unit else (low, high, p_value, "")
    if unit and abs(difference) < FLAT:
        # All G questions equal has chance (1-q)^G where a share q differs, and |difference| <= q.
        bound = 1 - (1 - level) ** (1 / groups)
        return -bound, bound, 1.0, "the two never differ: bound from the number of questions"
    return None, None, None, "every question differs by the same amount: no interval"


def _unpaired(left: Floats, right: Floats, codes: Codes) -> float | None:
    """Root of the two clustered variances' sum."""
    labels = codes.tolist()
    first, second = clustered_error(left.tolist(), labels).cr1, clustered_error(right.tolist(), labels).cr1
    return None if first is None or second is None else math.hypot(first, second)


def _correlation(left: Floats, right: Floats) -> float | None:
    """Pearson's r; None where one side is constant."""
    if len(left) < 2 or np.ptp(left) < FLAT or np.ptp(right) < FLAT:
        return None
    return float(np.corrcoef(left, right)[0, 1])
