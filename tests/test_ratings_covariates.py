"""Bradley–Terry with covariates: planted effects, what is refused, agreement with the plain fit."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from judgebench.errors import UserError
from judgebench.ratings import bradley_terry, covariates

NAMES = ("A", "B", "C", "D")


def simulated(n: int, seed: int, position: float, length: float):
    random = np.random.default_rng(seed)
    theta = np.array([0.8, 0.1, -0.2, -0.7])
    first = random.integers(0, 4, n)
    second = (first + random.integers(1, 4, n)) % 4
    x = random.normal(0, 1, n)
    chance = special.expit(theta[first] - theta[second] + position + length * x)
    games = [
        (NAMES[a], NAMES[b], float(won)) for a, b, won in zip(first, second, random.random(n) < chance, strict=True)
    ]
    return games, x.tolist()


def test_planted_position_and_length_effects_come_back():
    games, x = simulated(20_000, 3, position=0.4, length=0.6)
    found = covariates.fit(games, {"length": x}, position=True)
    assert found.features == ("length", "position")
    assert found.coefficients == pytest.approx({"length": 0.6, "position": 0.4}, abs=0.05)
    assert found.theta["A"] == pytest.approx(0.8, abs=0.06)
    assert found.low["position"] < 0.4 < found.high["position"]
    assert found.p_values["length"] < 1e-6
    assert found.likelihood_ratios["length"] > found.likelihood_ratios["position"] > 20
    assert found.likelihood_ratio == pytest.approx(sum(found.likelihood_ratios.values()), rel=0.1)


def test_without_covariates_it_is_the_plain_fit():
    games, _ = simulated(400, 4, 0, 0)
    questions = [at // 4 for at in range(len(games))]
    plain = bradley_terry.fit(*(list(column) for column in zip(*games, strict=True)), questions)
    found = covariates.fit(games, clusters=questions)
    assert found.theta == pytest.approx(plain.theta, abs=1e-8)
    assert found.elo_low == pytest.approx(plain.low, abs=1e-6)
    assert found.log_likelihood == pytest.approx(plain.log_likelihood)
    assert found.likelihood_ratio is None


def test_swapping_the_order_shown_turns_position_and_length_and_leaves_ratings():
    games, x = simulated(500, 5, 0.3, 0.3)
    turned = [(second, first, 1 - score) for first, second, score in games]
    one = covariates.fit(games, {"length": x}, position=True)
    two = covariates.fit(turned, {"length": [-value for value in x]}, position=True)
    assert two.theta == pytest.approx(one.theta, abs=1e-7)
    assert two.coefficients["position"] == pytest.approx(-one.coefficients["position"], abs=1e-7)
    assert two.coefficients["length"] == pytest.approx(one.coefficients["length"], abs=1e-7)


def test_copies_of_a_question_do_not_narrow_the_clustered_interval():
    games, x = simulated(200, 6, 0.2, 0.2)
    once = covariates.fit(games, {"length": x}, list(range(200)), position=True)
    twice = covariates.fit(games * 2, {"length": x * 2}, list(range(200)) * 2, position=True)
    assert twice.se == pytest.approx(once.se, rel=1e-6)
    assert twice.theta_se == pytest.approx(once.theta_se, rel=1e-6)


def test_a_ridge_gives_separated_games_a_finite_fit_and_says_so():
    games = [("A", "B", 1.0), ("A", "B", 1.0), ("B", "A", 0.0)]
    with pytest.raises(UserError, match="separated"):
        covariates.fit(games)
    found = covariates.fit(games, ridge=0.5, base=10)
    assert found.theta["A"] > 0
    assert "ridge 0.5 (base 10)" in found.note
    assert found.likelihood_ratio is None


def test_a_covariate_that_separates_all_games_is_refused():
    games, _ = simulated(60, 7, 0, 0)
    with pytest.raises(UserError, match="separated"):
        covariates.fit(games, {"winner": [2 * score - 1 for _, _, score in games]})


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        (lambda game: 0.0, "never varies from 0"),
        (lambda game: (game[0] == "A") - (game[1] == "A"), "fixed by who plays whom"),
    ],
)
def test_an_effect_that_no_game_can_tell_is_refused_by_name(feature, message):
    games, _ = simulated(60, 8, 0, 0)
    with pytest.raises(UserError, match=f"'odd'.*{message}"):
        covariates.fit(games, {"odd": [float(feature(game)) for game in games]})


def test_input_that_cannot_be_meant_is_refused():
    for games, features, message in [
        ([], {}, "no games"),
        ([("A", "B", 2.0)], {}, r"\[0, 1\]"),
        ([("A", "A", 1.0)], {}, "against itself"),
        ([("A", "B", 1.0), ("C", "D", 0.0)], {}, "not comparable"),
        ([("A", "B", 0.5)], {"length": [1.0, 2.0]}, "1 games but 2 values of 'length'"),
        ([("A", "B", 0.5)], {"length": [float("nan")]}, "nan"),
    ]:
        with pytest.raises(UserError, match=message):
            covariates.fit(games, features)


def test_an_effect_that_is_the_same_in_every_question_has_no_p_value_and_says_so():
    # Every pair is shown in both orders and told alike: position is 0 with an error of 0, and no test is 0/0.
    games, questions = [], []
    for question, score in enumerate((1.0, 0.5, 0.0, 1.0, 1.0)):
        games += [("A", "B", score), ("B", "A", 1 - score)]
        questions += [question] * 2
    found = covariates.fit(games, clusters=questions, position=True)
    assert found.coefficients["position"] == pytest.approx(0, abs=1e-12)
    assert np.isnan(found.p_values["position"])
    assert "no variation between questions along position: no test" in found.note
    other = covariates.fit(games[:-1], clusters=questions[:-1], position=True)
    assert 0 < other.p_values["position"] < 1
    assert "no test" not in other.note
