"""report-items/: every item of a run that is too large for one file, page by page, what needs a look first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from judgebench.report.cards import items_section
from judgebench.report.details import Card, Details, Limits
from judgebench.report.html import head
from judgebench.report.markup import Safe, element, raw
from judgebench.report.script import SCRIPT
from judgebench.report.tables import Summary, baselines
from judgebench.types import Record

FOLDER = "report-items"
"""Folder of the pages, beside report.html."""
WHOLE = Limits(items=10**9, answers=10**9, verdicts=10**9, characters=100_000)
"""Limits of the pages: all items, answers and verdicts; a text of a megabyte is still cut, and says so."""
ITEMS = 100
"""Most items on a page."""
RECORDS = 1000
"""Answers and verdicts after which a page ends: a browser opens as many at once without a pause."""


class Page(Record, frozen=True, kw_only=True):
    """One page of items."""

    name: str
    """Path below the run folder."""
    title: str
    """Suite, and which of its items these are."""
    cards: tuple[Card, ...]
    """The items."""


def split(details: Details, *, items: int = ITEMS, records: int = RECORDS) -> list[Page]:
    """Every item on pages of one suite each, in the order of the details; an item is never parted.

    Args:
        details: of all items, gathered within `WHOLE`.
        items: most items on a page.
        records: answers and verdicts after which a page ends.
    """
    suites: dict[str, list[Card]] = {}
    for card in details.cards:
        suites.setdefault(card.suite, []).append(card)
    pages: list[Page] = []
    for suite, cards in suites.items():
        first = 1
        for part in _parts(cards, items, records):
            title = f"{suite}: items {first:,} to {first + len(part) - 1:,} of {len(cards):,}"
            pages.append(Page(name=f"{FOLDER}/page-{len(pages) + 1:04d}.html", title=title, cards=tuple(part)))
            first += len(part)
    return pages


def _parts(cards: Sequence[Card], items: int, records: int) -> Iterator[list[Card]]:
    part: list[Card] = []
    held = 0
    for card in cards:
        size = len(card.answers) + len(card.verdicts)
        if part and (len(part) == items or held + size > records):
            yield part
            part, held = [], 0
        part.append(card)
        held += size
    if part:
        yield part


def render_page(summary: Summary, pages: Sequence[Page], place: int, characters: int = WHOLE.characters) -> str:
    """One page as HTML text: no network, escaped as report.html is, with the way back and on.

    Args:
        summary: a run's summary.json, decoded.
        pages: all of them.
        place: 0-based place of this one.
        characters: characters shown of each text.
    """
    page = pages[place]
    details = Details(
        cards=page.cards,
        items=len(page.cards),
        answers=sum(len(card.answers) for card in page.cards),
        verdicts=sum(len(card.verdicts) for card in page.cards),
        characters=characters,
    )
    links = [_link("../report.html", "Report")]
    links += [_link(_beside(pages[place - 1]), "Page before")] if place else []
    links += [_link(_beside(pages[place + 1]), "Next page")] if place + 1 < len(pages) else []
    way = element("nav", {"aria-label": "Pages"}, element("ul", links))
    where = f"Run {summary['run']}, page {place + 1:,} of {len(pages):,}; what needs a look comes first."
    top = element("header", element("h1", page.title), element("p", where))
    body = items_section(details, baselines(summary), {page.cards[0].suite: "items"})
    whole = element("body", top, element("main", way, element("section", body)), raw("script", SCRIPT))
    return f"<!DOCTYPE html>\n{element('html', {'lang': 'en'}, head(summary, page.title), whole)}\n"


def _beside(page: Page) -> str:
    return page.name.rpartition("/")[2]


def _link(address: str, text: str) -> Safe:
    return element("li", element("a", {"href": address}, text))
