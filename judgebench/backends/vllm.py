"""A checkpoint run by vLLM's offline engine, inside this process."""

from __future__ import annotations

import contextlib
import importlib.metadata
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from judgebench.backends.adapter import read_adapter
from judgebench.backends.chat import Chat, TemplateRefused, cut
from judgebench.backends.checkpoint import Checkpoint, load_tokenizer, require
from judgebench.backends.continuations import Continuations
from judgebench.backends.continuations import unfit as unfit_choices
from judgebench.backends.local_sampling import settle, token_logprobs, unfit
from judgebench.backends.prompt_tokens import PromptTokens, of_chat
from judgebench.backends.vllm_choices import Pending, Question, questions
from judgebench.backends.vllm_engine import Engine, EngineDied, Refused, batch_invariant, version
from judgebench.backends.vllm_options import VLLMOptions, engine_arguments, read_vllm_options
from judgebench.backends.vllm_sampling import Asked, held, noted, sampling_arguments, together
from judgebench.errors import BackendError
from judgebench.types import ChoiceReply, ChoiceRequest, Message, Model, Reply, Request, Usage

Taken = TypeVar("Taken")
Sent = TypeVar("Sent")
Landed = TypeVar("Landed")

AT_ONCE = 256
"""Requests that are rendered before the engine gets them; it works on these while the next are rendered."""

QUESTIONS = 4
"""Questions to the engine that a request for choices is reckoned at, when it is decided how many are taken."""


