"""report-items/: every item of a run that is too large for one file, page by page, what needs a look first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from judgebench.report.cards import items_section
from judgebench.report.details import Card, Details, Limits
from judgebench.report.html import head
from judgebench.report.list_script import LIST_SCRIPT
from judgebench.report.markup import Safe, element, raw
from judgebench.report.script import SCRIPT
from judgebench.report.tables import Summary, baselines
from judgebench.report.visible import one_line, shorten
from judgebench.report.ways import Ways, data
from judgebench.types import Record

FOLDER = "report-items"
"""Folder of the pages, beside report.html."""
WHOLE = Limits(items=10**9, answers=10**9, verdicts=10**9, characters=100_000)
"""Limits of the pages: all items, answers and verdicts; a text of a megabyte is still cut, and says so."""
ITEMS = 100
"""Most items on a page."""
RECORDS = 1000
"""Answers and verdicts after which a page ends: a browser opens as many at once without a pause."""


LINE = 100
"""Characters of a category and of a question in a list."""
INDEX = "index.html"
"""The page that shows the list behind a number."""


class Page(Record, frozen=True, kw_only=True):
    """One page of items."""

    name: str
    """Path below the run folder."""
    title: str
    """Suite, and which of its items these are."""
    cards: tuple[Card, ...]
    """The items."""
    first: int = 0
    """Number of the first of them among all."""


def split(details: Details, *, items: int = ITEMS, records: int = RECORDS, folder: str = FOLDER) -> list[Page]:
    """Every item on pages of one suite each, in the order of the details; an item is never parted.

    Args:
        details: of all items, gathered within `WHOLE`.
        items: most items on a page.
        records: answers and verdicts after which a page ends.
        folder: of the pages.
    """
    suites: dict[str, list[Card]] = {}
    for card in details.cards:
        suites.setdefault(card.suite, []).append(card)
    pages: list[Page] = []
    before = 0
    for suite, cards in suites.items():
        first = 1
        for part in _parts(cards, items, records):
            title = f"{suite}: items {first:,} to {first + len(part) - 1:,} of {len(cards):,}"
            name = f"{folder}/page-{len(pages) + 1:04d}.html"
            pages.append(Page(name=name, title=title, cards=tuple(part), first=before))
            first += len(part)
            before += len(part)
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


def render_page(
    summary: Summary, pages: Sequence[Page], place: int, characters: int = WHOLE.characters,
    report: str = "report.html",
) -> str:  # fmt: skip
    """One page as HTML text: no network, escaped as report.html is, with the way back and on.

    Args:
        summary: a run's summary.json, decoded.
        pages: all of them.
        place: 0-based place of this one.
        characters: characters shown of each text.
        report: file name of the report, beside the pages' folder.
    """
    page = pages[place]
    details = Details(
        cards=page.cards,
        items=len(page.cards),
        answers=sum(len(card.answers) for card in page.cards),
        verdicts=sum(len(card.verdicts) for card in page.cards),
        characters=characters,
    )
    links = [_link(f"../{report}", "Report")]
    links += [_link(_beside(pages[place - 1]), "Page before")] if place else []
    links += [_link(_beside(pages[place + 1]), "Next page")] if place + 1 < len(pages) else []
    way = element("nav", {"aria-label": "Pages"}, element("ul", links))
    where = f"Run {summary['run']}, page {place + 1:,} of {len(pages):,}; what needs a look comes first."
    top = element("header", element("h1", page.title), element("p", where))
    body = items_section(details, baselines(summary), {page.cards[0].suite: "items"}, first=page.first)
    walk = element("nav", {"id": "walk", "aria-label": "List", "hidden": ""})
    whole = element("body", top, element("main", way, walk, element("section", body)), raw("script", SCRIPT))
    return f"<!DOCTYPE html>\n{element('html', {'lang': 'en'}, head(summary, page.title), whole)}\n"


def render_index(summary: Summary, pages: Sequence[Page], ways: Ways, report: str = "report.html") -> str:
    """The page to which numbers lead: the items behind one of them, each linked to where it is shown whole.

    Without a script it lists the pages instead.

    Args:
        summary: a run's summary.json, decoded.
        pages: all of them.
        ways: the lists that the report links.
        report: file name of the report, beside the pages' folder.
    """
    suites = list(dict.fromkeys(page.cards[0].suite for page in pages))
    numbers = {suite: number for number, suite in enumerate(suites)}
    items = [
        [numbers[card.suite], one_line(card.item.id), place, one_line(card.item.category[:LINE]), _start(card)]
        for place, page in enumerate(pages)
        for card in page.cards
    ]
    names = [one_line(suite) for suite in suites]
    held = data("places", {"suites": names, "pages": [_beside(page) for page in pages], "items": items})
    find = element("label", "Find in this list", element("input", {"id": "find", "type": "search"}))
    box = element(
        "section",
        {"id": "listed", "hidden": ""},
        element("h2", {"id": "title"}, "Items"),
        element("div.controls", find, element("output", {"id": "count"})),
        element("ul.rows", {"id": "rows"}),
        element("p", element("button", {"id": "more", "type": "button"}, "More")),
    )
    links = [_link(_beside(page), page.title) for page in pages]
    every = element("section", element("h2", "All pages"), element("ul", links))
    way = element("nav", {"aria-label": "Pages"}, element("ul", _link(f"../{report}", "Report")))
    top = element("header", element("h1", "Items behind a number"), element("p", f"Run {summary['run']}"))
    body = element("body", top, element("main", way, box, every), ways.data(), held, raw("script", LIST_SCRIPT))
    page = element("html", {"lang": "en"}, head(summary, "items behind a number", LIST_SCRIPT), body)
    return f"<!DOCTYPE html>\n{page}\n"


def _start(card: Card) -> str:
    return one_line(shorten((card.item.question or card.item.turns or ("",))[0], LINE)[0])


def _beside(page: Page) -> str:
    return page.name.rpartition("/")[2]


def _link(address: str, text: str) -> Safe:
    return element("li", element("a", {"href": address}, text))
