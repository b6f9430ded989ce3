"""People's labels beside a judge's verdicts: win rates by the judge alone, by people alone, and by both together."""

from __future__ import annotations

from judgebench.report.figures import count, estimate, outside, points, share_estimate, uncut
from judgebench.report.judged import Group, dimension_label
from judgebench.report.tables import Cell, Column, Remarks, Row, Summary, Table, distinct, matching, name_column
from judgebench.report.where import Where

METHODS = {
    "ppi": "Together by PPI++: the judge's mean on everything, corrected by what people say on a random sample of it.",
    "augmented": "Together by augmented means: labels were drawn with known chances, and weigh by them.",
}
"""How people and judge were put together → how it is said."""
OLD = "The run holds other verdicts now: 'judgebench rate RUN --calibrate human' puts people and judge together anew."
"""What is said where counts show that something was judged since."""


def _alone(summary: Summary, group: Group, row: Row) -> Row:
    """The judge's own win rate on everything; that on what nobody labelled, where the summary has none."""
    of_model = {"dimension": row["dimension"], "model": row["model"], "method": "win-rate"}
    for rating in matching(summary["ratings"], **group.fields, **of_model):
        return rating
    judged = row["verdicts"] + (row["labels"] if row["method"] == "augmented" else 0)
    return {"value": row["judge_win_rate"], "low": row["judge_low"], "high": row["judge_high"], "n": judged}


def _order(group: Group, row: Row) -> tuple[int, str, bool, float]:
    """By dimension, the best first, those without a calibrated figure last."""
    return group.place(row["dimension"]), row["dimension"], row["win_rate"] is None, -(row["win_rate"] or 0)


def _share(remarks: Remarks, value: float | None, low: float | None, high: float | None) -> str:
    """A win rate with its interval, cut to [0, 1], with a mark to a remark that tells it whole."""
    odd = any(outside(each) for each in (value, low, high))
    return share_estimate(value, low, high) + remarks.mark(uncut(value, low, high) if odd else "")


def calibrated_table(summary: Summary, group: Group) -> Table:
    """A row for each model and dimension that people labelled too; no rows where nothing was calibrated."""
    columns = (
        name_column("Dimension"),
        name_column("Model"),
        Column(title="Judge alone [95 % interval]", brief="judge [95 %]"),
        Column(title="People alone [95 % interval]", brief="people [95 %]"),
        Column(title="Together [95 % interval]", brief="together [95 %]"),
        Column(title="Elo, together [95 % interval]"),
        Column(title="Elo, joint bias model [95 % interval]"),
        Column(title="Labels", brief="labels"),
        Column(title="Games"),
    )
    remarks = Remarks()
    rows = []
    grown = 0
    found = matching(summary.get("calibrated", ()), **group.fields)
    for row in sorted(found, key=lambda row: _order(group, row)):
        labelled = Where(of="labelled", suite=group.suite, judge=group.judge, rubric=group.rubric,
                         dimension=row["dimension"], model=row["model"], people=tuple(row["people"]))  # fmt: skip
        alone = _alone(summary, group, row)
        grown += alone["n"] not in (row["verdicts"], row["verdicts"] + row["labels"])
        rows.append(
            (
                Cell(text=dimension_label(summary, group, row["dimension"])),
                Cell(text=row["model"] + remarks.mark(row["note"])),
                Cell(
                    text=_share(remarks, alone["value"], alone["low"], alone["high"]),
                    sort=alone["value"],
                    where=group.where("games", row["dimension"], model=row["model"]),
                ),
                Cell(
                    text=_share(remarks, row["people_win_rate"], row["people_low"], row["people_high"]),
                    sort=row["people_win_rate"],
                    where=labelled,
                ),
                Cell(
                    text=_share(remarks, row["win_rate"], row["win_rate_low"], row["win_rate_high"]),
                    sort=row["win_rate"],
                ),
                Cell(text=estimate(row["elo"], row["elo_low"], row["elo_high"], points), sort=row["elo"]),
                Cell(
                    text=estimate(row["joint_elo"], row["joint_low"], row["joint_high"], points), sort=row["joint_elo"]
                ),
                Cell(text=count(row["labels"]), sort=row["labels"], where=labelled),
                Cell(text=count(alone["n"]), sort=alone["n"]),
            )
        )
    people = distinct(name for row in found for name in row["people"])
    below = [f"Win rates by {group.judge}, by people ({', '.join(people)}), and by both."] if rows else []
    below += [METHODS.get(method, method) for method in distinct(row["method"] for row in found if row["method"])]
    below += [OLD] if grown else []
    return Table(title="Judge and people", columns=columns, rows=tuple(rows), remarks=(*below, *remarks.lines()))
