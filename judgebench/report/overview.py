"""What was run, what came of it, exact scores: the tables that need no judge."""

from __future__ import annotations

from collections.abc import Sequence

from judgebench.report.figures import (
    BAD_ABOVE,
    MISSING,
    WARN_ABOVE,
    Level,
    count,
    counted_share,
    level,
    out_of,
)
from judgebench.report.tables import (
    Cell,
    Column,
    Row,
    Summary,
    Table,
    judge_cell,
    name_column,
)
from judgebench.report.where import Where
from judgebench.types import Record

THRESHOLDS = (
    f"Counts are marked above {100 * WARN_ABOVE:g} % of what was planned as a warning (!) "
    f"and above {100 * BAD_ABOVE:g} % as too high to trust the numbers (!!)."
)
"""What the marks beside counts mean."""


class Count(Record, frozen=True, kw_only=True):
    """One of the counts that stand first in a report."""

    label: str
    """What was counted."""
    part: int
    """How many."""
    whole: int
    """Out of how many; 0 where the count stands alone."""
    alarm: Level = ""
    """How alarming it is."""
    where: Where | None = None
    """What was counted."""


class SuiteFact(Record, frozen=True, kw_only=True):
    """What a reader must know about one suite."""

    name: str
    """Name and version."""
    about: str
    """One sentence; may be empty."""
    items: str
    """How many items ran, of how many."""
    scorer: str
    """How it is scored."""
    license: str
    """Licence of the rows."""
    missing: tuple[str, ...]
    """Files of the suite that were not found."""


def suite_facts(summary: Summary) -> list[SuiteFact]:
    """One entry per suite, in the order of the run."""
    return [
        SuiteFact(
            name=f"{suite['name']}, version {suite['version']}" if suite["version"] else suite["name"],
            about=suite["about"],
            items=f"{count(suite['items'])} of {count(suite['available'])} items",
            scorer=suite["scorer"] or "judged",
            license=suite["license"] or "not stated",
            missing=tuple(suite["missing"]),
        )
        for suite in summary["suites"]
    ]


def headline_counts(summary: Summary) -> list[Count]:
    """Planned, answered, truncated, scored, unextracted and unreadable, over the whole run; absent parts left out."""
    counts: list[Count] = []
    answers = summary["answers"]
    if answers:
        planned = sum(row["planned"] for row in answers)
        answered = sum(row["answered"] for row in answers)
        truncated = sum(row["truncated"] for row in answers)
        counts += [
            Count(label="answers planned", part=planned, whole=0, where=Where(of="answers", what="planned")),
            Count(
                label="answered",
                part=answered,
                whole=planned,
                alarm=level(planned - answered, planned),
                where=Where(of="answers", what="answered"),
            ),
            Count(
                label="answers truncated",
                part=truncated,
                whole=planned,
                alarm=level(truncated, planned),
                where=Where(of="answers", what="truncated"),
            ),
        ]
    exact = once_each(summary["accuracy"])
    if exact:
        planned = sum(row["planned"] for row in exact)
        unscored = sum(row["unscored"] for row in exact)
        unextracted = sum(row["unextracted"] for row in exact)
        scored = sum(row["n"] for row in exact)
        counts += [
            Count(
                label="exact scores",
                part=scored,
                whole=planned,
                alarm=level(unscored, planned),
                where=Where(of="exact", what="scored"),
            ),
            Count(
                label="unextracted",
                part=unextracted,
                whole=planned,
                alarm=level(unextracted, planned),
                where=Where(of="exact", what="unextracted"),
            ),
        ]
    judged = summary["verdicts"]
    if judged:
        planned = sum(row["planned"] for row in judged)
        scored = sum(row["scored"] for row in judged)
        unscored = sum(row["unscored"] for row in judged)
        unreadable = sum(_unreadable(row) for row in judged)
        counts += [
            Count(
                label="verdicts scored",
                part=scored,
                whole=planned,
                alarm=level(unscored, planned),
                where=Where(of="verdicts", what="scored"),
            ),
            Count(
                label="unreadable",
                part=unreadable,
                whole=planned,
                alarm=level(unreadable, planned),
                where=Where(of="verdicts", what="unreadable"),
            ),
        ]
        other = unscored - unreadable
        if other > 0:
            counts.append(
                Count(
                    label="otherwise unscored",
                    part=other,
                    whole=planned,
                    alarm=level(other, planned),
                    where=Where(of="verdicts", what="otherwise unscored"),
                )
            )
    return counts


