"""Means of pointwise verdicts: accuracy of exact scores, mean grade of a rubric, and the games that grades make.

Source: the MT-Bench protocol (Zheng et al. 2023): turns are pooled, two grades within 0.1 are a tie.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence

from judgebench.errors import UserError
from judgebench.ratings.intervals import Estimate, clustered_interval, clustered_t_interval, finite
from judgebench.types import Game, Rating, Record, Verdict

TIE_WITHIN = 0.1
"""Grades this near are a tie."""

SLACK = 1e-9
"""So that 1.1 against 1.0 is within 0.1 in binary too."""


class GradedPairs(Record, frozen=True, kw_only=True):
    """What two models' grades say when read as pairs."""

    wins: int
    """Keys where the first is more than the tie's width above."""
    ties: int
    """Keys within the tie's width."""
    losses: int
    """Keys where it is more than that below."""
    dropped: int
    """Keys that one of them lacks or that are unscored."""


def mean_grade(
    scores: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    scale: tuple[float, float] = (0.0, 1.0),
    level: float = 0.95,
) -> Estimate:
    """Mean of grades on their raw scale, every score weighing the same, with a question-clustered interval.

    On a scale with both ends known the interval is `clustered_interval`'s, moved to the scale, so it stays on it.
    Scores outside (imported ones are kept as they are) get mean ± t·CR1, and the note says so.

    Raises:
        UserError: a scale whose top is not above its bottom, or what `clustered_interval` refuses.
    """
    bottom, top = scale
    if not top > bottom:
        raise UserError(f"a scale runs from low to high, found {bottom:g} to {top:g}")
    values = finite(scores)
    if len(values) and (values.min() < bottom or values.max() > top):
        estimate = clustered_t_interval(scores, clusters, level)
        note = f"scores outside {bottom:g} to {top:g}: interval not bounded"
        return Estimate(
            value=estimate.value,
            low=estimate.low,
            high=estimate.high,
            se=estimate.se,
            n=estimate.n,
            clusters=estimate.clusters,
            note="; ".join(part for part in (note, estimate.note) if part),
        )
    width = top - bottom
    unit = clustered_interval(
        [min(1.0, max(0.0, (score - bottom) / width)) for score in values.tolist()], clusters, level
    )

    def raw(value: float | None) -> float | None:
        return None if value is None else bottom + width * value

    return Estimate(
        value=float(finite(scores).mean()) if unit.n else None,
        low=raw(unit.low),
        high=raw(unit.high),
        se=None if unit.se is None else width * unit.se,
        n=unit.n,
        clusters=unit.clusters,
        note=unit.note.replace("every score is 1", f"every score is {top:g}").replace(
            "every score is 0", f"every score is {bottom:g}"
        ),
    )


