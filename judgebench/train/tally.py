"""Counts that outlive a kill: what was counted up to a checkpoint lies in it, and a training that goes on counts on."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
from transformers import TrainerCallback

from judgebench.files import write_atomic
from judgebench.train.online import GroupRewards

FILE = "rewards.json"
"""In a checkpoint: rewards given and not given so far."""


class KeptCounts(TrainerCallback):  # type: ignore[misc]
    """Writes the counts of rewards into each checkpoint, and takes them up from the one that training goes on from.

    Args:
        rewards: whose counts they are.
    """

    def __init__(self, rewards: GroupRewards) -> None:
        self._rewards = rewards

    def on_save(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Writes them, before the checkpoint is marked as whole."""
        counts = {"scored": self._rewards.scored, "unscored": self._rewards.unscored}
        write_atomic(_file(args, state), msgspec.json.encode(counts))

    def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Takes them up where steps were made before."""
        file = _file(args, state)
        if state.global_step and file.is_file():
            counts = msgspec.json.decode(file.read_bytes())
            self._rewards.scored, self._rewards.unscored = counts["scored"], Counter(counts["unscored"])


def _file(args: Any, state: Any) -> Path:
    return Path(args.output_dir) / f"checkpoint-{state.global_step}" / FILE
