"""Strict and flexible reading side by side: the rules, the counts, the reports and the audit."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

import judgebench
from judgebench.cli import main
from judgebench.errors import UserError
from judgebench.report.extraction import disagreements, render_csv, render_text
from judgebench.scorers.choice import ChoiceScorer
from judgebench.scorers.number import NumberScorer
from judgebench.scorers.text import TextScorer
from judgebench.types import Answer, Item, Reading, Reply, Verdict

CITIES = ("London", "Paris", "New York", "York")


def answered(text: str) -> Answer:
    return Answer(suite="s", item="1", model="m", turns=(text,))


def item(reference: str, choices: tuple[str, ...] = ()) -> Item:
    return Item(id="1", turns=("?",), reference=(reference,), choices=choices)


def read(readings: dict[str, Reading], dimension: str) -> tuple[str, float]:
    reading = readings[dimension]
    return ("" if reading.error else reading.reply), reading.scores[0]


@pytest.mark.parametrize(
    ("reply", "strict", "flexible"),
    [
        ("B", "B", "B"),
        (" (B)\n", "B", "B"),
        ("B.", "B", "B"),
        ("B. Paris", "B", "B"),
        ("Thus the answer is (B).", "B", "B"),
        ("The answer is A. No: the answer is B.", "B", "B"),
        ("**Answer:** B", "", "B"),
        ("Answer: **B**", "B", "B"),
        ("答案是B。", "B", "B"),
        ("故选 B", "B", "B"),
        ("Paris", "", "B"),
        ("It must be Paris, on the Seine.", "", "B"),
        ("I would go with B.", "", "B"),
        ("\\boxed{B}", "", "B"),
        ("A big city: Paris.", "", "B"),
        ("I do not know.", "", ""),
        ("<think>The answer is A.</think>B", "B", "B"),
    ],
)
def test_the_strict_rule_of_a_choice_takes_only_a_letter_alone_labelled_or_stated(
    reply: str, strict: str, flexible: str
) -> None:
    readings = ChoiceScorer().score(item("B", CITIES), answered(reply))
    assert read(readings, "accuracy_strict") == (strict, float(strict == "B"))
    assert read(readings, "accuracy") == (flexible, float(flexible == "B"))
    for reading in readings.values():
        assert bool(reading.error) == (not reading.reply)
        assert not reading.error or reading.error.startswith("unextracted: ")


@pytest.mark.parametrize(
    ("reply", "strict", "flexible"),
    [
        ("2 + 2 = 4\n#### 4", "4", "4"),
        ("The answer is 4.", "4", "4"),
        ("The answer is $1,004.50 in all", "1004.50", "1004.50"),
        ("so \\boxed{4}", "4", "4"),
        ("That makes 4", "", "4"),
        ("A: 4", "", "4"),
        ("The answer is clearly 4", "", "4"),
        ("none", "", ""),
    ],
)
def test_the_strict_rule_of_a_number_never_takes_just_the_last_one(reply: str, strict: str, flexible: str) -> None:
    readings = NumberScorer().score(item("4"), answered(reply))
    assert read(readings, "accuracy_strict") == (strict, float(strict == "4"))
    assert read(readings, "accuracy") == (flexible, float(flexible == "4"))


def test_the_strict_rule_of_a_text_ignores_nothing_but_white_space() -> None:
    scorer = TextScorer(ignore_punctuation=True)
    for reply, strict in (("The Nile", 1.0), (" The  Nile\n", 1.0), ("the Nile", 0.0), ("The Nile.", 0.0)):
        readings = scorer.score(item("The Nile"), answered(reply))
        assert (readings["accuracy"].scores, readings["accuracy_strict"].scores) == ((1.0,), (strict,))


def test_a_suite_may_set_either_rule_and_the_headline() -> None:
    options = {"pattern": "Final: ([A-D])", "strict": "^Final: ([A-D])$", "headline": "strict"}
    readings = ChoiceScorer(**options).score(item("B", CITIES), answered("Well. Final: B"))
    assert (readings["accuracy"].scores, readings["accuracy_flexible"].scores) == ((0.0,), (1.0,))
    assert readings["accuracy"].error == "unextracted: no match of the pattern"
    for scorer in (ChoiceScorer, NumberScorer, TextScorer):
        with pytest.raises(UserError, match="headline is 'loose'"):
            scorer(headline="loose")


def test_the_strict_rule_of_mathematics_is_what_is_boxed() -> None:
    pytest.importorskip("math_verify")
    from judgebench.scorers.math import MathScorer

    scorer = MathScorer()
    try:
        for reply, strict in (("so \\boxed{\\frac{1}{2}}", 1.0), ("The answer is $\\frac12$.", 0.0)):
            readings = scorer.score(item("\\frac{1}{2}"), answered(reply))
            assert (readings["accuracy"].scores, readings["accuracy_strict"].scores) == ((1.0,), (strict,))
    finally:
        scorer.close()


SUITE = """
name: cities
scorer: choice
prompt: "{question}\\n{choices}\\nAnswer:"
items:
  - {id: "1", question: "Capital of France?", choices: [London, Paris, Rome], reference: B}
  - {id: "2", question: "Capital of Italy?", choices: [London, Paris, Rome], reference: C}
  - {id: "3", question: "Capital of England?", choices: [London, Paris, Rome], reference: A}
  - {id: "4", question: "Capital of Spain?", choices: [London, Paris, Rome], reference: A}
