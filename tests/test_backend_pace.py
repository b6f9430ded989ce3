"""How many calls at once, to which of several addresses, and what a server got silently wrong."""

from __future__ import annotations

import heapq
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from endpoint_calls import asking, many, opened
from endpoint_server import Act, EndpointServer, judging, refusal

from judgebench.backends import addresses, retry
from judgebench.backends.adaptive import Adaptive, Outcome
from judgebench.backends.addresses import Addresses
from judgebench.backends.promises import Promises, follows
from judgebench.errors import BackendError
from judgebench.types import Message, Reply, Sampling, Usage

Server = Callable[[int], tuple[float, Outcome]]
"""Calls under way, this one included → seconds that it takes, and what it comes to."""


def driven(server: Server, most: int, calls: int, first: int = 8) -> tuple[Adaptive, list[int], float]:
    """As many calls at once as the limit says, on a clock of their own: the limit, how it went, and the seconds."""
    adaptive = Adaptive(most, first)
    under_way: list[tuple[float, float, Outcome]] = []
    now, went, begun = 0.0, [], 0
    while begun < calls or under_way:
        while begun < calls and len(under_way) < adaptive.limit:
            seconds, outcome = server(len(under_way) + 1)
            heapq.heappush(under_way, (now + seconds, now, outcome))
            begun += 1
        now, began, outcome = heapq.heappop(under_way)
        went.append(adaptive.observe(began, now, outcome))
    return adaptive, went, now


def test_calls_at_once_grow_to_the_users_limit_while_the_server_keeps_up() -> None:
    _, went, seconds = driven(lambda busy: (1.0, "answered"), 128, 4000)
    assert went[-1] == 128
    assert seconds < 1.2 * 4000 / 128


def test_a_fuller_batch_that_answers_more_a_second_is_not_mistaken_for_a_slow_server() -> None:
    _, went, _ = driven(lambda busy: (1.0 + busy / 64, "answered"), 128, 6000)
    assert went[-1] == 128


def test_more_at_once_than_the_server_answers_is_taken_back() -> None:
    adaptive, went, seconds = driven(lambda busy: (max(1.0, busy / 16), "answered"), 256, 6000)
    assert max(went[3000:]) <= 64
    assert adaptive.slowdowns
    assert seconds < 1.1 * 6000 / 16


def test_refusals_of_many_lower_the_number_until_few_are_refused() -> None:
    adaptive, went, _ = driven(lambda busy: (1.0, "refused" if busy > 20 else "answered"), 256, 8000)
    assert adaptive.refusals
    assert 5 <= min(went[4000:]) <= max(went[4000:]) <= 30


def test_a_fault_here_and_there_lowers_nothing() -> None:
    count = iter(range(10**6))
    _, went, _ = driven(lambda busy: (1.0, "failed" if next(count) % 12 == 0 else "answered"), 64, 4000)
    assert went[-1] == 64


def test_a_server_that_grows_slow_is_asked_less_where_that_helps_it() -> None:
    count = iter(range(10**6))

    def server(busy: int) -> tuple[float, Outcome]:
        return (1.0 if next(count) < 2000 else max(1.0, busy / 8), "answered")

    _, went, _ = driven(server, 64, 6000, first=64)
    assert went[1900] == 64
    assert min(went[2500:]) < 40


def test_the_limit_is_never_below_one_nor_above_the_users() -> None:
    _, went, _ = driven(lambda busy: (1.0, "refused"), 10, 500)
    assert went[-1] == 1
    assert max(went) <= 10


# Several addresses


def test_a_dead_address_is_dropped_and_tried_again_by_one_call_later() -> None:
    both = Addresses(["http://a/v1", "http://b/v1"])
    dead, sound = both.all
    sound.works()
    assert both.fails(dead, 100.0, unreachable=True)
    assert [both.choose(100.5)[0] for _ in range(3)] == [sound] * 3
    later = 100.0 + addresses.FIRST_PAUSE
    sound.active = 5
    assert both.choose(later) == (dead, 0.0)
    dead.active = 1
    assert both.choose(later) == (sound, 0.0)
    assert both.fails(dead, later, unreachable=True)
    dead.active = 0
    assert both.choose(later + addresses.FIRST_PAUSE)[0] is sound
    assert both.choose(later + 2 * addresses.FIRST_PAUSE)[0] is dead
    dead.works()
    dead.active = 4
    assert both.choose(later)[0] is dead
    assert both.notes == ["http://a/v1 did not answer and was dropped for a while"]


