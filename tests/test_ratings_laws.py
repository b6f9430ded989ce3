"""What must hold of every rating of games, whatever the games: names, order and repetition say nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judgebench.judges.debias import position_of, settle
from judgebench.ratings import bradley_terry, covariates, elo, hierarchy, ppi_ratings, ties, winrate
from judgebench.ratings.bootstrap import bootstrap
from judgebench.ratings.intervals import clustered_error
from judgebench.types import Game

NAMES = ("a", "b", "c")
OTHER = {"a": "c", "b": "b", "c": "a"}
Rows = list[tuple[int, str, str, float]]

ROOT = math.sqrt


@st.composite
def played(draw: st.DrawFn) -> Rows:
    """(question, left, right, score): every pair has met with a win, a tie and a loss, so that every fit is finite."""
    fixed = [(left, right, score) for left, right in ("ab", "bc", "ac") for score in (1.0, 0.5, 0.0)]
    drawn = draw(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES), st.sampled_from((0.0, 0.5, 1.0))),
                          min_size=2, max_size=14))  # fmt: skip
    games = fixed + [(left, right, score) for left, right, score in drawn if left != right]
    return [(number % 7, *game) for number, game in enumerate(games)]


def columns(rows: Rows) -> tuple[list[str], list[str], list[float], list[int]]:
    return [r[1] for r in rows], [r[2] for r in rows], [r[3] for r in rows], [r[0] for r in rows]


def games_of(rows: Rows) -> list[Game]:
    return [Game(suite="s", item=str(q), turn=1, judge="j", rubric="r", dimension="d", left=left, right=right,
                 score=score) for q, left, right, score in rows]  # fmt: skip


def win_rates(rows: Rows) -> dict[str, float | None]:
    return {each.model: each.value for each in winrate.rate(games_of(rows))}


def feature(rows: Rows) -> list[float]:
    """Something of each game that is the same whatever the games are called and in whatever order they come."""
    return [score * 0.7 - q * 0.1 + 0.05 * q * q - (q % 2) for q, _, _, score in rows]


def with_covariate(rows: Rows) -> dict[str, float]:
    return covariates.fit([row[1:] for row in rows], {"x": feature(rows)}, columns(rows)[3], ridge=0.1).elo


def by_dimension(rows: Rows) -> dict[str, float]:
    battles = {name: [row[1:] for row in rows] for name in ("one", "two")}
    return hierarchy.fit(battles, dict.fromkeys(battles, columns(rows)[3])).elo["one"]


def calibrated(rows: Rows) -> dict[str, float]:
    """People and judge say the same of the fixed games; of the rest there is the judge's word alone."""
    human, rest = [(*row[1:], row[3]) for row in rows[:9]], [row[1:] for row in rows[:9]] + [row[1:] for row in rows]
    return ppi_ratings.ppi_bradley_terry(human, rest, lam=0.5).elo


RATINGS = {
    "win rate": win_rates,
    "Bradley-Terry": lambda rows: bradley_terry.fit(*columns(rows)).elo,
    "Davidson": lambda rows: ties.fit(*columns(rows)).elo,
    "Rao-Kupper": lambda rows: ties.fit(*columns(rows), kind="rao-kupper").elo,
    "bootstrap": lambda rows: bootstrap(*columns(rows), draws=2).elo,
    "covariates": with_covariate,
    "by dimension": by_dimension,
    "people and judge": calibrated,
}


def close(one: dict[str, float], other: dict[str, float]) -> bool:
    return one == pytest.approx(other, abs=1e-4)


@pytest.mark.parametrize("method", sorted(RATINGS))
@settings(max_examples=12, deadline=None)
@given(rows=played())
def test_models_that_swap_names_swap_ratings(method: str, rows: Rows) -> None:
    turned = [(q, OTHER[left], OTHER[right], score) for q, left, right, score in rows]
    before, after = RATINGS[method](rows), RATINGS[method](turned)
    assert close({OTHER[name]: value for name, value in before.items()}, after)


@pytest.mark.parametrize("method", sorted(set(RATINGS) - {"people and judge"}))
@settings(max_examples=12, deadline=None)
@given(rows=played(), seed=st.integers(0, 99))
def test_the_order_of_games_says_nothing(method: str, rows: Rows, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(rows))
    assert close(RATINGS[method](rows), RATINGS[method]([rows[at] for at in order]))


@pytest.mark.parametrize("method", sorted(set(RATINGS) - {"covariates"}))
@settings(max_examples=12, deadline=None)
@given(rows=played())
def test_a_game_told_from_the_other_side_is_the_same_game(method: str, rows: Rows) -> None:
    turned = [(q, right, left, 1 - score) if q % 2 else (q, left, right, score) for q, left, right, score in rows]
    assert close(RATINGS[method](rows), RATINGS[method](turned))


@settings(max_examples=12, deadline=None)
@given(rows=played())
def test_questions_asked_again_under_other_names_leave_ratings_and_shrink_their_errors(rows: Rows) -> None:
    twice = rows + [(q + 100, left, right, score) for q, left, right, score in rows]
    for fit in (bradley_terry.fit, ties.fit):
        once, again = fit(*columns(rows)), fit(*columns(twice))
        assert close(once.elo, again.elo)
        assert {name: se / ROOT(2) for name, se in once.se.items()} == pytest.approx(again.se, rel=1e-6)
    once, again = clustered_error(columns(rows)[2], columns(rows)[3]), clustered_error(*columns(twice)[2:])
    assert again.mean == pytest.approx(once.mean)
    assert again.cr0 == pytest.approx(once.cr0 / ROOT(2))


@settings(max_examples=12, deadline=None)
@given(rows=played())
def test_games_of_a_question_that_are_told_twice_add_no_certainty(rows: Rows) -> None:
    once, again = (bradley_terry.fit(*columns(each)) for each in (rows, rows + rows))
    assert close(once.elo, again.elo)
    assert once.se == pytest.approx(again.se, rel=1e-6)


@settings(max_examples=8, deadline=None)
@given(rows=played(), seed=st.integers(0, 9))
def test_online_elo_over_shuffles_takes_no_notice_of_the_order_or_of_names(rows: Rows, seed: int) -> None:
    battles, questions = [row[1:] for row in rows], [row[0] for row in rows]
    order = np.random.default_rng(seed).permutation(len(rows))
    found = elo.shuffled_elo(battles, questions, shuffles=5)
    again = elo.shuffled_elo([battles[at] for at in order], [questions[at] for at in order], shuffles=5)
    assert found == again
    assert sum(each.mean for each in found.values()) == pytest.approx(1000 * len(found))


@given(st.integers(1, 50))
def test_a_judge_that_always_takes_the_first_ties_everything_and_shows_a_bias_of_one_half(pairs: int) -> None:
    assert position_of([(1.0, 0.0)] * pairs).position_bias == 0.5
    assert {settle(1.0, 0.0, policy) for policy in ("half", "tie", "majority")} == {0.5}
    rows: Rows = [(q, left, right, 0.5) for q in range(pairs) for left, right in ("ab", "bc", "ac")]
    assert set(win_rates(rows).values()) == {0.5}
    found = bradley_terry.fit(*columns(rows))
    assert set(found.elo.values()) == {1000.0}
    assert found.low is None
