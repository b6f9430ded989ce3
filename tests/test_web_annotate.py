"""People's labels: drawn, shown blind, written at once, undone, skipped, counted, carried through a spreadsheet."""

from __future__ import annotations

import csv
import http.client
import io
import json
import re
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from judgebench.cli import main
from judgebench.errors import RunConflict, UserError
from judgebench.files import write_atomic
from judgebench.report.cells import restored
from judgebench.report.markup import words
from judgebench.report.visible import visible
from judgebench.runs import Journal, Run
from judgebench.stages import escalate
from judgebench.stages.calibration import calibrate
from judgebench.stages.comparisons import Extras, compare_pairs
from judgebench.stages.games import games_of
from judgebench.stages.label_agreement import agreement
from judgebench.stages.label_csv import defused, export_csv, import_csv
from judgebench.stages.label_guides import guide_of
from judgebench.stages.label_plans import plan_for
from judgebench.stages.label_samples import SKIPPED
from judgebench.stages.label_verdicts import UNDONE
from judgebench.stages.labelling import annotator_name, doubt, draw
from judgebench.stages.labels import Labels
from judgebench.types import Answer, Item, Verdict

HOSTILE = "<script>document.title='owned'</script><img src=x onerror=alert(1)> \u202e\u200b\x1b[31m =1+1"
PAIRS = "r@0123456789ab"
GRADES = "g@0123456789ab"


def made(folder: Path, items: int = 12, *, mode: str = "pairwise", text: str = "answer") -> Run:
    """Two models called 'secret-one' and 'secret-two', judged by j and k."""
    run = Run(folder, create=True)
    models = ("secret-one", "secret-two")
    run.manifest["suites"]["talk"] = {
        "version": "1", "about": "", "license": "", "scorer": "", "scorer_options": {}, "missing": [], "notes": [],
        "submission": "", "items": items, "available": items,
    }  # fmt: skip
    run.manifest["models"] = {name: {"backend": "imported", "id": name, "options": {}} for name in models}
    rubric = PAIRS if mode == "pairwise" else GRADES
    run.manifest["rubrics"][rubric] = {
        "name": rubric[0], "version": "1", "about": "ours", "mode": mode, "prompt": "Judge {question}",
        "dimensions": {"overall": "all in all"} if mode == "pairwise" else {"depth": "how deep", "tone": "how kind"},
        "scale": [1, 6], "levels": {} if mode != "ordinal" else {1: "bad", 2: "poor", 3: "fair", 4: "good"},
    }  # fmt: skip
    for judge in "jk":
        run.manifest["judges"][judge] = {
            "backend": "imported", "id": judge, "options": {}, "baseline": False,
            "rubrics": {rubric[0]: {"id": rubric, "orders": "one", "without_reference": {}}},
        }  # fmt: skip
    run.save_manifest()
    run.save_items("talk", [Item(id=str(k), turns=(f"question {k}",)) for k in range(items)])
    for model in models:
        with Journal(run.answers_file(model)) as journal:
            for k in range(items):
                journal.append(
                    Answer(
                        suite="talk", item=str(k), model=model, turns=(f"{text} {k} {model[-3:]}",), finish=("stop",)
                    )
                )
    for judge in "jk":
        with Journal(run.verdicts_file(judge, rubric[0])) as journal:
            for k in range(items):
                if mode == "pairwise":
                    won = float(k % 3 > 0) if judge == "j" else float(k % 4 > 0)
                    journal.append(
                        Verdict(suite="talk", item=str(k), rubric=rubric, judge=judge, kind="preference",
                                shown=((models[0], 0), (models[1], 0)), scores=(won, 1 - won))
                    )  # fmt: skip
                    continue
                for model in models:
                    for dimension in ("depth", "tone"):
                        journal.append(
                            Verdict(suite="talk", item=str(k), rubric=rubric, judge=judge, dimension=dimension,
                                    shown=((model, 0),), scores=(1.0 + k % 4,), scale=(1.0, 6.0))
                        )  # fmt: skip
    return run


def labels_of(run: Run, name: str = "ann", **asked) -> Labels:
    return Labels(run, plan_for(run, f"human@{name}", **asked))


