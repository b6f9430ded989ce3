"""A judge's card as tables of the report: its trials against people or gold labels, and what it took for what."""

from __future__ import annotations

import msgspec

from judgebench.report.figures import count
from judgebench.report.judge_card import JUDGE, Trial, trial_table, trial_title
from judgebench.report.judged import Group
from judgebench.report.tables import Cell, Column, Summary, Table, matching, name_column
from judgebench.report.where import Where


def card_tables(summary: Summary, group: Group) -> list[Table]:
    """Every trial of the group's judge on its suite, each followed by its confusion matrix; none without a card.

    Counts lead to the items on which both the judge and those it is held against scored the same, along the trial's
    dimension; a cell of a confusion matrix to those that the card counted in it.
    """
    made = []
    for row in matching(summary.get("cards", ()), judge=group.judge, rubric=group.rubric):
        trials = msgspec.convert(row.get("trials", []), list[Trial])
        for trial in sorted(trials, key=lambda trial: group.place(trial.dimension)):
            if trial.suite == group.suite:
                where = Where(of="labelled", what=trial.kind, suite=group.suite, judge=group.judge, rubric=group.rubric,
                              dimension=trial.dimension, people=(trial.against,))  # fmt: skip
                made.append(_linked(trial_table(trial), where))
                made += [_confusion(trial, group)] if trial.confusion else []
    return made


def _linked(table: Table, where: Where) -> Table:
    """The table, the judge's own numbers and their counts linked; a measure of nothing leads nowhere."""
    places = [place for place, column in enumerate(table.columns) if column.title == "n" or column.brief == JUDGE]
    count_of = next(place for place, column in enumerate(table.columns) if column.title == "n")
    rows = tuple(
        tuple(
            msgspec.structs.replace(cell, where=where) if place in places and row[count_of].sort else cell
            for place, cell in enumerate(row)
        )
        for row in table.rows
    )
    return msgspec.structs.replace(table, rows=rows)


def _confusion(trial: Trial, group: Group) -> Table:
    """What the judge said (columns) of what was true (rows)."""
    rows = []
    for row, label in enumerate(trial.labels):
        cells = [Cell(text=label)]
        for column, number in enumerate(trial.confusion[row]):
            where = None
            if number and trial.items:
                where = Where(
                    of="listed", what=f"{label} by {trial.against}, {trial.labels[column]} by the judge",
                    suite=group.suite, judge=group.judge, rubric=group.rubric, dimension=trial.dimension,
                    places=tuple((group.suite, item) for item in trial.items[row][column]),
                )  # fmt: skip
            cells.append(Cell(text=count(number), sort=number, where=where))
        rows.append(tuple(cells))
    columns = (name_column("Truth, by the judge's word"), *(Column(title=label) for label in trial.labels))
    return Table(title=f"{trial_title(trial)}: confusion", columns=columns, rows=tuple(rows))
