"""A judge's own record: games of every pair, verdicts by order and reason, position bias and consistency."""

from __future__ import annotations

from judgebench.report.figures import MISSING, count, counted_share, estimate, level, out_of, rate, signed
from judgebench.report.judged import Group, dimension_label
from judgebench.report.overview import reasons
from judgebench.report.tables import Cell, Column, Summary, Table, name_column


def pairs_table(summary: Summary, group: Group) -> Table:
    """Wins, ties and losses of every pair that met, with the swap policy they were counted by."""
    columns = (
        name_column("Dimension"),
        name_column("Left"),
        name_column("Right"),
        Column(title="Wins", brief="W"),
        Column(title="Ties", brief="T"),
        Column(title="Losses", brief="L"),
        Column(title="Win rate of left [95 % interval]", brief="win rate [95 %]"),
        Column(title="Games"),
        Column(title="Questions"),
        Column(title="Left out", brief="out"),
        Column(title="Swap policy", numeric=False),
    )
    rows = []
    for row in group.rows(summary["pairs"]):
        tried = row["n"] + row["left_out"]
        met = {
            field: group.where("games", row["dimension"], what, row["left"], row["right"])
            for field, what in (("wins", "wins"), ("ties", "ties"), ("losses", "losses"), ("left_out", "left out"))
        }
        every = group.where("games", row["dimension"], "", row["left"], row["right"])
        rows.append(
            (
                Cell(text=dimension_label(summary, group, row["dimension"])),
                Cell(text=row["left"]),
                Cell(text=row["right"]),
                *(
                    Cell(text=count(row[field]), sort=row[field], where=met[field])
                    for field in ("wins", "ties", "losses")
                ),
                Cell(text=estimate(row["win_rate"], row["low"], row["high"]), sort=row["win_rate"], where=every),
                *(Cell(text=count(row[field]), sort=row[field], where=every) for field in ("n", "clusters")),
                Cell(
                    text=counted_share(row["left_out"], tried),
                    sort=row["left_out"],
                    level=level(row["left_out"], tried),
                    where=met["left_out"],
                ),
                Cell(text=row["policy"]),
            )
        )
    remarks = ("Left out: games in which one order has no verdict; they count for neither side.",) if rows else ()
    return Table(title="Pairs", columns=columns, rows=tuple(rows), remarks=remarks)


def verdicts_table(summary: Summary, group: Group) -> Table:
    """How many of the planned verdicts were scored, by order, and why the others were not."""
    columns = (
        name_column("Dimension"),
        Column(title="Scored/planned", brief="scored"),
        Column(title="Unscored", brief="unscored"),
        Column(title="First order", brief="1st order"),
        Column(title="Second order", brief="2nd order"),
        Column(title="Reasons", numeric=False),
    )
    rows = []
    for row in group.rows(summary["verdicts"]):
        orders = {order: row["by_order"].get(order) for order in ("first", "second")}
        rows.append(
            (
                Cell(text=row["dimension"]),
                Cell(
                    text=out_of(row["scored"], row["planned"]),
                    sort=row["scored"],
                    level=level(row["unscored"], row["planned"]),
                    where=group.where("verdicts", row["dimension"], "scored"),
                ),
                Cell(
                    text=counted_share(row["unscored"], row["planned"]),
                    sort=row["unscored"],
                    level=level(row["unscored"], row["planned"]),
                    where=group.where("verdicts", row["dimension"], "unscored"),
                ),
                *(
                    Cell(
                        text=out_of(order["scored"], order["planned"]) if order else MISSING,
                        where=group.where("verdicts", row["dimension"], f"{name} order") if order else None,
                    )
                    for name, order in orders.items()
                ),
                Cell(text=reasons(row["reasons"])),
            )
        )
    return Table(title="Verdicts", columns=columns, rows=tuple(rows))


def bias_table(summary: Summary, group: Group) -> Table:
    """The judge's position bias and consistency, per dimension."""
    columns = (
        name_column("Dimension"),
        Column(title="Pairs judged in both orders", brief="pairs"),
        Column(title="First answer preferred", brief="first"),
        Column(title="Position bias", brief="bias"),
        Column(title="Consistency", brief="consist."),
        Column(title="Conflict rate", brief="conflict"),
        Column(title="Flips", brief="flips"),
        Column(title="Flip rate", brief="flip rate"),
    )
    rows = []
    for row in group.rows(summary["bias"]):
        every, conflicts, flips = (group.where("orders", row["dimension"], what) for what in ("", "conflicts", "flips"))
        rows.append(
            (
                Cell(text=dimension_label(summary, group, row["dimension"])),
                Cell(text=count(row["pairs"]), sort=row["pairs"], where=every),
                Cell(text=rate(row["first_rate"]), sort=row["first_rate"], where=every),
                Cell(text=signed(row["position_bias"]), sort=row["position_bias"], where=every),
                Cell(text=rate(row["consistency"]), sort=row["consistency"], where=every),
                Cell(text=rate(row["conflict_rate"]), sort=row["conflict_rate"], where=conflicts),
                Cell(text=count(row["flips"]), sort=row["flips"], where=flips),
                Cell(text=rate(row["flip_rate"]), sort=row["flip_rate"], where=flips),
            )
        )
    remarks = (
        "Position bias: first answer preferred minus one half; 0 is none, +0.5 always the first. "
        "Conflict: win, tie or loss changes with the order. Flip: the winner changes sides.",
    )
    return Table(
        title="Position bias and consistency", columns=columns, rows=tuple(rows), remarks=remarks if rows else ()
    )
