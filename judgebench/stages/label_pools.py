"""What could have been drawn for people, kept compactly in their plan."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from judgebench.types import Record

Shown = tuple[tuple[str, int], ...]
"""(model, answer sample) of each answer."""
Unit = tuple[str, str, int, Shown]
"""(suite, item, turn, answers by name): what is labelled at once, on all its dimensions."""


class Pool(Record, frozen=True, kw_only=True):
    """Items of a suite that all have the same units."""

    suite: str
    """Name of the suite."""
    items: tuple[str, ...]
    """Ids of the items."""
    units: tuple[tuple[int, Shown], ...]
    """(turn, answers by name) of each of them."""


def pools_of(units: Iterable[Unit]) -> tuple[Pool, ...]:
    """The units, items that have the same ones together."""
    by_item: dict[tuple[str, str], list[tuple[int, Shown]]] = defaultdict(list)
    for suite, item, turn, shown in units:
        by_item[suite, item].append((turn, shown))
    alike: dict[tuple[str, tuple[tuple[int, Shown], ...]], list[str]] = defaultdict(list)
    for (suite, item), held in sorted(by_item.items()):
        alike[suite, tuple(sorted(held))].append(item)
    return tuple(Pool(suite=suite, items=tuple(items), units=held) for (suite, held), items in alike.items())


def units_of(pools: Iterable[Pool]) -> frozenset[Unit]:
    """What `pools_of` was given."""
    return frozenset((pool.suite, item, *unit) for pool in pools for item in pool.items for unit in pool.units)
