"""What was run, what came of it, exact scores: the tables that need no judge."""

from __future__ import annotations

from collections.abc import Sequence

from judgebench.report.contaminated import taint
from judgebench.report.figures import (
    BAD_ABOVE,
    MISSING,
    WARN_ABOVE,
    Level,
    count,
    counted_share,
    estimate,
    level,
    out_of,
    rate,
    share,
)
from judgebench.report.tables import (
    Cell,
    Column,
    Remarks,
    Row,
    Summary,
    Table,
    distinct,
    judge_cell,
    matching,
    name_column,
    suite_label,
)
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
            Count(label="answers planned", part=planned, whole=0),
            Count(label="answered", part=answered, whole=planned, alarm=level(planned - answered, planned)),
            Count(label="answers truncated", part=truncated, whole=planned, alarm=level(truncated, planned)),
        ]
    exact = _once_each(summary["accuracy"])
    if exact:
        planned = sum(row["planned"] for row in exact)
        unscored = sum(row["unscored"] for row in exact)
        unextracted = sum(row["unextracted"] for row in exact)
        scored = sum(row["n"] for row in exact)
        counts += [
            Count(label="exact scores", part=scored, whole=planned, alarm=level(unscored, planned)),
            Count(label="unextracted", part=unextracted, whole=planned, alarm=level(unextracted, planned)),
        ]
    judged = summary["verdicts"]
    if judged:
        planned = sum(row["planned"] for row in judged)
        scored = sum(row["scored"] for row in judged)
        unscored = sum(row["unscored"] for row in judged)
        unreadable = sum(_unreadable(row) for row in judged)
        counts += [
            Count(label="verdicts scored", part=scored, whole=planned, alarm=level(unscored, planned)),
            Count(label="unreadable", part=unreadable, whole=planned, alarm=level(unreadable, planned)),
        ]
        other = unscored - unreadable
        if other > 0:
            counts.append(Count(label="otherwise unscored", part=other, whole=planned, alarm=level(other, planned)))
    return counts


def _once_each(rows: Sequence[Row]) -> list[Row]:
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
                Cell(text=count(planned), sort=planned),
                Cell(
                    text=out_of(row["answered"], planned),
                    sort=row["answered"],
                    level=level(planned - row["answered"], planned),
                ),
                _alarming(row["failed"], planned),
                _alarming(row["unfinished"], planned),
                _alarming(row["truncated"], planned),
                Cell(text=reasons(row["failures"])),
            )
        )
    return Table(title="Answers", columns=columns, rows=tuple(rows))


def _alarming(part: int, whole: int) -> Cell:
    return Cell(text=counted_share(part, whole), sort=part, level=level(part, whole))


def accuracy_table(summary: Summary) -> Table:
    """Exact scores with their 95 % intervals, extraction and truncation beside."""
    accuracy = summary["accuracy"]
    several = any(row["dimension"] != "accuracy" for row in accuracy)
    remarks = Remarks()
    columns = [
        name_column("Suite"),
        name_column("Model"),
        Column(title="Accuracy [95 % interval]", brief="accuracy [95 %]"),
        Column(title="Scored/planned", brief="scored"),
        Column(title="Accuracy among the read", brief="read"),
        Column(title="Questions"),
        Column(title="Extraction rate"),
        Column(title="Unextracted", brief="unex."),
        Column(title="Truncated", brief="trunc."),
        Column(title="Scorer", numeric=False),
    ]
    if several:
        columns.insert(2, name_column("Dimension"))
    rows = []
    for row in accuracy:
        why = "; ".join(part for part in (row["note"], _unscored_reasons(row)) if part)
        tainted = taint(summary, row["suite"], row["model"])
        cells = [
            Cell(text=row["suite"]),
            Cell(text=row["model"] + remarks.mark(tainted)),
            Cell(text=estimate(row["value"], row["low"], row["high"]) + remarks.mark(why), sort=row["value"]),
            Cell(text=out_of(row["n"], row["planned"]), sort=row["n"], level=level(row["unscored"], row["planned"])),
            Cell(text=rate(row["accuracy_read"]), sort=row["accuracy_read"]),
            Cell(text=count(row["clusters"]), sort=row["clusters"]),
            Cell(text=share(row["n"] - row["unextracted"], row["n"]), sort=row["n"] - row["unextracted"]),
            _alarming(row["unextracted"], row["n"]),
            _alarming(row["truncated"], row["n"]),
            Cell(text=row["scorer"]),
        ]
        if several:
            cells.insert(2, Cell(text=row["dimension"]))
        rows.append(tuple(cells))
    return Table(title="Exact scores", columns=tuple(columns), rows=tuple(rows), remarks=remarks.lines())


