"""A training killed half way goes on from its last whole checkpoint, and ends where it would have ended."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file
from test_train import jsonl, pairs
from tiny_models import tiny_checkpoint

from judgebench.cli import main
from judgebench.errors import RunConflict
from judgebench.train import watch
from judgebench.train.record import TrainingRecord, read_record

STEPS = 10
OFTEN = ["--save-every", "1"]
RANKS = ["--peft", "adalora", "--rank", "2"]


class PowerCut(BaseException):
    """The process ends here: nothing catches it, nothing is tidied up."""


def words(run: Path, data: str, *more: str) -> list[str]:
    return [
        "dpo", str(run), "--model", f"hf/{tiny_checkpoint('')}", "--data", data, "--name", "x", "--steps", str(STEPS),
        "--batch-size", "2", "--learning-rate", "1e-3", "--log-every", "1", *more,
    ]  # fmt: skip


def result(run: Path) -> TrainingRecord:
    record = read_record(run / "models/x")
    assert record is not None
    return record


def same(killed: Path, whole: Path) -> None:
    """Both ended alike, weight by weight."""
    first, second = result(killed), result(whole)
    assert first.steps == second.steps == STEPS
    assert [each["loss"] for each in first.log if "loss" in each] == pytest.approx(
        [each["loss"] for each in second.log if "loss" in each], rel=1e-4
    )
    assert (first.settings, first.notes) == (second.settings, second.notes)
    ours, theirs = (load_file(run / "models/x/model.safetensors") for run in (killed, whole))
    assert all(weights.allclose(theirs[name], atol=1e-6) for name, weights in ours.items())
    assert not (killed / "models/.x.training").exists()


def cut_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Has the process end as soon as the checkpoint of a step is whole."""
    saved = watch.Watch.on_save

    def cut(self: watch.Watch, args, state, control, **more) -> None:  # type: ignore[no-untyped-def]
        saved(self, args, state, control, **more)
        if state.global_step == step:
            raise PowerCut

    monkeypatch.setattr(watch.Watch, "on_save", cut)


def test_a_training_killed_with_sigkill_goes_on_and_ends_with_the_same_steps_and_weights(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = jsonl(tmp_path / "d.jsonl", pairs(24))
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    work = killed / "models/.x.training"
    command = [sys.executable, "-m", "judgebench", *words(killed, data, *OFTEN)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    main(words(whole, data, "--quiet"))
    deadline = time.monotonic() + 120
    while not list(work.glob("checkpoint-*/whole")) and time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read().decode()  # type: ignore[union-attr]
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (killed / "models/x").exists()
    (work / "checkpoint-99").mkdir()  # one that was being written
    assert main(words(killed, data)) == 0
    assert "goes on from step" in capsys.readouterr().err
    same(killed, whole)


def test_an_online_training_that_goes_on_counts_the_rewards_of_before_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = jsonl(tmp_path / "d.jsonl", [{"prompt": f"{n}+1?", "reference": str(n + 1)} for n in range(4)])
    command = ["rloo", str(tmp_path / "r"), "--model", f"hf/{tiny_checkpoint('')}", "--data", data, "--name", "x",
               "--steps", "3", "--batch-size", "2", "--generations", "2", "--max-new-tokens", "2", "--scorer", "number",
               "--quiet", *OFTEN]  # fmt: skip
    cut_at(monkeypatch, 2)
    with pytest.raises(PowerCut):
        main(command)
    monkeypatch.undo()
    assert main(command) == 0
    assert result(tmp_path / "r").notes == ("rewards: 6 scored, 0 unscored",)


def test_rows_grouped_by_length_come_in_the_same_order_after_a_kill_in_a_later_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"prompt": f"{n}?", "completion": "so " * (1 + n % 7)} for n in range(12)]
    data = jsonl(tmp_path / "d.jsonl", rows)
    command = ["--model", f"hf/{tiny_checkpoint('')}", "--data", data, "--name", "x", "--steps", str(STEPS),
               "--batch-size", "2", "--group-by-length", "--learning-rate", "1e-3", "--log-every", "1", "--quiet",
               "--save-every", "8"]  # fmt: skip
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    assert main(["sft", str(whole), *command]) == 0
    cut_at(monkeypatch, 8)
    with pytest.raises(PowerCut):
        main(["sft", str(killed), *command])
    monkeypatch.undo()
    assert main(["sft", str(killed), *command]) == 0
    same(killed, whole)


@pytest.fixture(scope="module")
def left_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``d.jsonl`` and the run ``whole``, an AdaLoRA training that nothing stopped."""
    folder = tmp_path_factory.mktemp("adalora")
    main(words(folder / "whole", jsonl(folder / "d.jsonl", pairs(24)), "--quiet", *RANKS))
    return folder


@pytest.mark.parametrize("step", [5, 9], ids=["while ranks fall", "when they are settled"])
def test_adalora_cut_off_goes_on_with_its_ranks_and_what_it_knows_of_them(
    left_alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], step: int
) -> None:
    data = str(left_alone / "d.jsonl")
    cut_at(monkeypatch, step)
    with pytest.raises(PowerCut):
        main(words(tmp_path, data, "--quiet", "--save-every", str(step), *RANKS))
    monkeypatch.undo()
    assert main(words(tmp_path, data, *RANKS)) == 0
    assert f"goes on from step {step}\n" in capsys.readouterr().err
    assert "AdaLoRA's ranks" in result(tmp_path).notes[-1]
    same(tmp_path, left_alone / "whole")


def test_a_training_may_go_on_with_smaller_batches_of_as_many_rows_a_step_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = jsonl(tmp_path / "d.jsonl", pairs(24))
    run = tmp_path / "run"
    cut_at(monkeypatch, 3)
    with pytest.raises(PowerCut):
        main(words(run, data, "--quiet", "--save-every", "3"))
    monkeypatch.undo()
    for other in (["--batch-size", "1"], ["--learning-rate", "1e-4"]):
        with pytest.raises(RunConflict, match=f"{other[0][2:].replace('-', '_')}="):
            main(words(run, data, "--quiet", *other))
    assert main(words(run, data, "--quiet", "--batch-size", "1", "--accumulate", "2")) == 0
    assert result(run).steps == STEPS
    assert result(run).notes == ("settings changed on the way: batch_size 2 → 1, accumulate 1 → 2",)
    steps = [each["step"] for each in result(run).log if "loss" in each]
    assert steps == list(range(1, STEPS + 1))


def test_before_the_first_checkpoint_any_setting_may_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = jsonl(tmp_path / "d.jsonl", pairs(6))
    run = tmp_path / "run"
    monkeypatch.setattr(watch.Watch, "on_step_end", lambda *given, **more: (_ for _ in ()).throw(PowerCut))
    with pytest.raises(PowerCut):
        main(words(run, data, "--quiet"))
    monkeypatch.undo()
    assert json.loads((run / "models/.x.training/plan.json").read_text())["learning_rate"] == 1e-3
    assert main(words(run, data, "--quiet", "--learning-rate", "1e-4")) == 0
    assert (result(run).settings["learning_rate"], result(run).notes) == (1e-4, ())
