"""A judge of pairs against the truth: agreement, order, repeats, length, self-preference; ceiling and baselines."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import NamedTuple

from judgebench.judges.debias import Policy, position_of
from judgebench.ratings.agreement import (
    accuracy,
    agreement_s2,
    cohen_kappa,
    gwet_ac1,
    scott_pi,
    tie_discounted_accuracy,
)
from judgebench.ratings.bias import difference_of_shares, equal_opportunity, repetition_stability, verbosity
from judgebench.ratings.confusion import confusion_matrix, macro_f1, macro_precision, macro_recall
from judgebench.ratings.correlations import METHODS, leaderboard_correlation
from judgebench.ratings.intervals import Estimate, clustered_interval, clustered_t_interval
from judgebench.ratings.label_tables import Label
from judgebench.ratings.raters import all_pairs, fleiss_kappa, krippendorff_alpha, leave_one_out_agreement
from judgebench.ratings.resampling import Resample
from judgebench.report.judge_card import Measure, Trial
from judgebench.stages.trial_units import (
    FIRST,
    LABELS,
    SECOND,
    TIE,
    Pairs,
    PairUnit,
    Truth,
    label,
    lengths_of,
    mean,
    settled,
)

POINTS = {FIRST: 1.0, TIE: 0.5, SECOND: 0.0}
"""Label → share of the point of the answer called first."""


class Bench(NamedTuple):
    """What a trial needs beside verdicts."""

    policy: Policy
    """What two orders that disagree say together."""
    resample: Resample
    """How intervals are drawn."""
    answers: Mapping[tuple[str, str, str, int], Sequence[str]]
    """(suite, item, model, sample) → turns."""
    own: frozenset[str]
    """Models under test that are the judge itself."""


class Rows(NamedTuple):
    """The units of one suite and dimension that were put to the judge and have a true label."""

    units: list[PairUnit]
    """In order."""
    clusters: list[Hashable]
    """(suite, item) of each."""
    judge: list[str | None]
    """The judge's label, None where it gave none."""
    truth: list[str]
    """The true label."""


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
    if len(asked) > len(units):
        left_out[f"without a label of {against}"] = len(asked) - len(units)
    waiting = sum((unit[0], unit[3]) == place and unit not in judge.read for unit in truth.labels)
    if waiting:
        left_out["never put to the judge"] = waiting
    rows = Rows(units, [unit[:2] for unit in units], said, [truth.labels[unit] for unit in units])
    scored = [at for at, each in enumerate(said) if each is not None]
    table = confusion_matrix(rows.truth, rows.judge, LABELS)
    measures = [
        *_agreement(rows.truth, rows.judge, rows.clusters, bench),
        *_each_person(rows, truth, bench),
        *_orders(judge, rows, truth),
        *_repeats(judge, units),
        *_length(rows, truth, bench),
        *_leaderboards(rows, truth, bench),
        *_self(rows, truth, bench),
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
        measures=tuple(measures),
        people=tuple(ceiling(asked, truth, bench)),
        baselines=_baselines(rows, truth, bench),
    )


