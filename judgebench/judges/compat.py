"""Readers that do what the references' own code does, its quirks included: for comparisons, never for a live judge.

Each takes a judge's reply and gives what the reference would store: sentinels, first matches and ties for what cannot
be read. The harness' own reading is `judgebench.judges.parse`: the last well-formed verdict, or unscored.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable

from judgebench.errors import UserError, did_you_mean

Read = str | float | bool | list[float] | None
"""What a reference stores: a winner, a number, two, or a truth value; None is what it leaves out."""


def fastchat_pair(text: str) -> str:
    """``A``, ``B``, ``tie`` or ``error``: any match, A looked for first (FastChat, pair-v2)."""
    for token, winner in (("[[A]]", "A"), ("[[B]]", "B"), ("[[C]]", "tie")):
        if token in text:
            return winner
    return "error"


def fastchat_pair_scores(text: str) -> list[float]:
    """Two scores of the first ``[[a,b]]``, or -1 each (FastChat's pair form with scores)."""
    found = re.search(r"\[\[(\d+\.?\d*),\s?(\d+\.?\d*)\]\]", text)
    return [float(found[1]), float(found[2])] if found else [-1.0, -1.0]


def fastchat_single(text: str) -> float:
    """The first number in double brackets, else the first in single ones, else -1 (FastChat, single-v1)."""
    found = re.search(r"\[\[(\d+\.?\d*)\]\]", text) or re.search(r"\[(\d+\.?\d*)\]", text)
    return float(found[1]) if found else -1.0


def vicuna_two_scores(text: str) -> list[float]:
    """The two numbers of the first line, commas as spaces, or -1 each (the reviews of Vicuna-80)."""
    parts = text.split("\n")[0].replace(",", " ").split()
    try:
        scores = [float(part) for part in parts]
    except ValueError:
        return [-1.0, -1.0]
    return scores if len(scores) == 2 else [-1.0, -1.0]


def faireval(text: str) -> list[float]:
    """What stands after the last colon of the last two lines, or -1 each (FairEval)."""
    lines = text.strip().split("\n")
    try:
        return [float(line.rpartition(":")[2].strip()) for line in lines[-2:]] if len(lines) > 1 else [-1.0, -1.0]
    except ValueError:
        return [-1.0, -1.0]


def pandalm(text: str) -> float:
    """1, 2, or 0 for a tie and for everything that cannot be read (PandaLM)."""
    first = text.strip().split("\n")[0].strip()
    return float(first) if first in ("1", "2") else 0.0


def prometheus_absolute(text: str) -> float | None:
    """The grade behind the last ``[RESULT]`` (prometheus-eval)."""
    found = re.findall(r"\[RESULT\]\s*\(?\[?([1-5])", text, re.IGNORECASE)
    return float(found[-1]) if found else None


def prometheus_relative(text: str) -> str | None:
    """``A`` or ``B`` behind the last ``[RESULT]`` (prometheus-eval)."""
    found = re.findall(r"\[RESULT\]\s*\(?\[?([AB])\b", text)
    return str(found[-1]) if found else None


def alpaca_ranking(text: str) -> float | None:
    """1 where model_1 is ranked first and 2 where the other is (AlpacaEval's ranking parser); None where neither."""
    found = re.search(r"\[.*\]", text, re.DOTALL)
    try:
        rows = ast.literal_eval(found[0]) if found else None
        ranks = {row["model"]: int(row["rank"]) for row in rows or ()}
    except (ValueError, SyntaxError, TypeError, KeyError, OverflowError, RecursionError, MemoryError):
        return None
    first = ranks.get("model_1")
    return float(first) if first in (1, 2) else None


def arena_hard(text: str) -> str | None:
    """The last verdict of five levels in double brackets, in capitals (Arena-Hard-Auto)."""
    found = [one for one in re.findall(r"\[\[([AB<>=]+)\]\]", text.upper()) if one]
    return str(found[-1]) if found else None


def infobench(text: str) -> bool | None:
    """Whether the reply begins with yes or with no (InFoBench)."""
    word = text.strip().lower()
    return True if word.startswith("yes") else False if word.startswith("no") else None


def g_eval(text: str) -> float:
    """The number that begins the reply, 0 where none does (G-Eval's public code)."""
    found = re.match(r" ?(\d+(?:\.\d+)?)", text)
    return float(found[1]) if found else 0.0


def flask(text: str) -> dict[str, float | str] | None:
    """Skill → grade of the last dictionary, in small letters with spaces for underscores; N/A stays a text (FLASK)."""
    found = re.findall(r"\{[^{}]*\}", text)
    try:
        read = ast.literal_eval(found[-1]) if found else None
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None
    if not isinstance(read, dict):
        return None
    return {str(key).lower().replace("_", " "): value for key, value in read.items()}


READERS: dict[str, Callable[[str], Read]] = {
    "mtbench_pair": fastchat_pair,
    "mtbench_pair_scores": fastchat_pair_scores,
    "mtbench_single": fastchat_single,
    "vicuna_2score": vicuna_two_scores,
    "faireval": faireval,
    "pandalm": pandalm,
    "prometheus_abs": prometheus_absolute,
    "prometheus_rel": prometheus_relative,
    "alpaca_ranking": alpaca_ranking,
    "arena_hard": arena_hard,
    "checklist": infobench,
    "g_eval": g_eval,
}
"""Form → reader."""


def read_as(form: str, text: str) -> Read:
    """What the reference of a form stores for a reply.

    >>> read_as("mtbench_pair", "[[B]] no wait [[A]]"), read_as("pandalm", "Response 2 is better")
    ('A', 0.0)

    Raises:
        UserError: there is no reader of that name.
    """
    if form not in READERS:
        raise UserError(f"no reader is called {form!r}: {did_you_mean(form, READERS)}")
    return READERS[form](text)
