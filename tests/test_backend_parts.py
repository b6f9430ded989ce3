"""The parts that backends share: options, waiting, the wire form, and many calls at once."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from email.utils import formatdate
from typing import Annotated, Any, Literal

import msgspec
import pytest
from endpoint_calls import asking, many
from hypothesis import given
from hypothesis import strategies as st

from judgebench.backends.chat_completions import Dialect, Fault, read_refusal, read_reply, with_system
from judgebench.backends.options import read_options
from judgebench.backends.pool import Call, Slots, in_parallel
from judgebench.backends.retry import LONGEST_BACKOFF, LONGEST_WAIT, backoff, retry_after, wait_before
from judgebench.errors import UserError
from judgebench.types import Message, Model, Reply, Request, Sampling


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    flag: bool = False
    share: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    count: int = 1
    word: str = ""
    kind: Literal["auto", "off"] = "auto"
    mapping: dict[str, Any] = {}
    names: tuple[str, ...] = ()


def read(**options: Any) -> Options:
    return read_options(Model(name="gpt", backend="hf", id="x", options=options), Options)


@pytest.mark.parametrize(
    ("name", "given", "read_as"),
    [
        ("flag", "true", True),
        ("flag", "false", False),
        ("flag", True, True),
        ("share", "0.5", 0.5),
        ("share", "null", None),
        ("share", 1, 1.0),
        ("count", "7", 7),
        ("word", "true", "true"),
        ("word", "7", "7"),
        ("word", 7, "7"),
        ("word", "{not json", "{not json"),
        ("word", '{"a": 1}', '{"a": 1}'),
        ("kind", "off", "off"),
        ("mapping", '{"a": [1, true]}', {"a": [1, True]}),
        ("mapping", {"a": 1}, {"a": 1}),
        ("names", '["a", "b"]', ("a", "b")),
    ],
)
def test_an_option_becomes_its_fields_type(name: str, given: Any, read_as: Any) -> None:
    value = getattr(read(**{name: given}), name)
    assert value == read_as
    assert type(value) is type(read_as)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"flg": True}, "model 'gpt' (hf): unknown option 'flg': did you mean 'flag'? Allowed: count, flag"),
        ({"flag": "maybe"}, "option 'flag': Expected `bool`"),
        ({"share": "1.5"}, "option 'share': Expected `float` <= 1.0"),
        ({"count": "1.5"}, "option 'count'"),
        ({"kind": "on"}, "option 'kind': Invalid enum value 'on'"),
        ({"mapping": "{a: 1}"}, "option 'mapping'"),
        ({"names": "a,b"}, "found 'a,b'"),
    ],
)
def test_a_wrong_option_names_model_option_and_what_was_found(options: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError) as caught:
        read(**options)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


# Waiting


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": formatdate(1_000_010, usegmt=True)}, 10.0),
        ({"retry-after": formatdate(999_000, usegmt=True)}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_each_of_its_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, 1_000_000.0) == seconds


@given(repeat=st.integers(0, 10_000), asked=st.none() | st.floats(0, 1e9))
def test_a_wait_is_bounded_and_never_shorter_than_asked_for(repeat: int, asked: float | None) -> None:
    wait = wait_before(repeat, asked)
    if asked is None:
        assert 0 < wait <= LONGEST_BACKOFF
    else:
        assert min(asked, LONGEST_WAIT) <= wait <= 1.2 * LONGEST_WAIT


def test_backoff_grows_with_each_repeat() -> None:
    assert all(backoff(later) >= backoff(later - 2) for later in range(2, 6))


# The wire form


@given(st.binary(max_size=200))
def test_no_body_whatever_raises(raw: bytes) -> None:
    assert isinstance(read_reply(raw), (tuple, Fault))
    for status in (301, 400, 401, 404, 413, 422, 429, 500):
        fault = read_refusal(status, raw)
        assert fault.detail.startswith(str(status))
        assert "\n" not in fault.detail
        assert len(fault.detail) <= 300


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
PARTS = st.lists(st.fixed_dictionaries({"type": st.sampled_from(["text", "thinking"]), "text": JSON, "thinking": JSON}))
MESSAGE = st.fixed_dictionaries({}, optional={"content": JSON | PARTS, "refusal": JSON, "reasoning": JSON})
TOKENS = st.fixed_dictionaries({"content": st.lists(st.fixed_dictionaries({"logprob": JSON | st.floats()}))})
CHOICE = st.fixed_dictionaries({"message": MESSAGE | JSON}, optional={"finish_reason": JSON, "logprobs": JSON | TOKENS})
COUNTS = st.fixed_dictionaries({"prompt_tokens": JSON | st.floats(), "completion_tokens": JSON})
ERROR = st.fixed_dictionaries({}, optional={"message": JSON, "code": JSON | st.integers(390, 610), "param": JSON})
BODY = st.fixed_dictionaries(
    {},
    optional={"choices": JSON | st.lists(JSON | CHOICE), "usage": JSON | COUNTS, "error": JSON | ERROR, "model": JSON},
)


@given(JSON | BODY)
def test_no_json_whatever_raises_and_what_is_read_survives_the_disk(found: Any) -> None:
    raw = json.dumps(found).encode()
    read = read_reply(raw)
    if not isinstance(read, Fault):
        assert msgspec.json.decode(msgspec.json.encode(read[0]), type=Reply) == read[0]
    assert isinstance(read_refusal(400, raw), Fault)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"error": {"message": "no"}}', "400 no"),
        (b'{"message": "no"}', "400 no"),
        (b'{"detail": "no"}', "400 no"),
        (b'{"error": "no"}', "400 no"),
        (b'{"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]}', "not permitted"),
        (b"plain words", "400 plain words"),
        (b"", "400 an empty body"),
    ],
)
def test_a_servers_words_are_found_wherever_they_stand(body: bytes, says: str) -> None:
    assert says in read_refusal(400, body).detail


def test_a_dialect_learns_each_parameter_once() -> None:
    dialect = Dialect("max_tokens", True)
    sampling = Sampling(seed=4, top_p=0.5)
    refusals = [
        "[{'loc': ['body', 'seed'], 'msg': 'Extra inputs are not permitted'}]",
        "top_p is not supported by this model",
        "Unrecognized request argument supplied: max_tokens",
    ]
    for refusal in refusals:
        assert dialect.learn(refusal, dialect.body("m", (), sampling))
        assert not dialect.learn(refusal, dialect.body("m", (), sampling))
    assert dialect.body("m", (), sampling) == {
        "model": "m",
        "messages": [],
        "max_completion_tokens": 1024,
        "temperature": 0.0,
    }
    assert len(dialect.notes) == 3


def test_no_system_prompt_leaves_the_chat_as_it_is() -> None:
    chat = (Message(role="system", content="a"), Message(role="user", content="b"))
    assert with_system(chat, "") is chat


# Many calls at once


@asynccontextmanager
async def echoing() -> AsyncIterator[Call]:
    async def call(request: Request) -> Reply:
        await asyncio.sleep(0)
        return Reply(text=request.messages[0].content)

    yield call


@given(count=st.integers(0, 60), concurrency=st.integers(1, 20))
def test_each_request_is_answered_once_at_any_concurrency(count: int, concurrency: int) -> None:
    answered = list(in_parallel(many(count), echoing, slots=Slots(concurrency)))
    assert sorted(int(request.item) for request, _ in answered) == list(range(count))
    assert all(reply.text == request.messages[0].content for request, reply in answered)


def test_requests_are_taken_in_the_callers_thread() -> None:
    threads = set()

    def noting() -> Iterator[Request]:
        for number in range(20):
            threads.add(threading.current_thread())
            yield asking(number=number)

    list(in_parallel(noting(), echoing, slots=Slots(3)))
    assert threads == {threading.current_thread()}


def test_a_bug_in_a_call_keeps_its_traceback_and_ends_the_thread() -> None:
    @asynccontextmanager
    async def broken() -> AsyncIterator[Call]:
        async def call(request: Request) -> Reply:
            raise ZeroDivisionError("a bug")

        yield call

    before = threading.active_count()
    with pytest.raises(ZeroDivisionError, match="a bug") as caught:
        list(in_parallel(many(50), broken, slots=Slots(4)))
    assert any(entry.name == "call" for entry in caught.traceback)
    assert threading.active_count() == before


def test_a_session_that_cannot_be_opened_is_raised_and_nothing_hangs() -> None:
    @asynccontextmanager
    async def closed() -> AsyncIterator[Call]:
        raise OSError("no sockets left")
        yield

    with pytest.raises(OSError, match="no sockets left"):
        list(in_parallel(many(50), closed, slots=Slots(4)))
