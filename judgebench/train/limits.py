"""What a machine runs out of while it trains, memory or disk: told from other faults, and said in one line."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from judgebench.errors import UserError
from judgebench.train.settings import TrainSettings

_NO_MEMORY = ("DefaultCPUAllocator", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "Cannot allocate memory")
"""What libraries say of memory in errors that are of no class of their own."""
_NO_SPACE = ("No space left on device", "File too large", "Disk quota exceeded", "PytorchStreamWriter failed writing",
             "unexpected pos ")  # fmt: skip
"""What they say of a disk; the last two are all that a torch archive says that was not written to its end."""


def memory_ran_out(error: BaseException) -> bool:
    """Whether a fault is one of memory, on the processor or on a GPU."""
    import torch

    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _NO_MEMORY)


def disk_ran_out(error: BaseException) -> bool:
    """Whether a fault is one of a disk that is full, or of a quota on it."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return True
    return any(words in str(error) for words in _NO_SPACE)


@contextlib.contextmanager
def within_limits(settings: TrainSettings, work: Path) -> Iterator[None]:
    """Within it a lack of memory or disk ends the command in one line.

    Args:
        settings: of the training; the line names what to lower.
        work: folder of its checkpoints; the line names the one that is kept.

    Raises:
        UserError: memory or disk ran out.
    """
    try:
        yield
    except Exception as error:
        if memory_ran_out(error):
            raise UserError(f"out of memory: {lower(settings)}; {kept(work)}") from error
        if disk_ran_out(error):
            raise UserError(f"the disk is full: {work.parent} could not be written to; {kept(work)}") from error
        raise


def lower(settings: TrainSettings) -> str:
    """What to lower where memory ran out.

    >>> lower(TrainSettings(model="hf/m", data="d", name="x", batch_size=1, peft="lora", checkpointing=True))
    'lower --max-length (now the context)'
    """
    rows, length = settings.batch_size, settings.max_length or "the context"
    ways = []
    if rows > 1:
        ways.append(f"--batch-size (now {rows}; raise --accumulate, now {settings.accumulate}, by as much for the same "
                    "steps)")  # fmt: skip
    ways.append(f"--max-length (now {length})")
    more = [] if settings.checkpointing else ["keep fewer activations (--checkpointing)"]
    if settings.peft == "none":
        more.append("train an adapter (--peft lora, or qlora)")
    return "".join([f"lower {' or '.join(ways)}", *(f", {way}" for way in more)])


def kept(work: Path) -> str:
    """Which checkpoint is kept."""
    from judgebench.train.watch import step_of, whole_checkpoints

    good = whole_checkpoints(work)
    if not good:
        return "there was no checkpoint yet"
    return f"the checkpoint of step {step_of(good[-1])} is kept, and training goes on from it"
