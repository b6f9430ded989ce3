"""What runs took: of one run and of several side by side; what nobody counted is said and is never 0."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from test_report_html import Page
from test_report_runs import ITEMS, made

from judgebench.cli import main
from judgebench.report import runs_compared
from judgebench.report.tables import Table
from judgebench.report.usage import UNKNOWN, usage_table
from judgebench.runs import Journal, Run
from judgebench.stages.rate import rate
from judgebench.stages.report import report
from judgebench.stages.settings import Settings
from judgebench.stages.spending import usage_rows
from judgebench.types import Usage


def asked(
    run: Run, name: str, *usages: Usage, backend: str = "openai", price: tuple[float, float] | None = None
) -> Run:
    """The run with a model that was asked by a backend, its answers taking these usages in turn."""
    run.manifest["models"][name] = {"backend": backend, "id": name, "options": {}}
    if price:
        run.manifest["prices"] = {"date": "2026-01-15", "currency": "EUR", "by": {f"model | {name}": list(price)}}
    run.save_manifest()
    answers = [answer for answer in run.answers().values() if answer.model == name]
    with Journal(run.answers_file(name)) as journal:
        for number, answer in enumerate(answers):
            journal.append(msgspec.structs.replace(answer, usage=usages[number % len(usages)]))
    return Run(run.path)


def compared(tmp_path: Path, capsys: pytest.CaptureFixture[str], *runs: Run) -> dict[str, Any]:
    """What ``report RUN RUN --json`` prints."""
    names = [str(run.path) for run in runs]
    assert main(["report", *names, "--out", str(tmp_path / "both.html"), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def texts(table: Table) -> dict[str, dict[str, str]]:
    """First cell → column → text."""
    return {
        row[0].text: {column.title: cell.text for column, cell in zip(table.columns, row, strict=True)}
        for row in table.rows
    }


def test_each_run_of_a_comparison_says_what_it_took_as_its_own_report_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = asked(made(tmp_path / "one", {"first": ""}, judged=False), "first",
                Usage(prompt_tokens=100, completion_tokens=10, requests=1), price=(2.0, 5.0))  # fmt: skip
    two = asked(made(tmp_path / "two", {"second": ""}, judged=False), "second",
                Usage(prompt_tokens=100, completion_tokens=10, requests=2), Usage(cached=1))  # fmt: skip
    found = compared(tmp_path, capsys, one, two)
    for run, row in zip((one, two), found["runs"], strict=True):
        assert row["usage"] == rate(run, Settings())["usage"]
    shown = texts(runs_compared.spent_table(found))
    assert shown["one"] == {
        "Run": "one", "Requests": f"{ITEMS}", "Prompt tokens": "4,000", "Completion tokens": f"{10 * ITEMS}",
        "From the cache": "0", "Cost": "0.01 EUR", "Prices of": "2026-01-15",
    }  # fmt: skip
    assert found["runs"][0]["spent"]["cost"] == pytest.approx((100 * 2 + 10 * 5) * ITEMS / 1e6)
    assert (shown["two"]["Requests"], shown["two"]["From the cache"]) == (str(ITEMS), str(ITEMS // 2))
    assert shown["two"]["Cost"].startswith(UNKNOWN)
    assert found["runs"][1]["spent"]["cost"] is None
    assert found["runs"][1]["spent"]["lacking"] == {"cost": ["second"]}


def test_what_another_tool_asked_is_not_known_in_any_column_and_never_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = made(tmp_path / "one", {"base": "", "first": ""}), made(tmp_path / "two", {"base": "", "second": ""})
    found = compared(tmp_path, capsys, one, two)
    for run, name in zip(found["runs"], ("first", "second"), strict=True):
        assert {run["spent"][field] for field in ("requests", "prompt_tokens", "completion_tokens", "cost")} == {None}
        assert run["spent"]["lacking"]["cost"] == ["j", "base", name]
    for row in texts(runs_compared.spent_table(found)).values():
        assert all(
            row[title].startswith(UNKNOWN) for title in ("Requests", "Prompt tokens", "Completion tokens", "Cost")
        )
    assert UNKNOWN in usage_table(rate(one, Settings())).rows[0][2].text


def test_tokens_that_a_server_did_not_say_make_the_sum_a_lower_bound_and_the_cost_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said, silent = Usage(prompt_tokens=100, completion_tokens=10, requests=1), Usage(requests=1)
    one = asked(made(tmp_path / "one", {"first": ""}, judged=False), "first", said, silent, price=(2.0, 5.0))
    two = asked(made(tmp_path / "two", {"second": ""}, judged=False), "second", silent, price=(2.0, 5.0))
    found = compared(tmp_path, capsys, one, two)
    assert [row["uncounted"] for run in found["runs"] for row in run["usage"]] == [ITEMS // 2, ITEMS]
    shown = texts(runs_compared.spent_table(found))
    assert shown["one"]["Requests"] == shown["two"]["Requests"] == str(ITEMS)
    assert shown["one"]["Prompt tokens"].startswith("≥ 2,000")
    assert shown["one"]["Cost"].startswith("≥ 0.005 EUR")
    assert shown["two"]["Prompt tokens"].startswith(UNKNOWN)
    assert shown["two"]["Cost"].startswith(UNKNOWN)
    alone = usage_table(rate(two, Settings()))
    assert [cell.text for cell in alone.rows[0][2:]] == [str(ITEMS), UNKNOWN, UNKNOWN, UNKNOWN]
    assert "Cost not known (of second: not known, or not wholly)." in alone.remarks[0]


def test_models_without_a_model_took_nothing_and_calls_that_failed_are_not_called_uncounted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = asked(made(tmp_path / "one", {"first": ""}, judged=False), "first", Usage(), backend="scripted")
    two = asked(made(tmp_path / "two", {"second": ""}, judged=False), "second", Usage(), backend="replay")
    answer = next(iter(one.answers().values()))
    one.manifest["models"]["third"] = {"backend": "openai", "id": "third", "options": {}}
    one.save_manifest()
    with Journal(one.answers_file("third")) as journal:
        journal.append(msgspec.structs.replace(answer, model="third", turns=(), finish=(), error="timeout: 60 s",
                                               usage=Usage(requests=3)))  # fmt: skip
    first, second = compared(tmp_path, capsys, Run(one.path), two)["runs"]
    assert {row["name"]: row["uncounted"] for row in first["usage"]} == {"first": 0, "third": 0}
    assert first["spent"]["requests"] == 3
    assert second["spent"] == {
        "requests": 0, "prompt_tokens": 0, "completion_tokens": 0, "cached": 0, "cost": 0.0, "lacking": {}
    }  # fmt: skip


def test_replies_that_came_count_as_uncounted_also_where_they_could_not_be_read_or_a_later_call_failed(
    tmp_path: Path,
) -> None:
    run = asked(made(tmp_path / "run", {"base": "", "first": ""}), "first", Usage(requests=1), price=(2.0, 5.0))
    run.manifest["judges"]["j"]["backend"] = "openai"
    run.manifest["prices"]["by"]["judge | j"] = [2.0, 5.0]
    run.manifest["judges"]["golden-judge"] = {**run.manifest["judges"]["j"], "backend": "imported"}
    answers, verdicts = list(run.answers().values()), list(run.verdicts().values())
    begun = [msgspec.structs.replace(each, error="timeout: 60 s") for each in answers if each.model == "first"]
    said = [each for each in verdicts if each.judge == "j"]
    unread = [msgspec.structs.replace(each, scores=(), error="unreadable: no verdict", reply="well", seen="",
                                      usage=Usage(requests=1)) for each in said]  # fmt: skip
    failed = [msgspec.structs.replace(each, reply="", error="timeout: 60 s") for each in unread]
    others = [msgspec.structs.replace(each, judge="golden-judge") for each in said]
    rows = {row["name"]: row for row in usage_rows(run, begun, [*unread, *others])}
    assert {name: row["uncounted"] for name, row in rows.items()} == {
        "first": len(begun), "j": len(unread), "golden-judge": len(others)
    }  # fmt: skip
    assert [row["cost"] for row in rows.values()] == [None] * 3
    assert [row["uncounted"] for row in usage_rows(run, (), failed)] == [0]


def test_the_page_the_markdown_and_the_json_of_a_comparison_hold_the_same_spending(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    usage = Usage(prompt_tokens=1234, completion_tokens=56, requests=1)
    one = asked(made(tmp_path / "one", {"first": ""}, judged=False), "first", usage, price=(2.0, 5.0))
    two = made(tmp_path / "two", {"second": ""}, judged=False)
    found = compared(tmp_path, capsys, one, two)
    page = Page((tmp_path / "both.html").read_text(encoding="utf-8"))
    markdown = (tmp_path / "both.md").read_text(encoding="utf-8")
    for table in (runs_compared.spent_table(found), runs_compared.spent_by_table(found)):
        assert len(table.rows) == 2
        for text in (cell.text for row in table.rows for cell in row):
            assert text in page.text
            assert text in markdown
    assert "49,360" in page.text
    assert "49,360" in markdown
    assert "What was spent" in page.text
    assert main(["report", str(one.path), str(two.path), "--out", str(tmp_path / "both.html")]) == 0
    printed = capsys.readouterr().out
    assert "49,360" in printed
    assert UNKNOWN in printed
    assert max(len(line) for line in printed.splitlines() if str(tmp_path) not in line) <= 80
    silent = asked(made(tmp_path / "silent", {"third": ""}, judged=False), "third",
                   msgspec.structs.replace(usage, prompt_tokens=1_234_567_890, completion_tokens=987_654_321),
                   Usage(requests=1), price=(2.0, 5.0))  # fmt: skip
    assert main(["report", str(one.path), str(silent.path), "--out", str(tmp_path / "both.html")]) == 0
    printed = capsys.readouterr().out
    assert max(len(line) for line in printed.splitlines() if str(tmp_path) not in line) <= 80
    for number in ("≥ 24,691,357,800", "≥ 19,753,086,420", "≥ 148,148.15 EUR"):
        assert printed.count(number) == 2, number  # of the run, and of its only model: none is cut


def test_one_runs_report_says_of_whom_nothing_is_known(tmp_path: Path) -> None:
    run = made(tmp_path / "run", {"base": ""}, judged=False)
    rate(run, Settings())
    report(run, quiet=True)
    assert (
        f"In all: requests {UNKNOWN}, prompt tokens {UNKNOWN},"
        in Page((run.path / "report.html").read_text(encoding="utf-8")).text
    )
