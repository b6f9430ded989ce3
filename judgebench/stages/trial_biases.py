"""What moves a judge of pairs beside merit: order, repetition, length, lists and its own answers, beside people."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from judgebench.ratings.agreement import cohen_kappa
from judgebench.ratings.annotators import prefers_lists
from judgebench.ratings.bias import difference_of_shares, equal_opportunity, repetition_stability, verbosity
from judgebench.ratings.intervals import clustered_interval, clustered_t_interval
from judgebench.ratings.self_preference import excess_log_odds
from judgebench.report.judge_card import Measure
from judgebench.stages.trial_bench import POINTS, Bench, Rows, measure, share_of
from judgebench.stages.trial_units import FIRST, SECOND, Pairs, PairUnit, Truth, label, mean, texts_of


def of_orders(judge: Pairs, rows: Rows, truth: Truth) -> list[Measure]:
    """What the two orders say of the judge, and of its single verdicts."""
    if not judge.both:
        return []
    single: list[float] = []
    of_single: list[Hashable] = []
    both, net, alike, consistent, flipped, of_consistent, tilt = [], [], [], [], [], [], []
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
            flipped.append(float({said[0], said[1]} == {FIRST, SECOND}))
            tilt.append((readings[0] + 1 - readings[1]) / 2 - 0.5)
            of_consistent.append(cluster)
    found = [
        ("single_verdicts_right", clustered_interval(single, of_single)),
        ("both_orders_right", clustered_interval(both, rows.clusters)),
        ("net_right", clustered_interval(net, rows.clusters)),
        ("positional_agreement", clustered_interval(alike, rows.clusters)),
        ("consistency", clustered_interval(consistent, of_consistent)),
        ("conflict_rate", clustered_interval([1 - each for each in consistent], of_consistent)),
        ("flip_rate", clustered_interval(flipped, of_consistent)),
        ("kappa_between_orders", cohen_kappa(*labels, clusters=rows.clusters)),
        ("position_bias", clustered_t_interval(tilt, of_consistent)),
    ]
    return [measure(name, each) for name, each in found]


def _opposite(said: str) -> str:
    return {FIRST: SECOND, SECOND: FIRST}.get(said, "")


def of_repeats(judge: Pairs, units: Sequence[PairUnit]) -> list[Measure]:
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


def of_length(rows: Rows, truth: Truth, bench: Bench) -> list[Measure]:
    """P(prefers the longer), and the one with a list, of the judge and of the people on the same pairs."""
    found_texts = [texts_of(unit, bench.answers) for unit in rows.units]
    kept = [at for at, each in enumerate(found_texts) if each is not None]
    if not kept:
        return []
    texts = []
    for at in kept:
        left, right = found_texts[at] or ("", "")
        texts.append((right, left) if truth.flipped[rows.units[at]] else (left, right))
    turned = [(len(first), len(second)) for first, second in texts]
    clusters = [rows.clusters[at] for at in kept]
    judge = [share_of(rows.judge[at]) for at in kept]
    people = [share_of(rows.truth[at]) for at in kept]
    found = verbosity(turned, judge, people, clusters)
    both = [a is not None and b is not None for a, b in zip(judge, people, strict=True)]
    shared = [points if known else None for points, known in zip(people, both, strict=True)]
    named = [
        ("prefers_longer", found.prefers_longer),
        ("people_prefer_longer", found.people),
        ("excess_length", found.excess),
        ("prefers_lists", prefers_lists(texts, judge, clusters=clusters)),
        ("people_prefer_lists", prefers_lists(texts, shared, clusters=clusters)),
    ]
    return [measure(name, each) for name, each in named if each is not None]


def of_own_answers(rows: Rows, truth: Truth, bench: Bench) -> list[Measure]:
    """What the judge gives its own answers beyond what people give them, and beyond what it so gives to others.

    Others are answers of other models to whom the opponents were the same: so a judge that is hard on one baseline, or
    kind to whoever meets it, does not seem to favour itself.
    """
    seen: list[tuple[str, str, float, float, Hashable]] = []
    for unit, cluster, said, right in zip(rows.units, rows.clusters, rows.judge, rows.truth, strict=True):
        if said is not None:
            (first, _), (second, _) = (unit[5], unit[4]) if truth.flipped[unit] else (unit[4], unit[5])
            ours, theirs = POINTS[said], POINTS[right]
            seen += [(first, second, ours, theirs, cluster), (second, first, 1 - ours, 1 - theirs, cluster)]
    own = [row for row in seen if row[0] in bench.own and row[1] not in bench.own]
    if not own:
        return []
    opponents = {opponent for _, opponent, *_ in own}
    others = [row for row in seen if row[0] not in bench.own and row[1] in opponents]
    judge, people, clusters = [row[2] for row in own], [row[3] for row in own], [row[4] for row in own]
    points, of_others = ([(row[2], row[3]) for row in each] for each in (own, others))
    found = [
        ("self_preference", difference_of_shares(judge, people, clusters)),
        ("self_preference_log_odds", excess_log_odds(points, (), clusters)),
    ]
    if others:
        found.append(("self_preference_did", excess_log_odds(points, of_others, clusters, [row[4] for row in others])))
    found.append(("equal_opportunity", equal_opportunity(judge, people, clusters)))
    return [measure(name, each) for name, each in found]
