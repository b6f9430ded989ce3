"""The endpoint backend against a real server: what is sent, what is read, what is learned, and the key."""

from __future__ import annotations

from typing import Any

import pytest
from endpoint_calls import asking, first_then, many, only, opened
from endpoint_server import Act, EndpointServer, refusal

from judgebench.backends.openai import OpenAIBackend
from judgebench.errors import BackendError, UserError
from judgebench.types import Message, Model, Request

CANARY = "sk-canary-4f1d9c7e2b"


# What is sent


def test_the_body_is_that_of_the_openai_package() -> None:
    import openai

    with EndpointServer() as server:
        only(opened(server), asking("hi", temperature=0.5, top_p=0.9, max_tokens=7, stop=("\n", "END"), seed=3))
        with openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0) as package:
            package.chat.completions.create(
                model="some-model",
                messages=[{"role": "user", "content": "hi"}],
                temperature=0.5,
                top_p=0.9,
                max_tokens=7,
                stop=["\n", "END"],
                seed=3,
            )
        ours, theirs = server.seen
    assert ours.body == theirs.body
    assert ours.path == theirs.path
    for header in ("Authorization", "Content-Type"):
        assert ours.headers[header] == theirs.headers[header]


def test_what_is_not_asked_for_is_not_sent() -> None:
    with EndpointServer() as server:
        only(opened(server), asking(temperature=None))
        assert server.seen[0].body.keys() == {"model", "messages", "max_tokens"}


def test_options_of_the_model_reach_the_body() -> None:
    with EndpointServer() as server:
        backend = opened(
            server,
            temperature="0.7",
            max_tokens="99",
            max_tokens_parameter="max_completion_tokens",
            chat_template_kwargs='{"enable_thinking": false}',
            extra_body={"min_p": 0.1},
        )
        only(backend, asking(max_tokens=5))
        body = server.seen[0].body
    assert (body["temperature"], body["max_completion_tokens"], body["min_p"]) == (0.7, 99, 0.1)
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    assert "max_tokens" not in body
    assert backend.describe()["chat_template_kwargs"] == {"enable_thinking": False}


def test_a_system_prompt_stands_first_and_joins_the_one_that_is_there() -> None:
    with EndpointServer() as server:
        backend = opened(server, system="Be brief.")
        only(backend)
        user = Message(role="user", content="hello")
        only(backend, Request(id="x", messages=(Message(role="system", content="You judge."), user)))
        plain, joined = (seen.body["messages"] for seen in server.seen)
    assert plain == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}]
    assert joined[0] == {"role": "system", "content": "Be brief.\n\nYou judge."}
    assert len(joined) == 2


def test_the_environment_names_the_address_and_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    with EndpointServer() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url + "/")
        monkeypatch.setenv("OTHER_KEY", "other-secret")
        model = Model(name="m", backend="openai", id="x", options={"api_key_env": "OTHER_KEY"})
        only(OpenAIBackend(model))
        assert server.seen[0].headers["Authorization"] == "Bearer other-secret"


# What is read


def test_reasoning_is_kept_apart_under_either_name_and_tags_stay_in_the_text() -> None:
    for name in ("reasoning_content", "reasoning"):
        with EndpointServer(
            lambda body, count, name=name: Act(text="4", reasoning="2+2", reasoning_field=name)
        ) as server:
            reply = only(opened(server))
            assert (reply.text, reply.reasoning) == ("4", "2+2")
    with EndpointServer(lambda body, count: Act(text="<think>2+2</think>4")) as server:
        assert only(opened(server)).text == "<think>2+2</think>4"


def test_usage_counts_the_calls_that_were_made() -> None:
    with first_then(Act(status=500, error={"message": "boom"})) as server:
        reply = only(opened(server), asking("three little words"))
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens, reply.usage.requests) == (3, 2, 2)


@pytest.mark.parametrize(
    ("finish", "read"),
    [("stop", "stop"), ("length", "length"), ("content_filter", "filter"), (None, "stop"), ("tool_calls", "stop")],
)
def test_the_end_of_a_reply_is_read(finish: str | None, read: str) -> None:
    with EndpointServer(lambda body, count: Act(finish=finish)) as server:
        assert only(opened(server)).finish == read


