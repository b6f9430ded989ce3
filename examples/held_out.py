"""What the checkpoints must never read: the questions of the mini suites and those on which judges are tried."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import yaml

SUITES = Path(__file__).resolve().parent.parent / "suites"
TRIED = Path(__file__).resolve().parent / "judge-held-out.yaml"
_NUMBER = re.compile(r"\d+")
_FUNCTION = re.compile(r'def \w+\((?P<arguments>[^)]*)\):\n +"""(?P<docstring>.*?)"""', re.DOTALL)
_QUOTED_WORD = re.compile(r'last letter of the word "(\w+)"')


def normalised(text: str) -> str:
    r"""The text in lower case, with runs of white space as one blank and without blanks or punctuation at its ends.

    >>> normalised(" What is  3 + 4?\n")
    'what is 3 + 4'
    """
    return " ".join(text.lower().split()).strip(" .?!:,;\"'")


def with_choices(question: str, choices: list[str]) -> str:
    """The question with its choices below it, as the suite's prompt shows them."""
    lines = [f"{letter}. {text}" for letter, text in zip("ABCDEFGH", choices, strict=False)]
    return "\n".join([question, *lines])


def instruction(prompt: str) -> str:
    """A function's docstring, normalised, with the one argument's name made general where there is only one.

    Renaming the argument must not smuggle in an item; with two arguments the names are all that tells items apart.
    """
    found = _FUNCTION.search(prompt)
    if found is None:
        return normalised(prompt)
    arguments = [name.strip() for name in found["arguments"].split(",")]
    docstring = found["docstring"]
    if len(arguments) == 1:
        docstring = re.sub(rf"\b{re.escape(arguments[0])}\b", "x", docstring)
    return normalised(docstring)


@dataclass(frozen=True)
class HeldOut:
    """The questions of the mini suites in the forms in which a generator could repeat them."""

    texts: frozenset[str] = frozenset()
    """Normalised text of every question (with its choices) and of every turn."""
    pairs: frozenset[tuple[int, int]] = frozenset()
    """Operands, in rising order, of every question of mini-math and judge-held-out with exactly two numbers."""
    choices: frozenset[frozenset[str]] = frozenset()
    """The choices of every mini-choice item, as a set."""
    words: frozenset[str] = frozenset()
    """Words whose last letter is asked for."""
    instructions: frozenset[str] = field(default=frozenset())
    """`instruction` of every mini-code question."""

    def text_in(self, text: str) -> str:
        """The first held-out text (in alphabetical order) that occurs in this one; empty where none does."""
        plain = normalised(text)
        return min((held for held in self.texts if held in plain), default="")


def held_out(folder: Path = SUITES) -> HeldOut:
    """Everything that the mini suites in a folder, and judge-held-out here, forbid a training text to hold."""
    suites = {name: yaml.safe_load((folder / f"mini-{name}.yaml").read_text("utf-8"))["items"] for name in _NAMES}
    texts = {normalised(with_choices(item["question"], item["choices"])) for item in suites["choice"]}
    sums = suites["math"] + yaml.safe_load(TRIED.read_text("utf-8"))["items"]
    texts |= {normalised(item["question"]) for item in sums + suites["code"]}
    texts |= {normalised(turn) for item in suites["chat"] for turn in item["turns"]}
    numbers = [sorted(int(found) for found in _NUMBER.findall(item["question"])) for item in sums]
    return HeldOut(
        texts=frozenset(texts),
        pairs=frozenset((found[0], found[1]) for found in numbers if len(found) == 2),
        choices=frozenset(frozenset(item["choices"]) for item in suites["choice"]),
        words=frozenset(word for item in suites["choice"] for word in _QUOTED_WORD.findall(item["question"])),
        instructions=frozenset(instruction(item["question"]) for item in suites["code"]),
    )


_NAMES = ("choice", "math", "code", "chat")
