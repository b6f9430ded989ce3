"""The training record: what a checkpoint was made from and how, beside its weights and in the run's manifest."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

import msgspec

from judgebench import __version__
from judgebench.errors import RunConflict, UserError
from judgebench.files import write_atomic
from judgebench.runs import Run
from judgebench.types import Record

FILE = "training.json"
PACKAGES = ("torch", "transformers", "trl", "peft")


class TrainingRecord(Record, frozen=True, kw_only=True):
    """How one checkpoint came to be; ``models/NAME/training.json``."""

    name: str
    """Of the model."""
    stage: str
    """The stage that made it: ``sft``, ``dpo`` ..."""
    parent: str
    """The model it was trained from, ``hf/ID``."""
    parent_weights: dict[str, Any]
    """Hashes of the parent's weight files."""
    data: str
    """The data file as named."""
    data_sha256: str
    """Its hash."""
    rows: int
    """Rows of the file."""
    used: int
    """Rows trained on."""
    dropped: dict[str, int]
    """Reason → rows left out."""
    settings: dict[str, Any]
    """Every setting that decides the weights, the stage's own among them."""
    seed: int
    """Of the training."""
    steps: int
    """Optimizer steps made."""
    loss: dict[str, float | None]
    """``first``: of the first step; ``last``: mean since the log before the last."""
    log: list[dict[str, float]]
    """Step → loss and the trainer's other numbers, as logged."""
    peft: str
    """Kind of adapter, ``none`` where all weights were trained."""
    merged: bool
    """Whether the weights written are whole; False where the folder holds an adapter that only ``hf`` serves."""
    notes: tuple[str, ...] = ()
    """What was said while training."""
    versions: dict[str, str]
    """Package → version."""
    contamination: dict[str, Any] = msgspec.field(default_factory=dict)
    """What the guard kept out, or what was let in on purpose."""


def versions() -> dict[str, str]:
    """Package → version of what decides the weights."""
    return {"judgebench": __version__, **{name: importlib.metadata.version(name) for name in PACKAGES}}


def read_record(folder: Path) -> TrainingRecord | None:
    """The record of a trained checkpoint; None where the folder was not made by a training stage.

    Raises:
        UserError: the file is damaged.
    """
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=TrainingRecord)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise UserError(f"{folder / FILE} cannot be read: {error}") from error


def write_record(folder: Path, record: TrainingRecord) -> None:
    """Writes ``training.json``."""
    write_atomic(folder / FILE, msgspec.json.format(msgspec.json.encode(record), indent=1))


def enter(run: Run, record: TrainingRecord) -> None:
    """Records the model in the run's manifest, under ``trained``; the log stays with the weights."""
    entry = msgspec.to_builtins(record)
    del entry["log"]
    run.manifest.setdefault("trained", {})[record.name] = {**entry, "folder": f"models/{record.name}"}
    run.save_manifest()


def same_plan(where: Path, known: dict[str, Any], plan: dict[str, Any]) -> None:
    """Nothing, when a training begun or ended earlier was planned as this one.

    Raises:
        RunConflict: they differ; the message names the first difference.
    """
    for key in sorted({*known, *plan}):
        if known.get(key) != plan.get(key):
            raise RunConflict(
                f"{where} was trained with {key}={_short(known.get(key))} and now it is {_short(plan.get(key))}: "
                "take another --name, or delete that folder to train it again"
            )


def _short(value: object) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else text[:57] + "…"
