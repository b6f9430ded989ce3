"""Sums of the grades that two answers of a pair got side by side, and one in percent of the other.

Sources: the total scores of Vicuna's first evaluation (2023); QLoRA's score relative to ChatGPT (Dettmers et al. 2023,
table 6), which pools both orders before it divides.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Literal

from judgebench.types import Record, Verdict


class ScoreSums(Record, frozen=True, kw_only=True):
    """What the grades of one pair of models come to, in one order or in both."""

    suite: str
    """Name of the suite."""
    judge: str
    """Name of the judge."""
    rubric: str
    """``name@hash``."""
    dimension: str
    """What was judged."""
    left: str
    """First model by name."""
    right: str
    """The other."""
    shown_first: Literal["left", "right", "either"]
    """Whose answer was shown first in the verdicts counted."""
    n: int
    """Verdicts counted: readable ones."""
    left_sum: float
    """Sum of left's grades."""
    right_sum: float
    """Sum of right's."""
    left_percent: float | None
    """Left's sum in percent of right's; None where that is 0."""
    right_percent: float | None
    """Right's sum in percent of left's."""


def score_sums(verdicts: Iterable[Verdict]) -> list[ScoreSums]:
    """Three rows for each pair of models in each (suite, judge, rubric, dimension): each order alone, and both pooled.

    Only verdicts that grade two answers count (``kind`` is ``grade``); unscored ones are left out. Where there is but
    one order there is one row.

    Args:
        verdicts: any; of verdicts with one identity the last counts.
    """
    last = {verdict.key: verdict for verdict in verdicts if len(verdict.shown) == 2 and verdict.kind == "grade"}
    grades: dict[tuple[str, ...], dict[Literal["left", "right"], list[tuple[float, float]]]] = defaultdict(
        lambda: {"left": [], "right": []}
    )
    for verdict in last.values():
        (one, _), (two, _) = verdict.shown
        if len(verdict.scores) != 2 or one == two:
            continue
        left, right = sorted((one, two))
        turned = one != left
        pair = verdict.suite, verdict.judge, verdict.rubric, verdict.dimension, left, right
        grades[pair]["right" if turned else "left"].append((verdict.scores[turned], verdict.scores[not turned]))
    found = []
    for key, orders in sorted(grades.items()):
        if orders["left"] and orders["right"]:
            found += [_row(key, "left", orders["left"]), _row(key, "right", orders["right"])]
        found.append(_row(key, "either", orders["left"] + orders["right"]))
    return found


def _row(
    key: tuple[str, ...], first: Literal["left", "right", "either"], grades: list[tuple[float, float]]
) -> ScoreSums:
    suite, judge, rubric, dimension, left, right = key
    ours, theirs = math.fsum(each for each, _ in grades), math.fsum(each for _, each in grades)
    return ScoreSums(
        suite=suite, judge=judge, rubric=rubric, dimension=dimension, left=left, right=right, shown_first=first,
        n=len(grades), left_sum=ours, right_sum=theirs, left_percent=100 * ours / theirs if theirs else None,
        right_percent=100 * theirs / ours if ours else None,
    )  # fmt: skip
