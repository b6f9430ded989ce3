"""A provider's batches against a real server: what is sent, what goes wrong, and what a later command finds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from batch_server import KEY, BatchServer, Made, answered, answers_all, dropped, refused
from endpoint_calls import asking, many
from endpoint_calls import opened as calling

from judgebench.backends import batches as module
from judgebench.backends.openai import OpenAIBackend
from judgebench.errors import BackendError, BudgetReached, UserError
from judgebench.runs import Run
from judgebench.stages.opening import opened
from judgebench.stages.settings import Settings
from judgebench.types import Model, Reply, Request


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr("judgebench.backends.batch_wire.wait_before", lambda repeats, asked: 0.0)


@pytest.fixture
def server() -> Iterator[BatchServer]:
    with BatchServer() as server:
        yield server


def noted(server: BatchServer, folder: Path, **options: Any) -> OpenAIBackend:
    backend = calling(server.base_url, batch="true", batch_poll="0.01", **options)
    assert backend.batches is not None
    backend.batches.keep_state(folder / "batches" / "m.jsonl")
    return backend


def ask(
    server: BatchServer, folder: Path, requests: Iterable[Request], *, settle: bool = True, **options: Any
) -> dict[str, Reply]:
    """What one command is told: id → reply."""
    backend = noted(server, folder, **options)
    try:
        replies = {request.id: reply for request, reply in backend.generate(requests)}
        if settle and backend.batches is not None:
            backend.batches.settle()
    finally:
        backend.close()
        backend.close()
    return replies


# What is sent and read


def test_one_batch_answers_all_requests_and_each_gets_its_own_reply(server: BatchServer, tmp_path: Path) -> None:
    replies = ask(server, tmp_path, many(5))
    assert {id: reply.text for id, reply in replies.items()} == {f"r{n}": f"heard question {n}" for n in range(5)}
    assert len(server.batches) == 1
    usage = replies["r0"].usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.requests) == (7, 3, 1)


def test_a_rows_body_is_that_of_a_call_and_the_window_is_the_options(server: BatchServer, tmp_path: Path) -> None:
    request = asking("hi", temperature=0.5, max_tokens=9, seed=3, stop=("END",))
    ask(server, tmp_path, [request], batch_window="48h", extra_body={"min_p": 0.1}, system="Be brief.")
    [batch] = server.batches.values()
    assert batch.asked["completion_window"] == "48h"
    assert batch.rows[0]["body"] == {
        "model": "some-model", "max_tokens": 9, "temperature": 0.5, "seed": 3, "stop": ["END"], "min_p": 0.1,
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
    }  # fmt: skip


def test_more_rows_than_a_batch_takes_are_several_batches(
    server: BatchServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 3)
    assert len(ask(server, tmp_path, many(8))) == 8
    assert [len(batch.rows) for batch in server.batches.values()] == [3, 3, 2]


def test_more_bytes_than_a_file_takes_are_several_batches(
    server: BatchServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 700)
    assert len(ask(server, tmp_path, many(6))) == 6
    assert len(server.batches) > 1
    assert all(len(content) <= 700 for name, content in server.files.items() if name.startswith("file-"))


def test_equal_requests_are_rows_of_their_own(server: BatchServer, tmp_path: Path) -> None:
    equal = [Request(id=str(n), messages=asking().messages) for n in range(3)]
    assert len(ask(server, tmp_path, equal)) == 3
    assert len(server.batches["batch_0"].rows) == 3


def test_nothing_to_ask_makes_no_call(server: BatchServer, tmp_path: Path) -> None:
    assert ask(server, tmp_path, []) == {}
    assert server.calls == []


# What goes wrong is data


@pytest.mark.parametrize("settle", [True, False])
def test_a_row_with_an_error_is_that_requests_error_and_is_asked_again_next_time(tmp_path: Path, settle: bool) -> None:
    def work(batch: Made, number: int) -> None:
        batch.output = [answered(row) for row in batch.rows[number == 0 :]]
        batch.errors = [refused(batch.rows[0], 500, "it broke")] if number == 0 else []

    with BatchServer(work) as server:
        first = ask(server, tmp_path, many(3), settle=settle)
        assert first["r0"].error == "http: 500 it broke"
        assert first["r0"].usage.requests == 1
        assert first["r1"].text == "heard question 1"
        assert ask(server, tmp_path, many(1))["r0"].text == "heard question 0"
        assert [len(batch.rows) for batch in server.batches.values()] == [3, 1]


def test_a_batch_that_fails_validation_says_of_each_row_why(tmp_path: Path) -> None:
    def work(batch: Made, number: int) -> None:
        batch.status = "failed"
        batch.problems = [
            {"code": "invalid_json", "message": "the file cannot be taken", "line": None},
            {"code": "too_long", "message": "this line is too long", "line": 2},
        ]

    with BatchServer(work) as server:
        replies = ask(server, tmp_path, many(2))
    assert replies["r0"].error == "http: batch batch_0 failed: invalid_json the file cannot be taken"
    assert replies["r1"].error == "http: batch batch_0 failed: too_long this line is too long"
    assert replies["r0"].usage.requests == 0


@pytest.mark.parametrize(
    ("status", "code", "listed", "error"),
    [
        ("expired", "batch_expired", True, "timeout: batch_expired not in time"),
        ("expired", "", False, "timeout: batch batch_0 expired before it was answered"),
        ("cancelled", "batch_cancelled", True, "refused: batch_cancelled not in time"),
        ("cancelled", "", False, "refused: batch batch_0 was cancelled before it was answered"),
        ("completed", "", False, "torn: batch batch_0 holds no readable row for this request"),
    ],
)
def test_what_a_batch_answered_before_its_end_counts_and_the_rest_is_asked_again_next_time(
    tmp_path: Path, status: str, code: str, listed: bool, error: str
) -> None:
    def work(batch: Made, number: int) -> None:
        if number:
            return answers_all(batch, number)
        batch.status = status
        batch.output = [answered(batch.rows[0])]
        batch.errors = [dropped(row, code, "not in time") for row in batch.rows[1:] if listed]
        return None

    with BatchServer(work) as server:
        first = ask(server, tmp_path, many(3))
        assert first["r0"].text == "heard question 0"
        assert first["r1"].error == first["r2"].error == error
        second = ask(server, tmp_path, list(many(3))[1:])
        assert not any(reply.error for reply in second.values())
        assert [len(batch.rows) for batch in server.batches.values()] == [3, 2]


def test_a_refused_parameter_is_left_out_and_its_rows_asked_again_at_once(tmp_path: Path) -> None:
    def work(batch: Made, number: int) -> None:
        warm = [row for row in batch.rows if "temperature" in row["body"]]
        batch.errors = [refused(row, 400, "Unsupported parameter: 'temperature'") for row in warm]
        batch.output = [answered(row) for row in batch.rows if row not in warm]

    with BatchServer(work) as server:
        replies = ask(server, tmp_path, many(3))
        assert {reply.error for reply in replies.values()} == {""}
        assert len(server.batches) == 2
        ask(server, tmp_path, [asking("another")])
        assert len(server.batches) == 3, "a later command must remember what was refused"


def test_a_batch_the_provider_forgot_is_data(server: BatchServer, tmp_path: Path) -> None:
    server.faults = [("GET /v1/batches/batch_0", 404, "no such batch")]
    error = ask(server, tmp_path, many(1))["r0"].error
    assert error == "http: batch batch_0 failed: it is gone: 404 no such batch"
    assert ask(server, tmp_path, many(1))["r0"].error == ""


def test_a_wrong_key_is_one_call_and_one_line_without_the_key(tmp_path: Path) -> None:
    with BatchServer(key="another") as server:
        with pytest.raises(BackendError, match="the key in OPENAI_API_KEY is refused: 401") as caught:
            ask(server, tmp_path, many(100))
        assert KEY not in str(caught.value)
        assert len(server.calls) == 1


NO_ANSWERS = [b"<html>welcome</html>", b"[]", b"{}", b'{"id": 7}', b"\xff\xfe", b""]


@pytest.mark.parametrize(
    ("beginning", "answer"),
    [
        *[(call, raw) for call in ("POST /v1/files", "POST /v1/batches", "GET /v1/batches/") for raw in NO_ANSWERS],
        ("POST /v1/batches", b'{"id": "x", "status": 3}'),
        ("GET /v1/batches/", b'{"id": "x", "status": 3}'),
    ],
)
def test_what_is_no_answer_of_a_batch_endpoint_ends_in_one_line(
    server: BatchServer, tmp_path: Path, beginning: str, answer: bytes
) -> None:
    server.raw = [(beginning, answer)]
    with pytest.raises(BackendError, match="run it again to go on") as caught:
        ask(server, tmp_path, many(2))
    assert "\n" not in str(caught.value)
    server.raw = []
    assert len(ask(server, tmp_path, many(2))) == 2


def test_lines_of_an_output_file_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    def work(batch: Made, number: int) -> None:
        strange: list[Any] = [7, [], {}, {"custom_id": 3}, {"custom_id": batch.rows[1]["custom_id"], "response": "no"}]
        batch.output = [*strange, answered(batch.rows[0]), {**answered(batch.rows[2]), "response": None}]

    with BatchServer(work) as server:
        replies = ask(server, tmp_path, many(3))
    assert replies["r0"].text == "heard question 0"
    assert replies["r1"].error == "torn: batch batch_0 holds no readable row for this request"
    assert replies["r2"].error == "http: the row has neither a response nor an error"


def test_failing_calls_are_repeated_and_a_lost_answer_makes_no_second_batch(
    server: BatchServer, tmp_path: Path
) -> None:
    server.faults = [("POST /v1/files", 503, "busy"), ("GET /v1/batches/", 502, "away"), ("GET /v1/files", 500, "no")]
    server.lose_created = 1
    assert len(ask(server, tmp_path, many(2))) == 2
    assert len(server.batches) == 1
    assert server.count("POST /v1/batches") == 1


# What a later command finds


def interrupted(server: BatchServer, folder: Path, requests: Iterable[Request]) -> None:
    """A command that ends while its batches are held."""
    server.held.clear()
    backend = noted(server, folder)
    assert backend.batches is not None
    replies = backend.batches.generate(requests)
    backend.batches._closed.wait = lambda timeout=None: True  # type: ignore[method-assign]
    with pytest.raises(BackendError, match="run it again"):
        next(replies)
    backend.close()
    server.held.set()


def test_the_next_command_waits_for_the_same_batch_also_where_less_is_open(server: BatchServer, tmp_path: Path) -> None:
    interrupted(server, tmp_path, many(6))
    replies = ask(server, tmp_path, list(many(6))[3:])
    assert {id: reply.text for id, reply in replies.items()} == {f"r{n}": f"heard question {n}" for n in (3, 4, 5)}
    assert len(server.batches) == 1


def test_requests_that_no_batch_holds_are_asked_beside_those_that_one_does(server: BatchServer, tmp_path: Path) -> None:
    interrupted(server, tmp_path, many(2))
    assert len(ask(server, tmp_path, many(5))) == 5
    assert [len(batch.rows) for batch in server.batches.values()] == [2, 3]


def test_replies_that_the_run_may_have_lost_are_given_out_again_and_settled_ones_are_not(
    server: BatchServer, tmp_path: Path
) -> None:
    ask(server, tmp_path, many(3), settle=False)
    ask(server, tmp_path, many(3))
    assert len(server.batches) == 1
    ask(server, tmp_path, many(3))
    assert len(server.batches) == 2


def test_a_batch_of_which_only_the_plan_was_noted_is_found_by_its_metadata(server: BatchServer, tmp_path: Path) -> None:
    interrupted(server, tmp_path, many(3))
    file = tmp_path / "batches" / "m.jsonl"
    planned = file.read_text(encoding="utf-8").splitlines(keepends=True)[0]
    file.write_text(planned, encoding="utf-8")
    assert len(ask(server, tmp_path, many(3))) == 3
    assert len(server.batches) == 1


def test_a_plan_that_came_to_nothing_is_made_anew(server: BatchServer, tmp_path: Path) -> None:
    server.faults = [("POST /v1/batches", 400, "no such window")]
    with pytest.raises(BackendError, match="no batch can be made: 400 no such window"):
        ask(server, tmp_path, many(3))
    assert len(ask(server, tmp_path, many(3))) == 3


def test_batches_at_another_address_are_left_alone(server: BatchServer, tmp_path: Path) -> None:
    interrupted(server, tmp_path, many(2))
    with BatchServer() as other:
        assert len(ask(other, tmp_path, many(2))) == 2
        assert len(other.batches) == 1


# With a run


def command(server: BatchServer, folder: Path) -> tuple[list[str], dict[str, str]]:
    words = [
        sys.executable, "-m", "judgebench", "generate", str(folder / "run"), "--suite", "mini-math", "--limit", "4",
        "--model", "m=openai/some-model", "--option", "m.batch=true", "--option", "m.batch_poll=0.05", "--quiet",
    ]  # fmt: skip
    own = {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": KEY, "JUDGEBENCH_CACHE": str(folder / "cache")}
    return words, {**os.environ, **own}


def test_killed_between_making_and_looking_the_same_command_picks_the_batch_up_and_makes_none(
    server: BatchServer, tmp_path: Path
) -> None:
    words, environment = command(server, tmp_path)
    server.held.clear()
    process = subprocess.Popen(words, env=environment)
    assert server.looked.wait(60)
    process.kill()
    process.wait()
    server.held.set()
    for _ in range(2):
        subprocess.run(words, env=environment, check=True)
        assert len(server.batches) == 1
    answers = Run(tmp_path / "run").answers("m")
    assert len(answers) == 4
    assert all(answer.turns[0].startswith("heard ") and not answer.error for answer in answers.values())
    kept = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert not [path for path, content in kept.items() if KEY.encode() in content]
    events = [json.loads(line) for line in (tmp_path / "run/batches/model+m.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events] == ["planned", "made", "ended", "taken"]
    assert not any("messages" in event for event in events)


def test_a_judge_is_asked_by_batches_and_a_command_that_fails_loses_no_reply(
    server: BatchServer, tmp_path: Path
) -> None:
    run = Run(tmp_path / "run", create=True)
    options = {"batch": "true", "batch_poll": "0.01", "base_url": server.base_url}
    judge = Model(name="j", backend="openai", id="x", options=options)
    settings = Settings(no_cache=True)

    def fails(replies: Iterable[tuple[Request, Reply]]) -> None:
        raise RuntimeError(f"{len(list(replies))} replies were lost")

    with (
        pytest.raises(RuntimeError, match="3 replies"),
        opened("judge", judge, settings, {}, run=run, quiet=True) as (backend, _),
    ):
        fails(backend.generate(many(3)))
    for batches in (1, 2):  # settled by the clean end of the first
        with opened("judge", judge, settings, {}, run=run, quiet=True) as (backend, _):
            assert len(list(backend.generate(many(3)))) == 3
        assert len(server.batches) == batches


def test_a_limit_holds_back_what_a_batch_has_no_room_for(server: BatchServer, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", create=True)
    options = {"batch": "true", "batch_poll": "0.01", "base_url": server.base_url}
    model = Model(name="m", backend="openai", id="x", options=options)
    settings = Settings(no_cache=True, max_tokens_total=45)
    with (
        pytest.raises(BudgetReached),
        opened("model", model, settings, {}, run=run, quiet=True) as (backend, _),
    ):
        list(backend.generate(asking(f"q{n}", n, max_tokens=40) for n in range(50)))
    assert [len(batch.rows) for batch in server.batches.values()] == [1, 2, 1]


def test_a_key_that_a_row_echoes_is_in_no_reply(tmp_path: Path) -> None:
    def work(batch: Made, number: int) -> None:
        batch.output = [answered(row, f"your key is {KEY}") for row in batch.rows]

    with BatchServer(work) as server:
        assert ask(server, tmp_path, many(1))["r0"].text == "your key is ***"


# What is refused before any call


def test_batches_need_a_run_one_address_and_this_process(server: BatchServer, tmp_path: Path) -> None:
    model = Model(name="m", backend="openai", id="x", options={"batch": "true", "base_url": server.base_url})
    with pytest.raises(UserError, match="needs a run"), opened("model", model, Settings(), {}):
        pass
    with pytest.raises(UserError, match="one base_url"):
        calling(server.base_url, batch=True, base_url=[server.base_url, "http://127.0.0.1:9/v1"])
    with pytest.raises(UserError, match="--executor ray"), opened("model", model, Settings(executor="ray"), {}):
        pass
    with pytest.raises(UserError, match="batch_window"):
        calling(server.base_url, batch=True, batch_window="soon")
    assert server.calls == []
