"""What a suite file, its rows or a flag may not say: refused in one line, or said aloud, before anything is asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from judgebench.cli import main
from judgebench.errors import FileError, UserError
from judgebench.stages.settings import Settings, checked
from judgebench.suites import check_suite, load_suite


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\n" + text)
    return path


@pytest.mark.parametrize("scorer", ["choice", "number", "text", "{name: several, options: {letters: true}}"])
@pytest.mark.parametrize("reference", ["", ", reference: []", ', reference: ["", " "]'])
def test_a_written_question_without_the_reference_that_its_scorer_wants_is_refused(
    tmp_path: Path, scorer: str, reference: str
) -> None:
    path = written(tmp_path, f"scorer: {scorer}\nitems: [{{id: a, question: x?{reference}}}]\n")
    with pytest.raises(FileError, match=r"mine\.yaml:3: items\.0: has no reference, which the scorer"):
        check_suite(path)
    check_suite(written(tmp_path, f"items: [{{id: a, question: x?{reference}}}]\n"))  # judged


@pytest.mark.parametrize(
    ("example", "says"),
    [
        (
            "{id: e, question: y?, choices: [u, v], reference: C}",
            "fewshot.items.0.reference: 'C' is not among the choi",
        ),
        ("{id: e, question: y?, choices: [u, v]}", "fewshot.items.0: has no reference, which fewshot.answer shows"),
        ("{id: e, choices: [u, v], reference: A}", "fewshot.items.0: needs either 'question' or 'turns'"),
    ],
)
def test_a_written_example_is_checked_like_a_question(tmp_path: Path, example: str, says: str) -> None:
    text = "scorer: choice\nitems: [{id: a, question: x?, choices: [u, v], reference: A}]\nfewshot:\n  count: 1\n"
    with pytest.raises(FileError, match=says):
        check_suite(written(tmp_path, text + f"  items: [{example}]\n"))
    check_suite(written(tmp_path, text + "  items: [{id: e, question: y?, choices: [u, v], reference: B}]\n"))


ROWS = "source: {items: {path: rows.jsonl}}\nmap: {question: q, reference: r}\nscorer: text\n"


@pytest.mark.parametrize("cell", ["", "  \n"])
def test_an_empty_question_is_an_error_that_names_file_and_row(tmp_path: Path, cell: str) -> None:
    rows = [{"q": "x?", "r": "y"}, {"q": cell, "r": "y"}]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(UserError, match=r"rows\.jsonl:2: row 2: the question is empty"):
        load_suite(written(tmp_path, ROWS), tmp_path)


@pytest.mark.parametrize(("row", "shown"), [("5", "5"), ('"words"', "words"), ("null", "None")])
def test_a_row_that_is_no_object_is_shown_as_what_it_is(tmp_path: Path, row: str, shown: str) -> None:
    (tmp_path / "rows.jsonl").write_text(row + "\n")
    with pytest.raises(UserError, match=rf"no column 'r': the row is '{shown}', no object or list"):
        load_suite(written(tmp_path, ROWS), tmp_path)
    (tmp_path / "rows.jsonl").write_text('{"q": "x?", "r": 5}\n')
    with pytest.raises(UserError, match="column 'r' holds '5', no object or list"):
        load_suite(written(tmp_path, ROWS.replace("reference: r", "reference: r.text")), tmp_path)


FEW = (
    "prompt: 'Q: {question}'\nscorer: text\nitems: [{id: a, question: x?, reference: y}]\n"
    "fewshot:\n  count: 1\n  intro: 'With answers. '\n  items: [{id: e, question: z?, reference: w}]\n"
)


def test_an_intro_that_announces_examples_goes_where_none_are_shown(tmp_path: Path) -> None:
    path = written(tmp_path, FEW)
    assert load_suite(path, fewshot=0).items[0].turns == ("With answers. Q: x?",)
    plain = load_suite(written(tmp_path, FEW + "  intro_alone: ''\n"), fewshot=0)
    assert plain.items[0].turns == ("Q: x?",)
    assert load_suite(path).items[0].turns == ("With answers. Q: z? w\n\nQ: x?",)
    assert load_suite(path, fewshot=0).fingerprint != load_suite(path).fingerprint
    with pytest.raises(FileError, match=r"fewshot\.intro_alone: unknown hole \{categry\}"):
        check_suite(written(tmp_path, FEW + "  intro_alone: '{categry}'\n"))


@pytest.mark.data
@pytest.mark.parametrize("name", ["agieval", "agieval-zh", "agieval-cloze", "mmlu"])
def test_asked_without_examples_an_exam_announces_none(data_dir: Path, name: str) -> None:
    item = load_suite(name, data_dir, fewshot=0, limit=1).items[0]
    assert not any(word in item.turns[0] for word in ("后附答案", "and their answers", "with its answer"))
    shown = load_suite(name, data_dir, limit=1).items[0].turns[0]
    assert any(word in shown for word in ("后附答案", "and their answers", "with its answer"))


def test_examples_as_turns_where_there_are_none_are_said_to_change_nothing(tmp_path: Path) -> None:
    path = written(tmp_path, FEW)
    said = "--fewshot-as turns changes nothing: no examples are shown"
    assert load_suite(path, fewshot=0, fewshot_as="turns").notes == (said,)
    assert load_suite(path, fewshot_as="turns").notes == load_suite(path, fewshot=0).notes == ()
    assert load_suite("mini-math", fewshot_as="turns").notes == (said,)


def test_choices_are_not_named_where_none_are_compared(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--choose texts compares nothing where answers are generated"):
        main(["run", str(tmp_path / "run"), "--suite", "mini-choice", "--model", "m=hf/none", "--choose", "texts"])
    assert not (tmp_path / "run").exists()
    assert checked(Settings(choose="texts", answer="both")).choose == "texts"
