"""One replica and the desk that feeds it, without Ray: nothing waits for ever, nothing is lost, nothing comes twice."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import pytest

from judgebench import plugins
from judgebench.backends import ray_cluster
from judgebench.backends.desk import MOST_LOSSES, Desk
from judgebench.backends.replica import SHARD, STOCK, Replica, Replies, Shard
from judgebench.backends.replicas import Fleet, replicated, together
from judgebench.errors import BackendError, MissingPackage, UserError
from judgebench.stages.settings import Settings, checked
from judgebench.types import Message, Model, Reply, Request

MODEL = Model(name="m", backend="windows", id="x")


def asking(number: int) -> Request:
    return Request(id=f"r{number}", messages=(Message(role="user", content=f"question {number}"),))


class Windows:
    """Takes 50 requests before it answers the first, as backends that sort or batch do."""

    def __init__(self, model: Model) -> None:
        if model.id == "refused":
            raise UserError("no such file")
        self.model = model
        self.closed = 0
        self.begun = 0

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Reply]]:
        self.begun += 1
        source = iter(requests)
        while window := list(islice(source, 50)):
            for request in window:
                if self.model.id == "loses" and request.id == "r3":
                    continue
                if self.model.id == "dies" and request.id == "r3":
                    raise BackendError("the engine died")
                if self.model.id == "bug" and request.id == "r3":
                    raise ZeroDivisionError("a bug")
                yield request, Reply(text=request.id)

    def describe(self) -> dict[str, Any]:
        return {"backend": "windows", "notes": []}

    def close(self) -> None:
        self.closed += 1


@pytest.fixture(autouse=True)
def _windows(monkeypatch: pytest.MonkeyPatch) -> None:
    load = plugins.load
    monkeypatch.setattr(plugins, "load", lambda group, name: Windows if name == "windows" else load(group, name))


def started(identifier: str = "x") -> Replica:
    replica = Replica()
    opened = replica.start(Model(name="m", backend="windows", id=identifier), "", {})
    assert opened.fault is None
    assert opened.description["backend"] == "windows"
    return replica


def driven(replica: Replica, requests: Iterable[Request], call: int = 1) -> list[str]:
    """Ids answered, as the driver would ask: a shard whenever the replica runs short."""
    desk, outstanding, waiting, found = Desk(requests), 0, 0, []
    while True:
        shard = desk.shard(idle=not outstanding) if waiting < STOCK else []
        outstanding += len(shard)
        if not outstanding:
            return found
        got = replica.exchange(Shard(call=call, method="generate", requests=tuple(shard), more=desk.more))
        assert got.fault is None
        found += [identifier for identifier, _ in got.answered]
        outstanding -= len(got.answered)
        waiting = got.waiting


def test_a_backend_that_takes_more_than_a_shard_before_it_answers_is_fed_and_never_waits_for_ever() -> None:
    replica = started()
    assert sorted(driven(replica, map(asking, range(333)))) == sorted(f"r{number}" for number in range(333))
    replica.stop()


def test_a_backend_is_not_begun_anew_for_each_shard() -> None:
    replica = started()
    driven(replica, map(asking, range(50 * 8)))
    assert isinstance(replica._backend, Windows)
    assert replica._backend.begun < 50 * 8 / STOCK / 2
    replica.stop()


def test_a_call_given_up_leaves_nothing_for_the_next_one() -> None:
    replica = started()
    replica.exchange(Shard(call=1, method="generate", requests=tuple(map(asking, range(16)))))
    replica.drop(1)
    assert driven(replica, [asking(90), asking(91)], call=2) == ["r90", "r91"]
    late = replica.exchange(Shard(call=1, method="generate", requests=(asking(1),), more=False))
    assert late == Replies(call=1)
    replica.stop()


def test_an_exchange_ends_when_its_call_is_given_up() -> None:
    replica = started()
    got: list[Replies] = []
    asked = Shard(call=1, method="generate", more=False)
    thread = threading.Thread(target=lambda: got.append(replica.exchange(asked)))
    thread.start()
    replica.drop(1)
    thread.join(10)
    assert got == [Replies(call=1)]
    replica.stop()


def test_a_request_that_the_backend_loses_is_an_error_and_not_waited_for() -> None:
    replica = started("loses")
    with pytest.raises(RuntimeError, match="the backend lost 1 of its requests"):
        driven(replica, map(asking, range(8)))
    replica.stop()


def test_what_was_answered_before_an_engine_died_comes_first_and_then_the_fault() -> None:
    replica = started("dies")
    shard = Shard(call=1, method="generate", requests=tuple(map(asking, range(8))), more=False)
    found: list[str] = []
    while not (got := replica.exchange(shard)).fault:
        found += [identifier for identifier, _ in got.answered]
        shard = Shard(call=1, method="generate", more=False)
    assert found == ["r0", "r1", "r2"]
    assert got.fault.backend
    assert got.fault.words == "the engine died"
    replica.stop()


def test_a_bug_keeps_its_type() -> None:
    replica = started("bug")
    with pytest.raises(ZeroDivisionError):
        driven(replica, map(asking, range(8)))
    replica.stop()


def test_what_a_backend_refuses_at_its_start_is_told_in_its_words() -> None:
    opened = Replica().start(Model(name="m", backend="windows", id="refused"), "", {})
    assert opened.fault is not None
    assert not opened.fault.backend
    assert opened.fault.words == "no such file"


def test_stopping_closes_the_backend_and_ends_its_thread() -> None:
    replica = started()
    backend = replica._backend
    replica.stop()
    assert isinstance(backend, Windows)
    assert backend.closed == 1
    assert not any(thread.name == "judgebench-replica" for thread in threading.enumerate())


def test_requests_are_taken_from_their_source_only_as_they_are_sent() -> None:
    taken = iter(range(1000))
    desk = Desk(asking(number) for number in taken)
    assert len(desk.shard(idle=True)) == SHARD
    assert next(taken) == SHARD


def test_lost_requests_go_first_then_alone_and_then_no_more() -> None:
    desk = Desk(map(asking, range(2 * SHARD)))
    lost = desk.shard(idle=True)
    assert desk.take_back(lost) == []
    again = desk.shard(idle=True)
    assert again == lost
    assert desk.take_back(again[:2]) == []
    assert [request.id for request in desk.shard(idle=False)] == [f"r{number}" for number in range(SHARD, 2 * SHARD)]
    assert desk.shard(idle=False) == []
    assert not desk.empty
    alone = desk.shard(idle=True)
    assert alone == again[:1]
    assert desk.suspected(alone[0])
    assert desk.take_back(alone) == alone
    assert MOST_LOSSES == 3
    assert desk.shard(idle=True) == again[1:2]
    assert desk.empty
    assert desk.repeated == SHARD + 2


def test_notes_of_all_replicas_are_kept_once() -> None:
    found = together([{"dtype": "x", "notes": ["a"]}, {"dtype": "x", "notes": ["b", "a"], "served": ["m"]}])
    assert found == {"dtype": "x", "notes": ["a", "b"]}


def test_without_ray_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(MissingPackage, match=r"judgebench\[ray\]"):
        ray_cluster.join()


def test_an_address_at_which_nobody_listens_is_refused_without_waiting_for_ray() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        ray_cluster.refuse_silent(address)
    with pytest.raises(BackendError, match=f"no Ray cluster answers at RAY_ADDRESS={address}: "):
        ray_cluster.refuse_silent(address)
    ray_cluster.refuse_silent("auto")


def test_a_key_among_the_options_is_refused_before_ray_is_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster, "join", lambda: pytest.fail("Ray was joined"))
    monkeypatch.setenv("SOME_API_KEY", "canary-4711-0815")
    body = {"extra_body": {"user": "canary-4711-0815"}}
    with pytest.raises(UserError, match=r"extra_body.* may not travel to Ray's workers") as refused:
        replicated(Model(name="m", backend="openai", id="x", options=body), Fleet())
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"replicas": 2}, "--replicas 2: there are replicas only with --executor ray"),
        ({"replica_gpus": 0.5}, "--replica-gpus 0.5: there are replicas only with --executor ray"),
        ({"executor": "ray", "replicas": 0}, "--replicas 0: must be at least 1"),
        ({"executor": "ray", "replica_cpus": -1.0}, "--replica-cpus and --replica-gpus must not be negative"),
    ],
)
def test_settings_that_mean_nothing_are_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        checked(Settings(**given))
