"""Links from numbers to lists of items, and the lists as data that our own script reads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from judgebench.report.behind import Behind
from judgebench.report.markup import Child, Safe, element
from judgebench.report.visible import one_line
from judgebench.report.where import Place, Where
from judgebench.types import Record


class ItemList(Record, frozen=True, kw_only=True):
    """One list of items behind a number."""

    title: str
    """What was counted, in words."""
    runs: tuple[int, ...]
    """Numbers of its items as first, last, first, last …"""


class Ways:
    """Gives every number its link, and keeps the lists that were linked.

    Args:
        behind: finds the items.
        order: the items as they are numbered: of the page itself, or of all pages.
        address: of the page that shows a list; empty where it is this page.
        anchors: suite → id on this page, where the items are on it.
    """

    def __init__(
        self, behind: Behind, order: Iterable[Place], address: str = "", anchors: Mapping[str, str] | None = None
    ) -> None:
        self.behind = behind
        self.address = address
        self.lists: list[ItemList] = []
        self._numbers = {place: number for number, place in enumerate(order)}
        self._anchors = anchors or {}
        self._known: dict[Where, Mapping[str, str | None] | None] = {}
        self._same: dict[ItemList, int] = {}

    def link(self, where: Where | None, *content: Child) -> Safe | Sequence[Child]:
        """The content as a link to the items behind it; the bare content where there are none."""
        attributes = None if where is None else self.attributes(where)
        return content if attributes is None else element("a.way", attributes, content)

    def attributes(self, where: Where) -> Mapping[str, str | None] | None:
        """What the link's element holds; None where no item is behind."""
        if where not in self._known:
            self._known[where] = self._made(where)
        return self._known[where]

    def _made(self, where: Where) -> Mapping[str, str | None] | None:
        places = self.behind.places(where)
        numbers = sorted(self._numbers[place] for place in places if place in self._numbers)
        if not numbers:
            return None
        found = ItemList(title=one_line(where.title), runs=compact(numbers))
        number = self._same.setdefault(found, len(self.lists))
        if number == len(self.lists):
            self.lists.append(found)
        said = f"{len(numbers):,} items: {where.title}"
        if self.address:
            return {"href": f"{self.address}#list-{number}", "title": said}
        return {"href": f"#{self._anchors[places[0][0]]}", "data-list": str(number), "title": said}

    def data(self) -> Safe:
        """The lists for the script."""
        return data("lists", [[each.title, list(each.runs)] for each in self.lists])


def compact(numbers: Sequence[int]) -> tuple[int, ...]:
    """Ascending numbers as runs: first, last, first, last …

    >>> compact([0, 1, 2, 5, 7, 8])
    (0, 2, 5, 5, 7, 8)
    """
    ends: list[int] = []
    for number in numbers:
        if ends and number == ends[-1] + 1:
            ends[-1] = number
        else:
            ends += [number, number]
    return tuple(ends)


def data(ident: str, value: object) -> Safe:
    """JSON that a page carries and no browser runs: ASCII, and without any character that could end its element."""
    text = json.dumps(value, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Safe(f'<script type="application/json" id="{ident}">{text}</script>')
