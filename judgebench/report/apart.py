"""Whether a judge tells its dimensions apart: how models go together in every two, and which differ in them."""

from __future__ import annotations

from judgebench.report.figures import estimate, signed
from judgebench.report.judged import Group
from judgebench.report.tables import Cell, Column, Row, Summary, Table, distinct, matching, name_column

EXPLAINED = (
    "Correlation of the models' strengths, errors taken out. A model differs between two dimensions where the 95 % "
    "interval of its difference, in Elo points against the mean of all models in each, leaves out 0."
)


def apart_table(summary: Summary, group: Group) -> Table:
    """Every two dimensions of a group: their correlation over models, and the models that differ in them."""
    found = matching(summary.get("dimensions", []), **group.fields)
    rows, remarks = [], []
    for family in found:
        remarks += [family["note"]] if family["note"] else []
        turned = [_in_order(pair, group) for pair in family["pairs"]]
        for pair in sorted(turned, key=lambda pair: (group.place(pair["one"]), group.place(pair["other"]))):
            r = "too few models" if pair["r"] is None else estimate(pair["r"], pair["low"], pair["high"], signed)
            rows.append(
                (
                    Cell(text=f"{pair['one']} – {pair['other']}"),
                    Cell(text=r, sort=pair["r"]),
                    Cell(text=", ".join(_differing(model) for model in pair["models"] if model["differs"]) or "none"),
                )
            )
    columns = (
        name_column("Dimensions"),
        Column(title="Correlation over models [95 %]", brief="correlation"),
        Column(title="Models that differ", brief="differ", numeric=False),
    )
    return Table(
        title="Dimensions apart" if rows or remarks else "",
        columns=columns,
        rows=tuple(rows),
        remarks=tuple(distinct([EXPLAINED, *remarks])) if rows else (),
    )


def _in_order(pair: Row, group: Group) -> Row:
    """The two dimensions as the group has them in order: differences are then the other way round."""
    if group.place(pair["one"]) <= group.place(pair["other"]):
        return pair
    models = [{**model, "value": None if model["value"] is None else -model["value"]} for model in pair["models"]]
    return {**pair, "one": pair["other"], "other": pair["one"], "models": models}


def _differing(model: dict[str, float]) -> str:
    """A model and by how many Elo points it stands higher in the first of two dimensions."""
    return f"{model['model']} {model['value']:+.0f}"
