"""FastChat's ``llm_judge`` (MT-Bench, Zheng et al. 2023): a folder a suite, as ``judgebench import fastchat`` reads it.

``question.jsonl``, ``model_answer/MODEL.jsonl`` and ``model_judgment/JUDGE+RUBRIC+DIMENSION_{single,pair}.jsonl``. A
pair that was judged in both orders is one row with both games; one that was judged in one order, and people's, are
rows of FastChat's published preferences (``model_a, model_b, winner``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from judgebench.files import safe_name
from judgebench.report.details import preferred
from judgebench.report.exports.held import Exported, Held, group_name, lines, one_of_each, whole_answers
from judgebench.types import Answer, Item, Verdict

PEOPLE = "human@"
Answers = Mapping[tuple[str, int], Answer]
"""(model, sample) → answer to one question."""


def fastchat(held: Held) -> Exported:
    """Questions, answers, grades of one answer and preferences of a run."""
    out = Exported()
    answers = whole_answers(held, out)
    for suite in dict.fromkeys(suite for suite, _ in held.items):
        items = {item.id: item for (of, _), item in held.items.items() if of == suite}
        out.add(f"{safe_name(suite)}/question.jsonl", lines(_question(item) for item in items.values()))
        of_suite = {id: answers.get((suite, id), {}) for id in items}
        for model in held.models:
            rows = [row for id in items if (row := _answer(suite, id, model, of_suite[id], out))]
            out.add(f"{safe_name(suite)}/model_answer/{safe_name(model)}.jsonl", lines(rows))
        groups: dict[str, list[Verdict]] = {}
        for verdict in held.verdicts:
            if verdict.suite == suite and verdict.item in items and _fits(verdict, items[verdict.item], out):
                groups.setdefault(group_name(verdict.judge, verdict.rubric, verdict.dimension), []).append(verdict)
        for name, group in groups.items():
            folder = f"{safe_name(suite)}/model_judgment/{name}"
            grades = [_grade(each, out) for each in group if len(each.shown) == 1]
            out.add(f"{folder}_single.jsonl", lines(grades))
            pairs = _pairs([each for each in group if len(each.shown) == 2], items, of_suite, out)
            out.add(f"{folder}_pair.jsonl", lines(pairs))
        one_of_each(groups.values(), out)
    return out


def _fits(verdict: Verdict, item: Item, out: Exported) -> bool:
    """Whether FastChat's files can hold a verdict; if not, it is counted."""
    reason = ""
    if verdict.judge.startswith("exact@"):
        reason = "exact scores, which these files do not hold (lm-eval and inspect do)"
    elif verdict.sample:
        reason = "further samples of a judge: a file holds one verdict"
    elif any(sample for _, sample in verdict.shown):
        reason = "verdicts on a model's further samples"
    elif len(verdict.shown) > 2:
        reason = "verdicts on more than two answers"
    elif not verdict.turn and len(item.turns) > 1:
        reason = "verdicts on a whole conversation: a row is of one turn"
    if reason:
        out.leave_out(reason)
    return not reason


def _question(item: Item) -> dict[str, Any]:
    row: dict[str, Any] = {"question_id": number(item.id), "category": item.category, "turns": list(item.turns)}
    return {**row, "reference": list(item.reference)} if item.reference else row


def number(id: str) -> int | str:
    """The id as these tools write it: a number where it is one and comes back the same."""
    return int(id) if id.isascii() and id.isdecimal() and str(int(id)) == id and len(id) < 16 else id


def _answer(suite: str, item: str, model: str, answers: Answers, out: Exported) -> dict[str, Any] | None:
    found = {sample: answer for (name, sample), answer in answers.items() if name == model}
    kept = [found[sample] for sample in range(len(found)) if sample in found]
    if len(kept) < len(found):
        kept = kept[: next((at for at in range(len(kept)) if at not in found), len(kept))]
        out.leave_out("samples behind one that failed", len(found) - len(kept))
    if not kept:
        return None
    return {
        "question_id": number(item),
        "answer_id": hashlib.sha256(f"{suite}\0{item}\0{model}".encode()).hexdigest()[:22],
        "model_id": model,
        "choices": [{"index": index, "turns": list(answer.turns)} for index, answer in enumerate(kept)],
    }


def _grade(verdict: Verdict, out: Exported) -> dict[str, Any]:
    if verdict.scale != (1.0, 10.0):
        low, high = verdict.scale
        out.note(f"grades on a scale of {low:g} to {high:g} are written as they are; FastChat's own is 1 to 10")
    return {
        "question_id": number(verdict.item),
        "model": verdict.shown[0][0],
        "judge": [verdict.judge, verdict.rubric],
        "judgment": verdict.reply,
        "score": verdict.scores[0] if verdict.scores else -1,
        "turn": verdict.turn or 1,
    }


def _pairs(
    verdicts: Sequence[Verdict], items: Mapping[str, Item], answers: Mapping[str, Answers], out: Exported
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    orders: dict[tuple[Any, ...], list[Verdict]] = {}
    for verdict in verdicts:
        orders.setdefault((verdict.item, verdict.turn, *sorted(verdict.shown)), []).append(verdict)
    for group in orders.values():
        first = group[0]
        if any(each.kind != "preference" and each.scores for each in group):
            out.note("grades or shares of two answers are written as who won: these files hold no more")
        asked = {"question_id": number(first.item), "turn": first.turn or 1}
        if len(group) == 2 and not first.judge.startswith(PEOPLE):
            rows.append({**asked, "judge": [first.judge, first.rubric], **_games(first, group[1])})
            continue
        for each in group:
            if not each.scores:
                out.leave_out("unscored verdicts of one order: a preference has no such mark")
                continue
            winner = _winner(each, "model_a", "model_b")
            names = {"model_a": each.shown[0][0], "model_b": each.shown[1][0], "winner": winner}
            if not each.judge.startswith(PEOPLE):
                rows.append({**asked, **names, "judge": [each.judge, each.rubric], "judgment": each.reply})
                continue
            chats = [_chat(items[each.item], answers[each.item].get(shown)) for shown in each.shown]
            judge = each.judge.removeprefix(PEOPLE)
            rows.append({**asked, **names, "judge": judge, "conversation_a": chats[0], "conversation_b": chats[1]})
    return rows


def _games(first: Verdict, second: Verdict) -> dict[str, Any]:
    return {
        "model_1": first.shown[0][0],
        "model_2": first.shown[1][0],
        "g1_winner": _winner(first, "model_1", "model_2"),
        "g2_winner": _winner(second, "model_2", "model_1"),
        "g1_judgment": first.reply,
        "g2_judgment": second.reply,
    }


def _winner(verdict: Verdict, first: str, second: str) -> str:
    if not verdict.scores:
        return "error"
    better = preferred(verdict)
    return "tie" if better is None else first if better == verdict.shown[0] else second


def _chat(item: Item, answer: Answer | None) -> list[dict[str, str]]:
    """The conversation; of an answer that the run does not hold, the questions alone."""
    said = answer.turns if answer else ()
    chat = []
    for place, asked in enumerate(item.turns):
        chat.append({"role": "user", "content": asked})
        if place < len(said):
            chat.append({"role": "assistant", "content": said[place]})
    return chat
