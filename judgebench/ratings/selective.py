"""Which verdicts a judge may keep so that it agrees with people as often as promised, and which go to people.

Sources: Jung et al. 2024, "Trust or escalate" (fixed-sequence testing of a threshold on confidence); Clopper and
Pearson 1934; Angelopoulos et al. 2021, "Learn then test".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import special

from judgebench.errors import UserError
from judgebench.ratings.intervals import finite
from judgebench.types import Record


class Threshold(Record, frozen=True, kw_only=True):
    """The lowest confidence at which a judge keeps its verdicts; all None where none can be promised."""

    threshold: float | None
    """Verdicts of at least this confidence are kept; the others go to people."""
    coverage: float
    """Share of the calibration items kept."""
    agreement: float | None
    """Share of those on which judge and people agree."""
    lower_bound: float | None
    """One-sided Clopper-Pearson lower bound of that agreement at 1 - delta."""
    kept: int
    """Calibration items kept."""
    tested: tuple[float, ...]
    """Thresholds tested, from the highest; the last may be the one that failed."""
    note: str = ""
    """What a reader must know."""


def agreement_threshold(
    confidence: Sequence[float],
    agrees: Sequence[bool | int],
    target: float = 0.9,
    delta: float = 0.1,
    thresholds: Sequence[float] | None = None,
    *,
    random_sample: bool = True,
) -> Threshold:
    """The lowest threshold with P(agreement among the kept >= target) >= 1 - delta, by fixed-sequence testing.

    Thresholds are tested from the highest down, each by whether the exact one-sided bound betaincinv(k, n-k+1; delta)
    of the agreement among the n at or above it reaches the target; the first failure ends the sequence, so no
    correction is needed. A threshold with so few items that not even full agreement would pass is passed over: that
    depends on no label.

    Args:
        confidence: the judge's confidence in each of the calibration items, higher is surer.
        agrees: whether people agree with the judge there.
        target: agreement promised.
        delta: chance that the promise is broken.
        thresholds: grid; None takes every confidence that occurs.
        random_sample: the declaration that the calibration items are a random sample of what is judged.

    Raises:
        UserError: not a random sample, no items, lengths that differ, or a target or delta outside (0, 1).
    """
    if not random_sample:
        raise UserError("the calibration items were not drawn at random: no agreement can be promised from them")
    sure = finite(confidence)
    right = finite(agrees)
    if not np.isin(right, (0.0, 1.0)).all():
        raise UserError("agreement is yes or no (1 or 0) for each calibration item")
    if len(sure) != len(right):
        raise UserError(f"one confidence and one agreement each, found {len(sure)} and {len(right)}")
    if len(sure) == 0:
        raise UserError("no calibration items: nothing can be promised")
    if not 0 < target < 1 or not 0 < delta < 1:
        raise UserError(f"target and delta must lie in (0, 1), found {target} and {delta}")
    grid = sorted({float(each) for each in (sure if thresholds is None else thresholds)}, reverse=True)
    tested: list[float] = []
    best: tuple[float, int, int, float] | None = None
    for threshold in grid:
        inside = sure >= threshold
        n, k = int(inside.sum()), int(right[inside].sum())
        if n == 0 or target**n > delta:
            continue
        tested.append(threshold)
        bound = agreement_bound(k, n, delta)
        if bound < target:
            break
        best = (threshold, n, k, bound)
    if best is None:
        why = "the first threshold tested fails" if tested else "too few items for any promise"
        return Threshold(threshold=None, coverage=0.0, agreement=None, lower_bound=None, kept=0, tested=tuple(tested),
                         note=f"{why}: everything goes to people")  # fmt: skip
    threshold, n, k, bound = best
    return Threshold(
        threshold=threshold, coverage=n / len(sure), agreement=k / n, lower_bound=bound, kept=n, tested=tuple(tested)
    )


def agreement_bound(agreed: int, n: int, delta: float = 0.1) -> float:
    """One-sided lower Clopper-Pearson bound of a share at 1 - delta.

    Raises:
        UserError: n is not above 0, or ``agreed`` is outside 0…n.
    """
    if n <= 0 or not 0 <= agreed <= n:
        raise UserError(f"a share needs 0 <= agreed <= n and n > 0, found {agreed} of {n}")
    return 0.0 if agreed == 0 else float(special.betaincinv(agreed, n - agreed + 1, delta))


def escalated(confidence: Sequence[float], threshold: float | None) -> list[int]:
    """Positions of what goes to people: confidence below the threshold, the least sure first; all where it is None."""
    sure = finite(confidence)
    order = np.argsort(sure, kind="stable")
    return [int(each) for each in order if threshold is None or sure[each] < threshold]
