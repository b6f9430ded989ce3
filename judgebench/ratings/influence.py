"""The interval of a statistic whose questions' influences are known: the delta method, clustered by question.

Source: linearisation of a smooth function of means (Binder 1983); CR1 and Student's t with G - 1 degrees of freedom.
"""

from __future__ import annotations

import math

import numpy as np

from judgebench.ratings.intervals import FLAT, Codes, Estimate, Floats, t_interval


def linearised(value: float, influence: Floats, codes: Codes, *, n: int, groups: int, level: float) -> Estimate:
    """The statistic with the interval that its rows' influences give; without one where a note says why.

    Args:
        value: the statistic.
        influence: what each row adds to value - truth, to first order.
        codes: question of each row.
        n: rows that entered.
        groups: questions that entered.
        level: coverage.
    """
    if groups < 2:
        return Estimate(value=value, n=n, clusters=groups, note="one question: no interval")
    sums = np.bincount(codes, weights=influence)
    se = math.sqrt(groups / (groups - 1) * float(sums @ sums))
    if se < FLAT:
        return Estimate(value=value, se=0.0, n=n, clusters=groups, note="no variation between questions: no interval")
    low, high = t_interval(value, se, groups - 1, level)
    return Estimate(value=value, low=low, high=high, se=se, n=n, clusters=groups)
