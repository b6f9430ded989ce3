"""Judged results: leaderboards, win-rate matrices, the judge's own record, grades."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from judgebench.report.contaminated import taint
from judgebench.report.figures import (
    MISSING,
    count,
    estimate,
    grade,
    points,
    rate,
    spread,
)
from judgebench.report.places import ranked
from judgebench.report.tables import (
    Cell,
    Column,
    Remarks,
    Row,
    Summary,
    Table,
    distinct,
    judge_label,
    matching,
    name_column,
    suite_label,
)
from judgebench.report.where import Where
from judgebench.types import Record

METHODS = {
    "win-rate": "Win rate [95 % interval]",
    "bradley-terry": "Bradley–Terry [95 % interval]",
    "hierarchical": "Hierarchical [95 % interval]",
    "online-elo": "Online Elo ± sd over shuffles",
    "grade": "Mean grade [95 % interval]",
}
"""Rating method → its column's heading, in the order of the columns; others follow under their own names."""
BRIEF = {"win-rate": "win rate [95 %]", "bradley-terry": "BT [95 %]", "online-elo": "Elo ± sd", "grade": "grade [95 %]"}
"""The same for a terminal."""
ELO_NOTE = (
    "Online Elo depends on the order of the games: shown are mean and standard deviation over random shuffles. "
    "Prefer Bradley–Terry, which does not."
)
RANK_NOTE = "Rank is a range: models that are not told apart at 95 % share places."


class Group(Record, frozen=True, kw_only=True):
    """Everything one judge said by one rubric about one suite."""

    suite: str
    """Name of the suite; empty for all."""
    judge: str
    """Name of the judge."""
    rubric: str
    """``name@hash``."""
    dimensions: tuple[str, ...]
    """In the rubric's own order; those that it does not name, or all where it is not known, in that of the run."""

    def where(
        self, of: Literal["verdicts", "games", "orders", "skills"], dimension: str, what: str = "", model: str = "",
        other: str = "",
    ) -> Where:  # fmt: skip
        """The items behind a number of this group."""
        return Where(
            of=of, what=what, suite=self.suite, judge=self.judge, rubric=self.rubric, dimension=dimension,
            model=model, other=other,
        )  # fmt: skip

    def place(self, dimension: str) -> int:
        """Where a dimension stands among the group's; behind all where it is none of them."""
        return self.dimensions.index(dimension) if dimension in self.dimensions else len(self.dimensions)

    def rows(self, rows: Sequence[Row]) -> list[Row]:
        """The rows that belong here, by dimension in the group's order; those of one dimension stay in order."""
        return sorted(matching(rows, **self.fields), key=lambda row: self.place(row.get("dimension", "")))

    @property
    def fields(self) -> dict[str, str]:
        """What a row of the summary must hold to belong here."""
        return {"suite": self.suite, "judge": self.judge, "rubric": self.rubric}


class Matrix(Record, frozen=True, kw_only=True):
    """Win rates of every row's model over every column's."""

    models: tuple[str, ...]
    """Rows and columns, the best first."""
    cells: dict[tuple[str, str], tuple[float | None, float | None, float | None, int]]
    """(row, column) → win rate, low, high, games; both directions of every pair that met."""


def groups(summary: Summary) -> list[Group]:
    """The groups that hold a verdict, a pair, a grade or a judged rating, in order of first appearance.

    Dimensions are in the order of their rubric, where the summary holds it.
    """
    found: dict[tuple[str, str, str], list[str]] = {}
    judged = [row for row in summary["ratings"] if row["method"] != "accuracy"]
    for row in [*summary["verdicts"], *summary["pairs"], *summary["grades"], *summary["bias"], *judged]:
        found.setdefault((row["suite"], row["judge"], row["rubric"]), []).append(row["dimension"])
    known = summary.get("rubric_dimensions", {})
    return [
        Group(suite=suite, judge=judge, rubric=rubric, dimensions=tuple(_in_order(dimensions, known.get(rubric, ()))))
        for (suite, judge, rubric), dimensions in found.items()
    ]


def _in_order(dimensions: Sequence[str], rubric: Sequence[str]) -> list[str]:
    """The dimensions without repeats: first those of the rubric as it has them, then the others."""
    found = distinct(dimensions)
    return [each for each in rubric if each in found] + [each for each in found if each not in rubric]


def group_title(summary: Summary, group: Group) -> str:
    """Suite, judge and rubric in one line; a baseline judge is called one."""
    parts = [suite_label(group.suite), f"judge {judge_label(summary, group.judge)}", group.rubric]
    return " · ".join(part for part in parts if part)


def card_line(summary: Summary, group: Group) -> str:
    """What the judge's card says in one line, or that it has none, and what it was trained on; empty for people."""
    rows = matching(summary.get("cards", ()), judge=group.judge, rubric=group.rubric)
    text = str(rows[0]["text"]) if rows else ""
    tainted = "" if "was trained on" in text else taint(summary, group.suite, group.judge, "judges")
    return "; ".join(filter(None, (text, tainted)))


def dimension_label(summary: Summary, group: Group, dimension: str) -> str:
    """The dimension's name; an ``overall`` that no judge was asked for says that it is a mean of dimensions."""
    if dimension != "overall" or len(group.dimensions) < 2:
        return dimension
    asked = {row["dimension"] for row in matching(summary["verdicts"], **group.fields)}
    ratings = matching(summary["ratings"], **group.fields, dimension=dimension)
    if (asked and dimension not in asked) or any("mean of" in row["note"] for row in ratings):
        return "overall (mean of dimensions)"
    return dimension


