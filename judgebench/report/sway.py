"""What sways a judge, as tables: the effects with people's own beside, and ratings with all of it taken out."""

from __future__ import annotations

from judgebench.report.figures import MISSING, between, count, estimate, points, rate, signed
from judgebench.report.judged import Group, dimension_label
from judgebench.report.tables import Cell, Column, Remarks, Row, Summary, Table, distinct, name_column
from judgebench.report.where import Where

EFFECTS = {
    "position": "shown first",
    "length": "longer",
    "lists": "more list entries",
    "headers": "more headings",
    "bold": "more bold",
    "self": "of its own family",
}
"""Effect → what an answer is, that it favours."""
EXPLAINED = (
    "Log-odds that being so adds to an answer, all estimated together with the models' strengths; length and style for "
    "one unit of (a - b) / (a + b). Win rate: of an equally good answer that is so by as much as answers here differ "
    "on average; 0.5 is no effect."
)
DEBIASED = (
    "Bradley–Terry on the Elo scale from verdicts in the order shown: plain, and with every effect above that could be "
    "estimated taken out."
)


def sway_table(summary: Summary, group: Group) -> Table:
    """Every effect on the judge, per dimension, with the people's own value beside; P(prefers the longer) included."""
    columns = (
        name_column("Dimension"),
        name_column("Favours an answer that is", "favours"),
        Column(title="Log-odds [95 % interval]", brief="log-odds [95 %]"),
        Column(title="Win rate if equally good", brief="win rate"),
        Column(title="People's own", brief="people"),
        Column(title="Verdicts"),
        Column(title="Questions"),
    )
    remarks = Remarks()
    rows: list[tuple[Cell, ...]] = []
    for row in _rows(summary, group):
        label = Cell(text=dimension_label(summary, group, row["dimension"]))
        where = group.where("verdicts", row["dimension"], "scored")
        counts = tuple(Cell(text=count(row[field]), sort=row[field], where=where) for field in ("verdicts", "clusters"))
        for effect in row["effects"]:
            if effect["value"] is None:
                continue
            rows.append(
                (
                    label,
                    Cell(text=EFFECTS[effect["name"]]),
                    Cell(text=_logit(effect) + remarks.mark(effect["note"]), sort=effect["value"], where=where),
                    Cell(text=rate(effect["share"]), sort=effect["share"], where=where),
                    Cell(text=estimate(effect["people"], effect["people_low"], effect["people_high"], signed)),
                    *counts,
                )
            )
        undefined = [effect for effect in row["effects"] if effect["value"] is None]
        for note in distinct(effect["note"] for effect in undefined):
            names = ", ".join(EFFECTS[effect["name"]] for effect in undefined if effect["note"] == note)
            cells = (label, Cell(text=names), Cell(text=MISSING + remarks.mark(note)), Cell(text=MISSING))
            rows.append((*cells, Cell(text=MISSING), *counts))
        rows += [(label, *cells) for cells in _shares(row, group)]
    over = {row["reference"] for row in _rows(summary, group) if row["reference"] and row["own"]}
    below = [EXPLAINED, *(f"Own family: the excess over {who}." for who in sorted(over))]
    return Table(
        title="What sways the judge",
        columns=columns,
        rows=tuple(rows),
        remarks=(*below, *remarks.lines()) if rows else (),
    )


def debiased_table(summary: Summary, group: Group) -> Table:
    """Plain and debiased ratings of every model, per dimension, best debiased first."""
    columns = (
        name_column("Dimension"),
        name_column("Model"),
        Column(title="Plain [95 % interval]", brief="plain [95 %]"),
        Column(title="Debiased [95 % interval]", brief="debiased [95 %]"),
        Column(title="Moved by", brief="moved"),
    )
    rows = []
    for row in _rows(summary, group):
        for each in row["ratings"]:
            moved = each["debiased"] - each["plain"]
            where = group.where("verdicts", row["dimension"], "scored", each["model"])
            rows.append(
                (
                    Cell(text=dimension_label(summary, group, row["dimension"])),
                    Cell(text=each["model"]),
                    Cell(text=_elo(each, "plain"), sort=each["plain"], where=where),
                    Cell(text=_elo(each, "debiased"), sort=each["debiased"], where=where),
                    Cell(text=f"{round(moved) + 0:+d}", sort=moved, where=where),
                )
            )
    notes = distinct(f"{row['dimension']}: {row['note']}" for row in _rows(summary, group) if row["note"])
    return Table(
        title="Ratings, debiased", columns=columns, rows=tuple(rows), remarks=(DEBIASED, *notes) if rows else ()
    )


def _rows(summary: Summary, group: Group) -> list[Row]:
    return group.rows(summary.get("sway", []))


def _logit(effect: Row) -> str:
    return estimate(effect["value"], effect["low"], effect["high"], signed)


def _elo(row: Row, kind: str) -> str:
    return estimate(row[kind], row[f"{kind}_low"], row[f"{kind}_high"], points)


def _shares(row: Row, group: Group) -> list[tuple[Cell, ...]]:
    """Lines that are plain shares: P(prefers the longer), and how often repeated verdicts are the same."""
    lines: list[tuple[Cell, ...]] = []
    longer, stability, position = row["longer"], row["stability"], row["position"]
    if position is not None:
        both = group.where("orders", row["dimension"])
        lines.append(_line("shown first: share", position["first_rate"], MISSING, both))
        lines.append(_line("same in both orders: share", position["consistency"], MISSING, both))
    if longer is not None and longer["prefers_longer"]["n"]:
        own, people = longer["prefers_longer"], longer["people"]
        theirs = MISSING if people is None else estimate(people["value"], people["low"], people["high"])
        lines.append(_line("longer by 30 characters: share", own, theirs))
    if stability is not None:
        lines.append(_line("same when asked again: share", stability["pairwise_agreement"], MISSING))
    return lines


def _line(name: str, found: Row, theirs: str, where: Where | None = None) -> tuple[Cell, ...]:
    interval = between(found["low"], found["high"], rate)
    counts = tuple(Cell(text=count(found[field]), sort=found[field], where=where) for field in ("n", "clusters"))
    share = Cell(text=rate(found["value"]), where=where)
    return Cell(text=name), Cell(text=interval), share, Cell(text=theirs), *counts
