"""Two scripted answerers: to each number question, one of the two gives its reference and the other a near miss.

They make the pairs on which examples/judge.yaml trains and tries its judges: exactly one answer of each is right, which
of the two is the draw of the question, and the exact scorer knows.
"""

from __future__ import annotations

import csv
import functools
import random
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
SUITES = (HERE / "judge-held-out.yaml", HERE.parent / "suites" / "mini-math.yaml")
PRACTICE = HERE / "judge-practice.csv"


def left(chat: list[dict[str, str]]) -> str:
    """The reference of the question asked last, or a near miss."""
    return _answers(chat)[0]


def right(chat: list[dict[str, str]]) -> str:
    """The other one."""
    return _answers(chat)[1]


def near_miss(number: int, draw: random.Random) -> int:
    """Another number, wrong in one digit or with its digits the other way round; not negative."""
    turned = int(str(number)[::-1])
    close = {number + step for step in (-10, -2, -1, 1, 2, 10)} | {turned}
    return draw.choice(sorted(each for each in close if each >= 0 and each != number))


def _answers(chat: list[dict[str, str]]) -> tuple[str, str]:
    question = chat[-1]["content"].partition("Question: ")[2].partition("\nAnswer:")[0]
    number = references()[question]
    draw = random.Random(question)
    pair = number, str(near_miss(int(number), draw))
    return pair if draw.random() < 0.5 else pair[::-1]


@functools.cache
def references() -> dict[str, str]:
    """Question → reference, of all questions that the judges practise and are tried on."""
    items = [item for suite in SUITES for item in yaml.safe_load(suite.read_text("utf-8"))["items"]]
    with PRACTICE.open(encoding="utf-8", newline="") as file:
        items += list(csv.DictReader(file))
    return {item["question"]: item["reference"] for item in items}