def extraction_table(summary: Summary) -> Table:
    """Both rules of each exact scorer beside one another: accuracy, and the share each could read; no rows without."""
    columns = [
        name_column("Suite"),
        name_column("Model"),
        Column(title="Accuracy, strict rule", brief="strict"),
        Column(title="Read by it", brief="read"),
        Column(title="Among the read, strict"),
        Column(title="Accuracy, flexible rule", brief="flexible"),
        Column(title="Read by it, flexible", brief="read"),
        Column(title="Among the read, flexible"),
        Column(title="Rules differ", brief="differ"),
        Column(title="Headline", numeric=False),
        Column(title="Unread, by a model", numeric=False, brief="unread, by a model"),
    ]
    rows = []
    for row in summary.get("extraction", ()):
        cells = [Cell(text=row["suite"]), Cell(text=row["model"])]
        for name in ("strict", "flexible"):
            rule = row["rules"][name]
            read = rule["n"] - rule["unextracted"]
            cells += [
                Cell(text=rate(rule["value"]), sort=rule["value"]),
                Cell(text=share(read, rule["n"]), sort=read),
                Cell(text=rate(rule["accuracy_read"]), sort=rule["accuracy_read"]),
            ]
        cells += [_alarming(row["differ"], row["rules"]["strict"]["n"]), Cell(text=row["headline"])]
        by_models = [
            f"{each['by']}: {count(each['read'])} of {count(each['asked'])} read, {each['right']:g} right"
            + (f", {count(each['unscored'])} unscored" if each.get("unscored") else "")
            for each in row.get("fallback", ())
        ]
        cells.append(Cell(text="; ".join(by_models) or MISSING))
        rows.append(tuple(cells))
    remarks = ("'judgebench report RUN --extraction' lists the answers on which the rules differ.",) if rows else ()
    return Table(title="Extraction by both rules", columns=tuple(columns), rows=tuple(rows), remarks=remarks)


def _unscored_reasons(row: Row) -> str:
    return f"unscored ({reasons(row['reasons'])})" if any(row["reasons"].values()) else ""


def category_tables(summary: Summary) -> list[Table]:
    """Accuracy by category, one table per suite and dimension that has categories; models are columns."""
    tables = []
    for suite in distinct(row["suite"] for row in summary["accuracy"]):
        of_suite = [row for row in matching(summary["accuracy"], suite=suite) if row["by_category"]]
        for dimension in distinct(row["dimension"] for row in of_suite):
            rows = matching(of_suite, dimension=dimension)
            categories = distinct(category for row in rows for category in row["by_category"])
            body = tuple(
                (
                    Cell(text=category or "no category"),
                    *(_category_cell(row, category) for row in rows),
                )
                for category in categories
            )
            what = "accuracy" if dimension == "accuracy" else dimension
            columns = (name_column("Category"), *(Column(title=row["model"]) for row in rows))
            title = f"{suite_label(suite)}: {what} by category (number of scores)"
            tables.append(Table(title=title, columns=columns, rows=body))
    return tables


def _category_cell(row: Row, category: str) -> Cell:
    entry = row["by_category"].get(category)
    if entry is None:
        return Cell(text=MISSING)
    return Cell(text=f"{rate(entry['value'])} ({count(entry['n'])})", sort=entry["value"])
