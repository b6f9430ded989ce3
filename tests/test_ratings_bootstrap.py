"""The bootstrap of Bradley–Terry: agreement with refitting, with the sandwich, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from judgebench.errors import UserError
from judgebench.ratings import bradley_terry
from judgebench.ratings.bootstrap import bootstrap
from judgebench.ratings.intervals import cluster_codes
from judgebench.ratings.likelihood import maximise
from judgebench.ratings.sandwich import meat
from judgebench.ratings.tallies import points_table, tally


def played(n: int, m: int, seed: int, a_question: int = 1):
    random = np.random.default_rng(seed)
    theta = random.normal(0, 0.8, m)
    a = random.integers(0, m, n)
    b = (a + random.integers(1, m, n)) % m
    shared = np.repeat(random.normal(0, 1, n), a_question)[:n]
    won = random.random(n) < special.expit(theta[a] - theta[b] + shared * (a_question > 1))
    score = np.where(random.random(n) < 0.15, 0.5, won.astype(float))
    names = [f"m{number:02d}" for number in range(m)]
    return [names[x] for x in a], [names[x] for x in b], score.tolist(), [at // a_question for at in range(n)]


@pytest.mark.parametrize("questions", [False, True])
def test_every_draw_is_the_fit_of_the_games_it_drew(questions):
    left, right, score, clusters = played(600, 5, 1, a_question=6)
    found = bootstrap(left, right, score, clusters if questions else None, draws=60, seed=9)
    index = {name: number for number, name in enumerate(found.models)}
    a, b = np.array([index[name] for name in left]), np.array([index[name] for name in right])
    values, random = np.array(score), np.random.default_rng(9)
    if not questions:
        assert found.distribution.std(axis=0).min() > 5
        return
    codes, groups = np.array(clusters), 100
    for row in range(60):
        drawn = np.bincount(random.integers(0, groups, groups), minlength=groups)[codes]
        points = points_table(np.repeat(a, drawn), np.repeat(b, drawn), np.repeat(values, drawn), 5)
        theta = maximise(points, 0.0)[0]
        assert found.distribution[row] == pytest.approx(1000 + bradley_terry.ELO * theta, abs=1e-3)


@pytest.mark.parametrize("n", [3_000, 40_000])
def test_spread_over_draws_of_games_is_the_sandwich_error(n):
    left, right, score, _ = played(n, 6, 2)
    found, fitted = bootstrap(left, right, score, draws=1500), bradley_terry.fit(left, right, score)
    assert found.elo == pytest.approx(fitted.elo, abs=1e-6)
    assert found.se == pytest.approx(fitted.se_elo, rel=0.1)
    assert found.low == pytest.approx(fitted.low, abs=0.35 * max(fitted.se_elo.values()))


def test_questions_are_drawn_whole_so_copies_do_not_narrow_it():
    left, right, score, clusters = played(400, 4, 3, a_question=4)
    once = bootstrap(left, right, score, clusters, draws=400)
    twice = bootstrap(left * 2, right * 2, score * 2, clusters * 2, draws=400)
    assert twice.clusters == once.clusters == 100
    assert twice.se == pytest.approx(once.se, abs=1e-3)
    assert bootstrap(left * 2, right * 2, score * 2, draws=400).se["m00"] < 0.85 * once.se["m00"]


def test_ranks_and_the_share_of_firsts_come_from_the_draws():
    left, right, score, clusters = played(3000, 5, 4)
    found = bootstrap(left, right, score, clusters, draws=500)
    assert sum(found.best.values()) == pytest.approx(1)
    order = sorted(found.models, key=lambda name: -found.elo[name])
    assert [found.rank_low[name] <= rank <= found.rank_high[name] for rank, name in enumerate(order, 1)] == [True] * 5
    assert all(1 <= found.rank_low[name] <= found.rank_high[name] <= 5 for name in found.models)


def test_draws_that_separate_a_model_are_counted_and_past_a_hundredth_there_is_no_interval():
    left, right = ["a"] * 12 + ["b"] * 12, ["b"] * 12 + ["c"] * 12
    score = [1.0] * 11 + [0.0] + [1.0, 0.0] * 6
    found = bootstrap(left, right, score, draws=200)
    assert found.separated > 20
    assert found.low is None
    assert found.se is None
    assert f"{found.separated} draws have no finite fit" in found.note
    assert np.isnan(found.distribution[:, 0]).sum() == found.separated


def test_the_same_seed_gives_the_same_draws_and_one_question_no_interval():
    left, right, score, clusters = played(200, 4, 5, a_question=4)
    one, two = (bootstrap(left, right, score, clusters, draws=50, seed=7) for _ in range(2))
    assert (one.distribution == two.distribution).all()
    alone = bootstrap(left, right, score, ["q"] * 200, draws=20)
    assert alone.low is None
    assert "one question" in alone.note
    for draws, scores, message in [(1, score, "two draws"), (10, [1.0] * 200, "separated")]:
        with pytest.raises(UserError, match=message):
            bootstrap(["a"] * 200, ["b"] * 200, scores, draws=draws)


def test_the_sandwich_is_the_same_whichever_way_it_is_summed(monkeypatch):
    left, right, score, clusters = played(600, 5, 6, a_question=3)
    index = {name: number for number, name in enumerate(sorted(set(left)))}
    a, b = np.array([index[name] for name in left]), np.array([index[name] for name in right])
    residuals, codes = np.array(score) - 0.4, np.array(clusters)
    scores = np.zeros((200, 5))
    np.add.at(scores, (codes, a), residuals)
    np.add.at(scores, (codes, b), -residuals)
    assert meat(a, b, residuals, codes, 5) == pytest.approx(scores.T @ scores)
    monkeypatch.setattr("judgebench.ratings.sandwich.BLOCK", 150)
    assert meat(a, b, residuals, codes, 5) == pytest.approx(scores.T @ scores)


def test_names_are_numbered_alike_whether_few_or_more_than_a_byte_holds():
    names = [f"n{number:03d}" for number in range(300)]
    left = names[::-1] * 2
    found = tally(left, [*left[1:], left[0]], [1.0, 0.0] * 300)
    assert found.models == names
    assert [found.models[number] for number in found.a] == left
    few = tally(["b", "a", "c"], ["a", "c", "b"], [1, 0.5, 0])
    assert (few.models, few.a.tolist(), few.b.tolist()) == (["a", "b", "c"], [1, 0, 2], [0, 2, 1])


def test_clusters_are_numbered_by_first_appearance_whatever_they_are_given_as():
    random = np.random.default_rng(1)
    for numbers in (random.integers(-3, 40, 200), random.integers(0, 2, 5), random.integers(0, 10**9, 50)):
        listed = cluster_codes(numbers.tolist(), len(numbers))
        assert (cluster_codes(numbers, len(numbers)) == listed).all()
        assert (cluster_codes([str(number) for number in numbers], len(numbers)) == listed).all()
        assert listed[0] == 0
        assert len(set(listed.tolist())) == listed.max() + 1
