"""AdaLoRA's ranks allocated while a model trains, and kept with its checkpoints. It imports torch and transformers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from judgebench.errors import UserError

FILE = "rank_allocation.pt"
"""In a checkpoint: what allocation knows that no weight holds."""

IMPORTANCE = ("ipt", "exp_avg_ipt", "exp_avg_unc")
"""The allocator's sensitivity of each weight, and the moving means of it and of its uncertainty (equations 8 to 10)."""


class RankAllocation(TrainerCallback):  # type: ignore[misc]
    """Calls AdaLoRA's allocation after every optimizer step (Zhang et al. 2023, arXiv 2303.10512, algorithm 1).

    PEFT cuts the ranks that were taken away out of what it saves wherever the configuration names them, and a fresh
    model of full ranks cannot load the rest, nor an optimizer its moments. So while the model trains the names are held
    here: a checkpoint has full ranks (those taken away with a singular value of 0), and beside it what allocation
    has learned. PEFT is given the names back at the end, for what is written then.
    """

    def __init__(self) -> None:
        self._pattern: Any = None

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **more: Any) -> None:
        """Gives AdaLoRA its number of steps, and what it knew where training goes on.

        Raises:
            UserError: there is one step only, before which no importance is known.
        """
        if state.max_steps < 2:
            raise UserError("--peft adalora: one step only; ranks are allocated by what the steps before have shown")
        schedule_ranks(model, state.max_steps)
        file = Path(args.output_dir) / f"checkpoint-{state.global_step}" / FILE
        if state.global_step and file.is_file():
            known = torch.load(file, map_location=args.device, weights_only=True)
            self._pattern = known["pattern"]
            for name in IMPORTANCE:
                setattr(model.base_model.rankallocator, name, known[name])

    def on_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **more: Any) -> None:
        """Allocates: after the step and before gradients are cleared, as importance needs both."""
        config = model.peft_config["default"]
        config.rank_pattern = self._pattern
        model.base_model.update_and_allocate(state.global_step + 1)
        self._pattern, config.rank_pattern = config.rank_pattern, None

    def on_save(self, args: Any, state: Any, control: Any, model: Any = None, **more: Any) -> None:
        """Puts what allocation knows beside the weights."""
        known = {name: getattr(model.base_model.rankallocator, name) for name in IMPORTANCE}
        torch.save(
            {**known, "pattern": self._pattern}, Path(args.output_dir) / f"checkpoint-{state.global_step}" / FILE
        )

    def on_train_end(self, args: Any, state: Any, control: Any, model: Any = None, **more: Any) -> None:
        """Gives PEFT the names of the ranks that are left."""
        model.peft_config["default"].rank_pattern = self._pattern


def schedule_ranks(model: Any, steps: int) -> None:
    """Sets the steps over which AdaLoRA allocates its ranks: a tenth at full rank, then falling, a fifth at the end.

    The budget falls as a cube from the first ranks to the target (Zhang et al. 2023, section 3.3, equation 12).
    """
    config = model.peft_config["default"]
    config.total_step = steps
    config.tinit = steps // 10
    config.tfinal = steps // 5
    config.deltaT = max(1, steps // 100)


def ranks(model: Any) -> dict[str, int]:
    """Matrix → the ranks AdaLoRA has left it; empty before they are allocated."""
    pattern: Mapping[str, Any] = getattr(model.peft_config["default"], "rank_pattern", None) or {}
    return {name: sum(bool(each) for each in kept) for name, kept in pattern.items()}
