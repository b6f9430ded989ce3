"""What a training stage builds its trainer from: the parent's weights and tokenizer, the rows as TRL takes them."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from judgebench.backends.checkpoint import Checkpoint, load_tokenizer
from judgebench.errors import UserError
from judgebench.stages.progress import say
from judgebench.train.adapters import adapter_config, quantization
from judgebench.train.limits import memory_ran_out
from judgebench.train.rows import Rows
from judgebench.train.settings import TrainSettings


class Job:
    """What a recipe may build its trainer from.

    Args:
        settings: the shared ones.
        checkpoint: the parent.
        work: folder of checkpoints while it trains.
        quiet: say nothing.

    A recipe may put on ``held`` what is to be closed after training, on ``closing`` what then gives a note, and on
    ``kept`` files that are to lie beside the weights.
    """

    def __init__(self, settings: TrainSettings, checkpoint: Checkpoint, work: Path, *, quiet: bool) -> None:
        self.settings, self.checkpoint, self.work, self.quiet = settings, checkpoint, work, quiet
        self.notes: list[str] = []
        self.held = contextlib.ExitStack()
        self.closing: list[Callable[[], str]] = []
        self.kept: list[Path] = []
        self.tokenizer = self._tokenizer()
        if self.tokenizer.eos_token is None:
            raise UserError(f"{checkpoint.name}: its tokenizer has no end token, so no answer could be learned to end")
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token

    @property
    def folder(self) -> str:
        """The parent's folder."""
        return str(self.checkpoint.folder)

    def note(self, text: str) -> None:
        """Says something aloud and keeps it for the record."""
        if text not in self.notes:
            self.notes.append(text)
            say(f"note: {text}", quiet=self.quiet)

    def _tokenizer(self) -> Any:
        tokenizer = load_tokenizer(self.checkpoint, trust_remote_code=False)
        if self.settings.chat_template:
            tokenizer.chat_template = template_text(self.settings.chat_template)
        return tokenizer

    def saved_tokenizer(self) -> Any:
        """The parent's tokenizer as it was, with the chat template where one was given."""
        return self._tokenizer()

    def model(self, kind: str = "AutoModelForCausalLM", **more: Any) -> Any:
        """The parent's weights, in the number format of the training.

        Args:
            kind: class of transformers that loads it.
            more: further arguments of its ``from_pretrained``.

        Raises:
            UserError: it cannot be loaded.
        """
        import transformers

        quantized = quantization(self.settings)
        if quantized is not None:
            more = {**more, "quantization_config": quantized, "device_map": {"": 0} if self.on_gpu else {"": "cpu"}}
        small = self.half and self.settings.peft != "none"
        try:
            return getattr(transformers, kind).from_pretrained(
                self.folder, dtype="bfloat16" if small else "float32", local_files_only=True, use_safetensors=True,
                **more,
            )  # fmt: skip
        except (OSError, ValueError, RuntimeError, ImportError) as error:
            if memory_ran_out(error):
                raise
            reason = " ".join(str(error).split())[:300]
            raise UserError(f"{self.checkpoint.name}: the model cannot be loaded: {reason}") from error

    @property
    def on_gpu(self) -> bool:
        """Whether it trains on a GPU."""
        import torch

        return self.settings.device == "auto" and torch.cuda.is_available()

    @property
    def half(self) -> bool:
        """Whether it computes in bfloat16."""
        import torch

        if self.settings.dtype != "auto":
            return self.settings.dtype == "bfloat16"
        return self.on_gpu and torch.cuda.is_bf16_supported()

    def peft(self, task: str = "CAUSAL_LM") -> Any:
        """The adapter's configuration, None where all weights are trained."""
        return adapter_config(self.settings, task=task)

    def chat(self, rows: Rows) -> list[dict[str, Any]]:
        """The rows as TRL is to see them: texts as messages where they are to go through the chat template.

        Raises:
            UserError: messages, or ``--form chat``, and no chat template.
        """
        has = bool(self.tokenizer.chat_template)
        if (rows.messages or self.settings.form == "chat") and not has:
            raise UserError(
                f"{self.checkpoint.name} has no chat template, which messages need: give one (--chat-template FILE), "
                "or train on texts (prompt and completion, or prompt, chosen and rejected)"
            )
        if rows.messages or not has or self.settings.form == "text":
            if rows.messages and self.settings.form == "text":
                raise UserError("--form text: the data are messages, which only a chat template makes into text")
            return rows.rows
        self.note(
            "texts go through the model's chat template, as when it is asked; --form text leaves them as they are"
        )
        return [{key: _as_messages(key, value) for key, value in row.items()} for row in rows.rows]

    def arguments(self, learning_rate: float) -> dict[str, Any]:
        """The arguments that all trainers share."""
        settings = self.settings
        return {
            "output_dir": str(self.work),
            "per_device_train_batch_size": settings.batch_size,
            "gradient_accumulation_steps": settings.accumulate,
            "num_train_epochs": settings.epochs,
            "max_steps": settings.steps or -1,
            "learning_rate": settings.learning_rate or learning_rate,
            "lr_scheduler_type": settings.schedule,
            "warmup_steps": settings.warmup,
            "weight_decay": settings.weight_decay,
            "adam_beta2": settings.adam_beta2,
            "max_grad_norm": settings.clip,
            "logging_steps": settings.log_every,
            "logging_first_step": True,
            "logging_nan_inf_filter": False,
            "save_strategy": "steps",
            "save_steps": settings.save_every,
            "seed": settings.seed,
            "data_seed": settings.seed,
            "bf16": self.half,
            "use_cpu": not self.on_gpu,
            "gradient_checkpointing": settings.checkpointing,
            "report_to": "none",
            "disable_tqdm": True,
            "dataloader_pin_memory": self.on_gpu,
        }


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """What tells one training stage from another."""

    stage: str
    """Its name."""
    read: Callable[[TrainSettings, argparse.Namespace], Rows]
    """Settings and flags → the checked rows."""
    build: Callable[[Job, Rows, argparse.Namespace], Any]
    """Makes the TRL trainer, its rows tokenised and not cut."""
    length: Callable[[Mapping[str, Any]], int]
    """Tokens of a tokenised row."""
    options: tuple[str, ...] = ()
    """The stage's own flags, by their name in the parsed arguments."""


def dataset(rows: Sequence[Mapping[str, Any]]) -> Any:
    """The rows as the ``datasets.Dataset`` that TRL takes."""
    from datasets import Dataset

    return Dataset.from_list([dict(row) for row in rows])


def template_text(file: str) -> str:
    """The text of a chat template's file.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--chat-template {file}: cannot be read: {error}") from error


def _as_messages(column: str, value: Any) -> Any:
    role = {"prompt": "user", "completion": "assistant", "chosen": "assistant", "rejected": "assistant"}.get(column)
    return [{"role": role, "content": value}] if role and isinstance(value, str) else value
