"""The vllm backend on tiny random checkpoints, beside hf on the same ones.

Where vllm cannot be imported, only what needs no engine is tested. ``make test-vllm`` runs all of it on a CPU build, in
an environment of its own (vllm pins torch and more).
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from judgebench.backends.continuations import Continued
from judgebench.backends.vllm import VLLMBackend
from judgebench.backends.vllm_choices import questions
from judgebench.backends.vllm_engine import Engine
from judgebench.backends.vllm_options import VLLMOptions
from judgebench.backends.vllm_sampling import Asked, sampling_arguments, together
from judgebench.errors import BackendError, MissingPackage, UserError
from judgebench.types import ChoiceRequest, Message, Model, Reply, Request, Sampling

pytest.importorskip("torch")
pytest.importorskip("transformers")

from tiny_models import CHATML, tiny_checkpoint

INSTALLED = importlib.util.find_spec("vllm") is not None
_MISSING = pytest.mark.skipif(not INSTALLED, reason="vllm is not installed here: make test-vllm")


def needs_engine(test: Any) -> Any:
    """Marks a test that opens engines of its own."""
    return pytest.mark.usefixtures("alone")(_MISSING(test))


PROMPTS = ["", "a", "Q: 1+1?\nAnswer:", "x" * 100, "Grüße, 世界! 🧪", "the quick brown fox " * 9, "end with space "]

SHARED: dict[int, VLLMBackend] = {}
"""The engine of the fixture `engine` under 0, while there is one."""


def backend(folder: Path, **options: Any) -> VLLMBackend:
    options = {"enforce_eager": True, "max_model_len": 512, "dtype": "float32", **options}
    return VLLMBackend(Model(name="tiny", backend="vllm", id=str(folder), options=options))


def asking(contents: list[str], **sampling: Any) -> list[Request]:
    sampling = {"max_tokens": 24, **sampling}
    return [
        Request(id=str(n), messages=(Message(role="user", content=content),), sampling=Sampling(**sampling))
        for n, content in enumerate(contents)
    ]


def replies(to: Any, requests: list[Request]) -> dict[str, Reply]:
    return {request.id: reply for request, reply in to.generate(requests)}


def by_hf(folder: Path, requests: list[Request]) -> dict[str, Reply]:
    from judgebench.backends.hf import HFBackend

    opened = HFBackend(Model(name="tiny", backend="hf", id=str(folder)))
    answered = replies(opened, requests)
    opened.close()
    return answered


@pytest.mark.skipif(INSTALLED, reason="vllm is installed here")
def test_without_vllm_it_says_which_extra_brings_it() -> None:
    with pytest.raises(MissingPackage, match=r"judgebench\[vllm\]"):
        backend(tiny_checkpoint())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tensor_parallel": 2}, "did you mean 'tensor_parallel_size'"),
        ({"tensor_parallel_size": 0}, "tensor_parallel_size"),
        ({"gpu_memory_utilization": 1.5}, "gpu_memory_utilization"),
        ({"load_format": "pt"}, "unpickles"),
        ({"engine": {"dtype": "half"}}, "'dtype' is an option of its own"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        backend(tiny_checkpoint(), **options)


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "pickled"
    shutil.copytree(tiny_checkpoint(), folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(UserError, match="only pickled weights"):
        backend(folder)


def test_options_from_a_command_line_become_their_types() -> None:
    from judgebench.backends.options import read_options

    given = {"tensor_parallel_size": "2", "enforce_eager": "true", "engine": '{"max_num_seqs": 8}'}
    read = read_options(Model(name="m", backend="vllm", id="x", options=given), VLLMOptions)
    assert (read.tensor_parallel_size, read.enforce_eager, read.engine) == (2, True, {"max_num_seqs": 8})


@pytest.fixture(scope="module")
def engine() -> Iterator[VLLMBackend]:
    if not INSTALLED:
        pytest.skip("vllm is not installed here: make test-vllm")
    opened = SHARED[0] = backend(tiny_checkpoint(), max_in_flight=8)
    yield opened
    opened.close()
    SHARED.clear()


@pytest.fixture
def alone() -> None:
    """No other engine is in this process, where ending one would end both; the shared one starts again when asked."""
    if 0 in SHARED:
        SHARED[0].close()


def test_its_log_probabilities_are_those_of_hf(engine: VLLMBackend) -> None:
    requests = asking(PROMPTS[1:4], logprobs=3)
    ours, theirs = replies(engine, requests), by_hf(tiny_checkpoint(), requests)
    for name, reply in ours.items():
        assert [one.token for one in reply.logprobs] == [one.token for one in theirs[name].logprobs]
        for one, other in zip(reply.logprobs, theirs[name].logprobs, strict=True):
            assert one.logprob == pytest.approx(other.logprob, abs=1e-3)
            assert [value for _, value in one.top] == pytest.approx([value for _, value in other.top], abs=1e-3)


def test_a_reply_is_held_to_a_choice_and_to_a_schema(engine: VLLMBackend) -> None:
    held = replies(engine, asking(["a", "b"], one_of=("[[A]]", "[[B]]"), max_tokens=40))
    assert {reply.text for reply in held.values()} <= {"[[A]]", "[[B]]"}
    schema = {"type": "object", "properties": {"verdict": {"enum": ["A", "B"]}}, "required": ["verdict"]}
    (reply,) = replies(engine, asking(["a"], json_schema=schema, max_tokens=200)).values()
    assert msgspec.json.decode(reply.text)["verdict"] in ("A", "B")


def test_it_writes_what_hf_writes(engine: VLLMBackend) -> None:
    requests = asking(PROMPTS)
    here, there = replies(engine, requests), by_hf(tiny_checkpoint(), requests)
    assert here == there
    assert len({reply.text for reply in here.values()}) > 1


def test_it_stops_where_hf_stops(engine: VLLMBackend) -> None:
    [free] = replies(engine, asking(["abc"], max_tokens=64)).values()
    stops = tuple(letter for letter in free.text[8:40:6] if letter != "\ufffd")
    requests = asking(PROMPTS, max_tokens=64, stop=stops)
    here, there = replies(engine, requests), by_hf(tiny_checkpoint(), requests)
    assert here == there
    assert any(reply.finish == "stop" and reply.usage.completion_tokens < 64 for reply in here.values())


def test_more_requests_than_may_be_in_flight_are_all_answered(engine: VLLMBackend) -> None:
    requests = asking([f"number {n}" for n in range(50)], max_tokens=3)
    answered = list(engine.generate(requests))
    assert sorted(int(request.id) for request, _ in answered) == list(range(50))
    assert all(not reply.error for _, reply in answered)


def test_a_window_of_refused_requests_does_not_end_the_call(engine: VLLMBackend) -> None:
    answered = replies(engine, asking(["x" * 600] * 20 + ["fine"]))
    assert len(answered) == 21
    assert answered["0"].error == "context: 601 prompt tokens and max_tokens=24 exceed the model's 512"
    assert answered["20"].error == ""


def test_a_seed_gives_its_reply_again_and_another_gives_another(engine: VLLMBackend) -> None:
    def draw(seed: int) -> str:
        return replies(engine, asking(["abc"], temperature=1.0, seed=seed))["0"].text

    assert draw(5) == draw(5)
    assert draw(5) != draw(6)


def test_an_abandoned_call_leaves_the_engine_idle(engine: VLLMBackend) -> None:
    started = engine.generate(asking(["abc"] * 8, max_tokens=200))
    short = engine.generate([*asking(["q"], max_tokens=1)])
    next(short)
    short.close()  # type: ignore[attr-defined]
    next(started)
    started.close()  # type: ignore[attr-defined]
    assert engine._engine is not None
    assert engine._engine.idle


def test_every_sampling_parameter_is_one_of_vllms(engine: VLLMBackend) -> None:
    from vllm import SamplingParams

    from judgebench.backends.local_sampling import settle

    [request] = asking(["a"], temperature=0.5, top_p=0.9, stop=("x",), seed=1)
    made = SamplingParams(**sampling_arguments(settle(request, engine.options, {}), frozenset({1})))
    assert (made.temperature, made.top_p, made.seed, made.stop, made.max_tokens) == (0.5, 0.9, 1, ["x"], 24)


@needs_engine
def test_an_unknown_engine_argument_is_named() -> None:
    with pytest.raises(UserError, match="no engine argument 'max_num_seq'; did you mean 'max_num_seqs'"):
        replies(backend(tiny_checkpoint(), engine={"max_num_seq": 8}), asking(["a"]))


@needs_engine
def test_a_model_that_vllm_cannot_run_is_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    shutil.copytree(tiny_checkpoint(), folder)
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(config.replace("LlamaForCausalLM", "NobodysForCausalLM"))
    with pytest.raises(BackendError, match="the vllm engine cannot start") as raised:
        replies(backend(folder), asking(["a"]))
    assert "\n" not in str(raised.value)


@needs_engine
def test_one_engine_is_freed_before_the_next_and_a_template_is_rendered_as_for_hf() -> None:
    first = backend(tiny_checkpoint(seed=1))
    one = replies(first, asking(["abc"]))["0"].text
    first.close()
    first.close()
    folder = tiny_checkpoint(CHATML)
    second = backend(folder, system="Be brief.", engine={"max_num_seqs": 4})
    requests = asking(["abc", "de"])
    two = replies(second, requests)
    described = second.describe()
    second.close()
    assert described["templated"]
    assert described["vllm"].startswith("vllm")
    assert described["engine"]["max_num_seqs"] == 4
    from judgebench.backends.hf import HFBackend

    beside = HFBackend(Model(name="t", backend="hf", id=str(folder), options={"system": "Be brief."}))
    assert two == replies(beside, requests)
    assert two["0"].text != one
    assert replies(first, asking(["abc"]))["0"].text == one
    first.close()


def adapter_of(folder: Path, base: Path, **config: Any) -> Path:
    """A LoRA adapter of rank 4 on the query and value projections, with weights that change what is written."""
    import torch
    from safetensors.torch import save_file

    size = {"q_proj": 64, "v_proj": 32}
    weights, generator = {}, torch.Generator().manual_seed(3)
    for layer in range(2):
        for name, rows in size.items():
            where = f"base_model.model.model.layers.{layer}.self_attn.{name}"
            weights[f"{where}.lora_A.weight"] = torch.randn(4, 64, generator=generator) * 0.3
            weights[f"{where}.lora_B.weight"] = torch.randn(rows, 4, generator=generator) * 0.3
    folder.mkdir()
    save_file(weights, folder / "adapter_model.safetensors")
    settings = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": sorted(size), "bias": "none", **config}
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(base), **settings}))
    return folder


def merged_of(base: Path, adapter: Path, folder: Path) -> Path:
    """The base with the adapter's products added to its weights, alpha / r times."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(base, folder)
    weights, added = load_file(folder / "model.safetensors"), load_file(adapter / "adapter_model.safetensors")
    for name in [name for name in added if name.endswith("lora_A.weight")]:
        place = name.removeprefix("base_model.model.").replace("lora_A.", "")
        weights[place] += 2 * added[name.replace("lora_A", "lora_B")] @ added[name]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@needs_engine
