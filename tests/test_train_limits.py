"""A training that cannot go on: memory or disk runs out, the loss is no number; the last good checkpoint is kept."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from test_train import SHORT, jsonl, pairs, reply, trained
from tiny_models import tiny_checkpoint

pytest.importorskip("trl")
import torch
from transformers import AutoModelForCausalLM, LlamaModel

from judgebench.cli import main
from judgebench.errors import UserError
from judgebench.train.guard import Held
from judgebench.train.held_out import ENDING, DataManifest
from judgebench.train.limits import disk_ran_out, memory_ran_out
from judgebench.train.record import read_record

EVERY = ["--steps", "6", "--save-every", "1"]
CPU = (
    "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 9"
)


def after(calls: int, error: Callable[[], Exception], real: Callable[..., Any]) -> Callable[..., Any]:
    """A function that fails with an error once it was called so often."""
    left = [calls]

    def called(*given: Any, **more: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise error()
        return real(*given, **more)

    return called


def last(folder: Path) -> Path:
    """The one checkpoint that is marked as whole."""
    [mark] = folder.glob("checkpoint-*/whole")
    return mark.parent


@pytest.mark.parametrize(
    ("error", "memory", "disk"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True, False),
        (RuntimeError(CPU), True, False),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"), True, False),
        (MemoryError(), True, False),
        (OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)), True, False),
        (RuntimeError("unable to mmap 9 bytes from file <w>: Cannot allocate memory (12)"), True, False),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), False, True),
        (OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)), False, True),
        (RuntimeError("PytorchStreamWriter failed writing file data/3: file write failed"), False, True),
        (RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 635072 vs 634960"), False, True),
        (Exception("Error while serializing: I/O error: No space left on device (os error 28)"), False, True),
        (RuntimeError("shapes do not match"), False, False),
        (OSError(errno.EACCES, os.strerror(errno.EACCES)), False, False),
        (ValueError("out of memory of what was said"), False, False),
    ],
)
def test_memory_and_disk_are_told_from_other_faults(error: Exception, memory: bool, disk: bool) -> None:
    assert (memory_ran_out(error), disk_ran_out(error)) == (memory, disk)


def test_out_of_memory_says_what_to_lower_and_keeps_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = jsonl(tmp_path / "d.jsonl", pairs())
    monkeypatch.setattr(LlamaModel, "forward", after(5, lambda: RuntimeError(CPU), LlamaModel.forward))
    with pytest.raises(UserError) as caught:
        trained(tmp_path, "dpo", data, *EVERY)
    monkeypatch.undo()
    step = last(tmp_path / "run/models/.x.training").name.partition("-")[2]
    assert str(caught.value) == (
        "out of memory: lower --batch-size (now 2; raise --accumulate, now 1, by as much for the same steps) or "
        "--max-length (now the context), keep fewer activations (--checkpointing), train an adapter (--peft lora, or "
        f"qlora); the checkpoint of step {step} is kept, and training goes on from it"
    )
    assert not (tmp_path / "run/models/x").exists()
    more = ["--batch-size", "1", "--accumulate", "2", "--checkpointing"]
    assert trained(tmp_path, "dpo", data, *EVERY, *more).steps == 6


def test_a_model_that_does_not_fit_is_not_said_to_be_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", after(0, lambda: RuntimeError(CPU), print))
    with pytest.raises(UserError, match=r"^out of memory: lower .*or qlora\); there was no checkpoint yet"):
        trained(tmp_path, "dpo", jsonl(tmp_path / "d.jsonl", pairs()))


def test_memory_that_ends_while_the_result_is_merged_is_said_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("judgebench.train.result.merged", after(0, MemoryError, print))
    with pytest.raises(UserError, match=r"^out of memory: .*the checkpoint of step 2 is kept"):
        trained(tmp_path, "dpo", jsonl(tmp_path / "d.jsonl", pairs()), "--peft", "lora")


def test_another_error_of_the_model_is_a_bug_and_keeps_its_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = after(3, lambda: RuntimeError("shapes do not match"), LlamaModel.forward)
    monkeypatch.setattr(LlamaModel, "forward", wrong)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        trained(tmp_path, "dpo", jsonl(tmp_path / "d.jsonl", pairs()))


LIMITED = """
import resource, sys
import torch
from trl import DPOTrainer
from judgebench.cli import entry
held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + 1_500_000_000, resource.RLIM_INFINITY))
sys.argv = ["judgebench", *sys.argv[1:]]
entry()
"""


@pytest.mark.slow
def test_a_process_that_may_not_have_the_memory_ends_with_one_line_and_code_2(tmp_path: Path) -> None:
    rows = [{**row, "chosen": "a " * 900, "rejected": "b " * 900} for row in pairs(64)]
    command = ["dpo", str(tmp_path / "run"), "--model", f"hf/{tiny_checkpoint('')}", "--data",
               jsonl(tmp_path / "d.jsonl", rows), "--name", "x", "--batch-size", "64", "--quiet"]  # fmt: skip
    done = subprocess.run([sys.executable, "-c", LIMITED, *command], env={**os.environ, "OMP_NUM_THREADS": "1"},
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 2, done.stderr
    line = done.stderr.splitlines()[-1]  # before it stands what libraries say that were loaded too soon
    assert line.startswith("judgebench: out of memory: lower --batch-size (now 64; "), done.stderr


def test_a_full_disk_is_one_line_and_the_checkpoint_before_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = jsonl(tmp_path / "d.jsonl", pairs())
    monkeypatch.setattr(torch, "save", after(5, lambda: OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), torch.save))
    with pytest.raises(UserError) as caught:
        trained(tmp_path, "dpo", data, *EVERY)
    monkeypatch.undo()
    kept = last(tmp_path / "run/models/.x.training")
    assert str(caught.value) == (
        f"the disk is full: {kept.parent.parent} could not be written to; the checkpoint of step {kept.name[11:]} is "
        "kept, and training goes on from it"
    )
    assert trained(tmp_path, "dpo", data, *EVERY).steps == 6


FULL = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
import judgebench.cli
sys.argv = ["judgebench", *sys.argv[2:]]
judgebench.cli.entry()
"""


