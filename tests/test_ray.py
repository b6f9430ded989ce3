"""Replicas on a real Ray cluster of two nodes on this machine: the same records, lost nodes and actors, and no keys."""

from __future__ import annotations

import os
import pickle
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from endpoint_server import Act, EndpointServer

from judgebench.backends.replicas import Fleet, Replicas, replicated
from judgebench.cli import main
from judgebench.errors import BackendError, UserError
from judgebench.runs import Run, read_records
from judgebench.types import Answer, Message, Model, Record, Request, Usage, Verdict

ray = pytest.importorskip("ray")

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning:ray"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),  # files of Ray's own processes
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
]

CANARY = "sk-canary-of-the-workers-70145"
PASSWORD = "pass-of-the-address-70145"

SCRIPT = """
import os, time, zlib

def quick(chat):
    return "The answer is " + "ABCD"[zlib.crc32(chat[-1]["content"].encode()) % 4] + "."

def other(chat):
    return "(" + "ABCD"[zlib.crc32(chat[-1]["content"][::-1].encode()) % 4] + ")"

def verdict(chat):
    return "because [[" + "ABC"[zlib.crc32(chat[-1]["content"].encode()) % 3] + "]]"

def slow(chat):
    time.sleep(0.02)
    return "said " + chat[-1]["content"]

def deadly(chat):
    if chat[-1]["content"].endswith(" 37"):
        os._exit(1)
    return "said " + chat[-1]["content"]
"""


class TwoNodes:
    """A cluster of two nodes; the second can be killed."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self.cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
        self.session = Path(self.cluster.head_node.get_session_dir_path())
        self.second: Any = None
        self.mend()

    def mend(self) -> None:
        """Sees to it that there are two nodes."""
        if self.second is None:
            self.second = self.cluster.add_node(num_cpus=2)
            self.cluster.wait_for_nodes()

    def kill(self) -> None:
        """Kills the second node with all that runs on it, at once as a power cut does."""
        (raylet,) = (each.process.pid for each in self.second.all_processes["raylet"])
        workers = Path(f"/proc/{raylet}/task/{raylet}/children").read_text().split()
        for worker in workers:
            os.kill(int(worker), signal.SIGKILL)
        self.cluster.remove_node(self.second, allow_graceful=False)
        self.second = None


@pytest.fixture(scope="module")
def nodes() -> Iterator[TwoNodes]:
    before = dict(os.environ)
    os.environ.update(RAY_USAGE_STATS_ENABLED="0", OPENAI_API_KEY=CANARY)
    found = TwoNodes()
    os.environ["RAY_ADDRESS"] = found.cluster.address
    yield found
    ray.shutdown()
    found.cluster.shutdown()
    os.environ.clear()
    os.environ.update(before)
    assert not [line for line in commands() if str(found.session) in line], "Ray left processes behind"


def commands() -> list[str]:
    """Command lines of this machine's processes."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return found


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT, encoding="utf-8")
    return path


def asking(number: int) -> Request:
    return Request(id=f"r{number}", messages=(Message(role="user", content=f"question {number}"),))


def opened(script: Path, function: str, replicas: int) -> Replicas:
    return replicated(Model(name="m", backend="scripted", id=f"{script}:{function}"), Fleet(replicas=replicas))


def bare(record: Any) -> Record:
    changed: Record = msgspec.structs.replace(record, usage=Usage())
    return changed


def records(run: Path) -> list[list[Any]]:
    """Answers and verdicts sorted by key, without what they cost."""
    answers = [a for path in (run / "answers").glob("*.jsonl") for a in read_records(path, Answer)]
    verdicts = [v for path in (run / "verdicts").glob("*.jsonl") for v in read_records(path, Verdict)]
    return [[bare(each) for each in sorted(found, key=lambda each: repr(each.key))] for found in (answers, verdicts)]


