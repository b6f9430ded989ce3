"""PandaLM's test set and the judges recorded on it (Wang et al. 2023).

``testset-v1.json``: idx, cmp_key (MODEL1_MODEL2), instruction, input, response1, response2, annotator1, annotator2 …
(1 or 2: that response is better, 0: alike). A judge's file: idx and NAME_result, NAME_reason, NAME_reference; the
word "Tie" is 0, and anything else is unscored, with the word kept, or with ``--compat`` a tie, as its authors count
it. ``--name`` maps models; ``--judge`` renames the judge.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from judgebench.importers.records import Gathered, Judged, Options, Pair, Side, as_tie, preference
from judgebench.importers.rows import Row, no_form, read_rows, short


def read(files: Sequence[Path], options: Options) -> Gathered:
    """The pairs, people's labels and judges' verdicts in files.

    Raises:
        UserError: a row is not of that form, or a person's label is none.
    """
    gathered = Gathered()
    suite = options.suite or "pandalm"
    for path in files:
        for row in read_rows(path):
            results = [key for key in row.value if key.endswith("_result")]
            if "response1" in row and "response2" in row:
                _pair(row, suite, gathered)
            elif "idx" in row and len(results) == 1:
                judged = _judged(row, suite, results[0], options)
                gathered.verdicts.append(as_tie(judged, gathered) if options.compat else judged)
            elif "instruction" in row:
                gathered.item(suite, (_question(row),), place=row.place, category=_category(row))
            else:
                raise no_form(row, "pandalm", "idx, instruction, input, response1, response2, annotator1 …; or idx, "
                              "NAME_result, NAME_reason")  # fmt: skip
    return gathered


def _pair(row: Row, suite: str, gathered: Gathered) -> None:
    item = gathered.item(suite, (_question(row),), place=row.place, category=_category(row))
    names = str(row.get("cmp_key") or "").split("_")
    sides = [
        Side(model=names[at] if len(names) == 2 else f"output-{at + 1}", text=(row.text(f"response{at + 1}"),),
             anonymous=len(names) != 2)
        for at in (0, 1)
    ]  # fmt: skip
    key = f"pandalm {row.text('idx')}"
    if key in gathered.pairs:
        raise row.fail(f"idx {row.text('idx')} was given before")
    gathered.pairs[key] = Pair(place=row.place, suite=suite, item=item, shown=(sides[0], sides[1]))
    for column in row.value:
        if column.startswith("annotator"):
            scores = preference(row.get(column))
            if scores is None:
                raise row.unknown(column, row.get(column), "1, 2 and 0")
            gathered.verdicts.append(
                Judged(place=row.place, suite=suite, pair=key, judge=f"human@{column}", scores=scores)
            )


def _judged(row: Row, suite: str, column: str, options: Options) -> Judged:
    found = row.get(column)
    label = found.strip() if isinstance(found, str) else found
    label = int(label) if isinstance(label, str) and label.isdecimal() else label
    scores = preference(0 if isinstance(label, str) and label.lower() == "tie" else label)
    name = column.removesuffix("_result")
    return Judged(
        place=row.place, suite=suite, pair=f"pandalm {row.text('idx')}", judge=options.judge or name, rubric="pandalm",
        scores=scores or (), reply=str(row.get(f"{name}_reason") or ""),
        error="" if scores else f"unreadable: recorded as {short(found)}",
    )  # fmt: skip


def _question(row: Row) -> str:
    more = row.text("input") if "input" in row else ""
    return f"{row.text('instruction')}\n\n{more}" if more else row.text("instruction")


def _category(row: Row) -> str:
    return str(row.get("motivation_app") or "")
