"""Simple preference optimisation: pairs → a checkpoint, by mean log-probabilities and a margin, with no reference."""

from __future__ import annotations

import argparse
from typing import Any

from judgebench.train.dpo import PAIRS
from judgebench.train.job import Job, Recipe, dataset
from judgebench.train.orpo import UNCUT, as_served, length
from judgebench.train.rows import Rows, read_rows
from judgebench.train.session import train
from judgebench.train.settings import TrainSettings, add_training, refuse_adapters, refuse_beta


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this stage's flags."""
    add_training(parser)
    parser.add_argument("--beta", type=float, default=2.0, metavar="X", help="scale of the reward (default 2)")
    parser.add_argument("--gamma", type=float, default=1.0, metavar="X", help="target margin (default 1)")


def main(args: argparse.Namespace) -> int:
    """Trains; see `judgebench.train.session.train`.

    Returns:
        0; exit codes of errors are theirs.
    """
    return train(args, RECIPE)


def read(settings: TrainSettings, args: argparse.Namespace) -> Rows:
    """Rows of ``prompt``, ``chosen`` and ``rejected``.

    Raises:
        UserError: beta is out of range.
    """
    refuse_beta(args)
    refuse_adapters(settings, ("prompt",), "TRL does not count its virtual tokens in this stage; take prefix, or lora")
    return read_rows(settings.data, PAIRS)


def build(job: Job, rows: Rows, args: argparse.Namespace) -> Any:
    """TRL's ``CPOTrainer`` with SimPO's loss (Meng et al. 2024, arXiv 2405.14734, eq. 6), among its experiments."""
    from trl.experimental.cpo import CPOConfig, CPOTrainer

    examples = job.chat(rows)
    config = CPOConfig(
        **job.arguments(1e-6), max_length=UNCUT, loss_type="simpo", cpo_alpha=0.0, beta=args.beta,
        simpo_gamma=args.gamma, remove_unused_columns=False,
    )  # fmt: skip
    return as_served(CPOTrainer, examples)(
        model=job.model(), args=config, train_dataset=dataset(examples), processing_class=job.tokenizer,
        peft_config=job.peft(),
    )  # fmt: skip


RECIPE = Recipe(stage="simpo", read=read, build=build, length=length, options=("beta", "gamma"))
