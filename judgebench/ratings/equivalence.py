"""Whether two models are as good as one another: two one-sided tests against a margin.

Source: Schuirmann 1987. That a difference is not significant is no evidence that there is none; this is.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

from scipy import special

from judgebench.errors import UserError
from judgebench.ratings.intervals import normal_quantile, t_quantile
from judgebench.ratings.paired import paired_difference
from judgebench.types import Record


class Equivalence(Record, frozen=True, kw_only=True):
    """What two one-sided tests say."""

    difference: float
    """A minus B."""
    margin: float
    """Differences inside (-margin, margin) do not matter."""
    se: float
    """Standard error of the difference."""
    p_above_low: float
    """One-sided p against the difference being at most -margin: A is no worse than B by the margin."""
    p_below_high: float
    """One-sided p against the difference being at least the margin: A is no better than B by the margin."""
    p_value: float
    """The larger of the two: p of 'not as good as one another'."""
    low: float
    """Lower end of the 1 - 2·alpha interval (90 % at alpha 0.05); equivalent where it lies inside the margin."""
    high: float
    """Upper end."""
    equivalent: bool
    """p_value below alpha."""
    not_worse: bool
    """p_above_low below alpha."""


def tost(difference: float, se: float, margin: float, df: float | None = None, alpha: float = 0.05) -> Equivalence:
    """Two one-sided tests of a difference with a standard error (Schuirmann 1987).

    Args:
        difference: A minus B.
        se: its standard error, above 0.
        margin: smallest difference that matters, above 0, in the unit of the difference.
        df: degrees of freedom of Student's t (questions less one); None takes the normal.
        alpha: level of each test.

    Raises:
        UserError: a margin or an error that is not above 0, a difference that is not finite, or a df below 1.
    """
    if not math.isfinite(difference) or (df is not None and not df > 0):
        raise UserError(f"equivalence needs a finite difference and a df above 0, found {difference} and {df}")
    if not margin > 0:
        raise UserError(f"--margin {margin:g}: must be above 0, the smallest difference that matters")
    if not se > 0:
        raise UserError(f"equivalence needs a standard error above 0, found {se:g}")
    above, below = (difference + margin) / se, (margin - difference) / se
    first = 1 - float(special.ndtr(above) if df is None else special.stdtr(df, above))
    second = 1 - float(special.ndtr(below) if df is None else special.stdtr(df, below))
    level = 1 - 2 * alpha
    half = (normal_quantile(level) if df is None else t_quantile(level, df)) * se
    p_value = max(first, second)
    return Equivalence(
        difference=difference, margin=margin, se=se, p_above_low=first, p_below_high=second, p_value=p_value,
        low=difference - half, high=difference + half, equivalent=p_value < alpha, not_worse=first < alpha,
    )  # fmt: skip


def equivalence(
    a: Sequence[float], b: Sequence[float], margin: float, clusters: Sequence[Hashable] | None = None,
    alpha: float = 0.05,
) -> Equivalence:  # fmt: skip
    """`tost` of the paired difference of two models' scores on the same questions, t with G - 1 degrees of freedom.

    Raises:
        UserError: a margin that is not above 0, one question, no variation at all, or what `paired_difference` refuses.
    """
    found = paired_difference(a, b, clusters)
    if not found.se:
        raise UserError(f"equivalence is undefined here: {found.note}")
    return tost(found.difference, found.se, margin, found.clusters - 1, alpha)
