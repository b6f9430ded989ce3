"""Pairs as CSV: ``left, right, winner`` of evalica, ``model_a, model_b, winner`` of the Chatbot Arena's notebooks.

One file for each (judge, rubric, dimension), one row a game: all orders and samples of a pair, settled by the run's
swap policy. These forms know win, tie and loss only; the column ``share`` keeps the first model's share of the point.
Sources: evalica 0.4's command line reads the columns ``left``, ``right`` and ``winner`` (left, right, tie); the
Arena's published battles (Chiang et al. 2024) have ``question_id, model_a, model_b, winner, judge, turn``.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from judgebench.report.cells import name_cell, restored
from judgebench.report.exports.held import Exported, Held, group_name
from judgebench.types import Game

EVALICA = ("left", "right", "winner", "share", "suite", "item", "turn", "category")
ARENA = ("question_id", "model_a", "model_b", "winner", "judge", "turn", "suite", "category", "share")


def evalica(held: Held) -> Exported:
    """A CSV file of every (judge, rubric, dimension) for evalica."""
    return _battles(held, EVALICA, ("left", "right", "tie"))


def arena(held: Held) -> Exported:
    """A CSV file of every (judge, rubric, dimension) with the columns of the Chatbot Arena's battles."""
    return _battles(held, ARENA, ("model_a", "model_b", "tie"))


def _battles(held: Held, columns: Sequence[str], winners: tuple[str, str, str]) -> Exported:
    out = Exported()
    groups: dict[str, list[Game]] = {}
    for game in held.games:
        groups.setdefault(group_name(game.judge, game.rubric, game.dimension), []).append(game)
    between = 0
    for name, games in groups.items():
        between += sum(game.score not in (0.0, 0.5, 1.0) for game in games)
        out.add(f"{name}.csv", _csv(columns, [_row(game, winners, out) for game in games], out))
    if between:
        out.note(
            f"{between:,} games lie between win, tie and loss (orders or samples differ, or the judge gave shares): "
            "'winner' names the side ahead, 'share' is the first model's share of the point"
        )
    return out


def _row(game: Game, winners: tuple[str, str, str], out: Exported) -> dict[str, object]:
    won = winners[0] if game.score > 0.5 else winners[1] if game.score < 0.5 else winners[2]
    return {
        "left": game.left, "right": game.right, "model_a": game.left, "model_b": game.right, "winner": won,
        "share": repr(game.score), "suite": game.suite, "item": game.item, "question_id": game.item,
        "turn": game.turn, "category": game.category, "judge": game.judge,
    }  # fmt: skip


def _csv(columns: Sequence[str], rows: Sequence[Mapping[str, object]], out: Exported) -> str:
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([defused(row[column], out) for column in columns])
    return written.getvalue()


def defused(value: object, out: Exported) -> str:
    """A cell that no spreadsheet runs and that hides nothing; notes say where it is not the text as the run has it."""
    if not isinstance(value, str):
        return str(value)
    cell = name_cell(value)
    if cell.startswith("'") and restored(cell) != cell:
        out.note("cells that begin like a formula of a spreadsheet stand behind an apostrophe")
    if restored(cell) != value:
        out.note("characters that hide, line ends and tabs in names are written out by their code points")
    return cell
