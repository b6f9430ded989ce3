"""What people's labels are a sample of, and what is said where the run holds more than that."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from test_people_fits import _main
from test_web_annotate import PAIRS, labels_of, made

from judgebench.errors import RunConflict, UserError
from judgebench.ratings.active import active_estimate
from judgebench.ratings.ppi import ppi_mean
from judgebench.report.calibrated import calibrated_table
from judgebench.report.judged import groups
from judgebench.runs import Journal, Run
from judgebench.stages import compare, escalate, rate
from judgebench.stages.calibration import UNLABELLED, calibrate
from judgebench.stages.calibration_text import describe, lines, rows_of
from judgebench.stages.comparisons import Extras, compare_pairs
from judgebench.stages.label_plans import plan_for, population_of
from judgebench.stages.report import read_summary, report
from judgebench.types import Answer, Verdict

ITEMS = 40
THIRD = "secret-three"


def judged_later(run: Run, judges: str = "jk", first: int = 0) -> None:
    """A third model, which ``judges`` compare with the first."""
    run.manifest["models"][THIRD] = {"backend": "imported", "id": THIRD, "options": {}}
    run.save_manifest()
    with Journal(run.answers_file(THIRD)) as journal:
        for k in range(ITEMS):
            journal.append(Answer(suite="talk", item=str(k), model=THIRD, turns=(f"third {k}",), finish=("stop",)))
    for judge in judges:
        with Journal(run.verdicts_file(judge, "r")) as journal:
            for k in range(first, ITEMS):
                won = float(k % 5 > 0)
                journal.append(
                    Verdict(suite="talk", item=str(k), rubric=PAIRS, judge=judge, kind="preference",
                            shown=((THIRD, 0), ("secret-one", 0)), scores=(won, 1 - won))
                )  # fmt: skip


def labelled(path: Path, size: int = 20, **asked) -> Run:
    run = made(path, ITEMS)
    labels = labels_of(run, size=size, **asked)
    for number in range(size):
        labels.label(number, {"overall": "12"[number % 2]})
    return Run(path)


def test_a_random_sample_holds_only_for_what_it_was_drawn_from(tmp_path: Path) -> None:
    run = labelled(tmp_path / "r")
    before = compare_pairs([run], [("secret-one", "secret-two")], Extras(calibrate="human"))
    assert {model for each in calibrate(run, "human") for model in each.win_rates} == {"secret-one", "secret-two"}
    judged_later(run)
    run = Run(run.path)
    for declared in (False, True):
        with pytest.raises(
            UserError, match=f"{ITEMS} of {2 * ITEMS} things judged were not there when labels were dra"
        ):
            calibrate(run, "human", declared=declared)
    with pytest.raises(UserError, match="not there when labels were drawn"):
        _main(rate, run, "--calibrate", "human")
    with pytest.raises(UserError, match="not there when labels were drawn"):
        escalate.select(run, ("j",), "human", (0.8, 0.1))
    # The two that were there can still be compared; the third cannot, and the reason stands there.
    assert compare_pairs([run], [("secret-one", "secret-two")], Extras(calibrate="human")) == before
    with pytest.raises(UserError, match="not there when labels were drawn"):
        compare_pairs([run], [("secret-one", THIRD)], Extras(calibrate="human"))
    with pytest.raises(RunConflict, match="the run has changed"):
        plan_for(run, "human@ann", size=30)
    # Labels drawn now are of all of it.
    labels = labels_of(run, "bob", size=50)
    for number in range(50):
        labels.label(number, {"overall": "1"})
    assert {model for each in calibrate(Run(run.path), "human@bob") for model in each.win_rates} == {
        "secret-one", "secret-two", THIRD
    }  # fmt: skip
    with pytest.raises(UserError, match="human@ann"):
        calibrate(Run(run.path), "human")


def test_a_judge_of_more_than_was_drawn_from_is_refused_and_another_is_not(tmp_path: Path) -> None:
    run = labelled(tmp_path / "r")
    judged_later(run, "k")
    by_judge = {each.judge: each for each in calibrate(Run(run.path), "human")}
    assert by_judge["j"].win_rates
    assert (by_judge["k"].win_rates, by_judge["k"].ratings) == ({}, None)
    rows = [row for row in rows_of(by_judge.values()) if row["judge"] == "k"]
    assert {row["model"] for row in rows} == {"secret-one", "secret-two", THIRD}
    assert all(row["win_rate"] is None and "not there when labels" in row["note"] for row in rows)
    assert any(f"no calibrated figure of {THIRD}: {ITEMS} of" in line for line in lines(by_judge.values()))


def test_what_was_drawn_before_anything_was_judged_holds_for_a_part_of_it_that_is_judged(tmp_path: Path) -> None:
    run = made(tmp_path / "r", ITEMS)
    files = [run.verdicts_file(judge, "r") for judge in "jk"]
    held = [file.read_bytes() for file in files]
    for file in files:
        file.unlink()
    labels = labels_of(Run(run.path), size=20)
    for number in range(20):
        labels.label(number, {"overall": "1"})
    for file, said in zip(files, held, strict=True):
        file.write_bytes(b"".join(said.splitlines(keepends=True)[:30]))
    assert calibrate(Run(run.path), "human")[0].win_rates


def test_a_plan_that_only_counted_what_it_was_drawn_from_holds_while_the_count_does(tmp_path: Path) -> None:
    run = labelled(tmp_path / "r")
    file = run.path / "labelling" / "human@ann.json"
    plan = msgspec.json.decode(file.read_bytes())
    assert [len(pool["items"]) for pool in plan.pop("drawn_from")] == [ITEMS]
    file.write_bytes(msgspec.json.encode(plan))
    assert len(population_of(run, plan_for(run, "human@ann"))) == ITEMS
    assert calibrate(run, "human")
    judged_later(run)
    with pytest.raises(UserError, match=f"drawn from {ITEMS} things, and the run holds {2 * ITEMS}"):
        calibrate(Run(run.path), "human")


def test_a_model_that_nobody_labelled_has_no_calibrated_figure_and_does_not_move_the_others(tmp_path: Path) -> None:
    run = labelled(tmp_path / "r")
    before = {each.judge: each for each in calibrate(run, "human")}["j"]
    (run.path / "labelling" / "human@ann.json").unlink()  # as labels from elsewhere, said to be a random sample
    judged_later(run)
    run = Run(run.path)
    found = {each.judge: each for each in calibrate(run, "human")}["j"]
    assert set(found.win_rates) == set(found.ratings.elo) == {"secret-one", "secret-two"}
    assert found.ratings.elo == before.ratings.elo
    (row,) = [row for row in rows_of([found]) if row["model"] == THIRD]
    assert (row["win_rate"], row["elo"], row["labels"], row["verdicts"]) == (None, None, 0, ITEMS)
    assert row["note"] == UNLABELLED
    said = "\n".join(lines([found]))
    assert f"no calibrated figure of {THIRD}: {UNLABELLED}" in said
    assert f"Elo of {THIRD}" not in said
    pairs = compare_pairs([run], [("secret-one", "secret-two"), ("secret-one", THIRD)], Extras(calibrate="human"))
    (third,) = [each for each in pairs if THIRD in (each.left, each.right) and each.judge == "j"]
    assert third.calibrated is None
    assert third.note.endswith(f"not calibrated: {UNLABELLED}")
    assert _main(rate, run, "--calibrate", "human", "--max-unscored", "1") == 0
    summary = {**read_summary(run), "calibrated": msgspec.json.decode((run.path / "calibrated.json").read_bytes())}
    (group,) = [each for each in groups(summary) if each.judge == "j" and each.rubric]
    table = calibrated_table(summary, group)
    last = table.rows[-1]
    assert (last[1].text[: len(THIRD)], last[4].text) == (THIRD, "—")
    assert any(UNLABELLED in remark for remark in table.remarks)
    report(run, quiet=True)
    assert UNLABELLED in (run.path / "report.md").read_text(encoding="utf-8")


def test_a_share_is_never_shown_outside_0_to_1_and_the_figure_as_computed_stands_beside() -> None:
    human = [1.0, None, 1.0, 1.0, None, None]
    chances = [0.4, 0.5, 0.4, 0.6, 0.5, 0.5]
    odd = active_estimate([1.0] * 4 + [0.5] * 2, human, chances)
    assert odd.human_value > 1
    odd = msgspec.structs.replace(odd, value=1.1, low=0.063, high=2.137)
    said = describe(odd)
    assert said[0].startswith("people and judge: 1.000* [0.063, 1.000*],")
    assert any(line.startswith("* cut to what a share can be") and "1.100 [0.063, 2.137]" in line for line in said)
    assert "people alone: 1.000* [0.000*, 1.000*]" in said
    assert any(f"{odd.human_value:.3f} [{odd.human_low:.3f}, " in line for line in said if line.startswith("* "))
    difference = describe(odd, "+.3f", share=False)
    assert difference[0].startswith("people and judge: +1.100 [+0.063, +2.137]")
    assert not any("*" in line for line in difference)
    inside = ppi_mean([1.0, 0.0, 1.0, 0.0] * 10, [1.0, 0.0, 0.0, 0.0] * 10, [1.0, 0.0] * 50)
    assert not any("*" in line for line in describe(inside))


def test_the_report_cuts_a_share_with_a_remark_that_tells_it_whole(tmp_path: Path) -> None:
    run = labelled(tmp_path / "r")
    assert _main(rate, run, "--calibrate", "human", "--max-unscored", "1") == 0
    summary = {**read_summary(run), "calibrated": msgspec.json.decode((run.path / "calibrated.json").read_bytes())}
    for row in summary["calibrated"]:
        row |= {"win_rate": 1.1, "win_rate_low": 0.063, "win_rate_high": 2.137}
    (group,) = [each for each in groups(summary) if each.judge == "j" and each.rubric]
    table = calibrated_table(summary, group)
    assert table.rows[0][4].text.startswith("1.000 [0.063, 1.000]")
    assert table.rows[0][4].sort == 1.1
    assert any("1.100 [0.063, 2.137]" in remark for remark in table.remarks)


def test_the_judge_alone_is_of_all_verdicts_where_labels_were_drawn_with_chances(tmp_path: Path, capsys) -> None:
    run = made(tmp_path / "r", ITEMS)
    labels = labels_of(run, how="unsure", size=20)
    for number in range(len(labels.plan.tasks)):
        labels.label(number, {"overall": "12"[number % 2]})
    assert _main(compare, Run(run.path), "secret-one", "secret-two", "--calibrate", "human") == 0
    said = capsys.readouterr().out
    assert f"on all {ITEMS}, which allows for no bias" in said
    assert "without a label" not in said
    run = labelled(tmp_path / "s")
    assert _main(compare, run, "secret-one", "secret-two", "--calibrate", "human") == 0
    assert f"on the {ITEMS - 20} without a label" in capsys.readouterr().out
