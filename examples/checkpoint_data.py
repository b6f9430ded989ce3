"""Writes what `judgebench run --config examples/checkpoints.yaml` trains on: an untrained model and two files of rows.

    python examples/checkpoint_data.py --out results/checkpoints-data [--share 0.1]

``start/`` is the untrained tiny model, ``base.jsonl`` raw text, ``tuned.jsonl`` prompts with their answers, all in the
columns of the sft stage. The text is that of `make_checkpoints`, which passes over the items of the mini suites.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator
from pathlib import Path

import torch
from held_out import held_out
from make_checkpoints import checked, make_model, make_tokenizer, save
from task_texts import ANSWER_SHARES, BASE_SHARES, Text, base_texts, tuned_texts

BASE, TUNED = 2_400, 12_000
"""Texts of either file; each is read once."""
SEEDS = (11, 21)


def rows(text: Text) -> Iterator[dict[str, str]]:
    """A row for each part that is learned: what stands before it, in the form that the chat template gives, and it.

    Raw text has nothing before it: its first character is the prompt, as a row needs one.
    """
    before = ""
    for part, learned in text.parts:
        mark = ("<|assistant|>" if learned else "<|user|>") if text.chat else ""
        if learned:
            prompt = before + mark
            yield {"prompt": prompt, "completion": part} if prompt else {"prompt": part[:1], "completion": part[1:]}
        before += mark + part + ("<eos>" if text.chat and learned else "")


def main(argv: list[str] | None = None) -> None:
    """Writes all three."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder that gets start/, base.jsonl and tuned.jsonl")
    parser.add_argument("--share", type=float, default=1.0, help="of the texts, below or above 1; time goes with it")
    arguments = parser.parse_args(argv)
    torch.manual_seed(SEEDS[0])
    tokenizer = make_tokenizer(chat=False)
    save(make_model(len(tokenizer)), tokenizer, arguments.out / "start")
    held = held_out()
    made = (
        ("base", base_texts(random.Random(SEEDS[0]), held, int(BASE * arguments.share), BASE_SHARES)),
        ("tuned", tuned_texts(random.Random(SEEDS[1]), held, int(TUNED * arguments.share), ANSWER_SHARES)),
    )
    for name, texts in made:
        lines = [json.dumps(row) + "\n" for text in checked(list(texts), held) for row in rows(text)]
        (arguments.out / f"{name}.jsonl").write_text("".join(lines), "utf-8")


if __name__ == "__main__":
    main()
