"""A judge of pairs against the truth: agreement, order, repeats, length, self-preference; ceiling and baselines."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Hashable, Sequence

from judgebench.ratings.agreement import (
    accuracy,
    agreement_s2,
    cohen_kappa,
    gwet_ac1,
    scott_pi,
    tie_discounted_accuracy,
)
from judgebench.ratings.annotators import human_agreement, leave_one_out
from judgebench.ratings.confusion import confusion_matrix, macro_f1, macro_precision, macro_recall
from judgebench.ratings.correlations import METHODS, leaderboard_correlation
from judgebench.ratings.intervals import Estimate, clustered_interval
from judgebench.ratings.label_tables import Label
from judgebench.ratings.raters import all_pairs, fleiss_kappa, krippendorff_alpha, leave_one_out_agreement
from judgebench.report.judge_card import Measure, Trial
from judgebench.stages.trial_bench import POINTS, Bench, Rows, items_of, measure, share_of
from judgebench.stages.trial_biases import of_length, of_orders, of_own_answers, of_repeats
from judgebench.stages.trial_units import (
    FIRST,
    LABELS,
    SECOND,
    TIE,
    Pairs,
    PairUnit,
    Truth,
    label,
    settled,
    texts_of,
)


def pair_trial(place: tuple[str, str], against: str, judge: Pairs, truth: Truth, bench: Bench) -> Trial | None:
    """One judge on one suite and dimension, or None where nothing was judged by both.

    Args:
        place: (suite, dimension).
        against: what the truth is called.
        judge: its readings.
        truth: labels, and the people's own.
        bench: policy, intervals, answers, own models.
    """
    asked = sorted(unit for unit in judge.read if (unit[0], unit[3]) == place)
    units = [unit for unit in asked if unit in truth.labels]
    if not units:
        return None
    left_out: Counter[str] = Counter()
    said = []
    for unit in units:
        points, reason = settled(judge, unit, bench.policy, bench.resample.seed)
        said.append(label(points, flipped=truth.flipped[unit]))
        if reason:
            left_out[f"judge: {reason}"] += 1
    split = sum(unit in truth.flipped and unit not in truth.labels for unit in asked)
    if split:
        left_out[f"{against} split or unscored"] = split
    if len(asked) > len(units) + split:
        left_out[f"without a label of {against}"] = len(asked) - len(units) - split
    waiting = sum((unit[0], unit[3]) == place and unit not in judge.read for unit in truth.labels)
    if waiting:
        left_out["never put to the judge"] = waiting
    rows = Rows(units, [unit[:2] for unit in units], said, [truth.labels[unit] for unit in units])
    scored = [at for at, each in enumerate(said) if each is not None]
    table = confusion_matrix(rows.truth, rows.judge, LABELS)
    measures = [
        *_agreement(rows.truth, rows.judge, rows.clusters, bench),
        *_each_person(judge, [unit for unit in asked if unit in truth.flipped], truth, bench),
        *of_orders(judge, rows, truth),
        *of_repeats(judge, units),
        *of_length(rows, truth, bench),
        *_leaderboards(rows, truth, bench),
        *of_own_answers(rows, truth, bench),
    ]
    return Trial(
        suite=place[0],
        dimension=place[1],
        kind="pairs",
        against=against,
        units=len(scored),
        questions=len({rows.clusters[at] for at in scored}),
        left_out=dict(left_out),
        labels=LABELS,
        confusion=table.counts,
        items=items_of((unit[1] for unit in units), rows.truth, rows.judge, LABELS),
        measures=tuple(measures),
        people=tuple(ceiling(asked, truth, bench)),
        baselines=_baselines(rows, truth, bench),
    )


def _agreement(
    truth: Sequence[Label], judge: Sequence[Label], clusters: Sequence[Hashable], bench: Bench
) -> list[Measure]:
    """Everything that two columns of labels say."""

    def of(statistic: Callable[..., Estimate], *more: object) -> Estimate:
        return statistic(truth, judge, *more, clusters=clusters, resample=bench.resample)

    rows = list(zip(truth, judge, strict=True))
    found = [("accuracy", of(accuracy))]
    if None in judge:
        wrong = [float(a == b) for a, b in rows if a is not None]
        found.append(("accuracy_unscored_wrong", clustered_interval(wrong, clusters)))
    found += [
        ("agreement_s2", of(agreement_s2, TIE)),
        ("tie_discounted_accuracy", of(tie_discounted_accuracy, TIE)),
        ("cohen_kappa", of(cohen_kappa)),
        ("cohen_kappa_linear", of(cohen_kappa, "linear", LABELS)),
        ("cohen_kappa_quadratic", of(cohen_kappa, "quadratic", LABELS)),
        ("scott_pi", of(scott_pi)),
        ("gwet_ac1", of(gwet_ac1)),
        (
            "krippendorff_nominal",
            krippendorff_alpha(rows, clusters=clusters, resample=bench.resample),
        ),
        (
            "krippendorff_ordinal",
            krippendorff_alpha(rows, "ordinal", LABELS, clusters=clusters, resample=bench.resample),
        ),
        ("macro_precision", of(macro_precision)),
        ("macro_recall", of(macro_recall)),
        ("macro_f1", of(macro_f1)),
    ]
    return [measure(name, each) for name, each in found]


def _each_person(judge: Pairs, units: Sequence[PairUnit], truth: Truth, bench: Bench) -> list[Measure]:
    """Agreement with each person's own labels rather than with their majority, as MT-Bench counts it."""
    if len(truth.raters) < 2:
        return []
    said = [label(settled(judge, unit, bench.policy)[0], flipped=truth.flipped[unit]) for unit in units]
    stacked = [
        (own[unit], each, unit[:2])
        for own in truth.raters.values()
        for unit, each in zip(units, said, strict=True)
        if unit in own
    ]
    people, judged, clusters = ([row[column] for row in stacked] for column in range(3))
    votes = [[share_of(own.get(unit)) for own in truth.raters.values()] for unit in units]
    agreed = human_agreement([share_of(each) for each in said], votes, clusters=[unit[:2] for unit in units])
    return [
        measure("each_person_s1", accuracy(people, judged, clusters=clusters, resample=bench.resample)),
        measure("each_person_s2", agreement_s2(people, judged, TIE, clusters=clusters, resample=bench.resample)),
        measure("human_agreement", agreed),
    ]


