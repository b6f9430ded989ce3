"""A judge of single answers against the truth: agreement of grades, correlations, repeats; ceiling and baselines."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import NamedTuple

from judgebench.ratings.agreement import accuracy, cohen_kappa
from judgebench.ratings.bias import repetition_stability
from judgebench.ratings.confusion import confusion_matrix
from judgebench.ratings.correlations import METHODS, correlation, document_correlation, leaderboard_correlation
from judgebench.ratings.intervals import Estimate
from judgebench.ratings.raters import Metric, all_pairs, krippendorff_alpha
from judgebench.report.judge_card import Measure, Trial
from judgebench.stages.trial_bench import Bench, items_of, measure
from judgebench.stages.trial_units import Graded, Grades, GradeUnit, Scale, mean, scales_at, text_of

MOST_LEVELS = 12
"""Scales of more levels have no confusion matrix and no kappa."""


class Rows(NamedTuple):
    """The units of one suite and dimension that both graded."""

    units: list[GradeUnit]
    """In order."""
    clusters: list[Hashable]
    """(suite, item) of each."""
    judge: list[float | None]
    """The judge's mean grade."""
    truth: list[float | None]
    """The mean grade of those it is held against."""


def grade_trial(
    place: tuple[str, str],
    against: str,
    judge: Graded,
    truths: Mapping[str, Graded],
    bench: Bench,
) -> Trial | None:
    """One judge's grades on one suite and dimension, or None where nothing was graded by both.

    Grades on different scales are correlated and never called equal, neither of the judge and its truth nor of people
    among themselves; where those who are pooled differ, each grade counts as its share of its own scale.

    Args:
        place: (suite, dimension).
        against: what the truth is called.
        judge: its grades.
        truths: rater → grades; their mean is the truth.
        bench: intervals and answers.
    """
    own_scales, their_scales = scales_at(place, [judge]), scales_at(place, truths.values())
    scales = sorted(own_scales | their_scales)
    grades = judge.comparable(own_scales)
    people = {name: each.comparable(their_scales) for name, each in truths.items()}
    asked = sorted(unit for unit in grades if (unit[0], unit[3]) == place)
    units = [unit for unit in asked if any(mean(each.get(unit, [])) is not None for each in people.values())]
    if not units:
        return None
    said = [mean(grades[unit]) for unit in units]
    right = [mean(mean(each.get(unit, [])) for each in people.values()) for unit in units]
    left_out: Counter[str] = Counter()
    left_out["judge: unscored"] += said.count(None)
    left_out[f"without a grade of {against}"] += len(asked) - len(units)
    rows = Rows(units, [unit[:2] for unit in units], said, right)
    levels = [] if len(scales) > 1 else _levels([*said, *right])
    table = confusion_matrix(right, said, levels) if levels else None
    scored = [at for at, each in enumerate(said) if each is not None]
    return Trial(
        suite=place[0],
        dimension=place[1],
        kind="grades",
        against=against,
        units=len(scored),
        questions=len({rows.clusters[at] for at in scored}),
        left_out={why: number for why, number in left_out.items() if number},
        labels=tuple(f"{level:g}" for level in levels) if table else (),
        confusion=table.counts if table else (),
        items=items_of((unit[1] for unit in units), right, said, levels) if table else (),
        measures=(
            *_unlike("accuracy", scales), *_measures(rows, levels, bench, len(scales) < 2), *_repeats(grades, units),
        ),
        people=tuple(_ceiling(asked, people, sorted(their_scales), bench)),
        baselines=_baselines(rows, bench),
    )  # fmt: skip


def _unlike(name: str, scales: Sequence[Scale]) -> list[Measure]:
    """Why grades on several scales have no agreement."""
    if len(scales) < 2:
        return []
    said = " and ".join(f"{low:g} to {high:g}" for low, high in scales)
    return [Measure(name=name, value=None, note=f"grades are on different scales ({said}): only correlated")]


def _levels(grades: Sequence[float | None]) -> list[float]:
    """Every whole grade from the lowest to the highest given; empty where some are not whole, or they are too many."""
    known = [grade for grade in grades if grade is not None]
    if not known or any(grade != int(grade) for grade in known) or max(known) - min(known) >= MOST_LEVELS:
        return []
    return [float(level) for level in range(int(min(known)), int(max(known)) + 1)]