class VLLMBackend:
    """A checkpoint run by vLLM's offline engine.

    Prompts are rendered and tokenised here, as for ``hf``, and go to the engine as token ids: so both backends read
    the same tokens. (``LLM.chat`` would render the template itself, but offers nothing for a model without one, and
    says nothing of a system message that the template drops. It is the better way only for tools and pictures.)
    Replies are decoded and cut at stop texts by the same code as for ``hf`` too.

    Requests are enqueued by the hundred, in the order of their tokens so that shared beginnings meet in the prefix
    cache, up to ``max_in_flight``, and topped up as they are answered; each reply is given on as soon as the engine has
    it. Samples of one question are one request where that changes nothing of what is drawn
    (`judgebench.backends.vllm_sampling`). All sampling parameters are explicit: nothing comes from the checkpoint's
    ``generation_config.json`` but its end tokens, unless a request's temperature is None.

    ``VLLM_NO_USAGE_STATS=1`` is set unless the environment says otherwise. The engine starts with the first request.

    Args:
        model: ``id`` is a folder or a hub name; ``options`` as in `VLLMOptions`.

    Raises:
        UserError: a wrong option; not a model; pickled weights; no such hub name; an adapter that must be merged first.
        MissingPackage: vllm is not installed.
    """

    Options = VLLMOptions
    provides = frozenset({"logprobs", "json_schema", "one_of"})

    def __init__(self, model: Model) -> None:
        self.model = model
        self.options = read_vllm_options(model)
        self._checkpoint = Checkpoint(model, self.options, weights=self.options.load_format != "dummy")
        self._adapter = read_adapter(self._checkpoint.name, self.options.adapter) if self.options.adapter else None
        require(("vllm",), "vllm")
        self._chat: Chat | None = None
        self._continuations: Continuations | None = None
        self._engine: Engine | None = None
        self._found: dict[str, Any] = {}
        self._ends: frozenset[int] = frozenset()
        self._answered = 0

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Reply]]:
        """Each request with its reply, as the engine completes them.

        Raises:
            BackendError: the engine cannot start: no GPU, too little memory, an unfit model. Or it has died: what it
                had completed has been given on, the rest is as if it had never been asked.
            UserError: ``chat_template=on`` without a template; an unknown engine argument.
        """
        yield from self._flight(requests, 1, self._send, self._land)

    def loglikelihood(self, requests: Iterable[ChoiceRequest]) -> Iterator[tuple[ChoiceRequest, ChoiceReply]]:
        """Each request with the log-probabilities of its choices, as the engine completes them.

        Beginnings that prompts share are computed once by the engine's own prefix cache; see
        `judgebench.backends.vllm_choices` for what is asked of it.

        Raises:
            BackendError: as `generate`.
            UserError: as `generate`.
        """
        yield from self._flight(requests, QUESTIONS, self._send_choices, self._land_choice)

    def _flight(
        self,
        requests: Iterable[Taken],
        share: int,
        send: Callable[[Engine, Sequence[Taken], dict[str, list[Sent]]], Iterable[Landed]],
        land: Callable[[list[Sent], Any], Iterable[Landed]],
    ) -> Iterator[Landed]:
        """What comes of requests, while at most ``max_in_flight`` are at the engine.

        Args:
            requests: taken only as far as there is room.
            share: of the room, what one request is reckoned to take.
            send: hands requests to the engine and notes them under its keys; gives what could not be asked.
            land: what comes of all that was sent under one key, and its output.
        """
        waiting, most = iter(requests), self.options.max_in_flight
        flying: dict[str, list[Sent]] = {}
        exhausted, count = False, 0
        engine: Engine | None = None
        with contextlib.ExitStack() as watch:
            try:
                while True:
                    filling = count <= most // 2
                    while filling and not exhausted:
                        taken = list(itertools.islice(waiting, min(AT_ONCE, max(1, (most - count) // share))))
                        exhausted = not taken
                        if taken:
                            if engine is None:
                                engine = self._load()
                                watch.enter_context(engine.watched())
                            yield from send(engine, taken, flying)
                            count = sum(map(len, flying.values()))
                        filling = most - count >= share
                    if not flying:
                        if exhausted:
                            return
                        continue
                    for key, output in self._step():
                        landed = flying.pop(key, None)
                        if landed is not None:
                            count -= len(landed)
                            yield from land(landed, output)
            finally:
                if self._engine is not None and flying:  # so that the next call begins with an idle engine
                    self._engine.forget(flying)

    def _send(
        self, engine: Engine, taken: Sequence[Request], flying: dict[str, list[Asked]]
    ) -> Iterator[tuple[Request, Reply]]:
        assert self._chat is not None
        asked: list[Asked] = []
        for request in taken:
            try:
                prompt, rendered = self._chat.prompt(request.messages)
            except TemplateRefused as error:
                yield request, _failed(f"model: the chat template refuses the messages: {error}")
                continue
            drawing = settle(request, self.options, self._checkpoint.generation, rendered.stop)
            if problem := unfit(prompt, drawing, self.options.max_input_tokens, engine.context):
                yield request, _failed(problem)
            else:
                asked.append(Asked(request=request, prompt=prompt, rendered=rendered, drawing=drawing))
        for group in together(asked):
            first = group[0]
            arguments = sampling_arguments(first.drawing, self._ends, len(group))
            try:
                key = engine.ask(first.prompt, arguments, held(first.request.sampling))
            except Refused as error:
                for one in group:
                    yield one.request, _failed(f"model: vllm refuses the request: {error}")
            else:
                flying[key] = group

    def _land(self, group: list[Asked], output: Any) -> Iterator[tuple[Request, Reply]]:
        written = sorted(output.outputs, key=lambda each: int(each.index))
        for one, each in zip(group, written, strict=True):
            self._answered += 1
            yield one.request, self._reply(one, each)

    def _send_choices(
        self, engine: Engine, taken: Sequence[ChoiceRequest], flying: dict[str, list[tuple[Pending, Question]]]
    ) -> Iterator[tuple[ChoiceRequest, ChoiceReply]]:
        assert self._chat is not None
        if self._continuations is None:
            self._continuations = Continuations(self._chat)
        asked: list[tuple[Pending, Question]] = []
        for request in taken:
            prepared = self._continuations.prepare(request)
            if isinstance(prepared, str):
                yield request, ChoiceReply(error=prepared, usage=Usage(requests=1))
            elif problem := unfit_choices(prepared, self.options.max_input_tokens, engine.context):
                yield request, ChoiceReply(error=problem, usage=Usage(requests=1))
            else:
                own = questions(prepared)
                pending = Pending(asked=prepared, waiting=len(own), sums=[0.0] * len(prepared.choices))
                asked += [(pending, question) for question in own]
        for pending, question in sorted(asked, key=lambda pair: pair[1].tokens):
            try:
                key = engine.ask(question.tokens, question.parameters())
            except Refused as error:
                pending.error = pending.error or f"model: vllm refuses the request: {error}"
                pending.waiting -= 1
                if not pending.waiting:
                    yield _compared(pending)
            else:
                flying[key] = [(pending, question)]

    def _land_choice(
        self, sent: list[tuple[Pending, Question]], output: Any
    ) -> Iterator[tuple[ChoiceRequest, ChoiceReply]]:
        [(pending, question)] = sent
        pending.take(question, output)
        if not pending.waiting:
            self._answered += 1
            yield _compared(pending)

    def prompt_tokens(self, messages: tuple[Message, ...]) -> PromptTokens:
        """The tokens that the model reads for a chat; loads the tokenizer but not the model."""
        return of_chat(self._load_chat(), messages)

    def describe(self) -> dict[str, Any]:
        """What changes an answer or explains it: the engine's version and settings, adapter, template, weights.

        Does not start the engine; loads the tokenizer. Once the engine has started, ``context`` and
        ``prefix_caching`` are its own.
        """
        chat = self._load_chat()
        options = self.options
        return {
            "backend": "vllm",
            **self._checkpoint.describe(),
            **chat.describe(),
            "vllm": version(),
            "transformers": importlib.metadata.version("transformers"),
            "torch": importlib.metadata.version("torch"),
            "dtype": self._checkpoint.dtype if options.dtype == "auto" else options.dtype,
            "engine": engine_arguments(options),
            "batch_invariant": batch_invariant(),
            "adapter": self._adapter.describe() if self._adapter else None,
            "max_in_flight": options.max_in_flight,
            "max_input_tokens": options.max_input_tokens,
            "context": options.max_model_len or self._checkpoint.context,
            "temperature": options.temperature,
            "top_p": options.top_p,
            "max_tokens": options.max_tokens,
            **self._found,
            "notes": [*chat.notes, *self._own_notes(), *(self._continuations.notes if self._continuations else ())],
        }

    def close(self) -> None:
        """Ends the engine and frees its memory; safe to call twice. A later call would start it again."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

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

    def _load(self) -> Engine:
        if self._engine is None:
            self._load_chat()
            arguments = engine_arguments(self.options)
            self._engine = Engine(self.model, self._checkpoint.folder, arguments, self._adapter)
            self._found = {"context": self._engine.context, "prefix_caching": self._engine.prefix_caching}
        return self._engine

    def _step(self) -> list[tuple[str, Any]]:
        assert self._engine is not None
        try:
            return self._engine.step()
        except EngineDied as error:
            self.close()
            raise BackendError(
                f"{self._checkpoint.name}: the vllm engine died after {self._answered} replies: {error}; "
                "what it had answered is kept, and the same command goes on from there"
            ) from error

    def _reply(self, asked: Asked, written: Any) -> Reply:
        assert self._chat is not None
        tokens = list(written.token_ids)
        usage = Usage(prompt_tokens=len(asked.prompt), completion_tokens=len(tokens), requests=1)
        if written.finish_reason not in ("stop", "length"):
            return Reply(finish="error", error=f"model: vllm ended with {written.finish_reason!r}", usage=usage)
        if tokens and tokens[-1] in self._ends:
            tokens.pop()
        found = noted(tokens, written.logprobs, asked.drawing.logprobs) if asked.drawing.logprobs else []
        text, stopped = cut(self._chat.words(asked.prompt, tokens), asked.drawing.stop)
        reasoning, text = self._chat.reasoning(text, asked.rendered)
        return Reply(
            text=text,
            finish="length" if written.finish_reason == "length" and not stopped else "stop",
            reasoning=reasoning,
            usage=usage,
            logprobs=token_logprobs(self._chat, tokens, found),
        )


def _compared(pending: Pending) -> tuple[ChoiceRequest, ChoiceReply]:
    asked = pending.asked
    usage = Usage(prompt_tokens=len(asked.prompt), requests=1)
    if pending.error:
        return asked.request, ChoiceReply(error=pending.error, usage=usage)
    return asked.request, ChoiceReply(choices=asked.scores(pending.sums), usage=usage)


def _failed(error: str) -> Reply:
    return Reply(finish="error", error=error, usage=Usage(requests=1))
