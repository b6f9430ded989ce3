"""Verdicts as lessons for a judge: asked as the judge will be asked, answered as its rubric reads, in both orders."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from judgebench.cli import main
from judgebench.errors import UserError
from judgebench.judges import parse
from judgebench.judges.rubric import RubricJudge
from judgebench.rubrics import load_rubric
from judgebench.runs import Run
from judgebench.train.judge_data import rows_of
from judgebench.types import Matchup, Reply, Verdict

SUITE = """
name: three
version: "1"
about: three questions
license: Apache-2.0
items:
  - {id: "1", question: "Which colour has the open sky at noon on a clear day?", reference: "blue"}
  - {id: "2", question: "Which animal barks at people who come to the door?", reference: "the dog"}
  - {id: "3", question: "Which number comes after the number forty one?", reference: "42"}
"""
RUBRIC = """
name: short
version: "1"
about: short
mode: pairwise
dimensions: {overall: "which is better"}
prompt: "{fence} {question} A: {answer_a} B: {answer_b} {format}"
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Three questions, two models; by people ``a`` is better, worse, and as good."""
    monkeypatch.chdir(tmp_path)
    Path("three.yaml").write_text(SUITE, "utf-8")
    Path("short.yaml").write_text(RUBRIC, "utf-8")
    for name in "ab":
        Path(f"{name}.json").write_text(json.dumps({"*": f"answer of {name}"}), "utf-8")
    models = [word for name in "ab" for word in ("--model", f"{name}=scripted/{name}.json")]
    assert main(["generate", "r", "--suite", "three.yaml", *models, "--quiet"]) == 0
    return Run(Path("results/r"))


def verdicts() -> list[Verdict]:
    said = {"1": (1.0, 0.0), "2": (0.0, 1.0), "3": (0.5, 0.5)}
    return [
        Verdict(suite="three", item=item, judge="human@x", shown=(("a", 0), ("b", 0)), kind="preference",
                scores=scores, reply="The first says more." if item == "1" else "")
        for item, scores in said.items()
    ]  # fmt: skip


def lessons(run: Run, form: str = "examples") -> tuple[list[dict[str, Any]], Counter[str]]:
    dropped: Counter[str] = Counter()
    return list(rows_of(run, load_rubric("short.yaml"), verdicts(), form, "", dropped)), dropped


def test_every_pair_is_taught_in_both_orders_with_the_verdict_turned(run: Run) -> None:
    rows, dropped = lessons(run)
    said = {(row["item"], row["shown"][0][0]): row["messages"][-1]["content"] for row in rows}
    assert said == {
        ("1", "a"): "The first says more.\n\n[[A]]", ("1", "b"): "[[B]]",
        ("2", "a"): "[[B]]", ("2", "b"): "[[A]]", ("3", "a"): "[[C]]", ("3", "b"): "[[C]]",
    }  # fmt: skip
    assert [row["explained"] for row in rows].count(True) == 1
    assert not dropped


def test_a_lesson_asks_what_the_judge_will_be_asked_and_its_reply_is_read_as_the_verdict(run: Run) -> None:
    rubric = load_rubric("short.yaml")
    rows, _ = lessons(run)
    row = next(each for each in rows if each["item"] == "2" and each["shown"][0] == ("a", 0))
    answers = run.answers()
    matchup = Matchup(
        suite="three", item=run.items("three")["2"], turn=1, dimensions=("overall",),
        shown=(answers["three", "2", "a", 0], answers["three", "2", "b", 0]),
    )  # fmt: skip
    asked = [{"role": each.role, "content": each.content} for each in RubricJudge("j", rubric).ask(matchup)]
    assert row["messages"][:-1] == asked
    read = parse.read(rubric, ("overall",), Reply(text=row["messages"][-1]["content"]))
    assert read["overall"].scores == (0.0, 1.0)


def test_of_two_answers_an_exact_scorer_prefers_the_one_it_scores_higher_and_the_reference_says_why(run: Run) -> None:
    graded = [
        Verdict(suite="three", item=item, judge="exact@text", dimension="accuracy", shown=((model, 0),), kind="grade",
                scores=(score,))
        for item, scores in {"1": (1.0, 0.0), "2": (0.0, 0.0)}.items()
        for model, score in zip("ab", scores, strict=True)
    ]  # fmt: skip
    rows = list(rows_of(run, load_rubric("short.yaml"), graded, "examples", "", Counter()))
    said = {(row["item"], row["shown"][0][0]): row["messages"][-1]["content"] for row in rows}
    assert said == {
        ("1", "a"): "blue\n\n[[A]]", ("1", "b"): "blue\n\n[[B]]",
        ("2", "a"): "the dog\n\n[[C]]", ("2", "b"): "the dog\n\n[[C]]",
    }  # fmt: skip
    assert all(row["explained"] for row in rows)


def said_of(
    run: Run, given: list[Verdict], form: str = "examples", column: str = "messages"
) -> dict[tuple[str, str], str]:
    rows = rows_of(run, load_rubric("short.yaml"), given, form, "", Counter())
    return {(row["item"], row["shown"][0][0]): row[column][-1]["content"] for row in rows}


def preference(who: str, shown: str, scores: tuple[float, float], reply: str = "", item: str = "1") -> Verdict:
    pair = ((shown[0], 0), (shown[1], 0))
    return Verdict(suite="three", item=item, judge=who, shown=pair, kind="preference", scores=scores, reply=reply)


def test_only_words_of_those_whose_verdict_is_taught_explain_it(run: Run) -> None:
    overruled = preference("human@x", "ab", (1.0, 0.0), "A is right, B is wrong.")
    others = [preference(f"human@{name}", "ab", (0.0, 1.0)) for name in "yz"]
    assert said_of(run, [overruled, *others]) == {("1", "a"): "[[B]]", ("1", "b"): "[[A]]"}
    told = preference("human@z", "ab", (0.0, 1.0), "B says it in full.")
    for given in ([overruled, others[0], told], [told, others[0], overruled]):
        assert said_of(run, given) == {("1", "a"): "B says it in full.\n\n[[B]]", ("1", "b"): "[[A]]"}


def test_two_orders_that_make_a_tie_are_not_explained_by_what_was_said_of_one(run: Run) -> None:
    given = [preference("j", shown, (1.0, 0.0), "Answer A is far better. [[A]]") for shown in ("ab", "ba")]
    assert said_of(run, given) == {("1", "a"): "[[C]]", ("1", "b"): "[[C]]"}


def test_words_that_hold_another_verdict_than_their_rater_gave_explain_nothing(run: Run) -> None:
    given = [preference("human@x", "ab", (0.0, 1.0), "I thought of [[A]] for long.")]
    assert said_of(run, given) == {("1", "a"): "[[B]]", ("1", "b"): "[[A]]"}


def test_of_a_pair_both_sides_are_explained_or_neither_so_that_length_tells_nothing(run: Run) -> None:
    given = [preference("human@x", "ab", (1.0, 0.0), "The first says more.")]
    assert said_of(run, given, "pairs", "chosen") == {("1", "a"): "[[A]]", ("1", "b"): "[[B]]"}
    assert said_of(run, given, "pairs", "rejected") == {("1", "a"): "[[B]]", ("1", "b"): "[[A]]"}
    exact = [
        Verdict(suite="three", item="1", judge="exact@text", dimension="accuracy", shown=((model, 0),), scores=(score,))
        for model, score in (("a", 1.0), ("b", 0.0))
    ]
    assert said_of(run, exact, "pairs", "chosen")["1", "a"] == "blue\n\n[[A]]"
    assert said_of(run, exact, "pairs", "rejected")["1", "a"] == "blue\n\n[[B]]"


def test_grades_on_another_scale_are_no_lessons_in_the_rubrics(run: Run) -> None:
    graded = [
        Verdict(suite="three", item=item, judge="human@x", shown=(("a", 0),), kind="grade", scores=(4.0,), scale=scale)
        for item, scale in {"1": (1.0, 5.0), "2": (1.0, 10.0)}.items()
    ]
    rubric = msgspec.structs.replace(
        load_rubric("short.yaml"), mode="pointwise", scale=(1, 5), prompt="{fence} {question} {answer} {format}"
    )
    dropped: Counter[str] = Counter()
    rows = list(rows_of(run, rubric, graded, "examples", "", dropped))
    assert [(row["item"], row["messages"][-1]["content"]) for row in rows] == [("1", "Rating: [[4]]")]
    assert dropped == {"graded on another scale than the rubric's": 1}


def test_pairs_hold_the_right_verdict_and_the_opposite_one(run: Run) -> None:
    rows, _ = lessons(run, "pairs")
    sides = {(row["item"], row["shown"][0][0]): (row["chosen"][0]["content"], row["rejected"][0]["content"])
             for row in rows}  # fmt: skip
    assert sides["2", "a"] == ("[[B]]", "[[A]]")
    assert sides["3", "a"] == ("[[C]]", "[[A]]")


def test_the_stage_writes_rows_and_a_manifest_and_says_who_is_unknown(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = ["--suite", "three.yaml", "--judge", "baseline/overlap", "--rubric", "pairwise-mtbench"]
    models = [word for name in "ab" for word in ("--model", f"{name}=scripted/{name}.json")]
    assert main(["run", "r", *ask, *models, "--quiet"]) == 0
    words = ["judge-data", "r", "--rubric", "short.yaml", "--train-suite", "three", "--out", "j.jsonl"]
    with pytest.raises(UserError, match="--from human: no verdict of theirs on three"):
        main(words)
    assert main([*words, "--from", "baseline/overlap"]) == 0
    rows = [json.loads(line) for line in Path("j.jsonl").read_text("utf-8").splitlines()]
    made = json.loads(Path("j.jsonl.manifest.json").read_text("utf-8"))
    assert len(rows) == made["rows"] == 6
    assert made["training_suites"] == ["three"]
    assert made["contamination"]["trained_on"] == {"three": ["1", "2", "3"]}
    said = capsys.readouterr().err
    assert "6 rows from baseline/overlap by short@" in said
    assert "redone" not in said


def test_verdicts_on_answers_that_were_redone_since_are_no_lessons_and_the_stage_says_so(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = ["--suite", "three.yaml", "--judge", "baseline/overlap", "--rubric", "pairwise-mtbench"]
    models = [word for name in "ab" for word in ("--model", f"{name}=scripted/{name}.json")]
    assert main(["run", "r", *ask, *models, "--quiet"]) == 0
    [file] = (run.path / "answers").glob("a.jsonl")
    file.write_text(file.read_text("utf-8").replace("answer of a", "another of a", 1), "utf-8")
    words = ["judge-data", "r", "--rubric", "short.yaml", "--train-suite", "three", "--out", "j.jsonl"]
    assert main([*words, "--from", "baseline/overlap"]) == 0
    said = capsys.readouterr().err
    assert "4 rows from baseline/overlap by short@" in said
    assert "note: 2 verdicts are on answers that were redone or deleted since, and count nowhere" in said
