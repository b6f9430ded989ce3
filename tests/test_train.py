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
from judgebench.train.quiet import quiet_libraries
from judgebench.train.record import TrainingRecord, read_record
from judgebench.types import Message, Model, Request, Sampling


@pytest.fixture(scope="module", autouse=True)
def training_libraries() -> None:
    """Loads what the stages train with, once, so that a test's time is its own."""
    with quiet_libraries():
        import peft  # noqa: F401
        from trl import DPOTrainer, SFTTrainer  # noqa: F401


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
    left = tmp_path / "run" / "models" / ".x.training" / "checkpoint-2"
    left.mkdir(parents=True)  # as by a kill after the model was put in its place
    trained(tmp_path, "dpo", data)
    assert (tmp_path / "run" / "models" / "x" / "model.safetensors").stat().st_mtime_ns == before
    assert not left.parent.exists()
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
        ("dpo", pairs(), ["--max-length", "5000"], "--max-length 5000: the model's context has room for 2048 tokens"),
        ("dpo", pairs(), ["--peft", "prompt", "--virtual-tokens", "2048"], "the context has 2048 tokens"),
        ("dpo", pairs(), ["--peft", "adalora", "--steps", "1"], "--peft adalora: one step only"),
        ("dpo", pairs(), ["--seed", "-1"], "--seed -1"),
        ("dpo", pairs(), ["--beta", "nan"], "--beta nan: must be a finite number"),
        ("orpo", pairs(), ["--peft", "prompt"], "--peft prompt: TRL does not count"),
        ("simpo", pairs(), ["--peft", "prompt"], "--peft prompt: TRL does not count"),
        ("reward", pairs(), ["--peft", "prefix"], "a reward model is read whole"),
        ("reward", pairs(), ["--peft", "lora", "--no-merge"], "--no-merge: a reward model is read whole"),
        ("kto", [{"prompt": "a", "completion": "b", "label": True}], [], "one row only"),
        ("kto", pairs(), ["--bad-weight", "-1"], "must not be negative"),
        ("rloo", [{"prompt": "a"}], ["--reward-model", "/nowhere", "--generations", "2"], "no model in such a folder"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(
    tmp_path: Path, stage: str, rows: list[dict[str, Any]], more: list[str], words: str
) -> None:
    with pytest.raises(UserError, match=words) as caught:
        trained(tmp_path, stage, jsonl(tmp_path / "d.jsonl", rows), *more)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run" / "models" / "x").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (json.dumps(pairs(2)).encode(), "is a JSON list, and JSON Lines, one object a line, are meant"),
        (json.dumps(pairs(2), indent=1).encode(), "is a JSON list"),
        (json.dumps(pairs(1)[0]).encode("utf-16"), "is UTF-16, and UTF-8 is meant"),
        (b'\n{"prompt": "caf\xe9", "chosen": "b", "rejected": "c"}\n', r"d\.jsonl:2: is not UTF-8 \(byte 0xe9\)"),
        (b"\x1f\x8b\x08", "is compressed"),
        (b"prompt,chosen,rejected\na,b,c\n", r"d\.jsonl:1: is no JSON object"),
        (b'{"prompt": "a", "responses": ["b", "c"], "scores": [NaN, 1]}\n', r"d\.jsonl:1: is no JSON object"),
        (b"[1, 2]\n", "is a JSON list"),
        (b"\n \n", "it is empty"),
    ],
)
def test_a_file_that_is_no_json_lines_says_what_it_is(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "d.jsonl").write_bytes(content)
    with pytest.raises(UserError, match=words) as caught:
        trained(tmp_path, "dpo", str(tmp_path / "d.jsonl"))
    assert "\n" not in str(caught.value)


def test_a_byte_order_mark_is_passed_over_and_a_folder_is_no_file(tmp_path: Path) -> None:
    data = Path(jsonl(tmp_path / "d.jsonl", pairs()))
    data.write_bytes(b"\xef\xbb\xbf" + data.read_bytes())
    assert trained(tmp_path, "dpo", str(data)).used == 6
    with pytest.raises(UserError, match="Is a directory"):
        trained(tmp_path, "dpo", str(tmp_path), name="y")


def test_a_name_or_folder_that_is_taken_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    data = jsonl(tmp_path / "d.jsonl", pairs())
    Run(tmp_path / "run", create=True).save_manifest()
    (tmp_path / "run/models/x").mkdir(parents=True)
    with pytest.raises(RunConflict, match="was not made by a training stage; take another --name"):
        trained(tmp_path, "dpo", data)
    (tmp_path / "run2").write_text("a file")
    with pytest.raises(UserError, match="is a file; a run is a folder"):
        main(["dpo", str(tmp_path / "run2"), "--model", f"hf/{tiny_checkpoint('')}", "--data", data, "--name", "x"])
    with pytest.raises(UserError, match=r"cannot be written"):
        main(["dpo", "/proc/run", "--model", f"hf/{tiny_checkpoint('')}", "--data", data, "--name", "x"])


@pytest.mark.parametrize(
    ("template", "words"),
    [("{% for m in messages %}{{ m.content }", "t.jinja: is no template: unexpected"),
     ("{{ raise_exception('no roles here') }}", "t.jinja: its chat template refuses a row: no roles here"),
     ("", "has no chat template")],
)  # fmt: skip
def test_a_chat_template_that_is_broken_or_refuses_a_row_is_one_line(tmp_path: Path, template: str, words: str) -> None:
    (tmp_path / "t.jinja").write_text(template)
    with pytest.raises(UserError, match=words):
        trained(tmp_path, "sft", jsonl(tmp_path / "d.jsonl", chats()), "--chat-template", str(tmp_path / "t.jinja"))


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
