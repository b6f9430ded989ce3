"""What examples/judge.yaml trains and tries its judge on: practice that is not held out, one right answer of two."""

from __future__ import annotations

import csv
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "examples"))
import answerers
import judge_practice


def practice() -> list[dict[str, str]]:
    with judge_practice.PRACTICE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_practice_is_what_its_script_writes_and_holds_no_question_held_out() -> None:
    rows, held = practice(), judge_practice.kept_out()
    assert rows == list(judge_practice.rows())
    assert not [row["question"] for row in rows if held.text_in(row["question"])]
    operands = [sorted(map(int, re.findall(r"\d+", row["question"]))) for row in rows]
    assert len(held.pairs) > 80
    assert all(len(numbers) == 2 and tuple(numbers) not in held.pairs for numbers in operands)


def test_of_two_scripted_answers_exactly_one_is_the_reference() -> None:
    places = set()
    for question, reference in answerers.references().items():
        chat = [{"role": "user", "content": f"Question: {question}\nAnswer:"}]
        pair = answerers.left(chat), answerers.right(chat)
        assert sum(answer == reference for answer in pair) == 1
        assert all(int(answer) >= 0 for answer in pair)
        places.add(pair.index(reference))
    assert places == {0, 1}
