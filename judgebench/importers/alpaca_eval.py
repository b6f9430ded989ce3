"""AlpacaEval: ``annotations.json`` and ``model_outputs.json`` (Li et al. 2023; Dubois et al. 2024).

An annotation's ``preference`` runs from 1 (``output_1``, the baseline, is better) to 2 (``output_2``, the model): the
model's share of the point is preference - 1. 1.5 is a draw, and so is the 0 of older annotators. Null is unscored.
The order in which the judge saw the two was drawn by lot; where ``is_switched_outputs`` does not tell it, the
baseline stands first. One order was asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from judgebench.importers.records import Gathered, Judged, Options, Side
from judgebench.importers.rows import Row, no_form, read_rows, short
from judgebench.types import Kind


def read(files: Sequence[Path], options: Options) -> Gathered:
    """The annotations and outputs in files.

    Raises:
        UserError: a row is not of that form, or its preference is none.
    """
    gathered = Gathered()
    suite = options.suite or "alpaca-eval"
    for path in files:
        rows = read_rows(path)
        kind: Kind = (
            "preference" if all(row.get("preference") in (None, 0, 1, 1.5, 2) for row in rows) else "probability"
        )
        for row in rows:
            if "instruction" not in row or not ("preference" in row or "output" in row):
                raise no_form(row, "alpaca-eval", "instruction, output, generator; or instruction, output_1, output_2, "
                              "generator_1, generator_2, preference")  # fmt: skip
            category = row.text("dataset") if isinstance(row.get("dataset"), str) else ""
            item = gathered.item(suite, (row.text("instruction"),), place=row.place, category=category)
            if "preference" in row:
                gathered.verdicts.append(_judged(row, suite, item, kind, options))
            else:
                gathered.answer(row.place, suite, item, row.text("generator"), (row.text("output"),))
        _compare_with_folder(path, rows[0], gathered, options)
    return gathered


def _judged(row: Row, suite: str, item: str, kind: Kind, options: Options) -> Judged:
    found = row.number_or_none("preference")
    if found is not None and not (found == 0 or 1 <= found <= 2):
        raise row.unknown("preference", found, "1 to 2, and 0 for a draw,")
    share = None if found is None else 0.5 if found == 0 else found - 1
    first, second = row.text("generator_1"), row.text("generator_2")
    if options.names.get(first, first) == options.names.get(second, second):
        second = f"{options.names.get(second, second)}#2"  # a model against itself: two contestants all the same
    judge = row.text("annotator") if "annotator" in row else options.judge
    if not judge:
        raise row.fail("names no annotator; say who judged with --judge NAME")
    completion = row.get("raw_completion")
    reply = completion if isinstance(completion, str) else ""
    if isinstance(completion, dict):
        reply = str(completion.get("text") or "")
    shown: tuple[Side, ...] = (
        Side(model=first, text=(row.text("output_1"),)),
        Side(model=second, text=(row.text("output_2"),)),
    )
    scores: tuple[float, ...] = () if share is None else (1 - share, share)
    if row.get("is_switched_outputs") is True:
        shown, scores = shown[::-1], scores[::-1]
    return Judged(
        place=row.place, suite=suite, item=item, judge=judge, rubric="alpaca-eval",
        shown=shown, kind=kind, scores=scores, reply=reply,
        error="unreadable: no preference is recorded" if share is None else "",
    )  # fmt: skip


def _compare_with_folder(path: Path, row: Row, gathered: Gathered, options: Options) -> None:
    """Notes a file under results/NAME/ANNOTATOR/ whose rows give the model another name than the leaderboard does."""
    generator, folder = row.get("generator_2"), path.parent.parent.name
    if path.parent.name == row.get("annotator") and generator != folder and generator not in options.names:
        gathered.note(
            f"{path}: the folder is {folder!r}, its rows say {short(generator)}; --name {generator}=NAME maps it"
        )