def test_a_random_sample_depends_on_its_seed_alone_and_a_larger_one_goes_on_where_it_ended(tmp_path: Path) -> None:
    run = made(tmp_path / "r")
    few = plan_for(run, "human@ann", size=5, seed=3)
    other = plan_for(run, "human@bob", size=5, seed=3)
    assert [task.item for task in few.tasks] == [task.item for task in other.tasks]
    assert {task.chance for task in few.tasks} == {5 / 12}
    more = plan_for(run, "human@ann", size=9)
    assert more.tasks[:5] == tuple(
        type(task)(**{**{f: getattr(task, f) for f in task.__struct_fields__}, "chance": 9 / 12}) for task in few.tasks
    )
    assert len({task.item for task in more.tasks}) == 9
    assert [t.item for t in plan_for(run, "human@eve", size=5, seed=4).tasks] != [t.item for t in few.tasks]


def test_sides_are_shuffled_and_differ_between_annotators(tmp_path: Path) -> None:
    run = made(tmp_path / "r", 40)
    ann, bob = plan_for(run, "human@ann", size=40), plan_for(run, "human@bob", size=40)
    first = [task.shown[0][0] for task in ann.tasks]
    assert 8 <= first.count("secret-one") <= 32
    assert first != [task.shown[0][0] for task in bob.tasks]


def test_a_plan_is_held_to_what_was_drawn_and_foreign_labels_are_not_mixed_in(tmp_path: Path) -> None:
    run = made(tmp_path / "r")
    plan_for(run, "human@ann", seed=1)
    with pytest.raises(RunConflict, match="--seed was 1 and is now 2"):
        plan_for(run, "human@ann", seed=2)
    with pytest.raises(RunConflict, match="--sample was random"):
        plan_for(run, "human@ann", how="disagree")
    with Journal(run.verdicts_file("human@old", "")) as journal:
        journal.append(Verdict(suite="talk", item="0", judge="human@old", shown=(("secret-one", 0),)))
    with pytest.raises(RunConflict, match="from elsewhere"):
        plan_for(run, "human@old")


def test_disagreement_comes_first_and_chances_of_the_unsure_are_kept(tmp_path: Path) -> None:
    run = made(tmp_path / "r", 24)
    guide = guide_of(run)
    apart = draw(run, guide, "human@ann", how="disagree")
    # j says 0 on multiples of 3, k on multiples of 4: they differ on multiples of exactly one of the two.
    assert {int(task.item) for task in apart.tasks} == {k for k in range(24) if (k % 3 == 0) != (k % 4 == 0)}
    assert all(task.chance is None for task in apart.tasks)
    unsure = draw(run, guide, "human@ann", how="unsure", size=12, seed=5)
    assert all(task.chance is not None and 0 < task.chance <= 1 for task in unsure.tasks)
    chance = {int(task.item): task.chance for task in unsure.tasks}
    agreed = [value for k, value in chance.items() if (k % 3 == 0) == (k % 4 == 0)]
    doubted = [value for k, value in chance.items() if (k % 3 == 0) != (k % 4 == 0)]
    assert agreed
    assert doubted
    assert max(agreed) < min(doubted)
    assert doubt([]) == 0.0


def test_a_label_is_a_verdict_on_disk_with_the_order_shown_and_the_manifest_says_it_is_random(tmp_path: Path) -> None:
    run = made(tmp_path / "r")
    labels = labels_of(run, size=4, seed=2)
    assert "human@ann" not in Run(run.path).manifest["judges"]
    labels.label(0, {"overall": "1"})
    (verdict,) = Run(run.path).verdicts(labels.file).values()
    assert (verdict.judge, verdict.shown, verdict.scores) == ("human@ann", labels.plan.tasks[0].shown, (1.0, 0.0))
    assert verdict.kind == "preference"
    assert verdict.seen
    entry = Run(run.path).manifest["judges"]["human@ann"]
    assert entry["sample"] == "random"
    assert entry["labelling"] == {"seed": 2, "rubric": PAIRS, "tasks": 4, "population": 12}


