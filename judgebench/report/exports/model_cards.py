"""Text for a model's page: Markdown tables with intervals, and Hugging Face's ``model-index`` block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from judgebench.files import safe_name
from judgebench.report.cells import written_out
from judgebench.report.exports.held import Exported, Held
from judgebench.report.figures import count, grade, points, rate, spread
from judgebench.report.markdown import plain

FORMS = {"bradley-terry": points, "hierarchical": points, "online-elo": points, "grade": grade}
"""Rating method → how its numbers are written; others are shares."""
ABSOLUTE = ("win-rate", "grade")
"""Methods whose numbers go into a model-index: the others mean something only beside the models that were rated."""
Row = Mapping[str, Any]


def model_card(held: Held) -> Exported:
    """``MODEL.md`` of every model: what it scored, with 95 % intervals, counts and what a reader must know."""
    out = Exported()
    summary = held.summary or {}
    for model in held.models:
        tables = _exact(summary, model) + _judged(held, model)
        if not tables:
            out.note(f"{model} has no number, and so no card")
            continue
        made = f"Measured with JudgeBench {plain(held.version)}, run {plain(held.name)} of {plain(held.created)}."
        remark = "In brackets: 95 % intervals, the question being the sampling unit. What is unscored enters no number."
        out.add(f"{safe_name(model)}.md", "\n".join(["## Evaluation", "", f"{made} {remark}", "", *tables]))
    return out


def _exact(summary: Row, model: str) -> list[str]:
    rows = [row for row in summary.get("accuracy", ()) if row["model"] == model]
    if not rows:
        return []
    head = "| suite | measure | score | scored | note |\n|---|---|---:|---:|---|"
    body = [
        f"| {plain(row['suite'])} | {plain(row['dimension'])} | {_number(row, rate)} | "
        f"{count(row['n'])}/{count(row['planned'])} | {plain(row['note'])} |"
        for row in rows
    ]
    return ["### Exact scores", "", head, *body, ""]


def _judged(held: Held, model: str) -> list[str]:
    summary = held.summary or {}
    rows = _rated(summary, model)
    if not rows:
        return []
    others = opponents(held, model)
    said = [f"Win rates and ratings are against {', '.join(map(plain, others))}.", ""] if others else []
    known = {(row["judge"], row["rubric"]): row["text"] for row in summary.get("cards", ())}
    baselines = {judge["name"] for judge in summary.get("judges", ()) if judge.get("baseline")}
    for judge, rubric in dict.fromkeys((row["judge"], row["rubric"]) for row in rows):
        text = "; ".join(
            filter(
                None, ("a baseline, no language model" if judge in baselines else "", known.get((judge, rubric), ""))
            )
        )
        said += [f"- {plain(judge)} by {plain(rubric)}: {plain(text)}"] if text else []
    head = (
        "| suite | judge | rubric | dimension | method | value | questions | note |\n"
        "|---|---|---|---|---|---:|---:|---|"
    )
    body = [
        f"| {plain(row['suite'] or 'all')} | {plain(row['judge'])} | {plain(row['rubric'])} | "
        f"{plain(row['dimension'])} | {plain(row['method'])} | {_number(row, FORMS.get(row['method'], rate))} | "
        f"{count(row['clusters'])} | {plain(row['note'])} |"
        for row in rows
    ]
    return ["### Judged", "", *said, *([""] if said and said[-1] else []), head, *body, ""]


def opponents(held: Held, model: str) -> list[str]:
    """The models that a model met in games, in the run's order: a win rate means nothing without them."""
    met = {name for game in held.games if model in (game.left, game.right) for name in (game.left, game.right)}
    return [name for name in held.models if name in met and name != model]


def _rated(summary: Row, model: str) -> list[Row]:
    grades = [{**row, "method": "grade"} for row in summary.get("grades", ())]
    judged = [row for row in summary.get("ratings", ()) if not row["judge"].startswith("exact@")]
    return [row for row in [*judged, *grades] if row["model"] == model and row["method"] != "accuracy"]


def _number(row: Row, form: Any) -> str:
    if row.get("method") == "online-elo":  # its ends are a standard deviation away: no interval
        return spread(row["value"], row["low"], row["high"])
    text: str = form(row["value"])
    return text if row["value"] is None or row["low"] is None else f"{text} [{form(row['low'])}, {form(row['high'])}]"


def model_index(held: Held) -> Exported:
    """``MODEL.yaml`` of every model: the ``model-index`` block for the head of its card on the Hugging Face Hub."""
    import yaml

    out = Exported()
    summary = held.summary or {}
    for model in held.models:
        suites: dict[str, list[dict[str, Any]]] = {}
        for row in summary.get("accuracy", ()):
            if row["model"] == model:
                _metric(suites, row, "accuracy", row["dimension"], rate, out)
        for row in _rated(summary, model):
            if row["method"] in ABSOLUTE and row["suite"]:
                name = f"{row['method']}, {row['dimension']}, judge {row['judge']}, rubric {row['rubric']}"
                others = opponents(held, model) if row["method"] == "win-rate" else []
                name += f", against {_few(others)}" if others else ""
                _metric(suites, row, row["method"], name, FORMS.get(row["method"], rate), out)
        if not suites:
            out.note(f"{model} has no number, and so no block")
            continue
        results = [
            {
                "task": {"type": "text-generation", "name": "Text Generation"},
                "dataset": {"name": _shown(suite, out), "type": _shown(suite, out)},
                "metrics": metrics,
            }
            for suite, metrics in suites.items()
        ]
        block = {"model-index": [{"name": _shown(model, out), "results": results}]}
        out.add(f"{safe_name(model)}.yaml", yaml.safe_dump(block, sort_keys=False, allow_unicode=True, width=120))
    out.note("'dataset' names this project's suites; give it the Hub's own name where there is one")
    return out


def _shown(name: str, out: Exported) -> str:
    """A name on one line with what it hides written out, and a note where that changes it."""
    shown = written_out(name)
    if shown != name:
        out.note("characters that hide, line ends and tabs in names are written out by their code points")
    return shown


def _few(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{len(names)} models"


def _metric(suites: dict[str, list[dict[str, Any]]], row: Row, type: str, name: str, form: Any, out: Exported) -> None:
    if row["value"] is None:
        out.leave_out("numbers that are not defined: a model-index holds none without a value")
        return
    interval = "" if row["low"] is None else f" (95 % interval {form(row['low'])} to {form(row['high'])})"
    suites.setdefault(row["suite"], []).append(
        {"type": type, "name": _shown(name, out) + interval, "value": row["value"]}
    )
