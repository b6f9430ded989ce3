"""Faults of an endpoint and many calls at once: what is asked again, what is data, and what ends the run."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from email.utils import formatdate
from pathlib import Path
from typing import Any

import msgspec
import pytest
from endpoint_calls import first_then, many, only, opened
from endpoint_server import Act, EndpointServer, refusal

from judgebench.errors import BackendError

# Faults that pass

PASSING = {
    "500": Act(status=500, error={"message": "boom"}),
    "503 in html": Act(status=503, raw=b"<html>busy</html>"),
    "429": refusal(429, "slow down"),
    "torn json": Act(raw=b'{"choices": [{"mess'),
    "empty body": Act(raw=b""),
    "null": Act(raw=b"null"),
    "no choices": Act(raw=b'{"choices": []}'),
    "no message": Act(raw=b'{"choices": [{"finish_reason": "stop"}]}'),
    "error with status 200": Act(raw=b'{"error": {"message": "upstream", "code": 502}}'),
    "broken off": Act(text="half", finish="error"),
    "dropped before the response": Act(fault="drop"),
    "cut in the body": Act(fault="cut", text="x" * 5000),
    "a stall": Act(fault="stall"),
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING.keys())
def test_a_fault_that_passes_is_asked_again(fault: Act) -> None:
    with first_then(fault) as server:
        reply = only(opened(server, timeout=2))
        assert (reply.text, reply.error, reply.usage.requests) == ("at last", "", 2)
        assert len(server.seen) == 2


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("500", "http: 500 boom"),
        ("429", "refused: 429 slow down"),
        ("torn json", "torn: "),
        ("empty body", "torn: "),
        ("no choices", "empty: "),
        ("dropped before the response", "http: the connection was lost"),
        ("cut in the body", "torn: the response broke off"),
        ("error with status 200", "http: 502"),
    ],
)
def test_a_fault_that_stays_is_an_error_after_bounded_repeats(fault: str, kind: str) -> None:
    with EndpointServer(lambda body, count: PASSING[fault]) as server:
        reply = only(opened(server, max_retries=1))
        assert reply.error.startswith(kind)
        assert reply.error.endswith("(asked 2 times)")
        assert (reply.text, reply.finish, reply.usage.requests) == ("", "error", 2)
        assert len(server.seen) == 2


def test_timeouts_are_repeated_at_most_twice() -> None:
    with EndpointServer(lambda body, count: Act(fault="stall")) as server:
        reply = only(opened(server, timeout=0.2, max_retries=6))
        assert reply.error == "timeout: no reply within 0.2 s (asked 3 times)"
        assert len(server.seen) == 3


def test_retry_after_in_seconds_is_kept() -> None:
    with first_then(refusal(429, "slow down", headers={"Retry-After": "2"})) as server:
        assert only(opened(server)).text == "at last"
        assert server.seen[1].at - server.seen[0].at >= 2.0


def test_retry_after_as_a_date_is_kept() -> None:
    until = int(time.time()) + 3

    def behave(body: dict[str, Any], count: int) -> Act:
        late = time.time() >= until
        return Act() if late else refusal(503, "busy", headers={"Retry-After": formatdate(until, usegmt=True)})

    with EndpointServer(behave) as server:
        assert not only(opened(server)).error
        assert len(server.seen) == 2


def test_every_item_gets_its_reply_among_many_faults() -> None:
    faults = [fault for name, fault in PASSING.items() if name != "a stall"]

    def behave(body: dict[str, Any], count: int) -> Act:
        content = body["messages"][-1]["content"]
        number = int(content.rpartition(" ")[2])
        return faults[number % len(faults)] if number % 4 == 0 and not count else Act(text=content)

    with EndpointServer(behave) as server:
        answered = {request.id: reply for request, reply in opened(server).generate(many(200))}
        assert {reply.text for reply in answered.values()} == {f"question {number}" for number in range(200)}
        assert Counter(seen.asked for seen in server.seen).most_common(1)[0][1] == 2
        assert len(server.seen) == 250


# Faults that do not pass, for one item


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("This model's maximum context length is 4096 tokens. However, you requested 5000 tokens.", None),
        ("whatever", "context_length_exceeded"),
        ("The prompt is too long: 9000 tokens", None),
        ("the request exceeds the available context size (2048 tokens), try increasing it", None),
    ],
)
def test_a_context_overflow_is_that_items_error_alone(words: str, code: str | None) -> None:
    def behave(body: dict[str, Any], count: int) -> Act:
        return refusal(400, words, code=code) if body["messages"][-1]["content"] == "question 0" else Act()

    with EndpointServer(behave) as server:
        replies = {request.id: reply for request, reply in opened(server).generate(many(10))}
        assert replies.pop("r0").error == f"context: 400 {words}"
        assert not any(reply.error for reply in replies.values())
        assert len(server.seen) == 10


def test_a_filtered_prompt_is_told_from_other_refusals() -> None:
    with EndpointServer(lambda body, count: refusal(400, "no such talk", code="content_filter")) as server:
        reply = only(opened(server))
        assert (reply.finish, reply.error) == ("filter", "refused: content filter: 400 no such talk")


def test_once_a_call_has_succeeded_a_refused_key_is_data() -> None:
    def behave(body: dict[str, Any], count: int) -> Act:
        return Act() if body["messages"][-1]["content"] == "question 0" else refusal(401, "expired")

    with EndpointServer(behave) as server:
        replies = {request.id: reply for request, reply in opened(server).generate(many(5))}
        assert not replies.pop("r0").error
        assert {reply.error for reply in replies.values()} == {"refused: 401 expired"}


@pytest.mark.parametrize("act", [refusal(401, "expired"), refusal(429, "no quota left", code="insufficient_quota")])
def test_a_key_refused_or_used_up_half_way_ends_the_work(act: Act) -> None:
    def behave(body: dict[str, Any], count: int) -> Act:
        return Act() if body["messages"][-1]["content"] == "question 0" else act

    with EndpointServer(behave) as server:
        replies = []
        with pytest.raises(BackendError, match=r"expired|no quota left"):
            replies.extend(opened(server, max_concurrency=4).generate(many(500)))
        assert len(server.seen) <= 1 + 20 + 4


def test_prompts_that_a_gateway_forbids_one_by_one_end_nothing() -> None:
    def behave(body: dict[str, Any], count: int) -> Act:
        return Act() if body["messages"][-1]["content"] == "question 0" else refusal(403, "flagged")

    with EndpointServer(behave) as server:
        replies = {request.id: reply for request, reply in opened(server).generate(many(60))}
        assert {reply.error for identifier, reply in replies.items() if identifier != "r0"} == {"refused: 403 flagged"}


def test_once_the_server_has_answered_a_lost_one_is_data() -> None:
    with EndpointServer() as server:
        backend = opened(server, max_retries=0)
        assert not only(backend).error
    assert only(backend).error.startswith("http: ")


# Faults of the whole endpoint


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (refusal(401, "Incorrect API key provided"), "refuses no key (OPENAI_API_KEY is not set): 401 Incorrect"),
        (refusal(403, "not yours"), "refuses no key"),
        (refusal(404, "The model `some-model` does not exist", code="model_not_found"), "model 'some-model'"),
        (refusal(402, "no credit left"), "answers no call: 402 no credit left"),
        (refusal(429, "You exceeded your quota", code="insufficient_quota"), "answers no call: 429 You exceeded"),
        (Act(status=301, raw=b"", headers={"Location": "https://example.org/"}), "answers no call: 301"),
        (Act(raw=b"<!doctype html><p>Welcome"), "web page"),
    ],
)
def test_an_endpoint_that_refuses_every_call_is_asked_once_and_named(act: Act, says: str) -> None:
    with EndpointServer(lambda body, count: act) as server:
        backend = opened(server, max_concurrency=8)
        with pytest.raises(BackendError) as caught:
            list(backend.generate(many(2000)))
        assert server.base_url in str(caught.value)
        assert says in str(caught.value)
        assert "\n" not in str(caught.value)
        asked = len(server.seen)
        assert asked <= 8
        with pytest.raises(BackendError):
            list(backend.generate(many(3)))
        assert len(server.seen) == asked


def test_a_wrong_path_says_what_roots_look_like() -> None:
    with EndpointServer() as server, pytest.raises(BackendError, match="often ends in /v1"):
        list(opened(server.base_url.removesuffix("/v1")).generate(many(3)))


def test_nobody_listening_is_one_line_naming_the_address() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        with pytest.raises(BackendError, match=f"nobody answers at {url}") as caught:
            list(opened(url).generate(many(50)))
    assert "\n" not in str(caught.value)


def test_a_server_that_is_not_http_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        replies = opened(url).generate(many(3))
        import threading

        def shout() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.sendall(b"SSH-2.0-whatever\r\n")
                connection.recv(65536)

        shouting = threading.Thread(target=shout)
        shouting.start()
        with pytest.raises(BackendError, match=url):
            list(replies)
        shouting.join()


# Many at once


def test_calls_run_side_by_side_and_never_more_than_allowed() -> None:
    with EndpointServer(latency=0.02) as server:
        assert len(list(opened(server, max_concurrency=5).generate(many(60)))) == 60
        assert server.most_at_once == 5


def test_replies_come_in_order_of_completion() -> None:
    def behave(body: dict[str, Any], count: int) -> Act:
        slow = body["messages"][-1]["content"] == "question 1"
        return Act(latency=1.0 if slow else 0.0)

    with EndpointServer(behave) as server:
        order = [request.id for request, _ in opened(server).generate(many(12))]
    assert order[-1] == "r1"


def test_it_works_inside_a_running_event_loop() -> None:
    with EndpointServer() as server:
        backend = opened(server)

        async def in_a_notebook() -> int:
            return len(list(backend.generate(many(10))))

        assert asyncio.run(in_a_notebook()) == 10


def test_calls_under_way_are_cancelled_when_the_consumer_stops() -> None:
    def behave(body: dict[str, Any], count: int) -> Act:
        return Act() if body["messages"][-1]["content"] == "question 0" else Act(fault="stall")

    with EndpointServer(behave) as server:
        backend = opened(server, max_concurrency=4)
        replies = backend.generate(many(50))
        next(replies)
        until = time.monotonic() + 20
        while len(server.seen) < 4 and time.monotonic() < until:
            time.sleep(0.01)
        backend.close()
        while server.abandoned < 3 and time.monotonic() < until:
            time.sleep(0.01)
        assert server.abandoned == 3  # the fourth place is that of the reply which the consumer still holds
        assert len(server.seen) == 4
        assert list(replies) == []


def test_ctrl_c_ends_a_stalled_call_at_once(tmp_path: Path) -> None:
    script = (
        "import signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background job starts without it
        "from judgebench.backends.openai import OpenAIBackend\n"
        "from judgebench.types import Message, Model, Request\n"
        "model = Model(name='m', backend='openai', id='x', options={'base_url': sys.argv[1]})\n"
        "request = Request(id='r', messages=(Message(role='user', content='?'),))\n"
        "list(OpenAIBackend(model).generate([request]))\n"
    )
    with EndpointServer(lambda body, count: Act(fault="stall")) as server:
        command = [sys.executable, "-c", script, server.base_url]
        root = str(Path(__file__).resolve().parent.parent)
        environment = {**os.environ, "PYTHONPATH": root}
        with subprocess.Popen(command, stderr=subprocess.PIPE, cwd=tmp_path, env=environment) as process:
            until = time.monotonic() + 30
            while not server.seen and time.monotonic() < until:
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            try:
                _, errors = process.communicate(timeout=30)
            finally:
                process.kill()
        assert process.returncode == -signal.SIGINT
        assert errors.decode().rstrip().endswith("KeyboardInterrupt")


def test_the_server_as_a_process_logs_each_request(tmp_path: Path) -> None:
    log = tmp_path / "seen.jsonl"
    command = [sys.executable, str(Path(__file__).parent / "endpoint_server.py"), "--verdict", "B", "--log", str(log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        word, port = process.stdout.readline().split()
        assert word == "ready"
        try:
            replies = [reply.text for _, reply in opened(f"http://127.0.0.1:{port}/v1").generate(many(7))]
        finally:
            process.terminate()
    assert all(text.endswith("[[B]]") for text in replies)
    assert len([json.loads(line) for line in log.read_text().splitlines()]) == 7


def test_what_describes_it_is_fixed_but_for_notes_and_what_was_served() -> None:
    with EndpointServer(lambda body, count: Act(usage=False)) as server:
        backend = opened(server, revision="2024-08-06")
        before = backend.describe()
        only(backend)
        after = backend.describe()
    assert after["served"] == ["some-model"]
    assert {name for name in before if before[name] != after[name]} == {"notes", "served"}
    assert before["revision"] == "2024-08-06"
    assert msgspec.json.decode(msgspec.json.encode(after)) == after
