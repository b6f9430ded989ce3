"""Counts and numbers of judging for the summary: verdicts by reason, pairs, position bias, differing shares."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from judgebench.judges.debias import LeftOut, position_by
from judgebench.ratings.dimensions import OVERALL
from judgebench.ratings.score_sums import score_sums
from judgebench.ratings.winrate import pair_table
from judgebench.runs import Run
from judgebench.stages.reasons import Row, reason
from judgebench.types import Game, Verdict

WARN_DIFFERENCE = 0.01
"""Level of Fisher's exact test at which models are said to differ in their unscored share."""


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


def pair_rows(games: Sequence[Game], left_out: Sequence[LeftOut], policy: str) -> list[Row]:
    """A row for each pair in each (suite, judge, rubric, dimension), with the pairs of answers that made no game."""
    out = Counter((o.suite, o.judge, o.rubric, o.dimension, o.left, o.right) for o in left_out)
    met: dict[tuple[str, ...], set[tuple[str, int]]] = defaultdict(set)
    several: set[tuple[str, str, str]] = set()
    every: list[Game | LeftOut] = [*games, *left_out]
    for each in every:
        met[each.suite, each.judge, each.rubric, *sorted((each.left, each.right))].add((each.item, each.turn))
        if each.dimension != OVERALL:
            several.add((each.suite, each.judge, each.rubric))
    rows: list[Row] = [
        {
            "suite": p.suite, "judge": p.judge, "rubric": p.rubric, "dimension": p.dimension, "left": p.left,
            "right": p.right, "wins": p.wins, "ties": p.ties, "losses": p.losses, "win_rate": p.win_rate,
            "low": p.low, "high": p.high, "se": p.se, "n": p.games, "clusters": p.clusters, "consistent": p.consistent,
            "left_out": out[p.suite, p.judge, p.rubric, p.dimension, p.left, p.right],
            "policy": policy, "note": p.note,
        }
        for p in pair_table(games)
    ]  # fmt: skip
    for row in rows:
        place = row["suite"], row["judge"], row["rubric"]
        if row["dimension"] == OVERALL and place in several:
            row["left_out"] = len(met[*place, row["left"], row["right"]]) - row["n"]
    return rows


def sum_rows(verdicts: Sequence[Verdict]) -> list[Row]:
    """A row of sums of grades for each pair of models that a judge graded side by side, by order and in both."""
    return [msgspec.to_builtins(each) for each in score_sums(verdicts)]


def bias_rows(verdicts: Sequence[Verdict]) -> list[Row]:
    """A row of position bias and consistency for each (suite, judge, rubric, dimension)."""
    return [
        {"suite": suite, "judge": judge, "rubric": rubric, "dimension": dimension, **msgspec.to_builtins(bias)}
        for (suite, judge, rubric, dimension), bias in position_by(verdicts).items()
    ]


def differing(row: Row) -> list[str]:
    """A line where models differ in their share of unscored verdicts by Fisher's exact test."""
    import numpy as np
    from scipy.stats import fisher_exact

    models = list(row["by_model"].items())
    lines = []
    for index, (name, counts) in enumerate(models):
        for other, others in models[index + 1 :]:
            missing = [each["planned"] - each["scored"] for each in (counts, others)]
            if not any(missing):
                continue
            table = np.array([missing, [counts["scored"], others["scored"]]])
            p_value = float(fisher_exact(table).pvalue)
            if p_value < WARN_DIFFERENCE:
                lines.append(
                    f"{row['judge']} on {row['suite']}, {row['dimension']}: {name} and {other} differ in unscored "
                    f"verdicts ({missing[0]} and {missing[1]}, Fisher p = {p_value:.2g})"
                )
    return lines
