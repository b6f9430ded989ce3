"""The protocols' own statistics as tables: Arena-Hard's score, FairEval's calibration, checklists, skills, levels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from judgebench.ratings.skills import skill_name
from judgebench.report.figures import MISSING, count, estimate, grade, rate
from judgebench.report.judged import Group, dimension_label
from judgebench.report.tables import Cell, Column, Remarks, Row, Summary, Table, distinct, name_column
from judgebench.report.where import Where

BATTLES = "Score against the baseline (Arena-Hard)"
"""Title of `battles_table`."""
EVIDENCE = "Calibrated scores (FairEval)"
"""Title of `evidence_table`."""
SKILLS = {"skill": "Grades by skill", "difficulty": "Grades by difficulty", "domain": "Grades by domain"}
"""What grades are broken down by → the table's title; all three at once follow under `EVERY_CELL`."""
EVERY_CELL = "skill, difficulty and domain"
"""``by`` of the rows that tell all three apart."""


def protocol_tables(summary: Summary, group: Group) -> list[Table]:
    """The tables of a group that have rows; the breakdown by everything at once is `cells_table`."""
    made = [
        battles_table(summary, group),
        evidence_table(summary, group),
        preferences_table(summary, group),
        checklists_table(summary, group),
        facts_table(summary, group),
        levels_table(summary, group),
        *(skills_table(summary, group, by) for by in SKILLS),
    ]
    return [table for table in made if table.rows]


def battles_table(summary: Summary, group: Group) -> Table:
    """Arena-Hard's score of each model against the baseline."""
    found = _rows(summary, group, "battles")
    remarks = Remarks()
    rows = tuple(
        (
            Cell(text=dimension_label(summary, group, row["dimension"])),
            Cell(text=f"{row['model']} – {row['baseline']}"),
            Cell(
                text=_interval(row, "score") + remarks.mark(row["note"]), sort=row["score"], where=_behind(group, row)
            ),
            _count(row["battles"], _behind(group, row)),
            Cell(text=f"{row['expanded']:,g}", sort=row["expanded"], where=_behind(group, row)),
            _count(row["clusters"], _behind(group, row)),
            _count(row["unread"], _behind(group, row, "unreadable")),
        )
        for row in sorted(found, key=lambda row: (group.place(row["dimension"]), -(row["score"] or 0)))
    )
    columns = (
        name_column("Dimension"),
        name_column("Model – baseline"),
        Column(title="Score [95 % interval]", brief="score [95 %]"),
        Column(title="Battles", brief="battles"),
        Column(title="… weighed", brief="weighed"),
        Column(title="Questions", brief="questions"),
        Column(title="Unread", brief="unread"),
    )
    said = [f"{_policy(name)} Here both orders are battles of their own and >> counts as published."
            for name in distinct(row["policy"] for row in found)]  # fmt: skip
    return Table(
        title=BATTLES,
        columns=columns,
        rows=rows,
        remarks=(*said, *remarks.lines()) if rows else (),
    )


def _policy(policy: str) -> str:
    """How far the games' swap policy heeds by how much an answer is ahead."""
    if policy == "score":
        return "Win rates and ratings (swap policy score) go to whoever has more points in both orders together."
    return f"Win rates and ratings (swap policy {policy}) count A>>B as they count A>B."


def evidence_table(summary: Summary, group: Group) -> Table:
    """Outcomes by calibrated scores, conflict rate and entropy of each pair that was given two scores."""
    found = _rows(summary, group, "evidence")
    rows = tuple(
        (
            Cell(text=dimension_label(summary, group, row["dimension"])),
            Cell(text=f"{row['left']} – {row['right']}"),
            Cell(text=f"{row['wins']} / {row['ties']} / {row['losses']}", where=_behind(group, row)),
            Cell(text=rate(row["conflict_rate"]), sort=row["conflict_rate"], where=_behind(group, row)),
            Cell(text=rate(row["bpde"]), sort=row["bpde"], where=_behind(group, row)),
            _count(row["samples"], _behind(group, row)),
            _count(row["unread"], _behind(group, row, "unreadable")),
            Cell(text=_some(row["for_people"])),
        )
        for row in found
    )
    columns = (
        name_column("Dimension"),
        name_column("Pair"),
        Column(title="Win / tie / loss by calibrated scores", brief="win/tie/loss"),
        Column(title="Conflict rate", brief="conflict"),
        Column(title="Mean entropy (BPDE), of its most", brief="BPDE"),
        Column(title="Samples", brief="samples"),
        Column(title="Unread", brief="unread"),
        Column(title="First to be given to people", numeric=False),
    )
    remarks = []
    if rows:
        remarks.append(
            "Calibrated: the mean of all samples of both orders (FairEval's MEC and BPC). BPDE: how far the samples of "
            "both orders disagree, from 0 to 1; the fifth of the items where they do most, those without a readable "
            "sample first, is what people should see (summary.json lists all)."
        )
    if without := sum(row["without"] for row in found):
        remarks.append(f"{without} items have no readable sample and no outcome.")
    return Table(title=EVIDENCE, columns=columns, rows=rows, remarks=tuple(remarks))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "") or MISSING


