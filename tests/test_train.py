"""Training stages on tiny random models: what is written, recorded, refused, dropped, and gone on from."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny_models import CHATML, tiny_checkpoint

from judgebench.backends.hf import HFBackend
from judgebench.cli import main
from judgebench.errors import RunConflict, UserError
from judgebench.runs import Run
from judgebench.train.record import TrainingRecord, read_record
from judgebench.types import Message, Model, Request, Sampling

SHORT = ["--steps", "2", "--batch-size", "2", "--learning-rate", "1e-3", "--log-every", "1", "--quiet"]


def jsonl(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def pairs(count: int = 6) -> list[dict[str, Any]]:
    return [{"prompt": f"{i}+1?", "chosen": f"{i + 1}", "rejected": f"no {i}"} for i in range(count)]


def chats(count: int = 6) -> list[dict[str, Any]]:
    return [
        {"messages": [{"role": "user", "content": f"{i}+1?"}, {"role": "assistant", "content": f"{i + 1}"}]}
        for i in range(count)
    ]


def trained(tmp_path: Path, stage: str, data: str, *more: str, template: str = "", name: str = "x") -> TrainingRecord:
    parent = tiny_checkpoint(template)
    code = main(
        [stage, str(tmp_path / "run"), "--model", f"hf/{parent}", "--data", data, "--name", name, *SHORT, *more]
    )
    assert code == 0
    record = read_record(tmp_path / "run" / "models" / name)
    assert record is not None
    return record


def reply(folder: Path, text: str = "3+1?") -> str:
    backend = HFBackend(Model(name="m", backend="hf", id=str(folder)))
    request = Request(id="1", messages=(Message(role="user", content=text),), sampling=Sampling(max_tokens=8))
    try:
        [(_, answer)] = list(backend.generate([request]))
    finally:
        backend.close()
    assert not answer.error, answer.error
    return answer.text


def test_sft_writes_a_model_that_hf_serves_and_the_manifest_records_its_parent(tmp_path: Path) -> None:
    data = jsonl(tmp_path / "d.jsonl", chats())
    record = trained(tmp_path, "sft", data, template=CHATML)
    assert (record.steps, record.used, record.merged, record.stage) == (2, 6, True, "sft")
    entry = Run(tmp_path / "run").manifest["trained"]["x"]
    assert entry["parent"] == f"hf/{tiny_checkpoint(CHATML)}"
    assert entry["data_sha256"] == record.data_sha256
    assert set(entry["versions"]) == {"judgebench", "torch", "transformers", "trl", "peft"}
    assert reply(tmp_path / "run" / "models" / "x") is not None
    assert not list((tmp_path / "run" / "models").glob(".*"))


def test_a_training_stage_is_imported_without_what_it_trains_with() -> None:
    stages = "sft dpo kto orpo simpo rank language reward rloo grpo raft ppo pairs data judge_data"
    code = (
        f"import importlib, sys\nfor name in '{stages}'.split(): importlib.import_module('judgebench.train.' + name)\n"
        "print(*{'torch', 'transformers', 'trl', 'peft', 'datasets', 'bitsandbytes'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_first_dpo_loss_is_ln_2_and_hinges_is_1(tmp_path: Path) -> None:
    data = jsonl(tmp_path / "d.jsonl", pairs())
    sigmoid = trained(tmp_path, "dpo", data, name="sigmoid")
    hinge = trained(tmp_path, "dpo", data, "--loss", "hinge", name="hinge")
    assert sigmoid.loss["first"] == pytest.approx(math.log(2), abs=1e-6)
    assert hinge.loss["first"] == pytest.approx(1.0, abs=1e-6)
    assert sigmoid.loss["last"] < math.log(2)  # type: ignore[operator]


def test_the_same_training_again_does_nothing_and_another_one_is_refused(tmp_path: Path) -> None:
    data = jsonl(tmp_path / "d.jsonl", pairs())
    trained(tmp_path, "sft", jsonl(tmp_path / "s.jsonl", chats()), template=CHATML, name="other")
    trained(tmp_path, "dpo", data)
    before = (tmp_path / "run" / "models" / "x" / "model.safetensors").stat().st_mtime_ns
    trained(tmp_path, "dpo", data)
    assert (tmp_path / "run" / "models" / "x" / "model.safetensors").stat().st_mtime_ns == before
    with pytest.raises(RunConflict, match=r"beta=0\.1 and now it is 0\.2"):
        trained(tmp_path, "dpo", data, "--beta", "0.2")


def test_a_row_longer_than_the_context_is_dropped_and_counted(tmp_path: Path) -> None:
    rows = [*pairs(), {"prompt": "?", "chosen": "long " * 20, "rejected": "no"}]
    record = trained(tmp_path, "dpo", jsonl(tmp_path / "d.jsonl", rows), "--max-length", "40")
    assert (record.rows, record.used, record.dropped) == (7, 6, {"longer than 40 tokens": 1})


def test_empty_and_equal_pairs_are_dropped_and_counted(tmp_path: Path) -> None:
    rows = [*pairs(), {"prompt": "?", "chosen": "a", "rejected": "a"}, {"prompt": "?", "chosen": "a", "rejected": " "}]
    record = trained(tmp_path, "dpo", jsonl(tmp_path / "d.jsonl", rows))
    assert record.dropped == {"with chosen equal to rejected": 1, "with an empty rejected": 1}


@pytest.mark.parametrize(
    ("stage", "rows", "more", "words"),
    [
        ("dpo", [{"prompt": "a", "chosen": "b", "reject": "c"}], [], r"d\.jsonl:1: .*prompt\+chosen\+rejected"),
        ("dpo", [*pairs(1), {"prompt": "a", "chosen": "b"}], [], r"d\.jsonl:2: rejected: the column is missing"),
        ("dpo", [{"prompt": "a", "chosen": "b", "rejected": "b"}], [], "no row to train on .1 with chosen equal"),
        ("dpo", pairs(), ["--loss", "sigmod"], "did you mean 'sigmoid'"),
        ("dpo", pairs(), ["--rank", "0"], "--rank 0"),
        ("dpo", pairs(), ["--max-length", "2"], "every row is longer than 2 tokens"),
        ("sft", chats(), [], "has no chat template"),
        ("sft", [{"prompt": "a", "completion": 3}], [], "completion: a text or a list of messages"),
        ("sft", [{"messages": [{"role": "robot", "content": "a"}]}], [], "role 'robot'"),
        ("sft", [], [], "it is empty"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(
    tmp_path: Path, stage: str, rows: list[dict[str, Any]], more: list[str], words: str
) -> None:
    with pytest.raises(UserError, match=words) as caught:
        trained(tmp_path, stage, jsonl(tmp_path / "d.jsonl", rows), *more)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run" / "models" / "x").exists()


def test_several_replies_need_a_template_with_generation_marks(tmp_path: Path) -> None:
    rows = [{"messages": [*chats(1)[0]["messages"], *chats(1)[0]["messages"]]}] * 2
    data = jsonl(tmp_path / "d.jsonl", rows)
    silent = CHATML.replace("<|im_start|>", "<s>")
    with pytest.raises(UserError, match=r"has no \{% generation %\} marks"):
        trained(tmp_path, "sft", data, template=silent)
    assert trained(tmp_path, "sft", data, "--loss-on", "all", template=silent, name="all").used == 2
    marked = tmp_path / "marked.jinja"
    marked.write_text(
        "{% for m in messages %}{% if m.role == 'assistant' %}<a>{% generation %}{{ m.content }}</s>{% endgeneration %}"
        "{% else %}<u>{{ m.content }}{% endif %}{% endfor %}{% if add_generation_prompt %}<a>{% endif %}"
    )
    done = trained(tmp_path, "sft", data, "--chat-template", str(marked), name="marked")
    assert done.used == 2
    assert (tmp_path / "run/models/marked/chat_template.jinja").read_text() == marked.read_text()