"""


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "cities.yaml").write_text(SUITE)
    return {"suite": str(tmp_path / "cities.yaml"), "run": str(tmp_path / "run")}


def model(chat: list[dict[str, str]]) -> str | Reply:
    asked = chat[-1]["content"]
    if "France" in asked:
        return "B"
    if "Italy" in asked:
        return "=It must be Rome."
    if "England" in asked:
        return Reply(text="Well, I think that", finish="length")
    return "The answer is (C)."


def test_both_rules_stand_in_the_summary_and_the_headline_is_counted_once(files: dict[str, str]) -> None:
    results = judgebench.run(files["run"], suite=[files["suite"]], model={"m": model})
    (row,) = results.summary["accuracy"]
    assert (row["dimension"], row["planned"], row["n"], row["value"]) == ("accuracy", 4, 4, 0.5)
    assert (row["unextracted"], row["truncated"], row["accuracy_read"]) == (1, 1, pytest.approx(2 / 3))
    (both,) = results.summary["extraction"]
    assert (both["headline"], both["differ"]) == ("flexible", 1)
    strict = both["rules"]["strict"]
    assert (strict["value"], strict["n"], strict["unextracted"], strict["accuracy_read"]) == (0.25, 4, 2, 0.5)
    assert both["rules"]["flexible"]["value"] == 0.5
    ratings = results.ratings[results.ratings.method == "accuracy"]
    assert dict(zip(ratings.dimension, ratings.value, strict=True)) == {"accuracy": 0.5, "accuracy_strict": 0.25}
    markdown = Path(files["run"], "report.md").read_text()
    assert "Extraction by both rules" in markdown
    assert markdown.count("| cities | m |") == 3  # answers, accuracy, extraction
    assert "Extraction by both rules" in Path(files["run"], "report.html").read_text()


def test_the_audit_lists_what_the_rules_read_differently(
    files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    judgebench.run(files["run"], suite=[files["suite"]], model={"m": model})
    capsys.readouterr()
    assert main(["report", files["run"], "--extraction"]) == 0
    shown = capsys.readouterr().out
    assert "cities 2, m\n  strict nothing (0), flexible 'C' (1), reference 'C'\n  … =It must be Rome.\n" in shown
    assert "1 answers on which the strict and the flexible rule differ" in shown
    with Path(files["run"], "extraction.csv").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert (row["item"], row["strict"], row["flexible"], row["reference"]) == ("2", "", "C", "C")
    assert (row["strict_score"], row["flexible_score"], row["truncated"]) == ("0", "1", "false")
    assert row["tail"] == "'=It must be Rome."
    assert main(["report", files["run"], "--extraction", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)  # nothing else is on stdout
    assert (row["item"], row["flexible"], row["strict_score"]) == ("2", "C", 0.0)


def test_the_audit_sees_other_words_other_scores_and_what_only_one_rule_read() -> None:
    def verdicts(item: str, one: tuple[str, float], other: tuple[str, float]) -> list[Verdict]:
        return [
            Verdict(suite="s", item=item, judge="exact@choice", dimension=dimension, shown=(("m", 0),),
                    scores=(score,), reply=words, error="" if words else "unextracted: nothing")
            for dimension, (words, score) in (("accuracy", one), ("accuracy_strict", other))
        ]  # fmt: skip

    cases = {
        "same": (("A", 1.0), ("A", 1.0)), "words": (("A", 0.0), ("B", 0.0)), "score": (("nile", 1.0), ("nile", 0.0)),
        "unread": (("A", 0.0), ("", 0.0)), "both unread": (("", 0.0), ("", 0.0)),
    }  # fmt: skip
    found = disagreements({}, [], [verdict for name, pair in cases.items() for verdict in verdicts(name, *pair)])
    assert [row.item for row in found] == ["score", "unread", "words"]
    assert render_text([]).startswith("0 answers")
    assert render_csv([]).count("\n") == 1


def test_a_score_half_written_is_written_again(files: dict[str, str]) -> None:
    judgebench.run(files["run"], suite=[files["suite"]], model={"m": model})
    path = Path(files["run"], "verdicts", "exact@choice.jsonl")
    lines = path.read_text().splitlines(keepends=True)
    assert [json.loads(line)["dimension"] for line in lines] == ["accuracy_strict", "accuracy"] * 4
    path.write_text("".join(lines[:-1]))  # killed between the two
    assert main(["score", files["run"], "--quiet"]) == 0
    assert len(judgebench.load(files["run"]).verdicts) == 8


def test_a_model_reads_what_the_rules_could_not_and_is_counted_apart(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judgebench.run(files["run"], suite=[files["suite"]], model={"m": model})
    before = Path(files["run"], "verdicts", "exact@choice.jsonl").read_bytes()
    script = tmp_path / "reader.py"
    script.write_text(
        "from pathlib import Path\n"
        "def read(chat):\n"
        f"    log = Path({str(tmp_path / 'asked')!r})\n"
        "    log.write_text((log.read_text() if log.exists() else '') + 'x')\n"
        "    assert 'Well, I think that' in chat[-1]['content'] and 'A. London' in chat[-1]['content']\n"
        "    return 'A' if len(log.read_text()) == 1 else 'NONE'\n"
    )
    for name in ("r", "r", "other"):
        assert main(["score", files["run"], "--extract-with", f"{name}=scripted/{script}:read", "--quiet"]) == 0
    assert (tmp_path / "asked").read_text() == "xx"  # once by each model, not again
    assert Path(files["run"], "verdicts", "exact@choice.jsonl").read_bytes() == before
    results = judgebench.load(files["run"])  # the numbers and the report follow at once
    (row,) = results.summary["accuracy"]
    assert (row["value"], row["unextracted"]) == (0.5, 1)
    (both,) = results.summary["extraction"]
    assert both["fallback"] == [
        {"by": "other", "asked": 1, "read": 0, "right": 0.0, "unscored": 0},
        {"by": "r", "asked": 1, "read": 1, "right": 1.0, "unscored": 0},
    ]  # fmt: skip
    assert "r: 1 of 1 read, 1 right" in Path(files["run"], "report.md").read_text()
    capsys.readouterr()
    assert main(["report", files["run"], "--extraction"]) == 0
    shown = capsys.readouterr().out
    assert "cities 3, m, truncated\n  strict nothing (0), flexible nothing (0), reference 'A', by a model" in shown
    assert "'other: nothing; r: A'" in shown
    assert (
        "1 answers on which the strict and the flexible rule differ, and 1 that neither read and a model was" in shown
    )


def test_the_terminal_shows_what_a_model_read(files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                              capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    (tmp_path / "answers.py").write_text(
        "def answer(chat):\n    return 'B' if 'France' in chat[-1]['content'] else 'Hm.'\n"
        "def read(chat):\n    return '<think>A? no.</think> NONE'\n"
    )
    script = tmp_path / "answers.py"
    monkeypatch.setenv("COLUMNS", "160")
    command = ["run", files["run"], "--suite", files["suite"], "--model", f"m=scripted/{script}:answer"]
    assert main([*command, "--extract-with", f"r=scripted/{script}:read"]) == 0
    assert "r: 0 of 3 read, 0 right" in " ".join(capsys.readouterr().out.split())
    assert "extract-with: r=scripted" in Path(files["run"], "config.yaml").read_text()
    with pytest.raises(UserError, match="a baseline cannot copy an answer out"):
        main([*command, "--extract-with", "baseline/first"])


READ_BY_RULE_ONLY = """
name: coins
generate: {kind: coin-flip, length: 2, count: 6}
prompt: "Q: {question}\\nA:"
scorer: {name: text, options: {strict: "(?m)^The answer is (yes|no)$", pattern: "(?i)answer is:?\\\\s*(yes|no)"}}
"""


def test_what_is_copied_out_bare_is_read_by_a_rule_that_wants_a_statement(tmp_path: Path) -> None:
    (tmp_path / "coins.yaml").write_text(READ_BY_RULE_ONLY)
    asked = []

    def reader(chat: list[dict[str, str]]) -> str | Reply:
        asked.append(chat[-1]["content"])
        number = len(asked)
        return ["no", "NONE.", "<think>no", "No final answer is stated.", "Yes."][number - 1]

    def unread(chat: list[dict[str, str]]) -> str:
        unread.calls += 1  # type: ignore[attr-defined]
        return "<think>The answer is no" if unread.calls == 1 else "Well, no?"  # type: ignore[attr-defined]

    unread.calls = 0  # type: ignore[attr-defined]
    from judgebench.backends.scripted import ScriptedBackend
    from judgebench.runs import Run
    from judgebench.stages.fallback import fall_back
    from judgebench.stages.opening import Ready

    judgebench.run(tmp_path / "run", suite=[str(tmp_path / "coins.yaml")], model={"m": unread})
    ready: Ready = {("judge", "r"): ScriptedBackend.of(reader, name="r")}
    run = Run(tmp_path / "run")
    fall_back(run, "r=scripted/r", judgebench.Settings(), ready, quiet=True)
    assert len(asked) == 5  # reasoning that never ended states nothing
    found = [each for each in run.verdicts().values() if each.dimension == "accuracy_fallback"]
    assert [(each.reply, bool(each.scores)) for each in found] == [
        ("no", True), ("", True), ("<think>no", False), ("", True), ("Yes", True),
    ]  # fmt: skip


def test_the_model_sees_the_question_and_what_was_asked_after_it(tmp_path: Path) -> None:
    text = 'name: mine\nthen: ["Therefore, the number is"]\nprompt: "Q: {question}"\nscorer: number\n'
    (tmp_path / "mine.yaml").write_text(text + 'items: [{id: a, question: "How many?", reference: "3"}]\n')
    asked = []

    def reader(chat: list[dict[str, str]]) -> str:
        asked.append(chat[-1]["content"])
        return "3"

    from judgebench.backends.scripted import ScriptedBackend
    from judgebench.runs import Run
    from judgebench.stages.fallback import fall_back

    judgebench.run(tmp_path / "run", suite=[str(tmp_path / "mine.yaml")], model={"m": lambda chat: "three"})
    fall_back(Run(tmp_path / "run"), "r=scripted/r", judgebench.Settings(),
              {("judge", "r"): ScriptedBackend.of(reader, name="r")}, quiet=True)  # fmt: skip
    assert "<question>\nHow many?\n\nTherefore, the number is\n</question>" in asked[0]