def pointwise(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """The scored verdicts on a single answer, the last one of every identity.

    Raises:
        UserError: a verdict with more than one score for its one answer.
    """
    kept = {verdict.key: verdict for verdict in verdicts if len(verdict.shown) == 1}
    for verdict in kept.values():
        if len(verdict.scores) > 1:
            raise UserError(f"{verdict.judge} gave {len(verdict.scores)} scores to one answer of item {verdict.item!r}")
    return [verdict for verdict in kept.values() if verdict.scores]


def item_means(verdicts: Iterable[Verdict]) -> dict[str, dict[tuple[str, str], float]]:
    """Model → (suite, item) → mean of its pointwise scores there, over turns and samples.

    Give the verdicts of one judge or scorer and one dimension; two models' shared keys are what `paired_difference`
    takes.
    """
    scores: dict[str, dict[tuple[str, str], list[float]]] = defaultdict(lambda: defaultdict(list))
    for verdict in pointwise(verdicts):
        scores[verdict.shown[0][0]][verdict.suite, verdict.item].append(verdict.scores[0])
    return {
        model: {key: sum(sorted(values)) / len(values) for key, values in sorted(items.items())}
        for model, items in sorted(scores.items())
    }


def rate(verdicts: Iterable[Verdict]) -> list[Rating]:
    """Accuracy (exact scorers) or mean grade (all others) of every model, per suite, judge, rubric and dimension.

    Accuracy averages the samples of a question first, so that every question weighs the same. A grade is the mean over
    judged turns and samples, on the raw scale. Unscored verdicts enter neither; count them beside.

    Raises:
        UserError: verdicts of one rubric and judge on different scales.
    """
    groups: dict[tuple[str, str, str, str, str], list[Verdict]] = defaultdict(list)
    for verdict in pointwise(verdicts):
        model = verdict.shown[0][0]
        groups[verdict.suite, verdict.judge, verdict.rubric, verdict.dimension, model].append(verdict)
    ratings = []
    for (suite, judge, rubric, dimension, model), members in sorted(groups.items()):
        scales = sorted({verdict.scale for verdict in members})
        if len(scales) > 1:
            raise UserError(f"verdicts of {judge} by {rubric or 'exact scoring'} are on several scales: {scales}")
        exact = judge.startswith("exact@")
        if exact:
            means = list(item_means(members)[model].values())
            estimate = mean_grade(means, scale=scales[0])
        else:
            items = [verdict.item for verdict in members]
            estimate = mean_grade([verdict.scores[0] for verdict in members], items, scales[0])
        ratings.append(
            Rating(
                model=model,
                dimension=dimension,
                method="accuracy" if exact else "grade",
                value=estimate.value,
                low=estimate.low,
                high=estimate.high,
                n=len(members),
                clusters=estimate.clusters,
                suite=suite,
                judge=judge,
                rubric=rubric,
                note=estimate.note,
            )
        )
    return ratings


def graded_pairs(
    first: Mapping[Hashable, float | None], second: Mapping[Hashable, float | None], tie_within: float = TIE_WITHIN
) -> GradedPairs:
    """Wins, ties and losses of the first model by comparing grades key by key (a key being a question's turn).

    None, NaN, or a key that only one of them has, is dropped and counted.
    """
    wins = ties = losses = dropped = 0
    for key in {**first, **second}:
        ours, theirs = first.get(key), second.get(key)
        if ours is None or theirs is None or math.isnan(ours) or math.isnan(theirs):
            dropped += 1
        elif abs(ours - theirs) <= tie_within + SLACK:
            ties += 1
        elif ours > theirs:
            wins += 1
        else:
            losses += 1
    return GradedPairs(wins=wins, ties=ties, losses=losses, dropped=dropped)


def grade_games(
    verdicts: Iterable[Verdict],
    tie_within: float = TIE_WITHIN,
    categories: Mapping[tuple[str, str], str] | None = None,
) -> list[Game]:
    """Games between every two models that one judge graded on the same turn; samples of a model are averaged first.

    Args:
        verdicts: those on a single answer are read; unscored ones make no game.
        tie_within: grades this near are a tie, in points of the raw scale.
        categories: (suite, item) → category.
    """
    grades: dict[tuple[str, str, int, str, str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for verdict in pointwise(verdicts):
        key = verdict.suite, verdict.item, verdict.turn, verdict.rubric, verdict.judge, verdict.dimension
        grades[key][verdict.shown[0][0]].append(verdict.scores[0])
    games = []
    for (suite, item, turn, rubric, judge, dimension), by_model in sorted(grades.items()):
        means = {model: sum(sorted(scores)) / len(scores) for model, scores in by_model.items()}
        for left, right in itertools.combinations(sorted(means), 2):
            gap = means[left] - means[right]
            games.append(
                Game(
                    suite=suite,
                    item=item,
                    turn=turn,
                    rubric=rubric,
                    judge=judge,
                    dimension=dimension,
                    left=left,
                    right=right,
                    score=0.5 if abs(gap) <= tie_within + SLACK else float(gap > 0),
                    category=(categories or {}).get((suite, item), ""),
                )
            )
    return games
