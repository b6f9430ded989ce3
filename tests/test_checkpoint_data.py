"""The rows from which `make checkpoints` trains: what the chat template shows, and no question held out."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import yaml

from judgebench.train import sft
from judgebench.train.rows import read_rows

pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
sys.path.insert(0, str(EXAMPLES))
import checkpoint_data  # noqa: E402
import held_out  # noqa: E402

HELD = held_out.held_out()


def test_a_row_is_a_chat_of_questions_and_answers_in_turn() -> None:
    texts = [text for name in checkpoint_data.STEPS for text in checkpoint_data.texts_of(name, HELD, 0.002)]
    assert len(texts) > 100
    for text in texts:
        messages = checkpoint_data.row(text)["messages"]
        assert [message["role"] for message in messages] == ["user", "assistant"] * len(text)
        assert [message["content"] for message in messages] == [part for asked in text for part in asked]


def test_the_answers_taught_are_right() -> None:
    asked = {}
    for name in checkpoint_data.STEPS:
        for text in checkpoint_data.texts_of(name, HELD, 0.05):
            asked |= dict(text)
    sums = {prompt: answer for prompt, answer in asked.items() if re.search(r"\d [+-] \d", prompt)}
    assert len(sums) > 1_000
    for prompt, answer in sums.items():
        left, sign, right = re.findall(r"\d+|[+-]", prompt)[:3]
        assert int(answer) == int(left) + int(right) * (1 if sign == "+" else -1), prompt
    picks = {prompt: answer for prompt, answer in asked.items() if prompt.startswith("A. ")}
    assert len(picks) > 200
    for prompt, answer in picks.items():
        numbers = [int(number) for number in re.findall(r"\d+", prompt)]
        assert numbers["ABCD".index(answer)] == (max if "largest" in prompt else min)(numbers), prompt


def test_the_data_written_are_an_untrained_model_and_rows_that_a_training_stage_takes(tmp_path: Path) -> None:
    checkpoint_data.main(["--out", str(tmp_path), "--share", "0.01"])
    transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "start", local_files_only=True)
    for name in checkpoint_data.STEPS:
        rows = read_rows(str(tmp_path / f"{name}.jsonl"), sft.FORMS)
        assert len(rows.rows) == rows.read > 0
        assert rows.messages


def test_practice_questions_are_neither_held_out_nor_those_that_judges_are_tried_on() -> None:
    practice = yaml.safe_load((EXAMPLES / "loop-practice.yaml").read_text("utf-8"))["items"]
    tried = {
        item["question"] for item in yaml.safe_load((EXAMPLES / "judge-held-out.yaml").read_text("utf-8"))["items"]
    }
    free = [item["question"] for item in practice if item["category"] != "held out"]
    assert len(free) == len(set(free)) == 160
    assert not [question for question in free if question in tried or HELD.text_in(question)]
    planted = [item["question"] for item in practice if item["category"] == "held out"]
    assert len(planted) == 12
    assert all(HELD.text_in(question) for question in planted)
