"""Labels by spreadsheet: tasks out as CSV, labels back in.

No model is named. What a spreadsheet would run as a formula gets an apostrophe before it; hidden characters are written
out by their code points, and so is the first letter of what looks like one: names and reasons come back exactly as they
were. Rows may come back in any order; a row is known by its number and the hash of the answers that it showed.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from judgebench.errors import UserError
from judgebench.files import read_bytes, write_atomic
from judgebench.report.cells import guarded, lines_written_out, name_cell, named_by
from judgebench.stages.label_verdicts import reason_of
from judgebench.stages.labels import Labels

NOT_ASKED = "not asked"
"""Stands where a task has no such field."""
MOST_CELL = 32_000
"""Characters of a cell; spreadsheets hold at most 32,767."""
LABEL = "label: "
"""Begins the header of each dimension's column."""
READ = ("task", "check", "skip_because")
"""The other columns that are read."""
MORE = "\0more"
"""Key of what stands behind the last column of a row."""


def defused(text: str) -> str:
    """The text as a cell that no spreadsheet runs, with hidden characters written out.

    >>> defused("=HYPERLINK(1)")
    "'=HYPERLINK(1)"
    """
    shown = lines_written_out(text)
    if len(shown) > MOST_CELL:
        shown = f"{shown[:MOST_CELL]} […{len(shown) - MOST_CELL} characters more: label it in the browser]"
    return guarded(shown)


def export_csv(labels: Labels, path: Path) -> int:
    """How many tasks were written to the file, those with labels included.

    Raises:
        UserError: the file cannot be written.
    """
    plan = labels.plan
    answers = ["answer_1", "answer_2"] if plan.guide.mode == "pairwise" else ["answer"]
    asked_of = [labels.fields(number) for number in range(len(plan.tasks))]
    fields = list(dict.fromkeys(field for asked in asked_of for field in asked))
    if plan.guide.mode != "checklist":
        fields = [name for name in plan.guide.dimensions if name in fields]
    out = io.StringIO()
    writer = csv.writer(out)
    columns = [name_cell(LABEL + name) for name in fields]
    beside = ["beside"] if any(_beside(labels, number) for number in range(len(plan.tasks))) else []
    writer.writerow(["task", "check", "question", *answers, *beside, "allowed", *columns, "skip_because"])
    allowed = ", ".join(
        f"{choice.code} = {choice.means}" if choice.means else choice.code for choice in plan.guide.choices
    )
    allowed = allowed or f"{plan.guide.scale[0]:g} to {plan.guide.scale[1]:g}"
    for number, task in enumerate(plan.tasks):
        item, given = labels.item(number), labels.given(number)
        asked = (item.question or item.turns)[: task.turn or None]
        shown = ["\n\n".join(answer.turns[: task.turn or None]) for answer in labels.answers(number)]
        cells = [given.get(name, "") if name in asked_of[number] else NOT_ASKED for name in fields]
        texts = ["\n\n".join(asked), *shown, *([_beside(labels, number)] if beside else []), allowed]
        writer.writerow(
            [
                number + 1,
                f"h{labels.check(number)}",
                *map(defused, texts),
                *cells,
                name_cell(labels.skip_reason(number)),
            ]
        )
    write_atomic(path, out.getvalue().encode("utf-8-sig"))
    return len(plan.tasks)


def _beside(labels: Labels, number: int) -> str:
    """What an annotator must see beside the answers: a checklist's questions, an item's own rubric, the reference."""
    guide, item = labels.plan.guide, labels.item(number)
    lines = [f"{field}: {text}" for field, text in labels.fields(number).items() if guide.mode == "checklist"]
    lines += [f"{name}: {words}" for name, words in guide.told(item).items()]
    if "{reference}" in guide.prompt:
        lines += [f"reference: {text}" for text in item.reference if text]
    return "\n".join(lines)


