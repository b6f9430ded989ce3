"""Columns as they are found in the wild: more of them than a form has, whole conversations as sides, malformed ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_train_data import TALK, data, jsonl

from judgebench.cli import main
from judgebench.errors import FileError, UserError
from judgebench.train.columns import read_data
from judgebench.train.dpo import PAIRS
from judgebench.train.online import COLUMNS
from judgebench.train.rows import read_rows

LONGER = [*TALK, {"role": "user", "content": "And?"}, {"role": "assistant", "content": "So."}]


@pytest.mark.parametrize(
    ("row", "made", "unread"),
    [
        ({"prompt": "Hi?", "prompt_id": "a", "messages": LONGER}, {"messages": LONGER, "prompt_id": "a"}, ["prompt"]),
        ({"messages": TALK, "completion": "no", "response": "no"}, {"messages": TALK}, ["completion", "response"]),
        ({"instruction": "Hi?", "output": "Ho.", "prompt": "Below is"}, {"messages": TALK}, ["prompt"]),
        ({"prompt": "Hi?", "completion": "Ho.", "input": "x", "output": "y"}, {"messages": TALK}, ["input", "output"]),
        ({"conversations": TALK, "label": "sums"}, {"messages": TALK}, ["label"]),
        ({"messages": TALK, "label": True, "source": "s"}, {"messages": TALK, "source": "s"}, []),
    ],
)
def test_columns_of_another_form_are_passed_over_and_said(
    tmp_path: Path, row: dict[str, Any], made: dict[str, Any], unread: list[str]
) -> None:
    rows, manifest = data(tmp_path, "convert", [row], "--as", "messages")
    assert rows == [made]
    assert [note.split()[1] for note in manifest["notes"]] == unread
    assert all("of 1 rows not read: these are rows of" in note for note in manifest["notes"])


@pytest.mark.parametrize("verb", ["lima", "dedup"])
def test_no_verb_takes_the_letters_of_a_text_for_messages(tmp_path: Path, verb: str) -> None:
    more = ["--min-chars", "1"] if verb == "lima" else []
    for form in ("messages", "completion", "sharegpt"):
        rows, _ = data(tmp_path, verb, [{"prompt": "Hi?", "messages": LONGER}], "--as", form, *more)
        assert read_data(jsonl(tmp_path / "again.jsonl", rows))[0] == [{"prompt": LONGER[:-1], "completion": "So."}]


def test_a_label_that_marks_nothing_is_refused_where_it_is_the_form(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"in\.jsonl:1: .*label: true or false is meant, found \"bad\""):
        data(tmp_path, "convert", [{"prompt": "a", "completion": "b", "label": "bad"}], "--as", "messages")


def side(*texts: str, system: str = "") -> list[dict[str, str]]:
    """A conversation, the user first."""
    said = [{"role": ("user", "assistant")[at % 2], "content": text} for at, text in enumerate(texts)]
    return [{"role": "system", "content": system}, *said] if system else said


@pytest.mark.parametrize(
    ("prompt", "chosen", "rejected", "asked"),
    [
        ("Hi?", side("Hi?", "Ho."), side("Hi?", "No."), side("Hi?")),
        ("Hi?", side("Hi?", "Ho.", system="Be."), side("Hi?", "No.", system="Be."), side("Hi?", system="Be.")),
        ("Hi?", side("Hi?", "a", "b", "Ho."), side("Hi?", "a", "b", "No."), side("Hi?", "a", "b")),
        (side("Hi?"), side("Hi?", "Ho."), side("Hi?", "No."), side("Hi?")),
    ],
)
def test_pairs_of_whole_conversations_lose_the_prompt_they_share(
    tmp_path: Path, prompt: Any, chosen: Any, rejected: Any, asked: Any
) -> None:
    row = {"prompt": prompt, "prompt_id": "a", "chosen": chosen, "rejected": rejected, "messages": chosen}
    [made], manifest = data(tmp_path, "convert", [row], "--as", "pairs")
    assert (made["chosen"], made["rejected"]) in (("Ho.", "No."), (side("", "Ho.")[1:], side("", "No.")[1:]))
    assert made["prompt"] == (asked if len(asked) > 1 else "Hi?")
    assert [note.split()[1] for note in manifest["notes"]] == ["messages"]
    [read] = read_rows(jsonl(tmp_path / "p.jsonl", [row]), PAIRS).rows
    assert read == {"prompt": asked, "chosen": chosen[-1:], "rejected": rejected[-1:]}


@pytest.mark.parametrize(
    ("prompt", "chosen", "rejected", "words"),
    [
        ("Hi?", side("Hi?", "Ho."), side("Ha?", "No."), "not the same up to their last replies"),
        ("Hi!", side("Hi?", "Ho."), side("Hi?", "No."), "do not begin with the prompt"),
        ("Hi?", side("Hi?", "Ho."), "No.", "both must be"),
        ("Hi?", side("Hi?", "Ho.", "And?"), side("Hi?", "Ho.", "So?"), "end in a message of the assistant"),
        (side("Hi?", "a", "b"), side("Hi?", "Ho."), side("Hi?", "No."), "do not begin with the prompt"),
    ],
)
def test_conversations_that_do_not_begin_alike_are_refused(
    tmp_path: Path, prompt: Any, chosen: Any, rejected: Any, words: str
) -> None:
    row = {"prompt": prompt, "chosen": chosen, "rejected": rejected}
    file = jsonl(tmp_path / "in.jsonl", [row])
    with pytest.raises(FileError, match=rf"in\.jsonl:1: .*{words}"):
        read_rows(file, PAIRS)
    with pytest.raises(FileError, match=rf"in\.jsonl:1: .*{words}"):
        main(["data", "convert", file, "--as", "pairs", "--out", str(tmp_path / "o.jsonl"), "--quiet"])


def test_an_answer_of_several_messages_is_no_whole_conversation(tmp_path: Path) -> None:
    row = {"prompt": "Hi?", "chosen": side("", "a", "b", "Ho.")[1:], "rejected": side("", "No.")[1:]}
    with pytest.raises(FileError, match="an answer of one message is meant"):
        read_data(jsonl(tmp_path / "in.jsonl", [row]))


def test_a_pair_equal_after_its_prompt_is_dropped_as_equal(tmp_path: Path) -> None:
    same = {"prompt": "Hi?", "chosen": side("Hi?", "Ho."), "rejected": side("Hi?", "Ho.")}
    other = {**same, "rejected": side("Hi?", "No.")}
    found = read_rows(jsonl(tmp_path / "p.jsonl", [same, other]), PAIRS)
    assert (len(found.rows), found.dropped) == (1, {"with chosen equal to rejected": 1})


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"scores": 5}, r"d\.jsonl:1: scores: a list of numbers"),
        ({"scores": ["9", "10"]}, r"d\.jsonl:1: scores: a list of numbers"),
        ({"scores": [True, False]}, r"d\.jsonl:1: scores: a list of numbers"),
        ({"choices": "AB"}, r"d\.jsonl:1: choices: a list of texts"),
        ({"choices": 5}, r"d\.jsonl:1: choices: a list of texts"),
        ({"choices": [1, 2]}, r"d\.jsonl:1: choices: a list of texts"),
        ({"reference": ["4"]}, r"d\.jsonl:1: reference: a text is meant"),
        ({"reference": True}, r"d\.jsonl:1: reference: a text is meant"),
    ],
)
def test_malformed_optional_columns_are_one_line_with_file_line_and_column(
    tmp_path: Path, row: dict[str, Any], words: str
) -> None:
    file = jsonl(tmp_path / "d.jsonl", [{"prompt": "a", "responses": ["b", "c"], **row}])
    with pytest.raises(FileError, match=words):
        read_rows(file, (("prompt", "responses"),), optional=("scores", *COLUMNS))


def test_an_optional_column_that_is_null_is_one_that_is_not_there(tmp_path: Path) -> None:
    row = {"prompt": "a", "reference": None, "choices": ["b", "c"], "scores": None}
    found = read_rows(jsonl(tmp_path / "d.jsonl", [row, {**row, "reference": 4}]), (("prompt",),), optional=COLUMNS)
    assert found.rows == [
        {"prompt": "a", "choices": ["b", "c"]},
        {"prompt": "a", "choices": ["b", "c"], "reference": 4},
    ]


@pytest.mark.parametrize("stage", ["rank", "language"])
def test_an_answer_of_several_messages_is_refused_and_nothing_of_it_dropped(tmp_path: Path, stage: str) -> None:
    from test_train import trained
    from tiny_models import CHATML

    row = {"prompt": side("Hi?"), "chosen": side("", "a", "b", "Ho.")[1:], "rejected": side("", "No.")[1:]}
    with pytest.raises(UserError, match="one message; these rows have several"):
        trained(tmp_path, stage, jsonl(tmp_path / "d.jsonl", [row, row]), template=CHATML)
    assert not (tmp_path / "run/models/x").exists()
