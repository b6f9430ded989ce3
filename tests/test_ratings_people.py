"""People and judges together: calibrated means and ratings, the joint bias model, corrected rates, active labels."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from judgebench.errors import UserError
from judgebench.ratings.active import augmented_mean, draw_labels, inverse_propensity_mean, label_chances
from judgebench.ratings.joint_bias import joint_bias
from judgebench.ratings.ppi import ppi_mean
from judgebench.ratings.ppi_ratings import ppi_bradley_terry
from judgebench.ratings.prevalence import rogan_gladen

ORACLES = Path(__file__).resolve().parent.parent.parent / "shared" / "oracles"


@pytest.mark.data
def test_ppi_of_a_mean_is_the_worked_example() -> None:
    oracle = json.loads((ORACLES / "O23_ppi_mean.json").read_text())
    given, expected = oracle["inputs"], oracle["expected"]
    close = lambda value: pytest.approx(value, abs=1e-6)  # noqa: E731
    tuned = ppi_mean(given["human"], given["judge_on_human"], given["judge_only"])
    plain = ppi_mean(given["human"], given["judge_on_human"], given["judge_only"], lam=1)
    assert tuned.value == close(expected["ppi_plus_plus"]["estimate"])
    assert (tuned.low, tuned.high) == close(tuple(expected["ppi_plus_plus"]["ci95"]))
    assert tuned.lam == close(expected["lambda_hat"])
    assert tuned.rectifier == close(expected["rectifier"])
    assert tuned.effective_n_ratio == close(expected["effective_n_ratio"])
    assert (tuned.human_value, tuned.human_se) == close(
        (expected["classical"]["estimate"], expected["classical"]["se_ddof0"])
    )
    assert (plain.value, plain.se) == close((expected["ppi_lambda1"]["estimate"], expected["ppi_lambda1"]["se"]))
    assert (plain.low, plain.high) == close(tuple(expected["ppi_lambda1"]["ci95"]))


def _labels(random: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    y = (random.random(n) < 0.6).astype(float)
    f = np.where(random.random(n) < 0.8, y, 1 - y) * 0.7 + 0.3 * random.random(n)
    return y, f


def test_no_weight_on_the_judge_is_people_alone() -> None:
    y, f = _labels(np.random.default_rng(0), 400)
    found = ppi_mean(y[:60], f[:60], f[60:], lam=0)
    assert found.value == pytest.approx(y[:60].mean())
    assert found.se == pytest.approx(found.human_se)


def test_a_judge_that_never_varies_gets_no_weight_and_says_so() -> None:
    y, _ = _labels(np.random.default_rng(0), 50)
    found = ppi_mean(y, [0.5] * 50, [0.5] * 200)
    assert found.lam == 0
    assert "never vary" in found.note


def test_few_labels_are_said_to_be_few_and_get_a_wider_quantile() -> None:
    y, f = _labels(np.random.default_rng(0), 300)
    found = ppi_mean(y[:12], f[:12], f[12:])
    assert "12 labelled questions" in found.note
    assert found.high - found.value > 1.96 * found.se * 1.1
    assert ppi_mean([1.0], [0.7], f).low is None


def test_labels_not_drawn_at_random_are_refused() -> None:
    with pytest.raises(UserError, match="not drawn at random"):
        ppi_mean([1, 0, 1], [1, 0, 1], [1, 0], random_sample=False)
    with pytest.raises(UserError, match="not drawn at random"):
        ppi_bradley_terry([("a", "b", 1, 1)], [("a", "b", 1)], random_sample=False)


def test_twice_the_same_scores_of_a_question_bring_no_new_information() -> None:
    y, f = _labels(np.random.default_rng(1), 200)
    human, rest = list(range(50)), list(range(50, 200))
    once = ppi_mean(y[:50], f[:50], f[50:], lam=0.7, human_clusters=human, judge_clusters=rest)
    twice = ppi_mean(
        np.tile(y[:50], 2), np.tile(f[:50], 2), np.tile(f[50:], 2), lam=0.7,
        human_clusters=human * 2, judge_clusters=rest * 2,
    )  # fmt: skip
    assert (twice.value, twice.se) == pytest.approx((once.value, once.se))
    assert twice.clusters == 50


def test_a_question_on_both_sides_is_one_cluster() -> None:
    y, f = _labels(np.random.default_rng(2), 200)
    apart = ppi_mean(
        y[:50], f[:50], f[50:100], lam=1, human_clusters=list(range(50)), judge_clusters=list(range(50, 100))
    )
    shared = ppi_mean(y[:50], f[:50], f[:50], lam=1, human_clusters=list(range(50)), judge_clusters=list(range(50)))
    assert apart.se > shared.se
    # The judge's scores of the same questions cancel wholly: what is left are people's labels.
    assert shared.se == pytest.approx(shared.human_se)
    assert shared.value == pytest.approx(shared.human_value)


def test_ppi_covers_what_people_would_say_where_the_judge_alone_never_does() -> None:
    random = np.random.default_rng(3)
    hits = judge_hits = narrower = 0
    for draw in range(400):
        y, f = _labels(random, 1000)
        f = np.clip(f + 0.15, 0, 1)
        found = ppi_mean(y[:100], f[:100], f[100:], folds=2, seed=draw,
                         human_clusters=list(range(100)), judge_clusters=list(range(100, 1000)))  # fmt: skip
        hits += found.low <= 0.6 <= found.high
        judge_hits += found.judge_low <= 0.6 <= found.judge_high
        narrower += found.se < found.human_se
    assert 0.92 <= hits / 400 <= 0.98
    assert judge_hits < 20
    assert narrower > 380


def _games(
    random: np.random.Generator, theta: dict[str, float], count: int, *, length: float = 0.0, taste: float = 0.0
):
    """(first, second, people, judge), lengths; the judge's taste for length and for model 'b' are planted."""
    names = sorted(theta)
    games, lengths = [], []
    for _ in range(count):
        first, second = random.choice(names, 2, replace=False)
        sizes = (random.normal(names.index(first)), random.normal(names.index(second)))
        gap = theta[first] - theta[second]
        # Both look at one and the same question: a shared uniform makes them agree more often than by chance.
        shared = random.random()
        people = float(shared < 1 / (1 + math.exp(-gap)))
        logit = gap + length * (sizes[0] - sizes[1]) + taste * ((first == "b") - (second == "b")) + 0.5
        own = shared if random.random() < 0.7 else random.random()
        games.append((str(first), str(second), people, float(own < 1 / (1 + math.exp(-logit)))))
        lengths.append(sizes)
    return games, lengths


