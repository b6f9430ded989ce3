"""The wire form of chat completions: what is sent, what is read, what a refusal means. Pure; no I/O.

The form is that of OpenAI's ``POST /chat/completions`` reference, and what servers of the same protocol (vLLM,
llama.cpp, SGLang, gateways) add to it: ``reasoning_content`` or ``reasoning`` beside the content, and
``chat_template_kwargs``.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal

import msgspec

from judgebench.types import Message, Reply, Sampling, TokenLogprob, Usage

FINISH: dict[str, Literal["stop", "length", "filter"]] = {
    "stop": "stop",
    "eos": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_calls": "stop",
    "function_call": "stop",
    "length": "length",
    "max_tokens": "length",
    "content_filter": "filter",
}
"""What servers call the end of a reply, and what we call it."""

DROPPABLE = ("temperature", "top_p", "seed")
"""Parameters that may be left out where a model refuses them; the note says so."""

_REFUSED = re.compile(
    r"unsupported|not support|n't support|not allowed|not permitted|unknown|unrecogni[sz]ed|unexpected|deprecated"
    r"|only the default|extra (inputs|fields)",
    re.IGNORECASE,
)
_TOO_LONG = re.compile(
    r"context.{0,20}(length|window|size|limit)|maximum (input|prompt|sequence|model) length|max_model_len"
    r"|(prompt|input|request).{0,40}(too long|too large|exceed)|too many (input )?tokens",
    re.IGNORECASE | re.DOTALL,
)


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Why one attempt brought no reply."""

    kind: Literal["timeout", "http", "refused", "torn", "context", "empty"]
    detail: str
    again: bool = False
    """True where the same call may succeed later."""
    fatal_until: Literal["", "reached", "answered"] = ""
    """It means that no call can succeed, unless the server has once sent any response, or a reply."""
    bad_parameters: str = ""
    """The server's words where it refuses the request itself: there may be something to learn."""
    retry_after: float | None = None
    """Seconds that the server asks to wait."""
    barred: bool = False
    """True where the key is refused, or nothing is left to pay with: it is not this prompt that is refused."""
    filtered: bool = False
    """True where the prompt met a content filter."""
    stale: bool = False
    """It says nothing of the call: a kept connection had ended, and the same call goes out on another at once."""


class Dialect:
    """Which parameters a server takes under which names; learned from its refusals, once for all calls."""

    def __init__(self, tokens_parameter: str, learns_tokens_parameter: bool) -> None:
        self.tokens_parameter = tokens_parameter
        self.dropped: set[str] = set()
        self.notes: list[str] = []
        self._may_rename = learns_tokens_parameter

    @property
    def version(self) -> tuple[str, int]:
        """Changes with whatever is learned."""
        return self.tokens_parameter, len(self.dropped)

    def body(self, model: str, messages: tuple[Message, ...], sampling: Sampling) -> dict[str, Any]:
        """The request as a server with this dialect takes it."""
        body: dict[str, Any] = {
            "model": model,
            "messages": list(messages),
            self.tokens_parameter: sampling.max_tokens,
        }
        for name in DROPPABLE:
            value = getattr(sampling, name)
            if value is not None and name not in self.dropped:
                body[name] = value
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        if sampling.logprobs:
            body.update(logprobs=True, top_logprobs=sampling.logprobs)
        if sampling.json_schema is not None:
            schema = {"name": "verdict", "strict": True, "schema": sampling.json_schema}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        return body

    def learn(self, refusal: str, body: dict[str, Any]) -> bool:
        """True where the refusal names a parameter of ``body`` that can be renamed or left out from now on."""
        if not _REFUSED.search(refusal):
            return False
        other = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}[self.tokens_parameter]
        if self._may_rename and self.tokens_parameter in body and _names(refusal, self.tokens_parameter):
            self.notes.append(f"the server refuses {self.tokens_parameter!r}: {other!r} is sent instead")
            self.tokens_parameter, self._may_rename = other, False
            return True
        for name in DROPPABLE:
            if name in body and name not in self.dropped and _names(refusal, name):
                self.dropped.add(name)
                self.notes.append(
                    f"the model refuses {name!r} ({body[name]:g} was asked for): it is left to the server"
                )
                return True
        return False


