"""ScalerLab's JudgeBench (Tan et al. 2024): objective pairs, and judgments of them in both orders.

A pair: pair_id, source, question, response_A, response_B, label ('A>B' or 'B>A'). An output adds judge_name and
``judgments``: the first with A shown first, the second with B shown first, each with a decision told by place ('A>B':
the one shown first is better; 'A=B'; null is unscored). A reward model's scores are in its replies, the decision
counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from judgebench.importers.records import Gathered, Judged, Options, Pair, Side, preference
from judgebench.importers.rows import Row, no_form, read_rows, short

GOLD = "human@gold"
"""The judge of the labels."""


def read(files: Sequence[Path], options: Options) -> Gathered:
    """The pairs, labels and judgments in files.

    Raises:
        UserError: a row is not of that form, or its label or a decision is none.
    """
    gathered = Gathered()
    labels: dict[str, tuple[float, float]] = {}
    suite = options.suite or "judgebench-scalerlab"
    for path in files:
        for row in read_rows(path):
            if not all(key in row for key in ("pair_id", "question", "response_A", "response_B", "label")):
                raise no_form(
                    row, "judgebench-scalerlab", "pair_id, question, response_A, response_B, label, judgments"
                )
            key = f"{suite} {row.text('pair_id')}"
            scores = preference(row.get("label"), "A>B", "B>A", None)
            if scores is None:
                raise row.unknown("label", row.get("label"), "A>B and B>A")
            if labels.setdefault(key, scores) != scores:
                raise row.fail(f"label {row.text('label')} is another than this pair's before")
            if key not in gathered.pairs:
                _pair(row, suite, key, gathered)
                gathered.verdicts.append(Judged(place=row.place, suite=suite, pair=key, judge=GOLD, scores=scores))
            gathered.verdicts += _verdicts(row, suite, key, options)
    return gathered


def _pair(row: Row, suite: str, key: str, gathered: Gathered) -> None:
    item = gathered.item(
        suite, (row.text("question"),), place=row.place, category=str(row.get("source") or ""),
        meta={"answers by": row.text("response_model")} if "response_model" in row else {},
    )  # fmt: skip
    sides = [
        Side(model=f"output-{at}", text=(row.text(f"response_{letter}"),), anonymous=True)
        for at, letter in ((1, "A"), (2, "B"))
    ]
    gathered.pairs[key] = Pair(place=row.place, suite=suite, item=item, shown=(sides[0], sides[1]))


def _verdicts(row: Row, suite: str, key: str, options: Options) -> list[Judged]:
    judgments = row.get("judgments")
    if judgments is None:
        return []
    if not isinstance(judgments, list) or len(judgments) > 2:
        raise row.fail(f"'judgments' is {short(judgments)}; one for each of the two orders is needed")
    found = []
    for order, each in enumerate(judgments):
        judgment: Any = each or {}
        if not isinstance(judgment, dict) or not isinstance(judgment.get("judgment") or {}, dict):
            raise row.fail(f"a judgment is {short(each)}; an object with decision and judgment is needed")
        decision, said = judgment.get("decision"), judgment.get("judgment") or {}
        scores = preference(decision, "A>B", "B>A", "A=B")
        if scores is None and decision is not None:
            raise row.unknown("decision", decision, "A>B, B>A, A=B and null")
        judge = options.judge or str(said.get("judge_model") or row.text("judge_name"))
        reply = str(said.get("response") or said.get("scores") or "")
        found.append(
            Judged(
                place=row.place, suite=suite, pair=key, swapped=order == 1, judge=judge, reply=reply,
                rubric=str(row.get("judge_name") or "judgebench-scalerlab"), scores=scores or (),
                error="" if scores else "unreadable: recorded as null",
            )
        )  # fmt: skip
    return found