def test_undo_skip_and_going_on_after_a_restart(tmp_path: Path) -> None:
    run = made(tmp_path / "r")
    labels = labels_of(run, size=4)
    for number, code in enumerate("123"):
        labels.label(number, {"overall": code})
    labels.skip(3, "cannot  tell")
    again = labels_of(Run(run.path))
    assert again.counts() == (3, 1, 4)
    assert again.skip_reason(3) == "cannot tell"
    assert [again.undo(), again.undo()] == [3, 2]
    assert again.counts() == (2, 0, 4)
    assert again.next_open() == 2
    last = labels_of(Run(run.path))
    assert last.history == [0, 1]
    assert last.state(2) == "new"
    errors = [verdict.error for verdict in run.verdicts(last.file).values()]
    assert errors == ["", "", UNDONE, UNDONE]
    with pytest.raises(UserError, match="reason"):
        last.skip(2, "  ")
    last.skip(2, "x")
    assert run.verdicts(last.file)[last._said[2, "overall"].key].error == f"{SKIPPED}x"


def test_two_windows_do_not_overwrite_one_another(tmp_path: Path) -> None:
    labels = labels_of(made(tmp_path / "r"))
    labels.label(0, {"overall": "1"}, was="new")
    with pytest.raises(RunConflict, match="another window"):
        labels.label(0, {"overall": "2"}, was="new")
    assert labels.given(0) == {"overall": "1"}
    labels.label(0, {"overall": "2"}, was=labels.state(0))
    assert labels.given(0) == {"overall": "2"}


def test_an_undo_takes_back_only_what_its_window_saw(tmp_path: Path) -> None:
    run = made(tmp_path / "r")
    one, two = labels_of(run), labels_of(Run(run.path))
    one.label(0, {"overall": "1"}, was="new")
    seen = one.last()
    two.refresh()
    two.label(1, {"overall": "2"}, was="new")
    with pytest.raises(RunConflict, match="nothing was undone"):
        one.undo(was=seen)
    assert labels_of(Run(run.path)).counts().labelled == 2
    assert one.undo(was=one.last()) == 1
    one.label(0, {"overall": "3"}, was=one.state(0))  # the same task, another label
    with pytest.raises(RunConflict, match="nothing was undone"):
        one.undo(was=seen)
    assert one.undo(was=one.last()) == 0
    assert one.last() == ""
    assert one.undo(was="") is None
    with pytest.raises(RunConflict, match="nothing was undone"):
        one.undo(was=seen)


def test_a_reason_that_is_too_long_is_refused_and_one_spaced_otherwise_is_not_written_twice(tmp_path: Path) -> None:
    labels = labels_of(made(tmp_path / "r", 4))
    with pytest.raises(UserError, match="at most 500 characters, this one has 501"):
        labels.skip(0, "x" * 501)
    labels.skip(0, "x " * 249 + "yz")
    table = tmp_path / "a.csv"
    export_csv(labels, table)
    before = labels.file.read_bytes()
    write_atomic(table, table.read_text("utf-8-sig").replace("x x x x", "x  x x x", 1).encode())
    assert import_csv(labels, table) == (0, 1, 3)
    assert labels.file.read_bytes() == before
    write_atomic(table, table.read_text("utf-8-sig").replace("x x", f"{'x' * 300} x", 1).encode())
    with pytest.raises(UserError, match="row 2: a reason has at most 500 characters"):
        import_csv(labels, table)
    assert labels.file.read_bytes() == before


@pytest.mark.parametrize("name", [".", "..", ".hidden", "human@..", "a/b", "a\\b", ""])
def test_an_annotators_name_is_a_safe_part_of_an_address(name: str) -> None:
    with pytest.raises(UserError, match="--as"):
        annotator_name(name)


def test_grades_need_a_label_on_every_dimension_and_ordinal_ones_are_letters_from_the_best(tmp_path: Path) -> None:
    grades = labels_of(made(tmp_path / "g", mode="pointwise"))
    assert [choice.code for choice in grades.plan.guide.choices] == list("123456")
    with pytest.raises(UserError, match="tone: no label"):
        grades.label(0, {"depth": "3"})
    with pytest.raises(UserError, match="'7' is no label"):
        grades.label(0, {"depth": "3", "tone": "7"})
    grades.label(0, {"depth": "3", "tone": "6.0"})
    assert {v.dimension: v.scores for v in grades.run.verdicts(grades.file).values()} == {
        "depth": (3.0,),
        "tone": (6.0,),
    }
    ordinal = labels_of(made(tmp_path / "o", mode="ordinal"))
    assert next((c.code, c.scores, c.means) for c in ordinal.plan.guide.choices) == ("A", (4.0,), "good")
    assert ordinal.plan.guide.scale == (1.0, 4.0)