def _agreement(
    truth: Sequence[float | None],
    judge: Sequence[float | None],
    clusters: Sequence[Hashable],
    levels: Sequence[float],
    bench: Bench,
    one_scale: bool = True,
) -> list[Measure]:
    """What two columns of grades say, levels as labels where they are few and whole."""
    found: list[tuple[str, Estimate]] = []

    def of(statistic: Callable[..., Estimate], *more: object) -> Estimate:
        return statistic(truth, judge, *more, clusters=clusters, resample=bench.resample)

    if levels:
        found += [
            ("accuracy", of(accuracy)),
            ("cohen_kappa", of(cohen_kappa, "", levels)),
            ("cohen_kappa_linear", of(cohen_kappa, "linear", levels)),
            ("cohen_kappa_quadratic", of(cohen_kappa, "quadratic", levels)),
        ]
    rows = list(zip(truth, judge, strict=True))
    metrics: tuple[Metric, ...] = ("ordinal", "interval") if one_scale else ()
    for metric in metrics:
        alpha = krippendorff_alpha(rows, metric, clusters=clusters, resample=bench.resample)
        found.append((f"krippendorff_{metric}", alpha))
    for method in METHODS:
        found.append((method, correlation(truth, judge, method, clusters=clusters, resample=bench.resample)))
    return [measure(name, each) for name, each in found]


def _measures(rows: Rows, levels: Sequence[float], bench: Bench, one_scale: bool) -> list[Measure]:
    found = _agreement(rows.truth, rows.judge, rows.clusters, levels, bench, one_scale)
    models = [unit[4][0] for unit in rows.units]
    questions = [repr(unit[:3]) for unit in rows.units]
    if len(set(questions)) < len(questions):
        for method in METHODS:
            within = document_correlation(questions, rows.judge, rows.truth, method, clusters=rows.clusters)
            note = f"{within.skipped} questions skipped, a side being constant there" if within.skipped else ""
            each = measure(f"document_{method}", within.mean)
            found.append(
                Measure(
                    name=each.name, value=each.value, low=each.low, high=each.high, n=within.documents,
                    clusters=each.clusters, note="; ".join(filter(None, (each.note, note))),
                )
            )  # fmt: skip
    if len(set(models)) > 2:
        found += [
            measure(
                f"leaderboard_{method}",
                leaderboard_correlation(
                    models, rows.judge, rows.truth, method, clusters=rows.clusters, resample=bench.resample
                ),
            )
            for method in METHODS
        ]
    return found


def _repeats(judge: Grades, units: Sequence[GradeUnit]) -> list[Measure]:
    groups = [(unit[:2], judge[unit]) for unit in units if len(judge[unit]) > 1]
    if not groups:
        return []
    found = repetition_stability([grades for _, grades in groups], [cluster for cluster, _ in groups])
    return [measure("mode_share", found.mode_share), measure("repeat_agreement", found.pairwise_agreement)]


def _ceiling(
    asked: Sequence[GradeUnit], truths: Mapping[str, Grades], scales: Sequence[Scale], bench: Bench
) -> list[Measure]:
    """What people reach with one another: every two of them pooled, and alpha over all if they are on one scale."""
    if len(truths) < 2:
        return []
    rows = [(unit, [mean(grades.get(unit, [])) for grades in truths.values()]) for unit in asked]
    rows = [(unit, given) for unit, given in rows if sum(each is not None for each in given) > 1]
    if not rows:
        return []
    stacked = all_pairs([given for _, given in rows])
    first, second = ([None if each is None else float(str(each)) for each in side] for side in stacked[:2])
    clusters = [rows[at][0][:2] for at in stacked.rows]
    if len(scales) > 1:
        return [*_unlike("accuracy", scales), *_agreement(first, second, clusters, [], bench, one_scale=False)]
    found = _agreement(first, second, clusters, _levels([*first, *second]), bench)
    ratings = [given for _, given in rows]
    every = krippendorff_alpha(ratings, "interval", clusters=[unit[:2] for unit, _ in rows], resample=bench.resample)
    return [*found, measure("krippendorff_all", every)]


def _baselines(rows: Rows, bench: Bench) -> dict[str, tuple[Measure, ...]]:
    """Correlations of length, and of chance, with the truth."""
    texts = [text_of(unit, bench.answers) for unit in rows.units]
    lengths = [None if text is None else float(len(text)) for text in texts]
    coins = [hashlib.sha256(repr(("baseline/random", *unit)).encode()).digest()[0] / 256 for unit in rows.units]
    columns: dict[str, Sequence[float | None]] = {"baseline/longest": lengths, "baseline/random": coins}
    return {
        name: tuple(
            measure(method, correlation(rows.truth, column, method, clusters=rows.clusters, resample=bench.resample))
            for method in METHODS
        )
        for name, column in columns.items()
        if any(each is not None for each in column)
    }
