"""Judges on suites that are scored exactly: not asked unless it is said, and then held against the scorer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from judgebench.cli import main
from judgebench.errors import UserError
from judgebench.runs import Run

SUITE = """
name: sums
version: "1"
about: three sums
license: Apache-2.0
scorer: number
items:
  - {id: "1", question: "What is 2 + 3?", reference: "5"}
  - {id: "2", question: "What is 20 + 3?", reference: "23"}
  - {id: "3", question: "What is 4 + 4?", reference: "8"}
"""
RUBRIC = """
name: short
version: "1"
about: short
mode: pairwise
dimensions: {overall: "which is right"}
prompt: "{fence} {question} A: {answer_a} B: {answer_b} {format}"
"""
JUDGED = ("--judge", "j=scripted/judge.py:says", "--rubric", "short.yaml")


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The words of a run of two models, of which exactly one is right on each question; a judge that prefers 23."""
    monkeypatch.chdir(tmp_path)
    Path("sums.yaml").write_text(SUITE, "utf-8")
    Path("short.yaml").write_text(RUBRIC, "utf-8")
    said = {"a": ["5", "23", "9"], "b": ["6", "32", "8"]}
    questions = ("What is 2 + 3?", "What is 20 + 3?", "What is 4 + 4?")
    for name, answers in said.items():
        Path(f"{name}.json").write_text(json.dumps(dict(zip(questions, answers, strict=True))), "utf-8")
    Path("judge.py").write_text(
        "def says(chat):\n    text = chat[-1]['content']\n"
        "    return '[[A]]' if 'A: 23' in text else '[[B]]' if 'B: 23' in text else '[[C]]'\n",
        "utf-8",
    )
    return ["run", "r", "--suite", "sums.yaml", "--model", "a=scripted/a.json", "--model", "b=scripted/b.json", *JUDGED]


def test_a_suite_that_is_scored_exactly_is_judged_only_where_it_is_said(asked: list[str]) -> None:
    with pytest.raises(UserError, match="--judge-scored"):
        main([*asked, "--quiet"])
    assert main([*asked, "--judge-scored", "--dry-run"]) == 0
    assert main([*asked, "--judge-scored", "--quiet"]) == 0
    judges = [verdict.judge for verdict in Run(Path("results/r")).verdicts().values()]
    assert judges.count("j") == 6


def test_a_judge_is_held_against_the_exact_scorer_of_the_suite(
    asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*asked, "--judge-scored", "--quiet"]) == 0
    capsys.readouterr()
    assert main(["meta-eval", "r", "--against", "exact@number", "--json", "--draws", "20"]) == 0
    (card,) = json.loads(capsys.readouterr().out)
    (trial,) = card["trials"]
    assert (card["judge"], trial["suite"], trial["against"]) == ("j", "sums", "exact@number")
    values = {measure["name"]: measure["value"] for measure in trial["measures"]}
    assert values["accuracy"] == pytest.approx(1 / 3)
