"""Reward modelling: pairs → a model that scores answers, for rloo, grpo and raft."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from judgebench.errors import UserError
from judgebench.train.dpo import PAIRS
from judgebench.train.job import Job, Recipe, dataset
from judgebench.train.rows import Rows, read_rows
from judgebench.train.session import train
from judgebench.train.settings import TrainSettings, add_training, refuse_adapters


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this stage's flags."""
    add_training(parser)
    parser.add_argument("--center", type=float, default=None, metavar="X", help="weight that keeps rewards about 0")


def main(args: argparse.Namespace) -> int:
    """Trains; see `judgebench.train.session.train`.

    Returns:
        0; exit codes of errors are theirs.
    """
    return train(args, RECIPE)


def read(settings: TrainSettings, args: argparse.Namespace) -> Rows:
    """Rows of ``prompt``, ``chosen`` and ``rejected``.

    Raises:
        UserError: an adapter that would not become part of the weights.
    """
    whole = "a reward model is read whole, as weights of its own; take an adapter that is merged, such as lora"
    refuse_adapters(settings, ("prefix", "prompt"), whole)
    if settings.peft != "none" and not settings.merge:
        raise UserError(f"--no-merge: {whole}")
    return read_rows(settings.data, PAIRS)


def build(job: Job, rows: Rows, args: argparse.Namespace) -> Any:
    """TRL's ``RewardTrainer``: Bradley-Terry over both rewards (Ouyang et al. 2022, arXiv 2203.02155, eq. 1)."""
    from trl import RewardConfig, RewardTrainer

    config = RewardConfig(**job.arguments(1e-5), max_length=None, center_rewards_coefficient=args.center)
    made = RewardTrainer(
        model=job.model("AutoModelForSequenceClassification", num_labels=1), args=config,
        train_dataset=dataset(job.chat(rows)), processing_class=job.tokenizer, peft_config=job.peft("SEQ_CLS"),
    )  # fmt: skip
    if job.settings.peft == "qlora" and not job.half:
        for each in made.model.parameters():
            if each.requires_grad:
                each.data = each.data.float()  # TRL casts them to bfloat16 for QLoRA, which the head's input is not
    return made


def length(row: Mapping[str, Any]) -> int:
    """Tokens of the longer side of a tokenised pair, prompt included."""
    return max(len(row["chosen_ids"]), len(row["rejected_ids"]))


RECIPE = Recipe(stage="reward", read=read, build=build, length=length, options=("center",))
