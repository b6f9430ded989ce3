"""What the training stages are for: after some steps a tiny random model prefers what it was taught to prefer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_train import jsonl, pairs, trained
from tiny_models import tiny_checkpoint

from judgebench.cli import main

STEPS = ["--steps", "24", "--batch-size", "4", "--learning-rate", "3e-3", "--schedule", "constant"]


def logp(folder: Path, prompt: str, answer: str) -> float:
    """The log-probability of an answer and its end behind a prompt; a byte is a token, BOS comes first, EOS last."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    before = [0, *tokenizer(prompt, add_special_tokens=False)["input_ids"]]
    ids = [*before, *tokenizer(answer, add_special_tokens=False)["input_ids"], 1]
    with torch.inference_mode():
        logps = model(torch.tensor([ids])).logits.float().log_softmax(-1)[0]
    return sum(float(logps[place - 1, ids[place]]) for place in range(len(before), len(ids)))


def margins(folder: Path, behind: str = "") -> list[float]:
    """By how much the chosen answer of each pair is likelier than the rejected one; ``behind`` follows the prompt."""
    return [logp(folder, row["prompt"] + behind, row["chosen"]) - logp(folder, row["prompt"] + behind, row["rejected"])
            for row in pairs()]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "more"),
    [
        ("dpo", ["--loss", "sigmoid"]),
        ("dpo", ["--loss", "hinge"]),
        ("dpo", ["--loss", "ipo"]),
        ("kto", []),
        ("orpo", []),
        ("simpo", []),
        ("rank", ["--loss", "rrhf"]),
        ("rank", ["--loss", "pro"]),
        ("rank", ["--loss", "slic"]),
    ],
)
def test_after_training_on_pairs_every_chosen_answer_has_gained_on_the_rejected(
    tmp_path: Path, stage: str, more: list[str]
) -> None:
    trained(tmp_path, stage, jsonl(tmp_path / "d.jsonl", pairs()), *STEPS, *more)
    before, after = margins(tiny_checkpoint("")), margins(tmp_path / "run/models/x")
    gained = [late - early for early, late in zip(before, after, strict=True)]
    assert min(gained) > 1, gained  # in nats


@pytest.mark.parametrize("method", ["hindsight", "conditional"])
def test_after_feedback_in_words_the_model_gives_the_answer_that_the_words_ask_for(tmp_path: Path, method: str) -> None:
    marked: list[dict[str, Any]] = [
        {"prompt": row["prompt"], "completion": row[side], "label": side == "chosen"}
        for row in pairs() for side in ("chosen", "rejected")
    ]  # fmt: skip
    data = jsonl(tmp_path / "d.jsonl", pairs() if method == "hindsight" else marked)
    more = [] if method == "hindsight" else ["--bad-weight", "1"]
    trained(tmp_path, "language", data, *STEPS, "--steps", "120", "--method", method, *more)
    folder = tmp_path / "run/models/x"
    assert min(margins(folder, "\n\nGive a good answer.\n")) > 0
    assert max(margins(folder, "\n\nGive a poor answer.\n")) < 0


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["rloo", "grpo", "raft"])
def test_what_is_rewarded_becomes_likelier(tmp_path: Path, stage: str) -> None:
    both = [{"prompt": "3+1?", "completion": answer} for answer in ("4", "5")] * 2
    trained(tmp_path, "sft", jsonl(tmp_path / "s.jsonl", both), *STEPS, name="either")
    either = tmp_path / "run/models/either"
    asked = jsonl(tmp_path / "d.jsonl", [{"prompt": "3+1?", "reference": "4"}] * 4)
    draws = ["--k", "4", "--steps", "24"] if stage == "raft" else ["--generations", "4", "--steps", "8"]
    command = [stage, str(tmp_path / "run"), "--model", f"hf/{either}", "--data", asked, "--name", "x", *STEPS,
               "--quiet", "--scorer", "number", "--max-new-tokens", "4", *draws]  # fmt: skip
    assert main(command) == 0
    right, wrong = (
        logp(tmp_path / "run/models/x", "3+1?", answer) - logp(either, "3+1?", answer) for answer in ("4", "5")
    )
    assert right > wrong + 0.5, (right, wrong)
