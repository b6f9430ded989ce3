"""A comparison of runs as tables: what was compared, how models differ, which answers changed, what one has alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from judgebench.report.figures import MISSING, count, estimate, rate, signed
from judgebench.report.html import Section
from judgebench.report.html_tables import fold, table_of
from judgebench.report.markdown import plain, titled
from judgebench.report.markup import Child, Safe, element, together
from judgebench.report.tables import Cell, Column, Remarks, Row, Table, distinct, name_column
from judgebench.report.usage import TOKENS, Spent, known, number_cell
from judgebench.report.ways import Ways
from judgebench.report.where import Where

Comparison = Mapping[str, Any]
"""What `judgebench report RUN RUN --json` prints."""
SURE = 0.05
"""Level at which two models are said to differ, corrected for all that the page compares."""
TOLD = (
    "Differences are the model less the one it stands against, on the same questions; intervals draw whole questions; "
    f"'higher' and 'lower' hold at {SURE:g} corrected by Holm for every row of this table."
)
GAMES = "A win rate is of games between the two; 0.5 is even."


def runs_table(found: Comparison) -> Table:
    """One row a run, with its own counts."""
    labels = distinct(label for run in found["runs"] for label in run["counts"])
    columns = (
        name_column("Run"),
        name_column("Made"),
        name_column("Models"),
        *(Column(title=label, brief=label if number < 2 else "") for number, label in enumerate(labels)),
    )
    rows = []
    for run in found["runs"]:
        cells = [Cell(text=run["name"]), Cell(text=run["created"]), Cell(text=", ".join(run["models"]) or MISSING)]
        for label in labels:
            entry = run["counts"].get(label)
            if entry is None:
                cells.append(Cell(text=MISSING))
            else:
                of = f" of {count(entry['whole'])}" if entry["whole"] else ""
                cells.append(Cell(text=count(entry["part"]) + of, sort=entry["part"], level=entry["alarm"]))
        rows.append(tuple(cells))
    remarks = ("Counts are of each run by itself; everything below is about what they have in common.",)
    return Table(title="Runs", columns=columns, rows=tuple(rows), remarks=remarks)


SPENT = (
    Column(title="Requests", brief="requests"),
    Column(title="Prompt tokens", brief="prompt tok."),
    Column(title="Completion tokens", brief="compl. tok."),
    Column(title="From the cache"),
    Column(title="Cost", brief="cost"),
)
"""Columns of what was spent."""


def spent_table(found: Comparison) -> Table:
    """One row a run with what it took in all; what nobody counted, or has no price, is said and is never 0."""
    remarks = Remarks()
    rows = []
    for run in found["runs"]:
        spent = msgspec.convert(run["spent"], Spent)
        cells = []
        for field in ("requests", *TOKENS, "cost"):
            names = spent.lacking.get(field, ())
            why = f"of {', '.join(names)}: not known, or not wholly" if names else ""
            currency = run["prices"]["currency"] if field == "cost" else None
            cell = number_cell(getattr(spent, field), not names, currency)
            cells.append(Cell(text=cell.text + remarks.mark(why), sort=cell.sort))
        cells.insert(-1, number_cell(spent.cached, True))
        rows.append((Cell(text=run["name"]), *cells, Cell(text=run["prices"]["date"] or MISSING)))
    below = (
        "Each run as a whole, with what is not compared; replies from the response cache cost nothing.",
        *remarks.lines(),
    )
    columns = (name_column("Run"), *SPENT, Column(title="Prices of", numeric=False))
    return Table(title="What was spent", columns=columns, rows=tuple(rows), remarks=below)


def spent_by_table(found: Comparison) -> Table:
    """One row a model or judge of each run with what it took."""
    rows = tuple(
        (
            Cell(text=run["name"]),
            Cell(text=row["name"]),
            Cell(text=row["role"]),
            *(number_cell(*known(row, field)) for field in ("requests", *TOKENS)),
            number_cell(row["cached"], True),
            number_cell(*known(row, "cost"), run["prices"]["currency"]),
        )
        for run in found["runs"]
        for row in run["usage"]
    )
    columns = (name_column("Run"), name_column("Name"), Column(title="Role", numeric=False), *SPENT)
    return Table(title="What was spent, by model and judge", columns=columns, rows=rows)


def common_table(found: Comparison) -> Table:
    """One row a suite that several runs hold: its items in each, in common, and compared."""
    runs = [run["name"] for run in found["runs"]]
    columns = (
        name_column("Suite"),
        *(Column(title=f"Items in {run}", brief=run) for run in runs),
        Column(title="In common", brief="common"),
        Column(title="Compared", brief="compared"),
        Column(title="Left out for", numeric=False, brief="left out for"),
    )
    rows = []
    for row in found["suites"]:
        why = [f"{model}: {count(number)} without a whole answer" for model, number in row["lacking"].items()]
        why += [f"{model} answered none and is left out itself" for model in row["absent"]]
        places = tuple((row["suite"], item) for item in row["joined"])
        compared = Where(of="listed", what="compared", suite=row["suite"], places=places)
        rows.append(
            (
                Cell(text=row["suite"]),
                *(Cell(text=count(row["items"].get(run)), sort=row["items"].get(run)) for run in runs),
                Cell(text=count(row["common"]), sort=row["common"]),
                Cell(text=count(len(places)), sort=len(places), where=compared),
                Cell(text="; ".join(why) or MISSING),
            )
        )
    remarks = ("Compared are items that every run of the suite holds and every model answered whole.",)
    return Table(title="What the runs have in common", columns=columns, rows=tuple(rows), remarks=remarks)


def said(row: Row) -> str:
    """A difference in a word: higher, lower, not told apart, or that it has no test."""
    p_value = row["holm_p"]
    if row["value"] is None or p_value is None:
        return "no test"
    middle = 0.5 if row["method"] == "win rate" else 0.0
    if p_value >= SURE:
        return "not told apart"
    return "higher" if row["value"] > middle else "lower"


def differences_table(found: Comparison) -> Table:
    """How the models of different runs differ, on everything both were scored on."""
    columns = (
        name_column("What", "what"),
        name_column("Model", "model"),
        name_column("Against", "against"),
        Column(title="Difference or win rate [95 % interval]", brief="difference [95 %]"),
        Column(title="So it is", numeric=False, brief="it is"),
        Column(title="p, by Holm"),
        Column(title="Questions", brief="n"),
        Column(title="Better on", brief=""),
        Column(title="Worse on", brief=""),
        Column(title="Alike on"),
        Column(title="Smallest detectable"),
        Column(title="Measured by", numeric=False),
    )
    remarks = Remarks()
    rows = []
    for row in found["differences"]:
        games = row["method"] == "win rate"
        value = estimate(row["value"], row["low"], row["high"], rate if games else signed)
        p_value = row["holm_p"]
        by = [row["judge"], row["rubric"], "win rate" if games else ""]
        lists = [
            Cell(text=count(len(row[name])), sort=len(row[name]), where=_listed(row, name, row[name]))
            for name in ("better", "worse", "alike")
        ]
        rows.append(
            (
                Cell(text=f"{row['suite']}: {row['dimension']}"),
                Cell(text=row["left"]),
                Cell(text=row["right"]),
                Cell(text=value + remarks.mark(row["note"]), sort=row["value"]),
                Cell(text=said(row)),
                Cell(text=MISSING if p_value is None else f"{p_value:.3g}", sort=p_value),
                Cell(text=count(row["clusters"]), sort=row["clusters"]),
                *lists,
                Cell(text=rate(row["smallest_difference"]), sort=row["smallest_difference"]),
                Cell(text=", ".join(part for part in by if part)),
            )
        )
    below = [TOLD] + [GAMES] * any(row["method"] == "win rate" for row in found["differences"])
    below += remarks.lines()
    return Table(title="Differences", columns=columns, rows=tuple(rows), remarks=tuple(below) if rows else ())


def _listed(row: Row, what: str, items: Sequence[str]) -> Where:
    return Where(
        of="listed", what=f"{what} by {row['dimension']}", suite=row["suite"], model=row["left"], other=row["right"],
        judge=row["judge"], places=tuple((row["suite"], item) for item in items),
    )  # fmt: skip


def changed_table(found: Comparison) -> Table:
    """Which answers of a model changed that two runs asked; no rows where none was asked twice."""
    columns = (
        name_column("Suite"),
        name_column("Model"),
        name_column("Asked again as", "again as"),
        Column(title="Same words", brief="same"),
        Column(title="Other words", brief="changed"),
    )
    rows = tuple(
        (
            Cell(text=row["suite"]),
            Cell(text=row["one"]),
            Cell(text=row["other"]),
            Cell(text=count(row["same"]), sort=row["same"]),
            Cell(
                text=count(len(row["changed"])),
                sort=len(row["changed"]),
                where=Where(
                    of="listed",
                    what="other words",
                    suite=row["suite"],
                    model=row["one"],
                    other=row["other"],
                    places=tuple((row["suite"], item) for item in row["changed"]),
                ),
            ),
        )
        for row in found["changed"]
    )
    return Table(title="Answers that changed", columns=columns, rows=rows)


def only_lines(found: Comparison) -> list[str]:
    """What is in one run only, or counts for no comparison."""
    lines = [f"{row['suite']}: only in {row['run']} ({count(row['items'])} items)" for row in found["only"]["suites"]]
    lines += [
        f"{row['suite']}: only {row['run']} was judged by {' by '.join(filter(None, (row['judge'], row['rubric'])))}"
        for row in found["only"]["judged"]
    ]
    lines += [
        f"{row['model']}: one model, its answers are the same in {' and '.join(row['runs'])}"
        for row in found["models"]
        if len(row["runs"]) > 1
    ]
    if not found["differences"]:
        lines.append("no two models of different runs were scored on the same items: nothing differs here")
    if found["twice"]:
        lines.append(
            f"{count(found['twice'])} verdicts are in several runs, on the same answers; the first run's count"
            + (f", and {count(found['differing'])} of them do not say the same" if found["differing"] else "")
        )
    return lines


def tables(found: Comparison) -> list[Table]:
    """Every table of the comparison that has rows, in the order of the page."""
    made = (runs_table(found), differences_table(found), changed_table(found), common_table(found),
            spent_table(found), spent_by_table(found))  # fmt: skip
    return [table for table in made if table.rows]


def sections(found: Comparison, ways: Ways | None) -> list[Section]:
    """The sections that follow the leaderboard of the joined runs."""
    parts: list[Child] = []
    parts.append(table_of(runs_table(found), ways, caption=False))
    links = [(run["name"], run["report"]) for run in found["runs"] if run["report"]]
    if links:
        own = [element("li", element("a", {"href": address}, f"Report of {name}")) for name, address in links]
        parts.append(element("nav", {"aria-label": "Reports"}, element("ul", own)))
    made: list[Section] = [("runs", "Runs", together(parts))]
    for name, table in (("differences", differences_table(found)), ("changed", changed_table(found))):
        if table.rows:
            made.append((name, table.title, table_of(table, ways, caption=False)))
    common: list[Safe] = [table_of(common_table(found), ways, caption=False)]
    only = only_lines(found)
    if only:
        common += [
            element("h3", "In one run only, or in several"),
            element("ul", [element("li", line) for line in only]),
        ]
    made.append(("common", "What was compared", together(common)))
    spent: list[Safe] = [table_of(spent_table(found), ways, caption=False)]
    by = spent_by_table(found)
    spent += [fold("By model and judge", table_of(by, ways, caption=False))] if by.rows else []
    made.append(("spent", "What was spent", together(spent)))
    return made


def render_comparison_markdown(found: Comparison) -> str:
    """The tables of the comparison as Markdown, without the joined runs' own."""
    title = ", ".join(run["name"] for run in found["runs"])
    lines = [f"# {plain(title)}", ""]
    lines += [f"- {plain(line)}" for line in found["unlike"]] + [""] * bool(found["unlike"])
    for table in tables(found):
        lines += titled(table, 2)
    lines += [f"- {plain(line)}" for line in only_lines(found)]
    return "\n".join(lines).rstrip("\n") + "\n"