def test_a_run_on_two_nodes_holds_the_same_records_as_one_here(nodes: TwoNodes, script: Path, tmp_path: Path) -> None:
    words = ["--suite", "mini-choice,mini-chat", "--model", f"a=scripted/{script}:quick", "--model",
             f"b=scripted/{script}:other", "--judge", f"j=scripted/{script}:verdict", "--rubric", "pairwise-mtbench",
             "--quiet"]  # fmt: skip
    nodes.mend()
    assert main(["run", str(tmp_path / "here"), *words]) == 0
    assert main(["run", str(tmp_path / "ray"), *words, "--executor", "ray", "--replicas", "3"]) == 0
    here, there = records(tmp_path / "here"), records(tmp_path / "ray")
    assert len(here[1]) >= 96
    assert here == there
    loaded = Run(tmp_path / "ray").manifest["models"]["a"]["loaded"]["executor"]
    assert (loaded["name"], loaded["replicas"], loaded["lost"]) == ("ray", 3, 0)


@pytest.mark.slow
def test_a_request_that_kills_its_replica_is_an_error_and_takes_no_other_with_it(nodes: TwoNodes, script: Path) -> None:
    backend = opened(script, "deadly", 2)
    replies = {request.id: reply for request, reply in backend.generate(asking(number) for number in range(80))}
    assert [identifier for identifier, reply in replies.items() if reply.error] == ["r37"]
    assert replies["r37"].error.startswith("model: 3 replicas were lost with this request")
    assert len(replies) == 80
    assert backend.describe()["executor"]["lost"] >= 3  # a busy machine may lose a node beside
    backend.close()
    backend.close()


@pytest.mark.slow
def test_a_call_left_early_leaves_nothing_behind_for_the_next(nodes: TwoNodes, script: Path) -> None:
    backend = opened(script, "slow", 2)
    replies = backend.generate(asking(number) for number in range(200))
    next(replies)
    replies.close()  # type: ignore[attr-defined]
    assert sorted(request.id for request, _ in backend.generate([asking(300), asking(301)])) == ["r300", "r301"]
    assert list(backend.generate([])) == []
    backend.close()


