"""What sways a judge: worked examples, planted biases found again, and people's own beside."""

from __future__ import annotations

import json
import math
import runpy
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from simulated_judge import SimulatedJudge, style

from judgebench.errors import UserError
from judgebench.judges.debias import position_of
from judgebench.ratings.bias import (
    difference_of_shares,
    equal_opportunity,
    length_effect,
    position_shares,
    repetition_stability,
    verbosity,
)
from judgebench.ratings.intervals import clustered_error
from judgebench.ratings.self_preference import excess_log_odds, self_preference
from judgebench.ratings.style import style_counts, style_differences
from judgebench.ratings.sway import SELF, ShownPair, sway

TWELVE = ["AA", "AB", "BB", "TA", "AT", "TT", "BA", "AA", "BB", "AB", "Ax", "TB"]
STRENGTHS = {"a": 0.5, "b": 0.0, "c": -0.5}
LENGTHS = {"a": 400.0, "b": 900.0, "c": 1400.0}


@pytest.fixture(scope="module")
def o20(data_dir: Path) -> dict[str, Any]:
    (path,) = (data_dir.parent / "oracles").glob("O20_*.json")
    return json.loads(path.read_text())


@pytest.mark.data
def test_o20_bias_metrics(o20: dict[str, Any]) -> None:
    given, expected = o20["inputs"], o20["expected"]
    points = [{"a": 1.0, "b": 0.0, "tie": 0.5}[pair["pref"]] for pair in given["pairs"]]
    lengths = [(pair["len_a"], pair["len_b"]) for pair in given["pairs"]]
    longer = verbosity(lengths, points, threshold=given["significant_delta"])
    assert longer.prefers_longer.value == pytest.approx(expected["prob_prefer_longer"], abs=1e-9)
    assert longer.prefers_longer.n == expected["n_pairs_used"]
    assert longer.extra_length == pytest.approx(expected["mean_relative_extra_length"], abs=1e-9)
    assert (longer.ties, longer.alike, longer.unscored) == (1, 2, 0)
    stable = repetition_stability(given["repeats"])
    assert stable.mode_share.value == pytest.approx(expected["repetition_stability_mode_share"], abs=1e-9)
    assert stable.pairwise_agreement.value == pytest.approx(expected["repetition_pairwise_agreement"], abs=1e-9)
    own = self_preference(*given["self"].values(), n=given["n_per_cell"])
    assert own.rate_gap == pytest.approx(expected["self_pref_rate_gap"], abs=1e-9)
    assert own.log_odds == pytest.approx(expected["self_pref_log_odds"], abs=1e-9)
    assert own.log_odds_se == pytest.approx(expected["self_pref_log_odds_se"], abs=1e-9)
    judged, people = zip(*given["own_pairs"], strict=True)
    assert equal_opportunity(judged, people).value == pytest.approx(expected["self_pref_equal_opportunity"], abs=1e-9)


