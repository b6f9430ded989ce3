"""FastChat: ``llm_judge`` (MT-Bench, Zheng et al. 2023) and the reviews of March 2023 that came before it.

``llm_judge``: ``question.jsonl``; ``model_answer``; ``model_judgment`` of one answer (score, -1 unread) and of pairs
(``g1_winner`` of the first order, ``g2_winner`` of the other, both told by model); and the published people's and
judges' preferences (``model_a``, ``model_b``, ``winner``, ``conversation_a`` …). What came before: `reviews`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from judgebench.importers.records import FIRST, SECOND, TIE, Gathered, Judged, Options, Side
from judgebench.importers.reviews import gather
from judgebench.importers.rows import Row, no_form, short

SINGLE, PAIR = "mt-bench-single", "mt-bench-pair"
"""Rubrics: the prompts for math and for several turns are of one family and pooled, as their authors pool them."""


def read(files: Sequence[Path], options: Options) -> Gathered:
    """Questions, answers and judgements in files.

    Raises:
        UserError: a row is not of that form, or its winner or score is none.
    """
    suite = options.suite or "fastchat"
    gathered, others = gather(files, options, suite)
    for row in others:
        if "g1_winner" in row:
            gathered.verdicts += _two_games(row, suite, gathered, options)
        elif "winner" in row and "model_a" in row:
            gathered.verdicts.append(_preference(row, suite, gathered, options))
        elif "score" in row and "model" in row and "question_id" in row:
            gathered.verdicts.append(_grade(row, suite, gathered, options))
        else:
            raise no_form(
                row,
                "fastchat",
                "questions, answers (answer_id, model_id), reviews (answer1_id, answer2_id, score), judgments (model, "
                "judge, score; or g1_winner, g2_winner), preferences (winner)",
            )
    return gathered


def _grade(row: Row, suite: str, gathered: Gathered, options: Options) -> Judged:
    item = gathered.item(suite, (), id=row.text("question_id"), place=row.place)
    score = row.number_or_none("score")
    unread = score is None or score == -1
    return Judged(
        place=row.place, suite=suite, item=item, turn=_turn(row), shown=(Side(model=row.text("model")),),
        judge=_judge(row, options), rubric=SINGLE, kind="grade", scale=(1.0, 10.0),
        scores=() if score is None or unread else (score,), reply=str(row.get("judgment") or ""),
        error=f"unreadable: recorded as {short(row.get('score'))}" if unread else "",
    )  # fmt: skip


def _two_games(row: Row, suite: str, gathered: Gathered, options: Options) -> list[Judged]:
    item = gathered.item(suite, (), id=row.text("question_id"), place=row.place)
    one, two = row.text("model_1"), row.text("model_2")
    found = []
    for game, shown in (("g1", ("model_1", "model_2")), ("g2", ("model_2", "model_1"))):
        winner = row.get(f"{game}_winner")
        scores = {shown[0]: FIRST, shown[1]: SECOND, "tie": TIE, "error": ()}.get(str(winner))
        if scores is None:
            raise row.unknown(f"{game}_winner", winner, "model_1, model_2, tie and error")
        found.append(
            Judged(
                place=row.place, suite=suite, item=item, turn=_turn(row), judge=_judge(row, options), rubric=PAIR,
                shown=tuple(Side(model=one if each == "model_1" else two) for each in shown),
                scores=scores, reply=str(row.get(f"{game}_judgment") or ""),
                error="" if scores else "unreadable: recorded as error",
            )
        )  # fmt: skip
    return found


def _preference(row: Row, suite: str, gathered: Gathered, options: Options) -> Judged:
    """A preference without its order: people's, or a judge's after both orders."""
    winner = row.get("winner")
    scores = {"model_a": FIRST, "model_b": SECOND, "tie": TIE, "tie (inconsistent)": TIE}.get(str(winner))
    if scores is None:
        raise row.unknown("winner", winner, "model_a, model_b, tie and tie (inconsistent)")
    people = isinstance(row.get("judge"), str) and "conversation_a" in row
    sides, asked = [], []
    for letter in ("a", "b"):
        chat = row.objects(f"conversation_{letter}") if row.get(f"conversation_{letter}") else []
        asked = [_content(each, row) for each in chat if each.get("role") == "user"]
        said = tuple(_content(each, row) for each in chat if each.get("role") == "assistant")
        sides.append(Side(model=row.text(f"model_{letter}"), text=said or None))
    item = gathered.item(suite, asked, id=row.text("question_id"), place=row.place)
    judge = f"human@{row.text('judge')}" if people else _judge(row, options)
    return Judged(
        place=row.place, suite=suite, item=item, turn=_turn(row), shown=tuple(sides), judge=judge,
        rubric="" if people else PAIR, scores=scores,
    )  # fmt: skip


def _content(message: Any, row: Row) -> str:
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, str):
        raise row.fail(f"a message is {short(message)}; role and content are needed")
    return content


def _judge(row: Row, options: Options) -> str:
    judge = row.get("judge")
    if isinstance(judge, list) and judge and isinstance(judge[0], str):
        judge = judge[0]
    if options.judge or not judge:
        judge = options.judge
    if not isinstance(judge, str) or not judge:
        raise row.fail("does not say who judged; name the judge with --judge NAME")
    return judge


def _turn(row: Row) -> int:
    found = row.number_or_none("turn")
    if found is None:
        return 1
    if found < 1 or found != int(found):
        raise row.fail(f"'turn' is {short(row.get('turn'))}; 1, 2 and so on are meant")
    return int(found)
