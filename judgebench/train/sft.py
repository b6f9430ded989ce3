"""Supervised fine-tuning: examples → a checkpoint that answers like them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from judgebench.errors import UserError
from judgebench.train.job import Job, Recipe, dataset
from judgebench.train.like_lengths import LikeLengths
from judgebench.train.rows import Rows, read_rows, with_messages
from judgebench.train.session import train
from judgebench.train.settings import TrainSettings, add_training

FORMS = (("messages",), ("prompt", "completion"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this stage's flags."""
    add_training(parser)
    parser.add_argument("--loss-on", choices=("auto", "last", "assistant", "all"), default="auto",
                        help="learned of messages: the last reply, all replies, everything")  # fmt: skip
    parser.add_argument("--loss", choices=("nll", "dft"), default="nll", help="negative log-likelihood, or DFT's")
    parser.add_argument("--group-by-length", action="store_true", help="rows of like length share a batch")


def main(args: argparse.Namespace) -> int:
    """Trains; see `judgebench.train.session.train`.

    Returns:
        0; exit codes of errors are theirs.
    """
    return train(args, RECIPE)


def read(settings: TrainSettings, args: argparse.Namespace) -> Rows:
    """Rows of ``messages``, or of ``prompt`` and ``completion``."""
    return read_rows(settings.data, FORMS)


def build(job: Job, rows: Rows, args: argparse.Namespace) -> Any:
    """TRL's ``SFTTrainer`` over the rows.

    Raises:
        UserError: loss on replies only, and a template without generation marks.
    """
    from trl import SFTConfig, SFTTrainer

    examples = job.chat(rows)
    more: dict[str, Any] = {}
    if "messages" in examples[0]:
        several = any(sum(each["role"] == "assistant" for each in row["messages"]) > 1 for row in examples)
        loss_on = args.loss_on if args.loss_on != "auto" else "assistant" if several else "last"
        if loss_on == "last":
            examples = with_messages(examples)
        elif loss_on == "assistant":
            _marked(job)
            more["assistant_only_loss"] = True
    elif args.loss_on == "all":
        more["completion_only_loss"] = False
    config = SFTConfig(**job.arguments(2e-5), max_length=None, loss_type=args.loss, **more)

    class Grouping(SFTTrainer):  # type: ignore[misc]
        """Takes rows of like length together, where that is asked for."""

        def _get_train_sampler(self, train_dataset: Any = None) -> Any:
            if not args.group_by_length:
                return super()._get_train_sampler(train_dataset)
            rows = self.train_dataset if train_dataset is None else train_dataset
            together = self.args.train_batch_size * self.args.gradient_accumulation_steps
            return LikeLengths([len(ids) for ids in rows["input_ids"]], together, self.args.seed)

    return Grouping(
        model=job.model(), args=config, train_dataset=dataset(examples), processing_class=job.tokenizer,
        peft_config=job.peft(),
    )  # fmt: skip


def _marked(job: Job) -> None:
    """Nothing, when the chat template tells replies from the rest, or TRL knows one like it that does.

    Raises:
        UserError: neither.
    """
    from trl.chat_template_utils import get_training_chat_template, has_generation_markers

    if has_generation_markers(job.tokenizer.chat_template):
        return
    try:
        get_training_chat_template(job.tokenizer)
    except ValueError as error:
        raise UserError(
            f"{job.checkpoint.name}: its chat template has no {{% generation %}} marks, by which replies are told from "
            "the rest: give one that has (--chat-template FILE), or learn --loss-on last or all"
        ) from error


def length(row: Mapping[str, Any]) -> int:
    """Tokens of a tokenised row."""
    return len(row["input_ids"])


RECIPE = Recipe(stage="sft", read=read, build=build, length=length, options=("loss_on", "loss", "group_by_length"))
