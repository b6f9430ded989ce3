"""Rubric files: the shipped ones are sound, and a mistake names file, line, key and the fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from judgebench.errors import FileError, UserError
from judgebench.judges.rubric import RubricJudge
from judgebench.rubrics import check_rubric, list_rubrics, load_rubric
from judgebench.types import Answer, Item, Matchup

SHIPPED = {
    "pairwise-general", "pointwise-general", "pointwise-reference", "helpfulness-6", "pairwise-mtbench", "ordinal-4",
    "pairwise-reference", "pointwise-own-reference", "mec", "evidence-pair", "arena-hard", "alpaca-eval-2", "g-eval",
    "g-eval-sampled", "explicit-score", "flask", "checklist-tick", "checklist-infobench", "item-rubric", "pandalm",
    "lima-pairwise", "pairwise-fewshot", "pairwise-json",
}  # fmt: skip

GOOD = """name: mine
mode: pairwise
dimensions:
  overall: how good it is
prompt: |-
  Compare.
  {question}
  {answer_a}
  {answer_b}
  {format}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_rubrics_promised_are_shipped_and_sound() -> None:
    assert set(list_rubrics()) >= SHIPPED
    for name in list_rubrics():
        assert load_rubric(name).name == name


MISTAKES = [
    (GOOD.replace("{question}", "{questoin}"), 7, "prompt", "did you mean 'question'?"),
    (GOOD.replace("  {answer_b}\n", ""), 6, "prompt", "shows no answer: it needs {answer_b} or {conversation_b}"),
    (GOOD.replace("  {format}\n", ""), 6, "prompt", "needs either the hole {format} or a 'pattern'"),
    (GOOD.replace("mode: pairwise", "mode: pairwize"), 2, "mode", "did you mean 'pairwise'?"),
    (GOOD.replace("prompt:", "promt:"), 5, "promt", "did you mean 'prompt'?"),
    (GOOD + "ties: maybe\n", 11, "ties", "true or false"),
    (GOOD + "scale: [10, 1]\n", 11, "scale", "is not [lowest, highest]"),
    (GOOD + "name: twice\n", 11, "name", "twice"),
    (GOOD.replace("name: mine", "name: no"), 1, "name", "quote it"),
    (GOOD.replace("name: mine", "name: my rubric!"), 1, "name", "is not a name"),
    (GOOD.replace("{answer_a}", "{answer}"), 8, "prompt", "did you mean 'answer_"),
    (GOOD.replace("  {format}\n", "") + "pattern: '(?P<x>A)'\n", 10, "pattern", "(?P<verdict>…)"),
    (GOOD + "system: Judge by {dimensions}.\n", 11, "system", "holes are filled in 'prompt' only"),
    (GOOD.replace("overall:", "'a: b':"), 3, "dimensions", "is not a name"),
    (GOOD + "levels: {1: bad, 2: good}\n", 11, "levels", "no meaning for a pairwise rubric"),
    (GOOD.replace("  {format}\n", "") + "pattern: '(A'\n", 10, "pattern", "is not a regular expression"),
    (GOOD + "judge: rubrik\n", 11, "judge", "did you mean 'rubric'?"),
    (GOOD + "judge: baseline/longest\n", 11, "judge", "no judge is called"),
    (GOOD + "sampling: {smaples: 3}\n", 11, "sampling.smaples", "did you mean 'samples'?"),
    (GOOD + "sampling: {samples: 0}\n", 11, "sampling.samples", ">= 1"),
    (GOOD + "verdicts: {A: {margin: 1}, C: {margin: 0}}\n", 11, "verdicts", "each answer must be able to win"),
    (GOOD + "verdicts: {A: {margin: 1}, B: {margin: -1}}\nties: false\n", 12, "ties", "no meaning beside 'verdicts'"),
    (GOOD + "checklist: questions\n", 11, "checklist", "come together"),
    (GOOD + "ask: chat\n", 11, "ask", "no meaning but for a checklist"),
    (GOOD + "dimensions_from: skill\n", 11, "dimensions_from", "pointwise"),
    (GOOD + "not_applicable: true\n", 11, "not_applicable", "needs form: json"),
    (GOOD + "structured: true\n", 11, "structured", "needs form: json, or reason_first: false"),
    (GOOD + "from_item: {question: q}\n", 11, "from_item", "taken"),
    (GOOD + "from_item: {mine: q}\n", 11, "from_item", "the prompt has no hole {mine}"),
    (GOOD + "judge: label-probability\nreask: true\n", 12, "reask", "no meaning for the judge label-probability"),
    (GOOD + "tokens: [m, m]\n", 11, "tokens", "two different tokens"),
    (GOOD + "examples: [{question: q, answer: a}]\n", 11, "examples", "reply"),
]


