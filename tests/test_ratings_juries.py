"""Panels, selective judging, many comparisons and equivalence."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from judgebench.errors import UserError
from judgebench.ratings.equivalence import equivalence, tost
from judgebench.ratings.juries import (
    anchored_weights,
    dawid_skene,
    effective_judges,
    jury_card,
    majority,
    stacked,
    weighted_vote,
)
from judgebench.ratings.multiplicity import benjamini_hochberg, bonferroni, holm
from judgebench.ratings.selective import agreement_bound, agreement_threshold, escalated

SKILL = (0.9, 0.85, 0.6, 0.55, 0.55)


def _jury(random: np.random.Generator, items: int, skill=SKILL, shared: float = 0.0):
    truth = random.integers(0, 2, items)
    common = random.random(items)
    votes = []
    for item in range(items):
        row = []
        for level in skill:
            luck = common[item] if random.random() < shared else random.random()
            row.append(int(truth[item]) if luck < level else 1 - int(truth[item]))
        votes.append(row)
    return votes, [int(each) for each in truth]


def _accuracy(labels, truth) -> float:
    return float(np.mean([a == b for a, b in zip(labels, truth, strict=True)]))


def test_dawid_skene_and_anchored_votes_hear_the_good_judges_more_than_a_majority_does() -> None:
    votes, truth = _jury(np.random.default_rng(0), 1500)
    plain, em = majority(votes), dawid_skene(votes)
    anchored = weighted_vote(votes, anchored_weights(votes[:100], truth[:100]))
    assert _accuracy(em.labels, truth) > _accuracy(plain.labels, truth) + 0.04
    assert _accuracy(anchored.labels, truth) > _accuracy(plain.labels, truth) + 0.05
    for judge, level in enumerate(SKILL):
        assert em.confusion[judge][1][1] == pytest.approx(level, abs=0.08)
    assert sum(em.priors) == pytest.approx(1)


def test_dawid_skene_takes_missing_votes_and_more_than_two_verdicts() -> None:
    random = np.random.default_rng(1)
    truth = ["win", "tie", "loss"] * 200
    votes = [
        [
            None
            if random.random() < 0.2
            else t
            if random.random() < level
            else str(random.choice(["win", "tie", "loss"]))
            for level in (0.9, 0.7, 0.5, 0.3)
        ]
        for t in truth
    ]
    found = dawid_skene(votes)
    assert found.classes == ("loss", "tie", "win")
    assert _accuracy(found.labels, truth) > _accuracy(majority(votes).labels, truth)


def test_a_tied_vote_is_undecided_and_no_vote_at_all_is_refused() -> None:
    found = majority([["a", "b"], ["a", "a"], [None, None]])
    assert found.labels == (None, "a", None)
    assert found.undecided == 2
    with pytest.raises(UserError, match="unscored"):
        majority([[None, None]])
    with pytest.raises(UserError, match="one vote"):
        majority([["a"], ["a", "b"]])


def test_judges_that_share_their_errors_are_worth_less_and_the_card_says_so() -> None:
    apart = jury_card(*_jury(np.random.default_rng(2), 800, (0.8,) * 5))
    together = jury_card(*_jury(np.random.default_rng(2), 800, (0.8,) * 5, shared=0.8))
    assert abs(apart.error_correlation) < 0.05
    assert apart.effective_judges > 4
    assert together.error_correlation > 0.5
    assert together.effective_judges < 2
    worse = jury_card(*_jury(np.random.default_rng(3), 800, (0.95, 0.6, 0.6, 0.6, 0.6)))
    assert worse.majority < worse.best
    assert "worse than the best judge" in worse.note
    assert effective_judges(5, 1.0) == 1


def test_dawid_skene_is_over_confident_where_errors_are_shared() -> None:
    votes, truth = _jury(np.random.default_rng(4), 1000, (0.8, 0.75, 0.7, 0.7, 0.65), shared=0.7)
    found = dawid_skene(votes)
    sure = float(np.mean([max(row) for row in found.probabilities]))
    assert sure - _accuracy(found.labels, truth) > 0.05


def test_stacking_on_a_hundred_labels_beats_the_mean_of_the_judges() -> None:
    votes, truth = _jury(np.random.default_rng(5), 1500)
    predicted = stacked(votes[:100], truth[:100], votes)
    even = [sum(row) / len(row) for row in votes]
    squared = lambda scores: float(np.mean((np.array(scores) - truth) ** 2))  # noqa: E731
    assert squared(predicted) < squared(even) - 0.05
    assert min(predicted) >= 0
    assert max(predicted) <= 1
    with pytest.raises(UserError, match="two anchors"):
        stacked(votes[:1], truth[:1], votes)


def test_a_judge_worse_than_chance_is_heard_backwards() -> None:
    votes, truth = _jury(np.random.default_rng(6), 200, (0.1, 0.6))
    weights = anchored_weights(votes, truth)
    assert weights[0] < -1.5
    assert weights[0] == pytest.approx(
        math.log(
            (sum(v[0] == t for v, t in zip(votes, truth, strict=True)) + 1)
            / (sum(v[0] != t for v, t in zip(votes, truth, strict=True)) + 1)
        )
    )


def test_a_threshold_stops_at_the_first_failure_and_keeps_its_promise() -> None:
    confidence = [0.9] * 40 + [0.7] * 60 + [0.5] * 60
    agrees = [1] * 40 + [1] * 57 + [0] * 3 + [1] * 30 + [0] * 30
    found = agreement_threshold(confidence, agrees, target=0.9, delta=0.1)
    assert found.threshold == 0.7
    assert found.coverage == pytest.approx(100 / 160)
    assert found.agreement == pytest.approx(0.97)
    assert found.lower_bound == pytest.approx(agreement_bound(97, 100, 0.1))
    assert found.tested == (0.9, 0.7, 0.5)
    assert escalated(confidence, found.threshold) == list(range(100, 160))
    assert len(escalated(confidence, None)) == 160


def test_thresholds_broken_promises_are_as_rare_as_delta_says() -> None:
    random, broken, silent = np.random.default_rng(7), 0, 0
    for _ in range(400):
        confidence = random.random(300)
        found = agreement_threshold(confidence, random.random(300) < 0.6 + 0.4 * confidence, target=0.85, delta=0.1)
        if found.threshold is None:
            silent += 1
            continue
        truly = 0.6 + 0.4 * (1 + found.threshold) / 2
        broken += truly < 0.85
    assert broken / 400 <= 0.12
    assert silent < 100


def test_too_few_items_promise_nothing_and_a_convenience_sample_is_refused() -> None:
    found = agreement_threshold([0.9, 0.8], [1, 1], target=0.9)
    assert found.threshold is None
    assert "too few" in found.note
    with pytest.raises(UserError, match="at random"):
        agreement_threshold([0.9], [1], random_sample=False)


P = [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216]


def test_holm_and_benjamini_hochberg_give_the_textbook_corrections() -> None:
    assert holm(P).adjusted[:3] == pytest.approx((0.01, 0.072, 0.312))
    assert holm(P).count == 1
    screened = benjamini_hochberg(P)
    assert screened.adjusted == pytest.approx(tuple(stats.false_discovery_control(P)))
    assert screened.count == 2
    assert all(h <= b for h, b in zip(holm(P).adjusted, bonferroni(P).adjusted, strict=True))


def test_corrections_do_not_depend_on_the_order_given() -> None:
    turned = [P[k] for k in (3, 1, 0, 9, 2, 8, 4, 7, 5, 6)]
    for method in (holm, benjamini_hochberg, bonferroni):
        assert sorted(method(turned).adjusted) == pytest.approx(sorted(method(P).adjusted))
        assert method(turned).adjusted[2] == method(P).adjusted[0]
        assert method([]).adjusted == ()
    with pytest.raises(UserError, match="leave undefined ones out"):
        holm([0.1, math.nan])


def test_two_one_sided_tests_agree_with_their_interval_and_with_scipy() -> None:
    random = np.random.default_rng(8)
    a = random.normal(size=120)
    b = a + random.normal(scale=0.2, size=120)
    found = equivalence(a, b, 0.05)
    low = stats.ttest_1samp(a - b, -0.05, alternative="greater").pvalue
    high = stats.ttest_1samp(a - b, 0.05, alternative="less").pvalue
    assert (found.p_above_low, found.p_below_high) == pytest.approx((low, high))
    assert found.p_value == pytest.approx(max(low, high))
    assert found.equivalent is (found.low > -0.05 and found.high < 0.05)


def test_no_difference_found_is_no_equivalence_shown() -> None:
    small = tost(0.0, 0.1, 0.05)
    assert not small.equivalent
    assert small.p_value == pytest.approx(stats.norm.sf(0.5))
    assert tost(0.0, 0.01, 0.05, df=50).equivalent
    with pytest.raises(UserError, match="above 0"):
        tost(0.0, 0.1, 0.0)


def test_dawid_and_skenes_rounds_end_where_nothing_moves_and_with_crowd_kits_settings_where_it_does() -> None:
    random = np.random.default_rng(5)
    truth = random.integers(0, 2, 200)
    votes = [[int(each) if random.random() < 0.85 else 1 - int(each) for _ in range(4)] for each in truth]
    found, early = dawid_skene(votes), dawid_skene(votes, 100, 1e-5)
    further = dawid_skene(votes, found.iterations + 50, 0.0)
    assert np.array(found.probabilities) == pytest.approx(np.array(further.probabilities), abs=1e-9)
    assert early.iterations < found.iterations < 100
    priors, confusion = np.array(found.priors), np.array(found.confusion)
    table = np.eye(2)[np.array(votes)]
    joint = priors * np.exp(np.einsum("ijo,jto->it", table, np.log(confusion)))
    assert joint / joint.sum(axis=1, keepdims=True) == pytest.approx(np.array(found.probabilities), abs=1e-8)