@pytest.mark.parametrize("text", ["", None])
def test_an_empty_reply_is_a_reply(text: str | None) -> None:
    with EndpointServer(lambda body, count: Act(text=text, finish="length", reasoning="hm")) as server:
        reply = only(opened(server))
        assert (reply.text, reply.finish, reply.reasoning, reply.error) == ("", "length", "hm", "")
        assert len(server.seen) == 1


def test_a_refusal_in_words_and_typed_parts_are_text() -> None:
    with EndpointServer(lambda body, count: Act(text=None, message={"refusal": "I would rather not."})) as server:
        assert only(opened(server)).text == "I would rather not."
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "a"},
        {"type": "text", "text": "b"},
    ]
    with EndpointServer(lambda body, count: Act(message={"content": parts})) as server:
        reply = only(opened(server))
        assert (reply.text, reply.reasoning) == ("ab", "hm")


def test_ten_megabytes_come_back_whole() -> None:
    long = "ä🧪 " * 1_500_000
    assert len(long.encode()) > 10_000_000
    with EndpointServer(lambda body, count: Act(text=long)) as server:
        assert only(opened(server)).text == long


def test_unpaired_surrogates_and_nan_do_not_stop_a_reply() -> None:
    raw = b'{"choices": [{"message": {"content": "a \\ud800 b"}, "finish_reason": "stop", "x": NaN}]}'
    with EndpointServer(lambda body, count: Act(raw=raw)) as server:
        assert only(opened(server)).text == "a ? b"


def test_a_server_without_usage_is_said() -> None:
    with EndpointServer(lambda body, count: Act(usage=False)) as server:
        backend = opened(server)
        assert only(backend).usage.requests == 1
        assert any("tokens" in note for note in backend.describe()["notes"])


# What is learned from a refusal


def test_a_refused_temperature_is_left_out_from_then_on_and_said() -> None:
    def behave(body: dict[str, Any], count: int) -> Act:
        if "temperature" in body:
            words = "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) is."
            return refusal(400, words, param="temperature", code="unsupported_value")
        return Act()

    with EndpointServer(behave) as server:
        backend = opened(server)
        assert all(not reply.error for _, reply in backend.generate(many(40)))
        assert sum("temperature" in seen.body for seen in server.seen) == 1
        assert len(server.seen) == 41
        [note] = backend.describe()["notes"]
        assert "'temperature'" in note


@pytest.mark.parametrize("wanted", ["max_completion_tokens", "max_tokens"])
def test_the_name_of_the_token_limit_is_learned_once(wanted: str) -> None:
    other = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}[wanted]

    def behave(body: dict[str, Any], count: int) -> Act:
        if other in body:
            words = f"Unsupported parameter: '{other}' is not supported with this model. Use '{wanted}' instead."
            return refusal(400, words, param=other, code="unsupported_parameter")
        return Act()

    with EndpointServer(behave) as server:
        backend = opened(server)
        assert all(not reply.error for _, reply in backend.generate(many(40)))
        assert sum(other in seen.body for seen in server.seen) == (wanted == "max_completion_tokens")
        assert all(seen.body[wanted] == 1024 for seen in server.seen if wanted in seen.body)


def test_a_server_that_refuses_both_names_is_not_asked_for_ever() -> None:
    def behave(body: dict[str, Any], count: int) -> Act:
        return refusal(400, f"{'max_tokens' if 'max_tokens' in body else 'max_completion_tokens'} is not supported")

    with EndpointServer(behave) as server:
        assert only(opened(server)).error == "http: 400 max_completion_tokens is not supported (asked 2 times)"
        assert len(server.seen) == 2


def test_calls_already_under_way_when_something_is_learned_are_put_anew() -> None:
    def behave(body: dict[str, Any], count: int) -> Act:
        return refusal(400, "'temperature' is not supported") if "temperature" in body else Act()

    with EndpointServer(behave, latency=0.05) as server:
        first = asking(number=0, temperature=None)
        others = [asking(f"other {number}", number, temperature=0.5) for number in range(1, 17)]
        assert not any(reply.error for _, reply in opened(server).generate([first, *others]))
        assert sum("temperature" in seen.body for seen in server.seen) > 1


def test_a_name_that_was_set_is_not_learned_anew() -> None:
    with EndpointServer(lambda body, count: refusal(400, "'max_tokens' is not supported")) as server:
        reply = only(opened(server, max_tokens_parameter="max_tokens"))
        assert reply.error == "http: 400 'max_tokens' is not supported"
        assert len(server.seen) == 1


