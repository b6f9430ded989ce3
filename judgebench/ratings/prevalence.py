"""A rate corrected for the judge's known errors.

Sources: Rogan and Gladen 1978; the variance with estimated sensitivity and specificity as in Lang and Reiczigel 2014.
"""

from __future__ import annotations

import math

from judgebench.errors import UserError
from judgebench.ratings.intervals import FLAT, normal_interval
from judgebench.types import Record


class TrueRate(Record, frozen=True, kw_only=True):
    """The rate that people would find."""

    value: float
    """(apparent + specificity - 1) / (sensitivity + specificity - 1), cut to [0, 1]."""
    raw: float
    """The same, uncut."""
    se: float
    """Standard error of ``raw`` (delta method)."""
    low: float | None
    """Lower end, cut to [0, 1]."""
    high: float | None
    """Upper end."""
    apparent: float
    """The rate that the judge found."""
    note: str = ""
    """What a reader must know."""


def rogan_gladen(
    apparent: float,
    n: int,
    sensitivity: float,
    n_positive: int | None,
    specificity: float,
    n_negative: int | None,
    level: float = 0.95,
) -> TrueRate:
    """The true rate out of the rate a judge found and how often it is right (Rogan and Gladen 1978).

    Var = (p(1-p)/n + θ² se(1-se)/n⁺ + (1-θ)² sp(1-sp)/n⁻) / (se + sp - 1)².

    Args:
        apparent: share of the n that the judge called good.
        n: how many the judge judged.
        sensitivity: share of what people call good that the judge calls good.
        n_positive: labels behind the sensitivity; None takes it as known.
        specificity: share of what people call bad that the judge calls bad.
        n_negative: labels behind the specificity; None takes it as known.
        level: coverage.

    Raises:
        UserError: a share outside [0, 1], counts below 1, or sensitivity + specificity at most 1: such a judge tells
            nothing.
    """
    for name, share in (("apparent rate", apparent), ("sensitivity", sensitivity), ("specificity", specificity)):
        if not 0 <= share <= 1:
            raise UserError(f"{name} must lie in [0, 1], found {share}")
    if n < 1 or (n_positive is not None and n_positive < 1) or (n_negative is not None and n_negative < 1):
        raise UserError("a corrected rate needs at least one verdict, one good and one bad label")
    power = sensitivity + specificity - 1
    if power <= 1e-12:
        raise UserError(
            f"sensitivity {sensitivity:g} + specificity {specificity:g} is at most 1: the judge tells good from bad no "
            "better than chance, and no correction of it is possible"
        )
    raw = (apparent + specificity - 1) / power
    theta = min(1.0, max(0.0, raw))
    variance = apparent * (1 - apparent) / n
    if n_positive is not None:
        variance += theta**2 * sensitivity * (1 - sensitivity) / n_positive
    if n_negative is not None:
        variance += (1 - theta) ** 2 * specificity * (1 - specificity) / n_negative
    se = math.sqrt(variance) / power
    notes = [] if raw == theta else [f"the correction gives {raw:.3f}, outside [0, 1]: the judge's errors differ here"]
    if se < FLAT:
        notes.append("no variation: no interval")
        low = high = None
    else:
        low, high = (min(1.0, max(0.0, end)) for end in normal_interval(raw, se, level))
    return TrueRate(
        value=theta, raw=raw, se=se, low=low, high=high, apparent=apparent, note="; ".join(notes)
    )  # fmt: skip
