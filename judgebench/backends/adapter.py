"""A LoRA adapter's folder, checked before an engine loads it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec

from judgebench.errors import UserError

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Ranks that vLLM makes room for (``vllm.config.lora.MaxLoRARanks``, the same from 0.26 to 0.33)."""

WEIGHTS = "adapter_model.safetensors"


class Adapter(msgspec.Struct, frozen=True, kw_only=True):
    """A LoRA adapter that vLLM can put on its model."""

    folder: Path
    """Where it lies."""
    rank: int
    """Its rank."""
    sha256: str
    """Of its weights."""

    @property
    def room(self) -> int:
        """The least rank that an engine may be told to make room for."""
        return next(rank for rank in RANKS if rank >= self.rank)

    def describe(self) -> dict[str, Any]:
        """Folder, rank and hash, for the manifest."""
        return {"folder": str(self.folder), "rank": self.rank, "sha256": self.sha256}


def read_adapter(name: str, folder: str) -> Adapter:
    """The adapter in a folder, as PEFT saves it.

    Args:
        name: of the model, for messages.
        folder: with ``adapter_config.json`` and ``adapter_model.safetensors``.

    Raises:
        UserError: not an adapter, pickled weights, or of a kind that vLLM cannot put on a model: merge it first.
    """
    path = Path(folder).expanduser()
    try:
        config = json.loads((path / "adapter_config.json").read_bytes())
    except (OSError, ValueError) as error:
        raise UserError(f"{name}: {path} is no adapter: adapter_config.json cannot be read ({error})") from error
    if not isinstance(config, dict):
        raise UserError(f"{name}: {path / 'adapter_config.json'} is not a JSON object")
    if why := _unfit(config):
        raise UserError(f"{name}: the adapter {path} {why}, which vllm cannot apply: merge it into its base first")
    if not (path / WEIGHTS).is_file():
        raise UserError(f"{name}: the adapter {path} has no {WEIGHTS}; pickled weights are never read")
    with (path / WEIGHTS).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Adapter(folder=path, rank=int(config["r"]), sha256=digest)


def _unfit(config: dict[str, Any]) -> str:
    """Why vLLM cannot apply it; empty where it can."""
    kind = str(config.get("peft_type", ""))
    if kind.upper() != "LORA":
        return f"is of type {kind or 'unknown'}, not LORA"
    if config.get("use_dora"):
        return "uses DoRA"
    if config.get("modules_to_save"):
        return f"brings whole modules ({', '.join(config['modules_to_save'])})"
    if str(config.get("bias", "none")) != "none":
        return f"trains biases (bias={config['bias']!r})"
    if config.get("alpha_pattern") or config.get("rank_pattern"):
        return "has ranks or scales that differ between layers"
    rank = config.get("r")
    if not isinstance(rank, int) or not 1 <= rank <= RANKS[-1]:
        return f"has rank {rank!r}, not one of 1 to {RANKS[-1]}"
    return ""
