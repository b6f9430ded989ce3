"""Comparing models of a run: many pairs, as good as, and people's labels beside a judge's verdicts."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

import judgebench
from judgebench.errors import UserError
from judgebench.ratings import bradley_terry
from judgebench.ratings.ranks import fit_ranks
from judgebench.report.markdown import render_markdown
from judgebench.report.places import ties_line
from judgebench.runs import Journal, Run
from judgebench.stages import compare as stage
from judgebench.stages import escalate, rate
from judgebench.stages.comparisons import Extras, compare_pairs
from judgebench.stages.games import games_of
from judgebench.stages.settings import Settings
from judgebench.stages.summary_fits import fit_rows
from judgebench.types import Answer, Game, Item, Verdict

STRENGTH = {"a": 0.75, "b": 0.5, "c": 0.45}
ITEMS = 240


def _run(folder: Path, *, labels: int = 60, sample: str = "random") -> Run:
    """Three models, a judge that likes 'c', and people on the first items, which were drawn at random."""
    run = Run(folder, create=True)
    run.manifest["suites"]["talk"] = {
        "version": "1", "about": "", "license": "", "scorer": "", "scorer_options": {}, "missing": [], "notes": [],
        "submission": "", "items": ITEMS, "available": ITEMS,
    }  # fmt: skip
    run.manifest["models"] = {name: {"backend": "imported", "id": name, "options": {}} for name in STRENGTH}
    entry = {"backend": "imported", "options": {}, "baseline": False}
    asked = {name: {"id": f"{name}@1", "orders": "one", "without_reference": {}} for name in ("r", "g")}
    run.manifest["judges"]["j"] = {**entry, "id": "j", "rubrics": asked}
    run.manifest["judges"]["human@ann"] = {**entry, "id": "human@ann", "rubrics": {}, "sample": sample}
    for name, mode, dimension in (("r@1", "pairwise", "overall"), ("g@1", "pointwise", "grade")):
        run.manifest["rubrics"][name] = {
            "name": name[0], "version": "1", "about": "", "mode": mode, "dimensions": {dimension: ""}, "scale": [0, 1],
            "prompt": "",
        }  # fmt: skip
    run.save_manifest()
    run.save_items("talk", [Item(id=str(k), turns=("?",), category="xy"[k % 2]) for k in range(ITEMS)])
    for name in STRENGTH:
        with Journal(run.answers_file(name)) as journal:
            for k in range(ITEMS):
                journal.append(Answer(suite="talk", item=str(k), model=name, turns=("x" * (5 + (k * ord(name)) % 17),)))
    files = {"j": ("r@1", "r"), "human@ann": ("", "")}
    for judge, (rubric, name) in files.items():
        random = np.random.default_rng(0)
        with Journal(run.verdicts_file(judge, name)) as journal:
            for item in range(ITEMS):
                for left, right in (("a", "b"), ("a", "c"), ("b", "c")):
                    luck, other, again = random.random(3)
                    chance = 0.5 + (STRENGTH[left] - STRENGTH[right])
                    if judge == "j":
                        chance, luck = chance - 0.25 * (right == "c"), luck if again < 0.8 else other
                    elif item >= labels:
                        continue
                    won = float(luck < chance)
                    journal.append(
                        Verdict(suite="talk", item=str(item), rubric=rubric, judge=judge, shown=((left, 0), (right, 0)),
                                kind="preference", scores=(won, 1 - won))
                    )  # fmt: skip
            for item in range(ITEMS):
                for model, level in STRENGTH.items():
                    score = float(random.random() < level)
                    if judge == "j":
                        journal.append(
                            Verdict(suite="talk", item=str(item), rubric="g@1", judge="j", dimension="grade",
                                    shown=((model, 0),), scores=(score,))
                        )  # fmt: skip
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return _run(tmp_path_factory.mktemp("runs") / "x")


def _found(run: Run, *pairs: tuple[str, str], **extras):
    found = compare_pairs([run], pairs or None, Extras(**extras))
    return {(each.left, each.right, each.judge, each.dimension): each for each in found}


def test_every_pair_is_compared_and_p_values_are_corrected_for_all_of_them(run: Run) -> None:
    found = _found(run)
    assert len(found) == 9
    for each in found.values():
        assert each.holm_p >= each.screened_p >= each.p_value
    assert found["a", "b", "j", "overall"].holm_p < 0.05
    assert compare_pairs([run], [("a", "b")])[0].value == found["a", "b", "j", "grade"].value


def test_a_comparison_the_other_way_round_says_the_opposite(run: Run) -> None:
    one, other = _found(run, ("a", "b")), _found(run, ("b", "a"))
    for judge, dimension in (("j", "overall"), ("j", "grade"), ("human@ann", "overall")):
        here, there = one["a", "b", judge, dimension], other["b", "a", judge, dimension]
        middle = 1 if here.method == "win rate" else 0
        assert here.value == pytest.approx(middle - there.value)
        assert here.p_value == pytest.approx(there.p_value)


def test_people_correct_a_judge_that_likes_one_model(run: Run) -> None:
    found = _found(run, ("a", "c"), calibrate="human")["a", "c", "j", "overall"].calibrated
    assert (found.n_human, found.n_judge) == (60, 180)
    assert not found.judge_low <= 0.8 <= found.judge_high
    assert found.low <= 0.8 <= found.high
    assert found.human_value == pytest.approx(_found(run, ("a", "c"))["a", "c", "human@ann", "overall"].value)


def test_labels_of_unknown_origin_are_refused_unless_declared(tmp_path: Path) -> None:
    run = _run(tmp_path / "x", sample="")
    with pytest.raises(UserError, match="--random-labels"):
        _found(run, ("a", "c"), calibrate="human")
    assert _found(run, ("a", "c"), calibrate="human@ann", random_labels=True)["a", "c", "j", "overall"].calibrated
    with pytest.raises(UserError, match="human@ann"):
        _found(run, ("a", "c"), calibrate="human@an")


def test_calibrating_by_nobody_is_refused(tmp_path: Path) -> None:
    run = _run(tmp_path / "x", labels=0)
    with pytest.raises(UserError, match="no labels of people"):
        _found(run, ("a", "c"), calibrate="human")


def test_as_good_as_needs_a_margin_and_enough_questions(run: Run) -> None:
    found = _found(run, ("b", "c"), margin=0.2)["b", "c", "j", "grade"]
    assert found.equivalence.margin == 0.2
    assert found.equivalence.equivalent is (found.equivalence.low > -0.2 and found.equivalence.high < 0.2)
    assert not _found(run, ("a", "b"), margin=0.05)["a", "b", "j", "grade"].equivalence.equivalent
    with pytest.raises(UserError, match="above 0"):
        _found(run, ("b", "c"), margin=0.0)


def test_a_margin_without_anything_to_test_by_is_said_and_not_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    same = {name: lambda chat: "The answer is 42" for name in "ab"}
    judgebench.run(tmp_path / "r", suite=["mini-math"], model=same)
    capsys.readouterr()
    assert _main(stage, Run(tmp_path / "r"), "a", "b", "--margin", "0.1") == 0
    said = capsys.readouterr().out
    assert "no test within 0.1: no variation between questions to test by" in said
    assert "as good as" not in said


def test_the_bootstrap_is_seeded_and_close_to_the_interval(run: Run) -> None:
    one = _found(run, ("a", "b"), bootstrap=500, seed=3)["a", "b", "j", "grade"]
    assert one.bootstrap == _found(run, ("a", "b"), bootstrap=500, seed=3)["a", "b", "j", "grade"].bootstrap
    assert (one.bootstrap.low, one.bootstrap.high) == pytest.approx((one.low, one.high), abs=0.03)
    assert "seed=3" in one.bootstrap.note


def _main(module, run: Run, *words: str) -> int:
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    return module.main(parser.parse_args([str(run.path), *words]))


def test_the_command_says_it_all_in_words(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert _main(stage, run, "a", "c", "--calibrate", "human", "--margin", "0.1", "--bootstrap", "200") == 0
    said = capsys.readouterr().out
    for words in (
        "people and judge: 0.",
        "judge alone: 0.",
        "people alone: 0.",
        "within 0.1:",
        "90 % of the win rate less 0.5: [",
        "B=200",
        "(Holm)",
    ):
        assert words in said
    assert _main(stage, run, "--all", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)) == 9
    assert _main(stage, run, "--pair", "a:b", "--pair", "b:c") == 0
    assert "win rate of b over c" in capsys.readouterr().out
    with pytest.raises(UserError, match="not A:B"):
        _main(stage, run, "--pair", "ab")


def test_rate_gives_calibrated_ratings_beside_and_refuses_before_it_rates(run: Run, tmp_path: Path, capsys) -> None:
    assert _main(rate, run, "--calibrate", "human") == 0
    assert "Elo of a by people and judge" in capsys.readouterr().out
    rows = {row["model"]: row for row in msgspec.json.decode((run.path / "calibrated.json").read_bytes())}
    assert set(rows) == {"a", "b", "c"}
    assert rows["c"]["judge_low"] > rows["c"]["win_rate"]
    assert rows["a"]["elo"] > rows["b"]["elo"]
    # The judge's taste is for a model and not for length: the joint model does not know it, and is told apart.
    assert rows["c"]["joint_p"] < 0.05
    assert rows["c"]["headline"] == "ppi"
    other = _run(tmp_path / "y", sample="")
    with pytest.raises(UserError, match="--random-labels"):
        _main(rate, other, "--calibrate", "human")
    assert not (other.path / "ratings.jsonl").exists()


def test_verdicts_that_may_stand_keep_their_promise_and_the_rest_goes_to_people(run: Run, capsys) -> None:
    found, out = escalate.select(run, (), "human", (0.5, 0.1))
    (each,) = found
    assert each.threshold.lower_bound >= 0.5
    assert each.kept + each.escalated == 3 * (ITEMS - 60)
    assert len(out) == each.escalated
    strict, everything = escalate.select(run, ("j",), "human@ann", (0.999, 0.05))
    assert strict[0].threshold.threshold is None
    assert len(everything) == 3 * (ITEMS - 60)
    assert _main(escalate, run, "--target", "0.999") == 0
    assert "no verdict may stand" in capsys.readouterr().out
    assert len((run.path / escalate.FILE).read_text().splitlines()) == 3 * (ITEMS - 60)
    with pytest.raises(UserError, match="no judge of pairs"):
        escalate.select(run, ("k",), "human", (0.9, 0.1))


def test_a_panel_stands_only_where_all_its_judges_agree(tmp_path: Path) -> None:
    run = _run(tmp_path / "x", labels=ITEMS // 2)
    random = np.random.default_rng(5)
    with Journal(run.verdicts_file("k", "r")) as journal:
        for each in list(run.verdicts(run.verdicts_file("j", "r")).values()):
            if len(each.shown) == 2:
                scores = each.scores if random.random() < 0.8 else each.scores[::-1]
                journal.append(msgspec.structs.replace(each, judge="k", scores=scores))
    run.manifest["judges"]["k"] = run.manifest["judges"]["j"]
    run.save_manifest()
    found, out = escalate.select(run, ("j", "k"), "human", (0.7, 0.1))
    assert found[0].threshold.threshold == 1.0
    assert out
    assert {each.confidence for each in out} == {0.0}
    with pytest.raises(UserError, match="name a --judge"):
        escalate.select(run, (), "human", (0.7, 0.1))


def test_a_promise_by_labels_of_unknown_origin_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--random-labels"):
        escalate.select(_run(tmp_path / "x", sample=""), (), "human", (0.9, 0.1))


def test_python_takes_what_the_command_line_takes(run: Run) -> None:
    every = judgebench.compare(run.path, margin=0.2, calibrate="human", bootstrap=200)
    assert every == compare_pairs([run], None, Extras(margin=0.2, calibrate="human", bootstrap=200))
    one = judgebench.compare(run.path, "a", "b", margin=0.2)
    assert one == compare_pairs([run], [("a", "b")], Extras(margin=0.2))
    assert judgebench.compare(run.path, pairs=[("a", "b"), ("a", "c")])[0].holm_p is not None
    for wrong in ({"a": "a"}, {"a": "a", "b": "b", "pairs": [("a", "c")]}):
        with pytest.raises(UserError, match="naming none"):
            judgebench.compare(run.path, **wrong)


def test_rate_keeps_places_that_hold_at_once_and_which_model_of_ties_fits(run: Run) -> None:
    summary = rate.rate(run, Settings())
    (row,) = [row for row in summary["fits"] if row["judge"] == "j"]
    places = {each["model"]: (each["best"], each["worst"]) for each in row["ranks"]}
    games = [game for game in games_of(run, run.verdicts().values())[0] if game.judge == "j"]
    sides = [[getattr(game, side) for game in games] for side in ("left", "right", "score", "item")]
    told = fit_ranks(bradley_terry.fit(*sides))
    assert places == {name: (rank.best, rank.worst) for name, rank in told.items()}
    assert row["ties"] is None
    assert "no game is a tie" in row["ties_note"]
    text = render_markdown(summary)
    assert "hold for all models at once" in text


def test_the_report_says_which_model_of_ties_is_the_likelier() -> None:
    games = [Game(suite="s", item=str(number), turn=1, judge="j", rubric="r", dimension="overall", left=left,
                  right=right, score=score) for number, (left, right, score) in enumerate(
             [("a", "b", 1.0), ("a", "b", 0.5), ("a", "b", 0.0), ("b", "c", 1.0), ("b", "c", 0.5), ("b", "c", 0.0),
              ("a", "c", 1.0), ("a", "c", 1.0), ("a", "c", 0.5), ("c", "a", 1.0)] * 4)]  # fmt: skip
    (row,) = fit_rows(games)
    assert row["ties"]["davidson"] < 0
    assert row["ties"]["better"] in ("davidson", "rao-kupper")
    assert ("Davidson" if row["ties"]["better"] == "davidson" else "Rao–Kupper") + " is the likelier" in ties_line(
        row["ties"]
    )
    (apart,) = fit_rows(games[:1])
    assert apart["ranks"] is None
    assert "separated" in apart["ranks_note"]
