"""Planning: what a number of questions can show, and what it costs, before anything is spent."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

import judgebench
from judgebench import cli
from judgebench.errors import UserError
from judgebench.ratings.power import PRIORS, difference_power, items_needed, plan


def test_the_recorded_priors_give_the_differences_known_of_alpacaeval() -> None:
    assert plan(805, PRIORS["against-baseline"].sd).smallest_difference == pytest.approx(0.024, abs=0.0005)
    assert plan(805, PRIORS["against-baseline-strong"].sd).smallest_difference == pytest.approx(0.033, abs=0.0005)


def test_power_is_what_a_simulation_finds() -> None:
    random = np.random.default_rng(0)
    drawn = random.normal(0.05, 0.3, (4000, 200))
    z = np.abs(drawn.mean(axis=1)) / (0.3 / math.sqrt(200))
    assert difference_power(200, 0.05, 0.09) == pytest.approx((z > 1.96).mean(), abs=0.02)
    assert difference_power(200, 0.0, 0.09, alpha=0.05) == pytest.approx(0.05)


def test_as_many_questions_as_are_needed_are_enough_and_one_fewer_is_not() -> None:
    needed = math.ceil(items_needed(0.03, 0.24**2))
    assert plan(needed, 0.24, difference=0.03).enough
    assert not plan(needed - 1, 0.24, difference=0.03).enough
    assert plan(needed, 0.24, difference=0.03).power == pytest.approx(0.8, abs=0.002)
    assert plan(needed, 0.24, difference=0.03, comparisons=10).items_needed > needed


def test_nothing_can_be_planned_without_variation() -> None:
    with pytest.raises(UserError, match="does not vary"):
        plan(100, 0.0)
    with pytest.raises(UserError, match="at least one comparison"):
        plan(100, 0.3, comparisons=0)


def test_the_command_prints_what_can_be_shown_with_calls_and_price(capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "plan",
        "--items",
        "80",
        "--models",
        "3",
        "--answer-tokens",
        "100",
        "--reply-tokens",
        "50",
        "--prior",
        "head-to-head",
    ]
    assert cli.main([*words, "--judge-price", "1", "4"]) == 0
    said = capsys.readouterr().out
    assert "head-to-head" in said
    assert "3 comparisons at 0.0167 each" in said
    assert "models: 240 calls, 0 tokens read, 24,000 written" in said
    assert "judge: 480 calls, 96,000 tokens read, 24,000 written (an estimate without the" in said
    assert "price 0.19" in said


def test_a_claim_below_power_is_refused_and_says_what_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="80 questions are too few"):
        cli.main(["plan", "--items", "80", "--win-rate", "0.6"])
    assert "power 0.37" in capsys.readouterr().out
    assert cli.main(["plan", "--items", "250", "--win-rate", "0.6"]) == 0


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "number of questions"),
        (["--items", "0"], "at least 1"),
        (["--items", "9", "--difference", "0"], "difference of 0"),
        (["--items", "9", "--power", "1"], "must lie"),
        (["--items", "9", "--models", "0"], "at least 1"),
        (["--items", "9", "--difference", "0.1", "--win-rate", "0.6"], "not both"),
    ],
)
def test_mistakes_are_told(words: list[str], why: str) -> None:
    with pytest.raises(UserError, match=why):
        cli.main(["plan", *words])


def test_a_pilot_gives_its_own_spread_and_a_suite_its_questions(tmp_path: Path, capsys) -> None:
    (tmp_path / "sums.yaml").write_text(
        "name: sums\nlicense: Apache-2.0\nscorer: number\nitems:\n"
        + "".join(f'  - {{id: "{k}", question: "{k}+1", reference: "{k + 1}"}}\n' for k in range(40))
    )

    def even(chat: list[dict[str, str]]) -> str:
        number = int(chat[-1]["content"].split("+")[0])
        return str(number + 1 + number % 2)

    judgebench.run(tmp_path / "pilot", suite=[str(tmp_path / "sums.yaml")],
                   model={"right": lambda chat: str(eval(chat[-1]["content"])), "half": even})  # fmt: skip
    assert cli.main(["plan", str(tmp_path / "pilot"), "--items", "100", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (name, shown), *_ = found["plans"].items()
    assert "sums, accuracy" in name
    assert shown["sd"] == pytest.approx(math.sqrt(0.25 * 40 / 39))
    assert cli.main(["plan", "--suite", str(tmp_path / "sums.yaml"), "--prior", "accuracy", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["plans"]["accuracy"]["items"] == 40