def _leaderboards(rows: Rows, truth: Truth, bench: Bench) -> list[Measure]:
    """Correlations of the models' mean points by the judge and by the truth."""
    names: list[str] = []
    judge: list[float | None] = []
    people: list[float | None] = []
    clusters: list[Hashable] = []
    for unit, cluster, said, right in zip(rows.units, rows.clusters, rows.judge, rows.truth, strict=True):
        first, second = (unit[5], unit[4]) if truth.flipped[unit] else (unit[4], unit[5])
        ours, theirs = share_of(said), POINTS[right]
        names += [first[0], second[0]]
        judge += [ours, None if ours is None else 1 - ours]
        people += [theirs, 1 - theirs]
        clusters += [cluster, cluster]
    if len(set(names)) < 3:
        return []
    return [
        measure(
            f"leaderboard_{method}",
            leaderboard_correlation(names, judge, people, method, clusters=clusters, resample=bench.resample),
        )
        for method in METHODS
    ]


def ceiling(asked: Sequence[PairUnit], truth: Truth, bench: Bench) -> list[Measure]:
    """What people reach with one another on the units that were put to the judge: all pairs, and leave-one-out."""
    if len(truth.raters) < 2:
        return []
    rows = [(unit, [own.get(unit) for own in truth.raters.values()]) for unit in asked]
    rows = [(unit, given) for unit, given in rows if sum(each is not None for each in given) > 1]
    if not rows:
        return []
    ratings = [given for _, given in rows]
    clusters = [unit[:2] for unit, _ in rows]
    stacked = all_pairs(ratings)
    of_pairs = [clusters[row] for row in stacked.rows]
    found = _agreement(stacked.first, stacked.second, of_pairs, bench)
    votes = [[share_of(None if each is None else str(each)) for each in given] for given in ratings]
    found += [
        measure("human_agreement", leave_one_out(votes, clusters=clusters)),
        measure("leave_one_out", leave_one_out_agreement(ratings, clusters=clusters, resample=bench.resample)),
        measure("krippendorff_all", krippendorff_alpha(ratings, clusters=clusters, resample=bench.resample)),
    ]
    if all(None not in given for given in ratings) and len(truth.raters) > 2:
        found.append(measure("fleiss_kappa", fleiss_kappa(ratings, clusters=clusters, resample=bench.resample)))
    return found


def _baselines(rows: Rows, truth: Truth, bench: Bench) -> dict[str, tuple[Measure, ...]]:
    """The baseline judges on the same units, the first of the truth's order counting as shown first."""
    longest = []
    for unit in rows.units:
        pair = texts_of(unit, bench.answers)
        gap = 0 if pair is None else (len(pair[0]) - len(pair[1])) * (-1 if truth.flipped[unit] else 1)
        longest.append(None if pair is None else TIE if gap == 0 else FIRST if gap > 0 else SECOND)
    coins = [hashlib.sha256(repr(("baseline/random", *unit)).encode()).digest()[0] & 1 for unit in rows.units]
    columns: dict[str, list[str | None]] = {
        "baseline/longest": longest,
        "baseline/random": [FIRST if coin else SECOND for coin in coins],
        "baseline/first": [FIRST] * len(rows.units),
    }
    return {
        name: tuple(_agreement(rows.truth, column, rows.clusters, bench))
        for name, column in columns.items()
        if any(each is not None for each in column)
    }
