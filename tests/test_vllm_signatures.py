"""Every call that we make of vLLM, bound to the signatures of the versions we support (tests/vllm_signatures.py)."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from tiny_models import tiny_checkpoint
from vllm_stub import SIGNATURES, Stub

from judgebench.backends.adapter import RANKS
from judgebench.backends.vllm import VLLMBackend
from judgebench.backends.vllm_options import VLLMOptions, engine_arguments
from judgebench.cli import main
from judgebench.errors import BackendError, UserError
from judgebench.types import ChoiceRequest, Message, Model, Request, Sampling

BACKENDS = Path(__file__).resolve().parent.parent / "judgebench" / "backends"


@pytest.fixture(params=sorted(SIGNATURES))
def vllm(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Stub:
    stub = Stub(request.param)
    stub.install(monkeypatch)
    return stub


def backend(**options: Any) -> VLLMBackend:
    return VLLMBackend(Model(name="tiny", backend="vllm", id=str(tiny_checkpoint()), options=options))


def asking(contents: list[str], **sampling: Any) -> list[Request]:
    sampling = {"max_tokens": 8, **sampling}
    return [
        Request(id=str(n), messages=(Message(role="user", content=content),), sampling=Sampling(**sampling))
        for n, content in enumerate(contents)
    ]


def test_the_versions_are_the_first_the_last_and_the_one_tested() -> None:
    assert sorted(SIGNATURES) == ["0.26.0", "0.31.0", "0.33.0"]
    project = (BACKENDS.parent.parent / "pyproject.toml").read_text()
    assert 'vllm = ["vllm>=0.26,<0.34"]' in project


def test_vllm_is_imported_in_one_module_only() -> None:
    importing = {
        path.name
        for path in BACKENDS.parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.ImportFrom) and re.match(r"vllm(\.|$)", node.module or ""))
        or (isinstance(node, ast.Import) and any(re.match(r"vllm(\.|$)", name.name) for name in node.names))
    }
    assert importing == {"vllm_engine.py"}


def test_it_generates_and_says_what_the_engine_was_asked(vllm: Stub) -> None:
    opened = backend(tensor_parallel_size=2, gpu_memory_utilization=0.5, engine={"max_num_seqs": 8})
    kinds: list[dict[str, Any]] = [
        {"max_tokens": 8},
        {"max_tokens": 8, "temperature": 0.7, "top_p": 0.9, "seed": 3, "stop": ("\n",)},
        {"max_tokens": 8, "logprobs": 2},
        {"max_tokens": 8, "json_schema": {"type": "object"}},
        {"max_tokens": 8, "one_of": ("A", "B")},
        {"max_tokens": 8, "temperature": None},
    ]
    for kind in kinds:
        [(_, reply)] = opened.generate(asking(["abc"], **kind))
        assert (reply.error, reply.usage.completion_tokens) == ("", 3)
        assert bool(reply.logprobs) == ("logprobs" in kind)
    [llm] = vllm.engines
    assert llm.arguments["tensor_parallel_size"] == 2
    assert llm.arguments["max_num_seqs"] == 8
    held = [each["parameters"].structured_outputs for each in llm.llm_engine.asked]
    assert [each and (each.json, each.choice) for each in held] == [
        None, None, None, ({"type": "object"}, None), (None, ["A", "B"]), None,
    ]  # fmt: skip
    given = llm.llm_engine.asked[1]["parameters"]
    assert (given.temperature, given.top_p, given.seed, given.stop, given.n) == (0.7, 0.9, 3, ["\n"], 1)
    described = opened.describe()
    assert described["prefix_caching"] is True
    assert described["context"] == 512
    assert described["engine"]["tensor_parallel_size"] == 2
    opened.close()
    opened.close()
    assert llm.llm_engine.ended == 1


def test_prompts_go_out_in_the_order_of_their_tokens_and_samples_of_one_together(vllm: Stub) -> None:
    opened = backend()
    requests = asking(["b one", "a one", "b two", "a two"], max_tokens=4)
    drawn = asking(["samples"] * 4, max_tokens=4, temperature=1.0)
    drawn = [
        msgspec.structs.replace(each, id=f"s{n}", sampling=msgspec.structs.replace(each.sampling, seed=10 + n))
        for n, each in enumerate(drawn)
    ]
    answered = {request.id: reply for request, reply in opened.generate([*requests, *drawn])}
    assert len(answered) == 8
    [llm] = vllm.engines
    prompts = [each["prompt"]["prompt_token_ids"] for each in llm.llm_engine.asked]
    assert prompts == sorted(prompts)
    assert sorted(each["parameters"].n for each in llm.llm_engine.asked) == [1, 1, 1, 1, 4]
    assert [each["parameters"].seed for each in llm.llm_engine.asked if each["parameters"].n == 4] == [10]


@pytest.mark.parametrize("choices", [("A", "B"), ("x" * 90, "y" * 80)], ids=len)
def test_it_compares_choices(vllm: Stub, choices: tuple[str, ...]) -> None:
    request = ChoiceRequest(id="1", messages=(Message(role="user", content="abc"),), choices=choices)
    [(_, reply)] = backend().loglikelihood([request])
    assert not reply.error
    assert [score.logprob for score in reply.choices] == [-float(score.tokens) for score in reply.choices]


def test_an_adapter_is_put_on_before_anything_is_asked(vllm: Stub, tmp_path: Path) -> None:
    settings = {"peft_type": "LORA", "r": 12, "lora_alpha": 8, "target_modules": ["q_proj"]}
    (tmp_path / "adapter_config.json").write_text(json.dumps(settings))
    (tmp_path / "adapter_model.safetensors").write_bytes(b"weights")
    opened = backend(adapter=str(tmp_path))
    list(opened.generate(asking(["abc"])))
    [llm] = vllm.engines
    assert (llm.arguments["enable_lora"], llm.arguments["max_lora_rank"]) == (True, 16)
    [adapter] = llm.llm_engine.adapters
    assert adapter.lora_path == str(tmp_path)
    assert [each["lora_request"] for each in llm.llm_engine.asked] == [adapter]
    assert vllm.offers["lora_ranks"] == list(RANKS)


def test_every_option_is_an_engine_argument(vllm: Stub) -> None:
    everything = VLLMOptions(gpu_memory_utilization=0.5, max_model_len=8, quantization="fp8")
    assert set(engine_arguments(everything)) <= set(vllm.offers["fields"]["EngineArgs"])
    assert vllm.offers["server"]


def test_without_a_gpu_it_says_in_one_line_what_to_do(vllm: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    vllm.device = ""
    vllm.install(monkeypatch)
    with pytest.raises(BackendError, match=r"finds no GPU here; take hf/.*openai/NAME with base_url") as raised:
        list(backend().generate(asking(["abc"])))
    assert "\n" not in str(raised.value)
    assert not vllm.engines


def test_a_model_with_code_of_its_own_is_not_run_unless_allowed(vllm: Stub) -> None:
    vllm.fails = ValueError("Please set trust_remote_code=True to run\nthis repository's code")
    with pytest.raises(BackendError, match=r"brings Python code of its own.*--option tiny.trust_remote_code=true"):
        list(backend().generate(asking(["abc"])))
    with pytest.raises(BackendError, match="the vllm engine cannot start: ValueError: Please set"):
        list(backend(trust_remote_code=True).generate(asking(["abc"])))
    assert backend(trust_remote_code=True).describe()["trust_remote_code"] is True


def test_an_unknown_engine_argument_is_named_before_anything_loads(vllm: Stub) -> None:
    with pytest.raises(UserError, match="no engine argument 'max_num_seq'; did you mean 'max_num_seqs'"):
        list(backend(engine={"max_num_seq": 8}).generate(asking(["abc"])))
    assert not vllm.engines


def test_an_engine_that_dies_is_reported_and_the_next_call_starts_another(vllm: Stub) -> None:
    opened = backend()
    answering = opened.generate(asking(["abc", "def"]))
    next(answering)
    vllm.fails = RuntimeError("out of memory\non the device")
    with pytest.raises(BackendError, match=r"died after 1 replies: RuntimeError: out of memory.*goes on from there"):
        next(answering)
    vllm.fails = None
    assert len(list(opened.generate(asking(["abc", "def"])))) == 2
    assert len(vllm.engines) == 2


def test_a_run_whose_engine_died_goes_on_and_asks_nothing_twice(vllm: Stub, tmp_path: Path) -> None:
    suite = tmp_path / "open.yaml"
    rows = "".join(f"  - {{id: '{n}', turns: ['question {n}']}}\n" for n in range(9))
    suite.write_text(f"name: open\nversion: '1'\nsampling: {{max_tokens: 8}}\nitems:\n{rows}")
    words = ["generate", str(tmp_path / "run"), "--suite", str(suite), "--model", f"m=vllm/{tiny_checkpoint()}"]
    vllm.dies_after = 4
    with pytest.raises(BackendError, match=r"died after 4 replies: RuntimeError: the device is gone.*same command"):
        main([*words, "--quiet"])
    vllm.dies_after = None
    assert main([*words, "--quiet"]) == 0
    first, second = (len(llm.llm_engine.asked) for llm in vllm.engines)
    assert (first, second) == (9, 5)
    lines = (tmp_path / "run" / "answers" / "m.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["item"] for line in lines) == [str(n) for n in range(9)]
    loaded = json.loads((tmp_path / "run" / "manifest.json").read_text())["models"]["m"]["loaded"]
    assert loaded["batch_invariant"] is False
    assert loaded["prefix_caching"] is True
    assert loaded["engine"]["tensor_parallel_size"] == 1


def test_batch_invariance_is_described(vllm: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_BATCH_INVARIANT", "1")
    assert backend().describe()["batch_invariant"] is True


def test_a_killed_engine_process_wakes_the_step_that_waits_for_it(vllm: Stub) -> None:
    vllm.in_process = False
    opened = backend()
    answering = opened.generate(asking(["abc", "def"]))
    next(answering)
    vllm.engines[0].llm_engine.engine_core.resources.engine_dead = True
    with pytest.raises(BackendError, match="died after 1 replies: RuntimeError: the engine's process is gone"):
        next(answering)


def test_an_abandoned_call_takes_its_requests_back(vllm: Stub) -> None:
    opened = backend()
    answering = opened.generate(asking(["a", "b", "c"]))
    next(answering)
    answering.close()  # type: ignore[attr-defined]
    assert len(vllm.engines[0].llm_engine.aborted) == 2


def test_the_stub_refuses_what_a_version_does_not_have() -> None:
    stub = Stub("0.26.0")
    with pytest.raises(TypeError, match="unexpected keyword argument 'prompt_ids'"):
        stub.bound("LLM.enqueue", prompts=[], prompt_ids=[[1]])
    with pytest.raises(TypeError, match="has no"):
        stub.record("CompletionOutput", tokens=())