def test_what_the_workers_refuse_is_one_line_here(nodes: TwoNodes, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no file") as refused:
        opened(tmp_path / "not-there.py", "f", 1)
    assert "\n" not in str(refused.value)


def test_the_key_reaches_the_server_and_neither_arguments_logs_cache_nor_the_run(
    nodes: TwoNodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from ray.actor import ActorMethod

    sent: list[bytes] = []
    remote = ActorMethod._remote

    def watched(self: Any, args: Any = None, kwargs: Any = None, **more: Any) -> Any:
        sent.append(pickle.dumps((args, kwargs)))
        return remote(self, args, kwargs, **more)

    monkeypatch.setattr(ActorMethod, "_remote", watched)
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    monkeypatch.setenv("JUDGEBENCH_CACHE", str(tmp_path / "cache"))
    with EndpointServer(lambda body, count: Act(text=f"The answer is B. You sent {CANARY}.")) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        words = ["--suite", "mini-choice", "--limit", "20", "--model", "m=openai/some-model",
                 "--option", "m.revision=r1"]  # fmt: skip
        assert main(["generate", str(tmp_path / "run"), *words, "--executor", "ray", "--replicas", "2"]) == 0
        assert {seen.headers["Authorization"] for seen in server.seen} == {f"Bearer {CANARY}"}
        assert len(server.seen) == 20
    asked = server.seen[0].asked.encode()
    assert any(asked in each for each in sent), "no task was watched"
    assert not [each for each in sent if CANARY.encode() in each]
    folders = (tmp_path, nodes.session)
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    assert any(path.is_relative_to(nodes.session) for path in files)
    assert any(b"The answer is B. You sent ***." in path.read_bytes() for path in files if path.suffix == ".jsonl")
    assert b"You sent ***" in (tmp_path / "cache" / "responses.sqlite").read_bytes()
    assert CANARY not in "".join(capfd.readouterr())
    assert not [path for path in files if CANARY.encode() in path.read_bytes()]


@pytest.mark.parametrize("by", ["environment", "option", "options"])
def test_an_address_with_a_password_is_refused_before_anything_travels(
    nodes: TwoNodes, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    from ray.actor import ActorMethod

    sent: list[Any] = []
    monkeypatch.setattr(ActorMethod, "_remote", lambda self, *args, **more: sent.append((args, more)))
    address = f"http://user:{PASSWORD}@127.0.0.1:9/v1"
    options: dict[str, Any] = {}
    if by == "environment":
        monkeypatch.setenv("OPENAI_BASE_URL", address)
    else:
        options["base_url"] = address if by == "option" else ["http://127.0.0.1:9/v1", address]
    with pytest.raises(UserError, match="may hold no user, password or query") as refused:
        replicated(Model(name="m", backend="openai", id="some-model", options=options), Fleet())
    assert PASSWORD not in str(refused.value)
    assert sent == []
    session = [path for path in nodes.session.rglob("*") if path.is_file() and not path.is_symlink()]
    assert not [path for path in session if PASSWORD.encode() in path.read_bytes()]


def test_the_workers_own_missing_key_is_said(nodes: TwoNodes, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"api_key_env": "NOT_SET_ON_ANY_NODE"}
    monkeypatch.setenv("NOT_SET_ON_ANY_NODE", "only-the-driver-has-it")
    with pytest.raises(UserError, match="set NOT_SET_ON_ANY_NODE in the environment"):
        replicated(Model(name="m", backend="openai", id="some-model", options=options), Fleet())


def test_a_node_killed_half_way_costs_no_answer_and_each_is_written_once(
    nodes: TwoNodes, script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes.mend()
    generate, written = Replicas.generate, Counter[str]()

    def killing(self: Replicas, requests: Any) -> Iterator[Any]:
        for answered in generate(self, requests):
            written.update(["all"])
            if written["all"] == 60:
                assert {seat.node for seat in self._seats if seat.outstanding} == {
                    node["NodeID"] for node in ray.nodes() if node["Alive"]
                }
                nodes.kill()
            yield answered

    monkeypatch.setattr(Replicas, "generate", killing)
    words = ["--suite", "mini-choice", "--samples", "4", "--temperature", "1", "--executor", "ray", "--replicas", "2"]
    run = tmp_path / "run"
    assert main(["generate", str(run), "--model", f"m=scripted/{script}:slow", *words, "--quiet"]) == 0
    lines = list(read_records(run / "answers" / "m.jsonl", Answer))
    items = len(Run(run).items("mini-choice"))
    assert len(lines) == len({answer.key for answer in lines}) == items * 4 > 120
    assert not any(answer.error for answer in lines)
    executor = Run(run).manifest["models"]["m"]["loaded"]["executor"]
    assert executor["lost"] >= 1
    assert 0 < executor["repeated"] <= 48
    assert any("were asked again" in note for note in Run(run).manifest["models"]["m"]["loaded"]["notes"])


@pytest.mark.slow
def test_a_checkpoint_answers_and_compares_choices_alike_on_the_cluster(nodes: TwoNodes, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    from tiny_models import tiny_checkpoint

    words = ["--suite", "mini-choice", "--limit", "12", "--model", f"m=hf/{tiny_checkpoint()}", "--answer", "both",
             "--max-tokens", "8", "--no-cache", "--quiet"]  # fmt: skip
    nodes.mend()
    assert main(["generate", str(tmp_path / "here"), *words]) == 0
    assert main(["generate", str(tmp_path / "ray"), *words, "--executor", "ray", "--replicas", "2"]) == 0
    (here, _), (there, _) = records(tmp_path / "here"), records(tmp_path / "ray")
    assert [answer.turns for answer in here] == [answer.turns for answer in there]
    for one, other in zip(here, there, strict=True):
        assert [choice.logprob for choice in other.choices] == pytest.approx([c.logprob for c in one.choices], abs=1e-4)


@pytest.mark.slow
def test_a_replica_that_fits_nowhere_is_refused_when_waiting_has_an_end(
    nodes: TwoNodes, script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from judgebench.backends import replicas

    monkeypatch.setattr(replicas, "PLACEMENT", 3.0)
    with pytest.raises(BackendError, match="it needs 64 CPUs and 0 GPUs"):
        replicated(Model(name="m", backend="scripted", id=f"{script}:quick"), Fleet(cpus=64))
