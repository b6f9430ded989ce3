"""AlpacaEval (Li et al. 2023): ``model_outputs.json`` of every model, ``annotations.json``, a leaderboard.

An annotation's ``preference`` is 1 plus the share of the point of ``output_2``; ``output_1`` is the baseline's, and
``is_switched_outputs`` says that the judge saw it second. The leaderboard's columns are the tool's own: ``win_rate`` is
the mean share in per cent, ``standard_error`` its standard error over questions (sample standard deviation over the
root of n), both over games settled by the run's swap policy, so that two orders are one question.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from statistics import fmean, stdev
from typing import Any

from judgebench.errors import UserError
from judgebench.files import safe_name
from judgebench.report.details import preferred
from judgebench.report.exports.battles import defused
from judgebench.report.exports.held import Exported, Held, document, group_name, one_of_each, whole_answers
from judgebench.types import Answer, Game, Verdict

COLUMNS = ("", "win_rate", "standard_error", "n_wins", "n_wins_base", "n_draws", "n_total", "discrete_win_rate",
           "avg_length")  # fmt: skip


def alpaca_eval(held: Held) -> Exported:
    """Outputs of every model; of the pairs with the baseline also annotations and a leaderboard.

    Raises:
        UserError: there are pairs, and nothing says which model is the baseline.
    """
    out = Exported()
    single = {key for key, item in held.items.items() if len(item.turns) == 1}
    several = len(held.items) - len(single)
    out.leave_out("questions of several turns, which AlpacaEval does not know", several)
    every = whole_answers(held, out)
    further = sum(sample > 0 for key in single for _, sample in every.get(key, ()))
    out.leave_out("further samples of a model: it has one output a question", further)
    outputs = {
        (*key, model): answer
        for key in held.items if key in single
        for (model, sample), answer in every.get(key, {}).items() if not sample
    }  # fmt: skip
    for model in held.models:
        rows = [_output(held, answer) for (_, _, name), answer in outputs.items() if name == model]
        out.add(f"{safe_name(model)}/model_outputs.json", document(rows) if rows else "")
    pairs = [each for each in held.verdicts if len(each.shown) == 2 and (each.suite, each.item) in single]
    if pairs:
        baseline = held.baseline or _baseline(pairs)
        _annotations(held, [each for each in pairs if _fits(each, baseline, out)], baseline, outputs, out)
        _leaderboards(held, baseline, outputs, out)
    others = sum(len(each.shown) == 1 for each in held.verdicts)
    out.leave_out("scores of one answer, which these files do not hold", others)
    return out


def _output(held: Held, answer: Answer) -> dict[str, str]:
    item = held.items[answer.suite, answer.item]
    return {
        "dataset": item.category,
        "instruction": item.turns[0],
        "output": answer.turns[0],
        "generator": answer.model,
    }


def _baseline(pairs: list[Verdict]) -> str:
    """The one model that stands in every pair.

    Raises:
        UserError: there is none, or two.
    """
    shared = set.intersection(*({name for name, _ in each.shown} for each in pairs))
    if len(shared) == 1:
        return shared.pop()
    names = sorted({name for each in pairs for name, _ in each.shown})
    raise UserError(
        f"AlpacaEval compares every model with one baseline, and nothing says which it is: --baseline {names[0]}"
        f" or another of {', '.join(names)}"
    )


def _fits(verdict: Verdict, baseline: str, out: Exported) -> bool:
    reason = ""
    if [name for name, _ in verdict.shown].count(baseline) != 1:
        reason = f"verdicts on pairs without the baseline {baseline}"
    elif verdict.sample or any(sample for _, sample in verdict.shown):
        reason = "verdicts on or of further samples"
    if reason:
        out.leave_out(reason)
    return not reason


def _annotations(
    held: Held, pairs: list[Verdict], baseline: str, outputs: Mapping[tuple[str, str, str], Answer], out: Exported
) -> None:
    files: dict[str, list[dict[str, Any]]] = {}
    for verdict in pairs:
        switched = verdict.shown[0][0] != baseline
        model = verdict.shown[0 if switched else 1][0]
        one, two = (outputs.get((verdict.suite, verdict.item, name)) for name in (baseline, model))
        if one is None or two is None:
            out.leave_out("verdicts on answers that the run does not hold whole")
            continue
        item = held.items[verdict.suite, verdict.item]
        row: dict[str, Any] = {
            "instruction": item.turns[0], "dataset": item.category, "output_1": one.turns[0], "generator_1": baseline,
            "output_2": two.turns[0], "generator_2": model, "annotator": verdict.judge,
            "preference": _preference(verdict, model, out), "raw_completion": verdict.reply,
            "is_switched_outputs": switched,
        }  # fmt: skip
        name = group_name(verdict.judge, verdict.rubric, verdict.dimension)
        files.setdefault(f"{safe_name(model)}/{name}/annotations.json", []).append(row)
    for path, rows in files.items():
        out.add(path, document(rows))
        if len({row["instruction"] for row in rows if row["is_switched_outputs"]} & {
            row["instruction"] for row in rows if not row["is_switched_outputs"]
        }):  # fmt: skip
            out.note(
                "annotations.json holds both orders, a row each: the tool's own standard error would take them for two "
                "questions; the leaderboard's is over questions"
            )
    one_of_each([pairs], out)


def _preference(verdict: Verdict, model: str, out: Exported) -> float | None:
    """1 plus the model's share of the point; None is unscored."""
    if not verdict.scores:
        return None
    if verdict.kind == "probability":
        mine = verdict.scores[[name for name, _ in verdict.shown].index(model)]
        return 1.0 + mine / sum(verdict.scores) if sum(verdict.scores) else None
    if verdict.kind == "grade":
        out.note("grades of two answers are written as who won: a preference holds no more")
    better = preferred(verdict)
    return 1.5 if better is None else 2.0 if better[0] == model else 1.0


def _leaderboards(
    held: Held, baseline: str, outputs: Mapping[tuple[str, str, str], Answer], out: Exported
) -> None:  # fmt: skip
    boards: dict[str, dict[str, list[float]]] = {}
    for game in held.games:
        item = held.items.get((game.suite, game.item))
        if baseline in (game.left, game.right) and item is not None and len(item.turns) == 1:
            board = boards.setdefault(group_name(game.judge, game.rubric, game.dimension), {})
            board.setdefault(_other(game, baseline), []).append(
                game.score if game.right == baseline else 1 - game.score
            )
    for name, board in boards.items():
        written = io.StringIO()
        writer = csv.writer(written, lineterminator="\n")
        writer.writerow(COLUMNS)
        for model, shares in sorted(board.items(), key=lambda row: -fmean(row[1])):
            lengths = [len(answer.turns[0]) for (_, _, whose), answer in outputs.items() if whose == model]
            wins, losses = sum(each > 0.5 for each in shares), sum(each < 0.5 for each in shares)
            draws, total = len(shares) - wins - losses, len(shares)
            error = 100 * stdev(shares) / math.sqrt(total) if total > 1 else None
            discrete = 100 * (wins + draws / 2) / total
            length = round(fmean(lengths)) if lengths else ""
            row = (100 * fmean(shares), "" if error is None else error, wins, losses, draws, total, discrete, length)
            writer.writerow([defused(model, out), *row])
        out.add(f"leaderboard+{name}.csv", written.getvalue())


def _other(game: Game, baseline: str) -> str:
    return game.right if game.left == baseline else game.left