@pytest.mark.parametrize(("text", "line", "key", "says"), MISTAKES)
def test_a_mistake_names_file_line_key_and_the_fix(tmp_path: Path, text: str, line: int, key: str, says: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(FileError) as caught:
        check_rubric(path)
    message = str(caught.value)
    assert message.startswith(f"{path}:{line}: {key}"), message
    assert says in message
    assert "\n" not in message


def test_checking_a_file_reads_its_examples_as_its_judge_would(tmp_path: Path) -> None:
    from judgebench.stages.check import check

    example = "{question: q, answer_a: x, answer_b: y, reply: 'A is better.'}"
    path = write(tmp_path, GOOD + f"examples: [{example}]\n")
    with pytest.raises(FileError, match="example 1: its reply cannot be read in the rubric's form"):
        check(path)
    path = write(tmp_path, GOOD + f"examples: [{example.replace('A is better.', '[[A]]')}]\n")
    assert check(path) == "rubric"
    labels = GOOD.replace("  {format}\n", "") + "judge: label-probability\n"
    assert check(write(tmp_path, f"{labels}examples: [{example.replace('A is better.', 'M')}]\n")) == "rubric"
    with pytest.raises(FileError, match="example 1"):
        check(write(tmp_path, f"{labels}examples: [{example}]\n"))
    path = write(tmp_path, GOOD + "judge: scale-probability\n")
    with pytest.raises(FileError, match="judge scale-probability grades on whole numbers"):
        check(path)


def test_a_key_at_its_default_changes_no_hash_and_how_a_judge_draws_is_no_part_of_it(tmp_path: Path) -> None:
    first = check_rubric(write(tmp_path, GOOD)).id
    assert check_rubric(write(tmp_path, GOOD + "reask: false\nform: tokens\n")).id == first
    assert check_rubric(write(tmp_path, GOOD + "sampling: {samples: 3, temperature: 1.0}\n")).id == first
    assert check_rubric(write(tmp_path, GOOD + "reask: true\n")).id != first


def test_an_unknown_rubric_suggests_one() -> None:
    with pytest.raises(UserError, match="did you mean 'pairwise-general'"):
        load_rubric("pairwise-genral")


def test_the_id_follows_what_the_judge_sees_and_nothing_else(tmp_path: Path) -> None:
    first = check_rubric(write(tmp_path, GOOD)).id
    assert check_rubric(write(tmp_path, GOOD + "about: other words\nversion: '2'\n")).id == first
    assert check_rubric(write(tmp_path, GOOD.replace("Compare.", "Compare!"))).id != first
    assert check_rubric(write(tmp_path, GOOD + "ties: false\n")).id != first


def ask(rubric: str, item: Item, *answers: Answer, turn: int = 1) -> str:
    judge = RubricJudge("j", load_rubric(rubric))
    dimensions = tuple(judge.spec.dimensions)[:1]
    matchup = Matchup(suite="s", item=item, turn=turn, shown=answers, dimensions=dimensions)
    return judge.ask(matchup)[-1].content


def test_text_of_an_answer_opens_no_hole() -> None:
    item = Item(id="1", turns=("What is {reference}?",), reference=("secret",))
    a, b = (Answer(suite="s", item="1", model=name, turns=("{reference} {format} {{answer_b}}",)) for name in "ab")
    prompt = ask("pairwise-general", item, a, b)
    assert "secret" not in prompt
    assert prompt.count("{reference} {format} {{answer_b}}") == 2
    assert "What is {reference}?" in prompt


def test_a_second_turn_shows_both_turns_and_asks_about_the_second() -> None:
    item = Item(id="1", turns=("Q one", "Q two"), reference=("R one", "R two"))
    a, b = (Answer(suite="s", item="1", model=name, turns=(f"{name} one", f"{name} two")) for name in "ab")
    for rubric in ("pairwise-mtbench", "pairwise-general"):
        first, second = ask(rubric, item, a, b), ask(rubric, item, a, b, turn=2)
        assert "a one" in first
        assert "Q two" not in first
        assert "a two" not in first
        for text in ("Q one", "Q two", "a one", "a two", "b one", "b two", "turn 2"):
            assert text in second
    graded = ask("pointwise-reference", item, a, turn=2)
    assert "R one" in graded
    assert "R two" in graded
    assert "R two" not in ask("pointwise-reference", item, a)


def test_a_prompt_around_the_question_is_not_shown_to_the_judge() -> None:
    item = Item(id="1", turns=("Example 1 … Question: why?",), question=("why?",))
    answer = Answer(suite="s", item="1", model="a", turns=("because",))
    prompt = ask("pointwise-general", item, answer)
    assert "why?" in prompt
    assert "Example 1" not in prompt
