"""From verdicts in two orders to games: policies, position bias, what is left out."""

from __future__ import annotations

import random
from typing import get_args

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judgebench.errors import UserError
from judgebench.judges import debias
from judgebench.judges.debias import Policy
from judgebench.types import Verdict

# Twelve double games told by model identity: the first letter is the verdict where A is shown first, the second where B
# is; x is an unreadable reply.
TWELVE = ["AA", "AB", "BB", "TA", "AT", "TT", "BA", "AA", "BB", "AB", "Ax", "TB"]
POINTS = {"A": 1.0, "T": 0.5, "B": 0.0, "x": None}


def verdict(item: object, first: str, second: str, points: float | None, **fields: object) -> Verdict:
    """A preference in which ``points`` went to the answer shown first."""
    values = {"suite": "s", "rubric": "r@1", "judge": "j", "shown": ((first, 0), (second, 0)), "kind": "preference"}
    scores = () if points is None else (points, 1 - points)
    return Verdict(item=str(item), scores=scores, error="" if scores else "no verdict", **{**values, **fields})


def double(table: list[str], a: str = "A", b: str = "B") -> list[Verdict]:
    verdicts = []
    for item, (one, two) in enumerate(table):
        second = POINTS[two]
        verdicts.append(verdict(item, a, b, POINTS[one]))
        verdicts.append(verdict(item, b, a, None if second is None else 1 - second))
    return verdicts


@pytest.mark.parametrize(
    ("policy", "rate", "n"),
    [
        ("tie", 0.5, 11),
        ("half", 0.5227272727, 11),
        ("majority", 0.5454545455, 11),
        ("score", 0.5454545455, 11),
        ("drop", 0.5, 5),
        ("first", 0.625, 12),
        ("second", 0.4545454545, 11),
    ],
)
def test_every_policy_gives_its_worked_win_rate_on_the_same_verdicts(policy, rate, n):
    games, left_out = debias.games(double(TWELVE), policy)
    assert len(games) == n
    assert len(games) + len(left_out) == 12
    assert np.mean([game.score for game in games]) == pytest.approx(rate)
    assert {(game.left, game.right) for game in games} == {("A", "B")}


def test_the_standard_errors_of_two_policies_are_the_worked_ones():
    for policy, error in (("tie", 0.0953462589), ("half", 0.1036523114)):
        scores = [game.score for game in debias.games(double(TWELVE), policy)[0]]
        assert np.std(scores, ddof=1) / np.sqrt(len(scores)) == pytest.approx(error)


def test_the_position_bias_of_the_twelve_is_the_worked_one():
    found = debias.position(double(TWELVE))
    assert (found.pairs, found.left_out, found.consistent) == (11, 1, 5)
    assert found.consistency == pytest.approx(5 / 11)
    assert found.conflict_rate == pytest.approx(6 / 11)
    assert (found.flips, found.flip_rate) == (3, pytest.approx(3 / 11))
    assert (found.primacy, found.recency) == (2, 1)
    assert (found.favours_first, found.favours_second) == (4, 2)
    assert found.position_bias == pytest.approx(0.0681818182)
    assert found.first_rate == pytest.approx(0.5681818182)
    assert debias.position_of([(POINTS[one], POINTS[two]) for one, two in TWELVE]) == found


def test_the_pair_with_an_unreadable_order_is_left_out_with_its_reason():
    games, (left_out,) = debias.games(double(TWELVE))
    assert "10" not in {game.item for game in games}
    assert (left_out.item, left_out.left, left_out.right) == ("10", "A", "B")
    assert left_out.reason == "one order unreadable"
    reasons = [debias.games(double([pair]))[1][0].reason for pair in ("xA", "xx")]
    assert reasons == ["one order unreadable", "both orders unreadable"]


def test_dropped_pairs_are_counted_too():
    left_out = debias.games(double(TWELVE), "drop")[1]
    assert [entry.reason for entry in left_out].count("orders disagree") == 6


def test_an_order_never_asked_is_missing_unless_one_was_asked_on_purpose():
    lone = [verdict(1, "b", "a", 1.0)]
    games, (left_out,) = debias.games(lone)
    assert games == []
    assert left_out.reason == "one order missing"
    for policy in get_args(Policy):
        (game,), rest = debias.games(lone, policy, orders="one")
        assert (game.left, game.right, game.score, game.consistent) == ("a", "b", 0.0, True)
        assert rest == []
    unread = debias.games([verdict(1, "a", "b", None)], orders="one")
    assert unread[0] == []
    assert unread[1][0].reason == "one order unreadable"


def test_a_game_is_consistent_only_where_both_orders_say_the_same():
    games = debias.games(double(["AA", "AB", "TT", "AT"]))[0]
    assert [game.consistent for game in games] == [True, False, True, False]


