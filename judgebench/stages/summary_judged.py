"""Counts and numbers of judging for the summary: verdicts by reason, pairs, position bias, differing shares."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import msgspec

from judgebench.judges.debias import LeftOut, position_by
from judgebench.ratings.dimensions import OVERALL
from judgebench.ratings.score_sums import score_sums
from judgebench.ratings.winrate import pair_table
from judgebench.stages.reasons import Row
from judgebench.types import Game, Verdict

WARN_DIFFERENCE = 0.01
"""Level of Fisher's exact test at which models are said to differ in their unscored share."""


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
