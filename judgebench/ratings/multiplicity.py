"""Many comparisons at once: p-values corrected for how many there are.

Sources: Holm 1979 (any false finding at most alpha: to confirm); Benjamini and Hochberg 1995 (share of false findings
at most alpha, for independent or positively dependent tests: to screen).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from judgebench.errors import UserError
from judgebench.ratings.intervals import Floats
from judgebench.types import Record


class Adjusted(Record, frozen=True, kw_only=True):
    """Corrected p-values in the order given."""

    adjusted: tuple[float, ...]
    """The smallest alpha at which each would be rejected; at most 1."""
    rejected: tuple[bool, ...]
    """Whether each is, at the alpha asked for."""
    count: int
    """How many are."""


def holm(p_values: Sequence[float], alpha: float = 0.05) -> Adjusted:
    """Holm's step-down correction: the chance of any false finding is at most alpha, whatever depends on what.

    >>> holm([0.01, 0.04, 0.03]).adjusted
    (0.03, 0.06, 0.06)

    Raises:
        UserError: a p-value outside [0, 1].
    """
    p, order = _sorted(p_values)
    count = len(p)
    stepped = np.maximum.accumulate(p[order] * (count - np.arange(count)))
    return _put_back(stepped, order, alpha)


def benjamini_hochberg(p_values: Sequence[float], alpha: float = 0.05) -> Adjusted:
    """Benjamini and Hochberg's step-up correction: the expected share of false findings is at most alpha.

    >>> benjamini_hochberg([0.01, 0.04, 0.03]).adjusted
    (0.03, 0.04, 0.04)

    Raises:
        UserError: a p-value outside [0, 1].
    """
    p, order = _sorted(p_values)
    count = len(p)
    raised = p[order] * count / (np.arange(count) + 1)
    return _put_back(np.minimum.accumulate(raised[::-1])[::-1], order, alpha)


def bonferroni(p_values: Sequence[float], alpha: float = 0.05) -> Adjusted:
    """Every p-value times their number; Holm's is never weaker.

    Raises:
        UserError: a p-value outside [0, 1].
    """
    p, order = _sorted(p_values)
    return _put_back(p[order] * len(p), order, alpha)


def _sorted(p_values: Sequence[float]) -> tuple[Floats, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise UserError(
            "p-values must be one flat sequence of numbers in [0, 1]; leave undefined ones out and count them"
        )
    return p, np.argsort(p, kind="stable").astype(np.int64)


def _put_back(values: Floats, order: np.ndarray[tuple[int], np.dtype[np.int64]], alpha: float) -> Adjusted:
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(values, 1.0)
    rejected = tuple(bool(each) for each in adjusted <= alpha)
    return Adjusted(adjusted=tuple(float(each) for each in adjusted), rejected=rejected, count=sum(rejected))
