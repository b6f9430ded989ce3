"""What may be set for a model behind an endpoint, and what of it is refused before any call."""

from __future__ import annotations

import os
import urllib.parse
import urllib.request
from typing import Annotated, Any, Literal

import msgspec

from judgebench.backends.secret_values import find_secret
from judgebench.errors import UserError
from judgebench.types import Model

OFFICIAL = "https://api.openai.com/v1"
"""Where calls go when neither the option ``base_url`` nor ``OPENAI_BASE_URL`` says otherwise."""


class OpenAIOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What ``--option NAME.key=value`` may set for a model behind an endpoint. The key itself is never an option."""

    base_url: str | list[str] | None = None
    """Root of the API, usually ending in ``/v1``, or a list of roots that serve the same model; default
    ``OPENAI_BASE_URL``, else OpenAI's own."""
    api_key_env: str = "OPENAI_API_KEY"
    """Name of the environment variable that holds the key."""
    max_concurrency: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 16
    """Most calls at once; fewer where the server does not keep up."""
    timeout: Annotated[float, msgspec.Meta(gt=0)] = 600.0
    """Seconds until one attempt is given up."""
    deadline: Annotated[float, msgspec.Meta(gt=0)] = 3600.0
    """Seconds until a call is given up, its repeats and the waits between them included."""
    max_retries: Annotated[int, msgspec.Meta(ge=0, le=100)] = 6
    """Most repeats of a call; of these at most two after timeouts."""
    max_tokens_parameter: Literal["auto", "max_tokens", "max_completion_tokens"] = "auto"
    """Name under which the limit on new tokens is sent; auto learns it from the server."""
    system: str = ""
    """System prompt put first; a rubric's or suite's own follows it in the same message."""
    revision: str = ""
    """What the endpoint serves, where it can be known; recorded, not sent."""
    temperature: Annotated[float, msgspec.Meta(ge=0)] | None = None
    """Instead of the request's."""
    top_p: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    """Instead of the request's."""
    max_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Instead of the request's."""
    chat_template_kwargs: dict[str, Any] = {}
    """Sent as such, for servers with chat templates (vLLM, SGLang)."""
    extra_body: dict[str, Any] = {}
    """Further fields of the request's body."""
    batch: bool = False
    """Ask by the provider's batches (``/v1/batches``): at a lower price, answered within the window."""
    batch_poll: Annotated[float, msgspec.Meta(gt=0)] = 60.0
    """Seconds between two looks at a batch."""
    batch_window: Annotated[str, msgspec.Meta(pattern=r"^[1-9]\d*[hd]$")] = "24h"
    """Time that the provider is given for a batch; most take 24h and nothing else."""


def read_urls(model: Model, options: OpenAIOptions) -> list[str]:
    """The addresses that serve the model, none twice.

    Raises:
        UserError: one is no address, or holds what must not be recorded.
    """
    given = options.base_url or os.environ.get("OPENAI_BASE_URL") or OFFICIAL
    return list(dict.fromkeys(checked_url(model, url) for url in ([given] if isinstance(given, str) else given)))


def checked_url(model: Model, url: str) -> str:
    """The address without its closing slash.

    Raises:
        UserError: it is none, or holds what must not be recorded; the message holds none of that.
    """
    try:
        parts = urllib.parse.urlsplit(url.strip())
        named = bool(parts.hostname and parts.hostname.encode("idna")) and parts.port != 0
    except ValueError:  # brackets, a port, or a name that cannot be
        named = False
    if not named or parts.scheme not in ("http", "https"):
        shown = url.rpartition("@")[2]
        raise UserError(f"model {model.name!r}: base_url {shown!r} is not an address: http://HOST:PORT/v1 is meant")
    if parts.username or parts.password or parts.query or parts.fragment:
        place = f"{parts.scheme}://{parts.hostname}"
        raise UserError(
            f"model {model.name!r}: the base_url at {place} may hold no user, password or query: it is recorded"
        )
    return url.strip().rstrip("/").removesuffix("/chat/completions")


def read_key(model: Model, options: OpenAIOptions, urls: list[str]) -> str:
    """The key out of the environment, or an empty text where none is needed.

    Raises:
        UserError: none where one is needed, one that no server can take, or one that stands where it is recorded.
    """
    name = options.api_key_env
    key = os.environ.get(name, "").strip()
    found = find_secret({option: each for option, each in model.options.items() if option != "api_key_env"})
    if found:
        raise UserError(
            f"model {model.name!r}: option {found} looks like a key: options are recorded, so only an "
            "environment variable may hold one (api_key_env=NAME)"
        )
    if not key and ("api_key_env" in model.options or OFFICIAL in urls):
        raise UserError(f"model {model.name!r}: {urls[0]} needs a key: set {name} in the environment")
    if not (key.isascii() and key.isprintable()):
        raise UserError(f"model {model.name!r}: the key in {name} holds characters that no key has")
    if len(key) >= 8 and key in repr((model, urls)):
        raise UserError(f"model {model.name!r}: the key itself stands in its options: only {name} may hold it")
    return key


def read_added(model: Model, options: OpenAIOptions) -> dict[str, Any]:
    """Fields of every body beside those of the dialect.

    Raises:
        UserError: one is JudgeBench's to set.
    """
    owned = {"model", "messages", "stream", "n"} & options.extra_body.keys()
    if owned:
        named = ", ".join(sorted(owned))
        raise UserError(f"model {model.name!r}: option 'extra_body' may not set {named}: JudgeBench does")
    added = dict(options.extra_body)
    if options.chat_template_kwargs:
        added["chat_template_kwargs"] = options.chat_template_kwargs
    return added


def proxy_for(url: str) -> str | None:
    """The environment's proxy for an address; none for this machine itself.

    Raises:
        UserError: it is of a kind that cannot be used.
    """
    parts = urllib.parse.urlsplit(url)
    host = parts.hostname or ""
    if host in ("localhost", "::1") or host.startswith("127.") or urllib.request.proxy_bypass(parts.netloc):
        return None
    proxies = urllib.request.getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if proxy and not proxy.startswith(("http://", "https://")):
        raise UserError(f"the proxy for {host} is {proxy.partition('://')[0]}: only http and https proxies can be used")
    return proxy
