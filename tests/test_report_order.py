"""Judge tables name dimensions in the order of their rubric, and by alphabet where no rubric is known."""

from __future__ import annotations

import json
import random
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from test_report_runs import made, right

from judgebench.ratings.resampling import Resample
from judgebench.report import apart, judge_record, judged, sway
from judgebench.report.calibrated import calibrated_table
from judgebench.report.card_tables import card_tables
from judgebench.report.controlled import controlled_table
from judgebench.report.markdown import render_markdown
from judgebench.report.protocols import skills_table
from judgebench.report.runs_compared import differences_table
from judgebench.report.tables import Table, distinct
from judgebench.runs import Journal, Run
from judgebench.stages.cards import card_rows, write_cards
from judgebench.stages.meta_eval import meta_evaluate
from judgebench.stages.rate import rate
from judgebench.stages.report import behind, read_summary, with_trials
from judgebench.stages.report_runs import report_runs
from judgebench.stages.settings import Settings
from judgebench.types import Verdict

RUBRIC = ("tone", "accuracy", "brevity")
"""Dimensions as the rubric has them: neither by alphabet nor the other way round."""
ALPHABET = ("accuracy", "brevity", "tone")


def along(folder: Path, *models: str) -> Run:
    """A run whose judge compared every two models along three dimensions, and a person labelled some pairs."""
    run = made(folder, dict.fromkeys(models, ""), items=range(12))
    run.manifest["judges"]["human@ann"] = {"backend": "imported", "id": "human@ann", "options": {}, "baseline": False,
                                           "rubrics": {}, "sample": "random"}  # fmt: skip
    run.save_manifest()
    written = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    written["rubrics"]["r@1"]["dimensions"] = dict.fromkeys(RUBRIC, "")
    (folder / "manifest.json").write_text(json.dumps(written), encoding="utf-8")
    run = Run(folder)
    run.verdicts_file("j", "r").unlink()
    for who, rubric in (("j", "r@1"), ("human@ann", "")):
        with Journal(run.verdicts_file(who, rubric.partition("@")[0])) as journal:
            for dimension in RUBRIC:
                for one, other in combinations(models, 2):
                    for shown in ((one, other), (other, one)) if who == "j" else ((one, other),):
                        for k in range(12 if who == "j" else 8):
                            salt = f"{dimension}{random.Random(f'{dimension}{k}').random()}"
                            lead = right(shown[0], k, salt) - right(shown[1], k, salt)
                            journal.append(
                                Verdict(suite="talk", item=str(k), rubric=rubric, judge=who, kind="preference",
                                        dimension=dimension, shown=tuple((name, 0) for name in shown),
                                        scores=(0.5 + lead / 2, 0.5 - lead / 2))
                            )  # fmt: skip
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = along(tmp_path_factory.mktemp("order") / "run", "base", "first", "second")
    rate(run, Settings())
    return run


@pytest.fixture(scope="module")
def summary(run: Run) -> dict[str, Any]:
    write_cards(run, meta_evaluate(run, ["j"], resample=Resample(20, 0)))
    found = read_summary(run)
    return {**found, "cards": with_trials(run, card_rows(run, found["verdicts"]))}


def group_of(summary: dict[str, Any]) -> judged.Group:
    (group,) = [each for each in judged.groups(summary) if each.judge == "j"]
    return group


def named(table: Table) -> tuple[str, ...]:
    """The dimensions in the first column, in order; an overall is left out."""
    return tuple(name for name in distinct(row[0].text for row in table.rows) if not name.startswith("overall"))


MADE = (
    judge_record.verdicts_table,
    judge_record.pairs_table,
    judge_record.bias_table,
    sway.sway_table,
    sway.debiased_table,
)


@pytest.mark.parametrize("table", MADE)
def test_every_table_of_a_judge_has_the_rubrics_order(summary: dict[str, Any], table: Any) -> None:
    group = group_of(summary)
    assert [each for each in group.dimensions if each != "overall"] == list(RUBRIC)
    assert named(table(summary, group)) == RUBRIC
    before = {
        name: value for name, value in summary.items() if name != "rubric_dimensions"
    }  # rated by an older version
    assert named(table(before, group_of(before))) == ALPHABET


