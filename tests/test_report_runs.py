"""judgebench report over several runs: what is joined, what is refused, what differs, what is in one only."""

from __future__ import annotations

import json
import random
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from test_report_html import ALLOWED, Page

from judgebench.cli import main
from judgebench.errors import RunConflict, UserError
from judgebench.ratings.paired import paired_difference
from judgebench.report import runs_compared
from judgebench.report.joining import changes, join, unlike
from judgebench.runs import Journal, Run
from judgebench.stages.report import behind
from judgebench.stages.report_runs import report_runs, side_of
from judgebench.types import Answer, Item, Verdict

ITEMS = 40
PARTS = {"suite version": "1", "suite prompt": "p0", "suite fewshot": {"count": 0}, "max_tokens": 64, "model": "x"}


def words(model: str, item: int, salt: str = "") -> str:
    return f"{model}{salt} says {item}"


def right(model: str, item: int, salt: str = "") -> float:
    level = {"base": 0.3, "first": 0.5, "second": 0.8}.get(model, 0.5)
    return float(random.Random(f"{model}{salt}{item}").random() < level)


def made(
    folder: Path, models: dict[str, str], *, items: range = range(ITEMS), parts: dict[str, Any] | None = None,
    judged: bool = True, rubric: str = "r@1", judge: str = "j", suites: tuple[str, ...] = ("sums",),
) -> Run:  # fmt: skip
    """A run of models (name → what makes its answers its own) on closed suites and one that is judged pairwise."""
    run = Run(folder, create=True)
    names = (*suites, "talk") if judged else suites
    for suite in names:
        run.manifest["suites"][suite] = {
            "version": "1", "about": "", "license": "", "scorer": "" if suite == "talk" else "number", "missing": [],
            "scorer_options": {}, "notes": [], "submission": "", "items": len(items), "available": ITEMS,
        }  # fmt: skip
        run.save_items(suite, [Item(id=str(k), turns=(f"{suite} {k}?",), reference=(str(k),)) for k in items])
        for name in models:
            run.manifest["answers"][f"{suite} | {name}"] = {**PARTS, "model": name, **(parts or {})}
            run.manifest["planned"][f"{suite} | {name}"] = len(items)
    run.manifest["models"] = {name: {"backend": "imported", "id": name, "options": {}} for name in models}
    if judged:
        bare = rubric.partition("@")[0]
        asked = {bare: {"id": rubric, "orders": "both", "without_reference": {}}}
        run.manifest["judges"][judge] = {"backend": "imported", "id": judge, "options": {}, "baseline": False,
                                         "rubrics": asked}  # fmt: skip
        run.manifest["rubrics"][rubric] = {"name": bare, "version": "1", "about": "", "mode": "pairwise",
                                           "dimensions": {"overall": ""}, "scale": [0, 1], "prompt": ""}  # fmt: skip
        run.manifest["verdicts"][f"{bare} | {judge}"] = {"rubric": rubric, "model": judge}
    run.save_manifest()
    for name, salt in models.items():
        with Journal(run.answers_file(name)) as journal:
            for suite in names:
                for k in items:
                    journal.append(Answer(suite=suite, item=str(k), model=name, turns=(words(name, k, salt),),
                                          finish=("stop",)))  # fmt: skip
    with Journal(run.verdicts_file("exact@number", "")) as journal:
        for suite in suites:
            for name, salt in models.items():
                for k in items:
                    journal.append(Verdict(suite=suite, item=str(k), judge="exact@number", dimension="accuracy",
                                           shown=((name, 0),), scores=(right(name, k, salt),)))  # fmt: skip
    if judged:
        with Journal(run.verdicts_file(judge, rubric.partition("@")[0])) as journal:
            for one, other in combinations(models, 2):
                for pair in ((one, other), (other, one)):
                    for k in items:
                        lead = right(pair[0], k, models[pair[0]]) - right(pair[1], k, models[pair[1]])
                        journal.append(
                            Verdict(suite="talk", item=str(k), rubric=rubric, judge=judge, kind="preference",
                                    shown=((pair[0], 0), (pair[1], 0)), scores=(0.5 + lead / 2, 0.5 - lead / 2))
                        )  # fmt: skip
    return run


def found_in(tmp_path: Path, *runs: Run, **more: Any) -> tuple[dict[str, Any], dict[str, Any], str]:
    out = tmp_path / "both.html"
    found, summary = report_runs(runs, out, behind, **more)
    return found, summary, out.read_text(encoding="utf-8")


