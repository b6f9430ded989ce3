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
from contextlib import contextmanager
from importlib import import_module
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from test_web_annotate import HOSTILE, PAIRS, made, start
from test_web_rubrics import judged

from judgebench.cli import main
from judgebench.report.visible import visible
from judgebench.rubrics import load_rubric
from judgebench.runs import Journal, Run
from judgebench.types import Verdict

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
        # evil.example is this machine: as after DNS rebinding.
        resolved = "--host-resolver-rules=MAP evil.example 127.0.0.1"
        found = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", resolved])
        yield found
        found.close()


@contextmanager
def serving(run: Run, *more: str, **how: Any) -> Iterator[str]:
    process, url = start(run, *more, **how)
    try:
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)
        process.stdout.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Run, str]]:
    run = made(tmp_path / "results" / "duel", 14, text=HOSTILE)
    with serving(run) as url:
        yield run, url


@pytest.fixture
def viewed(served: tuple[Run, str]) -> Iterator[str]:
    with serving(served[0], command="view", folder=served[0].path.parent) as url:
        yield url


def axe_core() -> str:
    """The script of axe-core, to be evaluated through the debugger: the page's own policy stands."""
    return (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")


DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 375, "height": 800}


def page_of(browser: Any, scheme: str = "light", size: dict[str, int] = DESKTOP) -> Any:
    page = browser.new_page(color_scheme=scheme, viewport=size)
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
    assert "baseline/overlap" in words
    for first, second in (("tiny-base", "tiny-tuned"), ("tiny-tuned", "tiny-base")):
        assert f"shown as A = {first}, B = {second}" in words
    assert card.locator("pre").count() >= 5  # question, both answers, and what the judge said in either order
    assert page.troubles == []


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose every text is hostile, judged in both orders, too large for one file: with pages of its items."""
    run = made(tmp_path_factory.mktemp("hostile") / "results" / "duel", 120, text=HOSTILE)
    run.manifest["judges"]["j"]["rubrics"]["r"]["orders"] = "both"
    run.save_manifest()
    with Journal(run.verdicts_file("j", "r")) as journal:
        journal.append(
            *(
                Verdict(suite="talk", item=str(k), rubric=PAIRS, judge="j", kind="preference", scores=(1.0, 0.0),
                        shown=(("secret-two", 0), ("secret-one", 0)), reply=f"words of {k}: {HOSTILE}")
                for k in range(120)
            )
        )  # fmt: skip
    for stage in ("rate", "report"):
        assert main([stage, str(run.path), "--quiet"]) == 0
    return run


def test_hostile_texts_stay_text_in_the_report_and_on_its_pages_of_items(browser: Any, hostile: Run) -> None:
    pages = [hostile.path / "report.html", *sorted((hostile.path / "report-items").glob("*.html"))[:3]]
    assert len(pages) == 4
    for path in pages:
        page = page_of(browser)
        page.goto(path.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
        assert page.title() != "owned"
        assert page.locator("main img, body img").count() == 0
        assert page.troubles == []
        page.close()
    page = page_of(browser)
    page.goto(pages[0].as_uri())
    card = page.locator("details.card").first
    card.locator("summary").first.click()
    assert visible(HOSTILE).strip() in card.inner_text()
    assert "shown as A = secret-two, B = secret-one" in card.inner_text()


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


def test_from_item_to_item_by_keys_and_back_to_the_list(browser: Any, viewed: str) -> None:
    page = page_of(browser)
    page.goto(f"{viewed}run?name=duel&show=disagree")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.name") == "words"
    page.keyboard.press("Escape")
    page.click("tbody a >> nth=0")
    for place in (1, 2, 3):
        page.get_by_text(f"item {place} of").wait_for()
        page.wait_for_load_state()
        page.keyboard.press("j")
    page.get_by_text("item 4 of").wait_for()
    page.wait_for_load_state()
    page.keyboard.press("k")
    page.get_by_text("item 3 of").wait_for()
    page.click("header a >> text=duel")
    page.wait_for_url("**show=disagree**")
    assert page.troubles == []


def test_the_view_of_a_run_follows_another_process_that_writes_it(browser: Any, tmp_path: Path) -> None:
    run = made(tmp_path / "results" / "live", 4)
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from judgebench.runs import Journal, Run\n"
        "from judgebench.types import Answer\n"
        "run = Run(Path(sys.argv[1]))\n"
        "with Journal(run.answers_file('third')) as journal:\n"
        "    for item in range(4):\n"
        "        journal.append(Answer(suite='talk', item=str(item), model='third', turns=('x',), finish=('stop',)))\n"
        "        sys.stdin.readline()\n"
    )
    with serving(run, command="view", folder=run.path.parent) as url:
        home, items = page_of(browser), page_of(browser)
        home.goto(url)
        items.goto(f"{url}run?name=live")
        assert "8 answers" in items.inner_text("#progress")
        writer = subprocess.Popen([sys.executable, "-c", script, str(run.path)], stdin=subprocess.PIPE, text=True)
        items.get_by_text("9 answers").wait_for()
        items.get_by_text("being written now").wait_for()
        home.get_by_text(f"written by process {writer.pid}").wait_for()
        for _ in range(4):
            writer.stdin.write("\n")
            writer.stdin.flush()
        items.get_by_text("12 answers").wait_for()
        writer.stdin.close()
        assert writer.wait(20) == 0
        items.get_by_text("being written now").wait_for(state="detached")
        home.get_by_text("at rest").wait_for()
        assert home.troubles == items.troubles == []
    items.get_by_text("does not answer any more").wait_for()  # the server has ended
    assert "12 answers" in items.inner_text("#progress")


def test_several_dimensions_by_keyboard_and_a_number_field(browser: Any, tmp_path: Path) -> None:
    run = made(tmp_path / "grades", 2, mode="pointwise")
    with serving(run, "--as", "ann") as url:
        page = page_of(browser)
        page.goto(url)
        page.wait_for_url("**/ann/1")
        page.keyboard.press("3")
        page.keyboard.press("6")
        assert page.evaluate("document.activeElement.id") == "save"
        page.keyboard.press("Enter")
        page.wait_for_url("**/ann/2")
        page.locator("fieldset >> nth=1").locator("input >> nth=0").focus()
        page.keyboard.press("2")
        page.keyboard.press("5")
        page.keyboard.press("Enter")
        page.wait_for_url("**/ann/3")
        assert page.troubles == []
    labels = [(v.dimension, v.scores) for v in run.verdicts(run.verdicts_file("human@ann", "")).values()]
    assert labels == [("depth", (3.0,)), ("tone", (6.0,)), ("depth", (5.0,)), ("tone", (2.0,))]
    run = judged(tmp_path / "score", load_rubric("explicit-score"))
    with serving(run, "--as", "ann") as url:
        page = page_of(browser)
        page.goto(url)
        page.wait_for_url("**/ann/1")
        for _ in range(page.locator("input[type=number]").count()):
            page.keyboard.type("73")
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_url("**/ann/2")
    assert {v.scores for v in run.verdicts(run.verdicts_file("human@ann", "")).values()} == {(73.0,)}


def test_a_checklist_is_answered_by_y_and_n(browser: Any, tmp_path: Path) -> None:
    run = judged(tmp_path / "r", load_rubric("checklist-tick"))
    with serving(run, "--as", "ann") as url:
        page = page_of(browser)
        page.goto(url)
        page.wait_for_url("**/ann/1")
        for key in ("y", "n", "y", "Enter"):
            page.keyboard.press(key)
        page.wait_for_url("**/ann/2")
        assert page.troubles == []
    said = {v.dimension: v.scores[0] for v in run.verdicts(run.verdicts_file("human@ann", "")).values()}
    assert said == {"met": pytest.approx(2 / 3), "all met": 0.0}


def test_another_name_for_this_machine_and_another_page_are_refused(browser: Any, served: tuple[Run, str]) -> None:
    run, url = served
    page = page_of(browser)
    reply = page.goto(url.replace("127.0.0.1", "evil.example"))
    assert reply.status == 403
    assert "not served under that Host" in page.content()
    assert "Annotators" not in page.content()
    page.goto("data:text/html,<h1>another page</h1>")
    sent = "([url]) => fetch(url, {method: 'POST', mode: 'no-cors', body: new URLSearchParams({'label:overall': '1'})})"
    page.evaluate(f"args => ({sent})(args).then(() => 1, () => 0)", [f"{url}ann/1"])
    assert page.evaluate("url => fetch(url).then(() => 'read', () => 'refused')", url) == "refused"
    assert not run.verdicts_file("human@ann", "").exists()


def pages_of(url: str, viewed: str, more: dict[str, str]) -> dict[str, str]:
    """Name → address of every kind of page."""
    item = "name=duel&suite=talk&item=3"
    return {
        "annotators": url, "task": f"{url}ann/1", "skipped task": f"{url}ann/2", "end": f"{url}ann/done",
        "missing": f"{url}ann/99", "runs": viewed, "items": f"{viewed}run?name=duel", "item": f"{viewed}item?{item}",
        "prompt": f"{viewed}prompt?{item}&verdict=0", "no run": f"{viewed}run?name=none", **more,
    }  # fmt: skip


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_core_finds_nothing_serious_and_no_page_scrolls_sideways(
    browser: Any, served: tuple[Run, str], viewed: str, report: Path, hostile: Run, tmp_path: Path, scheme: str,
    size: dict[str, int],
) -> None:  # fmt: skip
    _, url = served
    grades, skills = made(tmp_path / "grades", 2, mode="pointwise"), judged(tmp_path / "skills", load_rubric("flask"))
    last = next((hostile.path / "report-items").glob("page-0002.html"))
    listed = hostile.path / "report-items" / "index.html"
    with serving(grades, "--as", "ann") as other, serving(skills, "--as", "ann") as many:
        more = {
            "report": report.as_uri(), "large report": (hostile.path / "report.html").as_uri(),
            "report's items": last.as_uri(), "report's list": listed.as_uri(), "grades": f"{other}1",
            "skills": f"{many}1",
        }  # fmt: skip
        found = pages_of(url, viewed, more)
        script = axe_core()
        page = page_of(browser, scheme, size)
        page.goto(f"{url}ann/2")
        page.keyboard.press("s")
        page.wait_for_url("**/ann/3")
        for name, address in found.items():
            page.goto(address)
            page.evaluate("document.querySelectorAll('details').forEach((each, at) => { each.open = at < 5; })")
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} scrolls sideways"
            page.evaluate(script)
            said = page.evaluate("axe.run({resultTypes: ['violations']})")
            bad = [(each["id"], [node["html"] for node in each["nodes"]][:3]) for each in said["violations"]
                   if each["impact"] in ("serious", "critical")]  # fmt: skip
            assert bad == [], name