def test_samples_are_averaged_within_an_order_so_that_a_lost_one_does_not_tilt_the_pair():
    verdicts = [verdict(1, "a", "b", points, sample=sample) for sample, points in enumerate([1.0, 1.0, 1.0])]
    verdicts += [verdict(1, "b", "a", points, sample=sample) for sample, points in enumerate([1.0, None, None])]
    (game,), _ = debias.games(verdicts)
    assert game.score == 0.5  # pooled it would be 3 of 4
    (majority,), _ = debias.games(verdicts, "majority")
    assert majority.score == 0.5


def grade(item: object, first: str, second: str, scores: tuple[float, ...], **fields: object) -> Verdict:
    return (
        verdict(item, first, second, None, kind="grade", scale=(1.0, 10.0), **fields)
        if not scores
        else (
            msgspec.structs.replace(
                verdict(item, first, second, 1.0, kind="grade", scale=(1.0, 10.0), **fields), scores=scores
            )
        )
    )


# Two scores a sample, three samples an order, told by model identity.
EVIDENCE = {
    "q1": ([(8, 7), (9, 7), (8, 8)], [(7, 8), (8, 8), (6, 9)], 0.0, False),
    "q2": ([(9, 6), (9, 7), (8, 6)], [(9, 6), (8, 7), (9, 7)], 1.0, True),
    "q3": ([(7, 7), (8, 7), (7, 8)], [(7, 7), (7, 8), (8, 8)], 0.0, False),
    "q4": ([(6, 9), (7, 9), (6, 8)], [(8, 7), (9, 6), (8, 6)], 0.0, False),
    "q5": ([(5, 8), (), (6, 8)], [(5, 9), (6, 9), (4, 8)], 0.0, True),
}


def test_the_score_policy_compares_mean_scores_over_samples_and_orders():
    verdicts = []
    for item, (one, two, _, _) in EVIDENCE.items():
        verdicts += [grade(item, "m1", "m2", scores, sample=k) for k, scores in enumerate(one)]
        verdicts += [grade(item, "m2", "m1", scores[::-1], sample=k) for k, scores in enumerate(two)]
    games = debias.games(verdicts, "score")[0]
    assert {game.item: game.score for game in games} == {item: wanted for item, (_, _, wanted, _) in EVIDENCE.items()}


def test_grade_pairs_give_the_point_to_the_higher_score_however_small_the_gap():
    verdicts = [grade(1, "a", "b", (7.5, 7.0)), grade(1, "b", "a", (2.0, 9.0))]
    (game,), _ = debias.games(verdicts)
    assert (game.score, game.consistent) == (1.0, True)
    (tie,), _ = debias.games([grade(1, "a", "b", (7.0, 7.0)), grade(1, "b", "a", (3.0, 3.0))])
    assert tie.score == 0.5


def test_probabilities_keep_their_share():
    verdicts = [verdict(1, "a", "b", 0.8, kind="probability"), verdict(1, "b", "a", 0.4, kind="probability")]
    (game,), _ = debias.games(verdicts)
    assert game.score == pytest.approx((0.8 + 0.6) / 2)


def test_every_thing_that_tells_pairs_apart_makes_a_game_of_its_own():
    base = double(["AA"])
    for field, value in {
        "suite": "t",
        "item": "9",
        "turn": 2,
        "rubric": "q@2",
        "judge": "k",
        "dimension": "help",
    }.items():
        other = [msgspec.structs.replace(entry, **{field: value}) for entry in base]
        assert len(debias.games(base + other)[0]) == 2
    sampled = [
        verdict(0, "A", "B", 1.0, shown=(("A", 1), ("B", 0))),
        verdict(0, "B", "A", 0.0, shown=(("B", 0), ("A", 1))),
    ]
    assert len(debias.games(base + sampled)[0]) == 2


def test_the_last_verdict_of_an_identity_counts():
    games, left_out = debias.games([verdict(1, "a", "b", None), *double(["xB"], "a", "b"), verdict(0, "a", "b", 0.0)])
    assert [(game.item, game.score) for game in games] == [("0", 0.0)]
    assert [entry.item for entry in left_out] == ["1"]


def test_a_model_against_itself_makes_no_game_but_shows_position_bias():
    verdicts = [
        verdict(1, "a", "a", 1.0, shown=(("a", 0), ("a", 1))),
        verdict(1, "a", "a", 1.0, shown=(("a", 1), ("a", 0))),
    ]
    games, (left_out,) = debias.games(verdicts)
    assert games == []
    assert left_out.reason == "same model"
    assert debias.position(verdicts).primacy == 1


def test_categories_reach_the_games():
    (game,), _ = debias.games(double(["AA"]), categories={("s", "0"): "math"})
    assert game.category == "math"


