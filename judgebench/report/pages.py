"""The files of one report: the page itself, and where it does not hold everything, further pages and their index."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from judgebench.report import item_pages
from judgebench.report.behind import Behind
from judgebench.report.details import everything, gather
from judgebench.report.html import Section, anchors_of, render_html
from judgebench.report.tables import Summary
from judgebench.report.ways import Ways
from judgebench.types import Answer, Item, Verdict

Records = tuple[Sequence[tuple[str, Item]], Iterable[Answer], Iterable[Verdict]]
"""(suite, item) of every item, every answer, every verdict."""


def report_files(
    summary: Summary, records: Records, behind: Behind, stem: str = "report", first: Sequence[Section] = ()
) -> Iterator[tuple[str, str]]:
    """(name, content) of every file: ``STEM.html`` last, before it the pages that it links in ``STEM-items/``.

    Args:
        summary: a run's summary.json, decoded.
        records: of the run.
        behind: finds the items behind a number.
        stem: name of the page without its ending.
        first: sections that stand before all others.
    """
    details = gather(*records)
    if everything(details):
        here = Ways(behind, [(card.suite, card.item.id) for card in details.cards], "", anchors_of(summary, details))
        yield f"{stem}.html", render_html(summary, details, (), here, first)
        return
    folder = f"{stem}-items"
    pages = item_pages.split(gather(*records, item_pages.WHOLE), folder=folder)
    for place in range(len(pages)):
        yield pages[place].name, item_pages.render_page(summary, pages, place, report=f"{stem}.html")
    order = [(card.suite, card.item.id) for page in pages for card in page.cards]
    ways = Ways(behind, order, f"{folder}/{item_pages.INDEX}")
    written = render_html(summary, details, [(page.name, page.title) for page in pages], ways, first)
    yield f"{folder}/{item_pages.INDEX}", item_pages.render_index(summary, pages, ways, report=f"{stem}.html")
    yield f"{stem}.html", written
