"""Direct preference optimisation: pairs → a checkpoint that prefers the better of each."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from judgebench.errors import UserError, did_you_mean
from judgebench.train.job import Job, Recipe, dataset
from judgebench.train.rows import Rows, read_rows
from judgebench.train.session import train
from judgebench.train.settings import TrainSettings, add_training, refuse_beta

PAIRS = (("prompt", "chosen", "rejected"),)

LOSSES = ("sigmoid", "hinge", "ipo", "exo_pair", "nca_pair", "robust", "bco_pair", "sppo_hard", "aot", "aot_unpaired",
          "apo_zero", "apo_down", "discopop", "sft", "sigmoid_norm")  # fmt: skip
"""TRL's losses; ``hinge`` is SLiC-HF's in its normalised form."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this stage's flags."""
    add_training(parser)
    parser.add_argument("--loss", default="sigmoid", metavar="NAME[,NAME]",
                        help=f"one, or a sum: {', '.join(LOSSES)} (hinge: SLiC-HF; default sigmoid)")  # fmt: skip
    parser.add_argument("--beta", type=float, default=0.1, metavar="X", help="pull to the parent (default 0.1)")
    parser.add_argument("--label-smoothing", type=float, default=0.0, metavar="P", help="share of labels thought wrong")


def main(args: argparse.Namespace) -> int:
    """Trains; see `judgebench.train.session.train`.

    Returns:
        0; exit codes of errors are theirs.
    """
    return train(args, RECIPE)


def read(settings: TrainSettings, args: argparse.Namespace) -> Rows:
    """Rows of ``prompt``, ``chosen`` and ``rejected``.

    Raises:
        UserError: no such loss; beta or smoothing out of range.
    """
    for name in losses(args):
        if name not in LOSSES:
            raise UserError(f"--loss {name}: {did_you_mean(name, LOSSES)}")
    refuse_beta(args)
    if not 0 <= args.label_smoothing < 0.5:
        raise UserError(f"--label-smoothing {args.label_smoothing}: must be at least 0 and below 0.5")
    if "exo_pair" in losses(args) and not args.label_smoothing:
        raise UserError("--loss exo_pair needs --label-smoothing above 0 (its paper takes 0.001)")
    return read_rows(settings.data, PAIRS)


def losses(args: argparse.Namespace) -> list[str]:
    """The names in ``--loss``."""
    return [name.strip() for name in args.loss.split(",")]


def build(job: Job, rows: Rows, args: argparse.Namespace) -> Any:
    """TRL's ``DPOTrainer`` over the rows; the reference is the parent itself."""
    from trl import DPOConfig, DPOTrainer

    config = DPOConfig(
        **job.arguments(1e-6), max_length=None, loss_type=losses(args), beta=args.beta,
        label_smoothing=args.label_smoothing,
    )  # fmt: skip
    return DPOTrainer(
        model=job.model(), args=config, train_dataset=dataset(job.chat(rows)), processing_class=job.tokenizer,
        peft_config=job.peft(),
    )  # fmt: skip


def length(row: Mapping[str, Any]) -> int:
    """Tokens of the longer side of a tokenised pair, prompt included."""
    return len(row["prompt_ids"]) + max(len(row["chosen_ids"]), len(row["rejected_ids"]))


RECIPE = Recipe(stage="dpo", read=read, build=build, length=length, options=("loss", "beta", "label_smoothing"))
