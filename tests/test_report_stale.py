"""Old numbers over new records: report says so on the screen, in report.md and in report.html, and says no more."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_report_html import Page
from test_report_runs import made

from judgebench.cli import main
from judgebench.runs import Journal, Run
from judgebench.stages.rate import rate
from judgebench.stages.report import report
from judgebench.stages.settings import Settings
from judgebench.types import Answer, Item, Verdict

CHANGED, HALF = "the run has changed since it was rated", "the last line is half a record"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    found = made(tmp_path / "run", {"base": "", "first": ""}, items=range(6))
    rate(found, Settings())
    return found


def said(run: Run, capsys: pytest.CaptureFixture[str]) -> str:
    """The warning, once it is sure that screen and both files agree on it."""
    capsys.readouterr()
    report(run)
    screen = " ".join(capsys.readouterr().out.split())
    page = " ".join(Page((run.path / "report.html").read_text(encoding="utf-8")).text.split())
    markdown = (run.path / "report.md").read_text(encoding="utf-8")
    for words in (CHANGED, HALF):
        assert (words in screen) == (words in page) == (words in markdown)
    return screen


def test_a_run_as_it_was_rated_is_reported_without_a_word(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    found = said(run, capsys)
    assert CHANGED not in found
    assert HALF not in found


def test_a_verdict_recorded_since_is_said_until_the_run_is_rated_anew(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    held = len(run.verdicts_file("j", "r").read_bytes().splitlines())
    others = sum(
        len(path.read_bytes().splitlines())
        for path in (run.path / "verdicts").glob("*.jsonl")
        if path != run.verdicts_file("j", "r")
    )
    with Journal(run.verdicts_file("j", "r")) as journal:
        journal.append(Verdict(suite="talk", item="1", rubric="r@1", judge="j", kind="preference",
                               shown=(("base", 0), ("first", 0)), scores=(1.0, 0.0)))  # fmt: skip
    found = said(run, capsys)
    assert f"{CHANGED} ({held + others} records of verdicts then, {held + others + 1} now)" in found
    rate(run, Settings())
    assert CHANGED not in said(run, capsys)


def test_an_answer_exchanged_for_another_and_a_question_too_are_said_though_their_numbers_are_the_same(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    file = run.answers_file("base")
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[1:], lines[0].replace(b"base says", b"base sang")]))
    assert f"{CHANGED} (other answers)" in said(run, capsys)
    run.save_items("talk", [Item(id="0", turns=("another?",), reference=("0",))])
    assert f"{CHANGED} (other questions, other answers)" in said(run, capsys)


def test_a_half_written_last_line_is_said_and_is_no_change(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with run.answers_file("base").open("ab") as file:
        file.write(b'{"suite":"talk","item":"7","model":"ba')
    found = said(run, capsys)
    assert f"answers/base.jsonl: {HALF}" in found
    assert CHANGED not in found
    with Journal(run.answers_file("base")) as journal:  # drops the half
        journal.append(Answer(suite="talk", item="7", model="base", turns=("whole",), finish=("stop",)))
    found = said(run, capsys)
    assert HALF not in found
    assert CHANGED in found


def test_machines_and_model_cards_are_told_as_well(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with Journal(run.answers_file("base")) as journal:
        journal.append(Answer(suite="talk", item="7", model="base", turns=("more",), finish=("stop",)))
    capsys.readouterr()
    assert main(["report", str(run.path), "--json"]) == 0
    out, err = capsys.readouterr()
    assert "records" in json.loads(out)
    assert err.startswith(f"warning: {CHANGED}")
    assert main(["export", str(run.path), "model-card"]) == 0
    assert CHANGED in capsys.readouterr().out
    assert main(["export", str(run.path), "fastchat"]) == 0  # holds no rated number
    assert CHANGED not in capsys.readouterr().out


def test_a_summary_that_does_not_say_what_it_counted_is_doubted(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    summary = json.loads((run.path / "summary.json").read_text(encoding="utf-8"))
    del summary["records"]
    run.write("summary.json", json.dumps(summary))
    assert "do not say of which records they are" in said(run, capsys)