def test_a_taste_for_length_that_people_share_is_no_excess() -> None:
    lengths = [(500, 100), (100, 500), (300, 200), (200, 300)] * 5
    points = [1.0, 0.0, 1.0, 1.0] * 5
    alike = verbosity(lengths, points, points, [i // 4 for i in range(20)])
    assert alike.prefers_longer.value == 0.75
    assert alike.people is not None
    assert alike.people.value == 0.75
    assert alike.excess is not None
    assert alike.excess.value == 0.0
    against = verbosity(lengths, points, [1 - p for p in points])
    assert against.excess is not None
    assert against.excess.value == pytest.approx(0.5)
    some = verbosity(lengths, points, [*points[:10], *[None] * 10])
    assert some.people is not None
    assert some.people.n == 10


def test_unscored_ties_and_lengths_alike_are_counted_and_in_no_mean() -> None:
    found = verbosity([(100, 131), (100, 130), (100, 500), (100, 500)], [0.0, 0.0, 0.5, None])
    assert found.prefers_longer.n == 1
    assert (found.alike, found.ties, found.unscored) == (1, 1, 1)
    assert verbosity([], []).prefers_longer.value is None


def test_the_intervals_of_position_are_about_the_counted_shares() -> None:
    coded = {"A": 1.0, "T": 0.5, "B": 0.0, "x": None}
    twelve = [(coded[one], coded[two]) for one, two in TWELVE]
    counted, found = position_of(twelve), position_shares(twelve)
    assert (found.pairs, found.left_out) == (counted.pairs, counted.left_out) == (11, 1)
    for name in ("first_rate", "consistency", "conflict_rate", "flip_rate"):
        estimate = getattr(found, name)
        assert estimate.value == pytest.approx(getattr(counted, name)), name
        assert 0 <= estimate.low < estimate.value < estimate.high <= 1, name
    one_question = position_shares(twelve, ["q"] * 12)
    assert one_question.consistency.low is None


def test_the_effect_of_length_is_found_beside_a_taste_for_the_first_place_and_stands_beside_the_peoples() -> None:
    random = np.random.default_rng(2)
    lengths = [(int(a), int(b)) for a, b in random.integers(100, 900, (1500, 2))]
    gaps = np.array([(a - b) / (a + b) for a, b in lengths])
    judge = (random.random(1500) < 1 / (1 + np.exp(-0.7 - 2 * gaps))).astype(float).tolist()
    people = (random.random(1500) < 1 / (1 + np.exp(-0.5 * gaps))).astype(float).tolist()
    found = verbosity(lengths, judge, people, [i // 3 for i in range(1500)])
    assert found.coefficient.low < 2 < found.coefficient.high
    assert found.people_coefficient is not None
    assert found.people_coefficient.low < 0.5 < found.people_coefficient.high
    assert length_effect(lengths, judge) == length_effect([*lengths, (1, 2)], [*judge, None])
    assert "separated" in length_effect([(2, 1), (1, 2)] * 5, [1.0, 0.0] * 5).note


def test_one_unreadable_repeat_is_left_out_and_a_lone_verdict_makes_no_group() -> None:
    found = repetition_stability([["A", None, "A"], ["A", None], ["A", "B"]])
    assert (found.groups, found.left_out) == (2, 1)
    assert found.pairwise_agreement.value == 0.5


def test_self_preference_is_undefined_at_certainty_and_a_generous_judge_favours_nobody() -> None:
    assert self_preference(1.0, 0.5).log_odds is None
    assert self_preference(1.0, 0.5).rate_gap == 0.5
    generous = self_preference(0.6, 0.5, 0.6, 0.5, n=100)
    assert generous.difference_in_differences == pytest.approx(0.0)
    assert generous.difference_in_differences_se == pytest.approx(math.sqrt(2 / 24 + 2 / 25))
    with pytest.raises(UserError, match=r"\[0, 1\]"):
        self_preference(1.2, 0.5)


def test_excess_log_odds_are_those_of_the_rates_with_errors_that_know_the_questions() -> None:
    random = np.random.default_rng(6)

    def cell(judge: float, people: float) -> list[tuple[float, float]]:
        return [(float(random.random() < judge), float(random.random() < people)) for _ in range(400)]

    own, other = cell(0.62, 0.52), cell(0.48, 0.47)
    found = excess_log_odds(own, other)
    rates = [float(np.mean([pair[column] for pair in cells])) for cells in (own, other) for column in (0, 1)]
    closed = self_preference(*rates, n=400)
    assert found.value == pytest.approx(closed.difference_in_differences)
    assert found.se == pytest.approx(closed.difference_in_differences_se, rel=0.06)
    alone = excess_log_odds(own, own_clusters=[i // 4 for i in range(400)])
    assert alone.value == pytest.approx(closed.log_odds)
    doubled = excess_log_odds([*own, *own], own_clusters=[*range(400), *range(400)])
    assert doubled.se == pytest.approx(excess_log_odds(own).se, rel=1e-9)  # the same answers twice tell nothing new
    assert excess_log_odds([(1.0, 0.0), (1.0, 1.0)]).value is None
    assert excess_log_odds([]).note == "no answer of the judge's family"
    with pytest.raises(UserError, match="for both"):
        excess_log_odds(own, other, list(range(400)))


def test_excess_log_odds_cover_the_truth() -> None:
    random, truth, inside = np.random.default_rng(9), 0.6, 0
    for _ in range(300):
        ease = random.normal(scale=0.8, size=(100, 1))
        judge = 1 / (1 + np.exp(-(ease + 0.3 + truth)))
        people = 1 / (1 + np.exp(-(ease + 0.3)))
        marginal = math.log(judge.mean() / (1 - judge.mean())) - math.log(people.mean() / (1 - people.mean()))
        draws = [(random.random((100, 3)) < chance).astype(float).ravel() for chance in (judge, people)]
        found = excess_log_odds(list(zip(*(draw.tolist() for draw in draws), strict=True)),
                                own_clusters=[i // 3 for i in range(300)])  # fmt: skip
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= marginal <= found.high
    assert 0.91 <= inside / 300 <= 0.99


def test_the_error_of_a_difference_is_the_paired_one_where_both_sides_are_whole() -> None:
    random = np.random.default_rng(3)
    first, second = random.random(60), random.random(60)
    clusters = [i // 3 for i in range(60)]
    found = difference_of_shares(first.tolist(), second.tolist(), clusters)
    assert found.se == pytest.approx(clustered_error((first - second).tolist(), clusters).cr1)
    assert difference_of_shares([None], [1.0]).value is None


def test_style_is_counted_outside_of_code_and_differences_lie_in_the_unit() -> None:
    text = "# Head\n\n1. **one**\n2) two\n* three\n\n```\n# not\n- a\n- list **x**\n```\n__bold__ snake__case__name"
    assert style_counts(text) == {"length": len(text), "lists": 3, "headers": 1, "bold": 2}
    assert style_counts("2 ** 3 ** 4 - 1")["bold"] == 0
    gap = style_differences(style_counts("- a\n- b"), style_counts("plain text"))
    assert gap["lists"] == 1.0
    assert gap["headers"] == 0.0


def planted(seed: int, **biases: Any) -> list[ShownPair]:
    return SimulatedJudge(STRENGTHS, **biases).verdicts(np.random.default_rng(seed), 400, LENGTHS)


def effects(found: Any) -> dict[str, Any]:
    return {effect.name: effect for effect in found.effects}


def test_planted_position_and_length_are_found_and_taken_out_of_the_ratings() -> None:
    found = sway(planted(1, position=0.6, length=2.0))
    by = effects(found)
    assert by["position"].low < 0.6 < by["position"].high
    assert by["length"].low < 2.0 < by["length"].high
    assert by["position"].low > 0
    assert by["position"].share == pytest.approx(1 / (1 + math.exp(-by["position"].value)))
    assert by["lists"].value is None
    assert "never differs" in by["lists"].note
    rows = {row.model: row for row in found.ratings}
    truth = {name: 1000 + 400 / math.log(10) * value for name, value in STRENGTHS.items()}
    for name in STRENGTHS:
        assert rows[name].debiased_low < truth[name] < rows[name].debiased_high, name
    # The judge likes length, and c writes most and is the worst: without covariates its rating is far too high.
    assert rows["c"].plain_low > truth["c"]
    assert rows["a"].plain_high < truth["a"]


def test_one_judge_alone_cannot_show_a_taste_for_its_own_and_says_so() -> None:
    own = effects(sway(planted(2, own={"a": 0.8}), own={"a"}))[SELF]
    assert own.value is None
    assert "no people and no judge of another family" in own.note
    assert SELF not in effects(sway(planted(2)))


def test_self_preference_is_the_excess_over_people_and_leaves_the_ratings() -> None:
    judge, people = planted(3, own={"a": 0.8}, position=0.5), planted(14, length=1.0)
    found = sway(judge, {"a"}, people)
    by = effects(found)
    assert abs(by[SELF].value - 0.8) < 3 * by[SELF].se
    assert by[SELF].low > 0
    assert abs(by["length"].value) < 3 * by["length"].se
    assert by["length"].people_low < 1.0 < by["length"].people_high
    rows = {row.model: row for row in found.ratings}
    truth = 1000 + 400 / math.log(10) * STRENGTHS["a"]
    assert rows["a"].debiased_low < truth < rows["a"].debiased_high
    assert rows["a"].plain_low > truth


def test_names_swapped_swap_the_ratings_and_leave_the_effects() -> None:
    shown = planted(5, position=0.4, length=1.0)
    swap = {"a": "c", "b": "b", "c": "a"}
    other = [pair._replace(first=swap[pair.first], second=swap[pair.second]) for pair in shown]
    one, two = sway(shown), sway(other)
    assert effects(one)["length"].value == pytest.approx(effects(two)["length"].value)
    debiased = {row.model: row.debiased for row in two.ratings}
    for row in one.ratings:
        assert debiased[swap[row.model]] == pytest.approx(row.debiased)


def test_a_judge_that_never_lets_the_order_decide_has_no_interval_of_nothing() -> None:
    shown = []
    for pair in planted(7)[::2]:
        shown += [pair, ShownPair(pair.question, pair.second, pair.first, 1 - pair.score, *pair[:3:-1])]
    position = effects(sway(shown))["position"]
    assert abs(position.value) < 1e-9
    assert (position.low, position.high) == (None, None)
    assert "no variation" in position.note


def test_a_model_that_never_wins_is_left_out_by_name_and_the_others_show_the_effects() -> None:
    shown = planted(6, position=0.6)
    lost = [ShownPair(pair.question, "null", pair.second, 0.0, style(9), pair.second_style) for pair in shown[::7]]
    found = sway([*shown, *lost])
    assert found == msgspec.structs.replace(sway(shown), note=found.note)
    assert "without null" in found.note


def test_a_separated_or_tiny_set_of_verdicts_has_no_estimates_and_says_why() -> None:
    won = [ShownPair(q, "a", "b", 1.0, style(100), style(90 + q)) for q in range(20)]
    found = sway(won)
    assert found.ratings == ()
    assert "separated" in found.note
    assert all(effect.value is None and effect.note for effect in found.effects)
    few = [ShownPair(q, "a", "b", float(q % 2), style(100), style(90 + q)) for q in range(3)]
    assert "too few" in effects(sway(few))["length"].note
    assert sway([]).note


def test_debiased_intervals_cover_the_truth_and_plain_ones_miss_it() -> None:
    """The short form of benchmarks/coverage_bias.py, which counts over 1,000 runs."""
    benchmark = runpy.run_path(str(Path(__file__).resolve().parent.parent / "benchmarks" / "coverage_bias.py"))
    table = {(row.kind, row.name): row for row in benchmark["coverage"](runs=40, questions=80, seed=11)}
    swayed, debiased = (
        [row for (kind, _), row in table.items() if kind == wanted] for wanted in ("effect", "debiased")
    )
    assert len(swayed) == 3
    assert all(abs(row.mean - row.truth) < 0.12 for row in swayed)
    assert all(abs(row.mean - row.truth) < 12 for row in debiased)
    assert sum(row.covered for row in (*swayed, *debiased)) / 7 > 0.9
    assert table["plain", "best"].covered < 0.1
    assert table["plain", "own"].mean - table["plain", "own"].truth > 30