def test_where_all_are_down_the_first_to_come_back_is_waited_for() -> None:
    both = Addresses(["http://a/v1", "http://b/v1"])
    assert both.fails(both.all[0], 10.0, unreachable=True)
    assert not both.fails(both.all[1], 10.5, unreachable=True)
    assert both.choose(10.6) == (both.all[0], pytest.approx(addresses.FIRST_PAUSE - 0.6))


def test_calls_are_spread_over_addresses_and_none_is_lost_when_one_dies() -> None:
    def until_ten(body: dict[str, Any], count: int) -> Act:
        return Act(latency=0.01) if len(dying.seen) <= 10 else Act(fault="drop")

    with EndpointServer(until_ten) as dying, EndpointServer(latency=0.01) as sound:
        backend = opened(dying, base_url=[dying.base_url, sound.base_url], max_concurrency=8)
        replies = [reply for _, reply in backend.generate(many(100))]
        assert [reply.error for reply in replies] == [""] * 100
        assert len(sound.seen) >= 90
        assert 10 <= len(dying.seen) < 30
        assert backend.describe()["base_url"] == [dying.base_url, sound.base_url]
        assert f"{dying.base_url} did not answer and was dropped for a while" in backend.describe()["notes"]


def test_an_address_where_nobody_listens_costs_no_reply() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with EndpointServer() as sound:
        backend = opened(sound, base_url=[f"http://127.0.0.1:{port}/v1", sound.base_url])
        assert [reply.error for _, reply in backend.generate(many(20))] == [""] * 20


def test_an_address_without_the_model_is_left_out_for_good() -> None:
    def unknown(body: dict[str, Any], count: int) -> Act:
        return refusal(404, "no such model")

    with EndpointServer(unknown) as wrong, EndpointServer() as sound:
        backend = opened(sound, base_url=[sound.base_url, wrong.base_url], max_concurrency=4)
        assert [reply.error for _, reply in backend.generate(many(30))] == [""] * 30
        assert any("was left out: 404" in note for note in backend.describe()["notes"])


# A dead endpoint


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_WAIT", 0.01)


@pytest.mark.usefixtures("impatient")
def test_an_endpoint_that_fails_every_call_ends_the_work_early() -> None:
    with EndpointServer(lambda body, count: refusal(500, "boom")) as server:
        with pytest.raises(BackendError, match=r"has failed \d+ times in a row.*500 boom; run it again to go on"):
            list(opened(server, max_concurrency=32).generate(many(2000)))
        assert len(server.seen) < 150


@pytest.mark.usefixtures("impatient")
def test_an_endpoint_that_dies_on_the_way_ends_the_work_with_what_it_had_answered() -> None:
    def behave(body: dict[str, Any], count: int) -> Act:
        return Act() if len(server.seen) <= 50 else refusal(503, "gone")

    with EndpointServer(behave) as server:
        answered: list[str] = []
        replies = opened(server, max_concurrency=8).generate(many(2000))
        with pytest.raises(BackendError, match="gone"):
            answered.extend(reply.error for _, reply in replies)
        assert answered[:50] == [""] * 50
        assert len(server.seen) < 250


@pytest.mark.usefixtures("impatient")
def test_items_that_the_server_fails_on_are_data_while_others_are_answered() -> None:
    def behave(body: dict[str, Any], count: int) -> Act:
        number = int(body["messages"][-1]["content"].rpartition(" ")[2])
        return refusal(500, "boom") if number % 3 == 0 else Act()

    with EndpointServer(behave) as server:
        replies = {request.id: reply.error for request, reply in opened(server, max_retries=2).generate(many(60))}
        assert len(replies) == 60
        assert sum(bool(error) for error in replies.values()) == 20


def test_a_call_is_given_up_at_its_deadline_and_says_so() -> None:
    with EndpointServer(lambda body, count: refusal(503, "busy", headers={"Retry-After": "30"})) as server:
        ((_, reply),) = opened(server, deadline=1.0).generate([asking()])
        assert reply.error == "http: 503 busy"
        assert len(server.seen) == 1


def test_a_call_that_waits_leaves_its_place_to_another() -> None:
    def behave(body: dict[str, Any], count: int) -> Act:
        slow = body["messages"][-1]["content"] == "question 0" and not count
        return refusal(429, "later", headers={"Retry-After": "1"}) if slow else Act()

    with EndpointServer(behave) as server:
        order = [request.id for request, _ in opened(server, max_concurrency=1).generate(many(20))]
        assert order[-1] == "r0"
        assert server.most_at_once == 1


# What servers get silently wrong


