"""Odds-ratio preference optimisation: pairs → a checkpoint, with no reference model."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from judgebench.train.dpo import PAIRS
from judgebench.train.job import Job, Recipe, dataset
from judgebench.train.rows import Rows, read_rows
from judgebench.train.session import train
from judgebench.train.settings import TrainSettings, add_training, refuse_adapters, refuse_beta
from judgebench.train.tokens import pair_tokens

UNCUT = 1 << 30
"""Length at which TRL's older trainers cut: never; rows that do not fit are dropped and counted instead."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this stage's flags."""
    add_training(parser)
    parser.add_argument("--beta", type=float, default=0.1, metavar="X", help="weight of the odds ratio (default 0.1)")


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
    """TRL's ``ORPOTrainer`` (Hong et al. 2024, arXiv 2403.07691), which since TRL 1.0 is among its experiments.

    Its first term, L_SFT, is the mean over the tokens of prompt and answer, as in the authors' code.
    """
    from trl.experimental.orpo import ORPOConfig, ORPOTrainer

    examples = job.chat(rows)
    config = ORPOConfig(**job.arguments(8e-6), max_length=UNCUT, beta=args.beta, remove_unused_columns=False)
    return as_served(ORPOTrainer, examples)(
        model=job.model(), args=config, train_dataset=dataset(examples), processing_class=job.tokenizer,
        peft_config=job.peft(),
    )  # fmt: skip


def as_served(trainer: Any, examples: list[dict[str, Any]]) -> Any:
    """An older trainer of TRL whose rows are the tokens with which the model is asked; see `pair_tokens`.

    Args:
        trainer: its class.
        examples: the rows, texts or messages; of messages it renders the text before it makes tokens of them.
    """
    rendered = not isinstance(examples[0]["prompt"], str)

    class AsServed(trainer):  # type: ignore[misc]
        def tokenize_row(self, feature: dict[str, str], model: Any = None) -> dict[str, list[int]]:
            """The tokens of a pair."""
            sides = (feature["prompt"], feature["chosen"], feature["rejected"])
            return pair_tokens(self.processing_class, *sides, rendered=rendered)

    AsServed.__name__ = trainer.__name__
    return AsServed


def length(row: Mapping[str, Any]) -> int:
    """Tokens of the longer side of a tokenised pair, prompt included."""
    return max(len(row["chosen_input_ids"]), len(row["rejected_input_ids"]))


RECIPE = Recipe(stage="orpo", read=read, build=build, length=length, options=("beta",))
