"""List-wise preference training: ranked answers → a checkpoint, by RRHF, PRO, SLiC-HF or a plug-in's loss."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Mapping
from typing import Any

from judgebench import plugins
from judgebench.errors import UserError, did_you_mean
from judgebench.train.job import Job, Recipe, dataset
from judgebench.train.rows import Rows, only_text, read_rows
from judgebench.train.session import train
from judgebench.train.settings import TrainSettings, add_training
from judgebench.train.tokens import with_reply

FORMS = (("prompt", "responses"), ("prompt", "chosen", "rejected"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this stage's flags."""
    add_training(parser)
    parser.add_argument("--loss", default="rrhf", metavar="NAME", help="rrhf, pro, slic or a plug-in's (default rrhf)")


def main(args: argparse.Namespace) -> int:
    """Trains; see `judgebench.train.session.train`.

    Returns:
        0; exit codes of errors are theirs.
    """
    return train(args, RECIPE)


def read(settings: TrainSettings, args: argparse.Namespace) -> Rows:
    """Rows of ``prompt`` and ``responses``, the best first, with ``scores`` where known; or pairs.

    Raises:
        UserError: no such loss; scores that do not fit the responses, or rise.
    """
    known = plugins.names("losses")
    if args.loss not in known:
        raise UserError(f"--loss {args.loss}: {did_you_mean(args.loss, known)}")
    rows = read_rows(settings.data, FORMS, optional=("scores",))
    for number, row in enumerate(rows.rows, 1):
        scores = row.get("scores")
        if ("scores" in rows.rows[0]) != (scores is not None):
            raise UserError(f"--data {settings.data}: some rows have scores and some have none (row {number})")
        if scores is None:
            continue
        if len(scores) != len(row.get("responses", (0, 0))):
            raise UserError(f"--data {settings.data}: row {number} has {len(scores)} scores for its responses")
        falls = all(a > b if args.loss == "pro" else a >= b for a, b in itertools.pairwise(scores))
        if not falls:
            how = "fall strictly" if args.loss == "pro" else "not rise"
            raise UserError(f"--data {settings.data}: row {number}: scores must {how}, the best response first")
    return rows


def build(job: Job, rows: Rows, args: argparse.Namespace) -> Any:
    """A `ListTrainer` over the rows.

    Raises:
        UserError: an answer of several messages.
    """
    examples = job.chat(rows)
    lists = []
    for row in examples:
        replies = (
            row["responses"]
            if "responses" in row
            else [only_text(row[side], "a ranked answer is one message") for side in ("chosen", "rejected")]
        )
        lists.append(tokenised(job, row["prompt"], replies, row.get("scores")))
    return list_trainer(job, lists, plugins.load("losses", args.loss), 1e-6)


def tokenised(job: Job, prompt: Any, replies: list[str], scores: list[float] | None) -> dict[str, Any]:
    """A prompt with its replies as a `ListTrainer` reads it."""
    made = [with_reply(job.tokenizer, prompt, reply) for reply in replies]
    row: dict[str, Any] = {"answers": [ids for ids, _ in made], "starts": [start for _, start in made]}
    if scores is not None:
        row["scores"] = scores
    return row


def list_trainer(job: Job, lists: list[dict[str, Any]], loss: Any, learning_rate: float) -> Any:
    """A `ListTrainer` of a loss over tokenised lists."""
    from trl import SFTConfig

    from judgebench.train.list_trainer import ListTrainer

    config = SFTConfig(
        **job.arguments(learning_rate), max_length=None, remove_unused_columns=False,
        dataset_kwargs={"skip_prepare_dataset": True},
    )  # fmt: skip
    ends = (job.tokenizer.pad_token_id, job.tokenizer.eos_token_id, 0)
    return ListTrainer(
        loss=loss, pad=next(token for token in ends if token is not None), model=job.model(), args=config,
        train_dataset=dataset(lists), processing_class=job.tokenizer, peft_config=job.peft(),
    )  # fmt: skip


def length(row: Mapping[str, Any]) -> int:
    """Tokens of the longest answer of a list, prompt included."""
    return max(len(ids) for ids in row["answers"])


RECIPE = Recipe(stage="rank", read=read, build=build, length=length, options=("loss",))
