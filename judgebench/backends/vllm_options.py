"""What a user may set for a model run by vLLM, and the arguments that its engine is built with."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from judgebench.backends.checkpoint import CheckpointOptions
from judgebench.backends.options import read_options
from judgebench.errors import UserError
from judgebench.types import Model

PICKLED_FORMATS = ("pt", "npcache")
"""Load formats of vLLM that unpickle; refused."""


class VLLMOptions(CheckpointOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What ``--option NAME.key=value`` may set for a model run by vLLM."""

    adapter: str = ""
    """Folder of a LoRA adapter that is put on the model, as PEFT saves it; other adapters are merged first."""
    tensor_parallel_size: Annotated[int, msgspec.Meta(ge=1)] = 1
    """GPUs over which each layer is split."""
    gpu_memory_utilization: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    """Share of each GPU's memory for weights and cache; None is vLLM's own default."""
    max_model_len: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Most tokens of prompt and reply together; None is the model's own."""
    seed: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Seed of the engine; each request carries a seed of its own as well."""
    enforce_eager: bool = False
    """Without compiled graphs: starts sooner, runs slower."""
    quantization: str | None = None
    """Quantization method; None is what the checkpoint says."""
    load_format: str = "auto"
    """How weights are read; ``dummy`` makes random ones, for measurements of speed."""
    max_in_flight: Annotated[int, msgspec.Meta(ge=1)] = 4096
    """Most requests handed to the engine without having been answered."""
    engine: dict[str, Any] = msgspec.field(default_factory=dict)
    """Any further arguments of ``vllm.EngineArgs``."""


def read_vllm_options(model: Model) -> VLLMOptions:
    """The model's options, checked.

    Raises:
        UserError: one is unknown, of the wrong type or out of range; weights would be unpickled; an option of its own
            stands in ``engine``.
    """
    options = read_options(model, VLLMOptions)
    if options.load_format in PICKLED_FORMATS:
        raise UserError(f"model {model.name!r} (vllm): load_format={options.load_format!r} unpickles; refused")
    repeated = sorted(set(options.engine) & (set(VLLMOptions.__struct_fields__) - {"engine"}))
    if repeated:
        raise UserError(f"model {model.name!r} (vllm): {repeated[0]!r} is an option of its own, not one of 'engine'")
    return options


def engine_arguments(options: VLLMOptions) -> dict[str, Any]:
    """What the engine is built with, ``engine`` included and the adapter's apart; what is None is left to vLLM."""
    arguments = {
        "dtype": options.dtype,
        "trust_remote_code": options.trust_remote_code,
        "tensor_parallel_size": options.tensor_parallel_size,
        "gpu_memory_utilization": options.gpu_memory_utilization,
        "max_model_len": options.max_model_len,
        "seed": options.seed,
        "enforce_eager": options.enforce_eager,
        "quantization": options.quantization,
        "load_format": options.load_format,
    }
    return {name: value for name, value in arguments.items() if value is not None} | options.engine
