"""Which games may be pooled into one rating, and which models such games make comparable."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from judgebench.types import Game


class Pool(NamedTuple):
    """What games share that one rating is computed from."""

    suite: str
    judge: str
    rubric: str
    dimension: str


def pools(games: Iterable[Game]) -> dict[Pool, list[Game]]:
    """The games of every (suite, judge, rubric, dimension), sorted by that key."""
    found: dict[Pool, list[Game]] = defaultdict(list)
    for game in games:
        found[Pool(game.suite, game.judge, game.rubric, game.dimension)].append(game)
    return dict(sorted(found.items()))


def question(game: Game) -> tuple[str, str]:
    """The sampling unit of a game, (suite, item): its turns, samples, pairs, judges and dimensions are one cluster."""
    return game.suite, game.item


def groups_that_meet(pairs: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Models joined by games, directly or through others; more than one group is not comparable.

    Args:
        pairs: (left, right) of every game, repeats welcome.

    Returns:
        Sorted lists of names, the largest group first.
    """
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        parent.setdefault(name, name)
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for left, right in {(left, right) for left, right in pairs}:
        parent[root(left)] = root(right)
    members: dict[str, list[str]] = defaultdict(list)
    for name in sorted(parent):
        members[root(name)].append(name)
    return sorted(members.values(), key=lambda names: (-len(names), names))


def classes_that_trade(points: npt.ArrayLike) -> list[list[int]]:
    """Classes of models within which every model gets points from every other, directly or through others.

    A finite Bradley–Terry fit exists exactly where there is one class (Ford 1957).

    Args:
        points: m × m, points that the row's model took from the column's.

    Returns:
        Lists of row numbers, the largest class first.
    """
    from scipy.sparse.csgraph import connected_components

    if not np.size(points):
        return []
    _, labels = connected_components((np.asarray(points) > 0).astype(np.float64), directed=True, connection="strong")
    classes: dict[Hashable, list[int]] = defaultdict(list)
    for row, label in enumerate(labels.tolist()):
        classes[label].append(row)
    return sorted(classes.values(), key=lambda rows: (-len(rows), rows))


def not_comparable(groups: Sequence[Sequence[str]]) -> str:
    """The note that stands where a rating would pretend to compare groups that never met."""
    return "not comparable: no game joins " + " and ".join("{" + ", ".join(group) + "}" for group in groups)