def test_agreement_of_two_annotators_does_not_depend_on_the_sides_they_saw(tmp_path: Path) -> None:
    run = made(tmp_path / "r", 30)
    both = [labels_of(run, name, size=30) for name in ("ann", "bob")]
    for labels in both:
        for number, task in enumerate(labels.plan.tasks):
            one_first = task.shown[0][0] == "secret-one"
            likes_one = int(task.item) % 2 == 0
            labels.label(number, {"overall": "1" if one_first == likes_one else "2"})
    (found,) = agreement(both)
    assert (found.dimension, found.units, found.same) == ("overall", 30, 1.0)
    assert found.value == pytest.approx(1.0)
    assert "nominal" in found.coefficient
    for number in range(6):
        both[0].label(number, {"overall": "3"})
    (found,) = agreement(both)
    assert found.same == pytest.approx(24 / 30)
    assert found.low < found.value < found.high < 1
    assert f"{found.value:.2f} (95 % from {found.low:.2f} to" in found.said


def test_cells_that_a_spreadsheet_would_run_are_defused(tmp_path: Path) -> None:
    assert [defused(text)[0] for text in ("=1", "+1", "-1", "@x", "\t=1", "  =1", "|x", "plain")] == [*"'''''''", "p"]
    run = made(tmp_path / "r", 3, text='=HYPERLINK("http://x")')
    labels = labels_of(run)
    assert export_csv(labels, tmp_path / "out.csv") == 3
    text = (tmp_path / "out.csv").read_text("utf-8-sig")
    assert "secret" not in text
    for row in csv.DictReader(text.splitlines()):
        assert row["answer_1"].startswith("'=HYPERLINK")


def test_what_is_defused_is_restored_and_a_reason_of_any_form_comes_back_as_it_was(tmp_path: Path) -> None:
    reasons = ["=1+1", "'=1", "''=1", "'tis hard", "-", " @x", "＝1", "plain", "a,b;c", 'say "no"', "|calc", "x\u200by"]
    for reason in reasons:
        cell = defused(reason)
        assert not cell.lstrip(" ").startswith(("=", "+", "-", "@", "|", "＝"))
        assert restored(cell) == visible(reason)
    run = made(tmp_path / "r")
    labels = labels_of(run)
    for number, reason in enumerate(reasons):
        labels.skip(number, reason)
    export_csv(labels, tmp_path / "a.csv")
    size = labels.file.stat().st_size
    assert import_csv(labels, tmp_path / "a.csv") == (0, 12, 0)
    assert labels.file.stat().st_size == size
    other = labels_of(made(tmp_path / "s"))
    assert import_csv(other, tmp_path / "a.csv") == (0, 12, 0)
    assert [other.skip_reason(number) for number in range(12)] == [" ".join(each.split()) for each in reasons]


def test_a_csv_comes_back_in_any_order_with_semicolons_and_is_refused_whole_where_a_row_is_wrong(
    tmp_path: Path,
) -> None:
    run = made(tmp_path / "r", 6)
    labels = labels_of(run)
    export_csv(labels, tmp_path / "out.csv")
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text("utf-8-sig").splitlines()))
    rows[0]["label: overall"], rows[1]["label: overall"], rows[2]["skip_because"] = "1", "3.0", "no idea"

    def back(changed: list[dict[str, str]]) -> Path:
        with (tmp_path / "in.csv").open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), delimiter=";")
            writer.writeheader()
            writer.writerows(changed)
        return tmp_path / "in.csv"

    with pytest.raises(UserError, match="row 7: overall: 'x' is no label"):
        import_csv(labels, back([*rows[:5], {**rows[5], "label: overall": "x"}]))
    with pytest.raises(UserError, match="other answers"):
        import_csv(labels, back([{**rows[0], "check": rows[1]["check"]}]))
    with pytest.raises(UserError, match="other answers"):
        import_csv(labels_of(run, "bob"), back(rows))
    assert labels.counts() == (0, 0, 6)
    assert not labels.file.exists()
    assert import_csv(labels, back(rows[::-1])) == (2, 1, 3)
    size = labels.file.stat().st_size
    assert import_csv(labels, back(rows)) == (2, 1, 3)
    assert labels.file.stat().st_size == size
    assert labels.given(1) == {"overall": "3"}
    assert labels.skip_reason(2) == "no idea"


