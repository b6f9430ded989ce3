"""Ranks with their uncertainty: which places a model may have, given the intervals of all.

Sources: the public chat arenas' rank (1 + the models whose whole interval lies above); simultaneous ranks from pairwise
tests: Mogstad et al. 2024, with Bonferroni's correction.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from judgebench.errors import UserError
from judgebench.ratings.bradley_terry import Fit
from judgebench.ratings.intervals import t_quantile
from judgebench.types import Record


class Rank(Record, frozen=True, kw_only=True):
    """The places a model may have; 1 is the best."""

    rank: int
    """Place by the value alone; equal values share the better place."""
    best: int
    """1 + the models that lie above for certain."""
    worst: int
    """Models less those that lie below for certain."""


def rank_intervals(
    low: Mapping[str, float], high: Mapping[str, float], value: Mapping[str, float] | None = None
) -> dict[str, Rank]:
    """Model → its places by intervals: best = 1 + #{j: low_j > high_i}, worst = m - #{j: high_j < low_i}.

    Args:
        low: lower ends.
        high: upper ends, of the same models.
        value: the ratings; the middle of the interval where None.

    Raises:
        UserError: the three are not of the same models, an end is not finite, or low is above high.
    """
    if set(low) != set(high) or (value is not None and set(value) != set(low)):
        raise UserError("ranks need a low and a high end for every model")
    for name in low:
        if low[name] is None or high[name] is None:
            raise UserError(f"{name!r} has no interval: no rank follows from it")
        if not (math.isfinite(low[name]) and math.isfinite(high[name]) and low[name] <= high[name]):
            raise UserError(f"the interval of {name!r} is {low[name]} to {high[name]}: no rank follows from it")
    middle = value or {name: (low[name] + high[name]) / 2 for name in low}
    return {
        name: Rank(
            rank=1 + sum(middle[other] > middle[name] for other in low),
            best=1 + sum(low[other] > high[name] for other in low),
            worst=len(low) - sum(high[other] < low[name] for other in low),
        )
        for name in low
    }


def fit_ranks(found: Fit, level: float = 0.95) -> dict[str, Rank] | None:
    """Model → places that hold for all models at once, from the tests of every two models' difference.

    A model lies above another for certain where their difference, over its clustered error, passes Student's quantile
    of G - 1 degrees of freedom at level 1 - (1 - level) / pairs. Sharper than intervals that must not overlap, as the
    error of a difference is less than the two errors together. None where the fit has no errors.
    """
    if found.se is None:
        return None
    names: Sequence[str] = found.models
    pairs = len(names) * (len(names) - 1) / 2
    quantile = t_quantile(1 - (1 - level) / pairs, found.clusters - 1) * math.sqrt(
        found.clusters / (found.clusters - 1)
    )
    above = dict.fromkeys(names, 0)
    below = dict.fromkeys(names, 0)
    for at, one in enumerate(names):
        for other in names[at + 1 :]:
            gap, error = found.difference(one, other)
            if abs(gap) > quantile * error:
                winner, loser = (one, other) if gap > 0 else (other, one)
                below[winner] += 1
                above[loser] += 1
    return {
        name: Rank(
            rank=1 + sum(found.elo[other] > found.elo[name] for other in names),
            best=1 + above[name],
            worst=len(names) - below[name],
        )
        for name in names
    }
