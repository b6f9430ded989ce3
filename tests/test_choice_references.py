"""References of choices: letters or texts, told apart by the file they are in; what could be two choices is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from judgebench.errors import FileError, UserError
from judgebench.mapping import right_letter
from judgebench.suites import Suite, load_suite
from judgebench.types import Item

BLOOD = ["O", "A", "B", "AB"]


def suite_of(tmp_path: Path, rows: list[dict[str, object]], mapping: str = "", more: str = "scorer: choice\n") -> Suite:
    path = tmp_path / "rows.yaml"
    path.write_text(
        "name: rows\nsource: {items: {path: r.jsonl}}\n"
        f"map: {{question: q, choices: c, reference: r{mapping}}}\n{more}"
    )
    (tmp_path / "r.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return load_suite(path, tmp_path)


def row(reference: str, choices: list[str]) -> dict[str, object]:
    return {"q": "?", "c": choices, "r": reference}


def references(suite: Suite) -> list[str]:
    return [item.reference[0] for item in suite.items]


PLAIN = ["London", "Paris", "Rome", "Bern"]


def test_where_other_rows_have_texts_a_reference_like_a_letter_is_a_text(tmp_path: Path) -> None:
    assert references(suite_of(tmp_path, [row("Rome", PLAIN), row("A", BLOOD)])) == ["C", "B"]


def test_where_other_rows_have_letters_it_is_a_letter(tmp_path: Path) -> None:
    assert references(suite_of(tmp_path, [row("C", PLAIN), row("A", BLOOD)])) == ["C", "A"]


def test_where_no_other_row_tells_the_exact_text_wins(tmp_path: Path) -> None:
    assert references(suite_of(tmp_path, [row("A", BLOOD)])) == ["B"]
    assert references(suite_of(tmp_path, [row("b", ["a", "c", "b"])])) == ["C"]


def test_where_rows_have_both_it_is_refused_by_file_and_row(tmp_path: Path) -> None:
    rows = [row("C", PLAIN), row("Rome", PLAIN), row("A", BLOOD)]
    with pytest.raises(UserError, match=r"r\.jsonl:3: row 3: the reference 'A' is ambiguous: it is a letter and"):
        suite_of(tmp_path, rows)
    assert references(suite_of(tmp_path, rows[:2])) == ["C", "C"]


def test_the_text_of_two_choices_is_refused_by_file_and_row(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"r\.jsonl:1: row 1: .*'fly' is ambiguous: it is the text of choices A and C"):
        suite_of(tmp_path, [row("fly", ["fly", "swim", "fly"])])
    assert references(suite_of(tmp_path, [row("C", ["fly", "swim", "fly"])])) == ["C"]


def test_a_small_letter_or_another_text_is_none_of_the_choices(tmp_path: Path) -> None:
    for wanted in ("b", "(B)", "paris", "E"):
        with pytest.raises(UserError, match=r"row 1: the reference .* is not among the choices"):
            suite_of(tmp_path, [row(wanted, PLAIN)])


def test_shuffled_choices_take_the_right_one_along_whatever_its_text_is(tmp_path: Path) -> None:
    rows = [{"id": str(n), **row("A", BLOOD)} for n in range(8)] + [{"id": "x", **row("Rome", PLAIN)}]
    items = suite_of(tmp_path, rows, ", id: id, shuffle: 3").items[:8]
    assert {right(item) for item in items} == {"A"}
    assert len({item.choices for item in items}) > 1
    letters = [*rows[:8], {"id": "x", **row("C", PLAIN)}]
    assert {right(item) for item in suite_of(tmp_path, letters, ", id: id, shuffle: 3").items[:8]} == {"O"}


def right(item: Item) -> str:
    return item.choices[ord(item.reference[0]) - ord("A")]


def test_labels_and_positions_are_letters_whatever_the_texts_are(tmp_path: Path) -> None:
    named = [
        {**row("2", BLOOD), "l": ["1", "2", "3", "4"]},
        {**row("1", ["1", "2", "3", "4"]), "l": ["4", "3", "2", "1"]},
    ]
    assert references(suite_of(tmp_path, named, ", labels: l")) == ["B", "D"]


def test_a_reference_of_another_scorer_stays_as_it_is_written(tmp_path: Path) -> None:
    assert references(suite_of(tmp_path, [row("Rome", PLAIN)], more="scorer: text\n")) == ["Rome"]


def test_examples_show_the_reference_as_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_text(json.dumps(row("Rome", PLAIN)) + "\n")
    path = tmp_path / "s.yaml"
    path.write_text(
        "name: s\nsource: {items: {path: r.jsonl}, fewshot: {path: e.jsonl}}\nfewshot: {count: 1}\n"
        "map: {question: q, choices: c, reference: r}\nscorer: choice\n"
    )
    (tmp_path / "r.jsonl").write_text(json.dumps(row("Paris", PLAIN)) + "\n")
    (item,) = load_suite(path, tmp_path).items
    assert (item.turns[0], item.reference) == ("? Rome\n\n?", ("B",))


def test_questions_in_the_suite_file_are_read_alike_and_refused_by_key(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    head = 'name: s\nscorer: choice\nprompt: "{question}"\nitems:\n'

    def entry(number: int, wanted: str, choices: list[str]) -> str:
        return f"  - {{id: '{number}', question: q, choices: {json.dumps(choices)}, reference: {wanted}}}\n"

    path.write_text(head + entry(1, "Rome", PLAIN) + entry(2, "A", BLOOD))
    assert references(load_suite(path)) == ["C", "B"]
    path.write_text(head + entry(1, "C", PLAIN) + entry(2, "Rome", PLAIN) + entry(3, "A", BLOOD))
    with pytest.raises(FileError, match=r"s\.yaml:7: items\.2\.reference: the reference 'A' is ambiguous"):
        load_suite(path)
    path.write_text(head + entry(1, "fly", ["fly", "swim", "fly"]))
    with pytest.raises(FileError, match=r"items\.0\.reference: .* the text of choices A and C"):
        load_suite(path)


def test_a_letter_counts_before_a_text_only_where_letters_are_meant() -> None:
    assert [right_letter("A", BLOOD, kind) for kind in ("texts", "letters")] == ["B", "A"]
    assert right_letter("B", BLOOD, "letters") == "B"
    assert right_letter("AB", BLOOD, "letters") == "D"
    with pytest.raises(UserError, match="ambiguous"):
        right_letter("A", BLOOD, "either")
    assert right_letter("A", ["A", "x"], "either") == "A"


@pytest.mark.data
def test_an_mmlu_question_whose_choices_are_letters_keeps_its_letter(data_dir: Path) -> None:
    items = {item.id: item for item in load_suite("mmlu", data_dir).items}
    assert (items["formal_logic/51"].choices, items["formal_logic/51"].reference) == (("A", "~A", "B", "~B"), ("B",))
