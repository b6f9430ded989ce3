"""The pages in a real browser, Debian's Chromium: labels by keyboard, the way down, hostile text, accessibility.

``make test-browser`` installs what they need and runs them; with CI set, what is missing fails them.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from test_web_annotate import HOSTILE, made, start

from judgebench.report.visible import visible
from judgebench.runs import Run

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    lacking = pytest.fail if os.environ.get("CI") else pytest.skip
    if find_spec("playwright") is None or find_spec("axe_playwright_python") is None:
        lacking("playwright and axe-playwright-python are needed: the extra 'dev' holds them")
    sync_api = import_module("playwright.sync_api")
    program = shutil.which("chromium")
    if program is None:
        lacking("no chromium is installed: 'make test-browser' installs it as root")
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Run, str]]:
    run = made(tmp_path / "results" / "duel", 14, text=HOSTILE)
    process, url = start(run)
    yield run, url
    process.send_signal(signal.SIGINT)
    process.wait(20)
    process.stdout.close()


@pytest.fixture
def viewed(served: tuple[Run, str]) -> Iterator[str]:
    process, url = start(served[0], command="view", folder=served[0].path.parent)
    yield url
    process.send_signal(signal.SIGINT)
    process.wait(20)
    process.stdout.close()


def page_of(browser: Any, scheme: str = "light") -> Any:
    page = browser.new_page(color_scheme=scheme)
    page.set_default_timeout(20_000)
    page.troubles = []
    page.on("pageerror", lambda error: page.troubles.append(str(error)))
    page.on("console", lambda said: said.type == "error" and page.troubles.append(said.text))
    page.on("dialog", lambda dialog: (page.troubles.append(f"dialog {dialog.message}"), dialog.dismiss()))
    return page


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's report."""
    folder = tmp_path_factory.mktemp("demo")
    subprocess.run([sys.executable, "-m", "judgebench", "demo"], cwd=folder, check=True, capture_output=True)
    return folder / "results" / "demo" / "report.html"


def test_the_demos_report_sorts_filters_and_leads_down_to_an_item_in_both_orders(browser: Any, report: Path) -> None:
    page = page_of(browser)
    page.goto(report.as_uri())
    heading = page.locator("table.sortable thead th:has(button)").last
    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") in ("ascending", "descending")
    before = page.inner_text("#count")
    page.select_option("#suite", "mini-chat")
    assert page.inner_text("#count") != before
    card = page.locator("details.card[data-suite=mini-chat]").first
    card.locator("summary").first.click()
    words = card.inner_text()
    assert "tiny-base" in words
    assert "tiny-tuned" in words
    assert "baseline/overlap" in words
    assert page.troubles == []


def test_ten_pairs_by_keyboard_then_reload_and_undo(browser: Any, served: tuple[Run, str]) -> None:
    run, url = served
    page = page_of(browser)
    page.goto(f"{url}ann/")
    keys = "1232131232"
    for number, key in enumerate(keys, 1):
        page.wait_for_url(f"**/ann/{number}")
        assert HOSTILE.split("<")[0] in page.inner_text("pre.question + .beside, .beside")
        page.keyboard.press(key)
    page.wait_for_url("**/ann/done")
    assert "10 labelled" in page.inner_text("#progress")
    verdicts = list(run.verdicts(run.verdicts_file("human@ann", "")).values())
    said = {(1.0, 0.0): "1", (0.0, 1.0): "2", (0.5, 0.5): "3"}
    assert [said[verdict.scores] for verdict in verdicts] == list(keys)
    page.reload()
    assert "10 labelled" in page.inner_text("#progress")
    page.keyboard.press("u")
    page.wait_for_url("**/ann/10")
    assert "9 labelled" in page.inner_text("#progress")
    page.reload()
    assert "9 labelled" in page.inner_text("#progress")
    page.keyboard.press("s")
    page.wait_for_url("**/ann/done")
    assert "9 labelled, 1 skipped" in page.inner_text("#progress")
    assert page.troubles == []


def test_what_models_wrote_stays_text_and_no_name_is_shown(browser: Any, served: tuple[Run, str]) -> None:
    page = page_of(browser)
    page.goto(f"{served[1]}ann/1")
    assert "Task 1" in page.title()
    assert visible(HOSTILE).strip() in page.inner_text(".beside")
    assert page.locator("main img").count() == 0
    assert page.locator("main script").count() == 0
    assert "secret" not in page.content()
    assert page.troubles == []


def test_two_annotators_label_at_once_and_a_second_window_does_not_overwrite(
    browser: Any, served: tuple[Run, str]
) -> None:
    run, url = served
    ann, bob, again = page_of(browser), page_of(browser), page_of(browser)
    ann.goto(f"{url}ann/1")
    again.goto(f"{url}ann/1")
    bob.goto(f"{url}bob/1")
    ann.keyboard.press("1")
    bob.keyboard.press("2")
    ann.wait_for_url("**/ann/2")
    bob.wait_for_url("**/bob/2")
    again.keyboard.press("3")
    again.locator("#trouble").wait_for(state="visible")
    assert "NOT saved" in again.inner_text("#trouble")
    for name, scores in (("ann", (1.0, 0.0)), ("bob", (0.0, 1.0))):
        (verdict,) = run.verdicts(run.verdicts_file(f"human@{name}", "")).values()
        assert verdict.scores == scores


def test_a_server_that_is_gone_is_said_to_be_gone_and_the_label_is_not_there(browser: Any, tmp_path: Path) -> None:
    run = made(tmp_path / "r")
    process, url = start(run, "--as", "ann")
    page = page_of(browser)
    page.goto(url)
    page.wait_for_url("**/ann/1")
    process.kill()
    process.wait(20)
    process.stdout.close()
    page.keyboard.press("1")
    page.locator("#trouble").wait_for(state="visible")
    assert "NOT known to be saved" in page.inner_text("#trouble")
    assert not run.verdicts_file("human@ann", "").exists()


def test_the_viewer_filters_and_leads_down_to_both_answers_and_the_prompt(browser: Any, viewed: str) -> None:
    page = page_of(browser)
    page.goto(viewed)
    page.click("text=duel")
    assert "14 of 14 items" in page.inner_text("#found")
    page.fill("input[name=words]", "question 13")
    page.click("text=Filter")
    page.wait_for_url("**words=question**")
    assert "1 of 14 items" in page.inner_text("#found")
    page.click("tbody a")
    page.wait_for_url("**/item?**")
    assert page.locator(".beside section").count() == 2
    assert page.locator("mark").count() == 2
    assert page.locator("main img").count() == 0
    page.click("details.card summary >> nth=0")
    page.click("text=Raw prompt and reply >> nth=0")
    page.wait_for_url("**/prompt?**")
    assert "What j was asked" in page.inner_text("h1") or "What k was asked" in page.inner_text("h1")
    assert page.troubles == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_core_finds_no_serious_violation(browser: Any, served: tuple[Run, str], viewed: str, scheme: str) -> None:
    _, url = served
    script = (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")
    item = f"{viewed}item?name=duel&suite=talk&item=3"
    for address in (url, f"{url}ann/1", viewed, f"{viewed}run?name=duel", item):
        page = page_of(browser, scheme)
        page.goto(address)
        page.evaluate(script)  # through the debugger: the page's own policy stands
        found = page.evaluate("axe.run()")
        bad = [(each["id"], [node["html"] for node in each["nodes"]][:3]) for each in found["violations"]
               if each["impact"] in ("serious", "critical")]  # fmt: skip
        assert bad == [], address
        page.close()
