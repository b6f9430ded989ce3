"""The training libraries kept quiet: no bars, no telemetry, errors alone."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from logging import getLogger


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