def _names(refusal: str, parameter: str) -> bool:
    return re.search(rf"(?<![a-z_]){parameter}(?![a-z_])", refusal) is not None


def with_system(messages: tuple[Message, ...], system: str) -> tuple[Message, ...]:
    """The chat with ``system`` first; a system message already there follows it within the same message."""
    if not system:
        return messages
    if messages and messages[0].role == "system":
        joined = Message(role="system", content=f"{system}\n\n{messages[0].content}")
        return joined, *messages[1:]
    return Message(role="system", content=system), *messages


def one_line(text: str, longest: int = 300) -> str:
    """The text with all runs of white space as single spaces, cut with a mark after ``longest`` characters."""
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 3] + "..."


def decode(raw: bytes) -> Any:
    """The JSON in a body.

    Raises:
        ValueError: it is not JSON.
    """
    try:
        return msgspec.json.decode(raw)
    except msgspec.DecodeError:
        # NaN and unpaired surrogates are no JSON, but servers send them.
        found = json.loads(raw.decode("utf-8", "replace"), strict=False)
        return json.loads(json.dumps(found, ensure_ascii=False).encode("utf-8", "replace"))


class _Said(msgspec.Struct):
    """A message in the usual form."""

    content: str
    reasoning_content: str | None = None
    reasoning: str | None = None


class _Choice(msgspec.Struct):
    """A choice in the usual form."""

    message: _Said
    finish_reason: Literal["stop", "length"]
    logprobs: None = None


class _Counts(msgspec.Struct):
    """Tokens as servers count them."""

    prompt_tokens: Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
    completion_tokens: Annotated[int, msgspec.Meta(ge=0, lt=2**53)]


class _Completion(msgspec.Struct):
    """A response in the usual form; whatever does not have it is read field by field."""

    choices: list[_Choice]
    usage: _Counts
    model: str = ""
    system_fingerprint: str | None = None
    error: None = None


_USUAL = msgspec.json.Decoder(_Completion)


def read_reply(raw: bytes) -> tuple[Reply, str] | Fault:
    """The reply in the body of a response with status 200, and what the server says that it served.

    The reply's usage counts tokens only, not calls. What was served is the response's ``model``, with its
    ``system_fingerprint`` behind ``@`` where there is one.
    """
    try:
        usual = _USUAL.decode(raw)
        if usual.choices:
            return _usual_reply(usual)
    except (ValueError, RecursionError):
        pass
    try:
        found = decode(raw)
    except (ValueError, RecursionError):
        if raw.lstrip()[:1] == b"<":
            detail = "the response is a web page, not a chat completion; is the base_url right?"
            return Fault(kind="http", detail=detail, fatal_until="answered")
        return Fault(kind="torn", detail=f"not JSON: {_excerpt(raw)}", again=True)
    if not isinstance(found, dict):
        return Fault(kind="torn", detail=f"not a chat completion: {_excerpt(raw)}", again=True)
    if found.get("error") and not found.get("choices"):
        code = found["error"].get("code") if isinstance(found["error"], dict) else None
        return read_refusal(code if isinstance(code, int) and 400 <= code < 600 else 500, raw)
    choices = found.get("choices")
    if not isinstance(choices, list) or not choices:
        return Fault(kind="empty", detail=f"no choices in the response: {_excerpt(raw)}", again=True)
    choice = choices[0]
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        return Fault(kind="torn", detail=f"no message in the response: {_excerpt(raw)}", again=True)
    ended = choice.get("finish_reason")
    if ended in ("error", "abort"):
        return Fault(kind="http", detail=f"the server broke off the reply: {_excerpt(raw)}", again=True)
    text, thought = _content(message.get("content"))
    if message.get("content") is None and isinstance(message.get("refusal"), str):
        text = message["refusal"]
    for name in ("reasoning_content", "reasoning"):
        if isinstance(message.get(name), str):
            thought = thought or message[name]
    reply = Reply(
        text=text,
        finish=FINISH.get(str(ended), "stop"),
        reasoning=thought,
        usage=_usage(found.get("usage")),
        logprobs=_logprobs(choice.get("logprobs")),
    )
    return reply, "@".join(str(found[name]) for name in ("model", "system_fingerprint") if found.get(name))