THETA = {"a": 0.0, "b": 0.6, "c": 1.1, "d": 0.2}


def test_ratings_by_people_and_judge_are_narrower_than_by_people_and_on_their_scale() -> None:
    games, _ = _games(np.random.default_rng(5), THETA, 4000, length=0.4)
    found = ppi_bradley_terry(games[:250], [(a, b, f) for a, b, _, f in games[250:]])
    assert found.reference == "a"
    for name in "bcd":
        assert found.se_relative[name] < found.human_se_relative[name]
        assert abs(found.relative[name] - THETA[name]) < 3 * found.se_relative[name]
    assert abs(found.judge_relative["d"] - THETA["d"]) > 5 * found.judge_se_relative["d"]
    assert sum(found.theta.values()) == pytest.approx(0)
    gap, error = found.difference("c", "a")
    assert gap == pytest.approx(400 / math.log(10) * found.relative["c"])
    assert error == pytest.approx(400 / math.log(10) * found.se_relative["c"])


def test_all_weight_off_the_judge_is_the_ratings_of_people() -> None:
    games, _ = _games(np.random.default_rng(6), THETA, 600)
    found = ppi_bradley_terry(games[:200], [(a, b, f) for a, b, _, f in games[200:]], lam=0)
    assert found.relative == pytest.approx(found.human_relative, abs=1e-8)


def test_swapping_names_and_scores_of_every_game_changes_no_rating() -> None:
    games, _ = _games(np.random.default_rng(7), THETA, 600)
    labelled, rest = games[:200], [(a, b, f) for a, b, _, f in games[200:]]
    turned = [(b, a, 1 - y, 1 - f) for a, b, y, f in labelled]
    one = ppi_bradley_terry(labelled, rest)
    other = ppi_bradley_terry(turned, [(b, a, 1 - f) for a, b, f in rest])
    assert one.relative == pytest.approx(other.relative, abs=1e-9)
    assert one.se_relative == pytest.approx(other.se_relative, abs=1e-9)


def test_questions_asked_twice_count_once_in_ratings_too() -> None:
    games, _ = _games(np.random.default_rng(8), THETA, 600)
    labelled, rest = games[:200], [(a, b, f) for a, b, _, f in games[200:]]
    human, judge = list(range(200)), list(range(200, 600))
    once = ppi_bradley_terry(labelled, rest, lam=0.5, human_clusters=human, judge_clusters=judge)
    twice = ppi_bradley_terry(labelled * 2, rest * 2, lam=0.5, human_clusters=human * 2, judge_clusters=judge * 2)
    assert twice.se_relative == pytest.approx(once.se_relative, rel=1e-6)