def test_an_adapter_writes_what_the_merged_model_writes(tmp_path: Path) -> None:
    base = tiny_checkpoint()
    adapter = adapter_of(tmp_path / "adapter", base)
    adapted = backend(base, adapter=str(adapter))
    requests = asking(PROMPTS[:4])
    found = replies(adapted, requests)
    described = adapted.describe()
    adapted.close()
    assert found == by_hf(merged_of(base, adapter, tmp_path / "merged"), requests)
    assert found != by_hf(base, requests)
    assert described["adapter"]["rank"] == 4
    assert len(described["adapter"]["sha256"]) == 64


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"peft_type": "IA3"}, "type IA3, not LORA"),
        ({"use_dora": True}, "uses DoRA"),
        ({"modules_to_save": ["lm_head"]}, "brings whole modules"),
        ({"bias": "all"}, "trains biases"),
        ({"rank_pattern": {"q_proj": 8}}, "differ between layers"),
        ({"r": 1024}, "rank 1024, not one of 1 to 512"),
    ],
)
def test_an_adapter_that_vllm_would_apply_wrongly_or_not_at_all_is_to_be_merged_first(
    tmp_path: Path, config: dict[str, Any], words: str
) -> None:
    folder = adapter_of(tmp_path / "adapter", tiny_checkpoint(), **config)
    with pytest.raises(UserError, match=f"{words}.*: merge it into its base first") as raised:
        backend(tiny_checkpoint(), adapter=str(folder))
    assert "\n" not in str(raised.value)