def preferences_table(summary: Summary, group: Group) -> Table:
    """Shares of win, tie and loss, and of equal or better, of each pair (LIMA)."""
    columns = (
        name_column("Pair"),
        Column(title="Win [95 % interval]", brief="win [95 %]"),
        Column(title="Tie", brief="tie"),
        Column(title="Loss", brief="loss"),
        Column(title="Equal or better [95 % interval]", brief="equal or better [95 %]"),
        Column(title="Games"),
        Column(title="Questions"),
    )
    rows = tuple(
        (
            Cell(text=f"{row['left']} – {row['right']}"),
            Cell(text=_interval(row, "win", "win_"), sort=row["win"], where=_outcome(group, row, "wins")),
            Cell(text=rate(row["tie"]), sort=row["tie"], where=_outcome(group, row, "ties")),
            Cell(text=rate(row["loss"]), sort=row["loss"], where=_outcome(group, row, "losses")),
            Cell(
                text=_interval(row, "equal_or_better", "equal_or_better_"),
                sort=row["equal_or_better"],
                where=_behind(group, row),
            ),
            _count(row["n"], _behind(group, row)),
            _count(row["clusters"], _behind(group, row)),
        )
        for row in _rows(summary, group, "preferences")
    )
    return Table(title="Significantly better or neither (LIMA)", columns=columns, rows=rows)


def checklists_table(summary: Summary, group: Group) -> Table:
    """Shares of checklists met by each model."""
    columns = (
        name_column("Model"),
        Column(title="Questions met, DRFR [95 % interval]", brief="DRFR [95 %]"),
        Column(title="Mean over items [95 % interval]", brief="macro [95 %]"),
        Column(title="Items that meet all", brief="all met"),
        Column(title="Items"),
        Column(title="Questions", brief="questions"),
        Column(title="Unread", brief="unread"),
    )
    rows = tuple(
        (
            Cell(text=row["model"]),
            Cell(text=_interval(row, "micro", "micro_"), sort=row["micro"], where=_behind(group, row)),
            Cell(text=_interval(row, "macro", "macro_"), sort=row["macro"], where=_behind(group, row)),
            Cell(text=rate(row["all_pass"]), sort=row["all_pass"], where=_behind(group, row)),
            _count(row["items"], _behind(group, row)),
            _count(row["questions"], _behind(group, row)),
            _count(row["unread"], _behind(group, row, "unreadable")),
        )
        for row in _rows(summary, group, "checklists")
    )
    return Table(title="Checklists", columns=columns, rows=rows)


def facts_table(summary: Summary, group: Group) -> Table:
    """FActScore, facts per response and share of answers that respond."""
    columns = (
        name_column("Model"),
        Column(title="FActScore", brief="FActScore"),
        Column(title="… without length penalty", brief="supported"),
        Column(title="Answers that respond", brief="respond"),
        Column(title="Facts per response", brief="facts"),
        Column(title="Answers", brief="answers"),
        Column(title="Unread", brief="unread"),
    )
    rows = tuple(
        (
            Cell(text=row["model"]),
            Cell(text=rate(row["score"]), sort=row["score"], where=_behind(group, row)),
            Cell(text=rate(row["supported"]), sort=row["supported"], where=_behind(group, row)),
            Cell(text=rate(row["respond_ratio"]), sort=row["respond_ratio"], where=_behind(group, row)),
            Cell(text=grade(row["facts_per_response"]), sort=row["facts_per_response"], where=_behind(group, row)),
            _count(row["answers"], _behind(group, row)),
            _count(row["unread"], _behind(group, row, "unreadable")),
        )
        for row in _rows(summary, group, "facts")
    )
    return Table(title="Facts supported (FActScore)", columns=columns, rows=rows)


