"""Preference losses against values worked out by hand."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("torch")

from judgebench.train import losses
from judgebench.train.language import GOOD, POOR, asked, hindsight, weights
from judgebench.train.online import filled
from judgebench.train.raft import best_of


def test_rrhf_sums_the_hinges_of_misranked_pairs_and_the_likelihood_of_the_best() -> None:
    # Means: -1, -2, -0.5. Ranked as given, the third alone is above others: (-0.5 + 1) + (-0.5 + 2) = 2; L_ft = 4.
    assert float(losses.rrhf([-4.0, -4.0, -1.0], [4, 2, 2])) == pytest.approx(2 + 4)
    # By rewards 1, 1, 0: no pair between the first two; the same two hinges; the best is the first of those alike.
    assert float(losses.rrhf([-4.0, -4.0, -1.0], [4, 2, 2], [1, 1, 0])) == pytest.approx(6)
    # By rewards 0, 1, 2 the third is the best and nothing above it: -1 > -2 is the one hinge of (first, second).
    assert float(losses.rrhf([-4.0, -4.0, -1.0], [4, 2, 2], [0, 1, 2])) == pytest.approx(1 + 1)


def test_pro_is_a_product_of_softmaxes_each_over_what_is_left() -> None:
    # Means 0, -ln 2, -ln 4: exp are 1, 1/2, 1/4. First 1 / 1.75, second (1/2) / (3/4).
    logps = [0.0, -math.log(2), -math.log(4)]
    ranking = math.log(1.75) + math.log(0.75 / 0.5)
    assert float(losses.pro(logps, [1, 1, 1], sft=0)) == pytest.approx(ranking)
    # With the paper's weight of 0.05 (3 - 1)^2 = 0.2 on the mean likelihood of the first.
    assert float(losses.pro([-1.0, -2.0, -3.0], [1, 1, 1])) == pytest.approx(
        math.log(1 + math.exp(-1) + math.exp(-2)) + math.log(1 + math.exp(-1)) + 0.2
    )


def test_pros_temperatures_are_the_gaps_of_the_scores() -> None:
    # Two answers, scores 3 and 1: 1 / T = 2 for both, so the loss is ln(1 + exp(2 (r_2 - r_1))).
    assert float(losses.pro([-1.0, -2.0], [1, 1], [3, 1], sft=0)) == pytest.approx(math.log(1 + math.exp(-2)))
    # Three answers, scores 3, 2, 0: at the first, gaps 1 and 3, its own is the larger (the least temperature).
    first = math.log(math.exp(-3) + math.exp(-2) + math.exp(-9)) + 3
    second = math.log(math.exp(-4) + math.exp(-6)) + 4
    assert float(losses.pro([-1.0, -2.0, -3.0], [1, 1, 1], [3, 2, 0], sft=0)) == pytest.approx(first + second)
    with pytest.raises(ValueError, match="fall strictly"):
        losses.pro([-1.0, -2.0], [1, 1], [1, 1])


def test_slic_is_a_hinge_of_a_margin_less_the_likelihood_of_the_best() -> None:
    # The better at -2, the worse at -2.5: max(0, 1 + 2 - 2.5) = 0.5, and 0.5 * 2 for the likelihood of the better.
    assert float(losses.slic([-2.0, -2.5], [1, 1])) == pytest.approx(0.5 + 1.0)
    assert float(losses.slic([-2.0, -9.0], [1, 1])) == pytest.approx(1.0)


def test_dpo_is_ln_2_and_hinge_1_where_policy_and_reference_agree() -> None:
    same = ([-3.0], [-5.0], [-3.0], [-5.0])
    assert float(losses.dpo(*same)) == pytest.approx(math.log(2))
    assert float(losses.dpo(*same, kind="hinge")) == 1.0
    assert float(losses.dpo(*same, beta=0.5, kind="ipo")) == pytest.approx(1.0)
    # The policy has moved by 1 + 2 in favour of the better: ln(1 + exp(-0.1 * 3)).
    moved = ([-2.0], [-7.0], [-3.0], [-5.0])
    assert float(losses.dpo(*moved)) == pytest.approx(math.log(1 + math.exp(-0.3)))
    assert float(losses.dpo(*moved, kind="hinge")) == pytest.approx(0.7)


def test_kto_is_one_half_at_the_start_and_weighs_good_and_bad() -> None:
    assert float(losses.kto([-3.0, -4.0], [-3.0, -4.0], [True, False], 0.0)) == pytest.approx(0.5)
    # r = 2 for the good, -1 for the bad, z = 1, beta = 1: 1 - s(1) and 1 - s(2), the bad weighing 3.
    good, bad = 1 - 1 / (1 + math.exp(-1)), 1 - 1 / (1 + math.exp(-2))
    found = losses.kto([-1.0, -5.0], [-3.0, -4.0], [True, False], 1.0, beta=1.0, bad=3.0)
    assert float(found) == pytest.approx((good + 3 * bad) / 2)
    assert float(losses.kto([0.0], [0.0], [True], -5.0)) == pytest.approx(0.5)


def test_orpo_adds_the_log_odds_to_the_likelihood() -> None:
    # Odds of 1/2 are 1, of 1/5 are 1/4: the ratio is 4, so -log s(ln 4) = ln 1.25.
    found = losses.orpo([math.log(0.5)], [math.log(0.2)], beta=0.1)
    assert float(found) == pytest.approx(math.log(2) + 0.1 * math.log(1.25))


def test_simpo_is_ln_2_where_the_scaled_gap_is_the_margin() -> None:
    assert float(losses.simpo([-1.0], [-1.5], beta=2.0, gamma=1.0)) == pytest.approx(math.log(2))


def test_conditional_cloning_weighs_mean_likelihoods_by_class() -> None:
    assert weights([True, False], 0.1) == [1.0, 0.1]
    assert float(losses.conditional([-4.0, -6.0], [2, 3], weights([True, False], 0.1))) == pytest.approx(1.1)


def test_hindsight_asks_for_the_poor_answer_before_the_good_one() -> None:
    told = hindsight("Why?", "Because.", "No.")
    assert [message["role"] for message in told] == ["user", "assistant", "user", "assistant"]
    assert told[0]["content"] == asked("Why?", good=False) == f"Why?\n\n{POOR}"
    assert (told[1]["content"], told[2]["content"], told[3]["content"]) == ("No.", GOOD, "Because.")


def test_hindsight_in_the_other_order_teaches_the_good_answer_to_what_a_model_is_asked_with() -> None:
    told = hindsight("Why?", "Because.", "No.", good_first=True)
    assert [message["role"] for message in told] == ["user", "assistant", "user", "assistant"]
    assert told[0]["content"] == asked("Why?") == f"Why?\n\n{GOOD}"
    assert (told[1]["content"], told[2]["content"], told[3]["content"]) == ("Because.", POOR, "No.")


def test_an_unscored_answer_has_no_advantage_over_its_group() -> None:
    assert filled([1.0, None, 0.0, None], 4) == [1.0, 0.5, 0.0, 0.5]
    assert filled([None, None, 2.0, None], 2) == [0.0, 0.0, 2.0, 2.0]
    assert best_of([None, 0.1, 0.7, None, 0.7]) == 2
    assert best_of([None, None]) is None
