"""Kahneman-Tversky optimisation: answers marked good or bad, without pairs → a checkpoint that gives the good ones."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from judgebench.errors import UserError
from judgebench.train.job import Job, Recipe, dataset
from judgebench.train.rows import Rows, read_rows
from judgebench.train.session import train
from judgebench.train.settings import TrainSettings, add_training, refuse_beta

FORMS = (("prompt", "completion", "label"), ("prompt", "chosen", "rejected"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this stage's flags."""
    add_training(parser)
    parser.add_argument("--beta", type=float, default=0.1, metavar="X", help="pull to the parent (default 0.1)")
    parser.add_argument("--good-weight", type=float, default=1.0, metavar="X", help="of good answers (default 1)")
    parser.add_argument("--bad-weight", type=float, default=1.0, metavar="X", help="of bad answers (default 1)")


def main(args: argparse.Namespace) -> int:
    """Trains; see `judgebench.train.session.train`.

    Returns:
        0; exit codes of errors are theirs.
    """
    return train(args, RECIPE)


def read(settings: TrainSettings, args: argparse.Namespace) -> Rows:
    """Rows of ``prompt``, ``completion`` and ``label``, or pairs, of which each gives a good and a bad one.

    Raises:
        UserError: a weight is negative; a batch or a file of one row, in which no completion can be swapped for the
            estimate of the divergence.
    """
    if settings.batch_size < 2:
        raise UserError("--batch-size 1: KTO estimates its divergence within a batch; give at least 2")
    refuse_beta(args)
    if args.good_weight < 0 or args.bad_weight < 0:
        raise UserError("--good-weight and --bad-weight must not be negative")
    rows = read_rows(settings.data, FORMS)
    if len(rows.rows) < 2 and "label" in rows.rows[0]:
        raise UserError(f"--data {settings.data}: one row only; KTO estimates its divergence by other rows")
    return rows


def build(job: Job, rows: Rows, args: argparse.Namespace) -> Any:
    """TRL's ``KTOTrainer`` (Ethayarajh et al. 2024, arXiv 2402.01306) over the rows."""
    from trl import KTOConfig, KTOTrainer

    config = KTOConfig(
        **job.arguments(1e-6), max_length=None, beta=args.beta, desirable_weight=args.good_weight,
        undesirable_weight=args.bad_weight,
    )  # fmt: skip
    return KTOTrainer(
        model=job.model(), args=config, train_dataset=dataset(job.chat(rows)), processing_class=job.tokenizer,
        peft_config=job.peft(),
    )  # fmt: skip


def length(row: Mapping[str, Any]) -> int:
    """Tokens of a row with its own completion or the one it is compared with, whichever is longer."""
    return len(row["prompt_ids"]) + max(len(row["completion_ids"]), len(row.get("KL_completion_ids") or ()))


RECIPE = Recipe(stage="kto", read=read, build=build, length=length, options=("beta", "good_weight", "bad_weight"))