def once_each(rows: Sequence[Row]) -> list[Row]:
    """One row for each suite, model and scorer: accuracy, or the first dimension; an answer has several of them."""
    found: dict[tuple[str, str, str], Row] = {}
    for row in rows:
        key = row["suite"], row["model"], row["scorer"]
        if key not in found or row["dimension"] == "accuracy":
            found[key] = row
    return list(found.values())


def _unreadable(row: Row) -> int:
    return sum(number for reason, number in row["reasons"].items() if reason.startswith("unreadable"))


def reasons(row: dict[str, int]) -> str:
    """Reason and count of each, the most frequent first; a dash where there is none."""
    ordered = sorted(row.items(), key=lambda entry: (-entry[1], entry[0]))
    return "; ".join(f"{reason}: {count(number)}" for reason, number in ordered if number) or MISSING


def models_table(summary: Summary) -> Table:
    """Who answered."""
    rows = tuple(
        (
            Cell(text=model["name"]),
            Cell(text=model["backend"]),
            Cell(text=model["id"]),
            Cell(text="; ".join([*model["notes"], *filter(None, (model.get("origin", ""),))]) or MISSING),
        )
        for model in summary["models"]
    )
    titles = ("Model", "Backend", "Id", "Notes")
    return Table(title="Models", columns=tuple(name_column(title) for title in titles), rows=rows)


def judges_table(summary: Summary) -> Table:
    """Who judged, by which rubric; baselines are named as such."""
    rows = tuple(
        (
            judge_cell(summary, judge["name"]),
            Cell(text="baseline, no language model" if judge["baseline"] else "language model"),
            Cell(text=judge["rubric"] or MISSING),
            Cell(text=judge["mode"]),
        )
        for judge in summary["judges"]
    )
    titles = ("Judge", "Kind", "Rubric", "Mode")
    return Table(title="Judges", columns=tuple(name_column(title) for title in titles), rows=rows)


def answers_table(summary: Summary) -> Table:
    """What became of every planned answer, per suite and model."""
    columns = (
        name_column("Suite"),
        name_column("Model"),
        Column(title="Planned"),
        Column(title="Answered", brief="answered"),
        Column(title="Failed", brief="failed"),
        Column(title="Unfinished", brief="unfin."),
        Column(title="Truncated", brief="trunc."),
        Column(title="Failures by kind", numeric=False),
    )
    rows = []
    for row in summary["answers"]:
        planned = row["planned"]
        rows.append(
            (
                Cell(text=row["suite"]),
                Cell(text=row["model"]),
                Cell(text=count(planned), sort=planned, where=_answers(row, "planned")),
                Cell(
                    text=out_of(row["answered"], planned),
                    sort=row["answered"],
                    level=level(planned - row["answered"], planned),
                    where=_answers(row, "answered"),
                ),
                *(alarming(row[what], planned, _answers(row, what)) for what in ("failed", "unfinished", "truncated")),
                Cell(text=reasons(row["failures"])),
            )
        )
    return Table(title="Answers", columns=columns, rows=tuple(rows))


def _answers(row: Row, what: str) -> Where:
    return Where(of="answers", what=what, suite=row["suite"], model=row["model"])


def alarming(part: int, whole: int, where: Where | None = None) -> Cell:
    """A count that is marked where too much of the whole is in it."""
    return Cell(text=counted_share(part, whole), sort=part, level=level(part, whole), where=where)
