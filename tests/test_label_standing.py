"""Labels that no plan asked for, as imports bring them: what of them counts once the run holds other things."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from test_importers import imported, jsonl
from test_people_fits import _main
from test_web_annotate import made

from judgebench.errors import RunConflict, UserError
from judgebench.runs import Journal, Run, read_records
from judgebench.stages import compare, escalate, meta_eval, rate
from judgebench.stages.calibration import calibrate
from judgebench.stages.export import export
from judgebench.stages.games import Fallen, standing
from judgebench.stages.report import read_summary
from judgebench.types import Answer, Verdict

ITEMS = 12
NAMES = ("secret-one", "secret-two")


def label(item: object, *shown: str, person: str = "human@elsewhere", **changed: Any) -> Verdict:
    """A person's label of which nothing says what its answers were."""
    given = {
        "suite": "talk", "kind": "preference", "scores": (1.0, 0.0),
        "shown": tuple((name, 0) for name in shown or NAMES), **changed,
    }  # fmt: skip
    return Verdict(item=str(item), judge=person, **given)


def labelled(path: Path, *labels: Verdict) -> Run:
    run = made(path, ITEMS)
    for each in labels:
        with Journal(run.verdicts_file(each.judge, "")) as journal:
            journal.append(each)
    return run


def pandalm(folder: Path, pairs: int = ITEMS) -> list[Path]:
    rows = [
        {"idx": at, "cmp_key": "m_n", "instruction": f"ask {at}", "input": "", "response1": f"m says {at}",
         "response2": f"n says {at}", "annotator1": 1 + at % 2, "annotator2": at % 3}
        for at in range(pairs)
    ]  # fmt: skip
    said = [{"idx": at, "gpt_result": str(at % 3), "gpt_reason": "so"} for at in range(pairs)]
    return [jsonl(folder / "test.json", rows), jsonl(folder / "judge.json", said)]


def redone(run: Run, model: str, item: str, text: str = "quite another answer") -> None:
    with Journal(run.answers_file(model)) as journal:
        journal.append(Answer(suite="pandalm", item=item, model=model, turns=(text,), finish=("stop",)))


def test_imported_labels_and_verdicts_fall_with_the_answers_they_are_on_and_rate_counts_them(tmp_path: Path) -> None:
    run = imported(tmp_path / "run", "pandalm", *pandalm(tmp_path))
    assert imported(run.path, "pandalm", *pandalm(tmp_path)).verdicts() == run.verdicts()
    held = run.verdicts()
    assert len(held) == 3 * ITEMS
    assert standing(run, held.values()) == (list(held.values()), Fallen())
    item = next(iter(run.items("pandalm")))
    redone(run, "m", item)
    kept, fallen = standing(run, run.verdicts().values())
    assert fallen == Fallen(stale=3)
    assert {each.item for each in held.values()} - {each.item for each in kept} == {item}
    assert _main(rate, Run(run.path), "--max-unscored", "1") == 0
    warnings = read_summary(run)["warnings"]
    assert sum("3 verdicts are on answers that were redone or deleted since" in line for line in warnings) == 1
    with pytest.raises(RunConflict, match="another one in the run"):
        imported(run.path, "pandalm", *pandalm(tmp_path))
    for form in ("arena", "fastchat"):
        assert any(
            "3 verdicts are on answers that were redone" in note for note in export(run, form, tmp_path / form).notes
        )
    for model in "mn":
        run.answers_file(model).unlink()
    assert standing(Run(run.path), held.values()) == ([], Fallen(stale=3 * ITEMS))


def test_a_calibration_by_imported_labels_is_of_those_that_stand_and_says_how_many_fell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = imported(tmp_path / "run", "pandalm", *pandalm(tmp_path))
    for item in list(run.items("pandalm"))[:2]:
        redone(run, "n", item)
    (found,) = calibrate(Run(run.path), "human@annotator1", declared=True)
    assert found.win_rates["m"].n_human == ITEMS - 2
    assert "2 labels are on answers that were redone or deleted since" in found.note
    words = ("m", "n", "--calibrate", "human@annotator1", "--random-labels")
    assert _main(compare, Run(run.path), *words) == 0
    assert "2 labels are on answers that were redone" in capsys.readouterr().out
    capsys.readouterr()
    assert _main(meta_eval, Run(run.path), "--draws", "100", "--json") == 0
    cards = json.loads(capsys.readouterr().out)
    assert cards
    assert all(any("6 verdicts are on answers that were redone" in note for note in each["notes"]) for each in cards)


