"""Adapters by one option: what PEFT is told, and what is written in the end."""

from __future__ import annotations

from typing import Any

from judgebench.errors import UserError
from judgebench.train.settings import TrainSettings

MERGEABLE = ("lora", "qlora", "adalora", "dora", "ia3")
"""Kinds whose weights can become part of the model's own (the others add positions, not weights)."""

SCALED = ("lora", "qlora", "adalora", "dora")
"""Kinds with a rank and a scale."""


def adapter_config(settings: TrainSettings, *, task: str = "CAUSAL_LM") -> Any:
    """The ``peft`` configuration of an adapter, None where all weights are trained.

    LoRA: Hu et al. 2021 (arXiv 2106.09685). QLoRA: Dettmers et al. 2023 (2305.14314). AdaLoRA: Zhang et al. 2023
    (2303.10512); it begins at 1.5 times the rank asked for and ends at the rank on average. DoRA: Liu et al. 2024
    (2402.09353). Prefix tuning: Li & Liang 2021 (2101.00190). Prompt tuning: Lester et al. 2021 (2104.08691). IA3: Liu
    et al. 2022 (2205.05638).

    Args:
        settings: ``peft`` and its numbers.
        task: PEFT's name of the task, ``CAUSAL_LM`` or ``SEQ_CLS``.
    """
    if settings.peft == "none":
        return None
    import peft

    shared = {"task_type": task}
    if settings.peft in ("prefix", "prompt"):
        kind = peft.PrefixTuningConfig if settings.peft == "prefix" else peft.PromptTuningConfig
        return kind(num_virtual_tokens=settings.virtual_tokens, **shared)
    if settings.peft == "ia3":
        return peft.IA3Config(target_modules="all-linear", feedforward_modules=[], **shared)
    scale = {"lora_alpha": settings.alpha or 2 * settings.rank, "lora_dropout": settings.dropout}
    if settings.peft == "adalora":
        return peft.AdaLoraConfig(
            target_r=settings.rank, init_r=settings.rank + (settings.rank + 1) // 2, total_step=1,
            target_modules="all-linear", **scale, **shared,
        )  # fmt: skip
    return peft.LoraConfig(
        r=settings.rank, use_dora=settings.peft == "dora", target_modules="all-linear", **scale, **shared
    )


def quantization(settings: TrainSettings) -> Any:
    """The nf4 quantisation of QLoRA, itself quantised, by bitsandbytes; None for other kinds.

    Raises:
        UserError: bitsandbytes is not installed.
    """
    if settings.peft != "qlora":
        return None
    import importlib.util

    if importlib.util.find_spec("bitsandbytes") is None:
        raise UserError("--peft qlora needs the package 'bitsandbytes': pip install 'judgebench[train]'")
    import torch
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16 if settings.dtype == "bfloat16" else torch.float32,
    )  # fmt: skip


def merged(model: Any, settings: TrainSettings, folder: str) -> Any:
    """The model with its adapter in its weights; for QLoRA in the base's own weights, not in the quantised ones.

    Args:
        model: a PEFT model.
        settings: ``peft``.
        folder: of the base.
    """
    if settings.peft != "qlora":
        return model.merge_and_unload(safe_merge=True)
    import tempfile

    import peft

    with tempfile.TemporaryDirectory() as kept:
        model.save_pretrained(kept)
        quantized = model.get_base_model()
        scores = model.peft_config["default"].task_type == "SEQ_CLS"
        more = {"num_labels": quantized.config.num_labels} if scores else {}
        base = type(quantized).from_pretrained(folder, dtype="float32", local_files_only=True, **more)
        return peft.PeftModel.from_pretrained(base, kept).merge_and_unload(safe_merge=True)
