"""Group-relative policy optimisation: prompts and a reward → a checkpoint whose own answers earn more of it."""

from __future__ import annotations

import argparse
from typing import Any

from judgebench.train.job import Job, Recipe
from judgebench.train.online import OPTIONS
from judgebench.train.rloo import SAMPLED, add_online, length, online_trainer, read
from judgebench.train.rows import Rows
from judgebench.train.session import train


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this stage's flags."""
    add_online(parser, beta=0.0)


def main(args: argparse.Namespace) -> int:
    """Trains; see `judgebench.train.session.train`.

    Returns:
        0; exit codes of errors are theirs.
    """
    return train(args, RECIPE)


def build(job: Job, rows: Rows, args: argparse.Namespace) -> Any:
    """TRL's ``GRPOTrainer`` (Shao et al. 2024, arXiv 2402.03300) over the prompts."""
    from trl import GRPOConfig, GRPOTrainer

    return online_trainer(job, rows, args, GRPOTrainer, GRPOConfig)


RECIPE = Recipe(stage="grpo", read=read, build=build, length=length, options=(*OPTIONS, *SAMPLED))
