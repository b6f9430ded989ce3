"""Proximal policy optimisation: says that TRL has none any more, and what to take."""

from __future__ import annotations

import argparse
from typing import NoReturn

from judgebench.errors import UserError
from judgebench.train.settings import add_training


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that training stages share, so that a command line for PPO gets its answer."""
    add_training(parser)
    parser.add_argument("rest", nargs="*", help=argparse.SUPPRESS)


def main(args: argparse.Namespace) -> NoReturn:
    """Refuses.

    Raises:
        UserError: always.
    """
    raise UserError(
        "PPO has left TRL, which trains here: take 'judgebench rloo' with the same flags and a reward (--reward-model, "
        "--judge or --scorer); it needs no value model (Ahmadian et al. 2024, arXiv 2402.14740)"
    )