@pytest.mark.data
def test_a_hundred_of_pandalms_labels_by_spreadsheet_calibrate_its_judge_and_cover_the_truth(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, run, sheet = data_dir / "pandalm" / "data", str(tmp_path / "run"), tmp_path / "sheet.csv"
    files = [str(folder / name) for name in ("testset-v1.json.gz", "pandalm-7b-testset-v1.json")]
    assert main(["import", "pandalm", *files, run, "--quiet"]) == 0
    asked = ["annotate", run, "--as", "ann", "--labels", "100", "--seed", "1"]
    assert main([*asked, "--export-csv", str(sheet)]) == 0
    said = {}
    for verdict in Run(Path(run)).verdicts().values():
        if verdict.judge == "human@annotator1":
            for shown, scores in ((verdict.shown, verdict.scores), (verdict.shown[::-1], verdict.scores[::-1])):
                said[verdict.item, shown] = {(1.0, 0.0): "1", (0.0, 1.0): "2", (0.5, 0.5): "3"}[scores]
    rows = list(csv.DictReader(io.StringIO(sheet.read_text("utf-8-sig"), newline="")))
    assert len(rows) == 100
    for row, task in zip(rows, plan_for(Run(Path(run)), "human@ann").tasks, strict=True):
        row["label: overall"] = said[task.item, task.shown]
    with sheet.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    assert main(["annotate", run, "--as", "ann", "--import-csv", str(sheet)]) == 0
    capsys.readouterr()
    assert main(["compare", run, "--all", "--calibrate", "human@ann", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    truth = {(row["left"], row["right"]): row["value"] for row in found if row["judge"] == "human@annotator1"}
    rows = [row for row in found if row["calibrated"]]
    covered = [
        row["calibrated"]["low"] <= truth[row["left"], row["right"]] <= row["calibrated"]["high"] for row in rows
    ]
    assert sum(row["calibrated"]["n_human"] for row in rows) == 100
    assert (len(covered), sum(covered)) >= (10, 9)  # a pair has about ten labels
    shares = defaultdict(list)
    held = Run(Path(run))
    for game in games_of(held, held.verdicts().values())[0]:
        if game.judge == "human@annotator1":
            shares[game.left].append(game.score)
            shares[game.right].append(1 - game.score)
    (found,) = calibrate(held, "human@ann")
    assert set(found.win_rates) == set(shares)
    for model, rate in found.win_rates.items():
        assert rate.low <= sum(shares[model]) / len(shares[model]) <= rate.high


@pytest.mark.data
def test_nineteen_of_twenty_intervals_by_a_hundred_labels_cover_what_all_labels_say(
    data_dir: Path, tmp_path: Path
) -> None:
    """O23's estimate on PandaLM's 999 labels: draws of 100, each through a spreadsheet, for each of five models."""
    folder, run = data_dir / "pandalm" / "data", Run(tmp_path / "run", create=True)
    files = [str(folder / name) for name in ("testset-v1.json.gz", "pandalm-7b-testset-v1.json")]
    assert main(["import", "pandalm", *files, str(run.path), "--quiet"]) == 0
    run, sheet = Run(run.path), tmp_path / "sheet.csv"
    said, shares = {}, defaultdict(list)
    for verdict in run.verdicts().values():
        if verdict.judge == "human@annotator1":
            for shown, scores in ((verdict.shown, verdict.scores), (verdict.shown[::-1], verdict.scores[::-1])):
                said[verdict.item, shown] = {(1.0, 0.0): "1", (0.0, 1.0): "2", (0.5, 0.5): "3"}[scores]
                shares[shown[0][0]].append(scores[0])
    covered, by_judge, by_people, widths = [], [], [], []
    for seed in range(10):
        labels = labels_of(run, f"s{seed}", size=100, seed=seed)
        export_csv(labels, sheet)
        rows = list(csv.DictReader(io.StringIO(sheet.read_text("utf-8-sig"), newline="")))
        for row, task in zip(rows, labels.plan.tasks, strict=True):
            row["label: overall"] = said[task.item, task.shown]
        with sheet.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        assert import_csv(labels, sheet) == (100, 0, 0)
        (found,) = calibrate(Run(run.path), f"human@s{seed}")
        for model, rate in found.win_rates.items():
            truth = sum(shares[model]) / len(shares[model])
            covered.append(rate.low <= truth <= rate.high)
            by_judge.append(rate.judge_low <= truth <= rate.judge_high)
            by_people.append(rate.human_low <= truth <= rate.human_high)
            widths.append((rate.high - rate.low) / (rate.human_high - rate.human_low))
    assert len(covered) == 50
    assert sum(covered) / 50 >= 0.93
    assert sum(by_people) / 50 >= 0.93
    assert sum(by_judge) < sum(covered)  # the judge alone is narrower, and wrong more often
    assert sum(widths) / 50 < 1  # and beside it the people's labels say more than alone


@pytest.mark.data
def test_labels_drawn_with_chances_calibrate_by_them_empty_answers_that_were_judged_included(
    data_dir: Path, tmp_path: Path
) -> None:
    folder, path = data_dir / "pandalm" / "data", tmp_path / "run"
    names = ("testset-v1.json.gz", "pandalm-7b-testset-v1.json")
    assert main(["import", "pandalm", *(str(folder / name) for name in names), str(path), "--quiet"]) == 0
    run, said, shares = Run(path), {}, defaultdict(list)
    for verdict in run.verdicts().values():
        if verdict.judge == "human@annotator1":
            for shown, scores in ((verdict.shown, verdict.scores), (verdict.shown[::-1], verdict.scores[::-1])):
                said[verdict.item, shown] = {(1.0, 0.0): "1", (0.0, 1.0): "2", (0.5, 0.5): "3"}[scores]
                shares[shown[0][0]].append(scores[0])
    covered = []
    for seed in range(6):
        labels = labels_of(run, f"u{seed}", how="unsure", size=150, seed=seed)
        assert labels.plan.population == 999
        labels.take({n: {"overall": said[task.item, task.shown]} for n, task in enumerate(labels.plan.tasks)}, {})
        for found in calibrate(Run(path), f"human@u{seed}"):
            for model, rate in found.win_rates.items():
                covered.append(rate.low <= sum(shares[model]) / len(shares[model]) <= rate.high)
                assert rate.method == "augmented"
    assert len(covered) == 6 * 5
    assert sum(covered) / len(covered) >= 0.9


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Run, str]]:
    run = made(tmp_path / "r", text=HOSTILE)
    process, url = start(run)
    yield run, url
    process.send_signal(signal.SIGINT)
    process.wait(20)
    process.stdout.close()


def start(
    run: Run, *more: str, command: str = "annotate", folder: Path | None = None
) -> tuple[subprocess.Popen[str], str]:
    """The command in a process of its own, and the first address that it prints."""
    names = [] if more or command != "annotate" else ["--as", "ann", "--as", "bob", "--labels", "10"]
    process = subprocess.Popen(
        [sys.executable, "-m", "judgebench", command, str(folder or run.path), *names, *more],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    return process, process.stdout.readline().strip()


def ask(url: str, method: str = "GET", body: dict[str, str] | None = None, **headers: str) -> tuple[int, str, dict]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection("127.0.0.1", parts.port, timeout=20)
    sent = {"Host": parts.netloc, **({"Origin": f"http://{parts.netloc}"} if method == "POST" else {})}
    sent.update({name.replace("_", "-"): value for name, value in headers.items()})
    sent = {name: value for name, value in sent.items() if value}
    try:
        connection.request(method, parts.path, urlencode(body) if body else None, sent)
        reply = connection.getresponse()
        return reply.status, reply.read().decode(), {k.lower(): v for k, v in reply.getheaders()}
    finally:
        connection.close()


def test_the_page_is_blind_escapes_what_models_wrote_and_saves_before_it_says_so(served: tuple[Run, str]) -> None:
    run, url = served
    status, text, headers = ask(f"{url}ann/1")
    assert status == 200
    assert "secret" not in text
    assert words(HOSTILE) in text
    assert "<script>document" not in text
    assert "<img" not in text
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    state = re.search(r'name="was" value="([^"]*)"', text)[1]
    fields = {"label:overall": "2", "was": state}
    status, text, headers = ask(f"{url}ann/1", "POST", fields)
    assert (status, urlsplit(headers["location"]).path.rpartition("/")[2]) == (303, "2")
    (verdict,) = run.verdicts(run.verdicts_file("human@ann", "")).values()
    assert verdict.scores == (0.0, 1.0)
    status, text, _ = ask(f"{url}ann/1", "POST", fields, Accept="application/json")
    assert status == 409
    assert "not saved" in text
    assert ask(f"{url}bob/1", "POST", {"label:overall": "9"})[0] == 409
    assert not run.verdicts_file("human@bob", "").exists()
    last = re.search(r'name="last" value="([^"]*)"', ask(f"{url}ann/2")[1])[1]
    assert ask(f"{url}ann/2", "POST", {"label:overall": "1", "was": "new"})[0] == 303
    status, text, _ = ask(f"{url}ann/undo", "POST", {"last": last}, Accept="application/json")
    assert (status, "nothing was undone" in text) == (409, True)
    assert "2 labelled" in ask(f"{url}ann/1")[1]
    for _ in range(2):
        last = re.search(r'name="last" value="([^"]*)"', ask(f"{url}ann/2")[1])[1]
        assert ask(f"{url}ann/undo", "POST", {"last": last})[0] == 303
    assert "0 labelled" in ask(f"{url}ann/1")[1]
    assert "10 of 10 tasks are open" in ask(f"{url}ann/done")[1]
    assert ask(f"{url}ann/3", "POST", {"skip": "1", "other": "too hard"})[0] == 303
    overview = ask(f"{url}ann/done")[1]
    assert "9 of 10 tasks are open" in overview
    assert "skipped: too hard" in overview
    assert "no random sample any more" in overview
    assert ask(f"{url}ann/99")[0] == 404
    assert ask(f"{url}eve/")[0] == 404


def test_another_host_another_origin_no_origin_and_a_wrong_token_are_refused(served: tuple[Run, str]) -> None:
    run, url = served
    good = {"label:overall": "1"}
    assert ask(url, Host="evil.example")[0] == 403
    assert ask(url, Host=f"evil.example:{urlsplit(url).port}")[0] == 403
    assert ask(f"{url}ann/1", "POST", good, Origin="http://evil.example")[0] == 403
    assert ask(f"{url}ann/1", "POST", good, Origin="null")[0] == 403
    assert ask(f"{url}ann/1", "POST", good, Origin="")[0] == 403
    parts = urlsplit(url)
    assert ask(f"http://{parts.netloc}/wrong/ann/1")[0] == 403
    assert ask(f"http://{parts.netloc}/")[0] == 403
    assert ask(f"{url}ann/1", "POST", {"label:overall": "1" * 100_000})[0] == 403
    assert not run.verdicts_file("human@ann", "").exists()


def test_what_was_saved_is_there_after_the_server_is_killed(tmp_path: Path) -> None:
    run = made(tmp_path / "r")
    process, url = start(run, "--as", "ann")
    base = url.rpartition("ann/")[0]
    assert ask(f"{base}ann/1", "POST", {"label:overall": "3"})[0] == 303
    process.kill()
    process.wait(20)
    process.stdout.close()
    with pytest.raises(ConnectionError):
        ask(f"{base}ann/2", "POST", {"label:overall": "3"})
    assert labels_of(Run(run.path)).counts().labelled == 1


def test_labels_calibrate_at_once_those_drawn_by_doubt_keep_every_chance_and_picked_ones_are_refused(
    tmp_path: Path,
) -> None:
    run = made(tmp_path / "r", 60)
    labels = labels_of(run, size=30)
    for number in range(30):
        labels.label(number, {"overall": "1"})
    found = {each.judge: each for each in calibrate(Run(run.path), "human")}
    assert set(found) == {"j", "k"}
    assert found["j"].win_rates["secret-one"].n_human == 30
    assert "skipped" not in found["j"].note
    for number in (3, 7):
        labels.skip(number, "cannot tell")
    (found, _) = calibrate(Run(run.path), "human@ann")
    assert found.win_rates["secret-one"].n_human == 28
    assert found.note.startswith("2 of the sample were skipped")
    other = made(tmp_path / "s", 60)
    picked = labels_of(other, how="disagree", size=20)
    for number in range(len(picked.plan.tasks)):
        picked.label(number, {"overall": "2"})
    for declared in (False, True):
        with pytest.raises(UserError, match="manifest records --sample disagree") as refusal:
            calibrate(Run(other.path), "human", declared=declared)
        assert "--random-labels" not in str(refusal.value)
        with pytest.raises(UserError, match="manifest records --sample disagree"):
            compare_pairs([Run(other.path)], None, Extras(calibrate="human", random_labels=declared))
        with pytest.raises(UserError, match="manifest records --sample disagree"):
            escalate.select(Run(other.path), ("j",), "human", (0.8, 0.1), declared=declared)
    third = made(tmp_path / "t", 60)
    unsure = labels_of(third, how="unsure", size=20)
    unsure.label(0, {"overall": "2"})
    entry = Run(third.path).manifest["judges"]["human@ann"]
    assert entry["sample"] == "active"
    assert len(entry["chances"]["talk"]) == 60
    assert sum(entry["chances"]["talk"].values()) == pytest.approx(20)
    assert sorted(entry["drawn"]["talk"]) == sorted({task.item for task in unsure.plan.tasks})


def test_the_command_moves_labels_through_files_and_prints_agreement(tmp_path: Path, capsys) -> None:
    run = made(tmp_path / "r", 4)
    assert main(["annotate", str(run.path), "--as", "ann", "--export-csv", str(tmp_path / "a.csv")]) == 0
    rows = (tmp_path / "a.csv").read_text("utf-8-sig")
    write_atomic(tmp_path / "b.csv", re.sub(r",,(\r?\n)", r",1,\1", rows))
    assert main(["annotate", str(run.path), "--as", "ann", "--import-csv", str(tmp_path / "b.csv")]) == 0
    fewer = ["annotate", str(run.path), "--as", "ann", "--labels", "2", "--export-csv", str(tmp_path / "d.csv")]
    assert main(fewer) == 0
    said = capsys.readouterr()
    assert "note: ann keeps the 4 tasks drawn before" in said.err
    assert "4 labelled, 0 skipped, 0 rows left empty" in said.out
    plan_for(run, "human@bob")
    assert main(["annotate", str(run.path), "--agreement"]) == 0
    with pytest.raises(UserError, match="--as"):
        main(["annotate", str(run.path), "--export-csv", str(tmp_path / "c.csv")])
    with pytest.raises(UserError, match="letters"):
        main(["annotate", str(run.path), "--as", "a b"])


def test_agreement_for_machines_is_one_document_of_the_same_figures_and_nothing_else(tmp_path: Path, capsys) -> None:
    run = made(tmp_path / "r", 30, mode="pointwise")
    both = [labels_of(run, name, size=60) for name in ("ann", "bob")]
    for labels, shift in zip(both, (0, 1), strict=True):
        for number, task in enumerate(labels.plan.tasks):
            grade = 1 + (int(task.item) + shift * (number % 5 == 0)) % 6
            labels.label(number, {"depth": str(grade), "tone": "4"})
    words = ["annotate", str(run.path), "--agreement"]
    assert main([*words, "--labels", "3", "--json"]) == 0
    said = capsys.readouterr()
    assert said.err.count("note: ") == 2
    depth, tone = json.loads(said.out)
    expected = agreement(both)
    assert [depth, tone] == [{name: getattr(each, name) for name in each.__struct_fields__} for each in expected]
    assert (depth["dimension"], depth["units"], tone["same"]) == ("depth", 60, 1.0)
    assert depth["low"] < depth["value"] < depth["high"]
    assert (tone["value"], bool(tone["note"])) == (None, True)  # everybody always said the same: undefined, never NaN
    assert main(words) == 0
    assert f"depth: {expected[0].said}" in capsys.readouterr().out.splitlines()


def test_json_without_agreement_and_agreement_of_nobody_are_one_line_and_exit_code_2(tmp_path: Path) -> None:
    run = made(tmp_path / "r", 3)
    for flags, says in ((("--json",), "give --agreement"), (("--json", "--agreement"), "nobody has labels")):
        done = subprocess.run(
            [sys.executable, "-m", "judgebench", "annotate", run.path, *flags], capture_output=True, text=True
        )
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert says in done.stderr
