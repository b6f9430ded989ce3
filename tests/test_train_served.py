"""What orpo and simpo learn stands behind the very tokens with which the model is asked."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest
from test_train import jsonl
from tiny_models import CHATML, WITH_BOS, tiny_checkpoint

from judgebench.train import orpo, simpo
from judgebench.train.job import Job
from judgebench.train.quiet import quiet_libraries
from judgebench.train.session import open_parent
from judgebench.train.settings import resolve

ENDED = CHATML.replace("<|im_end|>", "</s>")
"""A template that prints EOS, and a line's end behind it."""

PAIR = {"prompt": "3+1?", "chosen": "44 is it", "rejected": "4 no"}


@pytest.mark.parametrize("stage", [orpo, simpo])
@pytest.mark.parametrize(
    ("template", "asked", "end"),
    [
        (CHATML, "<|im_start|>user\n3+1?<|im_end|>\n<|im_start|>assistant\n", "<|im_end|>\n"),
        (WITH_BOS, "<s><|im_start|>user\n3+1?<|im_end|>\n<|im_start|>assistant\n", "<|im_end|>\n"),
        (ENDED, "<|im_start|>user\n3+1?</s>\n<|im_start|>assistant\n", "</s>\n"),
        ("", "<s>3+1?", "</s>"),
    ],
    ids=["no BOS", "its own BOS", "a line after EOS", "no template"],
)
def test_a_pair_is_learned_behind_the_tokens_of_the_prompt_as_served(
    tmp_path: Path, stage: Any, template: str, asked: str, end: str
) -> None:
    pytest.importorskip("trl")
    parser = argparse.ArgumentParser()
    stage.add_arguments(parser)
    data = jsonl(tmp_path / "d.jsonl", [PAIR])
    args = parser.parse_args(
        ["r", "--model", f"hf/{tiny_checkpoint(template)}", "--data", data, "--name", "n", "--quiet"]
    )
    settings = resolve(args)
    with quiet_libraries():
        job = Job(settings, open_parent(settings), tmp_path / "work", quiet=True)
        [row] = stage.build(job, stage.read(settings, args), args).train_dataset
    served = job.tokenizer(asked, add_special_tokens=False)["input_ids"]
    for side in ("chosen", "rejected"):
        reply = job.tokenizer(PAIR[side] + end, add_special_tokens=False)["input_ids"]
        assert row[f"{side}_input_ids"] == [*served, *reply]
        assert row[f"{side}_labels"] == [-100] * len(served) + reply
        assert len(row[f"{side}_attention_mask"]) == len(served) + len(reply)
