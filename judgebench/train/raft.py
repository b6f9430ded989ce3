"""Reward-ranked fine-tuning: the best of k own answers by a reward, then supervised fine-tuning on it."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from judgebench.backends.hf import HFBackend
from judgebench.errors import UserError
from judgebench.files import write_atomic
from judgebench.stages.progress import Progress
from judgebench.train.job import Job, Recipe, dataset
from judgebench.train.online import OPTIONS, add_reward, counted, opened_rewards, read_prompts
from judgebench.train.rows import Row, Rows
from judgebench.train.session import train
from judgebench.train.settings import TrainSettings, add_training
from judgebench.train.sft import length
from judgebench.types import Message, Model, Request, Sampling

BEST = "best.jsonl"
"""Prompts with the answers trained on and their rewards, kept beside the weights."""


SAID = "best.notes.json"
"""What was said while they were chosen, for a training that goes on later."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this stage's flags."""
    add_training(parser)
    add_reward(parser)
    group = parser.add_argument_group("answers")
    group.add_argument("--k", type=int, default=4, metavar="K", help="answers to each prompt (default 4)")
    group.add_argument("--max-new-tokens", type=int, default=256, metavar="N", help="of an answer (default 256)")
    group.add_argument("--keep-truncated", action="store_true", help="also teach answers cut off at the token limit")
    group.add_argument("--temperature", type=float, default=1.0, metavar="T", help="of the answers (default 1)")


def main(args: argparse.Namespace) -> int:
    """Trains; see `judgebench.train.session.train`.

    Returns:
        0; exit codes of errors are theirs.
    """
    return train(args, RECIPE)


def read(settings: TrainSettings, args: argparse.Namespace) -> Rows:
    """Rows of ``prompt``.

    Raises:
        UserError: a number out of range, no reward, or a chat template that the parent does not have.
    """
    if args.k < 2 or args.max_new_tokens < 1 or not args.temperature > 0:
        raise UserError("--k must be at least 2, --max-new-tokens at least 1 and --temperature above 0")
    if settings.chat_template:
        raise UserError("--chat-template: raft asks the parent as it is; give it the template by a stage before")
    return read_prompts(settings, args)


def build(job: Job, rows: Rows, args: argparse.Namespace) -> Any:
    """TRL's ``SFTTrainer`` over the best answers (RAFT, Dong et al. 2023, arXiv 2304.06767, algorithm 1)."""
    from trl import SFTConfig, SFTTrainer

    examples = job.chat(rows)
    file = job.work / BEST
    if not file.is_file():
        said = len(job.notes)
        best = _best(job, examples, args)
        write_atomic(job.work / SAID, msgspec.json.encode(job.notes[said:]))
        write_atomic(file, b"".join(msgspec.json.encode(row) + b"\n" for row in best))
    for note in msgspec.json.decode((job.work / SAID).read_bytes(), type=list[str]):
        job.note(note)  # also where they were chosen before a kill
    job.kept.append(file)
    kept = [msgspec.json.decode(line) for line in file.read_bytes().splitlines()]
    chat = not isinstance(kept[0]["prompt"], str)
    pairs = [
        {"prompt": row["prompt"],
         "completion": [{"role": "assistant", "content": row["completion"]}] if chat else row["completion"]}
        for row in kept
    ]  # fmt: skip
    config = SFTConfig(**job.arguments(2e-5), max_length=None)
    return SFTTrainer(
        model=job.model(), args=config, train_dataset=dataset(pairs), processing_class=job.tokenizer,
        peft_config=job.peft(),
    )  # fmt: skip


def best_of(rewards: Sequence[float | None]) -> int | None:
    """The place of the highest reward, the first of those alike; None where none was scored.

    >>> best_of([0.2, None, 0.9, 0.9]), best_of([None])
    (2, None)
    """
    known = [(value, -place) for place, value in enumerate(rewards) if value is not None]
    return -max(known)[1] if known else None


