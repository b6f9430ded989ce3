"""Reports of runs in every state that a user can bring about, and of everything that a model may write."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from summary_fixture import empty_summary
from test_report_html import ALLOWED, Page
from test_report_runs import ITEMS, made

from judgebench.cli import main
from judgebench.errors import UserError
from judgebench.report.details import gather
from judgebench.report.html import render_html
from judgebench.runs import Journal, Run
from judgebench.stages.rate import rate
from judgebench.stages.report import read_summary, report
from judgebench.stages.settings import Settings
from judgebench.types import Answer, Item, Verdict

EVIL = "<img src=x onerror=alert(1)></script>\x1b[31m\u202eevil\u2066\u200b"


def reported(run: Run) -> tuple[str, Page]:
    rate(run, Settings())
    report(run, quiet=True)
    source = (run.path / "report.html").read_text(encoding="utf-8")
    page = Page(source)
    assert {tag for tag, _ in page.elements} <= ALLOWED
    assert not set(source) & set("\x1b\u202e\u2066\u200b")
    return source, page


def test_a_run_with_closed_suites_only_has_a_leaderboard_and_nothing_of_judges(tmp_path: Path) -> None:
    _, page = reported(made(tmp_path / "run", {"base": "", "first": ""}, judged=False))
    assert "sums: accuracy" in page.text
    assert "Judged" not in page.text
    assert "Win rates" not in page.text


def test_one_model_alone_has_its_numbers_and_no_rank_and_no_pair(tmp_path: Path) -> None:
    _, page = reported(made(tmp_path / "run", {"only": ""}))
    assert "sums: accuracy" in page.text
    assert "Rank" not in page.text


def test_a_run_without_any_verdict_says_that_nothing_is_scored_yet(tmp_path: Path) -> None:
    run = made(tmp_path / "run", {"base": "", "first": ""})
    for file in (run.path / "verdicts").iterdir():
        file.unlink()
    _, page = reported(run)
    assert f"unscored (not scored yet: {ITEMS})" in page.text
    assert read_summary(run)["accuracy"][0]["value"] is None
    assert "0.000" not in page.text


def test_a_run_without_answers_is_a_page_that_says_so(tmp_path: Path) -> None:
    run = made(tmp_path / "run", {"base": ""})
    for folder in ("verdicts", "answers", "items"):
        for file in (run.path / folder).iterdir():
            file.unlink()
    _, page = reported(run)
    assert f"{2 * ITEMS}answers planned0 !! (too high)answered of {2 * ITEMS} (0.0 %)" in page.text
    assert "No items are part of this report." in page.text


def test_a_run_still_being_written_is_reported_by_what_is_whole_and_marked(tmp_path: Path) -> None:
    run = made(tmp_path / "run", {"base": "", "first": ""})
    path = run.answers_file("first")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[: ITEMS // 2]) + lines[ITEMS // 2][:30])
    path = run.verdicts_file("j", "r")
    path.write_bytes(path.read_bytes()[:-20])
    source, page = reported(run)
    assert f"first on sums: {ITEMS // 2} of {ITEMS} items answered" in page.text
    assert 'class="tile bad"' in source


def test_a_folder_that_is_no_run_or_was_never_rated_is_one_line(tmp_path: Path) -> None:
    made(tmp_path / "run", {"base": ""})
    for words, said in (((str(tmp_path),), "no run in"), ((str(tmp_path / "run"),), "is not rated yet")):
        with pytest.raises(UserError, match=said) as refused:
            main(["report", *words, "--quiet"])
        assert "\n" not in str(refused.value)


def test_hostile_names_of_models_judges_rubrics_suites_dimensions_and_categories_stay_text(tmp_path: Path) -> None:
    rubric = f"{EVIL.replace('/', '')}@1"
    run = made(tmp_path / "run", {EVIL: "", "b" * 120: "x", "c": ""}, rubric=rubric, judge=EVIL, suites=(EVIL,))
    items = run.items("talk")
    first = next(iter(items.values()))
    run.save_items("talk", [Item(id=first.id, turns=first.turns, category=EVIL)])
    source, page = reported(run)
    assert "onerror=alert(1)" in page.text
    assert not [1 for tag, _ in page.elements if tag == "img"]
    assert source.count("<script>") == 1
    titles = [title for title, _ in json.loads(re.search(r'id="lists">(.*?)</script>', source)[1])]
    assert any("⟨U+202E⟩" in title for title in titles)
    assert not set("".join(titles)) & set("\x1b\u202e\u2066\u200b")
    for file in (run.path / "report-items").glob("*.html"):
        inside = file.read_text(encoding="utf-8")
        assert "<img" not in inside
        assert inside.count("<script>") == 1
        assert not set(inside) & set("\x1b\u202e\u2066\u200b")
    markdown = (run.path / "report.md").read_text(encoding="utf-8")
    assert "<img" not in markdown


def test_lines_of_a_megabyte_anywhere_make_no_page_of_a_megabyte_and_say_what_is_cut() -> None:
    long = "w" * 1_000_000
    item = Item(id="1", turns=(long,), reference=(long,), choices=(long, "b"), category=long)
    answers = [Answer(suite="s", item="1", model="m", turns=(long,), finish=("stop",), reasoning=(long,), error=long),
               Answer(suite="s", item="1", model="n", error=long)]  # fmt: skip
    verdict = Verdict(suite="s", item="1", judge="j", shown=(("m", 0),), error=long, reply=long)
    source = render_html(empty_summary(), gather([("s", item)], answers, [verdict]))
    assert len(source) < 100_000
    assert "996,000 more characters are in the run folder" in source
    assert "999,400 more characters" in source


def test_broken_utf8_in_a_records_file_is_named_with_its_line(tmp_path: Path) -> None:
    run = made(tmp_path / "run", {"base": ""}, judged=False)
    path = run.answers_file("base")
    path.write_bytes(path.read_bytes().replace(b"base says 3", b"base \xff\xfe 3", 1))
    with pytest.raises(UserError, match=re.escape(f"{path}:4")):
        rate(run, Settings())


def test_forty_models_fit_one_page_that_names_them_in_tables_only(tmp_path: Path) -> None:
    models = {f"model-{number:02d}": str(number) for number in range(40)}
    source, page = reported(made(tmp_path / "run", models, items=range(2)))
    assert "40 models on sums, talk" in page.text
    assert len(source) < 3_000_000
    assert 'class="heat large"' in source


def _with(run: Run, **fields: Any) -> None:
    with Journal(run.answers_file("base")) as journal:
        journal.append(Answer(suite="sums", item="0", model="base", **fields))


def test_a_stale_verdict_is_behind_no_number(tmp_path: Path) -> None:
    run = made(tmp_path / "run", {"base": "", "first": ""}, judged=False)
    with Journal(run.verdicts_file("exact@number", "")) as journal:
        journal.append(Verdict(suite="sums", item="0", judge="exact@number", dimension="accuracy",
                               shown=(("base", 0),), scores=(0.0,), error="unextracted: x", seen="other"))  # fmt: skip
    _with(run, turns=("new words",), finish=("stop",))
    source, page = reported(run)
    assert "1 verdicts are on answers that were redone or deleted since" in page.text
    assert "unextracted, sums" not in source