def test_single_answer_verdicts_are_passed_over():
    single = Verdict(suite="s", item="1", judge="j", shown=(("a", 0),), scores=(1.0,))
    assert debias.games([single]) == ([], [])
    assert debias.position([single]).pairs == 0


def test_what_is_not_a_pair_or_a_policy_is_refused_by_name():
    with pytest.raises(UserError, match="did you mean 'half'"):
        debias.games([], "halff")
    with pytest.raises(UserError, match="shows two answers, found 3"):
        debias.games([Verdict(suite="s", item="1", judge="j", shown=(("a", 0), ("b", 0), ("c", 0)))])
    for scores in ((1.0,), (1.0, float("nan"))):
        with pytest.raises(UserError, match="two finite numbers"):
            debias.games([Verdict(suite="s", item="1", judge="j", shown=(("a", 0), ("b", 0)), scores=scores)])
    with pytest.raises(UserError, match="points must lie"):
        debias.settle(1.5, 0.0)


def test_nothing_to_read_gives_undefined_rates_and_not_zero():
    found = debias.position(double(["xx", "Ax"]))
    assert (found.pairs, found.left_out) == (0, 2)
    assert (found.first_rate, found.position_bias, found.consistency, found.flip_rate) == (None,) * 4


def test_the_bias_is_kept_apart_by_judge_and_dimension():
    first = [msgspec.structs.replace(entry, judge="primacy", scores=(1.0, 0.0)) for entry in double(["AA"] * 3)]
    second = [msgspec.structs.replace(entry, dimension="help", scores=(0.0, 1.0)) for entry in double(["AA"] * 3)]
    found = debias.position_by(first + second)
    assert {key: bias.position_bias for key, bias in found.items()} == {
        ("s", "primacy", "r@1", "overall"): 0.5,
        ("s", "j", "r@1", "help"): -0.5,
    }


def test_a_random_order_is_drawn_by_the_seed_and_not_by_the_order_of_the_verdicts():
    verdicts = double(["AB"] * 60)
    games = debias.games(verdicts, "random", seed=1)[0]
    assert games == debias.games(verdicts[::-1], "random", seed=1)[0]
    assert games != debias.games(verdicts, "random", seed=2)[0]
    assert 15 < sum(game.score for game in games) < 45


# --- laws

TABLES = st.lists(st.sampled_from([one + two for one in "ATBx" for two in "ATBx"]), max_size=20)
SYMMETRIC = ("half", "tie", "score", "drop", "majority")


@settings(deadline=None)
@given(TABLES, st.sampled_from(SYMMETRIC))
def test_swapping_the_names_swaps_every_game(table, policy):
    games, left_out = debias.games(double(table), policy)
    swapped, left_out_swapped = debias.games(double(table, "B", "A"), policy)
    assert [1 - game.score for game in games] == [game.score for game in swapped]
    assert [game.consistent for game in games] == [game.consistent for game in swapped]
    assert [entry.reason for entry in left_out] == [entry.reason for entry in left_out_swapped]


@settings(deadline=None)
@given(TABLES, st.sampled_from(get_args(Policy)), st.randoms())
def test_the_order_of_the_verdicts_changes_nothing(table, policy, shuffler: random.Random):
    verdicts = double(table)
    shuffled = verdicts[:]
    shuffler.shuffle(shuffled)
    assert debias.games(verdicts, policy) == debias.games(shuffled, policy)
    assert debias.position(verdicts) == debias.position(shuffled)


@settings(deadline=None)
@given(st.integers(1, 30))
def test_a_judge_that_always_picks_the_first_gives_only_ties_and_a_bias_of_a_half(n):
    verdicts = [msgspec.structs.replace(entry, scores=(1.0, 0.0)) for entry in double(["AA"] * n)]
    for policy in ("half", "tie", "score", "majority"):
        assert {game.score for game in debias.games(verdicts, policy)[0]} == {0.5}
    games, left_out = debias.games(verdicts, "drop")
    assert (len(games), len(left_out)) == (0, n)
    found = debias.position(verdicts)
    assert (found.position_bias, found.consistency, found.primacy) == (0.5, 0.0, n)


@settings(deadline=None)
@given(TABLES, st.sampled_from(get_args(Policy)))
def test_every_pair_is_a_game_or_left_out_with_a_reason(table, policy):
    games, left_out = debias.games(double(table), policy)
    assert len(games) + len(left_out) == len(table) * (2 if policy == "each" else 1)
    assert all(entry.reason for entry in left_out)


def test_a_share_off_its_scale_is_refused_and_never_cut_to_it():
    shown = verdict(1, "A", "B", 1.0)
    off = msgspec.structs.replace(shown, scores=(3.0, 0.0))
    for read in (debias.points_of, debias.first_points):
        assert read(shown) == 1.0
        with pytest.raises(UserError, match=r"shared \[3.0, 0.0\] between two answers on a scale from 0 to 1"):
            read(off)
