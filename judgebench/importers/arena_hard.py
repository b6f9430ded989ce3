"""Arena-Hard (Li et al. 2024): questions, answers, and judgments of both orders against a baseline, or of one answer.

A judgment's first game shows the baseline first, its second shows it second; a game's ``score`` is told by place:
A>>B, A>B, A=B, B>A, B>>A, where >> weighs three times, as in this project's rubric ``arena-hard``. Null is unscored.
Files of before v2 do not name the baseline: ``--baseline`` does. The pre-release of 2023 grades one answer from 1 to
10 and does not name the judge: ``--judge`` does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from judgebench.importers.records import Gathered, Judged, Options, Side
from judgebench.importers.rows import Row, no_form, read_rows, short

MARGINS = {"A>>B": 3.0, "A>B": 1.0, "A=B": 0.0, "B=A": 0.0, "B>A": -1.0, "A<B": -1.0, "B>>A": -3.0, "A<<B": -3.0,
           "B<A": 1.0, "B<<A": 3.0}  # fmt: skip
"""Verdict → by how many battles the answer shown first is ahead."""


def read(files: Sequence[Path], options: Options) -> Gathered:
    """Questions, answers and judgments in files.

    Raises:
        UserError: a row is not of that form, its score is none, or no one says who the baseline or the judge is.
    """
    gathered = Gathered()
    suite = options.suite or "arena-hard"
    for path in files:
        for row in read_rows(path):
            id = row.text("uid" if "uid" in row else "question_id")
            if "games" in row:
                gathered.verdicts += _games(row, suite, id, gathered, options)
            elif "judgment" in row and "score" in row:
                gathered.verdicts.append(_grade(row, suite, id, gathered, options))
            elif "messages" in row or "choices" in row:
                _answer(row, suite, id, gathered)
            elif "prompt" in row or "turns" in row:
                turns = (
                    [row.text("prompt")] if "prompt" in row else [_words(each, row) for each in _turns(row.value, row)]
                )
                category = row.get("cluster") or row.get("subcategory") or row.get("category") or ""
                gathered.item(suite, turns, id=id, place=row.place, category=str(category))
            else:
                known = "questions (prompt, turns), answers (messages, choices), judgments (games; judgment and score)"
                raise no_form(row, "arena-hard", known)
    return gathered


def _words(turn: Any, row: Row) -> str:
    """The words of a turn: a text, or one under ``content`` or ``answer``."""
    while isinstance(turn, dict):
        turn = turn.get("content", turn.get("answer"))
    if isinstance(turn, list) and turn:
        turn = turn[0]  # the words, where pictures stand beside them
    if not isinstance(turn, str):
        raise row.fail(f"a turn is {short(turn)}; a text is needed")
    return turn


def _turns(holder: Mapping[str, Any], row: Row) -> list[Any]:
    turns = holder.get("turns")
    if not isinstance(turns, list):
        raise row.fail(f"'turns' is {short(turns)}; a list is needed")
    return turns


def _answer(row: Row, suite: str, id: str, gathered: Gathered) -> None:
    model = row.text("model" if "model" in row else "model_id")
    own = row.text("ans_id" if "ans_id" in row else "answer_id") if "ans_id" in row or "answer_id" in row else ""
    asked: list[str] = []
    if "messages" in row:
        messages = row.objects("messages")
        asked = [_words(each, row) for each in messages if each.get("role") == "user"]
        chats = [[_words(each, row) for each in messages if each.get("role") == "assistant"]]
    else:
        chats = [[_words(each, row) for each in _turns(choice, row)] for choice in row.objects("choices")]
    item = gathered.item(suite, asked, id=id, place=row.place)
    for number, said in enumerate(chats):
        gathered.answer(
            row.place, suite, item, model, said, id=own if not number else "", sample=number if len(chats) > 1 else None
        )


def _games(row: Row, suite: str, id: str, gathered: Gathered, options: Options) -> list[Judged]:
    games = row.get("games")
    if not isinstance(games, list) or len(games) > 2 or not all(isinstance(game, dict | None) for game in games):
        raise row.fail(f"'games' is {short(games)}; one for each of the two orders is needed")
    model = row.text("model")
    baseline = row.text("baseline") if "baseline" in row else options.baseline
    judge = options.judge or (row.text("judge") if "judge" in row else "")
    if not baseline:
        raise row.fail("does not say whom the model met; name it with --baseline MODEL")
    if not judge:
        raise row.fail("does not say who judged; name the judge with --judge NAME")
    item = gathered.item(suite, (), id=id, place=row.place)
    found = []
    for shown, game in zip(((baseline, model), (model, baseline)), games, strict=False):
        score, said = (game or {}).get("score"), (game or {}).get("judgment")
        margin = MARGINS.get(score.strip()) if isinstance(score, str) else None
        if margin is None and score is not None:
            raise row.unknown("score", score, f"{', '.join(MARGINS)} and null")
        found.append(
            Judged(
                place=row.place, suite=suite, item=item, shown=tuple(Side(model=each) for each in shown), judge=judge,
                rubric="arena-hard", kind="grade", scale=(0.0, 3.0),
                scores=() if margin is None else (max(0.0, margin), max(0.0, -margin)),
                reply=said if isinstance(said, str) else _words(said, row) if isinstance(said, dict) else "",
                error="unreadable: recorded as null" if margin is None else "",
            )
        )  # fmt: skip
    return found


def _grade(row: Row, suite: str, id: str, gathered: Gathered, options: Options) -> Judged:
    judge = options.judge or (row.text("judge") if "judge" in row else "")
    if not judge:
        raise row.fail("does not say who judged; name the judge with --judge NAME")
    score = row.number_or_none("score")
    return Judged(
        place=row.place, suite=suite, item=gathered.item(suite, (), id=id, place=row.place), judge=judge,
        rubric="arena-hard-single", shown=(Side(model=row.text("model")),), kind="grade", scale=(1.0, 10.0),
        scores=() if score is None else (score,), reply=str(row.get("judgment") or ""),
        error="unreadable: recorded as null" if score is None else "",
    )  # fmt: skip
