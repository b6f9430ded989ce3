"""People's labels beside a judge: biases in the joint model, and labels drawn with known chances."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from scipy.special import expit

from judgebench.errors import RunConflict, UserError
from judgebench.ratings.active import active_estimate, augmented_mean, draw_labels, label_chances
from judgebench.ratings.active_ratings import active_bradley_terry
from judgebench.ratings.ppi_ratings import newton, ppi_bradley_terry
from judgebench.runs import Journal, Run
from judgebench.stages import calibration, calibration_text, compare, escalate, rate
from judgebench.stages.comparisons import Extras, compare_pairs
from judgebench.stages.label_plans import plan_for
from judgebench.stages.labels import Labels
from judgebench.types import Answer, Item, Verdict

ITEMS = 300
THETA = {"far": 0.5, "near": 0.0, "own": 0.3}
POSITION, OWN, LENGTH = 0.8, 0.9, 0.5
PAIRS = (("far", "near"), ("far", "own"), ("near", "own"))


def _run(folder: Path, *, own: bool = True, both: bool = True, share: float = 0.4, sample: str = "random") -> Run:
    """A judge that likes what is shown first, its own answers and long ones, and people on some of the items."""
    run = Run(folder, create=True)
    run.manifest["suites"]["talk"] = {
        "version": "1", "about": "", "license": "", "scorer": "", "scorer_options": {}, "missing": [], "notes": [],
        "submission": "", "items": ITEMS, "available": ITEMS,
    }  # fmt: skip
    ids = {"far": "acme/one", "near": "widget/two", "own": "judges/three"}
    run.manifest["models"] = {name: {"backend": "openai", "id": ids[name], "options": {}} for name in THETA}
    asked = {"r": {"id": "r@1", "orders": "both" if both else "one", "without_reference": {}}}
    entry = {"options": {}, "baseline": False}
    run.manifest["judges"]["j"] = {
        **entry, "backend": "openai", "id": "judges/three" if own else "else/four", "rubrics": asked
    }  # fmt: skip
    run.manifest["judges"]["human@ann"] = {**entry, "backend": "imported", "id": "human@ann", "rubrics": {}}
    if sample:
        run.manifest["judges"]["human@ann"]["sample"] = sample
    run.manifest["rubrics"]["r@1"] = {
        "name": "r", "version": "1", "about": "", "mode": "pairwise", "dimensions": {"overall": ""}, "scale": [0, 1],
        "prompt": "",
    }  # fmt: skip
    run.save_manifest()
    run.save_items("talk", [Item(id=str(k), turns=("?",)) for k in range(ITEMS)])
    random = np.random.default_rng(3)
    lengths = {(name, k): int(random.integers(20, 200)) for name in THETA for k in range(ITEMS)}
    for name in THETA:
        with Journal(run.answers_file(name)) as journal:
            for k in range(ITEMS):
                journal.append(Answer(suite="talk", item=str(k), model=name, turns=("x" * lengths[name, k],)))
    sd = np.std([lengths[a, k] - lengths[b, k] for a, b in PAIRS for k in range(ITEMS)])
    labelled = set(random.permutation(ITEMS)[: int(share * ITEMS)].tolist())
    with Journal(run.verdicts_file("j", "r")) as judge:
        for k in range(ITEMS):
            for pair in PAIRS:
                for first, second in (pair, pair[::-1]) if both else (pair,):
                    drift = THETA[first] - THETA[second] + POSITION + OWN * ((first == "own") - (second == "own"))
                    longer = LENGTH * (lengths[first, k] - lengths[second, k]) / sd
                    won = float(random.random() < expit(drift + longer))
                    judge.append(_verdict(k, "r@1", "j", first, second, won))
    people = {(k, pair): float(random.random() < _truth(*pair)) for k in range(ITEMS) for pair in PAIRS}
    _label(run, {key: won for key, won in people.items() if key[0] in labelled and sample})
    return run


def _truth(left: str, right: str) -> float:
    return float(expit(THETA[left] - THETA[right]))


def _verdict(item: int, rubric: str, judge: str, first: str, second: str, won: float) -> Verdict:
    return Verdict(suite="talk", item=str(item), rubric=rubric, judge=judge, shown=((first, 0), (second, 0)),
                   kind="preference", scores=(won, 1 - won))  # fmt: skip


def _label(run: Run, labels: dict[tuple[int, tuple[str, str]], float]) -> None:
    with Journal(run.verdicts_file("human@ann", "")) as journal:
        for (item, (left, right)), won in labels.items():
            journal.append(_verdict(item, "", "human@ann", left, right, won))


def _main(module, run: Run, *words: str) -> int:
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    return module.main(parser.parse_args([str(run.path), *words]))


def test_planted_tastes_for_place_length_and_itself_are_found_and_taken_out(tmp_path: Path, capsys) -> None:
    run = _run(tmp_path / "x")
    (found,) = calibration.calibrate(run, "human")
    effects = {each.name: each for each in found.effects}
    for name, planted in (("position", POSITION), ("own", OWN), ("length", LENGTH)):
        assert abs(effects[name].value - planted) < 3 * effects[name].se
        assert effects[name].value > 3 * effects[name].se
    # The judge alone puts its own model first; people, and the joint model, do not.
    assert found.joint.headline == "joint"
    assert max(found.ratings.judge_relative, key=found.ratings.judge_relative.get) == "own"
    gap = found.joint.relative["far"] - found.joint.relative["own"]
    assert abs(gap - 0.2) < 3 * max(found.joint.se_relative.values())
    assert _main(rate, run, "--calibrate", "human") == 0
    said = capsys.readouterr().out
    for words in ("what is shown first: +", "its own family's answers: +", "longer answers (one sd)", "PPI++"):
        assert words in said
    row = msgspec.json.decode((run.path / "calibrated.json").read_bytes())[0]
    assert set(row["joint_effects"]) == {"position", "own", "length"}
    assert row["method"] == "ppi"


def test_a_judge_without_kin_has_no_such_effect_and_the_output_says_why(tmp_path: Path, capsys) -> None:
    run = _run(tmp_path / "x", own=False)
    (found,) = calibration.calibrate(run, "human")
    effects = {each.name: each for each in found.effects}
    assert effects["own"].value is None
    assert "own family" in effects["own"].note
    assert found.joint.own is None
    # It still favours one model, which is no bias that the model knows: the test says so.
    assert found.joint.headline == "ppi"
    assert "not in it, no pair sets the judge's own family" in "\n".join(calibration_text.lines([found]))


def test_lengths_that_are_not_known_are_left_out_of_the_joint_model_with_the_reason(tmp_path: Path) -> None:
    run = _run(tmp_path / "x")
    for name in THETA:
        run.answers_file(name).unlink()
    (found,) = calibration.calibrate(run, "human")
    effects = {each.name: each for each in found.effects}
    assert "lengths never differ" in effects["length"].note
    assert effects["position"].value == pytest.approx(POSITION, abs=0.3)


def test_where_every_game_is_labelled_the_fit_is_people_alone_and_says_so(tmp_path: Path) -> None:
    run = _run(tmp_path / "x", share=1.0)
    (found,) = calibration.calibrate(run, "human")
    assert found.ratings.lam == 0.0
    assert "people alone" in found.ratings.note
    assert found.ratings.relative == pytest.approx(found.ratings.human_relative)
    assert any("people alone" in line for line in calibration_text.lines([found]))
    assert found.joint is None


def test_items_drawn_where_the_judge_is_unsure_calibrate_once_all_are_labelled(tmp_path: Path, capsys) -> None:
    run = _run(tmp_path / "x", sample="")
    with pytest.raises(UserError, match="human@NAME"):
        _main(escalate, run, "--active", "90")
    assert _main(escalate, run, "--active", "90", "--people", "human@ann", "--seed", "4") == 0
    rows = [json.loads(line) for line in (run.path / "active.jsonl").read_text().splitlines()]
    assert f"{len(rows)} items for human@ann" in capsys.readouterr().out
    run = Run(run.path)
    record = run.manifest["judges"]["human@ann"]
    assert record["sample"] == "active"
    chances = record["chances"]["talk"]
    assert len(chances) == ITEMS
    assert sum(chances.values()) == pytest.approx(90)
    assert min(chances.values()) >= 0.2 * 90 / ITEMS - 1e-9
    assert sorted(record["drawn"]["talk"]) == sorted(row["item"] for row in rows)
    assert all(row["chance"] == chances[row["item"]] for row in rows)
    assert {row["item"] for row in rows if row["doubt"] > 0.5} != set(chances)
    # The same draw again is the same; another is refused, as chances are fixed before labels.
    assert _main(escalate, run, "--active", "90", "--people", "human@ann", "--seed", "4") == 0
    with pytest.raises(RunConflict, match="from before"):
        _main(escalate, run, "--active", "50", "--people", "human@ann")

    random = np.random.default_rng(8)
    labels = {
        (int(row["item"]), pair): float(random.random() < _truth(*pair)) for row in rows for pair in PAIRS
    }  # fmt: skip
    _label(run, dict(list(labels.items())[:-3]))
    with pytest.raises(UserError, match=r"1 of .* items drawn for people lack a label"):
        calibration.calibrate(Run(run.path), "human")
    _label(run, dict(list(labels.items())[-3:]))
    (found,) = calibration.calibrate(Run(run.path), "human")
    for model, rate_ in found.win_rates.items():
        truth = np.mean([_truth(model, other) for other in THETA if other != model])
        assert rate_.method == "augmented"
        assert abs(rate_.value - truth) < 3 * rate_.se
    assert found.win_rates["own"].judge_low > np.mean([_truth("own", other) for other in ("far", "near")])
    gap, error = found.ratings.difference("far", "own")
    assert abs(gap - 0.2 * 400 / np.log(10)) < 3 * error
    assert found.joint is None
    assert "drawn at random" in found.note
    said = "\n".join(calibration_text.lines([found]))
    assert "augmented means (labels drawn with known chances)" in said
    assert _main(compare, run, "far", "own", "--calibrate", "human") == 0
    assert "augmented means" in capsys.readouterr().out
    with pytest.raises(UserError, match="not at random"):
        calibration.calibrate(Run(run.path), "human", declared=True)
    with pytest.raises(UserError, match="unequal chances"):
        _main(escalate, run, "--target", "0.8")


def test_labels_of_items_that_were_not_drawn_do_not_count_and_items_judged_later_are_refused(tmp_path: Path) -> None:
    run = _run(tmp_path / "x", sample="")
    drawn = {int(each.item) for each in escalate.ask(run, (), "human@ann", 60)}
    others = [item for item in range(ITEMS) if item not in drawn][:20]
    _label(run, {(item, pair): 1.0 for item in drawn for pair in PAIRS[:1]})
    before = compare_pairs([Run(run.path)], [("far", "near")], Extras(calibrate="human"))[-1].calibrated
    _label(run, {(item, pair): 0.0 for item in others for pair in PAIRS[:1]})
    found = compare_pairs([Run(run.path)], [("far", "near")], Extras(calibrate="human"))[-1]
    assert found.calibrated == before
    assert "20 labels of items that were not drawn" in found.note
    run = Run(run.path)
    del run.manifest["judges"]["human@ann"]["chances"]["talk"]["7"]
    with pytest.raises(UserError, match="were not there when labels were drawn"):
        compare_pairs([run], [("far", "near")], Extras(calibrate="human"))


def test_estimates_by_labels_of_known_chances_cover_the_truth() -> None:
    random = np.random.default_rng(12)
    questions, pairs, draws = 250, [("a", "b"), ("a", "c"), ("b", "c")], 250
    strength = {"a": 0.7, "b": 0.2, "c": -0.3}
    covered, rated, plain = 0, 0, 0
    # Where the judge is unsure, so are people: labels drawn there say less of who is better.
    shares = np.array([0.6 * expit(2 * (strength[left] - strength[right])) + 0.2 for left, right in pairs])
    truth = shares.mean()
    apart = newton(np.array([[-1.0, 0.0], [0.0, -1.0], [1.0, -1.0]]), np.ones(3), shares)
    for draw in range(draws):
        games, human, clusters, doubt = [], [], [], []
        for question in range(questions):
            mood = random.normal(0, 0.3)
            confidences = []
            for left, right in pairs:
                sure = random.random() < 0.6
                people = float(random.random() < (expit(2 * (strength[left] - strength[right])) if sure else 0.5))
                judge = people if sure and random.random() < 0.9 else float(np.clip(0.35 + 0.1 * mood, 0, 1))
                games.append((left, right, judge))
                human.append(people)
                clusters.append(question)
                confidences.append(abs(2 * judge - 1))
            doubt.append(1 - float(np.mean(confidences)))
        chances = label_chances(doubt, 60)
        taken = draw_labels(chances, draw)
        labels = [label if taken[question] else None for label, question in zip(human, clusters, strict=True)]
        each = [chances[question] for question in clusters]
        found = active_estimate([game[2] for game in games], labels, each, clusters=clusters)
        covered += found.low <= truth <= found.high
        ratings = active_bradley_terry(games, labels, each, clusters=clusters)
        gap, error = ratings.difference("a", "c")
        rated += abs(gap + 400 / np.log(10) * apart[1]) < 1.96 * error
        known = [label for label in labels if label is not None]
        plain += abs(np.mean(known) - truth) < 1.96 * np.std(known) / np.sqrt(len(known))
    assert plain < 0.9 * draws
    assert covered >= 0.91 * draws
    assert rated >= 0.91 * draws
    assert max(covered, rated) <= 0.985 * draws


def test_a_fit_by_equal_chances_of_one_is_that_of_people_and_its_judge_does_not_matter() -> None:
    games = [("a", "b", 1.0), ("a", "b", 0.0), ("b", "c", 0.5), ("c", "a", 1.0), ("a", "c", 0.0), ("b", "c", 0.0)] * 4
    human = [1.0, 0.0, 1.0, 0.0, 0.5, 0.5] * 4
    found = active_bradley_terry(games, human, [1.0] * len(games))
    people = ppi_bradley_terry([(*game[:2], label, game[2]) for game, label in zip(games, human, strict=True)], [])
    assert found.relative == pytest.approx(people.relative)
    assert found.se_relative == pytest.approx(people.se_relative, rel=0.05)
    assert people.lam == 0.0
    assert "people alone" in people.note
    half = active_estimate([0.2, 0.4, 0.9], [1.0, None, 0.5], [0.5, 0.5, 0.25])
    assert half.value == augmented_mean([0.2, 0.4, 0.9], [1.0, None, 0.5], [0.5, 0.5, 0.25]).value
    assert half.judge_value == pytest.approx(0.5)
    assert half.method == "augmented"


def test_annotating_asks_for_what_was_drawn_and_the_labels_calibrate(tmp_path: Path) -> None:
    run = _run(tmp_path / "x", sample="")
    drawn = {each.item for each in escalate.ask(run, (), "human@bob", 40, seed=2)}
    with pytest.raises(RunConflict, match="escalate --active"):
        plan_for(Run(run.path), "human@bob", how="random")
    run = Run(run.path)
    labels = Labels(run, plan_for(run, "human@bob"))
    assert {task.item for task in labels.plan.tasks} == drawn
    assert len(labels.plan.tasks) == len(PAIRS) * len(drawn)
    random = np.random.default_rng(1)
    for number, task in enumerate(labels.plan.tasks):
        (first, _), (second, _) = task.shown
        labels.label(number, {"overall": "1" if random.random() < _truth(first, second) else "2"})
    record = Run(run.path).manifest["judges"]["human@bob"]
    assert (record["sample"], set(record["drawn"]["talk"])) == ("active", drawn)
    assert len(record["chances"]["talk"]) == ITEMS
    (found,) = calibration.calibrate(Run(run.path), "human@bob")
    assert found.win_rates["own"].method == "augmented"
    assert found.win_rates["own"].n_human == 2 * len(drawn)
