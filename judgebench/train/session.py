"""One training from its flags to ``models/NAME``: checked, resumed where it was killed, recorded."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from logging import getLogger
from pathlib import Path
from typing import Any

import msgspec

from judgebench.backends.checkpoint import Checkpoint, CheckpointOptions, load_tokenizer, require
from judgebench.errors import RunConflict, UserError
from judgebench.files import write_atomic
from judgebench.runs import Run
from judgebench.stages import settings as flags
from judgebench.stages.progress import say
from judgebench.train import record as records
from judgebench.train.adapters import MERGEABLE, adapter_config, merged, quantization, ranks
from judgebench.train.guard import Held
from judgebench.train.held_out import guarded
from judgebench.train.rows import Rows, keep_fitting
from judgebench.train.settings import TrainSettings, resolve

PACKAGES = ("torch", "transformers", "accelerate", "datasets", "trl", "peft")

FREE = ("name", "save_every", "log_every")
"""Settings that may change between a training and its going on."""


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
            tokenizer.chat_template = _template(self.settings.chat_template)
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
            "max_grad_norm": settings.clip,
            "logging_steps": settings.log_every,
            "logging_first_step": True,
            "logging_nan_inf_filter": False,
            "save_strategy": "no" if settings.peft == "adalora" else "steps",  # PEFT cannot go on with pruned ranks
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
    kind: str = "AutoModelForCausalLM"
    """Class of transformers that the result is."""


def train(args: argparse.Namespace, recipe: Recipe) -> int:
    """Trains and writes ``models/NAME``; a training that was killed goes on from its last whole checkpoint.

    Returns:
        0; exit codes of errors are theirs.

    Raises:
        UserError: a setting, the data or the model is not fit; the loss is no number; memory ran out.
        RunConflict: a model of that name was trained, or is being trained, in another way.
    """
    settings = resolve(args)
    require(PACKAGES, "train")
    checkpoint = open_parent(settings)
    rows = recipe.read(settings, args)
    run = Run(flags.run_path(args.run), create=True)
    own = {name: getattr(args, name) for name in recipe.options}
    rows, held = guarded(rows, run, args, settings.data, checkpoint.folder if checkpoint.local else None)
    plan = {**_plan(recipe, settings, checkpoint, rows, own), **_overlapping(held)}
    target = run.path / "models" / settings.name
    if target.exists():
        done = records.read_record(target)
        if done is None:
            raise RunConflict(f"{target} was not made by a training stage; take another --name")
        records.same_plan(target, _plan_of(done), plan)
        records.enter(run, done)
        say(f"{settings.name}: trained already, {done.steps} steps, in {target}", quiet=args.quiet)
        return 0
    work = target.with_name(f".{settings.name}.training")
    with _alone(work), quiet_libraries():
        _begin(work, plan)
        job = Job(settings, checkpoint, work, quiet=args.quiet)
        with job.held:
            made = _trained(job, recipe, rows, args)
            for say_so in job.closing:
                job.note(say_so())
        partial = target.with_name(f".{settings.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        whole = _save(job, made, partial)
        record = _record(job, recipe, rows, plan, made, whole)
        record = msgspec.structs.replace(record, contamination=msgspec.to_builtins(held))
        for file in job.kept:
            shutil.copy(file, partial / file.name)
        records.write_record(partial, record)
        partial.rename(target)
    shutil.rmtree(work, ignore_errors=True)
    records.enter(run, record)
    first, last = record.loss["first"], record.loss["last"]
    losses = f"loss {first:.4f} → {last:.4f}" if first is not None and last is not None else "no loss logged"
    left = "".join(f", {count} {why} dropped" for why, count in record.dropped.items())
    say(f"{settings.name}: {record.steps} steps on {record.used} rows{left}, {losses}, in {target}", quiet=args.quiet)
    return 0


def open_parent(settings: TrainSettings) -> Checkpoint:
    """The checked parent.

    Raises:
        UserError: it is not a checkpoint that can be trained.
    """
    model = flags.parse_model(settings.model)
    if model.backend not in ("hf", "vllm"):
        raise UserError(f"--model {settings.model}: only a checkpoint can be trained, hf/FOLDER or hf/HUB-NAME")
    return Checkpoint(msgspec.structs.replace(model, backend="hf"), CheckpointOptions())


def _plan(
    recipe: Recipe, settings: TrainSettings, checkpoint: Checkpoint, rows: Rows, own: dict[str, Any]
) -> dict[str, Any]:
    """All that decides the weights, as JSON values."""
    decides = {key: value for key, value in msgspec.structs.asdict(settings).items() if key not in (*FREE, "data")}
    if settings.chat_template:
        decides["chat_template"] = _template(settings.chat_template)
    plan = {
        "stage": recipe.stage, **decides, **own, "data_sha256": rows.sha256, "parent_weights": checkpoint.weights,
    }  # fmt: skip
    decoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(plan))
    return decoded


def _plan_of(done: records.TrainingRecord) -> dict[str, Any]:
    return {
        "stage": done.stage,
        **done.settings,
        "data_sha256": done.data_sha256,
        "parent_weights": done.parent_weights,
    }


def _overlapping(held: Held) -> dict[str, Any]:
    """Which rows the guard kept out or let in, for the plan; nothing where there are none."""
    found = {"kept_out": [each["row"] for each in held.dropped], "let_in": [each["row"] for each in held.let_in]}
    return {key: value for key, value in found.items() if value}


def _begin(work: Path, plan: dict[str, Any]) -> None:
    """Writes the plan of a new training, or checks it against that of the one begun here."""
    file = work / "plan.json"
    if file.is_file():
        records.same_plan(work, msgspec.json.decode(file.read_bytes()), plan)
    else:
        write_atomic(file, msgspec.json.encode(plan))


def _trained(job: Job, recipe: Recipe, rows: Rows, args: argparse.Namespace) -> Any:
    """The trainer, after its training."""
    from transformers import PrinterCallback, set_seed

    from judgebench.train.watch import Watch, step_of, stop_at_nan, whole_checkpoints

    set_seed(job.settings.seed)  # new weights are drawn while the model is loaded
    trainer = _within_memory(job.settings, lambda: recipe.build(job, rows, args))
    _drop_long(job, recipe, rows, trainer)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Watch(f"{recipe.stage} {job.settings.name}", quiet=job.quiet))
    stop_at_nan(trainer, job.work)
    found = whole_checkpoints(job.work)
    if found:
        say(f"{job.settings.name}: goes on from step {step_of(found[-1])}", quiet=job.quiet)
    _within_memory(job.settings, lambda: trainer.train(resume_from_checkpoint=str(found[-1]) if found else None))
    return trainer


def _drop_long(job: Job, recipe: Recipe, rows: Rows, trainer: Any) -> None:
    """Takes out of the trainer the rows that do not fit, counted; nothing is cut.

    Raises:
        UserError: none is left.
    """
    limit = job.settings.max_length or job.checkpoint.context
    if limit and not job.settings.max_length and job.settings.peft in ("prefix", "prompt"):
        limit -= job.settings.virtual_tokens  # they stand in the context too
    data = trainer.train_dataset
    kept = keep_fitting(data, recipe.length, limit, rows.dropped)
    if not kept:
        raise UserError(f"--data {job.settings.data}: every row is longer than {limit} tokens")
    if len(kept) < len(data):
        trainer.train_dataset = data.select(kept)


def _save(job: Job, trainer: Any, folder: Path) -> bool:
    """Writes model and tokenizer; True where the weights are whole, False where they are an adapter's."""
    import torch

    model = trainer.accelerator.unwrap_model(trainer.model)
    adapted = job.settings.peft != "none"
    whole = not adapted or (job.settings.merge and job.settings.peft in MERGEABLE)
    if adapted and whole:
        model = merged(model, job.settings, job.folder)
    declared = getattr(torch, job.checkpoint.dtype, None)
    if whole and isinstance(declared, torch.dtype):
        model = model.to(declared)
    if not whole:
        model.peft_config["default"].base_model_name_or_path = os.path.relpath(
            job.folder, folder.parent / job.settings.name
        ) if job.checkpoint.local else job.checkpoint.name.removeprefix("hf/")  # fmt: skip
    model.save_pretrained(folder, safe_serialization=True)
    job.saved_tokenizer().save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    return whole