def _ratings(summary: Summary, group: Group, dimension: str) -> list[Row]:
    rows = [
        row for row in matching(summary["ratings"], **group.fields, dimension=dimension) if row["method"] != "accuracy"
    ]
    rated = {(row["model"], row["method"]) for row in rows}
    for row in matching(summary["grades"], **group.fields, dimension=dimension):
        if (row["model"], "grade") not in rated:
            rows.append({**row, "method": "grade"})
    return rows


def headline_method(summary: Summary, group: Group, dimension: str) -> str:
    """The method that sorts and ranks a leaderboard: Bradley-Terry, else win rate, else grade, else the first."""
    present = distinct(row["method"] for row in _ratings(summary, group, dimension))
    for method in ("bradley-terry", "win-rate", "grade"):
        if method in present:
            return method
    return present[0] if present else ""


def estimates(summary: Summary, group: Group, dimension: str, method: str) -> list[Row]:
    """The ratings of one method, best first, undefined ones last; ties by name."""
    rows = [row for row in _ratings(summary, group, dimension) if row["method"] == method]
    return sorted(rows, key=lambda row: (row["value"] is None, -(row["value"] or 0.0), row["model"]))


def rating_text(row: Row) -> str:
    """One rating with its interval, in the form of its method."""
    if row["method"] == "online-elo":
        return spread(row["value"], row["low"], row["high"])
    form = {"bradley-terry": points, "hierarchical": points, "grade": grade, "win-rate": rate}.get(row["method"], rate)
    return estimate(row["value"], row["low"], row["high"], form)


def grade_scale(summary: Summary, group: Group, dimension: str) -> tuple[float, float] | None:
    """Lowest and highest grade that the rubric allows along a dimension; None where nothing was graded."""
    for row in matching(summary["grades"], **group.fields, dimension=dimension):
        return row["scale"][0], row["scale"][1]
    return None


def leaderboard(summary: Summary, group: Group, dimension: str) -> Table:
    """One dimension's models, best first, with every method's number, its interval and its counts."""
    ratings = _ratings(summary, group, dimension)
    present = distinct(row["method"] for row in ratings)
    methods = [method for method in METHODS if method in present] + [name for name in present if name not in METHODS]
    headline = estimates(summary, group, dimension, headline_method(summary, group, dimension))
    ranks, told = ranked(headline, matching(summary.get("fits", ()), **group.fields, dimension=dimension))
    notes = {row["note"] for row in ratings}
    common = notes.pop() if len(notes) == 1 else ""
    ends = grade_scale(summary, group, dimension)
    below = [f"Grades are on the rubric's scale, {ends[0]:g}–{ends[1]:g}."] if ends else []
    below += told
    remarks = Remarks()
    rows = []
    for model in distinct([row["model"] for row in headline] + [row["model"] for row in ratings]):
        of_model = {row["method"]: row for row in ratings if row["model"] == model}
        best, worst = ranks.get(model, (0, 0))
        where = group.where("games", dimension, model=model)
        cells = [
            Cell(text=MISSING if not best else f"{best}" if best == worst else f"{best}–{worst}", sort=best or None),
            Cell(text=model + remarks.mark(taint(summary, group.suite, model))),
        ]
        for method in methods:
            row = of_model.get(method)
            if row is None:
                cells.append(Cell(text=MISSING + remarks.mark(f"no {method} rating")))
            else:
                mark = remarks.mark("" if common else row["note"])
                cells.append(Cell(text=rating_text(row) + mark, sort=row["value"], where=where))
        first = next(iter(of_model.values()))
        cells += [Cell(text=count(first[field]), sort=first[field], where=where) for field in ("n", "clusters")]
        rows.append(tuple(cells))
    columns = (
        Column(title="Rank", brief="rank"),
        name_column("Model"),
        *(Column(title=METHODS.get(method, method), brief=BRIEF.get(method, method)) for method in methods),
        Column(title="n"),
        Column(title="Questions"),
    )
    title = dimension_label(summary, group, dimension)
    if common and common not in title:
        below.append(common)
    return Table(
        title=title,
        columns=columns,
        rows=tuple(rows),
        remarks=(*below, *remarks.lines()),
    )


def matrix(summary: Summary, group: Group, dimension: str) -> Matrix:
    """Win rates between all models that met, mirrored: the column's win rate is 1 minus the row's."""
    cells: dict[tuple[str, str], tuple[float | None, float | None, float | None, int]] = {}
    met: list[str] = []
    for row in matching(summary["pairs"], **group.fields, dimension=dimension):
        value, low, high = row["win_rate"], row["low"], row["high"]
        cells[row["left"], row["right"]] = (value, low, high, row["n"])
        cells[row["right"], row["left"]] = (_rest(value), _rest(high), _rest(low), row["n"])
        met += [row["left"], row["right"]]
    order = [row["model"] for row in estimates(summary, group, dimension, headline_method(summary, group, dimension))]
    models = [model for model in distinct(order) if model in met]
    return Matrix(models=tuple(distinct(models + met)), cells=cells)


def _rest(value: float | None) -> float | None:
    return None if value is None else 1.0 - value


def matrix_table(summary: Summary, group: Group, dimension: str) -> Table:
    """The win-rate matrix as a table: each row's win rate over each column."""
    found = matrix(summary, group, dimension)
    rows = []
    for left in found.models:
        cells = [Cell(text=left)]
        for right in found.models:
            value = found.cells.get((left, right), (None, None, None, 0))[0]
            cells.append(Cell(text="·" if left == right else rate(value), sort=value))
        rows.append(tuple(cells))
    columns = (name_column("Row over column"), *(Column(title=model, brief=model) for model in found.models))
    title = f"{dimension_label(summary, group, dimension)}: win rate of the row over the column"
    return Table(title=title, columns=columns, rows=tuple(rows))
