"""A model with the adapter of its checkpoint on it."""

from __future__ import annotations

import logging
from typing import Any

from judgebench.backends.chat_completions import one_line
from judgebench.backends.checkpoint import Checkpoint
from judgebench.errors import BackendError


def adapted(model: Any, checkpoint: Checkpoint) -> Any:
    """The model with the checkpoint's adapter: in its weights where it can be, else in front of every prompt.

    Raises:
        BackendError: the adapter does not fit the model.
    """
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    from peft import PeftModel

    try:
        made = PeftModel.from_pretrained(model, str(checkpoint.folder), use_safetensors=True)
        made = made if "num_virtual_tokens" in checkpoint.adapter else made.merge_and_unload(safe_merge=True)
    except (RuntimeError, ValueError, KeyError, OSError) as error:
        raise BackendError(f"{checkpoint.name}: the adapter does not fit its base: {one_line(str(error))}") from error
    return made.eval()
