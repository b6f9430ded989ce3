"""The loop closed: examples/loop.yaml in small, from answers to a tuned model in the table, killed in every step."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("trl")
ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
COMMAND = [sys.executable, "-m", "judgebench", "run", "out", "--config", "loop.yaml"]
MARKS = ("tame: answers", "pairs: what", "dpo looped: 0/", "looped: answers", "compare: what")
"""What each step says once it is at work."""


def small(folder: Path) -> Path:
    """The shipped loop with fewer questions and four training steps, in a folder of its own."""
    folder.mkdir()
    file: dict[str, Any] = yaml.safe_load((EXAMPLES / "loop.yaml").read_text("utf-8"))
    steps = file["steps"]
    practice = yaml.safe_load((EXAMPLES / "loop-practice.yaml").read_text("utf-8"))
    held_out = [item for item in practice["items"] if item["category"] == "held out"]
    practice["items"] = [*practice["items"][:40], *held_out]
    (folder / "practice.yaml").write_text(yaml.safe_dump(practice, sort_keys=False), "utf-8")
    steps[0]["flags"].update(suite="practice.yaml")
    steps[2]["flags"].update({"steps": 4, "save-every": 1})
    del steps[2]["flags"]["epochs"]
    steps[3]["flags"].update({"limit": 4, "max-tokens": 24, "max-unscored": 1})
    text = yaml.safe_dump(file, sort_keys=False).replace("{here}/tiny", f"{EXAMPLES}/tiny")
    (folder / "loop.yaml").write_text(text, "utf-8")
    return folder


def ended(folder: Path) -> dict[str, Any]:
    """What a loop that ran to its end holds, times and paths left out."""
    out = folder / "results" / "out"
    rows = [json.loads(line) for line in (out / "practice" / "pairs.jsonl").read_text("utf-8").splitlines()]
    weights = out / "practice" / "models" / "looped" / "model.safetensors"
    record = json.loads((weights.parent / "training.json").read_text("utf-8"))
    summary = json.loads((out / "held-out" / "summary.json").read_text("utf-8"))
    return {
        "pairs": rows, "weights": hashlib.sha256(weights.read_bytes()).hexdigest(), "steps": record["steps"],
        "accuracy": summary["accuracy"], "grades": summary["grades"],
    }  # fmt: skip


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "JUDGEBENCH_CACHE": "cache"}


@pytest.mark.slow
def test_a_loop_killed_in_every_step_ends_as_one_that_was_left_alone(tmp_path: Path) -> None:
    alone, killed = small(tmp_path / "alone"), small(tmp_path / "killed")
    subprocess.run(COMMAND, cwd=alone, env=environment(), check=True, capture_output=True)
    for mark in MARKS:
        with (killed / "log").open("w") as log:
            process = subprocess.Popen(COMMAND, cwd=killed, env=environment(), stderr=log, stdout=log)
            until = time.monotonic() + 300
            while mark not in (killed / "log").read_text("utf-8") and process.poll() is None:
                assert time.monotonic() < until
                time.sleep(0.02)
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert mark in (killed / "log").read_text("utf-8")
    subprocess.run(COMMAND, cwd=killed, env=environment(), check=True, capture_output=True)
    assert ended(killed) == ended(alone)

    held_out = alone / "results" / "out" / "held-out"
    summary = json.loads((held_out / "summary.json").read_text("utf-8"))
    origin = {model["name"]: model.get("origin", "") for model in summary["models"]}
    assert "tiny-tuned" in origin["looped"]
    assert "pairs.jsonl" in origin["looped"]
    assert origin["base"] == ""
    assert "rows kept out" in (held_out / "report.md").read_text("utf-8")
    assert "rows kept out" in (held_out / "report.html").read_text("utf-8")
    table = (held_out / "leaderboard.csv").read_text("utf-8")
    assert {"looped", "base"} <= {cell for line in table.splitlines() for cell in line.split(",")}
    taught = json.loads((alone / "results/out/practice/pairs.jsonl.manifest.json").read_text("utf-8"))
    assert taught["contamination"]["suites"].keys() >= {"mini-math", "mini-chat"}
    assert not [row for row in ended(alone)["pairs"] if int(row["item"]) > 160]
