"""Reports in a real browser: from a number down to its items, with and without a script; no width scrolls sideways."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_browser import axe_core, browser, page_of, report
from test_report_bad_input import EVIL
from test_report_runs import made

from judgebench.runs import Run
from judgebench.stages.rate import rate
from judgebench.stages.report import behind
from judgebench.stages.report import report as write_report
from judgebench.stages.report_runs import report_runs
from judgebench.stages.settings import Settings

__all__ = ["browser", "report"]  # fixtures

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report that holds every item itself."""
    return written(made(tmp_path_factory.mktemp("small") / "run", {"base": "", "first": "", "second": ""}))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Names of every kind, long ones too."""
    models = {EVIL: "", "b" * 120: "x", "c": ""}
    return written(made(tmp_path_factory.mktemp("hostile") / "run", models, rubric=f"{'r' * 60}@1", judge=EVIL,
                        suites=("s" * 100,)))  # fmt: skip


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty models."""
    models = {f"model-{number:02d}": str(number) for number in range(40)}
    return written(made(tmp_path_factory.mktemp("many") / "run", models, items=range(2)))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison of two runs."""
    folder = tmp_path_factory.mktemp("both")
    runs = [made(folder / name, {"base": "", model: ""}) for name, model in (("one", "first"), ("two", "second"))]
    report_runs(runs, folder / "both.html", behind)
    return folder / "both.html"


def written(run: Run) -> Path:
    rate(run, Settings())
    write_report(run, quiet=True)
    return run.path / "report.html"


def test_a_number_of_a_large_report_leads_to_its_list_and_on_to_the_item_opened(browser: Any, report: Path) -> None:
    page = page_of(browser)
    page.goto(report.as_uri())
    link = page.locator("li.tile.warn a.way").first
    counted = int(link.inner_text())
    link.click()
    page.wait_for_url("**/report-items/index.html#list-*")
    assert "unextracted" in page.inner_text("#title")
    assert f"of {counted} items shown" in page.inner_text("#count")
    assert page.locator("#rows li").count() == counted
    page.locator("#rows a").nth(2).click()
    page.wait_for_url("**/page-*.html#item-*")
    card = page.locator(page.url.partition("#")[2].join(("#", "")))
    assert card.get_attribute("open") is not None
    assert "nothing extracted" in card.inner_text()
    assert f"3 of {counted} in: exact scores, unextracted" in page.inner_text("#walk")
    page.click("#walk >> text=Next")
    page.locator("#walk", has_text=f"4 of {counted}").wait_for()
    assert card.get_attribute("open") is None
    assert page.locator("details.card[open]").count() == 1
    page.click(f"#walk >> text=4 of {counted}")
    page.wait_for_url("**/index.html#list-*")
    assert page.locator("#rows li").count() == counted
    assert page.troubles == []


def test_a_list_can_be_searched_and_going_back_shows_another(browser: Any, report: Path) -> None:
    page = page_of(browser)
    page.goto((report.parent / "report-items" / "index.html").as_uri())
    assert page.inner_text("#title") == "All items"
    page.fill("#find", "spider")
    page.locator("#count", has_text="1 of 1 items shown").wait_for()
    page.fill("#find", "")
    page.locator("#count", has_text="of 126 items").wait_for()
    page.evaluate("location.hash = 'list-0'")
    page.locator("#title", has_text="exact scores, scored").wait_for()
    assert page.troubles == []


def test_a_number_of_a_small_report_filters_the_items_on_the_page(browser: Any, small: Path) -> None:
    page = page_of(browser)
    page.goto(small.as_uri())
    every = page.locator("details.card").count()
    cell = page.locator("table.heat a.way").first
    cell.click()
    shown = page.locator("details.card:visible")
    assert 0 < shown.count() < every
    assert "Only: games" in page.inner_text("#listed")
    assert shown.first.get_attribute("open") is not None
    assert "shown as A = " in shown.first.inner_text()
    page.click("#listed button")
    assert page.locator("details.card:visible").count() == every
    assert page.troubles == []


def test_without_a_script_numbers_still_lead_to_the_suites_items(browser: Any, small: Path, report: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(small.as_uri())
    page.locator("table.heat a.way").first.click()
    assert "#items-" in page.url
    assert page.locator("details.card:visible").count() > 0
    page.goto(report.as_uri())
    page.locator("li.tile a.way").first.click()
    assert page.locator("#listed").is_hidden()
    page.locator("a[href=page-0001\\.html]").click()
    assert page.locator("details.card").count() > 0
    context.close()


@pytest.mark.parametrize(("width", "media"), [(375, "screen"), (1280, "screen"), (760, "print")])
def test_no_page_scrolls_sideways_on_a_phone_a_screen_or_on_paper(
    browser: Any, report: Path, hostile: Path, many: Path, both: Path, width: int, media: str
) -> None:
    index = report.parent / "report-items" / "index.html"
    for path in (report, index, hostile, both) if media == "screen" else (report, both):
        page = browser.new_page(viewport={"width": width, "height": 800})
        page.emulate_media(media=media)
        page.goto(path.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach((each, at) => { if (at < 30) each.open = true; })")
        wide, room = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide <= room, path
        page.close()
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto(many.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("(box => box.scrollWidth > box.clientWidth)(document.querySelector('.heat').parentElement)")
    page.close()


def test_hostile_names_run_nothing(browser: Any, hostile: Path) -> None:
    page = page_of(browser)
    for path in (hostile, *sorted((hostile.parent / "report-items").glob("*.html"))):
        page.goto(path.as_uri())
        assert page.locator("img").count() == 0
    assert page.troubles == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_core_finds_no_serious_violation_in_a_report(
    browser: Any, report: Path, small: Path, both: Path, scheme: str
) -> None:
    script = axe_core()
    index = report.parent / "report-items" / "index.html"
    for path in (report, index, report.parent / "report-items" / "page-0001.html", small, both):
        page = page_of(browser, scheme)
        page.goto(path.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach((each, at) => { if (at < 12) each.open = true; })")
        page.evaluate(script)
        found = page.evaluate("axe.run()")
        bad = [(each["id"], [node["html"] for node in each["nodes"]][:3]) for each in found["violations"]
               if each["impact"] in ("serious", "critical")]  # fmt: skip
        assert bad == [], path
        page.close()
