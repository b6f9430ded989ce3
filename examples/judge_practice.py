"""Writes judge-practice.csv: the questions from which examples/judge.yaml makes lessons for its judge.

    python examples/judge_practice.py

Sums, differences and one-step stories with a number as the answer, by a rule; none of them is held out.
"""

from __future__ import annotations

import csv
import dataclasses
import random
import re
from collections.abc import Iterator
from pathlib import Path

import yaml
from held_out import HeldOut, held_out
from task_texts import Tasks

HERE = Path(__file__).resolve().parent
PRACTICE, TRIED = HERE / "judge-practice.csv", HERE / "judge-held-out.yaml"
QUESTIONS, SEED = 5_000, 31


def kept_out() -> HeldOut:
    """What the mini suites hold, and the operands of the questions on which the judges are tried."""
    questions = [item["question"] for item in yaml.safe_load(TRIED.read_text("utf-8"))["items"]]
    found = [sorted(map(int, re.findall(r"\d+", question))) for question in questions]
    held = held_out()
    return dataclasses.replace(held, pairs=held.pairs | {(low, high) for low, high in found})


def rows() -> Iterator[dict[str, str]]:
    """Different questions with their references: two of five are sums, two differences, one a story."""
    tasks = Tasks(random.Random(SEED), kept_out())
    seen: set[str] = set()
    while len(seen) < QUESTIONS:
        kind = ("sum", "difference", "sum", "difference", "story")[len(seen) % 5]
        prompt, answer = getattr(tasks, kind)()
        question = prompt.removeprefix("Question: ").removesuffix("\nAnswer:")
        if question not in seen:
            seen.add(question)
            yield {"id": str(len(seen)), "category": kind, "question": question, "reference": answer.strip()}


def main() -> None:
    """Writes the file."""
    with PRACTICE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ("id", "category", "question", "reference"), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows())


if __name__ == "__main__":
    main()
