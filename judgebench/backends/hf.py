"""A checkpoint run by transformers, on the CPU or a GPU."""

from __future__ import annotations

import contextlib
import gc
import importlib.metadata
import itertools
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from judgebench.backends.chat import Chat, Rendered, TemplateRefused, cut
from judgebench.backends.chat_completions import one_line
from judgebench.backends.checkpoint import Checkpoint, CheckpointOptions, load_tokenizer, require
from judgebench.backends.continuations import Continuations, Continued
from judgebench.backends.continuations import unfit as unfit_choices
from judgebench.backends.local_sampling import Drawing, settle, token_logprobs, unfit
from judgebench.backends.options import read_options
from judgebench.backends.prompt_tokens import PromptTokens, of_chat
from judgebench.errors import BackendError, UserError
from judgebench.types import ChoiceReply, ChoiceRequest, Message, Model, Reply, Request, Usage

if TYPE_CHECKING:
    from judgebench.backends.decoding import Written
    from judgebench.backends.hf_choices import Comparer

WINDOW = 8
"""Batches whose requests are taken together and sorted by length."""

CHOICE_WINDOW = 1024
"""Choice requests taken together, so that those that share a beginning meet."""


class HFOptions(CheckpointOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What ``--option NAME.key=value`` may set for a model run by transformers."""

    device: str = "auto"
    """Where it runs: ``cpu``, ``cuda``, ``cuda:1`` ...; auto is the first GPU, else the CPU."""
    batch_size: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 8
    """Prompts in one batch; halved where memory runs out."""
    batch_positions: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Positions in one batch when choices are compared; None is 2,048 on a CPU, 16,384 on a GPU."""
    attn_implementation: str = ""
    """Attention kernel: ``sdpa``, ``eager``, ``flash_attention_2``; empty is transformers' choice."""


class HFBackend:
    """A checkpoint run by transformers, in batches padded on the left.

    Requests are taken ``8 x batch_size`` at a time, sorted by length, and answered a batch at a time. The weights are
    loaded by the first request, so that a model which has nothing left to answer costs nothing.

    Greedy replies are those of the model alone, whatever shares the batch, as far as its arithmetic allows (exactly, in
    our tests in float32; in half precision the rounding of a batch can turn a near tie). Each sampled reply has a
    random stream of its own, from its seed, and the same holds for it.

    A prompt that does not fit with its ``max_tokens`` into the model's positions is ``context: ...``, that item alone.

    Args:
        model: ``id`` is a folder or a hub name; ``options`` as in `HFOptions`.

    Raises:
        UserError: a wrong option; not a model; pickled weights; no such hub name.
        MissingPackage: torch or transformers is not installed.
    """

    Options = HFOptions
    provides = frozenset({"logprobs"})

    def __init__(self, model: Model) -> None:
        self.model = model
        self.options = read_options(model, HFOptions)
        self._checkpoint = Checkpoint(model, self.options, adapters=True)
        require(("torch", "transformers"), "hf")
        if self._checkpoint.adapter:
            require(("peft",), "train")
        self._chat: Chat | None = None
        self._loaded: Any = None
        self._continuations: Continuations | None = None
        self._comparer: Comparer | None = None
        self._device = ""
        self._pad = self._rows = 0
        self._ends: frozenset[int] = frozenset()
        self._notes: dict[str, None] = {}

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Reply]]:
        """Each request with its reply, batch by batch.

        Raises:
            BackendError: the model or its tokenizer cannot be loaded.
            UserError: ``chat_template=on`` without a template; a device that is not there.
        """
        waiting = iter(requests)
        while window := list(itertools.islice(waiting, WINDOW * self.options.batch_size)):
            self._load()
            asked: list[_Asked] = []
            for request in window:
                prepared = self._prepare(request)
                if isinstance(prepared, Reply):
                    yield request, prepared
                else:
                    asked.append(prepared)
            # Virtual tokens stand in front of the padding, which would shift the positions of padded rows.
            most = 1 if "num_virtual_tokens" in self._checkpoint.adapter else self.options.batch_size
            for batch in _batches(asked, most, self._checkpoint.context):
                yield from self._answer(batch)

    def loglikelihood(self, requests: Iterable[ChoiceRequest]) -> Iterator[tuple[ChoiceRequest, ChoiceReply]]:
        """Each request with the log-probabilities of its choices, a thousand requests at a time.

        A beginning that prompts share is computed once, and only the positions that are read reach the output head, see
        `judgebench.backends.loglikelihood`. In float32 the values are those of each prompt and choice alone to within
        1e-4, whatever shares the batch. A prompt that does not fit with its longest choice is ``context: ...``.

        Raises:
            BackendError: the model or its tokenizer cannot be loaded.
            UserError: ``chat_template=on`` without a template; a device that is not there.
        """
        if "num_virtual_tokens" in self._checkpoint.adapter:
            raise UserError(
                f"{self._checkpoint.name}: with virtual tokens in front no choices are compared; take --answer generate"
            )
        waiting = iter(requests)
        while window := list(itertools.islice(waiting, CHOICE_WINDOW)):
            self._load()
            continuations, comparer = self._choosing()
            asked: list[Continued] = []
            for request in window:
                prepared = continuations.prepare(request)
                problem = (
                    prepared
                    if isinstance(prepared, str)
                    else unfit_choices(prepared, self.options.max_input_tokens, self._checkpoint.context, self._rows)
                )
                if problem or isinstance(prepared, str):
                    yield request, ChoiceReply(error=str(problem), usage=Usage(requests=1))
                else:
                    asked.append(prepared)
            self._notes.update(continuations.notes)
            for one, found in comparer.scores(asked):
                usage = Usage(prompt_tokens=len(one.prompt), requests=1)
                if isinstance(found, str):
                    yield one.request, ChoiceReply(error=found, usage=usage)
                else:
                    yield one.request, ChoiceReply(choices=one.scores(found), usage=usage)

    def _choosing(self) -> tuple[Continuations, Comparer]:
        from judgebench.backends.hf_choices import Comparer

        assert self._chat is not None
        if self._continuations is None:
            self._continuations = Continuations(self._chat)
        if self._comparer is None:
            self._comparer = Comparer(self._loaded, self.options.batch_positions, self._notes)
        return self._continuations, self._comparer

    def prompt_tokens(self, messages: tuple[Message, ...]) -> PromptTokens:
        """The tokens that the model reads for a chat; loads the tokenizer but not the model."""
        return of_chat(self._load_chat(), messages)

    def describe(self) -> dict[str, Any]:
        """What changes an answer or explains it: versions, device, number format, template, weights.

        ``notes`` grows while requests are answered; all else is fixed from the start. Loads the tokenizer but not the
        model.
        """
        chat = self._load_chat()
        options = self.options
        return {
            "backend": "hf",
            **self._checkpoint.describe(),
            **chat.describe(),
            "transformers": importlib.metadata.version("transformers"),
            "torch": importlib.metadata.version("torch"),
            "device": self._choose_device(),
            "dtype": self._checkpoint.dtype if options.dtype == "auto" else options.dtype,
            "attn_implementation": options.attn_implementation,
            "batch_size": options.batch_size,
            "batch_positions": options.batch_positions,
            "max_input_tokens": options.max_input_tokens,
            "context": self._checkpoint.context,
            "temperature": options.temperature,
            "top_p": options.top_p,
            "max_tokens": options.max_tokens,
            "notes": [*chat.notes, *self._notes],
        }

    def close(self) -> None:
        """Frees the model's memory; safe to call twice. A later call would load it again."""
        if self._loaded is None:
            return
        import torch

        self._loaded = self._comparer = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _load_chat(self) -> Chat:
        if self._chat is None:
            options = self.options
            _ = self._checkpoint.folder  # a download shows its progress, so it comes before the quiet
            with _quiet():
                tokenizer = load_tokenizer(self._checkpoint, trust_remote_code=options.trust_remote_code)
            self._chat = Chat(tokenizer, options.chat_template, options.chat_template_kwargs, options.system)
            self._ends = self._checkpoint.ends(tokenizer)
        return self._chat

    def _choose_device(self) -> str:
        if not self._device:
            import torch

            wanted = self.options.device
            try:
                device = (
                    torch.device("cuda" if torch.cuda.is_available() else "cpu")
                    if wanted == "auto"
                    else torch.device(wanted)
                )
                torch.empty(1, device=device)
            except (RuntimeError, AssertionError) as error:
                reason = one_line(str(error), 160)
                raise UserError(
                    f"model {self.model.name!r} (hf): device={wanted!r} cannot be used: {reason}"
                ) from error
            self._device = str(device)
        return self._device

    def _load(self) -> None:
        if self._loaded is not None:
            return
        chat, device = self._load_chat(), self._choose_device()
        from transformers import AutoModelForCausalLM, GenerationConfig

        options = self.options
        folder = str(self._checkpoint.model_folder)
        chosen = {"attn_implementation": options.attn_implementation} if options.attn_implementation else {}
        try:
            with _quiet():
                model, report = AutoModelForCausalLM.from_pretrained(
                    folder,
                    dtype=options.dtype,
                    use_safetensors=True,
                    local_files_only=True,
                    trust_remote_code=options.trust_remote_code,
                    output_loading_info=True,
                    **chosen,
                )
                model = model.to(device).eval()
        except Exception as error:  # whatever an unfit checkpoint makes transformers raise
            if "trust_remote_code" in str(error) and not options.trust_remote_code:
                raise BackendError(
                    f"{self._checkpoint.name}: the model brings Python code of its own, which is not run; when you "
                    f"have read it, allow it with --option {self.model.name}.trust_remote_code=true"
                ) from error
            reason = f"{type(error).__name__}: {one_line(str(error))}"
            raise BackendError(f"{self._checkpoint.name}: the model cannot be loaded: {reason}") from error
        lacking = sorted(report["missing_keys"]) + sorted(str(key[0]) for key in report["mismatched_keys"])
        if lacking:
            raise BackendError(
                f"{self._checkpoint.name}: the weights do not fit the config: {len(lacking)} tensors are missing or of "
                f"another shape, {lacking[0]} first"
            )
        if report["unexpected_keys"]:
            self._notes[f"{len(report['unexpected_keys'])} tensors of the checkpoint are not used"] = None
        if self._checkpoint.adapter:
            with _quiet():
                from judgebench.backends.adapted import adapted

                model = adapted(model, self._checkpoint)
        # The checkpoint's own sampling settings would else be mixed into every call.
        model.generation_config = GenerationConfig()
        rows = model.get_input_embeddings().weight.shape[0]
        known = (getattr(chat.tokenizer, "pad_token_id", None), *sorted(self._ends))
        self._pad = next((token for token in known if token is not None and token < rows), 0)
        self._rows = rows
        self._loaded = model

    def _prepare(self, request: Request) -> _Asked | Reply:
        assert self._chat is not None
        try:
            prompt, rendered = self._chat.prompt(request.messages)
        except TemplateRefused as error:
            return _failed(f"model: the chat template refuses the messages: {error}")
        drawing = settle(request, self.options, self._checkpoint.generation, rendered.stop)
        problem = unfit(prompt, drawing, self.options.max_input_tokens, self._checkpoint.context)
        if problem:
            return _failed(problem)
        if max(prompt) >= self._rows:
            return _failed(f"model: the tokenizer gives token {max(prompt)}, the model has {self._rows} embeddings")
        return _Asked(request=request, prompt=prompt, rendered=rendered, drawing=drawing)

    def _answer(self, batch: Sequence[_Asked]) -> Iterator[tuple[Request, Reply]]:
        written = self._write(batch)
        if written is not None:
            for asked, tokens in zip(batch, written, strict=True):
                yield asked.request, self._reply(asked, tokens)
        elif len(batch) == 1:
            length = len(batch[0].prompt)
            yield batch[0].request, _failed(f"model: out of memory for this one prompt of {length} tokens alone")
        else:
            self._notes[f"out of memory with {len(batch)} prompts at once: such batches are halved"] = None
            half = (len(batch) + 1) // 2
            yield from self._answer(batch[:half])
            yield from self._answer(batch[half:])

    def _write(self, batch: Sequence[_Asked]) -> list[Written] | None:
        from judgebench.backends.decoding import Row, write
        from judgebench.backends.memory import unless_out_of_memory

        assert self._chat is not None
        chat = self._chat
        rows = [Row(prompt=asked.prompt, drawing=asked.drawing) for asked in batch]
        with _quiet():
            return unless_out_of_memory(lambda: write(self._loaded, rows, chat, self._ends, self._pad))

    def _reply(self, asked: _Asked, written: Written) -> Reply:
        assert self._chat is not None
        tokens = written.tokens[:-1] if written.finish == "eos" else written.tokens
        text, stopped = cut(self._chat.words(asked.prompt, tokens), asked.drawing.stop)
        reasoning, text = self._chat.reasoning(text, asked.rendered)
        return Reply(
            text=text,
            finish="length" if written.finish == "length" and not stopped else "stop",
            reasoning=reasoning,
            usage=Usage(prompt_tokens=len(asked.prompt), completion_tokens=len(written.tokens), requests=1),
            logprobs=token_logprobs(self._chat, tokens, written.logprobs),
        )


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request made ready."""

    request: Request
    prompt: list[int]
    rendered: Rendered
    drawing: Drawing


def _failed(error: str) -> Reply:
    return Reply(finish="error", error=error, usage=Usage(requests=1))


def _batches(asked: Sequence[_Asked], most: int, context: int | None) -> Iterator[list[_Asked]]:
    """Batches of at most ``most``, like lengths together.

    No row of a batch runs past the model's positions, though it is carried along until the last row has ended.
    """
    batch: list[_Asked] = []
    longest = furthest = 0
    for one in sorted(asked, key=lambda one: (-one.drawing.max_tokens, -len(one.prompt))):
        longest, furthest = max(longest, len(one.prompt)), max(furthest, one.drawing.max_tokens)
        if batch and (len(batch) == most or (context is not None and longest + furthest > context)):
            yield batch
            batch, longest, furthest = [], len(one.prompt), one.drawing.max_tokens
        batch.append(one)
    if batch:
        yield batch


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Within it transformers shows no bars, and of its log only errors."""
    from huggingface_hub import constants
    from transformers.utils import logging as transformers_logging

    level, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Position ids are not supported for parameter efficient tuning")
            yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars and not constants.HF_HUB_DISABLE_PROGRESS_BARS:
            transformers_logging.enable_progress_bar()