def test_two_checkpoints_are_compared_on_the_items_that_both_runs_have(tmp_path: Path) -> None:
    one = made(tmp_path / "one", {"base": "", "first": ""})
    two = made(tmp_path / "two", {"base": "", "second": ""}, items=range(10, ITEMS), suites=("sums", "more"))
    found, summary, source = found_in(tmp_path, one, two)
    (sums,) = [row for row in found["suites"] if row["suite"] == "sums"]
    assert (sums["items"], sums["common"], len(sums["joined"])) == ({"one": 40, "two": 30}, 30, 30)
    accuracy = {row["model"]: (row["value"], row["n"]) for row in summary["accuracy"]}
    for name in ("base", "first", "second"):
        mean = sum(right(name, k) for k in range(10, ITEMS)) / 30
        assert accuracy[name] == (pytest.approx(mean), 30)
    (row,) = [r for r in found["differences"] if (r["left"], r["right"], r["suite"]) == ("second", "first", "sums")]
    by_hand = paired_difference(
        [right("second", k) for k in range(10, ITEMS)], [right("first", k) for k in range(10, ITEMS)]
    )
    assert (row["value"], row["low"], row["high"]) == (by_hand.difference, by_hand.low, by_hand.high)
    assert row["better"] == [str(k) for k in range(10, ITEMS) if right("second", k) > right("first", k)]
    assert len(row["better"]) + len(row["worse"]) + len(row["alike"]) == row["n"] == 30
    assert row["holm_p"] >= row["p_value"]
    assert found["only"]["suites"] == [{"suite": "more", "run": "two", "items": 30}]
    assert "more: only in two (30 items)" in Page(source).text


def test_a_model_with_the_same_answers_in_both_runs_is_one_model_and_joins_their_games(tmp_path: Path) -> None:
    one = made(tmp_path / "one", {"base": "", "first": ""})
    two = made(tmp_path / "two", {"base": "", "second": ""})
    found, summary, _ = found_in(tmp_path, one, two)
    assert {row["model"]: row["runs"] for row in found["models"]} == {
        "base": ["one", "two"], "first": ["one"], "second": ["two"]
    }  # fmt: skip
    rated = {row["model"]: row["value"] for row in summary["ratings"] if row["method"] == "bradley-terry"}
    assert rated["second"] > rated["first"] > rated["base"]


def test_games_that_no_model_joins_are_never_pooled_and_every_rating_says_so(tmp_path: Path) -> None:
    one = made(tmp_path / "one", {"base": "", "first": ""})
    two = made(tmp_path / "two", {"base": "again", "second": ""})
    found, summary, source = found_in(tmp_path, one, two)
    judged = [row for row in summary["ratings"] if row["judge"] == "j"]
    assert {row["method"] for row in judged} >= {"bradley-terry", "win-rate", "online-elo"}
    assert all(row["value"] is None and "not rated together" in row["note"] for row in judged)
    assert "not rated together: no game joins" in Page(source).text
    assert [row["model"] for row in found["models"]] == ["base (one)", "base (two)", "first", "second"]


def test_the_same_model_asked_twice_shows_which_answers_changed(tmp_path: Path) -> None:
    one = made(tmp_path / "one", {"base": ""}, judged=False)
    two = made(tmp_path / "two", {"base": ""}, judged=False)
    with Journal(two.answers_file("base")) as journal:
        for k in (3, 7):
            journal.append(Answer(suite="sums", item=str(k), model="base", turns=("other words",), finish=("stop",)))
    found, _, source = found_in(tmp_path, one, two)
    (row,) = found["changed"]
    assert (row["one"], row["other"], row["same"], row["changed"]) == ("base (one)", "base (two)", 38, ("3", "7"))
    page = Page(source)
    assert "Answers that changed" in page.text
    (link,) = [a for tag, a in page.elements if tag == "a" and "other words" in (a.get("title") or "")]
    assert (link["title"] or "").startswith("2 items")
    assert {tag for tag, _ in page.elements} <= ALLOWED


