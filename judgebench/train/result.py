"""What a training leaves: its weights, whole or an adapter's, its tokenizer, and the record of how they came to be."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import msgspec

from judgebench.train import record as records
from judgebench.train.adapters import MERGEABLE, merged
from judgebench.train.guard import Held
from judgebench.train.job import Job
from judgebench.train.rows import Rows


def write_model(
    job: Job, stage: str, rows: Rows, held: Held, plan: dict[str, Any], trainer: Any, target: Path
) -> records.TrainingRecord:  # fmt: skip
    """The record of a trained model, after ``models/NAME`` was written: at once, or not at all.

    Args:
        job: of the training, its notes complete.
        stage: that trained.
        rows: read and dropped.
        held: what the guard found.
        plan: all that decided the weights.
        trainer: after its training.
        target: the folder.

    Raises:
        UserError: its weights are not all finite; nothing is written.
    """
    partial = target.with_name(f".{job.settings.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    whole = _save(job, trainer, partial)
    record = record_of(job, stage, rows, held, plan, trainer, whole)
    for file in job.kept:
        shutil.copy(file, partial / file.name)
    records.write_record(partial, record)
    partial.rename(target)
    return record


def _save(job: Job, trainer: Any, folder: Path) -> bool:
    """Writes model and tokenizer; True where the weights are whole, False where they are an adapter's."""
    import torch

    from judgebench.train.watch import refuse_not_finite

    model = trainer.accelerator.unwrap_model(trainer.model)
    adapted = job.settings.peft != "none"
    whole = not adapted or (job.settings.merge and job.settings.peft in MERGEABLE)
    if job.settings.peft == "adalora":
        from judgebench.train.rank_allocation import ranks

        left = ranks(model)
        if left:
            job.note(f"AdaLoRA's ranks: {sum(left.values())} over {len(left)} matrices, {min(left.values())} to "
                     f"{max(left.values())}")  # fmt: skip
    if adapted and whole:
        refuse_not_finite(trainer, model, job.work)
        model = _merged(job, trainer, model)
    declared = getattr(torch, job.checkpoint.dtype, None)
    if whole and isinstance(declared, torch.dtype):
        model = model.to(declared)
    refuse_not_finite(trainer, model, job.work)
    if not whole:
        model.peft_config["default"].base_model_name_or_path = os.path.relpath(
            job.folder, folder.parent / job.settings.name
        ) if job.checkpoint.local else job.checkpoint.name.removeprefix("hf/")  # fmt: skip
    model.save_pretrained(folder, safe_serialization=True)
    job.saved_tokenizer().save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    return whole


def _merged(job: Job, trainer: Any, model: Any) -> Any:
    """The weights with their adapter put in.

    Raises:
        UserError: together they are not finite.
    """
    from judgebench.train.watch import not_finite

    try:
        return merged(model, job.settings, job.folder)
    except ValueError as error:
        if "NaNs detected" not in str(error):
            raise
        raise not_finite(trainer, "the merged weights", job.work) from error


def record_of(
    job: Job, stage: str, rows: Rows, held: Held, plan: dict[str, Any], trainer: Any, whole: bool
) -> records.TrainingRecord:  # fmt: skip
    """The record of a model as it is after the steps made so far.

    Args:
        job: of the training.
        stage: that trains.
        rows: read and dropped.
        held: what the guard found.
        plan: all that decides the weights.
        trainer: in its training or after it.
        whole: whether its weights are whole.
    """
    settings = job.settings
    log = [
        {key: float(value) for key, value in entry.items() if isinstance(value, (int, float))}
        for entry in trainer.state.log_history
    ]
    losses = [entry["loss"] for entry in log if "loss" in entry]
    apart = ("stage", "data_sha256", "parent_weights")
    return records.TrainingRecord(
        name=settings.name, stage=stage, parent=settings.model, parent_weights=plan["parent_weights"],
        data=settings.data, data_sha256=rows.sha256, rows=rows.read, used=len(trainer.train_dataset),
        dropped=rows.dropped, settings={key: value for key, value in plan.items() if key not in apart},
        seed=settings.seed, steps=trainer.state.global_step, log=log,
        loss={"first": losses[0] if losses else None, "last": losses[-1] if losses else None}, peft=settings.peft,
        merged=whole, notes=tuple(job.notes), versions=records.versions(), contamination=msgspec.to_builtins(held),
    )  # fmt: skip