def test_what_is_no_adapter_or_pickled_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no adapter"):
        backend(tiny_checkpoint(), adapter=str(tmp_path))
    folder = adapter_of(tmp_path / "adapter", tiny_checkpoint())
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    with pytest.raises(UserError, match="pickled weights are never read"):
        backend(tiny_checkpoint(), adapter=str(folder))


def test_samples_drawn_in_one_request_are_those_drawn_one_by_one(engine: VLLMBackend) -> None:
    [one] = asking(["abc"], temperature=1.0, seed=40)
    several = [
        msgspec.structs.replace(one, id=str(n), sample=n, sampling=msgspec.structs.replace(one.sampling, seed=40 + n))
        for n in range(5)
    ]
    assert [len(group) for group in together([ready(request) for request in several])] == [5]
    here = replies(engine, several)
    alone = {request.id: replies(engine, [request])[request.id] for request in several}
    assert here == alone
    assert len({reply.text for reply in here.values()}) > 1


def ready(request: Request) -> Asked:
    from judgebench.backends.chat import Rendered
    from judgebench.backends.local_sampling import settle

    drawing = settle(request, VLLMOptions(), {})
    return Asked(request=request, prompt=[1, 2], rendered=Rendered(text="ab", templated=False), drawing=drawing)


def test_only_samples_whose_seeds_follow_one_another_go_together() -> None:
    def sized(seeds: list[int], **sampling: Any) -> list[int]:
        made = [ready(asking(["a"], temperature=1.0, seed=seed, **sampling)[0]) for seed in seeds]
        return [len(group) for group in together(made)]

    assert sized([4, 3, 5, 9, 10]) == [3, 2]
    assert sized([3, 3]) == [1, 1]
    greedy = [ready(request) for request in asking(["a"] * 3)]
    assert [len(group) for group in together(greedy)] == [1, 1, 1]
    held = [asking(["a"], temperature=1.0, seed=1)[0], asking(["a"], temperature=1.0, seed=2, one_of=("x", "y"))[0]]
    assert [len(group) for group in together([ready(request) for request in held])] == [1, 1]


