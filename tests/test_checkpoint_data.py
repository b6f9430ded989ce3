"""The rows from which `make checkpoints` trains: what the chat template shows, and no question held out."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import pytest
import yaml

pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
sys.path.insert(0, str(EXAMPLES))
import checkpoint_data  # noqa: E402
import held_out  # noqa: E402
import task_texts  # noqa: E402

HELD = held_out.held_out()


def test_a_row_and_its_end_mark_are_a_chat_as_the_template_shows_it_up_to_that_reply() -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(EXAMPLES / "tiny-tuned", local_files_only=True)
    text = task_texts.Text((("Hi", False), ("Hello.", True), ("Bye", False), ("Ciao.", True)), chat=True)
    roles = ("user", "assistant", "user", "assistant")
    chat = [{"role": role, "content": part} for role, (part, _) in zip(roles, text.parts, strict=True)]
    for row, turns in zip(checkpoint_data.rows(text), (2, 4), strict=True):
        shown = tokenizer.apply_chat_template(chat[:turns], tokenize=False)
        assert "<bos>" + row["prompt"] + row["completion"] + "<eos>" == shown
        assert tokenizer.decode(tokenizer(row["prompt"])["input_ids"]) == "<bos>" + row["prompt"]


def test_raw_text_is_whole_in_its_row() -> None:
    (text,) = task_texts.base_texts(random.Random(1), HELD, 1, task_texts.BASE_SHARES)
    (row,) = checkpoint_data.rows(text)
    assert row["prompt"] + row["completion"] == text.whole
    assert len(row["prompt"]) == 1


def test_the_data_written_are_an_untrained_model_and_rows_that_a_training_stage_takes(tmp_path: Path) -> None:
    checkpoint_data.main(["--out", str(tmp_path), "--share", "0.01"])
    transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "start", local_files_only=True)
    for name in ("base", "tuned"):
        rows = [json.loads(line) for line in (tmp_path / f"{name}.jsonl").read_text("utf-8").splitlines()]
        assert rows
        assert all(row["prompt"].strip() and row["completion"].strip() for row in rows)


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
