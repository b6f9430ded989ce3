"""What every training stage can be told: its flags, and the checked form of them."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal, get_args

import msgspec

from judgebench.errors import UserError
from judgebench.stages import settings as flags
from judgebench.train.held_out import add_guard

Peft = Literal["none", "lora", "qlora", "adalora", "dora", "prefix", "prompt", "ia3"]
Schedule = Literal["linear", "cosine", "constant"]
Count = Annotated[int, msgspec.Meta(ge=1)]


class TrainSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings that all training stages share; each field is the flag of that name."""

    model: str
    """The model trained, ``hf/FOLDER`` or ``hf/HUB-NAME``."""
    data: str
    """JSON Lines with the stage's columns."""
    name: str
    """Name of the new model: it is written to ``models/NAME`` of the run."""
    epochs: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    """Passes over the data; not used where ``steps`` is given."""
    steps: Count | None = None
    """Optimizer steps in all."""
    batch_size: Count = 8
    """Rows of one step before accumulation."""
    accumulate: Count = 1
    """Batches whose gradients make one step."""
    learning_rate: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """Highest learning rate of AdamW; None is the stage's own."""
    schedule: Schedule = "linear"
    """How the learning rate falls after its warm-up."""
    warmup: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.0
    """Share of the steps over which the learning rate rises."""
    weight_decay: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Of AdamW."""
    adam_beta2: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.999
    """What AdamW keeps of its mean squared gradients at each step; 0.95 to 0.99 forget sooner, for short trainings."""
    clip: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    """Largest norm of a gradient."""
    max_length: Count | None = None
    """Rows of more tokens are dropped and counted; None is the model's context."""
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)] = 0
    """Of the order of rows, dropout and new weights."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number format in training; auto is bfloat16 on a GPU that has it, else float32."""
    device: Literal["auto", "cpu"] = "auto"
    """Where it runs; auto is the GPU where there is one."""
    checkpointing: bool = False
    """Compute activations again in the backward pass instead of keeping them: less memory, about a fifth slower."""
    chat_template: str = ""
    """Jinja file that becomes the model's chat template."""
    form: Literal["auto", "chat", "text"] = "auto"
    """Texts as a question and its reply in the chat template, or as they stand; auto is chat where there is one."""
    peft: Peft = "none"
    """Which weights are trained: all, or those of an adapter."""
    rank: Count = 16
    """Rank of LoRA and its kin; AdaLoRA's target rank on average."""
    alpha: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """Scale of LoRA and its kin; None is twice the rank."""
    dropout: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.0
    """Dropout of LoRA and its kin."""
    virtual_tokens: Count = 20
    """Virtual tokens of prefix and prompt tuning."""
    merge: bool = True
    """Whether an adapter that can be merged is merged into the weights written."""
    save_every: Count = 100
    """Steps between two checkpoints from which a killed training goes on."""
    log_every: Count = 10
    """Steps between two losses recorded."""


