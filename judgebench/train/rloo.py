"""REINFORCE leave-one-out: prompts and a reward → a checkpoint whose own answers earn more of it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from judgebench.errors import UserError
from judgebench.train.job import Job, Recipe, dataset
from judgebench.train.online import OPTIONS, GroupRewards, add_reward, counted, opened_rewards, read_prompts
from judgebench.train.rows import Rows
from judgebench.train.session import train
from judgebench.train.settings import TrainSettings, add_training

SAMPLED = ("generations", "max_new_tokens", "temperature", "beta")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this stage's flags."""
    add_online(parser, beta=0.05)


def add_online(parser: argparse.ArgumentParser, *, beta: float) -> None:
    """Adds the flags of training on answers that are made on the way."""
    add_training(parser)
    add_reward(parser)
    group = parser.add_argument_group("answers")
    group.add_argument("--generations", type=int, default=4, metavar="K", help="answers to each prompt (default 4)")
    group.add_argument("--max-new-tokens", type=int, default=256, metavar="N", help="of an answer (default 256)")
    group.add_argument("--temperature", type=float, default=1.0, metavar="T", help="of the answers (default 1)")
    group.add_argument("--beta", type=float, default=beta, metavar="X",
                       help=f"pull to the parent: weight of the divergence (default {beta:g})")  # fmt: skip


def main(args: argparse.Namespace) -> int:
    """Trains; see `judgebench.train.session.train`.

    Returns:
        0; exit codes of errors are theirs.
    """
    return train(args, RECIPE)


def read(settings: TrainSettings, args: argparse.Namespace) -> Rows:
    """Rows of ``prompt``.

    Raises:
        UserError: numbers that do not fit one another, or no reward.
    """
    rows = read_prompts(settings, args)
    if args.generations < 2:
        raise UserError(f"--generations {args.generations}: at least 2 answers are needed to compare with one another")
    if (settings.batch_size * settings.accumulate) % args.generations:
        raise UserError(
            f"--generations {args.generations} must divide --batch-size times --accumulate "
            f"({settings.batch_size * settings.accumulate}): a batch holds whole groups of answers"
        )
    if args.max_new_tokens < 1 or not args.temperature > 0 or args.beta < 0:
        raise UserError("--max-new-tokens must be at least 1, --temperature above 0 and --beta not negative")
    return rows


def build(job: Job, rows: Rows, args: argparse.Namespace) -> Any:
    """TRL's ``RLOOTrainer`` (Ahmadian et al. 2024, arXiv 2402.14740) over the prompts."""
    from trl import RLOOConfig, RLOOTrainer

    return online_trainer(job, rows, args, RLOOTrainer, RLOOConfig)


def online_trainer(job: Job, rows: Rows, args: argparse.Namespace, trainer: Any, config: Any) -> Any:
    """A trainer of TRL's that answers on the way, with the reward that the flags name."""
    from judgebench.train.tally import KeptCounts

    examples = job.chat(rows)
    rewards = GroupRewards(
        job.held.enter_context(opened_rewards(args, job.settings, job.saved_tokenizer())), args.generations
    )
    job.closing.append(lambda: counted(rewards.scored, rewards.unscored))
    lengths = [{**row, "tokens": prompt_tokens(job.tokenizer, row["prompt"]) + args.max_new_tokens} for row in examples]
    made = config(
        **job.arguments(1e-6), num_generations=args.generations, max_completion_length=args.max_new_tokens,
        temperature=args.temperature, beta=args.beta,
    )  # fmt: skip
    return trainer(
        model=job.model(), reward_funcs=rewards, args=made, train_dataset=dataset(lengths),
        processing_class=job.tokenizer, peft_config=job.peft(), callbacks=[KeptCounts(rewards)],
    )  # fmt: skip


def prompt_tokens(tokenizer: Any, prompt: Any) -> int:
    """Tokens of a prompt, as a text or through the chat template."""
    if isinstance(prompt, str):
        return len(tokenizer(prompt)["input_ids"])
    text = tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
    return len(tokenizer(text, add_special_tokens=False)["input_ids"])


def length(row: Mapping[str, Any]) -> int:
    """Most tokens of a prompt with its answer."""
    return int(row["tokens"])


RECIPE = Recipe(stage="rloo", read=read, build=build, length=length, options=(*OPTIONS, *SAMPLED))
