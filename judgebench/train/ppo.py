"""Proximal policy optimisation: says that TRL has none any more, and what to take."""

from __future__ import annotations

import argparse
from typing import NoReturn

from judgebench.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Takes whatever a command line for PPO would say, so that it gets its answer."""
    parser.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)


def main(args: argparse.Namespace) -> NoReturn:
    """Refuses.

    Raises:
        UserError: always.
    """
    raise UserError(
        "PPO has left TRL, which trains here: take 'judgebench rloo' with the same flags and a reward (--reward-model, "
        "--judge or --scorer); it needs no value model (Ahmadian et al. 2024, arXiv 2402.14740)"
    )