def _record(
    job: Job, recipe: Recipe, rows: Rows, plan: dict[str, Any], trainer: Any, whole: bool
) -> records.TrainingRecord:
    settings = job.settings
    log = [
        {key: float(value) for key, value in entry.items() if isinstance(value, (int, float))}
        for entry in trainer.state.log_history
    ]
    losses = [entry["loss"] for entry in log if "loss" in entry]
    if settings.peft == "adalora":
        left = ranks(trainer.accelerator.unwrap_model(trainer.model))
        if left:
            job.note(f"AdaLoRA's ranks: {sum(left.values())} over {len(left)} matrices, {min(left.values())} to "
                     f"{max(left.values())}")  # fmt: skip
    apart = ("stage", "data_sha256", "parent_weights")
    return records.TrainingRecord(
        name=settings.name, stage=recipe.stage, parent=settings.model, parent_weights=plan["parent_weights"],
        data=settings.data, data_sha256=rows.sha256, rows=rows.read, used=len(trainer.train_dataset),
        dropped=rows.dropped, settings={key: value for key, value in plan.items() if key not in apart},
        seed=settings.seed, steps=trainer.state.global_step, log=log,
        loss={"first": losses[0] if losses else None, "last": losses[-1] if losses else None}, peft=settings.peft,
        merged=whole, notes=tuple(job.notes), versions=records.versions(),
    )  # fmt: skip


