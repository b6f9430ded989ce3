"""Games as numbers: names become codes, games a table of points, and what no fit could rate is refused by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from judgebench.errors import UserError
from judgebench.ratings.intervals import Codes, Floats, finite
from judgebench.ratings.label_tables import missing
from judgebench.ratings.pools import classes_that_trade, groups_that_meet, not_comparable


class Tally(NamedTuple):
    """Games between models that are numbered by their sorted names."""

    models: list[str]
    """Sorted names."""
    a: Codes
    """Number of the left model of each game."""
    b: Codes
    """Number of the right one."""
    scores: Floats
    """Left's share of the point, in [0, 1]."""
    points: Floats
    """m × m, points that the row's model took from the column's."""


def tally(left: Sequence[str], right: Sequence[str], score: Sequence[float]) -> Tally:
    """The games as numbers.

    Raises:
        UserError: no games, a score outside [0, 1], a model against itself or without a name, lengths that differ,
            or models that no game joins ("not comparable").
    """
    scores = finite(score)
    n = len(scores)
    if not len(left) == len(right) == n:
        raise UserError(f"games need one left, right and score each, found {len(left)}, {len(right)}, {n}")
    if not n:
        raise UserError("no games: a fit of nothing is undefined")
    if scores.min() < 0 or scores.max() > 1:
        raise UserError(f"scores must lie in [0, 1], found {scores.min():g} to {scores.max():g}")
    numbers = _Numbers()
    first, second = (_coded(names, numbers) for names in (left, right))
    if any(map(missing, numbers)):
        raise UserError("a game joins two models, found one without a name")
    models = sorted(numbers)
    place = np.empty(len(models), dtype=np.int64)
    place[[numbers[name] for name in models]] = np.arange(len(models))
    a, b = place[first], place[second]
    if (a == b).any():
        raise UserError(f"a game joins two models, found {models[int(a[a == b][0])]!r} against itself")
    points = points_table(a, b, scores, len(models))
    refuse_strangers(models, points)
    return Tally(models, a, b, scores, points)


class _Numbers(dict[str, int]):
    """Name → number, by first use."""

    def __missing__(self, name: str) -> int:
        self[name] = number = len(self)
        return number


def _coded(names: Sequence[str], numbers: _Numbers) -> npt.NDArray[np.integer[Any]]:
    """The number of each name; new names get new ones."""
    try:
        # Bytes are filled a third faster than integers, and most of a fit's time goes here.
        return np.frombuffer(bytes(map(numbers.__getitem__, names)), dtype=np.uint8)
    except ValueError:  # more than 256 models
        return np.fromiter(map(numbers.__getitem__, names), dtype=np.int64, count=len(names))


def points_table(a: Codes, b: Codes, scores: Floats, m: int) -> Floats:
    """The m × m table of points that the row's model took from the column's."""
    key = a * m + b
    won = np.bincount(key, weights=scores, minlength=m * m).reshape(m, m)
    lost = np.bincount(key, minlength=m * m).reshape(m, m) - won
    return np.asarray(won + lost.T, dtype=np.float64)


def refuse_strangers(models: Sequence[str], points: Floats) -> None:
    """Nothing, where games join all models, directly or through others.

    Raises:
        UserError: they do not.
    """
    from scipy.sparse.csgraph import connected_components

    met = points + points.T
    if connected_components(met > 0, directed=False)[1].any():
        rows, columns = np.nonzero(met)
        pairs = zip(rows.tolist(), columns.tolist(), strict=True)
        raise UserError(not_comparable(groups_that_meet((models[x], models[y]) for x, y in pairs)))


def separation(models: Sequence[str], points: Floats) -> str:
    """Who yields no point to whom, in words; empty where a finite fit exists (Ford 1957)."""
    classes = classes_that_trade(points)
    if len(classes) == 1:
        return ""
    said = []
    for rows in classes:
        others = [row for row in range(len(models)) if row not in rows]
        names = ", ".join(models[row] for row in rows)
        many = len(rows) > 1
        if not points[np.ix_(others, rows)].any():
            said.append(f"{names} {'never lose' if many else 'never loses'} a point" + (" to the rest" if many else ""))
        elif not points[np.ix_(rows, others)].any():
            said.append(f"{names} {'never win' if many else 'never wins'} a point" + (" from the rest" if many else ""))
    return "; ".join(said)
