"""The files of one report: the page itself, and where it does not hold everything, further pages and their index."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from judgebench.report import item_pages
from judgebench.report.behind import Behind
from judgebench.report.details import Limits, everything, gather
from judgebench.report.html import Section, anchors_of, render_html
from judgebench.report.tables import Summary
from judgebench.report.ways import Ways
from judgebench.types import Answer, Item, Verdict

Records = tuple[Sequence[tuple[str, Item]], Iterable[Answer], Iterable[Verdict]]
"""(suite, item) of every item, every answer, every verdict."""
More = Callable[[Ways], Sequence[Section]]
"""What makes the sections that follow the leaderboard."""
BESIDE_PAGES = Limits(items=24, answers=12, verdicts=24)
"""What the report itself shows of a run that has pages of items: it stays small, and what needs a look comes first."""


def _nothing(_: Ways) -> Sequence[Section]:
    return ()


def report_files(
    summary: Summary, records: Records, behind: Behind, stem: str = "report", more: More = _nothing
) -> Iterator[tuple[str, str]]:
    """(name, content) of every file: ``STEM.html`` last, before it the pages that it links in ``STEM-items/``.

    Args:
        summary: a run's summary.json, decoded.
        records: of the run.
        behind: finds the items behind a number.
        stem: name of the page without its ending.
        more: from the links, the sections that follow the leaderboard.
    """
    details = gather(*records)
    if everything(details):
        here = Ways(behind, [(card.suite, card.item.id) for card in details.cards], "", anchors_of(summary, details))
        yield f"{stem}.html", render_html(summary, details, (), here, more(here))
        return
    details = gather(*records, BESIDE_PAGES)
    folder = f"{stem}-items"
    pages = item_pages.split(gather(*records, item_pages.WHOLE), folder=folder)
    for place in range(len(pages)):
        yield pages[place].name, item_pages.render_page(summary, pages, place, report=f"{stem}.html")
    order = [(card.suite, card.item.id) for page in pages for card in page.cards]
    ways = Ways(behind, order, f"{folder}/{item_pages.INDEX}")
    written = render_html(summary, details, [(page.name, page.title) for page in pages], ways, more(ways))
    yield f"{folder}/{item_pages.INDEX}", item_pages.render_index(summary, pages, ways, report=f"{stem}.html")
    yield f"{stem}.html", written
