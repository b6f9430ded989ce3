"""Ratings at equal length and style: the arenas' form, and `rate --control` on imported verdicts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import special

from judgebench.cli import main
from judgebench.errors import UserError
from judgebench.ratings import covariates, style_control

NAMES = ("brief", "wordy", "plain")


def shown(n: int, seed: int):
    """Games of three equally good models of which one writes more, before a judge that likes length and lists."""
    random = np.random.default_rng(seed)
    games, first, second = [], {"length": [], "lists": []}, {"length": [], "lists": []}
    for _ in range(n):
        a, b = random.choice(3, 2, replace=False)
        lengths = [float(max(20, random.normal({0: 300, 1: 900, 2: 500}[x], 150))) for x in (a, b)]
        lists = [float(random.integers(0, 5)) for _ in range(2)]
        eta = 1.5 * (lengths[0] - lengths[1]) / sum(lengths) + 0.2 * (lists[0] - lists[1])
        games.append((NAMES[a], NAMES[b], float(random.random() < special.expit(eta))))
        for at, side in enumerate((first, second)):
            side["length"].append(lengths[at])
            side["lists"].append(lists[at])
    return games, first, second


def test_a_model_that_is_only_longer_loses_its_lead_at_equal_style():
    games, first, second = shown(4000, 1)
    found = style_control.fit(games, first, second, list(range(4000)))
    assert found.plain.elo["wordy"] - found.plain.elo["brief"] > 120
    assert abs(found.controlled.elo["wordy"] - found.controlled.elo["brief"]) < 60
    assert found.controlled.elo_low["wordy"] < 1000 < found.controlled.elo_high["wordy"]
    assert found.more["length"]["wordy"] > 0.9
    assert "extrapolated: brief is the longer in" in found.note or "extrapolated: wordy" in found.note
    assert found.controlled.ridge == 0.5


def test_the_ridge_form_is_that_of_a_doubled_logistic_regression():
    linear_model = pytest.importorskip("sklearn.linear_model")
    games, first, second = shown(500, 2)
    games = [(a, b, 0.5 if at % 7 == 0 else score) for at, (a, b, score) in enumerate(games)]
    features = style_control.differences(first, second)
    found = style_control.fit(games, first, second).controlled
    order = sorted(NAMES)
    design = np.zeros((500, 5))
    for row, (a, b, _) in enumerate(games):
        design[row, order.index(a)], design[row, order.index(b)] = np.log(10), -np.log(10)
    design[:, 3], design[:, 4] = features["length"], features["lists"]
    score = np.array([score for _, _, score in games])
    fitted = linear_model.LogisticRegression(C=1.0, fit_intercept=False, tol=1e-10, max_iter=10_000).fit(
        np.vstack([design, design]), np.concatenate([score > 0, score == 1]).astype(int)
    )
    assert [1000 + 400 * weight for weight in fitted.coef_[0][:3]] == pytest.approx(
        [found.elo[name] for name in order], abs=1e-3
    )
    assert list(fitted.coef_[0][3:]) == pytest.approx(list(found.coefficients.values()), abs=1e-5)
    assert found.elo == pytest.approx(covariates.fit(games, features, ridge=0.5, base=10).elo)


def test_features_are_standardised_differences_and_flat_ones_are_refused_or_left_out_by_name():
    made = style_control.differences({"length": [10, 30, 20]}, {"length": [20, 10, 20]})
    assert np.mean(made["length"]) == pytest.approx(0)
    assert np.std(made["length"]) == pytest.approx(1)
    bare = style_control.differences({"x": [3.0, 0.0]}, {"x": [1.0, 0.0]}, add_one=False, standardise=False)
    assert bare == {"x": [0.5, 0.0]}
    for first, second, message in [
        ({"x": [1]}, {"y": [1]}, "the same features"),
        ({"x": [1, 1]}, {"x": [1, 1]}, "'x' never varies"),
        ({"x": [-1]}, {"x": [1]}, "below 0"),
        ({"x": [1]}, {"x": [1, 2]}, "1 counts"),
    ]:
        with pytest.raises(UserError, match=message):
            style_control.differences(first, second)
    games, first, second = shown(200, 3)
    flat = {"bold": [0.0] * 200}
    assert "never differ: bold" in style_control.fit(games, first | flat, second | flat).note
    with pytest.raises(UserError, match="nothing to control for"):
        style_control.fit(games, flat, flat)


@pytest.fixture
def imported(tmp_path: Path) -> Path:
    random = np.random.default_rng(5)
    folder = tmp_path / "r"
    for name, shift in (("short", -200), ("long", 300)):
        rows = []
        for item in range(120):
            lengths = [int(max(5, random.normal(500 + move, 150))) for move in (0, shift)]
            share = float(special.expit(2 * (lengths[1] - lengths[0]) / sum(lengths)))
            rows.append({
                "instruction": f"question {item}", "output_1": "a" * lengths[0], "output_2": "b" * lengths[1],
                "generator_1": "base", "generator_2": name, "annotator": "j", "preference": 1 + share,
            })  # fmt: skip
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(rows))
        assert main(["import", "alpaca-eval", str(path), str(folder), "--quiet"]) == 0
    return folder


def test_rate_prints_win_rates_at_equal_length_and_keeps_them(imported: Path, capsys):
    assert main(["rate", str(imported), "--control", "length"]) == 0
    out = capsys.readouterr().out
    assert "At equal length against base: alpaca-eval" in out
    rows = {row["model"]: row for row in json.loads((imported / "controlled.json").read_text())}
    assert rows["long"]["plain"] > 53 > 47 > rows["short"]["plain"]
    for row in rows.values():
        assert row["value"] == pytest.approx(50, abs=1.5)
        assert row["low"] < row["value"] < row["high"]
        assert row["baseline"] == "base"
    with pytest.raises(UserError, match="did you mean 'base'"):
        main(["rate", str(imported), "--control", "length", "--control-baseline", "bases", "--quiet"])


def test_rate_prints_ratings_at_equal_style(imported: Path, capsys):
    assert main(["rate", str(imported), "--control", "style"]) == 0
    out = capsys.readouterr().out
    assert "At equal style: alpaca-eval" in out
    assert "log-odds of one sd: length +" in out
    rows = {row["model"]: row for row in json.loads((imported / "controlled.json").read_text())}
    assert rows["long"]["plain"] - rows["short"]["plain"] > 40
    assert abs(rows["long"]["value"] - rows["short"]["value"]) < 30
    assert rows["long"]["longer"] > 0.8


def test_gamed_rows_of_other_instructions_are_refused_in_the_row(imported: Path, tmp_path: Path, capsys):
    pytest.importorskip("sklearn")
    path = tmp_path / "df_gamed.csv"
    path.write_text("index,preference,std_delta_len,instruction_difficulty\n0,0.4,0.5,1\n1,0.6,-0.5,0\n")
    assert main(["rate", str(imported), "--control", "length", "--gamed", str(path)]) == 0
    assert (
        "the gamed rows are of 2 instructions in AlpacaEval's order, the run has 120 items" in capsys.readouterr().out
    )
