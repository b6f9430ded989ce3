"""A training killed half way goes on from its last whole checkpoint, and ends where it would have ended."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from test_train import jsonl, pairs
from tiny_models import tiny_checkpoint

from judgebench.train.record import TrainingRecord, read_record

STEPS = 12


def command(run: Path, data: str) -> list[str]:
    return [
        sys.executable, "-m", "judgebench", "dpo", str(run), "--model", f"hf/{tiny_checkpoint('')}", "--data", data,
        "--name", "x", "--steps", str(STEPS), "--batch-size", "2", "--learning-rate", "1e-3", "--save-every", "1",
        "--log-every", "1",
    ]  # fmt: skip


def result(run: Path) -> TrainingRecord:
    record = read_record(run / "models/x")
    assert record is not None
    return record


def test_a_training_killed_with_sigkill_goes_on_and_ends_with_the_same_steps_and_loss(tmp_path: Path) -> None:
    data = jsonl(tmp_path / "d.jsonl", pairs(24))
    killed = tmp_path / "killed"
    work = killed / "models/.x.training"
    process = subprocess.Popen(command(killed, data), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not list(work.glob("checkpoint-*/whole")) and time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read().decode()  # type: ignore[union-attr]
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (killed / "models/x").exists()
    (work / "checkpoint-99").mkdir()  # one that was being written
    done = subprocess.run(command(killed, data), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "goes on from step" in done.stderr
    whole = tmp_path / "whole"
    subprocess.run(command(whole, data), capture_output=True, check=True)
    first, second = result(killed), result(whole)
    assert first.steps == second.steps == STEPS
    assert first.loss["last"] == pytest.approx(second.loss["last"], rel=1e-4)
    assert msgspec.to_builtins(first.settings) == msgspec.to_builtins(second.settings)
    assert not work.exists()
