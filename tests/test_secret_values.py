"""A key in an option is found before it is recorded, whatever it is called and however deep it lies."""

from __future__ import annotations

from typing import Any

import pytest

from judgebench.backends.openai import OpenAIBackend
from judgebench.backends.secret_values import find_secret
from judgebench.errors import UserError
from judgebench.types import Model

FORMED = "sk-" + "proj-" + "a1B2" * 8
"""The form of a key, and no key."""


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"api_key": "abcdefgh"}, "api_key"),
        ({"headers": {"Authorization": "Bearer abcdefghij"}}, "headers.Authorization"),
        ({"a": [{"b": {"apiKey": "abc"}}]}, "a.0.b.apiKey"),
        ({"upstream_api_key": "abc"}, "upstream_api_key"),
        ({"x-api-key": "abc"}, "x-api-key"),
        ({"auth": {"token": "abcdef"}}, "auth.token"),
        ({"aws_secret_access_key": "abc"}, "aws_secret_access_key"),
        ({"note": f"use {FORMED} please"}, "note"),
        ({"metadata": ["hf_" + "x" * 30]}, "metadata.0"),
        ({"callback": "eyJ" + "a" * 12 + ".eyJ" + "b" * 12 + ".cc"}, "callback"),
        ({"text": '{"inner": {"password": "p"}}'}, "text.inner.password"),
        ({"hook": ["see https://user:pass-word-1@host.example/v1"]}, "hook.0"),
    ],
)
def test_what_looks_like_a_key_is_named_by_its_place_and_never_quoted(value: dict[str, Any], place: str) -> None:
    found = find_secret(value)
    assert found.startswith(f"{place} (")
    assert FORMED not in found
    with pytest.raises(UserError, match=r"only an environment variable may hold one") as caught:
        OpenAIBackend(
            Model(
                name="m", backend="openai", id="x", options={"base_url": "http://127.0.0.1:1/v1", "extra_body": value}
            )
        )
    assert f"extra_body.{place}" in str(caught.value)
    assert FORMED not in str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        {
            "max_tokens": 5,
            "max_completion_tokens": 9,
            "stop_token_ids": [1],
            "min_tokens": 1,
            "skip_special_tokens": True,
        },
        {"guided_choice": ["A", "B"], "top_k": 5, "provider": {"order": ["x"]}, "prompt_cache_key": "talk-1"},
        {
            "chat_template_kwargs": {"enable_thinking": False},
            "reasoning": {"effort": "low"},
            "response_format": {"a": "b"},
        },
        {"api_key": ""},
        {"key": 3, "token": None},
        {"text": "the secret of a good password is length; sk-short; task-force"},
        {"text": "http://host:80/v1 and mailto:me@host.example, or http://host/a:b@c"},
        {"logit_bias": {"50256": -100}},
    ],
)
def test_ordinary_options_are_let_through(value: dict[str, Any]) -> None:
    assert find_secret(value) == ""


def test_the_value_of_any_variable_that_holds_a_key_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_SERVICE_TOKEN", "plain-words-here")
    monkeypatch.setenv("SHORT_KEY", "abc")
    monkeypatch.setenv("KEYBOARD", "qwertyuiop")
    assert find_secret({"user": "plain-words-here"}).startswith("user (the value of an environment variable")
    assert find_secret({"note": {"plain-words-here": 1}}).startswith("note (the name of a field)")
    assert find_secret({"user": "abc qwertyuiop"}) == ""


def test_keys_in_other_options_and_as_texts_from_the_command_line_are_found() -> None:
    for options in ({"system": FORMED}, {"extra_body": '{"api_key": "k"}'}, {"chat_template_kwargs": {"secret": "k"}}):
        with pytest.raises(UserError, match="looks like a key"):
            OpenAIBackend(
                Model(name="m", backend="openai", id="x", options={"base_url": "http://127.0.0.1:1/v1", **options})
            )


def test_an_option_that_cannot_be_read_is_not_quoted_where_it_holds_a_key() -> None:
    with pytest.raises(UserError, match="not JSON") as caught:
        OpenAIBackend(Model(name="m", backend="openai", id="x", options={"extra_body": '{"api_key": "' + FORMED + '"'}))
    assert "a1B2" not in str(caught.value)
