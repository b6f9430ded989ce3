"""Auto-J (Li et al. 2023): the pairwise test set with people's labels, and verdicts recorded in both orders.

``testdata_pairwise.jsonl``: scenario, label (0: response 1 is better, 1: response 2, 2: a tie), prompt, ``response
1``, ``response 2``. Verdict files hold only ``output`` (0: the first shown, 1: the second, 2: a tie), line by line as
the test set; a file whose name says ``exchange`` shows the responses the other way round. Other outputs are unscored.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from judgebench.importers.records import Gathered, Judged, Options, Pair, Side, preference
from judgebench.importers.rows import Row, no_form, read_rows, short

GOLD = "human@gold"
"""The judge of the labels."""


def read(files: Sequence[Path], options: Options) -> Gathered:
    """The pairs, labels and verdicts in files.

    Raises:
        UserError: a row is not of that form, or its label is none.
    """
    gathered = Gathered()
    suite = options.suite or "auto-j"
    for path in files:
        swapped = "exchange" in path.name.lower()
        for row in read_rows(path):
            if "response 1" in row and "response 2" in row:
                _pair(row, suite, gathered)
            elif "output" in row:
                gathered.verdicts.append(_judged(row, suite, swapped, options))
            else:
                raise no_form(row, "auto-j", "prompt, 'response 1', 'response 2', label; or output")
    return gathered


def _pair(row: Row, suite: str, gathered: Gathered) -> None:
    sides = [Side(model=f"output-{at}", text=(row.text(f"response {at}"),), anonymous=True) for at in (1, 2)]
    item = gathered.item(suite, (row.text("prompt"),), place=row.place, category=str(row.get("scenario") or ""))
    key = f"auto-j {row.number}"
    if key in gathered.pairs:
        raise row.fail("two files hold pairs; verdicts name a pair by its line alone, so import them into two runs")
    gathered.pairs[key] = Pair(place=row.place, suite=suite, item=item, shown=(sides[0], sides[1]))
    if "label" in row:
        scores = preference(row.get("label"), 0, 1, 2)
        if scores is None:
            raise row.unknown("label", row.get("label"), "0, 1 and 2")
        gathered.verdicts.append(Judged(place=row.place, suite=suite, pair=key, judge=GOLD, scores=scores))


def _judged(row: Row, suite: str, swapped: bool, options: Options) -> Judged:
    found = row.get("output")
    scores = preference(int(found) if isinstance(found, str) and found.strip().isdecimal() else found, 0, 1, 2)
    return Judged(
        place=row.place, suite=suite, pair=f"auto-j {row.number}", swapped=swapped, judge=options.judge or "auto-j",
        rubric="auto-j-pairwise", scores=scores or (), reply=found if isinstance(found, str) else "",
        error="" if scores else f"unreadable: recorded as {short(found)}",
    )  # fmt: skip