def test_samples_without_a_seed_of_their_own_get_seeds_that_follow_one_another() -> None:
    made = [msgspec.structs.replace(asking(["a"], temperature=1.0)[0], sample=n) for n in range(3)]
    seeds = [ready(request).drawing.seed for request in made]
    assert seeds == [seeds[0], seeds[0] + 1, seeds[0] + 2]


@needs_engine
def test_in_one_run_the_first_engine_is_freed_before_the_judges_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import judgebench
    from judgebench.stages.settings import Settings

    events: list[str] = []
    begin, end = Engine.__init__, Engine.close

    def starting(self: Engine, model: Model, *rest: Any) -> None:
        events.append(f"start {model.name}")
        begin(self, model, *rest)
        self.named = model.name  # type: ignore[attr-defined]

    def ending(self: Engine) -> None:
        if self._llm is not None:
            events.append(f"end {self.named}")  # type: ignore[attr-defined]
        end(self)

    monkeypatch.setattr(Engine, "__init__", starting)
    monkeypatch.setattr(Engine, "close", ending)
    suite = tmp_path / "open.yaml"
    suite.write_text("name: open\nversion: '1'\nitems:\n  - {id: '1', turns: [Why?]}\n  - {id: '2', turns: [How?]}\n")
    engine_options = {"enforce_eager": True, "dtype": "float32"}
    made = judgebench.run(
        tmp_path / "run",
        suite=[str(suite)],
        model=[f"one=vllm/{tiny_checkpoint()}", f"two=vllm/{tiny_checkpoint(seed=1)}"],
        judge=[f"three=vllm/{tiny_checkpoint(seed=2, positions=8192)}"],
        rubric=["pairwise-general"],
        settings=Settings(
            option={f"vllm.{name}": value for name, value in engine_options.items()},
            max_unscored=1.0,
            max_tokens=8,
            judge_max_tokens=8,
        ),
    )
    assert events == [f"{what} {name}" for name in ("one", "two", "three") for what in ("start", "end")]
    assert len(made.answers) == 4
    assert set(made.verdicts["judge"]) == {"three"}


@needs_engine
def test_an_engine_that_dies_ends_the_call_and_a_new_one_takes_its_place() -> None:
    opened = backend(tiny_checkpoint())
    expected = replies(opened, asking(["abc"]))
    runner = opened._engine._llm.llm_engine.model_executor.driver_worker.worker.model_runner

    def fail(*_: Any) -> None:
        raise RuntimeError("the device is gone")

    runner.get_model().register_forward_pre_hook(fail)
    with pytest.raises(BackendError, match=r"the vllm engine died after 1 replies: .*the device is gone"):
        replies(opened, asking(["abc", "xyz"]))
    assert replies(opened, asking(["abc"])) == expected
    opened.close()


