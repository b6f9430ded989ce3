"""Hierarchical ratings along dimensions: planted spreads come back, intervals hold, doubt is said."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from judgebench.errors import UserError
from judgebench.ratings import bradley_terry, hierarchy, joint_dimensions
from judgebench.report.apart import apart_table
from judgebench.report.judged import Group
from judgebench.types import Game

DIMENSIONS = ("accuracy", "helpfulness", "language")


def played(random, theta, questions, noise=0.0, pairs=3):
    """Games of every question along all dimensions; ``noise`` is what a question adds to a pair in all of them."""
    d, m = theta.shape
    games = {name: [] for name in DIMENSIONS[:d]}
    clusters = {name: [] for name in DIMENSIONS[:d]}
    for question in range(questions):
        for _ in range(pairs):
            a, b = random.choice(m, 2, replace=False)
            shared = noise * random.normal()
            for at, name in enumerate(DIMENSIONS[:d]):
                won = random.random() < special.expit(theta[at, a] - theta[at, b] + shared)
                games[name].append((f"m{a:02d}", f"m{b:02d}", float(won)))
                clusters[name].append(question)
    return games, clusters


def truth(random, m, sigma):
    theta = random.multivariate_normal(np.zeros(len(sigma)), sigma, m).T
    return theta - theta.mean(axis=1, keepdims=True)


def test_without_enough_models_each_dimension_is_its_own_fit():
    random = np.random.default_rng(1)
    games, clusters = played(random, truth(random, 4, 0.5 * np.eye(2)), 80)
    found = hierarchy.fit(games, clusters)
    for name in found.dimensions:
        alone = bradley_terry.fit(*(list(column) for column in zip(*games[name], strict=True)), clusters[name])
        assert found.elo[name] == pytest.approx(alone.elo, abs=1e-6)
        assert found.low[name] == pytest.approx(alone.low, abs=1e-6)
    assert found.sigma is None
    assert "nothing is shrunk" in found.note


def test_the_planted_spread_and_correlation_over_models_come_back():
    random = np.random.default_rng(2)
    sigma = np.array([[0.6, 0.3], [0.3, 0.4]])
    theta = truth(random, 25, sigma)
    games, clusters = played(random, theta, 1000)
    found = hierarchy.fit(games, clusters)
    sample = theta @ theta.T / 24
    assert np.array(found.sigma) == pytest.approx(sample, abs=0.15)
    (pair,) = found.correlations
    assert pair.low < np.corrcoef(theta)[0, 1] < pair.high
    assert pair.statement == ""


def test_dimensions_that_a_judge_does_not_separate_are_said_to_be_alike():
    random = np.random.default_rng(3)
    theta = truth(random, 15, np.array([[0.5]]))
    found = hierarchy.fit(*played(random, np.vstack([theta, theta]), 600))
    (pair,) = found.correlations
    assert pair.r > 0.9
    assert "accuracy and helpfulness are not told apart" in found.note


def test_what_one_dimension_says_narrows_the_other_and_lessens_the_error():
    random = np.random.default_rng(4)
    better, narrower = [], []
    for _ in range(6):
        theta = truth(random, 16, np.array([[0.3, 0.25], [0.25, 0.3]]))
        found = hierarchy.fit(*played(random, theta, 200))
        elo = np.array([list(row.values()) for row in found.elo.values()])
        plain = np.array([list(row.values()) for row in found.plain.values()])
        aim = 1000 + bradley_terry.ELO * theta
        better.append(((elo - aim) ** 2).mean() < ((plain - aim) ** 2).mean())
        narrower.append(np.diag(found.covariance).mean() < np.diag(found.plain_covariance).mean())
    assert sum(better) >= 5
    assert all(narrower)


def test_intervals_of_ratings_differences_and_composites_cover_about_as_often_as_they_say():
    random = np.random.default_rng(5)
    inside = {"rating": [], "difference": [], "composite": []}
    for _ in range(25):
        theta = truth(random, 10, np.array([[0.5, 0.3], [0.3, 0.4]]))
        found = hierarchy.fit(*played(random, theta, 100))
        aim = bradley_terry.ELO * theta
        for at, model in enumerate(found.models):
            for row, name in enumerate(found.dimensions):
                inside["rating"].append(found.low[name][model] < 1000 + aim[row, at] < found.high[name][model])
            gap = found.difference(model, "accuracy", "helpfulness")
            inside["difference"].append(gap.low < aim[0, at] - aim[1, at] < gap.high)
        for at, made in enumerate(found.composite({"accuracy": 0.5, "helpfulness": 0.5}).values()):
            inside["composite"].append(made.low < 1000 + aim[:, at].mean() < made.high)
    for name, seen in inside.items():
        assert 0.91 < np.mean(seen) < 0.985, name


def test_the_error_of_a_difference_knows_that_dimensions_share_their_questions():
    random = np.random.default_rng(6)
    games, clusters = played(random, truth(random, 4, np.array([[0.2]])), 200)
    twice = {"accuracy": games["accuracy"], "copy": games["accuracy"]}
    found = hierarchy.fit(twice, dict.fromkeys(twice, clusters["accuracy"]))
    same = found.difference("m00", "accuracy", "copy")
    assert (same.value, same.se) == (pytest.approx(0), pytest.approx(0, abs=1e-5))
    apart = hierarchy.fit(twice, {"accuracy": clusters["accuracy"], "copy": [f"x{c}" for c in clusters["accuracy"]]})
    assert apart.difference("m00", "accuracy", "copy").se > 10


def test_what_cannot_be_rated_along_every_dimension_is_refused_by_name():
    good = [("a", "b", 1.0), ("a", "b", 0.0), ("b", "a", 0.5)]
    for games, clusters, message in [
        ({}, None, "no dimensions"),
        ({"x": good, "y": [("a", "b", 1.0)]}, None, "in 'y': separated"),
        ({"x": good, "y": [("a", "c", 1.0), ("a", "c", 0.0)]}, None, "'b' is rated in 'x' or 'y' only"),
        ({"x": good}, {"x": [1]}, "in 'x': 3 games but 1 clusters"),
    ]:
        with pytest.raises(UserError, match=message):
            hierarchy.fit(games, clusters)
    found = hierarchy.fit({"x": good}, {"x": ["q"] * 3})
    assert found.low is None
    assert found.composite({"x": 1.0})["a"].low is None
    with pytest.raises(UserError, match="no rating of 'z'"):
        found.contrast({("x", "z"): 1.0})


def test_ratings_of_games_have_a_row_for_every_dimension_and_the_composite():
    random = np.random.default_rng(7)
    games, clusters = played(random, truth(random, 3, 0.2 * np.eye(2)), 60)
    made = [
        Game(
            suite="s",
            item=str(item),
            turn=1,
            rubric="r@1",
            judge="j",
            dimension=name,
            left=left,
            right=right,
            score=score,
        )
        for name in games
        for (left, right, score), item in zip(games[name], clusters[name], strict=True)
    ]
    fits = joint_dimensions.families(made)
    rows = {(row.dimension, row.model): row for row in joint_dimensions.ratings_of(made, fits)}
    assert {dimension for dimension, _ in rows} == {"accuracy", "helpfulness", "overall"}
    mean = (rows["accuracy", "m00"].value + rows["helpfulness", "m00"].value) / 2
    assert rows["overall", "m00"].value == pytest.approx(mean)
    assert rows["overall", "m00"].low < mean < rows["overall", "m00"].high
    assert rows["overall", "m00"].clusters <= 60
    lost = [game for game in made if game.dimension == "accuracy" or game.score == 1.0 or game.left != "m00"]
    lost = [game for game in lost if game.dimension == "accuracy" or game.right != "m00" or game.score == 0.0]
    gone = joint_dimensions.ratings_of(lost, joint_dimensions.families(lost))
    assert {row.value for row in gone} == {None}
    assert all("in 'helpfulness': separated" in row.note for row in gone)
    assert joint_dimensions.families([game for game in made if game.dimension == "accuracy"]) == {}


def test_the_report_says_which_dimensions_are_alike_and_who_differs_in_them():
    random = np.random.default_rng(8)
    theta = truth(random, 10, np.array([[0.4]]))
    theta = np.vstack([theta, theta, theta])
    theta[2, 0] += 3
    games, clusters = played(random, theta, 300)
    made = [
        Game(
            suite="s",
            item=str(item),
            turn=1,
            rubric="r@1",
            judge="j",
            dimension=name,
            left=left,
            right=right,
            score=score,
        )
        for name in games
        for (left, right, score), item in zip(games[name], clusters[name], strict=True)
    ]
    fits = joint_dimensions.families(made)
    (row,) = joint_dimensions.described(fits)
    (line,) = joint_dimensions.doubts(fits)
    assert line.startswith("j by r@1 on s: accuracy and helpfulness are not told apart")
    pairs = {(pair["one"], pair["other"]): pair for pair in row["pairs"]}
    assert pairs["accuracy", "helpfulness"]["r"] > 0.9
    assert next(model["model"] for model in pairs["accuracy", "language"]["models"] if model["differs"]) == "m00"
    group = Group(suite="s", judge="j", rubric="r@1", dimensions=DIMENSIONS)
    table = apart_table({"dimensions": [row]}, group)
    assert [cells[0].text for cells in table.rows] == [
        "accuracy – helpfulness", "accuracy – language", "helpfulness – language"]  # fmt: skip
    assert "m00 -" in table.rows[1][2].text
    assert apart_table({}, group).rows == ()
