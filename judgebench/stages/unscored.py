"""What judging left unscored, by reason, and whether that is too much. Judging ends with it: it needs no numpy."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from judgebench.errors import TooManyUnscored
from judgebench.runs import Run
from judgebench.stages.reasons import NOT_APPLICABLE, Row, reason
from judgebench.stages.scoring import KEPT_BACK
from judgebench.types import Verdict


def refuse_unscored(summary: Mapping[str, Any], most: float) -> None:
    """Nothing, when no judge or scorer is past the share of unscored verdicts that is allowed.

    Raises:
        TooManyUnscored: one is; the run is whole all the same.
    """
    bad, reasons = [], []
    for row in (*summary["accuracy"], *summary["verdicts"]):
        unscored = row["unscored"] - row["reasons"].get(KEPT_BACK, 0) - row["reasons"].get(NOT_APPLICABLE, 0)
        share = unscored / row["planned"] if row["planned"] else 0.0
        if share > most:
            who = row.get("scorer") or row["judge"]
            why = max(row["reasons"], key=row["reasons"].get, default="")
            of = f" for {row['model']}" if "model" in row else f" by {row['rubric']}, {row['dimension']}"
            failed = _failures(summary, row) if why == "no answer" else ""
            bad.append(f"{who}{of} on {row['suite']}: {row['unscored']} of {row['planned']} unscored ({why}{failed})")
            reasons.append(why)
    if bad:
        more = f" (and {len(bad) - 1} more like it)" if len(bad) > 1 else ""
        raise TooManyUnscored(f"over --max-unscored {most:g}: {bad[0]}{more}; the run is kept, and {_next(reasons)}")


def _failures(summary: Mapping[str, Any], row: Row) -> str:
    """What the calls behind answers that are not there ended with most often."""
    counts: Counter[str] = Counter()
    for each in summary.get("answers", ()):
        if each["suite"] == row["suite"] and each["model"] == row.get("model", each["model"]):
            counts.update(each["failures"])
    return f": {counts.most_common(1)[0][0]}" if counts else ""


def _next(reasons: Iterable[str]) -> str:
    """What the same command does about it: failed calls are made again, what was read or cannot be asked stays."""
    if any(not each.startswith(("unreadable", "item lacks")) for each in reasons):
        return "the same command goes on"
    return "the same command asks none of these again: read the replies ('judgebench view') and mend rubric or judge"


def judged_rows(run: Run, verdicts: Iterable[Verdict] | None = None) -> list[Row]:
    """A row of counts for each (suite, judge, rubric, dimension): planned = scored + unscored, by reason.

    Args:
        run: whose plans say what was to be judged.
        verdicts: those that count; all of the run's by default.
    """
    verdicts = run.verdicts().values() if verdicts is None else verdicts
    groups: dict[tuple[str, str, str, str], list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        if not verdict.judge.startswith("exact@"):
            groups[verdict.suite, verdict.judge, verdict.rubric, verdict.dimension].append(verdict)
    plans = _plans(run)
    for place in plans:
        if _current(run, place[1], place[2]):
            groups.setdefault(place, [])
    rows = []
    for (suite, judge, rubric, dimension), group in sorted(groups.items()):
        shown = Counter(" > ".join(name for name, _ in verdict.shown) for verdict in group)
        plan = plans.get((suite, judge, rubric, dimension), {})
        planned = sum(max(plan.get(who, 0), shown[who]) for who in {*plan, *shown})
        scored = sum(bool(verdict.scores) for verdict in group)
        reasons = Counter(reason(verdict.error) for verdict in group if not verdict.scores)
        if planned > len(group):
            reasons["not asked yet"] = planned - len(group)
        orders: dict[str, Row] = {}
        for verdict in group:
            if len(verdict.shown) == 2:
                order = "first" if verdict.shown[0] < verdict.shown[1] else "second"
                entry = orders.setdefault(order, {"planned": 0, "scored": 0})
                entry["planned"] += 1
                entry["scored"] += bool(verdict.scores)
        rows.append(
            {
                "suite": suite, "judge": judge, "rubric": rubric, "dimension": dimension, "planned": planned,
                "scored": scored, "unscored": planned - scored, "reasons": dict(reasons), "by_order": orders,
                "by_model": _by_model(group),
            }
        )  # fmt: skip
    return rows


def _plans(run: Run) -> dict[tuple[str, str, str, str], dict[str, int]]:
    """(suite, judge, rubric, dimension) → who was to be shown in what order → how many verdicts."""
    return {
        (suite, judge, rubric, dimension): shown
        for suite, judges in run.manifest["plans"].items()
        for judge, rubrics in judges.items()
        for rubric, dimensions in rubrics.items()
        for dimension, shown in dimensions.items()
    }


def _current(run: Run, judge: str, rubric: str) -> bool:
    """Whether the judge was last asked by this rubric under its name: a changed one replaced the other."""
    parts = run.manifest["verdicts"].get(f"{rubric.partition('@')[0]} | {judge}", {})
    return bool(parts.get("rubric", rubric) == rubric)


def _by_model(group: Iterable[Verdict]) -> Row:
    found: dict[str, Row] = defaultdict(lambda: {"planned": 0, "scored": 0})
    for verdict in group:
        for model in {name for name, _ in verdict.shown}:
            found[model]["planned"] += 1
            found[model]["scored"] += bool(verdict.scores)
    return dict(sorted(found.items()))