def levels_table(summary: Summary, group: Group) -> Table:
    """How often each level was given to each model, and the share of A and B."""
    found = _rows(summary, group, "levels")
    names = distinct(name for row in found for name in row["counts"])
    acceptable = any(row["acceptable"] is not None for row in found)
    columns = [name_column("Dimension"), name_column("Model"), *(Column(title=name, brief=name) for name in names)]
    columns += [Column(title="A or B [95 % interval]", brief="A or B [95 %]")] if acceptable else []
    columns.append(Column(title="Unscored", brief="unscored"))
    rows = tuple(
        (
            Cell(text=dimension_label(summary, group, row["dimension"])),
            Cell(text=row["model"]),
            *(_count(row["counts"].get(name, 0), _of_level(group, row, name)) for name in names),
            *([_acceptable(group, row)] if acceptable else []),
            _count(row["unscored"], _behind(group, row, "unscored")),
        )
        for row in found
    )
    return Table(title="Levels given", columns=tuple(columns), rows=rows)


def skills_table(summary: Summary, group: Group, by: str) -> Table:
    """Mean grades of each model by skill, by difficulty, by domain, or in every cell of the three."""
    fields = ("skill", "difficulty", "domain") if by == EVERY_CELL else (by,)
    columns = (
        *(name_column(name.capitalize()) for name in fields),
        name_column("Model"),
        Column(title="Mean grade [95 % interval]", brief="grade [95 %]"),
        Column(title="Grades", brief="grades"),
        Column(title="Questions", brief="questions"),
        Column(title="Not applicable or unread", brief="no grade"),
    )
    found = [row for row in _rows(summary, group, "skills") if row["by"] == by]
    skills = [skill_name(dimension) for dimension in group.dimensions]

    def order(row: Row) -> tuple[int, tuple[str, ...]]:
        place = skills.index(row["skill"]) if row["skill"] in skills else len(skills)
        return place, tuple(row[name] for name in (*fields, "model"))

    rows = tuple(
        (
            *(Cell(text=row[name] or "not said") for name in fields),
            Cell(text=row["model"]),
            Cell(text=_interval(row, "mean", "", grade), sort=row["mean"], where=_graded(group, row, fields)),
            _count(row["n"], _graded(group, row, fields)),
            _count(row["clusters"], _graded(group, row, fields)),
            _count(row["not_applicable"], _graded(group, row, fields, "not applicable or unread")),
        )
        for row in sorted(found, key=order)
    )
    remarks = ("A grade counts in each of its question's domains.",) if rows and by == "domain" else ()
    return Table(title=SKILLS.get(by, f"Grades by {by}"), columns=columns, rows=rows, remarks=remarks)


def _graded(group: Group, row: Row, fields: Sequence[str], what: str = "scored") -> Where:
    """The items whose grades a row counts: of one skill, one difficulty, one domain, or of a cell of all three."""
    cell = tuple((name, row[name]) for name in fields)
    return msgspec.structs.replace(group.where("skills", "", what, row["model"]), cell=cell)


def cells_table(summary: Summary, group: Group) -> Table:
    """Mean grades in every cell of skill, difficulty and domain: long, so for a page that folds it."""
    return skills_table(summary, group, EVERY_CELL)


def _rows(summary: Summary, group: Group, kind: str) -> list[Row]:
    return group.rows(summary.get("protocols", {}).get(kind, []))


def _acceptable(group: Group, row: Row) -> Cell:
    """The share of A and B."""
    where = _behind(group, row, "scored")
    return Cell(text=_interval(row, "acceptable", "acceptable_"), sort=row["acceptable"], where=where)


def _of_level(group: Group, row: Row, name: str) -> Where | None:
    """The items that were given a level, or a grade between levels; None where the summary does not say its grade."""
    grades = row.get("grades", {})
    if not grades or not row["counts"].get(name):
        return None
    what, wanted = ("given", (grades[name],)) if name in grades else ("between", tuple(grades.values()))
    where = group.where("verdicts", row["dimension"], what, row["model"])
    return msgspec.structs.replace(where, cell=(("level", name),) if name in grades else (), grades=wanted)


def _count(value: int, where: Where | None = None) -> Cell:
    return Cell(text=count(value), sort=value, where=where)


def _outcome(group: Group, row: Row, what: str) -> Where:
    """The items on which a pair's games ended so."""
    return group.where("games", row.get("dimension", ""), what, row["left"], row["right"])


def _behind(group: Group, row: Row, what: str = "") -> Where:
    """The items behind a number of a pair, or of one model."""
    dimension = row.get("dimension", "")
    if what or not ("left" in row or "baseline" in row):
        return group.where("verdicts", dimension, what, row.get("model", ""))
    left, right = (row["left"], row["right"]) if "left" in row else (row["model"], row["baseline"])
    return group.where("games", dimension, "", left, right)


def _interval(row: Row, name: str, prefix: str = "", form: Callable[[float | None], str] = rate) -> str:
    return estimate(row[name], row[f"{prefix}low"], row[f"{prefix}high"], form)
