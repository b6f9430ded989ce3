"""The backends that the contract (test_backend_contract.py) is held over: one entry each.

To add one: a function from a scratch folder to a context manager that yields an open backend, and an entry in
``BACKENDS``. The contract asks items ``"0"`` … ``"199"``, turn 1, sample 0, and closes the backend itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from endpoint_server import Act, EndpointServer

from judgebench.types import Backend, Model

ITEMS = 200
"""Requests that the contract makes at most in one call."""


@dataclass(frozen=True)
class UnderTest:
    """One backend and what the contract may expect of it."""

    name: str
    opened: Callable[[Path], AbstractContextManager[Backend]]
    """Scratch folder → context with the open backend."""
    most_ahead: int
    """Requests it may have taken from the iterable without having answered them."""
    packages: tuple[str, ...] = ()
    """Packages without which it is skipped."""
    requests: int = ITEMS
    """How many requests one call of the contract makes; fewer for a slow backend."""


@contextmanager
def openai(folder: Path) -> Iterator[Backend]:
    from judgebench.backends.openai import OpenAIBackend

    def echo(body: dict[str, object], count: int) -> Act:
        return Act(text=str(body["messages"][-1]["content"])[:100])  # type: ignore[index]

    with EndpointServer(echo) as server:
        options = {"base_url": server.base_url, "max_concurrency": 8}
        yield OpenAIBackend(Model(name="m", backend="openai", id="test-model", options=options))


@contextmanager
def scripted(folder: Path) -> Iterator[Backend]:
    from judgebench.backends.scripted import ScriptedBackend

    yield ScriptedBackend.of(lambda chat: chat[-1]["content"][:100], name="echo")


@contextmanager
def replay(folder: Path) -> Iterator[Backend]:
    from judgebench.backends.replay import ReplayBackend

    path = folder / "recorded.jsonl"
    lines = (json.dumps({"question_id": number, "text": f"answer {number}"}) for number in range(ITEMS))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    yield ReplayBackend(Model(name="m", backend="replay", id=str(path)))


@contextmanager
def hf(folder: Path) -> Iterator[Backend]:
    import torch
    from tiny_models import tiny_checkpoint

    from judgebench.backends.hf import HFBackend

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # models this small are slower on many
    yield HFBackend(Model(name="m", backend="hf", id=str(tiny_checkpoint()), options={"batch_size": 4}))
    torch.set_num_threads(threads)


@contextmanager
def vllm(folder: Path) -> Iterator[Backend]:
    from tiny_models import tiny_checkpoint

    from judgebench.backends.vllm import VLLMBackend

    options = {"max_in_flight": 32, "max_model_len": 2048, "enforce_eager": True}
    yield VLLMBackend(Model(name="m", backend="vllm", id=str(tiny_checkpoint()), options=options))


@contextmanager
def vllm_server(folder: Path) -> Iterator[Backend]:
    """The endpoint client before vLLM's own server, which is started once for all tests."""
    from tiny_models import CHATML, tiny_checkpoint
    from vllm_server import vllm_server as started

    from judgebench.backends.openai import OpenAIBackend

    options = {"base_url": started(tiny_checkpoint(CHATML)), "max_concurrency": 8}
    yield OpenAIBackend(Model(name="m", backend="openai", id="tiny", options=options))


BACKENDS: list[UnderTest] = [
    UnderTest("openai", openai, most_ahead=16),
    UnderTest("scripted", scripted, most_ahead=1),
    UnderTest("replay", replay, most_ahead=1),
    UnderTest("hf", hf, most_ahead=32, packages=("torch", "transformers"), requests=40),
    UnderTest("vllm", vllm, most_ahead=32, packages=("vllm",), requests=40),
    UnderTest("vllm-server", vllm_server, most_ahead=32, packages=("vllm",), requests=40),
]
