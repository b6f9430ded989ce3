"""Numbers as text: one way for each kind of number, in every report."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

Level = Literal["", "warn", "bad"]

MISSING = "—"
"""Stands for a number that is not defined; never 0."""
WARN_ABOVE = 0.02
"""Share of missing results from which a count is marked as a warning."""
BAD_ABOVE = 0.10
"""Share of missing results from which a count is marked as too high to trust the numbers."""


def _fixed(value: float | None, digits: int, *, sign: bool = False) -> str:
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    rounded = round(value, digits) + 0.0  # + 0.0 turns -0.0 into 0.0
    return f"{rounded:+.{digits}f}" if sign else f"{rounded:.{digits}f}"


def rate(value: float | None) -> str:
    """A share or an accuracy, three decimals."""
    return _fixed(value, 3)


def grade(value: float | None) -> str:
    """A grade on a rubric's scale, two decimals."""
    return _fixed(value, 2)


def points(value: float | None) -> str:
    """An Elo-like rating, whole points."""
    return _fixed(value, 0)


def signed(value: float | None) -> str:
    """A difference of shares, three decimals and always a sign.

    >>> signed(0.05), signed(None)
    ('+0.050', '—')
    """
    return _fixed(value, 3, sign=True)


def count(value: int | None) -> str:
    """A whole number with thousands apart."""
    return MISSING if value is None else f"{value:,}"


def out_of(part: int | None, whole: int | None) -> str:
    """``part/whole`` as counts."""
    return f"{count(part)}/{count(whole)}"


def share(part: int, whole: int) -> str:
    """``part`` of ``whole`` in per cent, one decimal."""
    return f"{100 * part / whole:.1f} %" if whole else MISSING


def counted_share(part: int, whole: int) -> str:
    """A count, with its share of ``whole`` where it is not 0.

    >>> counted_share(2, 160)
    '2 (1.2 %)'
    """
    return f"{count(part)} ({share(part, whole)})" if part and whole else count(part)


def between(low: float | None, high: float | None, form: Callable[[float | None], str]) -> str:
    """An interval in square brackets."""
    return f"[{form(low)}, {form(high)}]"


def estimate(
    value: float | None, low: float | None, high: float | None, form: Callable[[float | None], str] = rate
) -> str:
    """A number with its interval; the dash alone where there is no number.

    >>> estimate(0.5, 0.2, None), estimate(None, None, None)
    ('0.500 [0.200, —]', '—')
    """
    if value is None:
        return MISSING
    return f"{form(value)} {between(low, high, form)}"


def outside(value: float | None) -> bool:
    """True for what no share can be: below 0 or above 1, beyond rounding."""
    return value is not None and not -1e-9 <= value <= 1 + 1e-9


def cut(value: float) -> float:
    """The share nearest to an estimate that may lie outside [0, 1].

    >>> cut(1.1), cut(0.5), cut(-0.2)
    (1.0, 0.5, 0.0)
    """
    return min(1.0, max(0.0, value))


def share_estimate(value: float | None, low: float | None, high: float | None) -> str:
    """A share with its interval, each cut to [0, 1]: `uncut` says what it is by its formula.

    >>> share_estimate(1.1, 0.0625, 2.137)
    '1.000 [0.062, 1.000]'
    """
    ends = [None if each is None or math.isnan(each) else cut(each) for each in (value, low, high)]
    return estimate(ends[0], ends[1], ends[2])


def uncut(value: float | None, low: float | None, high: float | None) -> str:
    """What is said of an estimate of which something was cut to what a share can be."""
    return (
        "cut to what a share can be: estimates without bias, and their intervals, may go beyond; as computed, and in "
        f"the JSON: {estimate(value, low, high)}"
    )


def spread(value: float | None, low: float | None, high: float | None) -> str:
    """Mean ± standard deviation in points, from the ends one standard deviation away."""
    if value is None:
        return MISSING
    return f"{points(value)} ± {points((high - low) / 2 if low is not None and high is not None else None)}"


def level(part: int, whole: int) -> Level:
    """How alarming it is that ``part`` of ``whole`` is missing: above 2 % a warning, above 10 % bad."""
    if whole <= 0 or part <= 0:
        return ""
    if part > BAD_ABOVE * whole:
        return "bad"
    return "warn" if part > WARN_ABOVE * whole else ""


def superscript(number: int) -> str:
    """A footnote's mark."""
    return str(number).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
