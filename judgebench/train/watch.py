"""What is watched while a model trains: losses that are no number, whole checkpoints, AdaLoRA's ranks, progress."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from judgebench.errors import UserError
from judgebench.stages.progress import Progress
from judgebench.train.adapters import schedule_ranks

WHOLE = "whole"
"""File that marks a checkpoint written to its end, with finite weights."""


def whole_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints that training can go on from, the latest last; torn ones are removed."""
    found = []
    for path in folder.glob("checkpoint-*"):
        if (path / WHOLE).is_file():
            found.append(path)
        else:
            shutil.rmtree(path, ignore_errors=True)
    return sorted(found, key=step_of)


def step_of(checkpoint: Path) -> int:
    """The step after which a checkpoint was written."""
    return int(checkpoint.name.rpartition("-")[2])


class Watch(TrainerCallback):  # type: ignore[misc]
    """Counts steps, marks whole checkpoints, and calls AdaLoRA's allocation after every optimizer step."""

    def __init__(self, title: str, *, quiet: bool) -> None:
        self.title, self.quiet = title, quiet
        self.ranks_moved = 0
        self._progress: Progress | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **more: Any) -> None:
        """Opens the progress line and gives AdaLoRA its number of steps."""
        if _adalora(model):
            schedule_ranks(model, state.max_steps)
        self._progress = Progress(self.title, state.max_steps, quiet=self.quiet).__enter__()
        self._progress.done = state.global_step

    def on_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **more: Any) -> None:
        """Allocates AdaLoRA's ranks: after the step and before gradients are cleared, as its importance needs both."""
        if _adalora(model):
            model.base_model.update_and_allocate(state.global_step + 1)
            self.ranks_moved += 1

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Counts a step; the loss of the last one is logged whatever the interval."""
        control.should_log = control.should_log or state.global_step >= state.max_steps
        if self._progress is not None:
            self._progress.advance()

    def on_save(self, args: Any, state: Any, control: Any, model: Any = None, **more: Any) -> None:
        """Marks the checkpoint as whole, where its weights are finite."""
        finite = all(bool(torch.isfinite(each).all()) for each in model.parameters() if each.requires_grad)
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        if finite:
            (folder / WHOLE).touch()
        for old in whole_checkpoints(folder.parent)[:-1] if finite else ():
            shutil.rmtree(old, ignore_errors=True)

    def on_train_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Closes the progress line."""
        if self._progress is not None:
            self._progress.__exit__(None, None, None)


def stop_at_nan(trainer: Any, folder: Path) -> None:
    """Makes the trainer stop at the first loss that is no finite number, its last good checkpoint kept.

    Raises:
        UserError: from ``trainer.train()``, at that step.
    """
    step = trainer.training_step

    def checked(*given: Any, **more: Any) -> Any:
        loss = step(*given, **more)
        if not math.isfinite(float(loss)):
            good = whole_checkpoints(folder)
            kept = f"the checkpoint of step {step_of(good[-1])} is kept in {good[-1]}" if good else "no checkpoint yet"
            raise UserError(
                f"the loss is {float(loss)} at step {trainer.state.global_step + 1}, and training has stopped; {kept}. "
                f"Lower --learning-rate (now {trainer.args.learning_rate:g}) or --clip"
            )
        return loss

    trainer.training_step = checked


def _adalora(model: Any) -> bool:
    configs: dict[str, Any] = getattr(model, "peft_config", None) or {}
    return any("ADALORA" in str(config.peft_type).upper() for config in configs.values())
