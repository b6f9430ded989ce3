"""report-items/: what one report does not hold is on further pages, whole."""

from __future__ import annotations

import re
from pathlib import Path

from summary_fixture import HOSTILE_TEXT, empty_summary
from test_report_html import Page

from judgebench.report import item_pages
from judgebench.report.details import gather
from judgebench.report.html import render_html
from judgebench.runs import Journal, Run
from judgebench.stages.rate import rate
from judgebench.stages.report import report
from judgebench.stages.settings import Settings
from judgebench.types import Answer, Item, Verdict


def records(count: int, verdicts: int) -> tuple[list[tuple[str, Item]], list[Answer], list[Verdict]]:
    """Items with two answers and so many verdicts in both orders each."""
    items = [Item(id=str(at), turns=(f"Question {at}? {HOSTILE_TEXT}",)) for at in range(count)]
    answers = [
        Answer(suite="s", item=item.id, model=model, turns=(f"{model} on {item.id}",), finish=("stop",))
        for item in items for model in "ab"
    ]  # fmt: skip
    shown = ((("a", 0), ("b", 0)), (("b", 0), ("a", 0)))
    judged = [
        Verdict(suite="s", item=item.id, judge="j", rubric="r@1", shown=shown[at % 2], sample=at // 2,
                kind="preference", scores=(1.0, 0.0), reply=f"verdict {at} on {item.id}")
        for item in items for at in range(verdicts)
    ]  # fmt: skip
    return [("s", item) for item in items], answers, judged


def test_every_item_answer_and_verdict_is_on_one_page_and_no_page_is_too_long() -> None:
    items, answers, verdicts = records(25, 70)  # more verdicts an item than report.html shows
    pages = item_pages.split(gather(items, answers, verdicts, item_pages.WHOLE), items=10, records=400)
    assert [len(page.cards) for page in pages] == [5, 5, 5, 5, 5]
    assert sorted(card.item.id for page in pages for card in page.cards) == sorted(item.id for _, item in items)
    texts = [Page(item_pages.render_page(empty_summary(), pages, place)).text for place in range(len(pages))]
    for verdict in verdicts:
        assert sum(f"{verdict.reply}" in text for text in texts) >= 1
    assert sum(text.count("verdict 69 on ") for text in texts) == 25
    assert pages[1].title == "s: items 6 to 10 of 25"


def test_an_item_larger_than_a_page_stays_whole() -> None:
    items, answers, verdicts = records(3, 20)
    pages = item_pages.split(gather(items, answers, verdicts, item_pages.WHOLE), records=10)
    assert [len(page.cards[0].verdicts) for page in pages] == [20, 20, 20]


def test_pages_lead_back_and_on_are_balanced_and_keep_what_a_model_wrote_as_text() -> None:
    items, answers, verdicts = records(3, 2)
    pages = item_pages.split(gather(items, answers, verdicts, item_pages.WHOLE), items=1)
    source = item_pages.render_page(empty_summary(), pages, 1)
    page = Page(source)
    links = [attributes["href"] for tag, attributes in page.elements if tag == "a"]
    assert links == ["../report.html", "page-0001.html", "page-0003.html"]
    assert source.count("<script>") == 1
    assert not set(source) & set("\x1b\u202e\x00\ud800")
    assert "https://" not in source
    assert "http://" not in source
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_a_report_that_holds_everything_has_no_pages_and_one_that_does_not_links_them_all() -> None:
    items, answers, verdicts = records(3, 2)
    assert "report-items" not in render_html(empty_summary(), gather(items, answers, verdicts))
    source = render_html(empty_summary(), gather(items, answers, verdicts), [("report-items/page-0001.html", "s: <1>")])
    assert '<a href="report-items/page-0001.html">s: &lt;1&gt;</a>' in source


def test_the_stage_writes_the_pages_of_a_long_run_and_takes_old_ones_away(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", create=True)
    items, answers, _ = records(130, 0)
    run.save_items("s", [Item(id=item.id, turns=("Q?",)) for _, item in items])
    run.manifest["suites"]["s"] = {"version": "1", "items": 130, "available": 130, "scorer": "", "missing": [],
                                   "license": "", "about": "", "notes": [], "scorer_options": {}}  # fmt: skip
    run.manifest["models"] = {name: {"backend": "hf", "id": name, "options": {}} for name in "ab"}
    run.manifest["planned"] = {f"s | {name}": 130 for name in "ab"}
    run.save_manifest()
    for name in "ab":
        with Journal(run.answers_file(name)) as journal:
            for answer in answers:
                if answer.model == name:
                    journal.append(answer)
    rate(run, Settings())
    run.write("report-items/page-0009.html", "old")
    report(run, quiet=True)
    found = sorted(path.name for path in (run.path / "report-items").iterdir())
    assert found == ["index.html", "page-0001.html", "page-0002.html"]
    main = (run.path / "report.html").read_text(encoding="utf-8")
    pages = re.findall(r'href="(report-items/page[^"]+)"', main)
    assert pages == [f"report-items/{name}" for name in found[1:]]
    texts = "".join((run.path / name).read_text(encoding="utf-8") for name in pages)
    assert all(f"b on {at}" in texts for at in range(130))
