"""Panels: how judges' points become one verdict, what a panel is worth, and a panel as a judge of a run."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
from test_meta_eval import RUBRIC, grade, pair, run_of

from judgebench.cli import main
from judgebench.errors import UserError
from judgebench.ratings.panels import agreement_weights, panel_verdicts, shared_errors
from judgebench.runs import Run

# Points


def test_a_mean_keeps_halves_and_a_majority_takes_sides_and_leaves_splits_undecided() -> None:
    rows = [[1.0, 1.0, 0.0], [1.0, 0.0, None], [0.5, 0.5, 0.9], [0.2, None, None]]
    assert panel_verdicts(rows).points == pytest.approx((2 / 3, 0.5, 1.9 / 3, None))
    found = panel_verdicts(rows, "majority")
    assert (found.points, found.undecided) == ((1.0, None, 0.5, None), 1)


def test_one_judge_alone_is_no_quorum_under_any_method() -> None:
    for method in ("mean", "majority", "reliability", "dawid-skene", "anchored"):
        rows = [[1.0, 1.0], [None, 0.0], [0.0, 0.0], [None, None]]
        found = panel_verdicts(rows, method, [1.0, 1.0, 0.0, 0.0])
        assert [value is None for value in found.points] == [False, True, False, True]


def simulated(seed: int, rows: int = 600) -> tuple[list[list[float | None]], list[float]]:
    """Judges right 90, 85 and 60 times of a hundred, independently, and the truth."""
    draw = random.Random(seed)
    truth = [float(draw.random() < 0.5) for _ in range(rows)]
    return [[t if draw.random() < p else 1 - t for p in (0.9, 0.85, 0.6)] for t in truth], truth


def right(points: tuple[float | None, ...], truth: list[float]) -> float:
    return sum(p is not None and (p > 0.5) == (t > 0.5) for p, t in zip(points, truth, strict=True)) / len(truth)


def test_weights_follow_the_judges_worth_with_and_without_labels() -> None:
    rows, truth = simulated(1)
    plain = right(panel_verdicts(rows, "majority").points, truth)
    by_agreement = panel_verdicts(rows, "reliability")
    assert by_agreement.weights[0] > by_agreement.weights[1] > by_agreement.weights[2]
    labels = [value if at < 100 else None for at, value in enumerate(truth)]
    anchored = panel_verdicts(rows, "anchored", labels)
    assert anchored.weights[0] > anchored.weights[1] > anchored.weights[2]
    assert anchored.weights[2] == pytest.approx(math.log(0.6 / 0.4), abs=0.5)
    for method in ("anchored", "dawid-skene", "reliability"):
        assert right(panel_verdicts(rows, method, labels).points, truth) >= plain - 0.01


def test_no_label_has_a_say_in_the_verdict_on_its_own_question() -> None:
    rows, truth = simulated(2, 40)
    questions = [at // 2 for at in range(40)]
    before = panel_verdicts(rows, "anchored", truth, questions).points
    turned = [1 - value if at in (6, 7) else value for at, value in enumerate(truth)]
    after = panel_verdicts(rows, "anchored", turned, questions).points
    assert (before[6], before[7]) == (after[6], after[7])
    assert before != after


def test_judges_that_share_their_errors_are_worth_about_one() -> None:
    draw = random.Random(3)
    truth = [float(draw.random() < 0.5) for _ in range(400)]
    shared = [draw.random() < 0.3 for _ in truth]
    rows = [[1 - t if wrong else t] * 3 for t, wrong in zip(truth, shared, strict=True)]
    found = shared_errors(rows, truth)
    assert (found.correlation, found.effective_judges) == (pytest.approx(1), pytest.approx(1))
    alone = [[1 - t if draw.random() < 0.3 else t for _ in range(3)] for t in truth]
    assert shared_errors(alone, truth).effective_judges > 2.4
    assert shared_errors([[1.0, 0.0]], [None]).correlation is None


def test_what_judges_rightly_have_in_common_is_no_shared_error() -> None:
    draw = random.Random(4)
    truth = [draw.random() for _ in range(300)]
    rows = [[0.5 * t + 0.1 * draw.random() for _ in range(2)] for t in truth]
    assert abs(shared_errors(rows, truth).correlation) < 0.2


def test_agreement_gives_equal_weights_where_nobody_agrees() -> None:
    assert agreement_weights([[1.0, 0.0], [0.0, 1.0]]) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("rows", "method", "message"),
    [
        ([[1.0]], "mean", "at least two judges"),
        ([[1.0, 2.0]], "mean", r"points in \[0, 1\]"),
        ([[1.0, 0.0], [1.0]], "mean", "a place for each"),
        ([[1.0, 0.0]], "mode", "panel method 'mode'"),
        ([[1.0, 0.0]], "anchored", "labels on two questions or more, found 0"),
    ],
)
def test_what_cannot_be_meant_is_refused(rows: Any, method: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        panel_verdicts(rows, method)


# A run


def judged(path: Path, *, people: bool = True) -> Run:
    """Three judges in both orders on six items, one of which cannot be read once; people on four."""
    said = {"j": "AAABBT", "k": "AABBBA", "l": "BBAAAA"}
    verdicts = [
        pair(item, letter if (judge, item, swapped) != ("l", 0, True) else None, judge, swapped=swapped, rubric=RUBRIC)
        for judge, letters in said.items()
        for item, letter in enumerate(letters)
        for swapped in (False, True)
    ]
    verdicts += [pair(item, letter, "human@x") for item, letter in enumerate("AABB") if people]
    return run_of(path, verdicts, {"a": "one", "b": "two"})


def rate(run: Run, *more: str) -> tuple[Run, dict[str, Any]]:
    assert main(["rate", str(run.path), "--quiet", "--max-unscored", "1", *more]) == 0
    return Run(run.path), json.loads((run.path / "summary.json").read_text())


def test_a_panel_is_rated_beside_its_judges_from_stored_verdicts_alone(tmp_path: Path) -> None:
    _, summary = rate(judged(tmp_path / "run"), "--panel", "jury=j,k,l")
    rates = {(r["judge"], r["model"]): r["value"] for r in summary["ratings"] if r["method"] == "win-rate"}
    # by hand: a's mean points of the three judges on each item, the unread order of the first being the other two's
    by_item = [(2 / 3 + 1) / 2, 2 / 3, 2 / 3, 1 / 3, 1 / 3, 2.5 / 3]
    assert rates["panel@jury", "a"] == pytest.approx(sum(by_item) / 6)
    assert {judge for judge, _ in rates} == {"j", "k", "l", "panel@jury", "human@x"}
    (row,) = summary["panels"]
    assert row["accuracy"] == {"j": 0.75, "k": 1.0, "l": 0.0}
    assert (row["labels"], row["questions"]) == (8, 4)
    (line,) = [line for line in summary["warnings"] if line.startswith("panel@jury")]
    assert "by people's labels on 4 questions: accuracy j 0.75, k 1.00, l 0.00" in line
    assert "the majority is worse than the best judge alone" in line
    assert [row for row in summary["usage"] if row["name"].startswith("panel@")] == []


def test_a_panel_without_labels_says_what_is_not_known_of_it(tmp_path: Path) -> None:
    _, summary = rate(judged(tmp_path / "run", people=False), "--panel", "jury=j,k", "--panel-method", "majority")
    (line,) = [line for line in summary["warnings"] if line.startswith("panel@jury by pair (majority of")]
    assert "no label of people anchors it" in line
    assert "can be worse than its best judge" in line
    rows = [row for row in summary["verdicts"] if row["judge"] == "panel@jury"]
    assert rows[0]["reasons"] == {"undecided": 4}  # items 2 and 5 in both orders: win and loss, tie and win
    assert (rows[0]["planned"], rows[0]["scored"]) == (12, 8)


def test_a_panel_is_kept_and_made_anew_when_verdicts_come_in(tmp_path: Path) -> None:
    run, _ = rate(judged(tmp_path / "run"), "--panel", "jury=j,k")
    path = run.verdicts_file("panel@jury", "pair")
    before = path.read_bytes()
    rate(run)
    assert path.read_bytes() == before
    with path.open("ab") as file:
        file.write(b"{}\n")
    path.write_bytes(before[: len(before) // 2].rpartition(b"\n")[0] + b"\n")
    rate(run)
    assert path.read_bytes() == before
    _, summary = rate(run, "--panel", "jury=k,l", "--panel-method", "reliability")
    (row,) = summary["panels"]
    assert (row["judges"], row["method"]) == (["k", "l"], "reliability")


def test_meta_eval_holds_a_panel_against_people_as_any_judge(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, _ = rate(judged(tmp_path / "run"), "--panel", "jury=j,k,l", "--panel-method", "anchored")
    assert main(["meta-eval", str(run.path), "--judge", "panel@jury", "--draws", "50", "--json"]) == 0
    (card,) = json.loads(capsys.readouterr().out)
    assert card["judge"] == "panel@jury"
    assert card["model"]["id"] == "anchored of j, k, l"
    _, summary = rate(run)
    assert [row["card"] for row in summary["cards"] if row["judge"] == "panel@jury"] == [True]
    assert main(["report", str(run.path), "--quiet"]) == 0
    assert "panel@jury" in (run.path / "report.md").read_text()


def test_grades_are_averaged_on_their_scale_whatever_the_method(tmp_path: Path) -> None:
    verdicts = [
        grade(item, model, value, judge, rubric="grade@0")
        for judge, values in {"j": (2, 4), "k": (4, 5), "l": (None, 3)}.items()
        for item in range(3)
        for model, value in zip("ab", values, strict=True)
    ]
    run = run_of(tmp_path / "run", verdicts, {"a": "one", "b": "two"})
    run.manifest["rubrics"]["grade@0"]["mode"] = "pointwise"
    run.save_manifest()
    _, summary = rate(run, "--panel", "jury=j,k,l", "--panel-method", "majority")
    means = {r["model"]: r["value"] for r in summary["grades"] if r["judge"] == "panel@jury"}
    assert means == pytest.approx({"a": 3.0, "b": 4.0})


def test_grades_off_the_scale_are_averaged_as_they_are_and_counted(tmp_path: Path) -> None:
    verdicts = [
        grade(item, model, value, judge, rubric="grade@0")
        for judge, values in {"j": (9, 4), "k": (4, 5)}.items()
        for item in range(3)
        for model, value in zip("ab", values, strict=True)
    ]
    run = run_of(tmp_path / "run", verdicts, {"a": "one", "b": "two"})
    run.manifest["rubrics"]["grade@0"]["mode"] = "pointwise"
    run.save_manifest()
    _, summary = rate(run, "--panel", "jury=j,k")
    means = {r["model"]: r["value"] for r in summary["grades"] if r["judge"] == "panel@jury"}
    assert means == pytest.approx({"a": 6.5, "b": 4.5})
    said = "3 of 12 grades lie off the judge's own scale and are averaged as they are"
    assert summary["panels"][0]["note"] == said
    assert any(said in line for line in summary["warnings"])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--panel", "jury"], "is not NAME=JUDGE,JUDGE"),
        (["--panel", "jury=j"], "at least two judges, found j"),
        (["--panel", "jury=j,kk"], "no judge is called 'kk' here"),
        (["--panel", "jury=j,human@x"], "no judge is called 'human@x' here"),
        (["--panel-method", "mean"], "has no effect without --panel"),
    ],
)
def test_a_panel_that_cannot_be_is_refused_and_not_kept(tmp_path: Path, flags: list[str], message: str) -> None:
    run = judged(tmp_path / "run")
    with pytest.raises(UserError, match=message):
        main(["rate", str(run.path), "--quiet", *flags])
    assert "panels" not in Run(run.path).manifest


def test_an_anchored_panel_without_labels_and_one_without_a_shared_rubric_are_refused(tmp_path: Path) -> None:
    run = judged(tmp_path / "run", people=False)
    with pytest.raises(UserError, match="panel@jury: an anchored panel needs people's labels"):
        main(["rate", str(run.path), "--quiet", "--panel", "jury=j,k", "--panel-method", "anchored"])
    other = run_of(
        tmp_path / "other",
        [pair(1, "A", "j", rubric=RUBRIC), pair(1, "A", "k", rubric="else@0")],
        {"a": "one", "b": "two"},
    )
    with pytest.raises(UserError, match="judged by no rubric together"):
        main(["rate", str(other.path), "--quiet", "--panel", "jury=j,k"])
    assert "panels" not in Run(other.path).manifest


def test_log_likelihoods_of_different_models_are_never_pooled(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", [grade(1, "a", 2, judge, rubric="gpt@0") for judge in "jk"], {"a": "one"})
    run.manifest["rubrics"]["gpt@0"].update(mode="pointwise", judge="log-likelihood")
    run.save_manifest()
    with pytest.raises(UserError, match="no common unit and are never pooled"):
        main(["rate", str(run.path), "--quiet", "--panel", "jury=j,k"])
    with pytest.raises(UserError, match=r"j\+k: log-likelihoods of different models"):
        main(["meta-eval", str(run.path), "--judge", "j+k", "--against", "j", "--quiet"])
