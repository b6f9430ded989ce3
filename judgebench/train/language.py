"""Feedback in words: chain of hindsight over pairs, conditional behaviour cloning over marked answers."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Mapping
from typing import Any

from judgebench.errors import UserError
from judgebench.train.job import Job, Recipe, dataset
from judgebench.train.losses import conditional
from judgebench.train.rank import list_trainer, tokenised
from judgebench.train.rows import Rows, only_text, read_rows
from judgebench.train.session import train
from judgebench.train.settings import TrainSettings, add_training
from judgebench.train.tokens import parts_labelled, replies_labelled

POOR, GOOD = "Give a poor answer.", "Give a good answer."
"""What stands after a prompt, in training and when the model is asked; the good one is what to ask for."""

FORMS = {"hindsight": ("prompt", "chosen", "rejected"), "conditional": ("prompt", "completion", "label")}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this stage's flags."""
    add_training(parser)
    parser.add_argument("--method", choices=tuple(FORMS), default="hindsight",
                        help="hindsight: pairs; conditional: answers with a label (default hindsight)")  # fmt: skip
    parser.add_argument("--bad-weight", type=float, default=0.1, metavar="X",
                        help="conditional: weight of answers marked bad, of good ones 1 (default 0.1)")  # fmt: skip


def main(args: argparse.Namespace) -> int:
    """Trains; see `judgebench.train.session.train`.

    Returns:
        0; exit codes of errors are theirs.
    """
    return train(args, RECIPE)


def read(settings: TrainSettings, args: argparse.Namespace) -> Rows:
    """Pairs, or rows of ``prompt``, ``completion`` and ``label``.

    Raises:
        UserError: a negative weight.
    """
    if args.bad_weight < 0:
        raise UserError(f"--bad-weight {args.bad_weight}: must not be negative")
    return read_rows(settings.data, (FORMS[args.method],))


def hindsight(prompt: str, chosen: str, rejected: str, *, good_first: bool = False) -> list[dict[str, str]]:
    """A pair as one chat in which the poor answer is asked for and given, then the good one, or the other way round.

    Chain of hindsight (Liu et al. 2023, arXiv 2302.02676, section 2) maximises log p(x) = Σ_i 1_O(x)(x_i) log p(x_i |
    x_<i) over sequences of answers with feedback between them, 1_O being 1 on answers and 0 on feedback: here the
    feedback is the user's, so what is learned is the assistant's replies. Either answer may come first. Trained are
    both orders: in one alone the words for the later answer would never stand behind a question, where it is asked.

    Args:
        prompt: the question.
        chosen: the good answer.
        rejected: the poor one.
        good_first: the order.
    """
    first, second = (chosen, rejected) if good_first else (rejected, chosen)
    return [
        {"role": "user", "content": asked(prompt, good=good_first)},
        {"role": "assistant", "content": first},
        {"role": "user", "content": POOR if good_first else GOOD},
        {"role": "assistant", "content": second},
    ]


def asked(prompt: str, *, good: bool = True) -> str:
    """A prompt with the words that say which answer is wanted: what such a model is to be asked with."""
    return f"{prompt}\n\n{GOOD if good else POOR}"


def weights(labels: list[bool], bad: float) -> list[float]:
    """The weight of each answer in conditional behaviour cloning: 1 where good, ``bad`` elsewhere."""
    return [1.0 if label else bad for label in labels]


def build(job: Job, rows: Rows, args: argparse.Namespace) -> Any:
    """The trainer of either method; a pair is two rows of hindsight, one of each order.

    Raises:
        UserError: prompts of several messages; a template under which replies cannot be told apart.
    """
    chat = not isinstance(job.chat(rows)[0]["prompt"], str)
    job.note(f"ask this model with {GOOD!r} after the question")
    if args.method == "conditional":
        lists = []
        for row in rows.rows:
            text = asked(_text(row["prompt"]), good=row["label"])
            prompt = [{"role": "user", "content": text}] if chat else text + "\n"
            lists.append(tokenised(job, prompt, [_text(row["completion"])], weights([row["label"]], args.bad_weight)))
        return list_trainer(job, lists, conditional, 2e-5)
    from trl import SFTConfig, SFTTrainer

    examples = []
    for row, good_first in itertools.product(rows.rows, (False, True)):
        pair = (_text(row["prompt"]), _text(row["chosen"]), _text(row["rejected"]))
        told = hindsight(*pair, good_first=good_first)
        if chat:
            try:
                ids, labels = replies_labelled(job.tokenizer, told)
            except ValueError as error:
                raise UserError(
                    f"{job.checkpoint.name}: {error}, so replies cannot be told apart; --form text"
                ) from error
        else:
            ids, labels = parts_labelled(
                job.tokenizer, [(f"{each['content']}\n", each["role"] == "assistant") for each in told]
            )
        examples.append({"input_ids": ids, "labels": labels})
    config = SFTConfig(**job.arguments(2e-5), max_length=None)
    return SFTTrainer(
        model=job.model(), args=config, train_dataset=dataset(examples), processing_class=job.tokenizer,
        peft_config=job.peft(),
    )  # fmt: skip


def _text(value: Any) -> str:
    return only_text(value, "language feedback is put after a prompt of one message")


def length(row: Mapping[str, Any]) -> int:
    """Tokens of a tokenised row."""
    return len(row["input_ids"]) if "input_ids" in row else max(len(ids) for ids in row["answers"])


RECIPE = Recipe(stage="language", read=read, build=build, length=length, options=("method", "bad_weight"))