def test_where_all_labels_fell_no_command_says_that_there_are_none_without_saying_so(tmp_path: Path) -> None:
    run = labelled(tmp_path / "r", label(ITEMS), label(ITEMS + 1))
    line = "2 labels are about what the run does not hold, and count nowhere"
    for stage, words in (
        (meta_eval, ("--against", "human", "--draws", "100")),
        (compare, (*NAMES, "--calibrate", "human", "--random-labels")),
        (rate, ("--calibrate", "human", "--random-labels")),
        (escalate, ("--people", "human")),
    ):
        with pytest.raises(UserError, match=line):
            _main(stage, run, *words)
    run = imported(tmp_path / "run", "pandalm", *pandalm(tmp_path))
    for item in run.items("pandalm"):
        redone(run, "n", item)
    with pytest.raises(UserError, match=f"nothing was judged .*; {3 * ITEMS} verdicts are on answers that were redone"):
        _main(meta_eval, Run(run.path), "--draws", "100")


def test_a_verdict_imported_while_its_answer_had_failed_stands_once_the_answer_is_there(tmp_path: Path) -> None:
    run = made(tmp_path / "run", 1)
    whole = run.answers()["talk", "0", NAMES[0], 0]
    with Journal(run.answers_file(NAMES[0])) as journal:
        journal.append(msgspec.structs.replace(whole, turns=(), finish=(), error="timeout: 60 s"))
    asked = {"question_id": "0", "category": "", "turns": list(run.items("talk")["0"].turns)}
    said = [{"question_id": "0", "model_1": one, "model_2": two, "g1_winner": "model_1", "g2_winner": "model_1",
             "judge": ["gpt-4", "pair-v2"], "turn": 1} for one, two in (NAMES, (NAMES[1], "third"))]  # fmt: skip
    imported(run.path, "fastchat", jsonl(tmp_path / "f.jsonl", [asked, *said]))
    with Journal(run.answers_file(NAMES[0])) as journal:
        journal.append(whole)
    verdicts = [each for each in Run(run.path).verdicts().values() if each.judge == "gpt-4"]
    assert {each.suite for each in verdicts} == {"talk"}
    assert len(verdicts) == 4
    assert standing(Run(run.path), verdicts) == (verdicts, Fallen())


def test_a_run_imported_before_hashes_were_kept_takes_the_same_files_again(tmp_path: Path) -> None:
    files = pandalm(tmp_path)
    run = imported(tmp_path / "run", "pandalm", *files)
    for path in run.path.glob("verdicts/*.jsonl"):
        plain = [msgspec.structs.replace(each, seen="") for each in read_records(path, Verdict)]
        assert plain
        path.write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in plain))
    before = run.verdicts()
    assert imported(run.path, "pandalm", *files).verdicts() == before
    assert standing(run, before.values()) == (list(before.values()), Fallen())


@pytest.mark.parametrize(
    ("stray", "first"),
    [
        (label(ITEMS), f"question '{ITEMS}' of talk"),
        (label(0, suite="walk"), "suite 'walk'"),
        (label(0, "secret-one", "nobody"), "model 'nobody'"),
        (label(0, shown=(("secret-one", 0), ("secret-two", 1))), "answer 1 of secret-two to '0' of talk"),
        (label(3, person="gold", dimension="d", shown=(("secret-one", 7),), scores=(1.0,)), "answer 7 of secret-one"),
    ],
)
def test_a_label_about_what_the_run_does_not_hold_counts_nowhere_and_is_said(
    tmp_path: Path, stray: Verdict, first: str, capsys: pytest.CaptureFixture[str]
) -> None:
    good = [label(k) for k in range(0, ITEMS, 2)]
    run = labelled(tmp_path / "r", *good, stray)
    kept, fallen = standing(run, [*good, stray])
    assert kept == good
    assert (fallen.stale, fallen.unheld) == (0, 1)
    assert fallen.first.startswith(f"{stray.judge} on {first}")
    assert _main(rate, run, "--max-unscored", "1") == 0
    summary = read_summary(run)
    (line,) = [each for each in summary["warnings"] if "does not hold" in each]
    assert line.startswith("1 labels are about what the run does not hold, and count nowhere (the first: ")
    assert first in line
    assert not any(row["model"] == "nobody" for row in summary["ratings"])
    capsys.readouterr()
    assert _main(meta_eval, run, "--against", "human", "--draws", "100", "--json") == 0
    cards = json.loads(capsys.readouterr().out)
    assert all(line in card["notes"] for card in cards)
    if stray.judge != "gold":
        (found, _) = calibrate(Run(run.path), "human", declared=True)
        assert (
            "1 labels are on answers that were redone or deleted since, or on what the run does not hold" in found.note
        )


def test_labels_on_models_whose_words_no_file_held_count_as_before(tmp_path: Path) -> None:
    run = labelled(tmp_path / "r")
    run.manifest["models"]["unheard"] = {"backend": "imported", "id": "unheard", "options": {}}
    run.save_manifest()
    labels = [label(k, "secret-one", "unheard") for k in range(ITEMS)]
    assert standing(Run(run.path), labels) == (labels, Fallen())
    judged = msgspec.structs.replace(label(99), judge="j")
    assert standing(run, [judged]) == ([judged], Fallen())  # of judges nothing of this is asked
