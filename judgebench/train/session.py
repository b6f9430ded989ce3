"""One training from its flags to ``models/NAME``: checked, resumed where it was killed, recorded."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from judgebench.backends.checkpoint import Checkpoint, CheckpointOptions, require
from judgebench.errors import RunConflict, UserError
from judgebench.runs import Run
from judgebench.stages import settings as flags
from judgebench.stages.named_models import parse_model
from judgebench.stages.progress import say
from judgebench.train import record as records
from judgebench.train.guard import Held
from judgebench.train.held_out import guarded
from judgebench.train.job import Job, Recipe
from judgebench.train.limits import within_limits
from judgebench.train.plan import begin, plan_of, plan_of_record
from judgebench.train.quiet import quiet_libraries
from judgebench.train.result import record_of, write_model
from judgebench.train.rows import Rows, keep_fitting
from judgebench.train.settings import TrainSettings, refuse_odd, resolve

PACKAGES = ("torch", "transformers", "accelerate", "datasets", "trl", "peft")


def train(args: argparse.Namespace, recipe: Recipe) -> int:
    """Trains and writes ``models/NAME``; a training that was killed goes on from its last whole checkpoint.

    Returns:
        0; exit codes of errors are theirs.

    Raises:
        UserError: a setting, the data or the model is not fit; the loss is no number; memory or disk ran out.
        RunConflict: a model of that name was trained, or is being trained, in another way.
    """
    settings = resolve(args)
    require(PACKAGES, "train")
    refuse_odd(args, recipe.options)
    checkpoint = open_parent(settings)
    room_of(settings, checkpoint)
    rows = recipe.read(settings, args)
    run = Run(flags.run_path(args.run), create=True)
    own = {name: getattr(args, name) for name in recipe.options}
    rows, held = guarded(rows, run, args, settings.data, checkpoint.folder if checkpoint.local else None)
    plan = plan_of(recipe.stage, settings, own, checkpoint, rows, held)
    target = run.path / "models" / settings.name
    work = target.with_name(f".{settings.name}.training")
    if target.exists():
        done = records.read_record(target)
        if done is None:
            raise RunConflict(f"{target} was not made by a training stage; take another --name")
        records.same_plan(target, plan_of_record(done), plan)
        records.enter(run, done)
        shutil.rmtree(work, ignore_errors=True)  # left where a kill came between the two last steps
        say(f"{settings.name}: trained already, {done.steps} steps, in {target}", quiet=args.quiet)
        return 0
    with _alone(work), quiet_libraries():
        changed = begin(work, plan)
        job = Job(settings, checkpoint, work, quiet=args.quiet)
        if changed:
            job.note(changed)
        with within_limits(settings, work):
            with job.held:
                trainer = _trained(job, recipe, rows, args, partial(_describe, job, recipe.stage, rows, held, plan))
                for say_so in job.closing:
                    job.note(say_so())
            record = write_model(job, recipe.stage, rows, held, plan, trainer, target)
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
    model = parse_model(settings.model)
    if model.backend not in ("hf", "vllm"):
        raise UserError(f"--model {settings.model}: only a checkpoint can be trained, hf/FOLDER or hf/HUB-NAME")
    return Checkpoint(msgspec.structs.replace(model, backend="hf"), CheckpointOptions())


def room_of(settings: TrainSettings, checkpoint: Checkpoint) -> int | None:
    """Most tokens of a row, None where the parent's context is not known.

    Raises:
        UserError: rows may be longer than the context, or virtual tokens leave no room in it.
    """
    context, limit = checkpoint.context, settings.max_length
    if context and settings.peft in ("prefix", "prompt"):
        context -= settings.virtual_tokens  # they stand in the context too
        if context < 1:
            raise UserError(f"--virtual-tokens {settings.virtual_tokens}: the context has {checkpoint.context} tokens")
    if context and limit and limit > context:
        raise UserError(f"--max-length {limit}: the model's context has room for {context} tokens")
    return limit or context


def _describe(
    job: Job, stage: str, rows: Rows, held: Held, plan: dict[str, Any], trainer: Any, checkpoint: Path
) -> None:  # fmt: skip
    """Writes the record of a checkpoint into it: what it was trained on is known of whoever asks or trains it."""
    made = record_of(job, stage, rows, held, plan, trainer, job.settings.peft == "none")
    note = f"the checkpoint of step {made.steps} of a training that had not ended"
    records.write_record(checkpoint, msgspec.structs.replace(made, notes=(*made.notes, note)))


def _trained(
    job: Job, recipe: Recipe, rows: Rows, args: argparse.Namespace, describe: Callable[[Any, Path], None]
) -> Any:  # fmt: skip
    """The trainer, after its training.

    Args:
        job: of the training.
        recipe: of its stage.
        rows: to train on.
        args: the stage's flags.
        describe: writes the record of a trainer's checkpoint into its folder.
    """
    from transformers import PrinterCallback, set_seed

    from judgebench.train.rank_allocation import RankAllocation
    from judgebench.train.watch import Watch, step_of, stop_at_nan, whole_checkpoints

    set_seed(job.settings.seed)  # new weights are drawn while the model is loaded
    trainer = _built(job, recipe, rows, args)
    _drop_long(job, recipe, rows, trainer)
    trainer.remove_callback(PrinterCallback)
    if job.settings.peft == "adalora":
        trainer.add_callback(RankAllocation())
    trainer.add_callback(
        Watch(f"{recipe.stage} {job.settings.name}", quiet=job.quiet, describe=partial(describe, trainer))
    )
    stop_at_nan(trainer, job.work)
    found = whole_checkpoints(job.work)
    if found:
        say(f"{job.settings.name}: goes on from step {step_of(found[-1])}", quiet=job.quiet)
    trainer.train(resume_from_checkpoint=str(found[-1]) if found else None)
    return trainer


def _built(job: Job, recipe: Recipe, rows: Rows, args: argparse.Namespace) -> Any:
    """The trainer, its rows tokenised.

    Raises:
        UserError: the chat template is broken, or refuses a row.
    """
    from jinja2 import TemplateError, TemplateSyntaxError

    try:
        return recipe.build(job, rows, args)
    except TemplateError as error:
        whose = f"--chat-template {job.settings.chat_template}" if job.settings.chat_template else job.checkpoint.name
        what = "is no template" if isinstance(error, TemplateSyntaxError) else "its chat template refuses a row"
        raise UserError(f"{whose}: {what}: {' '.join(str(error).split())[:200]}") from error


def _drop_long(job: Job, recipe: Recipe, rows: Rows, trainer: Any) -> None:
    """Takes out of the trainer the rows that do not fit, counted; nothing is cut.

    Raises:
        UserError: none is left.
    """
    limit = room_of(job.settings, job.checkpoint)
    data = trainer.train_dataset
    kept = keep_fitting(data, recipe.length, limit, rows.dropped)
    if not kept:
        raise UserError(f"--data {job.settings.data}: every row is longer than {limit} tokens")
    if len(kept) < len(data):
        trainer.train_dataset = data.select(kept)


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