def test_a_model_with_the_same_name_and_another_checkpoint_is_another_model(tmp_path: Path) -> None:
    one = made(tmp_path / "one", {"mine": ""}, judged=False)
    two = made(tmp_path / "two", {"mine": ""}, judged=False)
    two.manifest["models"]["mine"]["id"] = "step-2000"
    two.save_manifest()
    found, _, _ = found_in(tmp_path, one, two)
    assert [row["model"] for row in found["models"]] == ["mine (one)", "mine (two)"]
    assert found["changed"] == []
    assert [(row["left"], row["right"]) for row in found["differences"]] == [("mine (two)", "mine (one)")]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"suite version": "2"}, "suite version is \"1\" and \"2\""),
        ({"suite prompt": "p1"}, "suite prompt is \"p0\" and \"p1\""),
        ({"suite fewshot": {"count": 5}}, "suite fewshot"),
        ({"max_tokens": 128}, "max_tokens is 64 and 128"),
    ],
)  # fmt: skip
def test_runs_that_were_not_asked_alike_are_refused_in_one_line_that_names_both(
    tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    one = made(tmp_path / "one", {"first": ""}, judged=False)
    two = made(tmp_path / "two", {"second": ""}, judged=False, parts=changed)
    with pytest.raises(RunConflict) as refused:
        report_runs([one, two], tmp_path / "both.html", behind)
    message = str(refused.value)
    assert "one and two are unlike: sums: " in message
    assert said in message
    assert "\n" not in message
    assert not (tmp_path / "both.html").exists()
    _, _, source = found_in(tmp_path, one, two, allow_unlike=True)
    assert "one and two are unlike: sums: " in Page(source).text


def test_a_changed_rubric_judge_or_wording_is_unlike_and_another_model_or_seed_is_not(tmp_path: Path) -> None:
    one = made(tmp_path / "one", {"base": "", "first": ""})
    same = made(tmp_path / "same", {"base": "", "second": ""}, parts={"seed": 7})
    rubric = made(tmp_path / "rubric", {"base": "", "second": ""}, rubric="r@2")
    judge = made(tmp_path / "judge", {"base": "", "second": ""}, judge="k")
    policy = made(tmp_path / "policy", {"base": "", "second": ""})
    policy.manifest["swap_policy"] = "tie"
    wording = made(tmp_path / "wording", {"second": ""}, judged=False)
    wording.save_items("sums", [Item(id="5", turns=("another question?",), reference=("5",))])
    side = {run.name: side_of(run, run.name) for run in (one, same, rubric, judge, policy, wording)}
    assert unlike([side["one"], side["same"]]) == []
    (line,) = unlike([side["one"], side["rubric"]])
    assert line == 'one and rubric are unlike: rubric r is "r@1" and "r@2"'
    (line,) = unlike([side["one"], side["judge"]])
    assert "no judge and rubric in common: j by r; and k by r" in line
    (line,) = unlike([side["one"], side["policy"]])
    assert "swap policy is half and tie" in line
    (line,) = unlike([side["one"], side["wording"]])
    assert "1 of 40 items of both are not worded alike (such as '5')" in line


def test_items_that_a_model_did_not_answer_whole_are_left_out_for_all_and_counted(tmp_path: Path) -> None:
    one = made(tmp_path / "one", {"first": ""}, judged=False)
    two = made(tmp_path / "two", {"second": "", "silent": ""}, judged=False)
    with Journal(two.answers_file("second")) as journal:
        journal.append(Answer(suite="sums", item="4", model="second", error="timeout: 60 s"))
    with Journal(two.answers_file("silent")) as journal:
        for k in range(ITEMS):
            journal.append(Answer(suite="sums", item=str(k), model="silent", error="refused: no"))
    joined = join([side_of(one, "one"), side_of(two, "two")])
    (share,) = joined.shares
    assert "4" not in share.joined
    assert len(share.joined) == 39
    assert share.lacking == {"second": 1}
    assert share.absent == ("silent",)
    assert not [answer for answer in joined.answers if answer.model == "silent" or answer.item == "4"]
    assert changes(joined, "first", "second")[0].same == 0


def test_a_run_still_being_written_is_compared_by_what_is_whole(tmp_path: Path) -> None:
    one = made(tmp_path / "one", {"first": ""}, judged=False)
    two = made(tmp_path / "two", {"second": ""}, judged=False)
    path = two.answers_file("second")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:25]) + lines[25][:40])
    two.verdicts_file("exact@number", "").unlink()
    found, summary, _ = found_in(tmp_path, one, two)
    assert len(found["suites"][0]["joined"]) == 25
    assert found["runs"][1]["counts"]["answered"]["part"] == 25
    assert found["runs"][1]["counts"]["answered"]["alarm"] == "bad"
    (row,) = [row for row in summary["accuracy"] if row["model"] == "second"]
    assert row["value"] is None
    assert row["reasons"] == {"not scored yet": 25}


def test_verdicts_that_both_runs_hold_count_once_and_those_that_differ_are_counted(tmp_path: Path) -> None:
    one = made(tmp_path / "one", {"base": "", "first": ""})
    two = made(tmp_path / "two", {"base": "", "first": "", "second": ""})
    with Journal(two.verdicts_file("j", "r")) as journal:
        journal.append(Verdict(suite="talk", item="0", rubric="r@1", judge="j", kind="preference",
                               shown=(("base", 0), ("first", 0)), scores=(0.25, 0.75)))  # fmt: skip
    found, summary, source = found_in(tmp_path, one, two)
    assert found["twice"] == 2 * ITEMS + 2 * ITEMS
    assert found["differing"] == 1
    (pair,) = [row for row in summary["pairs"] if {row["left"], row["right"]} == {"base", "first"}]
    assert pair["n"] == ITEMS
    assert (
        "160 verdicts are in several runs, on the same answers; the first run's count, and 1 of them"
        in Page(source).text
    )