@pytest.mark.slow
def test_files_that_may_not_grow_end_with_one_line_and_code_2(tmp_path: Path) -> None:
    command = ["dpo", str(tmp_path / "run"), "--model", f"hf/{tiny_checkpoint('')}", "--data",
               jsonl(tmp_path / "d.jsonl", pairs()), "--name", "x", *SHORT]  # fmt: skip
    size = (tiny_checkpoint("") / "model.safetensors").stat().st_size
    for limit in (size // 2, size * 3 // 2):  # the weights do not fit; they do, and the optimizer's moments do not
        done = subprocess.run([sys.executable, "-c", FULL, str(limit), *command, "--save-every", "1"],
                              capture_output=True, text=True, check=False)  # fmt: skip
        assert done.returncode == 2, done.stderr
        assert done.stderr.startswith("judgebench: the disk is full: "), done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert not (tmp_path / "run/models/x").exists()


# A loss that is no number --------------------------------------------------------------------------------------------


def finite(folder: Path) -> bool:
    """Whether all weights of a checkpoint are numbers."""
    model = AutoModelForCausalLM.from_pretrained(folder)
    return all(bool(torch.isfinite(each).all()) for each in model.parameters())


def test_a_loss_that_is_no_number_stops_training_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    data = jsonl(tmp_path / "d.jsonl", pairs())
    more = [*EVERY, "--learning-rate", "1e25", "--clip", "1e30"]
    with pytest.raises(UserError, match=r"the loss is \S+ at step \d, and training has stopped") as caught:
        trained(tmp_path, "dpo", data, *more)
    good = last(tmp_path / "run/models/.x.training")
    assert f"the checkpoint of step {good.name[11:]} is kept: --model hf/{good} asks or trains it" in str(caught.value)
    assert "lower --learning-rate (now 1e+25) or --clip (now 1e+30)" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert finite(good)
    assert not (tmp_path / "run/models/x").exists()
    with pytest.raises(UserError) as again:  # the same command comes to the same loss, and loses nothing
        trained(tmp_path, "dpo", data, *more)
    assert str(again.value) == str(caught.value)
    assert finite(good)


@pytest.mark.parametrize("more", [[], ["--peft", "lora"]], ids=["whole", "adapter"])
def test_weights_that_the_last_step_made_no_numbers_are_not_written(tmp_path: Path, more: list[str]) -> None:
    rows = [{"prompt": row["prompt"], "completion": row["chosen"]} for row in pairs()]
    data = jsonl(tmp_path / "d.jsonl", rows)
    huge = ["--learning-rate", "1e39", "--clip", "1e9"]
    with pytest.raises(
        UserError, match=r"^after step 1 \d+ of \d+ weights .* not finite, and no model is written"
    ) as caught:
        trained(tmp_path, "sft", data, "--steps", "1", *huge, *more)
    assert "there was no checkpoint yet" in str(caught.value)
    assert "lower --learning-rate (now 1e+39) or --clip (now 1e+09)" in str(caught.value)
    assert not (tmp_path / "run/models/x").exists()
    assert not (tmp_path / "run/models/.x.partial").exists()


def test_the_checkpoint_kept_can_be_asked_and_trained_as_the_message_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = jsonl(tmp_path / "d.jsonl", pairs())
    made = DataManifest(
        judgebench="1", stage="pairs", form="prompt+chosen+rejected", rows=6, settings={}, dropped={},
        sha256=hashlib.sha256(Path(data).read_bytes()).hexdigest(), contamination=Held(trained_on={"drill": ["q0"]}),
    )  # fmt: skip
    manifest = Path(data + ENDING)
    manifest.write_bytes(msgspec.json.encode(made))
    from trl import DPOTrainer

    step = DPOTrainer.training_step
    monkeypatch.setattr(
        DPOTrainer, "training_step",
        lambda self, *given, **more: step(self, *given, **more) * (float("nan") if self.state.global_step == 3 else 1),
    )  # fmt: skip
    with pytest.raises(UserError, match=r"the loss is nan at step 4, .*the checkpoint of step 3 is kept"):
        trained(tmp_path, "dpo", data, *EVERY)
    monkeypatch.undo()
    good = last(tmp_path / "run/models/.x.training")
    assert good.name == "checkpoint-3"
    assert reply(good) is not None
    manifest.unlink()  # the child's data are of nothing known
    assert main(["dpo", str(tmp_path / "run"), "--model", f"hf/{good}", "--data", data, "--name", "y", *SHORT]) == 0
    known = read_record(good)
    assert known is not None
    assert (known.stage, known.steps, known.parent) == ("dpo", 3, f"hf/{tiny_checkpoint('')}")
    assert known.notes[-1] == "the checkpoint of step 3 of a training that had not ended"
    child = read_record(tmp_path / "run/models/y")
    assert child is not None
    assert child.parent == f"hf/{good}"
    assert child.contamination["trained_on"] == {"drill": ["q0"]}


def test_weights_that_are_no_numbers_are_no_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trl import DPOTrainer

    step = DPOTrainer.training_step

    def broken(self: Any, model: Any, *given: Any, **more: Any) -> Any:
        loss = step(self, model, *given, **more)
        if self.state.global_step == 2:
            model.lm_head.weight.grad.fill_(float("nan"))  # a loss that is one, and a step that is none
        return loss

    monkeypatch.setattr(DPOTrainer, "training_step", broken)
    with pytest.raises(UserError, match=r"the loss is nan at step 4, .*the checkpoint of step 2 is kept"):
        trained(tmp_path, "dpo", jsonl(tmp_path / "d.jsonl", pairs()), *EVERY)
    assert finite(last(tmp_path / "run/models/.x.training"))
