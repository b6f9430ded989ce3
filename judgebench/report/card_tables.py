"""A judge's card as tables of the report: its trials against people or gold labels, and what it took for what."""

from __future__ import annotations

import msgspec

from judgebench.report.behind import Where
from judgebench.report.figures import count
from judgebench.report.judge_card import Trial, trial_table, trial_title
from judgebench.report.judged import Group
from judgebench.report.tables import Cell, Column, Summary, Table, matching, name_column


def card_tables(summary: Summary, group: Group) -> list[Table]:
    """Every trial of the group's judge on its suite, each followed by its confusion matrix; none without a card.

    Counts lead to the items on which both the judge and those it is held against scored the same, along the trial's
    dimension.
    """
    made = []
    for row in matching(summary.get("cards", ()), judge=group.judge, rubric=group.rubric):
        for trial in msgspec.convert(row.get("trials", []), list[Trial]):
            if trial.suite == group.suite:
                where = Where(of="labelled", what=trial.kind, suite=group.suite, judge=group.judge, rubric=group.rubric,
                              dimension=trial.dimension, people=(trial.against,))  # fmt: skip
                made.append(_linked(trial_table(trial), where))
                made += [_confusion(trial)] if trial.confusion else []
    return made


def _linked(table: Table, where: Where) -> Table:
    """The table, its counts linked."""
    places = [place for place, column in enumerate(table.columns) if column.title == "n"]
    rows = tuple(
        tuple(
            msgspec.structs.replace(cell, where=where) if place in places and cell.sort else cell
            for place, cell in enumerate(row)
        )
        for row in table.rows
    )
    return msgspec.structs.replace(table, rows=rows)


def _confusion(trial: Trial) -> Table:
    """What the judge said (columns) of what was true (rows)."""
    rows = tuple(
        (Cell(text=label), *(Cell(text=count(number), sort=number) for number in numbers))
        for label, numbers in zip(trial.labels, trial.confusion, strict=False)
    )
    columns = (name_column("Truth, by the judge's word"), *(Column(title=label) for label in trial.labels))
    return Table(title=f"{trial_title(trial)}: confusion", columns=columns, rows=rows)
