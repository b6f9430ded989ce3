"""Length-controlled win rates: worked numbers, the estimator's error, overlap, and the published penalised model."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import special

from judgebench.errors import FileError, UserError
from judgebench.ratings import alpaca_length, length_control


@pytest.mark.data
def test_o29_the_core_gives_the_worked_numbers(data_dir: Path):
    worked = json.loads(next((data_dir.parent / "oracles").glob("O29_*.json")).read_text())
    given, expected = worked["inputs"], worked["expected"]
    columns = given["preference_model"], given["len_model"], given["len_baseline"]
    plain = length_control.fit(*columns)
    assert plain.raw == pytest.approx(expected["raw_win_rate"])
    assert plain.win_rate == pytest.approx(expected["minimal"]["lc_win_rate"], abs=1e-5)
    assert plain.length == pytest.approx(expected["minimal"]["coef_tanh_len"], abs=1e-5)
    full = length_control.fit(*columns, given["instruction_difficulty"], draws=300)
    assert (full.win_rate, full.theta, full.difficulty, full.fitted_se) == pytest.approx(
        tuple(expected["with_difficulty"][name] for name in ("lc_win_rate", "theta", "psi", "lc_standard_error")),
        abs=1e-5,
    )
    assert full.se > 5 * full.fitted_se


def annotations(data_dir: Path, model: str):
    path = data_dir / "alpaca_eval" / "results" / model / "weighted_alpaca_eval_gpt4_turbo" / "annotations.json.gz"
    rows = [row for row in json.loads(gzip.decompress(path.read_bytes())) if row["preference"] is not None]
    shares = [(row["preference"] or 1.5) - 1 for row in rows]
    return shares, [len(row["output_2"]) for row in rows], [len(row["output_1"]) for row in rows]


@pytest.mark.data
@pytest.mark.parametrize(("model", "error"), [("NullModel", 1.07), ("vicuna-13b", None)])
def test_the_error_is_that_of_the_estimator_on_recorded_verdicts(data_dir: Path, model, error):
    found = length_control.fit(*annotations(data_dir, model), draws=500)
    assert found.low < found.win_rate < found.high
    if error is not None:
        assert found.se == pytest.approx(error, rel=0.25)
        assert found.raw == pytest.approx(76.919792, abs=1e-5)
    assert found.se > 3 * found.fitted_se


def made(n: int, seed: int, shift: float = 0.0):
    random = np.random.default_rng(seed)
    baseline, ours = random.normal(1500, 400, n), random.normal(1500 + shift, 400, n)
    gap = baseline - ours
    gamma = random.normal(0, 1, n)
    chance = special.expit(0.4 - 1.0 * np.tanh(gap / gap.std(ddof=1)) - 0.5 * gamma)
    return np.clip(chance + random.normal(0, 0.1, n), 0, 1).tolist(), ours.tolist(), baseline.tolist(), gamma.tolist()


def test_a_planted_effect_of_length_is_taken_out():
    shares, ours, baseline, gamma = made(4000, 1, shift=300)
    found = length_control.fit(shares, ours, baseline, gamma, draws=100)
    assert found.raw > 64
    assert found.length == pytest.approx(-1.0, abs=0.1)
    assert found.win_rate == pytest.approx(100 * special.expit(0.4 - 0.5 * np.array(gamma)).mean(), abs=0.7)


def test_questions_are_resampled_whole_and_the_seed_is_kept():
    shares, ours, baseline, _ = made(150, 2)
    once = length_control.fit(shares, ours, baseline, draws=300, seed=3)
    twice = length_control.fit(shares * 2, ours * 2, baseline * 2, clusters=list(range(150)) * 2, draws=300, seed=3)
    assert twice.se == pytest.approx(once.se, rel=0.02)
    assert (twice.clusters, twice.seed, twice.draws) == (150, 3, 300)


def test_a_model_that_is_hardly_ever_longer_is_said_to_be_extrapolated():
    shares, ours, baseline, _ = made(300, 3, shift=-1300)
    found = length_control.fit(shares, ours, baseline, draws=50)
    assert found.longer < 0.05
    assert "extrapolated: its answer is the longer on" in found.note
    assert length_control.fit(*made(300, 3)[:3], draws=50).note == ""


def test_what_length_cannot_explain_is_refused():
    for columns, message in [
        (([0.5, 0.6], [10, 20], [20, 30]), "no length to control"),
        (([0.5], [10], [20]), "1 preferences"),
        (([1.5, 0.5], [10, 20], [20, 20]), r"\[0, 1\]"),
        (([0.5, 0.5], [10], [20, 20]), "length of both answers"),
        (([1.0, 1.0, 0.0, 0.0], [30, 30, 10, 10], [20, 20, 20, 20]), "separated"),
    ]:
        with pytest.raises(UserError, match=message):
            length_control.fit(*columns)
    alone = length_control.fit([0.2, 0.8, 0.4], [10, 30, 20], [20, 20, 25], clusters=["q"] * 3)
    assert alone.se is None
    assert "one question" in alone.note


def side_files(folder: Path, gamma: list[float]) -> tuple[Path, Path]:
    random = np.random.default_rng(9)
    gamed, difficulty = folder / "df_gamed.csv", folder / "instruction_difficulty.csv"
    with gamed.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["", "model", "index", "preference", "std_delta_len", "instruction_difficulty", "not_gamed_baseline"]
        )
        for name, side in (("verbose", -1.0), ("concise", 1.0)):
            for index, value in enumerate(gamma):
                gap = side + 0.5 * random.normal()
                share = special.expit(-0.6 * np.tanh(gap))
                writer.writerow([index, name, index, "" if index == 7 else share, gap, value, "False"])
    with difficulty.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["", "instruction_difficulty"])
        writer.writerows(enumerate(gamma))
    return gamed, difficulty


def test_the_published_model_is_near_the_core_and_pulled_by_the_gamed_baselines(tmp_path: Path):
    pytest.importorskip("sklearn")
    shares, ours, baseline, gamma = made(300, 4)
    gamed, difficulty = side_files(tmp_path, gamma)
    rows = alpaca_length.read_gamed(gamed)
    assert len(rows) == 600
    assert sum(row.preference is None for row in rows) == 2
    found = alpaca_length.fit(shares, ours, baseline, range(300), rows, draws=40)
    core = length_control.fit(shares, ours, baseline, gamma, draws=40)
    assert found.win_rate == pytest.approx(core.win_rate, abs=2)
    assert core.length < found.length < -0.3
    assert "L1 penalty, C = " in found.note
    assert found.se == pytest.approx(core.se, rel=0.5)
    own = alpaca_length.AlpacaWeights(theta=found.theta, psi=found.difficulty)
    even = alpaca_length.AlpacaWeights(theta=0, psi=0)
    known = alpaca_length.read_difficulty(difficulty)
    assert alpaca_length.against(own, even, known) == pytest.approx(found.win_rate)
    assert alpaca_length.against(own, own, known) == pytest.approx(50)
    with pytest.raises(UserError, match="instruction 300 is not in the gamed rows"):
        alpaca_length.fit(shares, ours, baseline, range(1, 301), rows)


def test_a_side_file_of_another_kind_is_refused(tmp_path: Path):
    path = tmp_path / "x.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(FileError, match="column 'index' is missing"):
        alpaca_length.read_gamed(path)
    with pytest.raises(FileError, match="cannot be read"):
        alpaca_length.read_difficulty(tmp_path / "none.csv")
    path.write_text("index,preference,std_delta_len,instruction_difficulty\n0,much,1,1\n")
    with pytest.raises(FileError, match=r"x\.csv:2"):
        alpaca_length.read_gamed(path)