def add_training(parser: argparse.ArgumentParser) -> None:
    """Adds RUN and the flags that all training stages share."""
    flags.add_run(parser)
    parser.add_argument("--model", required=True, metavar="hf/ID", help="the model trained: a folder or a hub name")
    parser.add_argument("--data", required=True, metavar="FILE", help="JSON Lines with this stage's columns")
    parser.add_argument("--name", required=True, metavar="NAME", help="the new model, written to RUN/models/NAME")
    group = parser.add_argument_group("training")
    group.add_argument("--epochs", type=float, metavar="N", help="passes over the data (default 1)")
    group.add_argument("--steps", type=int, metavar="N", help="optimizer steps in all, instead of --epochs")
    group.add_argument("--batch-size", type=int, metavar="N", help="rows of a batch (default 8)")
    group.add_argument("--accumulate", type=int, metavar="N", help="batches of a step (default 1)")
    group.add_argument("--learning-rate", type=float, metavar="X", help="highest, of AdamW (default: the stage's own)")
    group.add_argument("--schedule", choices=get_args(Schedule), help="of the learning rate (default linear)")
    group.add_argument("--warmup", type=float, metavar="SHARE", help="share of steps it rises (default 0)")
    group.add_argument("--weight-decay", type=float, metavar="X", help="of AdamW (default 0)")
    group.add_argument("--adam-beta2", type=float, metavar="X", help="its second decay rate (default 0.999)")
    group.add_argument("--clip", type=float, metavar="NORM", help="largest norm of a gradient (default 1)")
    group.add_argument("--max-length", type=int, metavar="TOKENS",
                       help="longer rows are dropped and counted (default: the model's context)")  # fmt: skip
    group.add_argument("--dtype", choices=("auto", "float32", "bfloat16"), help="number format in training")
    group.add_argument("--device", choices=("auto", "cpu"), help="where it runs (default: the GPU where there is one)")
    group.add_argument("--checkpointing", action="store_const", const=True, help="less memory, about a fifth slower")
    group.add_argument("--chat-template", metavar="FILE", help="Jinja file that becomes the model's chat template")
    group.add_argument("--form", choices=("auto", "chat", "text"),
                       help="texts in the chat template, or as they are (default: where there is one)")  # fmt: skip
    group.add_argument(
        "--save-every", type=int, metavar="STEPS", help="between checkpoints to go on from (default 100)"
    )
    group.add_argument("--log-every", type=int, metavar="STEPS", help="between losses recorded (default 10)")
    group.add_argument("--seed", type=int, metavar="N", help="of the order of rows and of new weights (default 0)")
    group.add_argument("--quiet", action="store_true", help="no progress")
    add_guard(parser)
    group = parser.add_argument_group("adapters")
    group.add_argument("--peft", choices=get_args(Peft), help="train an adapter instead of all weights (default none)")
    group.add_argument("--rank", type=int, metavar="N", help="of LoRA and its kin (default 16)")
    group.add_argument("--alpha", type=float, metavar="X", help="scale of LoRA and its kin (default twice the rank)")
    group.add_argument("--dropout", type=float, metavar="P", help="of LoRA and its kin (default 0)")
    group.add_argument("--virtual-tokens", type=int, metavar="N", help="of prefix and prompt tuning (default 20)")
    group.add_argument("--no-merge", dest="merge", action="store_const", const=False, help="keep the adapter apart")


def refuse_beta(args: argparse.Namespace) -> None:
    """Nothing, where ``--beta`` is a strength that a loss can have.

    Raises:
        UserError: it is not above 0.
    """
    if not args.beta > 0:
        raise UserError(f"--beta {args.beta}: must be above 0")


def refuse_adapters(settings: TrainSettings, kinds: Sequence[str], why: str) -> None:
    """Nothing, where the adapter asked for is none of those that a stage cannot train.

    Raises:
        UserError: it is one.
    """
    if settings.peft in kinds:
        raise UserError(f"--peft {settings.peft}: {why}")


def refuse_odd(args: argparse.Namespace, names: Sequence[str]) -> None:
    """Nothing, where every number among a stage's own flags is finite.

    Raises:
        UserError: one is not.
    """
    for name in names:
        value = getattr(args, name)
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"--{name.replace('_', '-')} {value}: must be a finite number")


def resolve(args: argparse.Namespace) -> TrainSettings:
    """The checked settings out of parsed flags; flags not given are None and take the default.

    Raises:
        UserError: a number is out of its range; the name of the new model is no name.
    """
    known = TrainSettings.__struct_fields__
    given: dict[str, Any] = {name: value for name in known if (value := getattr(args, name, None)) is not None}
    for name, value in given.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"--{name.replace('_', '-')} {value}: must be a finite number")
        try:
            field = {each.name: each for each in msgspec.structs.fields(TrainSettings)}[name]
            msgspec.convert(value, field.type)
        except msgspec.ValidationError as error:
            raise UserError(f"--{name.replace('_', '-')} {value}: {str(error)[:1].lower()}{str(error)[1:]}") from error
    settings = TrainSettings(**given)
    if (
        not settings.name
        or settings.name.startswith(".")
        or set(settings.name) & set("/\\@|:")
        or not settings.name.isprintable()
    ):
        raise UserError(f"--name {settings.name!r}: a name without a leading dot, '/', '@', '|' or ':' is meant")
    return settings
