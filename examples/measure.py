"""Prints how good both tiny checkpoints are on the closed mini suites, by plain transformers, without JudgeBench.

    python examples/measure.py [FOLDER]     FOLDER holds tiny-base and tiny-tuned; this folder by default

Runs the functions that the checkpoints write, in a separate Python process with a time limit.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
import yaml
from held_out import SUITES, with_choices
from transformers import AutoModelForCausalLM, AutoTokenizer

HERE = Path(__file__).resolve().parent
CLOSED = ("mini-choice", "mini-math", "mini-code")
NEW_TOKENS = 64
BATCH = 32


def prompts_of(suite: dict[str, Any]) -> list[str]:
    """The prompt of every item, with its question and choices in the suite's holes."""
    prompts = []
    for item in suite["items"]:
        shown = with_choices("", item.get("choices", [])).strip("\n")
        prompts.append(suite["prompt"].replace("{choices}", shown).replace("{question}", item["question"]))
    return prompts


def replies_of(folder: Path, prompts: list[str], stops: list[str]) -> list[str]:
    """A greedy reply to every prompt, as a chat where the tokenizer has a template, cut at the first stop text."""
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True).eval()
    if tokenizer.chat_template:
        asked = [[{"role": "user", "content": prompt}] for prompt in prompts]
        prompts = [tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False) for chat in asked]
    replies = []
    for start in range(0, len(prompts), BATCH):
        batch = tokenizer(
            prompts[start : start + BATCH], return_tensors="pt", padding=True, padding_side="left",
            add_special_tokens=not tokenizer.chat_template, return_token_type_ids=False,
        )  # fmt: skip
        with torch.inference_mode():
            written = model.generate(**batch, max_new_tokens=NEW_TOKENS)
        ends = batch["input_ids"].shape[1]
        replies += tokenizer.batch_decode(written[:, ends:], skip_special_tokens=True)
    return [_cut(reply, stops) for reply in replies]


def _cut(reply: str, stops: list[str]) -> str:
    return reply[: min((place for stop in stops if (place := reply.find(stop)) >= 0), default=len(reply))]


def right(item: dict[str, Any], scorer: str | dict[str, Any], reply: str) -> bool:
    """Whether a reply is right by the plainest rule: first letter, last number, or the item's own test."""
    scorer = scorer if isinstance(scorer, str) else scorer["name"]
    if scorer == "choice":
        found = re.search(r"\b[A-D]\b", reply)
        return found is not None and found[0] == item["reference"]
    if scorer == "number":
        numbers = re.findall(r"-?\d+", reply)
        return bool(numbers) and numbers[-1] == item["reference"]
    meta = item["meta"]
    program = f"{item['question']}{reply}\n\n{meta['test']}\ncheck({meta['entry_point']})\n"
    try:
        return subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, timeout=10).returncode == 0
    except (subprocess.TimeoutExpired, ValueError):  # ValueError: a NUL character in the program
        return False


def main() -> None:
    """Prints right/items of both checkpoints per suite and category, and the paired difference over all items."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    torch.set_num_threads(2)
    found: dict[str, list[bool]] = {"tiny-base": [], "tiny-tuned": []}
    for name, hits in found.items():
        for title in CLOSED:
            suite = yaml.safe_load((SUITES / f"{title}.yaml").read_text("utf-8"))
            replies = replies_of(folder / name, prompts_of(suite), suite["stop"])
            outcome = [right(item, suite["scorer"], reply) for item, reply in zip(suite["items"], replies, strict=True)]
            parts: dict[str, list[bool]] = {}
            for item, good in zip(suite["items"], outcome, strict=True):
                parts.setdefault(item["category"], []).append(good)
            detail = ", ".join(f"{part} {sum(good)}/{len(good)}" for part, good in sorted(parts.items()))
            print(f"{name}  {title}  {sum(outcome)}/{len(outcome)}  ({detail})", flush=True)
            hits += outcome
        print(f"{name}  all closed items  {sum(hits)}/{len(hits)} = {sum(hits) / len(hits):.1%}", flush=True)
    apart = [tuned - base for base, tuned in zip(found["tiny-base"], found["tiny-tuned"], strict=True)]
    mean, error = statistics.fmean(apart), statistics.stdev(apart) / len(apart) ** 0.5
    low, high = mean - 1.96 * error, mean + 1.96 * error
    print(f"tiny-tuned minus tiny-base  {mean:+.1%}, 95 % interval {low:+.1%} to {high:+.1%}, paired by item")


if __name__ == "__main__":
    main()