def test_the_joint_model_finds_the_planted_biases_and_is_narrower_than_ppi() -> None:
    games, lengths = _games(np.random.default_rng(9), THETA, 3000, length=0.4)
    found = joint_bias(games[:300], [(a, b, f) for a, b, _, f in games[300:]], lengths=(lengths[:300], lengths[300:]))
    assert abs(found.position - 0.5) < 4 * found.se["position"]
    assert found.length_excess > 3 * found.se["length_excess"]
    for name in "bcd":
        assert found.se_relative[name] < found.ppi.se_relative[name]
        assert abs(found.relative[name] - THETA[name]) < 4 * found.se_relative[name]
    assert found.headline == "joint"


def test_a_taste_that_is_not_in_the_joint_model_makes_ppi_the_headline() -> None:
    games, lengths = _games(np.random.default_rng(10), THETA, 3000, length=0.4, taste=1.5)
    found = joint_bias(games[:300], [(a, b, f) for a, b, _, f in games[300:]], lengths=(lengths[:300], lengths[300:]))
    assert found.p_value < 0.01
    assert found.headline == "ppi"
    assert abs(found.ppi.relative["b"] - THETA["b"]) < 3 * found.ppi.se_relative["b"]


def test_the_specification_test_rejects_a_right_model_about_as_often_as_it_says() -> None:
    random, rejected = np.random.default_rng(11), 0
    for _ in range(60):
        games, lengths = _games(random, THETA, 800, length=0.4)
        rest = [(a, b, f) for a, b, _, f in games[200:]]
        rejected += joint_bias(games[:200], rest, lengths=(lengths[:200], lengths[200:])).p_value < 0.05
    assert rejected <= 9


def test_a_corrected_rate_is_rogan_and_gladens() -> None:
    found = rogan_gladen(0.58, 500, 0.85, 80, 0.82, 60)
    assert found.value == pytest.approx(0.40 / 0.67)
    wanted = 0.58 * 0.42 / 500 + (40 / 67) ** 2 * 0.85 * 0.15 / 80 + (27 / 67) ** 2 * 0.82 * 0.18 / 60
    assert found.se == pytest.approx(math.sqrt(wanted) / 0.67)
    assert rogan_gladen(0.05, 100, 0.9, 50, 0.9, 50).value == 0
    assert "outside" in rogan_gladen(0.05, 100, 0.9, 50, 0.9, 50).note


def test_a_judge_no_better_than_chance_corrects_nothing() -> None:
    with pytest.raises(UserError, match="better than chance"):
        rogan_gladen(0.5, 100, 0.6, 50, 0.4, 50)


def test_labels_drawn_with_known_chances_give_an_unbiased_mean() -> None:
    random = np.random.default_rng(12)
    y, f = _labels(random, 3000)
    chances = label_chances(1 - np.abs(2 * f - 1), 600, uniform=0.5)
    assert sum(chances) == pytest.approx(600)
    assert min(chances) > 0
    estimates = []
    for seed in range(60):
        drawn = draw_labels(chances, 100 + seed)
        human = [score if there else None for score, there in zip(y, drawn, strict=True)]
        estimates.append(augmented_mean(f, human, chances))
    mean = np.mean([each.value for each in estimates])
    assert abs(mean - y.mean()) < 0.006
    said = math.sqrt(np.mean([each.se**2 for each in estimates]))
    # The answers are fixed here, so what varies is less than what the interval allows for.
    assert 0.6 * said < np.std([each.value for each in estimates]) < 1.2 * said
    alone = inverse_propensity_mean(human, chances)
    assert alone.se > estimates[-1].se


def test_the_worked_parts_of_an_augmented_mean() -> None:
    found = augmented_mean([0.5, 0.25, 1.0], [1.0, None, 0.5], [0.5, 0.2, 1.0])
    parts = [0.5 + 0.5 / 0.5, 0.25, 0.5]
    assert found.value == pytest.approx(sum(parts) / 3)
    assert found.se == pytest.approx(np.std(parts, ddof=1) / math.sqrt(3))
    assert found.se_ddof0 == pytest.approx(np.std(parts) / math.sqrt(3))


@pytest.mark.parametrize("chance", [0.0, 1.5, math.nan])
def test_a_propensity_of_zero_is_refused(chance: float) -> None:
    with pytest.raises(UserError, match="above 0"):
        augmented_mean([0.5, 0.5], [1.0, None], [0.5, chance])


def test_a_sure_label_that_is_missing_is_refused() -> None:
    with pytest.raises(UserError, match="no label"):
        augmented_mean([0.5, 0.5], [1.0, None], [0.5, 1.0])