@pytest.mark.parametrize("out", ["x.txt", "none/x.html", "folder.html"])
def test_a_page_that_cannot_be_written_is_refused_before_anything_else(tmp_path: Path, out: str) -> None:
    (tmp_path / "folder.html").mkdir()
    one = made(tmp_path / "one", {"first": ""}, judged=False)
    with pytest.raises(UserError, match="--out"):
        report_runs([one, one], tmp_path / out, behind)


def test_a_run_named_twice_and_runs_with_nothing_in_common_are_refused(tmp_path: Path) -> None:
    one = made(tmp_path / "one", {"first": ""}, judged=False)
    two = made(tmp_path / "two", {"second": ""}, judged=False, suites=("other",))
    with pytest.raises(UserError, match="named twice"):
        report_runs([one, Run(tmp_path / "one")], tmp_path / "x.html", behind)
    with pytest.raises(UserError, match="one and two have no suite in common"):
        report_runs([one, two], tmp_path / "x.html", behind)
    three = made(tmp_path / "three", {"second": ""}, judged=False, items=range(50, 60))
    with pytest.raises(UserError, match="no item in common"):
        report_runs([one, three], tmp_path / "x.html", behind)


def test_the_command_writes_the_page_and_markdown_prints_json_and_ends_with_2_on_a_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, model in (("one", "first"), ("two", "second")):
        made(tmp_path / "results" / name, {"base": "", model: ""})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")

    def command(*words: str) -> tuple[int, str, str]:
        code = main(["report", *words])
        return code, *capsys.readouterr()

    code, out, _ = command("one", "two", "--out", "both.html", "--json")
    found = json.loads(out)
    assert code == 0
    assert [run["name"] for run in found["runs"]] == ["one", "two"]
    assert {row["method"] for row in found["differences"]} == {"paired difference", "win rate"}
    assert found["summary"]["accuracy"]
    assert "## Differences" in (tmp_path / "both.md").read_text(encoding="utf-8")
    code, out, _ = command("one", "two")
    assert "not told apart" in out or "higher" in out
    assert max(map(len, out.splitlines())) <= 80
    assert (tmp_path / "comparison.html").is_file()
    mistakes = {"named twice": ("one", "one"), "--out is for several runs": ("one", "--out", "x.html"),
                "--extraction is for one run": ("one", "two", "--extraction")}  # fmt: skip
    for said, words in mistakes.items():
        with pytest.raises(UserError) as refused:
            command(*words)
        assert refused.value.exit_code == 2
        assert said in str(refused.value)
        assert len(str(refused.value).splitlines()) == 1


def test_p_values_are_corrected_for_the_rows_of_the_page_and_none_besides(tmp_path: Path) -> None:
    one = made(tmp_path / "one", {"first": ""}, judged=False)
    two = made(tmp_path / "two", {"second": ""}, judged=False)
    for run, name in ((one, "first"), (two, "second")):
        with Journal(run.verdicts_file("exact@number", "")) as journal:
            for k in range(ITEMS):
                journal.append(Verdict(suite="sums", item=str(k), judge="exact@number", dimension="accuracy_strict",
                                       shown=((name, 0),), scores=(right(name, k),)))  # fmt: skip
    found, _, _ = found_in(tmp_path, one, two)
    (row,) = found["differences"]
    assert row["dimension"] == "accuracy"
    assert row["holm_p"] == row["p_value"] < 0.05
    assert runs_compared.said(row) == "higher"


def test_a_limit_given_on_the_command_line_is_alike_where_the_suite_says_the_same(tmp_path: Path) -> None:
    own = {"suite sampling": {"suite": {"temperature": 0.0, "max_tokens": 64}}, "max_tokens": None, "temperature": None}
    said = {**own, "max_tokens": 64, "temperature": 0.0}
    one = made(tmp_path / "one", {"first": ""}, judged=False, parts=own)
    two = made(tmp_path / "two", {"second": ""}, judged=False, parts=said)
    three = made(tmp_path / "three", {"second": ""}, judged=False, parts={**own, "temperature": 0.7})
    sides = [side_of(run, run.name) for run in (one, two, three)]
    assert unlike(sides[:2]) == []
    assert unlike([sides[0], sides[2]]) == ["one and three are unlike: sums: temperature is 0.0 and 0.7"]