def import_csv(labels: Labels, path: Path) -> tuple[int, int, int]:
    """(labelled, skipped, left empty) after writing a file's labels; what is in the run already is not written twice.

    Raises:
        UserError: the file cannot be read, a row is none of this plan, or a label is none; nothing is written then.
    """
    rows = _rows(path)
    found: list[tuple[int, dict[str, str], str]] = []
    seen: set[int] = set()
    empty = 0
    for line, row in rows:
        number = _task(labels, row, f"{path}: row {line}")
        if number in seen:
            raise UserError(f"{path}: row {line}: task {number + 1} stands there twice")
        seen.add(number)
        try:
            given, reason = _said(labels, number, row)
        except UserError as error:
            raise UserError(f"{path}: row {line}: {error}") from None
        if not reason and not given:
            empty += 1
            continue
        found.append((number, given, reason))
    labels.take(
        {
            number: given
            for number, given, reason in found
            if not reason and _scores(labels, given) != _scores(labels, labels.given(number))
        },
        {number: reason for number, _, reason in found if reason and labels.skip_reason(number) != reason},
    )
    skipped = sum(bool(reason) for *_, reason in found)
    return len(found) - skipped, skipped, empty


def _said(labels: Labels, number: int, row: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """The labels that a row gives its task, or the reason for which it is skipped; neither where it is empty.

    Raises:
        UserError: it gives both, a label that is none or is not asked for, or a reason that is none.
    """
    given = {name: row.get(LABEL + name, "").strip() for name in labels.fields(number)}
    for column, cell in row.items():
        if column.startswith(LABEL) and column[len(LABEL) :] not in given and cell.strip() not in ("", NOT_ASKED):
            asked = ", ".join(repr(LABEL + name) for name in given)
            raise UserError(f"{column!r} is not asked of this task; asked are: {asked}")
    reason = named_by(row.get("skip_because", "").strip())
    if reason and any(given.values()):
        raise UserError("is both labelled and skipped")
    if reason:
        if any("\ud800" <= character <= "\udfff" for character in reason):
            raise UserError(f"{reason!r} holds half a character (a surrogate), which no file can keep")
        return {}, reason_of(reason)
    if not any(given.values()):
        return {}, ""
    _scores(labels, given)  # each of them is a label
    return given, ""


def _scores(labels: Labels, given: Mapping[str, str]) -> dict[str, tuple[float, ...]]:
    return {field: labels.plan.guide.scores_of(field, code) for field, code in given.items()}


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is not UTF-8; save it as 'CSV UTF-8'") from error
    header, _, _ = text.partition("\n")
    delimiter = max(",;\t", key=header.count)
    csv.field_size_limit(max(csv.field_size_limit(), 10_000_000))
    try:
        read = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, restval="", restkey=MORE))
    except csv.Error as error:
        raise UserError(f"{path}: is no CSV: {error}") from error
    if not read or not {"task", "check"} <= read[0].keys():
        raise UserError(f"{path}: has no columns 'task' and 'check'; it must be a file of --export-csv, filled in")
    header_row = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    times = Counter(name for name in map(named_by, header_row) if name in READ or name.startswith(LABEL))
    twice = [name for name, number in times.items() if number > 1]
    if twice:
        raise UserError(f"{path}: column {twice[0]!r} stands there twice: which of the two counts is not known")
    for line, row in enumerate(read, 2):
        if any(cell.strip() for cell in row.get(MORE, ())):
            raise UserError(f"{path}: row {line}: has more cells than there are columns: a cell may lack its quotes")
    return [(line, {named_by(key): value for key, value in row.items() if key != MORE})
            for line, row in enumerate(read, 2)]  # fmt: skip


def _task(labels: Labels, row: dict[str, str], place: str) -> int:
    try:
        said = float(row["task"])
        if not said.is_integer():
            raise ValueError
    except ValueError:
        raise UserError(f"{place}: {row['task']!r} is no number of a task") from None
    number = int(said) - 1
    if not 0 <= number < len(labels.plan.tasks):
        raise UserError(f"{place}: there is no task {number + 1}: {len(labels.plan.tasks)} are planned")
    if row["check"] != f"h{labels.check(number)}":
        raise UserError(f"{place}: shows other answers than the run has now, or is from another annotator's file")
    return number
