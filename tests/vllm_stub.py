"""A module ``vllm`` that takes the calls of one version, as tests/golden/vllm_signatures.json has them, and no others.

It computes nothing: a reply is always the tokens of ``REPLY``, and every log-probability is -1. An argument or an
attribute that the version does not have is a ``TypeError`` or an ``AttributeError``.
"""

from __future__ import annotations

import dataclasses
import importlib.machinery
import inspect
import json
import queue
import sys
import types
from pathlib import Path
from typing import Any

import pytest

SIGNATURES: dict[str, Any] = json.loads((Path(__file__).parent / "golden" / "vllm_signatures.json").read_text())
REPLY = (72, 75)
ENDED = 1
"""Id of the end token of the tiny checkpoints."""


class Stub:
    """What one version offers, and what was asked of it."""

    def __init__(self, version: str) -> None:
        self.offers = SIGNATURES[version]
        self.engines: list[Any] = []
        self.device = "cuda"
        self.fails: Exception | None = None
        self.in_process = True
        self.dies_after: int | None = None
        self.stepped = 0

    def signature(self, name: str) -> inspect.Signature:
        """The signature of a function or method, without ``self``."""
        kinds = {
            "positional": inspect.Parameter.POSITIONAL_OR_KEYWORD,
            "keyword": inspect.Parameter.KEYWORD_ONLY,
            "rest": inspect.Parameter.VAR_KEYWORD,
        }
        return inspect.Signature(
            [
                inspect.Parameter(
                    each, kinds[kind], default=inspect.Parameter.empty if default is None else ast_value(default)
                )
                for each, kind, default in self.offers["functions"][name]
            ]
        )

    def bound(self, name: str, *given: Any, **named: Any) -> dict[str, Any]:
        """The arguments by name.

        Raises:
            TypeError: the version's function does not take them.
        """
        call = self.signature(name).bind(*given, **named)
        call.apply_defaults()
        return call.arguments

    def record(self, name: str, **values: Any) -> Any:
        """An object of a class of vLLM, which has no other attributes than the class's own."""
        known = {*self.offers["fields"].get(name, ()), *self.offers["attributes"].get(name, ())}
        if extra := set(values) - known:
            raise TypeError(f"{name} has no {sorted(extra)}")
        return types.SimpleNamespace(**values)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Puts the modules where ``import`` finds them."""
        stub, fields = self, self.offers["fields"]

        def made(name: str) -> type:
            return dataclasses.make_dataclass(name, [(each, Any, None) for each in fields[name]], kw_only=True)

        class LLM:
            def __init__(self, *given: Any, **named: Any) -> None:
                arguments = stub.bound("LLM.__init__", *given, **named)
                rest = arguments.pop("kwargs", {})
                if unknown := set(rest) - set(fields["EngineArgs"]):
                    raise TypeError(f"EngineArgs has no {sorted(unknown)}")
                if stub.fails:
                    raise stub.fails
                self.arguments = {**named}
                self.llm_engine = _Engine(stub)
                stub.engines.append(self)

            def enqueue(self, *given: Any, **named: Any) -> list[str]:
                return self.llm_engine.take(stub.bound("LLM.enqueue", *given, **named))

        modules: dict[str, dict[str, Any]] = {
            "vllm": {"LLM": LLM, "EngineArgs": made("EngineArgs"), "SamplingParams": made("SamplingParams")},
            "vllm.sampling_params": {"StructuredOutputsParams": made("StructuredOutputsParams")},
            "vllm.lora": {},
            "vllm.lora.request": {"LoRARequest": made("LoRARequest")},
            "vllm.platforms": {"current_platform": self.record("Platform", device_type=self.device)},
            "vllm.distributed": {},
            "vllm.distributed.parallel_state": {
                "cleanup_dist_env_and_memory": lambda *given, **named: stub.bound(
                    "cleanup_dist_env_and_memory", *given, **named
                )
            },
        }
        assert set(modules["vllm"]) <= set(self.offers["exports"])
        for name, contents in modules.items():
            module = types.ModuleType(name)
            module.__spec__ = importlib.machinery.ModuleSpec(name, None)
            module.__path__ = []  # type: ignore[attr-defined]
            vars(module).update(contents)
            monkeypatch.setitem(sys.modules, name, module)


class _Engine:
    """As much of ``LLMEngine`` as is called."""

    def __init__(self, stub: Stub) -> None:
        self._stub, self._waiting, self._number = stub, {}, 0
        self.asked: list[dict[str, Any]] = []
        self.aborted: list[str] = []
        self.adapters: list[Any] = []
        self.ended = 0
        self.vllm_config = stub.record(
            "VllmConfig",
            model_config=stub.record("ModelConfig", max_model_len=512),
            cache_config=stub.record("CacheConfig", enable_prefix_caching=True),
        )
        if stub.in_process:
            self.engine_core = stub.record("InprocClient", engine_core=object())
            self.engine_core.shutdown = self._shutdown("InprocClient.shutdown")
        else:
            resources = stub.record("BackgroundResources", engine_dead=False)
            stub.record("MPClient", resources=resources)
            self.engine_core = stub.record("SyncMPClient", outputs_queue=queue.Queue())
            self.engine_core.resources = resources
            self.engine_core.shutdown = self._shutdown("MPClient.shutdown")

    def _shutdown(self, name: str) -> Any:
        def shutdown(*given: Any, **named: Any) -> None:
            self._stub.bound(name, *given, **named)
            self.ended += 1

        return shutdown

    def take(self, asked: dict[str, Any]) -> list[str]:
        keys = []
        for prompt, parameters in zip(asked["prompts"], asked["sampling_params"], strict=True):
            self.asked.append({**asked, "prompt": prompt, "parameters": parameters})
            self._waiting[str(self._number)] = prompt["prompt_token_ids"], parameters
            keys.append(f"{self._number}-a1b2")
            self._number += 1
        return keys

    def step(self, *given: Any, **named: Any) -> list[Any]:
        self._stub.bound("LLMEngine.step", *given, **named)
        if self._stub.fails:
            raise self._stub.fails
        if self._stub.stepped == self._stub.dies_after:
            raise RuntimeError("the device is gone")
        self._stub.stepped += 1
        if not self._stub.in_process and self.engine_core.resources.engine_dead:
            raise self.engine_core.outputs_queue.get(timeout=30)
        key, (tokens, parameters) = self._waiting.popitem()
        return [self._output(key, tokens, parameters)]

    def _output(self, key: str, tokens: list[int], parameters: Any) -> Any:
        stub = self._stub
        written = (*REPLY, ENDED)[: parameters.max_tokens]

        def said(wanted: Any) -> dict[int, Any]:
            return {token: stub.record("Logprob", logprob=-1.0, rank=1) for token in wanted}

        noted = None
        if parameters.logprob_token_ids:
            noted = [said(parameters.logprob_token_ids) for _ in written]
        elif parameters.logprobs:
            noted = [said([token, 9]) for token in written]
        outputs = [
            stub.record("CompletionOutput", index=index, token_ids=written, finish_reason="stop", logprobs=noted)
            for index in range(parameters.n)
        ]
        return stub.record(
            "RequestOutput",
            request_id=key,
            finished=True,
            outputs=outputs[::-1],
            prompt_logprobs=[None, *(said([token]) for token in tokens[1:])]
            if parameters.prompt_logprobs == 0
            else None,
        )

    def abort_request(self, *given: Any, **named: Any) -> None:
        self.aborted += self._stub.bound("LLMEngine.abort_request", *given, **named)["request_ids"]
        self._waiting.clear()

    def has_unfinished_requests(self, *given: Any, **named: Any) -> bool:
        self._stub.bound("LLMEngine.has_unfinished_requests", *given, **named)
        return bool(self._waiting)

    def add_lora(self, *given: Any, **named: Any) -> bool:
        self.adapters.append(self._stub.bound("LLMEngine.add_lora", *given, **named)["lora_request"])
        return True


def ast_value(text: str) -> Any:
    """A default as it stands in the source; its text where it is no literal."""
    import ast

    try:
        return ast.literal_eval(text)
    except ValueError:
        return text
