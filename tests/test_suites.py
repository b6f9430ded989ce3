"""Suite files: what they may say, and what the shipped ones hold."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from judgebench.errors import FileError, UserError
from judgebench.suites import check_suite, find_suite_file, list_suites, load_suite
from judgebench.types import Message

SMALL = """name: small
scorer: choice
prompt: "Q: {question}\\n{choices}\\nA:"
fewshot:
  count: 1
  intro: "About {category}.\\n\\n"
  items:
    - {id: e, question: "{choices} 1+1", choices: ["1", "2"], reference: B, category: x_y}
    - {id: f, question: 2+2, choices: ["4", "5"], reference: A, category: x_y}
items:
  - {id: a, question: "3+3?", choices: ["6", "7"], reference: A, category: x_y}
  - {id: b, question: "4+4?", choices: ["7", "8"], reference: "8", category: x_y}
  - {id: c, question: "hot?", choices: ["yes", "no"], reference: A, category: z, meta: {level: 3}}
"""


def small(tmp_path: Path, text: str = SMALL) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(text)
    return path


def test_examples_stand_before_the_question_as_one_text(tmp_path: Path) -> None:
    item = load_suite(small(tmp_path)).items[0]
    assert item.turns == ("About x y.\n\nQ: {choices} 1+1\nA. 1\nB. 2\nA: B\n\nQ: 3+3?\nA. 6\nB. 7\nA:",)
    assert item.question == ("3+3?",)
    assert item.shots == ()


def test_examples_stand_before_the_question_as_turns(tmp_path: Path) -> None:
    item = load_suite(small(tmp_path), fewshot_as="turns", fewshot=2).items[0]
    assert item.turns == ("Q: 3+3?\nA. 6\nB. 7\nA:",)
    assert item.shots == (
        Message(role="user", content="About x y.\n\nQ: {choices} 1+1\nA. 1\nB. 2\nA:"),
        Message(role="assistant", content="B"),
        Message(role="user", content="Q: 2+2\nA. 4\nB. 5\nA:"),
        Message(role="assistant", content="A"),
    )


def test_the_limit_goes_round_the_categories_and_larger_ones_hold_smaller_ones(tmp_path: Path) -> None:
    path = small(tmp_path)
    picks = [[item.id for item in load_suite(path, limit=limit).items] for limit in (1, 2, 3)]
    assert picks == [["a"], ["a", "c"], ["a", "b", "c"]]
    assert load_suite(path, limit=2).available == 3
    with pytest.raises(UserError, match="limit is 0"):
        load_suite(path, limit=0)


def test_the_fingerprint_moves_with_what_matters_and_not_with_the_limit(tmp_path: Path) -> None:
    path = small(tmp_path)
    base = load_suite(path).fingerprint
    assert load_suite(path, limit=1).fingerprint == base

    def differs(**options: object) -> set[str]:
        other = load_suite(path, **options).fingerprint  # type: ignore[arg-type]
        return {key for key in base if base[key] != other[key]}

    assert differs(fewshot=2) == {"fewshot"}
    assert differs(fewshot_as="turns") == {"fewshot_as"}
    small(tmp_path, SMALL.replace("Q: {q", "Question: {q"))
    assert differs() == {"prompt"}
    small(tmp_path, SMALL.replace("3+3?", "3 + 3?"))
    assert differs() == {"rows"}
    small(tmp_path, SMALL + "sampling: {temperature: 0.5}\n")
    assert differs() == {"sampling"}
    small(tmp_path, SMALL.replace("2+2", "2 + 2"))
    assert differs(fewshot=1) == set()


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("{question}\\n", "{qestion}\\n", 3, r"prompt: unknown hole \{qestion\}: did you mean 'question'"),
        ("scorer: choice", "scorer: chioce", 2, "no scorer is called 'chioce': did you mean 'choice'"),
        (
            "scorer: choice",
            "scorer: {name: choice, options: {patern: x}}",
            2,
            "scorer.options: choice does not take them",
        ),
        ("scorer: choice", "scorer: {name: choice, options: {pattern: (}}", 2, "is not a regular expression"),
        ("scorer: choice", "scorr: choice", 2, "unknown key 'scorr': did you mean 'scorer'"),
        ("id: b,", "id: a,", 12, "items.1.id: two questions have the id 'a'"),
        ('reference: "8"', 'reference: "9"', 12, "'9' is not among the choices: A, B, 7, 8"),
        ("id: a, question", "id: a, turns: [x], question", 11, "items.0: needs either 'question' or 'turns'"),
        ("id: a,", "id: 1,", 11, "items.0.id: found 1 where text is due: quote it"),
        ("name: small", "name: s m", 1, "is not a name"),
        ("count: 1", "count: -1", 5, "fewshot.count: found -1"),
        ("scorer: choice", "category_sampling: {zz: {top_p: 1}}", 2, "category_sampling.zz: no such category"),
        ("scorer: choice", "map: {question: q}", 2, "map: is of no use"),
    ],
)
def test_a_mistake_names_line_and_key(tmp_path: Path, old: str, new: str, line: int, says: str) -> None:
    assert old in SMALL
    path = small(tmp_path, SMALL.replace(old, new, 1))
    with pytest.raises(FileError, match=says) as caught:
        check_suite(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")


def test_rows_with_a_mistake_name_file_and_row(tmp_path: Path) -> None:
    text = (
        "name: rows\nsource: {items: {path: r.csv}}\n"
        "map: {id: id, question: q, choices: [a, b], reference: r}\nscorer: choice\n"
    )
    path = small(tmp_path, text)
    data = tmp_path / "r.csv"
    data.write_text("id,q,a,b,r\n1,x,u,v,A\n2,y,u,v,C\n")
    with pytest.raises(UserError, match=r"r\.csv:3: row 2: the reference 'C' is not among the choices: A, B, u, v"):
        load_suite(path, tmp_path)
    data.write_text("id,q,a,b,r\n1,x,u,v,A\n1,y,u,v,B\n")
    with pytest.raises(FileError, match="two questions have the id '1'"):
        load_suite(path, tmp_path)
    data.unlink()
    with pytest.raises(UserError, match=r"r\.csv\): --data DIR"):
        load_suite(path, tmp_path)


def test_names_are_found_with_a_suggestion() -> None:
    assert {"mmlu", "gsm8k", "humaneval", "vicuna-80", "mt-bench"} <= set(list_suites())
    with pytest.raises(UserError, match="did you mean 'gsm8k'"):
        find_suite_file("gsm8")
    with pytest.raises(UserError, match=r"no suite file \./none\.yaml"):
        find_suite_file("./none.yaml")


def test_every_shipped_suite_is_in_order() -> None:
    for name in list_suites():
        suite = check_suite(find_suite_file(name))
        assert suite.name == name
        assert suite.about
        assert suite.license


@pytest.mark.data
def test_gsm8k_has_1319_questions_with_numbers_and_five_worked_examples(data_dir: Path) -> None:
    suite = load_suite("gsm8k", data_dir)
    assert (len(suite.items), suite.available, suite.missing, suite.notes) == (1319, 1319, (), ())
    assert all(item.reference[0].replace(",", "").lstrip("-").replace(".", "").isdigit() for item in suite.items)
    assert suite.items[0].reference == ("18",)
    assert suite.items[0].turns[0].count("Question: ") == 6
    assert suite.items[0].turns[0].endswith("\nAnswer:")


@pytest.mark.data
def test_humaneval_has_164_tasks_with_tests(data_dir: Path) -> None:
    suite = load_suite("humaneval", data_dir)
    assert (len(suite.items), suite.notes, suite.scorer, suite.sampling.max_tokens) == (164, (), "code", 512)
    assert suite.items[0].id == "HumanEval/0"
    assert all("def check(" in item.meta["test"] and item.meta["entry_point"] in item.turns[0] for item in suite.items)
    assert all(item.reference[0].strip() for item in suite.items)


@pytest.mark.data
def test_vicuna_and_mt_bench_carry_references_and_temperatures(data_dir: Path) -> None:
    vicuna, bench = load_suite("vicuna-80", data_dir), load_suite("mt-bench", data_dir)
    assert [item.id for item in vicuna.items] == [str(number) for number in range(1, 81)]
    assert [item.id for item in bench.items] == [str(number) for number in range(81, 161)]
    with_reference = Counter(item.category for item in vicuna.items if item.reference)
    assert with_reference == {"coding": 7, "math": 3}
    with_reference = Counter(item.category for item in bench.items if item.reference)
    assert with_reference == {"math": 10, "reasoning": 10, "coding": 10}
    assert all(len(item.turns) == 2 and len(item.reference) in (0, 2) for item in bench.items)
    found = {item.category: item.sampling.temperature for item in bench.items if item.sampling}
    assert found == {
        "writing": 0.7, "roleplay": 0.7, "extraction": 0.0, "math": 0.0, "coding": 0.0, "reasoning": 0.0,
        "stem": 0.1, "humanities": 0.1,
    }  # fmt: skip
    assert vicuna.judged
    assert bench.judged
    assert vicuna.notes == bench.notes == ()


@pytest.mark.data
def test_mmlu_runs_with_the_subjects_that_are_there_and_names_the_rest(data_dir: Path) -> None:
    suite = load_suite("mmlu", data_dir)
    assert Counter(item.category for item in suite.items) == {
        "abstract_algebra": 100, "anatomy": 135, "astronomy": 152, "business_ethics": 100,
        "college_computer_science": 100, "computer_security": 100, "elementary_mathematics": 378, "formal_logic": 126,
        "high_school_us_history": 204, "machine_learning": 105, "moral_scenarios": 895, "professional_medicine": 282,
        "us_foreign_policy": 100, "virology": 166,
    }  # fmt: skip
    assert len(suite.missing) == 43
    assert "mmlu/data/test/marketing_test.csv" in suite.missing
    assert suite.version == "2020-git"
    assert len(suite.notes) == 1
    assert "version 2020-git" in suite.notes[0]
    assert any("\n" in item.question[0] for item in suite.items)
    assert all(len(item.choices) == 4 and item.reference[0] in "ABCD" for item in suite.items)
    assert suite.items[0].turns[0].count("\nAnswer:") == 6


@pytest.mark.data
def test_eight_questions_of_mmlu_are_of_eight_subjects(data_dir: Path) -> None:
    suite = load_suite("mmlu", data_dir, limit=8)
    assert len({item.category for item in suite.items}) == 8
    assert suite.available == 2943


@pytest.mark.data
def test_a_changed_file_under_data_is_said_and_used(data_dir: Path, tmp_path: Path) -> None:
    path = "gsm8k/grade_school_math/data"
    (tmp_path / path).mkdir(parents=True)
    for name in ("test.jsonl", "train.jsonl"):
        lines = (data_dir / path / name).read_text().splitlines(keepends=True)
        (tmp_path / path / name).write_text("".join(lines[:10]))
    suite = load_suite("gsm8k", tmp_path)
    assert len(suite.items) == 10
    (note,) = suite.notes
    assert "upstream's is 3730d312f6e3" in note
    assert suite.fingerprint["rows"] != load_suite("gsm8k", data_dir).fingerprint["rows"]
