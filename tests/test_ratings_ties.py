"""Models of ties and ranks: worked numbers, likelihoods, planted truths, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from judgebench.errors import UserError
from judgebench.ratings import bradley_terry, ranks, ties

COUNTS = {"AB": (7, 2, 1), "AC": (8, 1, 1), "AD": (9, 0, 1), "BC": (5, 3, 2), "BD": (6, 3, 1), "CD": (4, 4, 2)}
GAMES = [
    (pair[0], pair[1], score)
    for pair, counts in COUNTS.items()
    for score, count in zip((1.0, 0.0, 0.5), counts, strict=True)
    for _ in range(count)
]
LEFT, RIGHT, SCORE = (list(column) for column in zip(*GAMES, strict=True))


def test_davidson_and_rao_kupper_give_the_worked_numbers():
    davidson, other = ties.fit(LEFT, RIGHT, SCORE), ties.fit(LEFT, RIGHT, SCORE, kind="rao-kupper")
    assert davidson.tie == pytest.approx(0.396118, abs=1e-6)
    assert davidson.theta["A"] == pytest.approx(1.620, abs=5e-4)
    assert other.tie == pytest.approx(0.374108, abs=1e-6)
    assert bradley_terry.fit(LEFT, RIGHT, SCORE).theta["A"] == pytest.approx(1.324390, abs=1e-6)
    assert (davidson.ties, davidson.games) == (8, 60)


@pytest.mark.parametrize("kind", ["davidson", "rao-kupper"])
def test_the_fit_is_the_top_of_its_own_likelihood(kind):
    found = ties.fit(LEFT, RIGHT, SCORE, kind=kind)

    def likelihood(theta: dict[str, float], tie: float) -> float:
        total = 0.0
        for left, right, score in GAMES:
            gap = theta[left] - theta[right]
            if kind == "davidson":
                one, two = math.exp(gap / 2), math.exp(-gap / 2)
                win, loss = one / (one + two + tie), two / (one + two + tie)
            else:
                win, loss = 1 / (1 + math.exp(tie - gap)), 1 / (1 + math.exp(tie + gap))
            total += math.log({1.0: win, 0.0: loss, 0.5: 1 - win - loss}[score])
        return total

    best = likelihood(found.theta, found.tie)
    assert best == pytest.approx(found.log_likelihood)
    for name in "ABCD":
        for move in (-0.02, 0.02):
            assert likelihood({**found.theta, name: found.theta[name] + move}, found.tie) < best
    assert likelihood(found.theta, found.tie + 0.02) < best > likelihood(found.theta, found.tie - 0.02)
    assert sum(found.probabilities("A", "D")) == pytest.approx(1)


def played(kind: str, n: int, seed: int):
    random = np.random.default_rng(seed)
    theta = np.array([1.2, 0.0, -1.2])
    a = random.integers(0, 3, n)
    b = (a + random.integers(1, 3, n)) % 3
    gap = theta[a] - theta[b]
    if kind == "davidson":
        total = np.exp(gap / 2) + np.exp(-gap / 2) + 2.0
        win, loss = np.exp(gap / 2) / total, np.exp(-gap / 2) / total
    else:
        win, loss = 1 / (1 + np.exp(1.0 - gap)), 1 / (1 + np.exp(1.0 + gap))
    drawn = random.random(n)
    score = np.where(drawn < win, 1.0, np.where(drawn < win + loss, 0.0, 0.5))
    return [f"m{x}" for x in a], [f"m{x}" for x in b], score.tolist()


@pytest.mark.parametrize("kind", ["davidson", "rao-kupper"])
def test_the_comparison_names_the_model_that_made_the_games_and_rejects_the_other(kind):
    games = played(kind, 40_000, 1)
    found = ties.compare(*games, [at // 4 for at in range(40_000)])
    other = "rao-kupper" if kind == "davidson" else "davidson"
    assert found.better == kind
    assert found.deviance_p[kind] > 0.01
    assert found.deviance_p[other] < 1e-6
    assert found.vuong_p < 0.01
    assert found.df == 3
    fitted = ties.fit(*games, kind=kind)
    assert fitted.tie == pytest.approx(2.0 if kind == "davidson" else 1.0, abs=4 * fitted.tie_se)
    assert fitted.theta["m0"] == pytest.approx(1.2, abs=4 * fitted.se["m0"])


def test_copies_of_a_question_do_not_narrow_the_interval():
    questions = list(range(60))
    once, twice = ties.fit(LEFT, RIGHT, SCORE, questions), ties.fit(LEFT * 2, RIGHT * 2, SCORE * 2, questions * 2)
    assert twice.se == pytest.approx(once.se)
    assert twice.tie_se == pytest.approx(once.tie_se)
    assert twice.low == pytest.approx(once.low)


@pytest.mark.parametrize(
    ("score", "message"),
    [([0.75, 1, 0], "0, 0.5 or 1, found 0.75"), ([1, 0, 1], "no game is a tie"), ([0.5] * 3, "every game is a tie"),
     ([1, 0.5, 0.5], "separated")],
)  # fmt: skip
def test_games_that_say_nothing_of_ties_are_refused(score, message):
    with pytest.raises(UserError, match=message):
        ties.fit(["a"] * 3, ["b"] * 3, score)


def test_a_rank_is_one_and_the_models_that_lie_wholly_above():
    low, high = {"a": 10.0, "b": 5.0, "c": 4.0, "d": 0.0}, {"a": 20.0, "b": 11.0, "c": 9.0, "d": 3.0}
    found = ranks.rank_intervals(low, high)
    assert {name: (rank.best, rank.rank, rank.worst) for name, rank in found.items()} == {
        "a": (1, 1, 2), "b": (1, 2, 3), "c": (2, 3, 3), "d": (4, 4, 4)}  # fmt: skip
    with pytest.raises(UserError, match="no rank follows"):
        ranks.rank_intervals({"a": float("nan")}, {"a": 1.0})
    with pytest.raises(UserError, match="every model"):
        ranks.rank_intervals({"a": 0.0}, {"b": 1.0})


def test_ranks_by_tested_differences_hold_the_true_order_and_widen_with_doubt():
    left, right, score = played("davidson", 4000, 3)
    sure = ranks.fit_ranks(bradley_terry.fit(left, right, score))
    assert {name: (rank.best, rank.worst) for name, rank in sure.items()} == {"m0": (1, 1), "m1": (2, 2), "m2": (3, 3)}
    unsure = ranks.fit_ranks(bradley_terry.fit(left[:30], right[:30], score[:30]))
    assert unsure["m1"].worst > unsure["m1"].best
    assert ranks.fit_ranks(bradley_terry.fit(["a", "b"], ["b", "a"], [0.5, 0.5])) is None