def _usual_reply(usual: _Completion) -> tuple[Reply, str]:
    choice, counts = usual.choices[0], usual.usage
    said = choice.message
    reply = Reply(
        text=said.content,
        finish=choice.finish_reason,
        reasoning=said.reasoning_content or said.reasoning or "",
        usage=Usage(prompt_tokens=counts.prompt_tokens, completion_tokens=counts.completion_tokens),
    )
    return reply, "@".join(part for part in (usual.model, usual.system_fingerprint) if part)


def _content(content: Any) -> tuple[str, str]:
    """(text, reasoning) of a message's content: a text, nothing, or a list of typed parts."""
    if isinstance(content, str):
        return content, ""
    text, thought = [], []
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict) and isinstance(part.get("text"), str):
            text.append(part["text"])
        elif isinstance(part, dict) and part.get("type") == "thinking":
            inner, _ = _content(part.get("thinking"))
            thought.append(inner)
    return "".join(text), "".join(thought)


def _usage(usage: Any) -> Usage:
    counts = {}
    for name in ("prompt_tokens", "completion_tokens"):
        value = usage.get(name) if isinstance(usage, dict) else None
        counts[name] = int(value) if isinstance(value, (int, float)) and 0 <= value < 2**53 else 0
    return Usage(**counts)


def _logprobs(logprobs: Any) -> tuple[TokenLogprob, ...]:
    """The tokens of a reply with their log-probabilities; empty where any of it is not as it should be."""
    tokens = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(tokens, list):
        return ()
    read = []
    for each in tokens:
        own = _token(each)
        if own is None:
            return ()
        others = each.get("top_logprobs")
        top = [found for other in others if (found := _token(other))] if isinstance(others, list) else []
        read.append(TokenLogprob(token=own[0], logprob=own[1], top=tuple(top)))
    return tuple(read)


def _token(found: Any) -> tuple[str, float] | None:
    """(text, log-probability) of one entry; servers write -9999 for what is beyond reach, and that stays."""
    if not isinstance(found, dict):
        return None
    text, value = found.get("token"), found.get("logprob")
    if not isinstance(text, str) or not isinstance(value, (int, float)) or not -1e300 < value < 1e300:
        return None
    return text, float(value)


def read_refusal(status: int, raw: bytes, *, retry_after: float | None = None) -> Fault:
    """What a response with a status other than 200 means for this call and for all others."""
    words, code, parameter = _words(raw)
    detail = one_line(f"{status} {words}".strip())
    if status in (401, 402, 403) or code == "insufficient_quota":
        barred = status != 403  # which gateways also say of a prompt that they do not like
        return Fault(kind="refused", detail=detail, fatal_until="answered", barred=barred)
    if status in (404, 405) or 300 <= status < 400 or code == "model_not_found":
        return Fault(kind="refused", detail=detail, fatal_until="answered")
    if code == "content_filter" or (status == 400 and "content management policy" in words):
        return Fault(kind="refused", detail=f"content filter: {detail}", filtered=True)
    if status in (400, 413, 422) and (code == "context_length_exceeded" or status == 413 or _TOO_LONG.search(words)):
        return Fault(kind="context", detail=detail)
    if status in (400, 422):
        return Fault(kind="http", detail=detail, bad_parameters=f"{words} {code} {parameter}")
    if status == 429:
        return Fault(kind="refused", detail=detail, again=True, retry_after=retry_after)
    again = status in (408, 409, 425) or status >= 500
    return Fault(kind="http", detail=detail, again=again, retry_after=retry_after)


def _words(raw: bytes) -> tuple[str, str, str]:
    """(message, code, parameter) of an error's body, in whatever of the usual forms it comes."""
    try:
        found = decode(raw)
    except (ValueError, RecursionError):
        return _excerpt(raw), "", ""
    error = found.get("error", found) if isinstance(found, dict) else found
    if not isinstance(error, dict):
        return str(error) if isinstance(error, str) else _excerpt(raw), "", ""
    message = error.get("message") or error.get("detail") or _excerpt(raw)
    if not isinstance(message, str):
        message = json.dumps(message)
    return message, str(error.get("code") or ""), str(error.get("param") or "")


def _excerpt(raw: bytes) -> str:
    return one_line(raw[:1000].decode("utf-8", "replace"), 200) or "an empty body"
