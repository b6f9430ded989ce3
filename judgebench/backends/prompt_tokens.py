"""The tokens that a model reads for a chat: what ``judgebench parity`` compares between backends."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from judgebench.backends.chat import Chat, TemplateRefused
from judgebench.backends.chat_completions import one_line, with_system
from judgebench.types import Message, Record

TIMEOUT = 30.0
"""Seconds until a server that says nothing is taken to have no ``/tokenize``."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows none: the key goes to nobody but the server that was named."""

    def redirect_request(self, *_: Any) -> None:
        """Nothing."""


class PromptTokens(Record, frozen=True, kw_only=True):
    """A prompt as a model reads it."""

    tokens: tuple[int, ...] = ()
    """Token ids; empty where they cannot be known."""
    words: tuple[str, ...] = ()
    """The text of each token, where it can be known."""
    begin: int | None = None
    """Id of the token that begins a text (BOS); None where there is none or it is not known."""
    unknown: str = ""
    """Why the tokens are not known; empty where they are."""


def of_chat(chat: Chat, messages: tuple[Message, ...]) -> PromptTokens:
    """The tokens that a local backend puts to its model."""
    try:
        tokens, _ = chat.prompt(messages)
    except TemplateRefused as error:
        return PromptTokens(unknown=f"the chat template refuses the messages: {error}")
    words = tuple(str(chat.tokenizer.decode([token], skip_special_tokens=False)) for token in tokens)
    return PromptTokens(tokens=tuple(tokens), words=words, begin=chat.tokenizer.bos_token_id)


def of_server(base_url: str, name: str, messages: tuple[Message, ...], options: Any) -> PromptTokens:
    """The tokens that a server says it puts to its model: its ``/tokenize``, as vLLM has it, beside the API's root.

    Args:
        base_url: root of the API, usually ending in ``/v1``.
        name: of the model, as the server calls it.
        messages: the chat.
        options: of the ``openai`` backend: ``system``, ``chat_template_kwargs`` and ``api_key_env`` are used.
    """
    chat = [{"role": each.role, "content": each.content} for each in with_system(messages, options.system)]
    body: dict[str, Any] = {"model": name, "messages": chat, "add_generation_prompt": True, "return_token_strs": True}
    if options.chat_template_kwargs:
        body["chat_template_kwargs"] = options.chat_template_kwargs
    headers = {"Content-Type": "application/json"}
    if key := os.environ.get(options.api_key_env):
        headers["Authorization"] = f"Bearer {key}"
    url = base_url.rstrip("/").removesuffix("/v1") + "/tokenize"
    asked = urllib.request.Request(url, json.dumps(body).encode(), headers)
    near = urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")
    opener = urllib.request.build_opener(_NoRedirect, *([urllib.request.ProxyHandler({})] if near else []))
    try:
        with opener.open(asked, timeout=TIMEOUT) as response:
            found = json.loads(response.read())
        tokens = tuple(int(token) for token in found["tokens"])
    except urllib.error.HTTPError as error:
        return PromptTokens(unknown=f"the server does not say its tokens (HTTP {error.code} at /tokenize)")
    except (OSError, ValueError, KeyError, TypeError) as error:
        return PromptTokens(unknown=f"the server does not say its tokens ({one_line(str(error), 120)})")
    words = tuple(map(str, found.get("token_strs") or ()))
    return PromptTokens(tokens=tokens, words=words)