def said(text: str = "four words of reply", **usage: int) -> Reply:
    return Reply(text=text, usage=Usage(**{"prompt_tokens": 5, "completion_tokens": 5, **usage}))


def chat(text: str) -> tuple[Message, ...]:
    return (Message(role="user", content=text),)


SCHEMA = {"type": "object", "required": ["score"], "properties": {"score": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("sampling", "reply", "says"),
    [
        (Sampling(), said(prompt_tokens=0, completion_tokens=0), "does not say how many tokens"),
        (Sampling(logprobs=5), said(), "left out the log-probabilities"),
        (Sampling(max_tokens=4), said(), "more tokens than the limit"),
        (Sampling(stop=("of",)), said(), "did not end replies at the stop text"),
        (Sampling(json_schema=SCHEMA), said("I give it a 7"), "ignored the JSON schema"),
        (Sampling(json_schema=SCHEMA), said('{"grade": 7}'), "ignored the JSON schema"),
    ],
)
def test_a_broken_promise_is_said_once_and_a_kept_one_never(sampling: Sampling, reply: Reply, says: str) -> None:
    broken, kept = Promises(), Promises()
    for number in range(3):
        broken.check(chat(str(number)), sampling, reply)
        kept.check(chat(str(number)), Sampling(), said())
    (note,) = broken.notes
    assert says in note
    assert not kept.notes


def test_a_promise_broken_now_and_then_is_said_with_how_often() -> None:
    promises = Promises()
    for number in range(10):
        text = "none" if number < 3 else '{"score": 1}'
        promises.check(chat(str(number)), Sampling(json_schema=SCHEMA), said(text))
    assert promises.notes == ["the server ignored the JSON schema it was given in 3 of 10 replies"]


def test_an_ignored_seed_is_told_by_one_call_put_twice_and_by_samples_all_alike() -> None:
    twice, alike, sound = Promises(), Promises(), Promises()
    long = "one and the same reply of more than forty characters"
    for number in range(4):
        for seed in range(3):
            sampling = Sampling(temperature=1.0, seed=seed)
            alike.check(chat(str(number)), sampling, said(long))
            sound.check(chat(str(number)), sampling, said(f"{long} {number} {seed}"))
    for text in ("one", "another"):
        twice.check(chat("same"), Sampling(temperature=1.0, seed=1), said(text))
    assert "came back as two replies" in twice.notes[0]
    assert "samples with seeds of their own are alike" in alike.notes[0]
    assert not sound.notes


def test_what_follows_a_schema_is_json_with_all_it_requires() -> None:
    assert follows('{"score": 3, "more": 1}', SCHEMA)
    assert follows("[1]", {"type": "array"})
    assert not follows("{", SCHEMA)
    assert not follows("[1]", SCHEMA)
    assert not follows("[" * 100_000, SCHEMA)  # what a model repeats without end


# The key


def test_a_canary_key_is_found_nowhere_on_disk_nor_in_what_is_said(tmp_path: Path) -> None:
    canary = "sk-canary-93f1c0d2e7b845aa"

    def behave(body: dict[str, Any], count: int) -> Act:
        if count == 0 and "3" in body["messages"][-1]["content"]:
            return refusal(500, f"your key {canary} met a bug")
        return judging("5")(body, count) if "Grade" in body["messages"][-1]["content"] else Act(text=f"{canary}: 4")

    suite = tmp_path / "own.yaml"
    items = "".join(f"  - {{id: q{number}, turns: ['What is {number} and 1?']}}\n" for number in range(5))
    suite.write_text(f"name: own\nversion: '1'\nabout: five questions\nlicense: CC0-1.0\nitems:\n{items}")
    environment = {**os.environ, "OPENAI_API_KEY": canary, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "c"),
                   "JUDGEBENCH_CACHE": str(tmp_path / "cache")}  # fmt: skip
    with EndpointServer(behave) as server:
        done = subprocess.run(
            [sys.executable, "-m", "judgebench", "run", str(tmp_path / "run"), "--suite", str(suite),
             "--model", "m=openai/some", "--judge", "j=openai/some", "--rubric", "pointwise-general",
             "--option", f"openai.base_url={server.base_url}"],
            env=environment, capture_output=True, cwd=tmp_path, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
        assert {seen.headers["Authorization"] for seen in server.seen} == {f"Bearer {canary}"}
    held = [path for path in tmp_path.rglob("*") if path.is_file() and canary.encode() in path.read_bytes()]
    assert not held
    assert canary.encode() not in done.stdout + done.stderr
    assert (tmp_path / "run" / "report.html").is_file()