def test_tables_of_calibrated_and_controlled_ratings_have_the_rubrics_order(summary: dict[str, Any]) -> None:
    rating = next(row for row in summary["ratings"] if row["judge"] == "j")
    place = {name: rating[name] for name in ("suite", "judge", "rubric")}
    numbers = dict.fromkeys(
        ("judge_win_rate", "judge_low", "judge_high", "people_win_rate", "people_low", "people_high", "win_rate",
         "win_rate_low", "win_rate_high", "elo", "elo_low", "elo_high", "joint_elo", "joint_low", "joint_high", "value",
         "low", "high", "plain", "longer"), 0.5,
    )  # fmt: skip
    rows = [
        {**place, **numbers, "dimension": name, "model": "base", "note": "", "people": ["human@ann"], "labels": 3,
         "n": 4, "method": "ppi", "verdicts": 24, "control": "style", "baseline": ""}
        for name in ALPHABET
    ]  # fmt: skip
    both = {**summary, "calibrated": rows, "controlled": rows}
    assert named(calibrated_table(both, group_of(both))) == RUBRIC
    assert named(controlled_table(both, group_of(both))) == RUBRIC


def test_dimensions_apart_are_named_in_the_rubrics_order_and_differences_turn_with_them(
    summary: dict[str, Any],
) -> None:
    models = [{"model": "base", "value": 40.0, "low": 10.0, "high": 70.0, "differs": True}]
    pair = {"models": models, "r": 0.5, "low": 0.1, "high": 0.9}
    pairs = [{**pair, "one": one, "other": other} for one, other in combinations(ALPHABET, 2)]
    family = {"suite": "talk", "judge": "j", "rubric": "r@1", "note": "", "pairs": pairs}
    table = apart.apart_table({**summary, "dimensions": [family]}, group_of(summary))
    assert [(row[0].text, row[2].text) for row in table.rows] == [
        ("tone – accuracy", "base -40"), ("tone – brevity", "base -40"), ("accuracy – brevity", "base +40"),
    ]  # fmt: skip


def test_a_judge_card_tries_dimensions_in_the_rubrics_order(run: Run, summary: dict[str, Any]) -> None:
    (card,) = meta_evaluate(run, ["j"], resample=Resample(20, 0))
    assert [trial.dimension for trial in card.trials] == list(RUBRIC)
    titles = [table.title for table in card_tables(summary, group_of(summary)) if not table.title.endswith("confusion")]
    assert [title.split(" · ")[1] for title in titles] == list(RUBRIC)


def test_leaderboards_in_markdown_have_the_rubrics_order_with_the_overall_where_it_was(summary: dict[str, Any]) -> None:
    lines = render_markdown(summary).splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("### ") and "judge j" in line)
    heads = [line.removeprefix("#### ") for line in lines[start:] if line.startswith("#### ")]
    assert heads[:4] == [*RUBRIC, "overall (mean of dimensions)"]


def test_skills_are_in_the_rubrics_order_however_they_are_spelt() -> None:
    names = ("Logical_Robustness", "Factuality", "Completeness")
    place = {"suite": "s", "judge": "j", "rubric": "f@1"}
    cell = {**place, "by": "skill", "model": "a", "difficulty": "", "domain": "", "mean": 3.0, "low": None,
            "high": None, "n": 2, "clusters": 2, "not_applicable": 0}  # fmt: skip
    rows = [{**cell, "skill": name} for name in ("completeness", "factuality", "logical robustness")]
    counts = [{**place, "dimension": name} for name in sorted(names)]
    lists: dict[str, list[Any]] = {name: [] for name in ("ratings", "pairs", "grades", "bias")}
    found = {**lists, "verdicts": counts, "protocols": {"skills": rows}, "rubric_dimensions": {"f@1": list(names)}}
    (group,) = judged.groups(found)
    assert named(skills_table(found, group, "skill")) == ("logical robustness", "factuality", "completeness")
    del found["rubric_dimensions"]
    (group,) = judged.groups(found)
    assert named(skills_table(found, group, "skill")) == ("completeness", "factuality", "logical robustness")


def test_differences_of_runs_have_the_rubrics_order(tmp_path: Path) -> None:
    one, two = along(tmp_path / "one", "base", "first"), along(tmp_path / "two", "base", "second")
    found, summary = report_runs([one, two], tmp_path / "both.html", behind)
    assert summary["rubric_dimensions"] == {"r@1": list(RUBRIC)}
    judged_rows = [row for row in found["differences"] if row["judge"] == "j"]
    by_pair = {(row["left"], row["right"]): [] for row in judged_rows}
    for row in judged_rows:
        by_pair[row["left"], row["right"]].append(row["dimension"])
    assert by_pair
    assert all(names == list(RUBRIC) for names in by_pair.values())
    shown = [row[0].text for row in differences_table(found).rows if row[-1].text.startswith("j, r@1")]
    assert shown[:3] == [f"talk: {name}" for name in RUBRIC]