def test_a_temperature_out_of_range_is_an_error_and_never_dropped() -> None:
    with EndpointServer(
        lambda body, count: refusal(400, "temperature must be at most 2", param="temperature")
    ) as server:
        backend = opened(server)
        assert only(backend, asking(temperature=9.0)).error == "http: 400 temperature must be at most 2"
        assert len(server.seen) == 1
        assert not backend.describe()["notes"]


# The key


@pytest.mark.parametrize(
    "act",
    [
        Act(text=f"your key is {CANARY}", reasoning=CANARY),
        refusal(400, f"bad request with {CANARY}"),
        refusal(401, f"Incorrect API key provided: {CANARY}"),
        refusal(404, f"no model for {CANARY}"),
        Act(status=500, raw=CANARY.encode()),
        Act(raw=b"<html>" + CANARY.encode()),
        Act(raw=b'{"choices": "' + CANARY.encode()),
    ],
)
def test_the_key_is_found_in_no_reply_description_or_error(act: Act, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    with EndpointServer(lambda body, count: act) as server:
        backend = opened(server, max_retries=0)
        try:
            out = repr(list(backend.generate([asking()])))
        except BackendError as error:
            import traceback

            out = "".join(traceback.format_exception(error))
        assert server.seen[0].headers["Authorization"] == f"Bearer {CANARY}"
        assert CANARY not in out
        assert "***" in out or "refuses the key in OPENAI_API_KEY" in out or "web page" in out
        assert CANARY not in repr(backend.describe())
        assert CANARY not in repr(backend)


def test_a_missing_key_is_found_before_any_call() -> None:
    with pytest.raises(UserError, match="set OPENAI_API_KEY in the environment"):
        OpenAIBackend(Model(name="m", backend="openai", id="gpt"))
    with pytest.raises(UserError, match="set MY_KEY in the environment"):
        opened("http://127.0.0.1:1/v1", api_key_env="MY_KEY")


def test_a_key_where_it_would_be_recorded_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    for options in ({"extra_body": {"key": CANARY}}, {"system": CANARY}):
        with pytest.raises(UserError) as caught:
            opened("http://127.0.0.1:1/v1", **options)
        assert CANARY not in str(caught.value)
    for url in (f"http://user:{CANARY}@127.0.0.1/v1", f"http://127.0.0.1/v1?key={CANARY}"):
        with pytest.raises(UserError, match="may hold no user, password or query") as caught:
            opened(url)
        assert CANARY not in str(caught.value)


# Options and addresses


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"temprature": 1}, "unknown option 'temprature': did you mean 'temperature'?"),
        ({"max_concurrency": "many"}, "option 'max_concurrency'"),
        ({"max_concurrency": 0}, "option 'max_concurrency'"),
        ({"timeout": "-1"}, "option 'timeout'"),
        ({"extra_body": "{broken"}, "not JSON"),
        ({"extra_body": {"stream": True}}, "may not set stream"),
        ({"max_tokens_parameter": "tokens"}, "option 'max_tokens_parameter'"),
        ({"base_url": "127.0.0.1:8000"}, "is not an address"),
        ({"base_url": "http://host:99999/v1"}, "is not an address"),
        ({"base_url": "http://host:port/v1"}, "is not an address"),
        ({"base_url": "http://a..b/v1"}, "is not an address"),
        ({"base_url": "http://[::1/v1"}, "is not an address"),
        ({"api_key": "x"}, "unknown option 'api_key'"),
    ],
)
def test_a_wrong_option_is_one_line_naming_model_and_option(options: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError) as caught:
        opened("http://127.0.0.1:1/v1", **options)
    assert says in str(caught.value)
    assert "'m'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_whole_address_of_the_call_is_taken_for_its_root() -> None:
    with EndpointServer() as server:
        assert not only(opened(f"{server.base_url}/chat/completions")).error


def test_a_proxy_of_the_environment_carries_the_calls_but_not_those_to_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with EndpointServer() as server:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        far = opened("http://model.invalid/v1")
        assert far.describe()["proxy"] is True
        assert not only(far).error
        assert server.seen[0].headers["Host"] == "model.invalid"
        near = opened(server)
        assert near.describe()["proxy"] is False
        assert not only(near).error
