"""Writes what `judgebench run --config examples/checkpoints.yaml` trains on: an untrained model, a chat template, rows.

    python examples/checkpoint_data.py --out results/checkpoints-data [--share 0.1]

``start/`` is the untrained tiny model, ``chat_template.jinja`` the form of its chats, and each training step has a file
of rows in the columns of the sft stage, every row a chat of several questions. No item of the mini suites, nor of the
questions on which judges are tried, is among them.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from held_out import HeldOut, held_out
from task_texts import BASE_SHARES, NUMBERS_SHARES, TUNED_SHARES, Text, chats
from tiny_model import CHAT_TEMPLATE, make_model, make_tokenizer, save

SEED = 11
"""Of the untrained weights."""


class Step(NamedTuple):
    """The text of one training step; each row is read once."""

    texts: int
    """How many."""
    seed: int
    """Of the chance in them."""
    shares: Mapping[str, int]
    """Kind of text → its share."""


STEPS = {
    "numbers": Step(12_000, 12, NUMBERS_SHARES),
    "base": Step(24_000, 13, BASE_SHARES),
    "tuned": Step(42_000, 14, TUNED_SHARES),
}
"""File → its text."""


def texts_of(name: str, held: HeldOut, share: float = 1.0) -> list[Text]:
    """The texts of a step, or the first of them.

    Raises:
        ValueError: one of them holds a question that is held out.
    """
    step = STEPS[name]
    return checked(list(chats(random.Random(step.seed), held, max(1, int(step.texts * share)), step.shares)), held)


def checked(texts: list[Text], held: HeldOut) -> list[Text]:
    """The same texts.

    Raises:
        ValueError: one of them holds a question that is held out.
    """
    for text in texts:
        whole = "".join(part for asked in text for part in asked)
        if found := held.text_in(whole):
            raise ValueError(f"the training text holds the suite item {found!r}: {whole!r}")
    return texts


def row(text: Text) -> dict[str, list[dict[str, str]]]:
    """A chat as messages."""
    said = [(("user", prompt), ("assistant", answer)) for prompt, answer in text]
    return {"messages": [{"role": role, "content": part} for turn in said for role, part in turn]}


def main(argv: list[str] | None = None) -> None:
    """Writes all of it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder that gets start/, the template and the rows")
    parser.add_argument("--share", type=float, default=1.0, help="of the texts, below or above 1; time goes with it")
    arguments = parser.parse_args(argv)
    torch.manual_seed(SEED)
    tokenizer = make_tokenizer()
    save(make_model(len(tokenizer)), tokenizer, arguments.out / "start")
    (arguments.out / "chat_template.jinja").write_text(CHAT_TEMPLATE, "utf-8")
    held = held_out()
    for name in STEPS:
        lines = [json.dumps(row(text)) + "\n" for text in texts_of(name, held, arguments.share)]
        (arguments.out / f"{name}.jsonl").write_text("".join(lines), "utf-8")


if __name__ == "__main__":
    main()
