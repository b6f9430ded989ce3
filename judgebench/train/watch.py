"""What is watched while a model trains: losses that are no number, whole checkpoints, progress."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from judgebench.errors import UserError
from judgebench.stages.progress import Progress

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
    """Counts steps, and marks whole checkpoints; to be told last of all callbacks.

    Args:
        title: of the progress line.
        quiet: say nothing.
        describe: writes the training record into a checkpoint's folder: it can be asked and trained as any model.
    """

    def __init__(self, title: str, *, quiet: bool, describe: Callable[[Path], None]) -> None:
        self.title, self.quiet, self._describe = title, quiet, describe
        self._progress: Progress | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Opens the progress line."""
        self._progress = Progress(self.title, state.max_steps, quiet=self.quiet).__enter__()
        self._progress.done = state.global_step

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
            self._describe(folder)
            (folder / WHOLE).touch()
        for old in whole_checkpoints(folder.parent)[:-1] if finite else ():
            shutil.rmtree(old, ignore_errors=True)

    def on_train_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Closes the progress line."""
        if self._progress is not None:
            self._progress.__exit__(None, None, None)


def kept_words(trainer: Any, folder: Path) -> str:
    """Which good checkpoint is kept, and what may be done with it."""
    good = whole_checkpoints(folder)
    if not good:
        return "there was no checkpoint yet (--save-every)"
    does = "asks it" if getattr(trainer.model, "peft_config", None) else "asks or trains it"
    return f"the checkpoint of step {step_of(good[-1])} is kept: --model hf/{good[-1]} {does}"


def lower_words(trainer: Any) -> str:
    """What to lower where numbers grew out of bounds."""
    return (
        f"Under another --name, lower --learning-rate (now {trainer.args.learning_rate:g}) or --clip (now "
        f"{trainer.args.max_grad_norm:g})"
    )


def refuse_not_finite(trainer: Any, model: Any, folder: Path) -> None:
    """Nothing where all weights about to be written are finite: the last step is seen by no loss after it.

    Args:
        trainer: after its training.
        model: as it is to be written.
        folder: of the checkpoints.

    Raises:
        UserError: some are not.
    """
    weights = [(name, each) for name, each in model.named_parameters() if each.is_floating_point()]
    wrong = [(name, each) for name, each in weights if not bool(torch.isfinite(each).all())]
    if wrong:
        raise not_finite(trainer, f"{len(wrong)} of {len(weights)} weights ({wrong[0][0]} is the first)", folder)


def not_finite(trainer: Any, which: str, folder: Path) -> UserError:
    """The error of weights that cannot be written."""
    return UserError(
        f"after step {trainer.state.global_step} {which} hold numbers that are not finite, and no model is written; "
        f"{kept_words(trainer, folder)}. {lower_words(trainer)}"
    )


def stop_at_nan(trainer: Any, folder: Path) -> None:
    """Makes the trainer stop at the first loss that is no finite number, its last good checkpoint kept.

    The weights are not touched by such a loss: it is seen before its step is made.

    Raises:
        UserError: from ``trainer.train()``, at that step.
    """
    step = trainer.training_step

    def checked(*given: Any, **more: Any) -> Any:
        loss = step(*given, **more)
        if not math.isfinite(float(loss)):
            raise UserError(
                f"the loss is {float(loss)} at step {trainer.state.global_step + 1}, and training has stopped; "
                f"{kept_words(trainer, folder)}. {lower_words(trainer)}"
            )
        return loss

    trainer.training_step = checked