def _within_memory(settings: TrainSettings, work: Callable[[], Any]) -> Any:
    """What the work gives back.

    Raises:
        UserError: memory ran out; says what to lower.
    """
    import torch

    try:
        return work()
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise UserError(_lower(settings)) from error
    except RuntimeError as error:
        if "DefaultCPUAllocator" not in str(error):
            raise
        raise UserError(_lower(settings)) from error


def _lower(settings: TrainSettings) -> str:
    peft = ", train an adapter (--peft lora, or qlora)" if settings.peft == "none" else ""
    save = ", keep fewer activations (--checkpointing)" if not settings.checkpointing else ""
    return (
        f"out of memory: lower --batch-size (now {settings.batch_size}; raise --accumulate by as much for the same "
        f"steps) or --max-length (now {settings.max_length or 'the context'}){save}{peft}; whole checkpoints are kept"
    )


@contextlib.contextmanager
def _alone(work: Path) -> Iterator[None]:
    """Within it no other process trains the same model.

    Raises:
        RunConflict: another one does.
    """
    work.mkdir(parents=True, exist_ok=True)
    with (work / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunConflict(f"{work} is being trained by another process") from None
        yield


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Within it the training libraries show no bars, tell nobody what is trained, and log only errors."""
    import datasets
    import huggingface_hub.constants
    from transformers.utils import logging

    os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
    getLogger("bitsandbytes").setLevel("ERROR")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    before = huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY
    level, bars, shown = (
        logging.get_verbosity(),
        logging.is_progress_bar_enabled(),
        datasets.are_progress_bars_disabled(),
    )
    huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY = True
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    datasets.disable_progress_bars()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY = before
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
        if not shown:
            datasets.enable_progress_bars()


def dataset(rows: Sequence[Mapping[str, Any]]) -> Any:
    """The rows as the ``datasets.Dataset`` that TRL takes."""
    from datasets import Dataset

    return Dataset.from_list([dict(row) for row in rows])


def _as_messages(column: str, value: Any) -> Any:
    role = {"prompt": "user", "completion": "assistant", "chosen": "assistant", "rejected": "assistant"}.get(column)
    return [{"role": role, "content": value}] if role and isinstance(value, str) else value


def _template(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--chat-template {file}: cannot be read: {error}") from error
