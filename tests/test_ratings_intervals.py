"""Clustered errors and intervals: spot values, edges and coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest

from judgebench.errors import UserError
from judgebench.ratings.intervals import (
    clopper_pearson,
    cluster_bootstrap,
    clustered_error,
    clustered_interval,
    clustered_t_interval,
    normal_interval,
    t_interval,
    wilson,
)

SCORES = [1, 1, 0, 0, 0, 1, 1, 1, 1, 0, 1, 0]
QUESTIONS = ["q1", "q1", "q1", "q2", "q2", "q3", "q3", "q3", "q3", "q4", "q5", "q5"]


def test_the_four_standard_errors_of_one_clustered_table_are_the_worked_ones():
    error = clustered_error(SCORES, QUESTIONS)
    assert (error.n, error.clusters) == (12, 5)
    assert error.mean == pytest.approx(7 / 12)
    assert error.clt == pytest.approx(0.148647, abs=1e-6)
    assert error.miller == pytest.approx(0.183231, abs=1e-6)
    assert error.cr0 == pytest.approx(0.178135, abs=1e-6)
    assert error.cr1 == pytest.approx(0.199162, abs=1e-6)
    assert error.design_effect == pytest.approx(1.436111, abs=1e-6)


def test_without_shared_questions_miller_and_cr1_are_the_plain_error():
    error = clustered_error(SCORES)
    assert error.miller == pytest.approx(error.clt)
    assert error.cr1 == pytest.approx(error.clt)


def test_copying_every_score_within_its_question_does_not_shrink_the_clustered_error():
    once = clustered_error(SCORES)
    thrice = clustered_error(SCORES * 3, list(range(12)) * 3)
    assert thrice.cr1 == pytest.approx(once.cr1)
    assert thrice.clt < once.clt


def test_wilson_and_clopper_pearson_give_the_worked_intervals():
    assert wilson(6, 9) == pytest.approx((0.354202, 0.879416), abs=1e-6)
    assert clopper_pearson(6, 9) == pytest.approx((0.299295, 0.925145), abs=1e-6)
    assert clopper_pearson(0, 10) == pytest.approx((0.0, 1 - 0.025 ** (1 / 10)))
    assert clopper_pearson(10, 10) == pytest.approx((0.025 ** (1 / 10), 1.0))
    assert normal_interval(0.625, 0.125) == pytest.approx((0.380005, 0.869995), abs=1e-6)
    assert t_interval(0.625, 0.125, 11) == pytest.approx((0.349877, 0.900123), abs=1e-6)


@pytest.mark.parametrize(("successes", "n"), [(-1, 4), (5, 4), (0, 0)])
def test_a_share_of_nothing_or_beyond_its_whole_is_refused(successes, n):
    for interval in (wilson, clopper_pearson):
        with pytest.raises(UserError, match="successes"):
            interval(successes, n)


def test_the_default_interval_is_near_t_on_cr1_away_from_the_edges():
    random = np.random.default_rng(0)
    scores = (random.random(400) < 0.6).astype(float)
    questions = [number // 2 for number in range(400)]
    estimate = clustered_interval(scores, questions)
    assert estimate.se == pytest.approx(clustered_error(scores, questions).cr1)
    assert (estimate.low, estimate.high) == pytest.approx(t_interval(estimate.value, estimate.se, 199), abs=0.003)


def test_one_question_has_a_value_but_no_interval_and_says_why():
    for scores, questions in (([1.0], None), ([1.0, 0.0, 1.0], ["q", "q", "q"])):
        estimate = clustered_interval(scores, questions)
        assert estimate.value == pytest.approx(sum(scores) / len(scores))
        assert (estimate.low, estimate.high, estimate.se) == (None, None, None)
        assert "one question" in estimate.note


def test_no_scores_at_all_have_neither_value_nor_interval():
    assert clustered_interval([]).value is None
    assert clustered_t_interval([]).value is None
    assert clustered_interval([]).note == "no scores"


def test_all_wins_or_all_losses_get_the_exact_bound_of_the_number_of_questions():
    wins = clustered_interval([1.0] * 20, [number // 2 for number in range(20)])
    assert wins.value == 1
    assert wins.high == 1
    assert wins.low == pytest.approx(0.025 ** (1 / 10))
    losses = clustered_interval([0.0] * 20, [number // 2 for number in range(20)])
    assert losses.low == 0
    assert losses.high == pytest.approx(1 - 0.025 ** (1 / 10))
    assert "Clopper-Pearson" in wins.note


def test_all_ties_never_look_certain():
    estimate = clustered_interval([0.5] * 10)
    assert estimate.low < 0.25
    assert estimate.high > 0.75
    assert "no variation" in estimate.note


def test_the_default_interval_stays_within_the_scale_and_around_the_mean():
    for wins in range(1, 12):
        scores = [1.0] * wins + [0.0] * (12 - wins)
        estimate = clustered_interval(scores)
        assert 0 <= estimate.low < estimate.value < estimate.high <= 1


@pytest.mark.parametrize("bad", [[0.5, float("nan")], [0.5, float("inf")], [0.5, 1.5], [-0.1, 0.5]])
def test_a_score_that_is_no_share_is_refused_rather_than_averaged(bad):
    with pytest.raises(UserError):
        clustered_interval(bad)


def test_scores_and_clusters_of_different_lengths_are_refused():
    with pytest.raises(UserError, match="3 scores but 2 clusters"):
        clustered_interval([1, 0, 1], ["a", "b"])


@pytest.mark.parametrize(("questions", "share"), [(80, 0.6), (80, 0.9), (24, 0.7)])
def test_the_default_interval_covers_the_truth_about_as_often_as_it_says(questions, share):
    random = np.random.default_rng(7)
    draws, covered, naive = 600, 0, 0
    codes = [number // 2 for number in range(2 * questions)]
    for _ in range(draws):
        ease = random.beta(share, 1 - share, questions)  # two turns of a question correlate at 0.5
        scores = (random.random((questions, 2)) < ease[:, None]).astype(float).ravel()
        estimate = clustered_interval(scores, codes)
        covered += estimate.low <= share <= estimate.high
        unclustered = clustered_interval(scores)
        naive += unclustered.low <= share <= unclustered.high
    assert 0.925 <= covered / draws <= 0.985
    assert naive < covered - 0.02 * draws  # what ignoring the shared question would cost


def test_the_bootstrap_agrees_with_the_clustered_error_and_repeats_by_its_seed():
    random = np.random.default_rng(3)
    scores = random.random(300)
    questions = [number // 3 for number in range(300)]
    one = cluster_bootstrap(scores, questions, draws=3000, seed=5)
    assert one == cluster_bootstrap(scores, questions, draws=3000, seed=5)
    assert one != cluster_bootstrap(scores, questions, draws=3000, seed=6)
    assert one.se == pytest.approx(clustered_error(scores, questions).cr0, rel=0.05)
    assert one.note == "cluster bootstrap: B=3000, seed=5"


def test_the_bootstrap_with_given_indices_takes_type_7_percentiles_of_those_means():
    scores, questions = [0.0, 1.0, 1.0, 0.5], ["a", "b", "b", "c"]
    indices = [[0, 0, 0], [1, 1, 1], [2, 2, 2], [0, 1, 2], [0, 0, 1]]
    estimate = cluster_bootstrap(scores, questions, indices=indices)
    means = [0.0, 1.0, 0.5, 2.5 / 4, 2 / 4]
    assert estimate.low == pytest.approx(0.1 * 0.5)  # 0.025 · 4 = a tenth of the way from 0.0 to 0.5
    assert estimate.high == pytest.approx(np.quantile(means, 0.975))
    assert estimate.se == pytest.approx(np.std(means, ddof=1))


def test_strata_are_kept_in_every_draw():
    scores, strata = [1.0, 1.0, 1.0, 0.0, 0.0, 0.0], ["easy"] * 3 + ["hard"] * 3
    kept = cluster_bootstrap(scores, strata=strata, draws=200)
    assert (kept.se, kept.low) == (0.0, None)
    assert "no variation" in kept.note
    free = cluster_bootstrap(scores, draws=200)
    assert free.low < 0.5 < free.high
    with pytest.raises(UserError, match="two strata"):
        cluster_bootstrap([1, 0, 1], ["a", "a", "b"], strata=["x", "y", "y"])


@pytest.mark.parametrize("indices", [[[0, 1]], [[0, 3], [1, 1]], [[0, -1], [1, 1]]])
def test_indices_that_name_no_cluster_are_refused(indices):
    with pytest.raises(UserError, match="indices"):
        cluster_bootstrap([1, 0, 1], indices=indices)


def test_a_mean_without_known_bounds_gets_t_on_cr1_and_none_where_nothing_varies():
    estimate = clustered_t_interval([3.0, 5.0, 11.0, 2.0])
    assert (estimate.low, estimate.high) == pytest.approx(t_interval(5.25, math.sqrt(16.25 / 4), 3))
    assert clustered_t_interval([4.0, 4.0]).low is None
    assert "no variation" in clustered_t_interval([4.0, 4.0]).note