@needs_engine
def test_an_engine_whose_process_is_killed_ends_the_call_instead_of_hanging_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "1")
    opened = backend(tiny_checkpoint())
    expected = replies(opened, asking(["abc"]))
    [process] = opened._engine._llm.llm_engine.engine_core.resources.engine_manager.processes
    answering = opened.generate([*asking(["abc"], max_tokens=1), *_long("xyz")])
    next(answering)
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(BackendError, match="the vllm engine died after 2 replies"):
        list(answering)
    assert replies(opened, asking(["abc"])) == expected
    opened.close()


def _long(content: str) -> list[Request]:
    sampling = Sampling(max_tokens=500)
    return [Request(id="long", messages=(Message(role="user", content=content),), sampling=sampling)]


# Choices ------------------------------------------------------------------------------------------------------------

SHOTS = "Q: 1+1?\nA. 1\nB. 2\nAnswer: B\n\n" * 3
ASKED = [SHOTS + f"Q: {n}?\nAnswer:" for n in range(6)] + ["", "a", "end with space ", "x" * 100]


def comparing(prompts: list[str], choices: tuple[str, ...]) -> list[ChoiceRequest]:
    return [
        ChoiceRequest(id=str(n), messages=(Message(role="user", content=prompt),), choices=choices)
        for n, prompt in enumerate(prompts)
    ]


@pytest.mark.parametrize(
    "choices", [("A", "B", "C", "D"), ("two", "a much longer text than two", "t"), ("x" * 90, "y" * 80)], ids=len
)
def test_its_choices_are_as_probable_as_for_hf(engine: VLLMBackend, choices: tuple[str, ...]) -> None:
    from judgebench.backends.hf import HFBackend

    requests = comparing(ASKED, choices)
    here = {request.id: reply for request, reply in engine.loglikelihood(requests)}
    there = {
        request.id: reply
        for request, reply in HFBackend(Model(name="tiny", backend="hf", id=str(tiny_checkpoint()))).loglikelihood(
            requests
        )
    }
    assert sorted(here) == sorted(there)
    for key, reply in here.items():
        assert not reply.error
        found = [score.logprob for score in reply.choices]
        assert found == pytest.approx([score.logprob for score in there[key].choices], abs=1e-3)
        assert [s.tokens for s in reply.choices] == [s.tokens for s in there[key].choices]


def test_what_cannot_be_compared_is_said_and_the_rest_is_compared(engine: VLLMBackend) -> None:
    requests = [*comparing(["x" * 600, "fine"], ("A", "B")), *comparing(["q"], ("A",))]
    requests[2] = msgspec.structs.replace(requests[2], id="one")
    found = {request.id: reply for request, reply in engine.loglikelihood(requests)}
    assert found["0"].error.startswith("context: ")
    assert [score.logprob < 0 for score in found["one"].choices] == [True]
    assert len(found["1"].choices) == 2


def _asked(prompt: int, choices: list[list[int]]) -> Continued:
    request = ChoiceRequest(id="1", messages=(), choices=tuple(map(str, choices)))
    return Continued(request=request, prompt=list(range(prompt)), choices=choices)


def test_letters_of_one_token_are_one_question_and_every_token_is_asked_for_once() -> None:
    [question] = questions(_asked(500, [[7], [8], [9]]))
    assert question.parameters()["logprob_token_ids"] == [7, 8, 9]
    longer = questions(_asked(500, [[7, 1], [7, 2], [8, 1, 3]]))
    wanted = [(choice, len(each.tokens) - 500, token) for each in longer for choice, _, token in each.wanted]
    assert sorted(wanted) == [(0, 0, 7), (0, 1, 1), (1, 0, 7), (1, 1, 2), (2, 0, 8), (2, 1, 1), (2, 2, 3)]
    assert not any(each.in_full for each in longer)
    whole = questions(_asked(20, [list(range(40)), list(range(50))]))
    assert [each.in_full for each in whole] == [True, True]
    assert [len(each.tokens) for each in whole] == [60, 70]
    assert whole[1].wanted[0] == (1, 20, 0)
    many = questions(_asked(500, [[token] for token in range(250)]))
    assert [len(each.wanted) for each in many] == [100, 100, 50]