def measure(name: str, found: Estimate) -> Measure:
    """An estimate under a name; what every interval shares is not repeated in each note."""
    note = "; ".join(part for part in found.note.split("; ") if not part.startswith("cluster bootstrap: B="))
    return Measure(
        name=name, value=found.value, low=found.low, high=found.high, n=found.n, clusters=found.clusters, note=note
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


def _each_person(rows: Rows, truth: Truth, bench: Bench) -> list[Measure]:
    """Agreement with each person's own labels rather than with their majority, as MT-Bench counts it."""
    if len(truth.raters) < 2:
        return []
    stacked = [
        (own[unit], said, cluster)
        for own in truth.raters.values()
        for unit, said, cluster in zip(rows.units, rows.judge, rows.clusters, strict=True)
        if unit in own
    ]
    people, judge, clusters = ([row[column] for row in stacked] for column in range(3))
    return [
        measure("each_person_s1", accuracy(people, judge, clusters=clusters, resample=bench.resample)),
        measure("each_person_s2", agreement_s2(people, judge, TIE, clusters=clusters, resample=bench.resample)),
    ]


def _orders(judge: Pairs, rows: Rows, truth: Truth) -> list[Measure]:
    """What the two orders say of the judge, and of its single verdicts."""
    if not judge.both:
        return []
    single: list[float] = []
    of_single: list[Hashable] = []
    both, net, alike, consistent, of_consistent, tilt = [], [], [], [], [], []
    labels: tuple[list[str | None], list[str | None]] = ([], [])
    for unit, cluster, right in zip(rows.units, rows.clusters, rows.truth, strict=True):
        orders = judge.read[unit]
        for order in orders:
            for points in order.values():
                single.append(float(label(points, flipped=truth.flipped[unit]) == right))
                of_single.append(cluster)
        readings = [mean(order.values()) for order in orders]
        said = [label(points, flipped=truth.flipped[unit]) for points in readings]
        both.append(float(said[0] == right and said[1] == right))
        sign = sum((each == right) - (each == _opposite(right)) for each in said)
        net.append(float(sign > 0))
        alike.append(float(said[0] == said[1]))
        for column, each in zip(labels, said, strict=True):
            column.append(each)
        if readings[0] is not None and readings[1] is not None:
            consistent.append(float(said[0] == said[1]))
            tilt.append((readings[0] + 1 - readings[1]) / 2 - 0.5)
            of_consistent.append(cluster)
    bias = position_of(
        [(mean(judge.read[unit].first.values()), mean(judge.read[unit].second.values())) for unit in rows.units]
    )
    found = [
        ("single_verdicts_right", clustered_interval(single, of_single)),
        ("both_orders_right", clustered_interval(both, rows.clusters)),
        ("net_right", clustered_interval(net, rows.clusters)),
        ("positional_agreement", clustered_interval(alike, rows.clusters)),
        ("consistency", clustered_interval(consistent, of_consistent)),
        ("conflict_rate", clustered_interval([1 - each for each in consistent], of_consistent)),
        ("kappa_between_orders", cohen_kappa(*labels, clusters=rows.clusters)),
        ("position_bias", clustered_t_interval(tilt, of_consistent)),
    ]
    measures = [measure(name, each) for name, each in found]
    measures.append(
        Measure(
            name="flip_rate",
            value=bias.flip_rate,
            n=bias.pairs,
            note=f"{bias.primacy} towards the first, {bias.recency} towards the second",
        )
    )
    return measures


def _opposite(said: str) -> str:
    return {FIRST: SECOND, SECOND: FIRST}.get(said, "")


def _repeats(judge: Pairs, units: Sequence[PairUnit]) -> list[Measure]:
    """How far the judge repeats itself on one pair in one order."""
    groups = [
        (unit[:2], [label(points, flipped=False) for points in order.values()])
        for unit in units
        for order in judge.read[unit]
        if len(order) > 1
    ]
    if not groups:
        return []
    found = repetition_stability([labels for _, labels in groups], [cluster for cluster, _ in groups])
    return [measure("mode_share", found.mode_share), measure("repeat_agreement", found.pairwise_agreement)]


def _length(rows: Rows, truth: Truth, bench: Bench) -> list[Measure]:
    """P(prefers the longer) of the judge and of the people on the same pairs."""
    sizes = [lengths_of(unit, bench.answers) for unit in rows.units]
    kept = [at for at, each in enumerate(sizes) if each is not None]
    if not kept:
        return []
    turned = []
    for at in kept:
        pair = sizes[at]
        assert pair is not None
        turned.append(pair[::-1] if truth.flipped[rows.units[at]] else pair)
    judge = [_points(rows.judge[at]) for at in kept]
    people = [_points(rows.truth[at]) for at in kept]
    found = verbosity(turned, judge, people, [rows.clusters[at] for at in kept])
    named = [
        ("prefers_longer", found.prefers_longer),
        ("people_prefer_longer", found.people),
        ("excess_length", found.excess),
    ]
    return [measure(name, each) for name, each in named if each is not None]


def _points(said: str | None) -> float | None:
    return None if said is None else POINTS[said]


def _leaderboards(rows: Rows, truth: Truth, bench: Bench) -> list[Measure]:
    """Correlations of the models' mean points by the judge and by the truth."""
    names: list[str] = []
    judge: list[float | None] = []
    people: list[float | None] = []
    clusters: list[Hashable] = []
    for unit, cluster, said, right in zip(rows.units, rows.clusters, rows.judge, rows.truth, strict=True):
        first, second = (unit[5], unit[4]) if truth.flipped[unit] else (unit[4], unit[5])
        ours, theirs = _points(said), POINTS[right]
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


def _self(rows: Rows, truth: Truth, bench: Bench) -> list[Measure]:
    """What the judge gives its own answers beyond what people give them."""
    judge, people, clusters = [], [], []
    for unit, cluster, said, right in zip(rows.units, rows.clusters, rows.judge, rows.truth, strict=True):
        first, second = (unit[5], unit[4]) if truth.flipped[unit] else (unit[4], unit[5])
        mine = [who[0] in bench.own for who in (first, second)]
        if said is not None and sum(mine) == 1:
            judge.append(POINTS[said] if mine[0] else 1 - POINTS[said])
            people.append(POINTS[right] if mine[0] else 1 - POINTS[right])
            clusters.append(cluster)
    if not judge:
        return []
    return [
        measure("self_preference", difference_of_shares(judge, people, clusters)),
        measure("equal_opportunity", equal_opportunity(judge, people, clusters)),
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
    found += [
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
        pair = lengths_of(unit, bench.answers)
        gap = 0 if pair is None else (pair[0] - pair[1]) * (-1 if truth.flipped[unit] else 1)
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
