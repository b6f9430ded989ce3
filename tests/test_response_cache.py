"""The response cache across runs: what is found again, what never is, and what is said of a damaged file."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from endpoint_server import Act, EndpointServer
from tiny_models import tiny_checkpoint

from judgebench.backends.cache import CachedBackend, cached
from judgebench.backends.checkpoint import Checkpoint, CheckpointOptions
from judgebench.backends.deciding import deciding, small_files
from judgebench.backends.openai import OpenAIBackend
from judgebench.backends.responses import ResponseCache
from judgebench.errors import UserError
from judgebench.runs import Run
from judgebench.stages.answering import generate, load_suites
from judgebench.stages.named_models import parse_models
from judgebench.stages.opening import opened, responses_file
from judgebench.stages.settings import Settings
from judgebench.types import ChoiceReply, ChoiceRequest, ChoiceScore, Message, Model, Reply, Request, Sampling, Usage

SUITE = """name: sums
license: Apache-2.0
prompt: "Q: {question}"
scorer: number
items:
  - {id: "1", question: 1+1, reference: "2"}
  - {id: "2", question: 2+2, reference: "4"}
  - {id: "3", question: 3+3, reference: "6"}
"""


class Counting:
    """A backend that counts what it is asked, and says the number of the call."""

    def __init__(self, *, error: str = "") -> None:
        self.asked: list[str] = []
        self.error = error
        self.closed = False

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Reply]]:
        for request in requests:
            self.asked.append(request.messages[-1].content)
            said = f"reply {len(self.asked)}"
            yield request, Reply(text="" if self.error else said, error=self.error, usage=Usage(requests=1))

    def loglikelihood(self, requests: Iterable[ChoiceRequest]) -> Iterator[tuple[ChoiceRequest, ChoiceReply]]:
        for request in requests:
            self.asked.append(request.messages[-1].content)
            yield (
                request,
                ChoiceReply(choices=tuple(ChoiceScore(logprob=-1, tokens=1, bytes=1) for _ in request.choices)),
            )

    def describe(self) -> dict[str, Any]:
        return {"notes": []}

    def close(self) -> None:
        self.closed = True


MODEL = Model(name="m", backend="openai", id="some-model", options={"revision": "r1"})


def asking(content: str, **more: Any) -> Request:
    sampling = Sampling(
        **{key: more.pop(key) for key in ("temperature", "seed", "max_tokens", "logprobs") if key in more}
    )
    return Request(id=content + str(more), messages=(Message(role="user", content=content),), sampling=sampling, **more)


def texts(backend: Any, *requests: Request) -> list[str]:
    return [reply.text for _, reply in backend.generate(requests)]


def through(inner: Counting, path: Path, model: Model = MODEL, **parts: Any) -> CachedBackend:
    return cached(inner, ResponseCache(path), model, {"weights": "abc", **parts})


def test_what_was_answered_in_one_run_is_not_asked_in_another(tmp_path: Path) -> None:
    inner, file = Counting(), tmp_path / "new" / "responses.sqlite"
    first = through(inner, file)
    assert texts(first, asking("a"), asking("b")) == ["reply 1", "reply 2"]
    first.close()
    second = through(inner, file)
    found = list(second.generate([asking("c"), asking("b"), asking("a")]))
    assert {request.messages[0].content: reply.text for request, reply in found} == {
        "a": "reply 1", "b": "reply 2", "c": "reply 3",
    }  # fmt: skip
    assert inner.asked == ["a", "b", "c"]
    assert second.counts() == {"hits": 2, "asked": 1}
    usages = {request.messages[0].content: reply.usage for request, reply in found}
    assert usages["a"] == Usage(cached=1)
    assert usages["c"] == Usage(requests=1)
    second.close()


@pytest.mark.parametrize(
    "other",
    [asking("a", max_tokens=7), asking("a", sample=1), asking("a", logprobs=2), asking("a", temperature=0.5, seed=1)],
    ids=["max_tokens", "sample", "logprobs", "temperature"],
)
def test_a_request_that_differs_in_anything_is_asked(tmp_path: Path, other: Request) -> None:
    inner, file = Counting(), tmp_path / "responses.sqlite"
    for request in (asking("a"), other):
        backend = through(inner, file)
        texts(backend, request)
        backend.close()
    assert len(inner.asked) == 2


def test_schemas_that_differ_in_the_order_of_their_fields_are_two(tmp_path: Path) -> None:
    inner, text = Counting(), {"type": "string"}
    backend = through(inner, tmp_path / "responses.sqlite")
    for order in (("reason", "verdict"), ("verdict", "reason")):
        sampling = Sampling(json_schema={"type": "object", "properties": dict.fromkeys(order, text)})
        texts(backend, msgspec.structs.replace(asking("a"), sampling=sampling))
    backend.close()
    assert len(inner.asked) == 2


@pytest.mark.parametrize(
    ("options", "hits"),
    [({}, 1), ({"temperature": "null"}, 1), ({"temperature": "0"}, 1), ({"temperature": "1"}, 0),
     ({"extra_body": '{"temperature": 1}'}, 0), ({"extra_body": {"temperature": None}}, 0)],
)  # fmt: skip
def test_what_the_options_make_drawn_is_drawn_by_each_model_for_itself(
    tmp_path: Path, options: dict[str, Any], hits: int
) -> None:
    inner = Counting()
    for name in ("one", "other"):
        model = msgspec.structs.replace(MODEL, name=name, options=options)
        backend = through(inner, tmp_path / "responses.sqlite", model)
        texts(backend, asking("a"))
        found = backend.hits
        backend.close()
    assert found == hits


def test_log_probabilities_that_are_not_finite_are_not_kept_and_damage_nothing(tmp_path: Path) -> None:
    class Impossible(Counting):
        def loglikelihood(self, requests: Iterable[ChoiceRequest]) -> Iterator[tuple[ChoiceRequest, ChoiceReply]]:
            for request in requests:
                self.asked.append(request.id)
                yield request, ChoiceReply(choices=(ChoiceScore(logprob=float("-inf"), tokens=1, bytes=1),))

    inner = Impossible()
    for _ in range(2):
        backend = through(inner, tmp_path / "responses.sqlite")
        asked = ChoiceRequest(id="1", messages=(Message(role="user", content="a"),), choices=("A",))
        list(backend.loglikelihood([asked]))
        backend.close()
    assert len(inner.asked) == 2


def test_the_base_of_an_adapter_decides_with_its_configuration(tmp_path: Path) -> None:
    base, adapter = Path(shutil.copytree(tiny_checkpoint(), tmp_path / "base")), tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(
        json.dumps({"peft_type": "LORA", "r": 1, "base_model_name_or_path": "../base"}), encoding="utf-8"
    )
    (adapter / "adapter_model.safetensors").write_bytes(b"weights")
    model = Model(name="m", backend="hf", id=str(adapter))

    def decided() -> dict[str, Any] | str:
        return deciding(model, Checkpoint(model, CheckpointOptions(), adapters=True).describe())

    before = decided()
    assert isinstance(before, dict)
    assert decided() == before
    config = base / "config.json"
    changed = {**json.loads(config.read_text(encoding="utf-8")), "rms_norm_eps": 0.5}
    config.write_text(json.dumps(changed), encoding="utf-8")
    assert decided() != before


def test_what_decides_answers_is_part_of_the_key(tmp_path: Path) -> None:
    inner, file = Counting(), tmp_path / "responses.sqlite"
    for parts in ({}, {"commit": "x"}, {"commit": "y"}, {"adapter": "z"}, {"commit": "y"}):
        backend = through(inner, file, MODEL, **parts)
        texts(backend, asking("a"))
        backend.close()
    assert len(inner.asked) == 4


def test_what_is_drawn_is_found_again_only_for_the_same_name_item_and_seed(tmp_path: Path) -> None:
    inner, file = Counting(), tmp_path / "responses.sqlite"
    one = {"temperature": 1.0, "seed": 5, "item": "i"}
    calls = [(MODEL, one), (msgspec.structs.replace(MODEL, name="other"), one), (MODEL, {**one, "item": "j"}),
             (MODEL, {**one, "seed": 6}), (MODEL, one)]  # fmt: skip
    said = []
    for model, how in calls:
        backend = through(inner, file, model)
        said += texts(backend, asking("a", **how))
        backend.close()
    assert said == ["reply 1", "reply 2", "reply 3", "reply 4", "reply 1"]


def test_the_same_question_drawn_several_times_in_one_run_is_drawn_several_times(tmp_path: Path) -> None:
    inner, file = Counting(), tmp_path / "responses.sqlite"
    draws = [msgspec.structs.replace(asking("a", temperature=1.0, seed=5, item="i"), id=str(n)) for n in range(3)]
    for _ in range(2):
        backend = through(inner, file)
        assert sorted(texts(backend, *draws)) == ["reply 1", "reply 2", "reply 3"]
        backend.close()
    assert len(inner.asked) == 3


def test_errors_and_replies_that_lack_what_was_asked_for_are_not_kept(tmp_path: Path) -> None:
    file = tmp_path / "responses.sqlite"
    for inner, request in ((Counting(error="timeout: x"), asking("a")), (Counting(), asking("b", logprobs=3))):
        for _ in range(2):
            backend = through(inner, file)
            texts(backend, request)
            backend.close()
        assert len(inner.asked) == 2


def test_log_probabilities_of_choices_are_kept_too(tmp_path: Path) -> None:
    inner, file = Counting(), tmp_path / "responses.sqlite"
    messages = (Message(role="user", content="q"),)
    asked = [ChoiceRequest(id=str(n), messages=messages, choices=("A", other)) for n, other in enumerate("BC")]
    for _ in range(2):
        backend: Any = through(inner, file)
        found = {request.id: reply for request, reply in backend.loglikelihood(asked)}
        assert len(found["0"].choices) == 2
        backend.close()
    assert found["1"].usage == Usage(cached=1)
    assert len(inner.asked) == 2


def test_a_backend_with_nothing_left_to_answer_is_not_even_called(tmp_path: Path) -> None:
    file = tmp_path / "responses.sqlite"
    backend = through(Counting(), file)
    texts(backend, asking("a"))
    backend.close()

    class Untouchable(Counting):
        def generate(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Reply]]:
            raise AssertionError("an engine would start here")

    backend = through(Untouchable(), file)
    assert texts(backend, asking("a")) == ["reply 1"]
    backend.close()


def test_a_damaged_file_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "responses.sqlite"
    file.write_bytes(b"this is no database at all, whatever its name says" * 100)
    with pytest.raises(UserError, match=r"responses\.sqlite is damaged.*--no-cache") as caught:
        ResponseCache(file)
    assert "\n" not in str(caught.value)


def test_a_file_torn_in_the_middle_is_one_line_too(tmp_path: Path) -> None:
    file = tmp_path / "responses.sqlite"
    cache = ResponseCache(file)
    for number in range(2000):
        cache.keep(number.to_bytes(32, "big"), Reply(text="x" * 200))
    cache.close()
    whole = file.read_bytes()
    file.write_bytes(whole[:8192] + b"\xff" * (len(whole) - 8192))

    def read_all() -> None:
        cache = ResponseCache(file)
        try:
            for number in range(2000):
                cache.find(number.to_bytes(32, "big"), Reply)
        finally:
            cache.close()

    with pytest.raises(UserError, match=r"damaged|cannot be used"):
        read_all()


def test_a_file_of_another_version_is_refused(tmp_path: Path) -> None:
    import sqlite3

    file = tmp_path / "responses.sqlite"
    ResponseCache(file).close()
    with sqlite3.connect(file) as other:
        other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(UserError, match="version 99"):
        ResponseCache(file)


def test_two_processes_write_one_file_at_once(tmp_path: Path) -> None:
    file = tmp_path / "responses.sqlite"
    program = (
        "import sys\nfrom pathlib import Path\nfrom judgebench.backends.responses import ResponseCache\n"
        "from judgebench.types import Reply\n"
        "start = int(sys.argv[2])\ncache = ResponseCache(Path(sys.argv[1]))\n"
        "for number in range(start, start + 300):\n"
        "    cache.keep(number.to_bytes(32, 'big'), Reply(text=str(number)))\n"
        "    if number % 7 == 0:\n        cache.commit()\n"
        "cache.close()\n"
    )
    both = [subprocess.Popen([sys.executable, "-c", program, str(file), str(start)]) for start in (0, 200)]
    assert [process.wait() for process in both] == [0, 0]
    cache = ResponseCache(file)
    kept = [cache.find(number.to_bytes(32, "big"), Reply) for number in range(500)]
    cache.close()
    assert [reply.text if reply else "" for reply in kept] == [str(number) for number in range(500)]


def test_endpoints_are_kept_only_where_the_model_behind_the_name_is_known() -> None:
    def decided(identifier: str, url: str, **options: Any) -> dict[str, Any] | str:
        model = Model(name="m", backend="openai", id=identifier, options=options)
        return deciding(model, {"base_url": url, "revision": options.get("revision", "")})

    assert isinstance(decided("some-model", "https://api.example/v1"), str)
    assert isinstance(decided("some-model-2025-04-14", "http://127.0.0.1:8000/v1"), str)
    dated = decided("some-model-2025-04-14", "https://api.example/v1")
    known = decided("some-model", "http://127.0.0.1:8000/v1", revision="abc")
    assert isinstance(dated, dict)
    assert isinstance(known, dict)
    assert known != decided("some-model", "http://127.0.0.1:8001/v1", revision="abc")
    assert known != decided("some-model", "http://127.0.0.1:8000/v1", revision="abd")
    assert known == decided("some-model", "http://127.0.0.1:8000/v1", revision="abc", max_concurrency="3")


def test_weights_tokenizer_and_template_of_a_folder_decide_not_its_name(tmp_path: Path) -> None:
    def decided(folder: Path) -> dict[str, Any] | str:
        model = Model(name="m", backend="hf", id=str(folder))
        with opened("model", model, Settings(no_cache=True), {}, quiet=True) as (_, description):
            return deciding(model, description)

    one = Path(shutil.copytree(tiny_checkpoint(), tmp_path / "one"))
    before = decided(one)
    assert isinstance(before, dict)
    moved = one.rename(tmp_path / "moved")
    assert decided(moved) == before
    tokenizer = moved / "tokenizer_config.json"
    settings = json.loads(tokenizer.read_text(encoding="utf-8"))
    tokenizer.write_text(json.dumps({**settings, "added_here": 1}), encoding="utf-8")
    assert decided(moved) != before


def test_weights_too_large_to_hash_are_known_by_pieces_of_them(tmp_path: Path) -> None:
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(bytes(40 << 20))
    model = Model(name="m", backend="vllm", id=str(tmp_path))
    description = {"weights": {"not_hashed": "too large"}}
    before = deciding(model, description)
    at = weights.stat().st_mtime_ns
    with weights.open("r+b") as file:
        file.seek(20 << 20)
        file.write(b"\x01" * (1 << 20))
    os.utime(weights, ns=(at, at))
    assert isinstance(before, dict)
    assert deciding(model, description) != before


def run_of(folder: Path, suite: Path, models: tuple[str, ...], **more: Any) -> Run:
    settings = Settings(suite=(str(suite),), model=models, **more)
    run = Run(folder, create=True)
    generate(run, load_suites(settings), parse_models(models, settings.option), settings, {}, quiet=True)
    return run


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    path = tmp_path / "sums.yaml"
    path.write_text(SUITE, encoding="utf-8")
    return path


def test_a_second_run_on_an_endpoint_asks_nothing_and_says_what_was_kept(
    tmp_path: Path, suite: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-24680")
    with EndpointServer(lambda body, count: Act(text=f"{count} is 2")) as server:
        option = {"m.base_url": server.base_url, "m.revision": "2026-01"}
        first = run_of(tmp_path / "a", suite, ("m=openai/some-model",), option=option)
        assert len(server.seen) == 3
        second = run_of(tmp_path / "b", suite, ("m=openai/some-model",), option=option)
        assert len(server.seen) == 3
        assert [a.turns for a in second.answers().values()] == [a.turns for a in first.answers().values()]
        assert second.manifest["models"]["m"]["loaded"]["cache"] == {"hits": 3, "asked": 0}
        assert [answer.usage for answer in second.answers().values()] == [Usage(cached=1)] * 3
        third = run_of(tmp_path / "c", suite, ("m=openai/some-model",), option=option, no_cache=True)
        assert third.manifest["models"]["m"]["loaded"]["cache"] == {"off": "--no-cache"}
        assert len(server.seen) == 6
        run_of(tmp_path / "d", suite, ("m=openai/some-model",), option={**option, "m.revision": "2026-02"})
        assert len(server.seen) == 9
        run_of(tmp_path / "e", suite, ("m=openai/some-model",), option={"m.base_url": server.base_url})
        last = run_of(tmp_path / "f", suite, ("m=openai/some-model",), option={"m.base_url": server.base_url})
        assert len(server.seen) == 15
        assert "m.revision=" in last.manifest["models"]["m"]["loaded"]["cache"]["off"]
    kept = responses_file().read_bytes()
    assert b"canary" not in kept
    assert b"Q: 1+1" not in kept


def test_a_damaged_cache_ends_a_command_with_one_line_before_anything_is_asked(tmp_path: Path, suite: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "responses.sqlite").write_bytes(b"junk" * 1000)
    with EndpointServer() as server:
        command = [sys.executable, "-m", "judgebench", "generate", str(tmp_path / "r"), "--suite", str(suite),
                   "--model", "m=openai/x", "--option", f"m.base_url={server.base_url}", "--quiet"]  # fmt: skip
        environment = {**os.environ, "JUDGEBENCH_CACHE": str(cache)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert len(done.stderr.strip().splitlines()) == 1
        assert "--no-cache" in done.stderr
        assert not server.seen
        done = subprocess.run([*command, "--no-cache"], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0
        assert len(server.seen) == 3


def test_a_second_run_on_a_local_model_is_answered_from_the_cache(tmp_path: Path, suite: Path) -> None:
    folder = tiny_checkpoint()
    runs = [run_of(tmp_path / name, suite, (f"hf/{folder}",), max_tokens=4) for name in "ab"]
    one, two = ([answer.turns for answer in run.answers().values()] for run in runs)
    assert one == two
    assert all(answer.usage == Usage(cached=1) for answer in runs[1].answers().values())


def test_replies_of_a_model_that_refuses_what_was_asked_for_are_not_kept(tmp_path: Path) -> None:
    def behave(body: dict[str, Any], count: int) -> Act:
        if "temperature" in body:
            return Act(status=400, error={"message": "'temperature' is not supported with this model"})
        return Act(text=f"drawn {count}")

    with EndpointServer(behave) as server:
        for _ in range(2):
            inner = OpenAIBackend(Model(name="m", backend="openai", id="m", options={"base_url": server.base_url}))
            backend = cached(inner, ResponseCache(tmp_path / "responses.sqlite"), MODEL, {"weights": "1"})
            assert len(texts(backend, asking("a"))) == 1
            assert inner.left_to_the_server == {"temperature"}
            assert backend.hits == 0
            backend.close()


def test_a_checkpoints_own_code_decides_in_subfolders_too(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "config.json").write_text("{}")
    code = tmp_path / "parts" / "attention.py"
    code.write_text("SCALE = 1\n")
    before = small_files(tmp_path)
    code.write_text("SCALE = 2\n")
    after = small_files(tmp_path)
    assert set(before) == {"config.json", "parts/attention.py"}
    assert before != after