def _best(job: Job, examples: list[Row], args: argparse.Namespace) -> list[Row]:
    """Each prompt with the best of its answers; those without any scored answer are left out, counted."""
    answers = _answers(job, examples, args)
    flat = [(row, text) for row, texts in zip(examples, answers, strict=True) for text in texts]
    if not flat:
        raise UserError(
            f"the parent gave no whole answer to train on ({'; '.join(job.notes) or 'all are empty'}): raise "
            f"--max-new-tokens (now {args.max_new_tokens}), or --keep-truncated"
        )
    with opened_rewards(args, job.settings, job.saved_tokenizer()) as rewards:
        readings = rewards.of([row for row, _ in flat], [text for _, text in flat])
    reasons = Counter(reading.error.partition(":")[0] for reading in readings if not reading.scores)
    job.note(counted(sum(bool(reading.scores) for reading in readings), reasons))
    found: list[Row] = []
    start = 0
    for row, texts in zip(examples, answers, strict=True):
        part = [reading.scores[0] if reading.scores else None for reading in readings[start : start + len(texts)]]
        start += len(texts)
        place = best_of(part)
        if place is not None:
            found.append({"prompt": row["prompt"], "completion": texts[place], "reward": part[place]})
    worst = sum(row["reward"] == 0 for row in found)
    if worst and not args.reward_model:  # whose scores have no lowest
        job.note(f"{worst} of {len(found)} best answers have the reward 0, the lowest there is, and are taught too")
    if not found:
        raise UserError(f"no answer could be given a reward ({', '.join(reasons)})")
    if len(found) < len(examples):
        job.note(f"{len(examples) - len(found)} prompts had no answer with a reward, and are left out")
    return found


def _answers(job: Job, examples: list[Row], args: argparse.Namespace) -> list[list[str]]:
    """The answers to each prompt: none that is empty, nor one that was cut off but by ``--keep-truncated``; counted."""
    options = {"chat_template": "off"} if isinstance(examples[0]["prompt"], str) else {"chat_template": "on"}
    if job.settings.device == "cpu":
        options["device"] = "cpu"
    backend = HFBackend(Model(name="parent", backend="hf", id=job.checkpoint.name.removeprefix("hf/"), options=options))
    requests = []
    for place, row in enumerate(examples):
        prompt = row["prompt"]
        said = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        messages = msgspec.convert(said, tuple[Message, ...])
        for sample in range(args.k):
            seed = (job.settings.seed * 1_000_003 + place * 1009 + sample) % (1 << 31)
            drawing = Sampling(temperature=args.temperature, max_tokens=args.max_new_tokens, seed=seed)
            requests.append(Request(id=f"{place}.{sample}", messages=messages, sampling=drawing, sample=sample))
    found: dict[str, str] = {}
    failed = empty = cut = 0
    try:
        with Progress("raft: answers", len(requests), quiet=job.quiet) as progress:
            for request, reply in backend.generate(requests):
                failed += bool(reply.error)
                empty += not reply.error and not reply.text.strip()
                short = reply.finish == "length" and bool(reply.text.strip()) and not args.keep_truncated
                cut += short
                found[request.id] = "" if reply.error or short else reply.text
                progress.advance(failed=bool(reply.error))
    finally:
        backend.close()
    if failed:
        job.note(f"{failed} of {len(requests)} answers failed and are left out")
    if empty:
        job.note(f"{empty} of {len(requests)} answers are empty and are left out")
    if cut:
        job.note(f"{cut} of {len(requests)} answers were cut off at the token limit and are left out")
    return [
        [text for sample in range(args.k) if (text := found[f"{place}.{sample}"]).strip()]
        for place in range(len(examples))
    ]


RECIPE = Recipe(
    stage="raft",
    read=read,
    build=build,
    length=length,
    options=(*OPTIONS, "k", "max_new_tokens", "temperature", "keep_truncated"),
)
