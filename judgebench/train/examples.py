"""Preferences and standings → rows in the field's columns; what cannot be taught is left out, counted by reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from judgebench.judges.debias import SLACK
from judgebench.train.preferences import Asked, Preference, Shown, Standing
from judgebench.types import Answer, Item

Row = dict[str, Any]

FORMS = {"pairs": ("prompt", "chosen", "rejected"), "best": ("prompt", "completion"),
         "ranked": ("prompt", "responses", "scores"), "marked": ("prompt", "completion", "label")}  # fmt: skip
"""Kind of data → its columns; beside them stand ``suite``, ``item`` and what chose the row."""


class Talks(NamedTuple):
    """What was asked and answered."""

    items: Mapping[tuple[str, str], Item]
    """(suite, id) → item."""
    systems: Mapping[str, str]
    """Suite → system message."""
    answers: Mapping[tuple[str, str, str, int], Answer]
    """Resume key → answer."""

    def answer(self, asked: Asked, shown: Shown) -> Answer | None:
        """The answer, None where the run has none."""
        return self.answers.get((asked[0], asked[1], *shown))

    def prompt(self, asked: Asked, shown: Shown) -> list[dict[str, str]]:
        """The messages before a turn, as the model saw them: its own earlier replies included."""
        suite, item_id, turn = asked
        item, answer = self.items[suite, item_id], self.answer(asked, shown)
        before = [{"role": "system", "content": self.systems[suite]}] if self.systems.get(suite) else []
        before += [{"role": message.role, "content": message.content} for message in item.shots]
        for number in range(max(turn, 1)):
            before.append({"role": "user", "content": item.turns[number]})
            if number < turn - 1 and answer is not None:
                before.append({"role": "assistant", "content": answer.turns[number]})
        return before

    def lacks(self, asked: Asked, shown: Shown) -> str:
        """Why an answer cannot stand in a row; empty where it can."""
        answer = self.answer(asked, shown)
        item = self.items.get(asked[:2])
        if item is None:
            return "item not in the run"
        if asked[2] == 0 and len(item.turns) > 1:
            return "verdict on a whole conversation"
        if answer is None or answer.error or len(answer.turns) < max(asked[2], 1):
            return "answer failed or missing"
        if not self.text(asked, shown).strip():
            return "empty answer"
        return ""

    def text(self, asked: Asked, shown: Shown) -> str:
        """The reply judged."""
        answer = self.answer(asked, shown)
        return "" if answer is None else answer.turns[max(asked[2], 1) - 1]

    def cut(self, asked: Asked, shown: Shown) -> bool:
        """Whether the reply ended at the token limit."""
        answer = self.answer(asked, shown)
        return answer is not None and answer.finish[max(asked[2], 1) - 1 :][:1] == ("length",)


def rows_of(
    form: str, kept: Sequence[Preference], every: Sequence[Preference], standings: Sequence[Standing], talks: Talks,
    *, messages: bool = False, keep_truncated: bool = False, margin: float = 0.0,
) -> tuple[list[Row], dict[str, int]]:  # fmt: skip
    """Rows of one form, and reason → what was left out.

    ``pairs``: the better and the worse answer. ``marked``: the same as two rows, each answer once, and none that wins
    one pair and loses another. ``best``: the answer that stands highest, where it is above the others' mean by
    ``margin`` and at least in the middle, and no preference for it among all was found unclear. ``ranked``: all
    answers to a question, the best first; of answers that stand alike, the first by name.

    Args:
        form: one of `FORMS`.
        kept: preferences that are clear enough.
        every: all preferences.
        standings: what each answer is worth.
        talks: questions and answers.
        messages: messages also where texts do.
        keep_truncated: also teach answers cut off at the token limit.
        margin: least, for ``best``.
    """
    made: list[Row] = []
    dropped: Counter[str] = Counter()
    if form in ("pairs", "marked"):
        made = _pairs(kept, talks, keep_truncated, dropped)
        if form == "marked":
            made = _marked(made, dropped)
    else:
        unclear = {(each.asked, each.better) for each in every} - {(each.asked, each.better) for each in kept}
        for standing in standings:
            row, why = (
                _best(standing, talks, keep_truncated, margin, unclear)
                if form == "best"
                else _ranked(standing, talks, keep_truncated, dropped)
            )
            if row is None:
                dropped[why] += 1
            else:
                made.append(row)
    return _formed(made, messages), dict(dropped)


def _pairs(kept: Sequence[Preference], talks: Talks, keep_truncated: bool, dropped: Counter[str]) -> list[Row]:
    made = []
    for each in kept:
        asked, sides = each.asked, (each.better, each.worse)
        why = next((reason for shown in sides if (reason := talks.lacks(asked, shown))), "")
        if not why:
            chosen, rejected = (talks.text(asked, shown) for shown in sides)
            if chosen == rejected:
                why = "chosen equal to rejected"
            elif talks.prompt(asked, each.better) != talks.prompt(asked, each.worse):
                why = "earlier turns of the two differ"
            elif talks.cut(asked, each.better) and not keep_truncated:
                why = "chosen cut off at the token limit"
        if why:
            dropped[why] += 1
            continue
        made.append({
            "prompt": talks.prompt(asked, each.better), "chosen": chosen, "rejected": rejected, "margin": each.margin,
            "agreement": each.agreement, "suite": asked[0], "item": asked[1], "turn": asked[2],
            "chosen_model": each.better[0], "rejected_model": each.worse[0],
        })  # fmt: skip
    return made


def _marked(pairs: Sequence[Row], dropped: Counter[str]) -> list[Row]:
    found: dict[tuple[str, str, int, str], tuple[Row, set[bool]]] = {}
    for pair in pairs:
        for side, label in (("chosen", True), ("rejected", False)):
            key = pair["suite"], pair["item"], pair["turn"], pair[side]
            row = {"prompt": pair["prompt"], "completion": pair[side], "label": label, "suite": pair["suite"],
                   "item": pair["item"], "turn": pair["turn"], "model": pair[f"{side}_model"]}  # fmt: skip
            found.setdefault(key, (row, set()))[1].add(label)
    dropped["better than one answer and worse than another"] += sum(len(labels) > 1 for _, labels in found.values())
    return [row for row, labels in found.values() if len(labels) == 1]


def _best(
    standing: Standing, talks: Talks, keep_truncated: bool, margin: float, unclear: set[tuple[Asked, Shown]]
) -> tuple[Row | None, str]:
    asked, values = standing.asked, list(standing.values.items())
    (best, value), others = values[0], [other for _, other in values[1:]]
    if value < 0.5 - SLACK:
        return None, "best answer below the middle"
    if others and value - sum(others) / len(others) < max(margin, 2 * SLACK):
        return None, "best answer not above the others"
    if (asked, best) in unclear:
        return None, "best answer not clear"
    why = talks.lacks(asked, best)
    if not why and talks.cut(asked, best) and not keep_truncated:
        why = "best answer cut off at the token limit"
    if why:
        return None, why
    return {"prompt": talks.prompt(asked, best), "completion": talks.text(asked, best), "score": value,
            "suite": asked[0], "item": asked[1], "turn": asked[2], "model": best[0]}, ""  # fmt: skip


def _ranked(
    standing: Standing, talks: Talks, keep_truncated: bool, dropped: Counter[str]
) -> tuple[Row | None, str]:  # fmt: skip
    asked = standing.asked
    ranked: list[tuple[Shown, float]] = []
    for shown, value in standing.values.items():
        why = talks.lacks(asked, shown)
        if not why and talks.cut(asked, shown) and not keep_truncated and not ranked:
            why = "best answer cut off at the token limit"
        if not why and ranked and talks.prompt(asked, shown) != talks.prompt(asked, ranked[0][0]):
            why = "earlier turns differ from the best answer's"
        if not why and any(talks.text(asked, shown) == talks.text(asked, other) for other, _ in ranked):
            why = "same text as a better answer"
        if not why and ranked and abs(ranked[-1][1] - value) <= SLACK:
            why = "stands like another answer"
        if why:
            dropped[f"in a list: {why}"] += 1
        else:
            ranked.append((shown, value))
    if len(ranked) < 2:
        return None, "list of fewer than two answers"
    return {"prompt": talks.prompt(asked, ranked[0][0]), "responses": [talks.text(asked, shown) for shown, _ in ranked],
            "scores": [value for _, value in ranked], "suite": asked[0], "item": asked[1], "turn": asked[2],
            "models": [shown[0] for shown, _ in ranked]}, ""  # fmt: skip


def _formed(rows: Sequence[Row], messages: bool) -> list[Row]:
    """Texts where every prompt is one user message, else messages throughout; ``responses`` stay texts."""
    if not messages and all(len(row["prompt"]) == 1 for row in rows):
        return [{**row, "prompt": row["prompt"][0]["content"]} for row in rows]
    sides = ("completion", "chosen", "rejected")
    return [
        {key: [{"role": "assistant", "content": value}] if key in sides else value for key, value in row.items()}
        for row in rows
    ]
