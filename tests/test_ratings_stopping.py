"""Fewer calls: tests that hold at every look, what is judged next, and when the answer is known."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judgebench.errors import UserError
from judgebench.ratings.sequential import (
    asymptotic,
    beta_mixture,
    betting,
    betting_interval,
    betting_mixture,
    empirical_bernstein,
    hedged,
)
from judgebench.ratings.stopping import draw_order, next_batch, pair_states

ORACLES = Path(__file__).resolve().parent.parent.parent / "shared" / "oracles"


@pytest.mark.data
def test_e_processes_and_confidence_sequences_are_the_worked_example() -> None:
    oracle = json.loads((ORACLES / "O26_anytime_valid.json").read_text())
    data, expected = oracle["inputs"], oracle["expected"]

    def close(values):
        return pytest.approx(values, abs=1e-6)

    mixture = beta_mixture(data["binary"])
    assert mixture.e_values == close(expected["evalue_path"])
    assert mixture.first == expected["first_t_evalue_ge_20"]
    assert mixture.log_e == close(expected["beta_binom_log_evalue_final"])
    assert mixture.above is True
    assert betting_mixture(data["with_ties"], data["lambdas"]).e_values == close(expected["betting_mixture_path"])
    bernstein = empirical_bernstein(data["binary"], data["alpha"], data["eb_c"])
    assert bernstein.centre == close(expected["eb_center"])
    assert bernstein.radius == close(expected["eb_radius"])
    asymptote = asymptotic(data["binary"], data["alpha"], data["asym_t_opt"])
    assert asymptote.centre == close(expected["asym_center"])
    assert asymptote.radius == close(expected["asym_radius"])


def test_under_the_null_at_most_one_run_in_twenty_is_ever_called_decided() -> None:
    random = np.random.default_rng(0)
    drawn = [
        random.integers(0, 2, (2000, 400)),
        random.beta(0.3, 0.3, (2000, 400)),
        random.integers(0, 3, (2000, 400)) / 2,
    ]
    for scores in drawn:
        up, down = hedged(scores.astype(float))
        ever = (np.logaddexp(up, down) - math.log(2)).max(axis=1) >= math.log(20)
        assert ever.mean() <= 0.05


def test_looking_at_a_plain_test_after_every_score_is_wrong_far_more_often() -> None:
    scores = np.random.default_rng(0).integers(0, 2, (500, 400)).astype(float)
    count = np.arange(1, 401)
    mean = np.cumsum(scores, axis=1) / count
    naive = (np.abs(mean - 0.5)[:, 10:] > 1.96 * 0.5 / np.sqrt(count[10:])).any(axis=1)
    assert naive.mean() > 0.25


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), min_size=1, max_size=60))
def test_swapping_the_two_models_turns_the_decision_and_keeps_the_evidence(scores: list[float]) -> None:
    one, other = betting(scores), betting([1 - each for each in scores])
    assert one.e_values == pytest.approx(other.e_values)
    assert one.first == other.first
    assert one.above is None or one.above is not other.above


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=40))
def test_the_betting_interval_leaves_a_half_out_only_once_it_was_rejected(scores: list[float]) -> None:
    low, high = betting_interval(scores, alpha=0.05)
    rejected = max(betting(scores, null=0.4995, alpha=0.05).e_values) >= 20
    assert low <= high
    if not rejected:
        assert low <= 0.5 <= high


def test_many_fixed_means_stay_in_their_sequences() -> None:
    random = np.random.default_rng(4)
    inside = 0
    for _ in range(60):
        low, high = betting_interval((random.random(150) < 0.7).astype(float), grid=200)
        inside += low <= 0.7 <= high
    assert inside >= 56


def test_what_no_bet_can_mean_is_refused() -> None:
    with pytest.raises(UserError, match="ties"):
        beta_mixture([1, 0.5])
    with pytest.raises(UserError, match="lie in"):
        betting([1.2])
    with pytest.raises(UserError, match="between"):
        betting_mixture([1, 0], [2.5])
    assert betting([]).first is None


QUESTIONS = [f"q{number}" for number in range(200)]


def _played(order, pairs, strength, random, **how):
    """Runs `next_batch` to its end; games asked, states."""
    games, asked = [], set()
    while steps := next_batch(games, pairs, order, asked, **how):
        assert not {tuple(step) for step in steps} & asked
        for step in steps:
            asked.add(tuple(step))
            chance = 1 / (1 + math.exp(strength[step.right] - strength[step.left]))
            games.append((*step, float(random.random() < chance)))
    transitive = how.get("transitive", False)
    return games, pair_states(games, pairs, order, transitive=transitive)


def test_a_plain_case_is_decided_after_a_few_questions() -> None:
    games, states = _played(QUESTIONS, [("a", "b")], {"a": 2.0, "b": -2.0}, np.random.default_rng(0), size=4)
    assert states[0].winner == "a"
    assert len(games) <= 24
    assert states[0].low > 0.5


def test_equal_models_are_asked_everything_and_stay_undecided() -> None:
    games, states = _played(QUESTIONS, [("a", "b")], {"a": 0.0, "b": 0.0}, np.random.default_rng(1), size=32)
    assert len(games) == 200
    assert not states[0].winner


def test_hard_pairs_do_not_hold_up_easy_ones_and_a_ranking_is_found() -> None:
    strength = {name: 1.3 * number for number, name in enumerate("abcde")}
    pairs = [(a, b) for a in strength for b in strength if a < b]
    games, states = _played(QUESTIONS, pairs, strength, np.random.default_rng(2), size=20, transitive=True)
    assert len(games) < 0.5 * 10 * 200
    assert all(state.winner == max(state.left, state.right) for state in states)


def test_what_follows_from_two_decisions_is_not_asked() -> None:
    games = [(q, "a", "b", 1.0) for q in QUESTIONS[:40]] + [(q, "b", "c", 1.0) for q in QUESTIONS[:40]]
    pairs = [("a", "b"), ("b", "c"), ("c", "a")]
    states = pair_states(games, pairs, QUESTIONS, transitive=True)
    assert [state.winner for state in states] == ["a", "b", "a"]
    assert states[2].implied_by == "b"
    assert next_batch(games, pairs, QUESTIONS, transitive=True) == []
    assert {step[1:] for step in next_batch(games, pairs, QUESTIONS)} == {("c", "a")}


def test_more_hypotheses_need_more_evidence() -> None:
    games = [(q, "a", "b", 1.0) for q in QUESTIONS[:9]]
    alone = pair_states(games, [("a", "b")], QUESTIONS)[0]
    among = pair_states(games, [("a", "b")] + [("a", f"m{k}") for k in range(40)], QUESTIONS)[0]
    assert alone.winner == "a"
    assert not among.winner
    assert among.low < alone.low


def test_what_came_back_without_a_verdict_is_not_asked_again() -> None:
    asked = {(q, "a", "b") for q in QUESTIONS[:30]}
    steps = next_batch([], [("a", "b")], QUESTIONS, asked, size=10)
    assert [step.question for step in steps] == QUESTIONS[30:40]


def test_the_order_of_questions_and_not_of_arrival_decides() -> None:
    random = np.random.default_rng(3)
    games = [(q, "a", "b", float(random.random() < 0.7)) for q in QUESTIONS[:60]]
    shuffled = [games[int(k)] for k in random.permutation(60)]
    assert pair_states(games, [("a", "b")], QUESTIONS) == pair_states(shuffled, [("a", "b")], QUESTIONS)


def test_a_drawn_order_is_a_permutation_and_keeps_categories_even() -> None:
    strata = {q: "x" if k < 150 else "y" for k, q in enumerate(QUESTIONS)}
    order = draw_order(QUESTIONS, seed=7, strata=strata)
    assert sorted(order) == sorted(QUESTIONS)
    assert order != draw_order(QUESTIONS, seed=8, strata=strata)
    assert 8 <= sum(strata[q] == "y" for q in order[:40]) <= 12


def test_mistakes_are_told_before_anything_is_judged() -> None:
    with pytest.raises(UserError, match="twice"):
        pair_states([], [("a", "b"), ("b", "a")], QUESTIONS)
    with pytest.raises(UserError, match="not among"):
        pair_states([("zz", "a", "b", 1.0)], [("a", "b")], QUESTIONS)
    with pytest.raises(UserError, match="at least one"):
        next_batch([], [("a", "b")], QUESTIONS, size=0)


@pytest.mark.data
def test_nine_tenths_of_alpacaevals_calls_are_saved_without_a_wrong_decision(data_dir: Path) -> None:
    """Six models against the recorded baseline, as hypotheses of one family: 4,827 verdicts in all."""
    recorded = {}
    for folder in sorted((data_dir / "alpaca_eval" / "results").iterdir()):
        file = folder / "weighted_alpaca_eval_gpt4_turbo" / "annotations.json.gz"
        if folder.name == "gpt4_1106_preview" or not file.exists():
            continue
        rows = json.loads(gzip.decompress(file.read_bytes()))
        # A preference of 0 counts as a draw and null is unscored, as upstream has it (SOURCE.md).
        values = [(row["instruction"], row["preference"]) for row in rows if row["preference"] is not None]
        recorded[folder.name] = {question: (value or 1.5) - 1 for question, value in values}
    assert len(recorded) == 6
    questions = sorted({question for scores in recorded.values() for question in scores})
    pairs = [(name, "baseline") for name in recorded]
    total = sum(map(len, recorded.values()))
    for seed in range(5):
        order = draw_order(questions, seed)
        games, asked = [], set()
        while steps := next_batch(games, pairs, order, asked, size=24):
            asked |= {tuple(step) for step in steps}
            games += [
                (*step, recorded[step.left][step.question]) for step in steps if step.question in recorded[step.left]
            ]
        states = pair_states(games, pairs, order)
        assert len(asked) <= 0.1 * total
        for state in states:
            scores = recorded[state.left].values()
            assert state.winner == (state.left if sum(scores) / len(scores) > 0.5 else "baseline")
