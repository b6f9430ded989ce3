"""What decides a training's weights, held against what was begun under its name."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec

from judgebench.backends.checkpoint import Checkpoint
from judgebench.files import write_atomic
from judgebench.train import record as records
from judgebench.train.guard import Held
from judgebench.train.job import template_text
from judgebench.train.rows import Rows
from judgebench.train.settings import TrainSettings

FREE = ("name", "data", "save_every", "log_every")
"""Settings that may change between a training and its going on (of the data, the hash may not)."""

ROOM = ("batch_size", "accumulate", "checkpointing")
"""Settings that say how much memory a step takes: they may change on the way while a step has as many rows."""

FILE, CHANGED = "plan.json", "changed.txt"


def plan_of(
    stage: str, settings: TrainSettings, own: dict[str, Any], checkpoint: Checkpoint, rows: Rows, held: Held
) -> dict[str, Any]:
    """All that decides the weights, as JSON values.

    Args:
        stage: that trains.
        settings: the shared ones.
        own: the stage's own.
        checkpoint: the parent.
        rows: as read and guarded.
        held: which rows the guard kept out or let in.
    """
    decides = {key: value for key, value in msgspec.structs.asdict(settings).items() if key not in FREE}
    if settings.chat_template:
        decides["chat_template"] = template_text(settings.chat_template)
    overlapping = {"kept_out": [each["row"] for each in held.dropped], "let_in": [each["row"] for each in held.let_in]}
    plan = {
        "stage": stage, **decides, **own, "data_sha256": rows.sha256, "parent_weights": checkpoint.weights,
        **{key: value for key, value in overlapping.items() if value},
    }  # fmt: skip
    decoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(plan))
    return decoded


def plan_of_record(done: records.TrainingRecord) -> dict[str, Any]:
    """The plan of a training that ended."""
    return {
        "stage": done.stage,
        **done.settings,
        "data_sha256": done.data_sha256,
        "parent_weights": done.parent_weights,
    }


def begin(work: Path, plan: dict[str, Any]) -> str:
    """How settings changed on the way of a training that goes on; empty where they did not.

    The plan of a new training is written to its folder. One that has no checkpoint yet, nor anything else that was
    worked out, is begun anew by any plan. Another one takes its own plan alone, but for what makes room in memory.

    Args:
        work: folder of checkpoints while it trains, locked.
        plan: of the training as it is asked for now.

    Raises:
        RunConflict: the folder holds checkpoints of another training.
    """
    file, changed = work / FILE, work / CHANGED
    known = msgspec.json.decode(file.read_bytes()) if file.is_file() else None
    if known != plan:
        if known is not None and not _nothing_done(work):
            room = {key: plan[key] for key in ROOM} if _rows_a_step(known) == _rows_a_step(plan) else {}
            records.same_plan(work, {**known, **room}, plan)
            now = ", ".join(f"{key} {known[key]} → {plan[key]}" for key in room if known[key] != plan[key])
            write_atomic(changed, f"{_read(changed)}settings changed on the way: {now}\n")
        write_atomic(file, msgspec.json.encode(plan))
    return "; ".join(_read(changed).splitlines())


def _rows_a_step(plan: dict[str, Any]) -> int:
    return int(plan["batch_size"]) * int(plan["accumulate"])


def _read(file: Path) -> str:
    return file.read_text("utf-8") if file.is_file() else ""


def _nothing_done(work: Path) -> bool:
    """Whether the folder holds nothing that took time; torn checkpoints are removed."""
    from judgebench.train.watch import whole_checkpoints

    if whole_checkpoints(work):
        return False
    for left in work.glob("checkpoint-*"):
        shutil.rmtree(left)
    return not [each for each in work.iterdir() if each.is_file() and each.name not in ("lock", FILE, CHANGED)]
