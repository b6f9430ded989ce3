"""AdamW's second decay rate: checked, and handed to every trainer."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from judgebench.errors import UserError
from judgebench.train.job import Job
from judgebench.train.settings import TrainSettings, add_training, resolve


def parsed(*words: str) -> TrainSettings:
    parser = argparse.ArgumentParser()
    add_training(parser)
    return resolve(parser.parse_args(["r", "--model", "hf/m", "--data", "d", "--name", "n", *words]))


def test_the_second_decay_rate_reaches_the_trainer() -> None:
    pytest.importorskip("torch")
    for words, wanted in (((), 0.999), (("--adam-beta2", "0.98"), 0.98)):
        job = Job.__new__(Job)
        job.settings, job.work = parsed("--device", "cpu", *words), Path("work")
        assert job.arguments(1e-3)["adam_beta2"] == wanted


@pytest.mark.parametrize("rate", ["1", "-0.1", "nan"])
def test_a_decay_rate_that_is_none_is_refused_in_one_line(rate: str) -> None:
    with pytest.raises(UserError, match=r"--adam-beta2 .*"):
        parsed("--adam-beta2", rate)
