"""A classifier of text pairs run by transformers: premise and claim in, the probabilities of its labels out."""

from __future__ import annotations

import importlib.metadata
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any

import msgspec

from judgebench.backends.chat_completions import one_line
from judgebench.backends.checkpoint import Checkpoint, CheckpointOptions, load_tokenizer, require
from judgebench.backends.hf import _quiet
from judgebench.backends.options import read_options
from judgebench.errors import BackendError, UserError
from judgebench.types import Model, Reply, Request, TokenLogprob, Usage

WINDOW = 32
"""Batches whose requests are taken together and sorted by length."""

OFFSET = ("roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "longformer", "mpnet")
"""Architectures that keep the first two of their positions for themselves."""


class ClassifierOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What ``--option NAME.key=value`` may set for a classifier."""

    device: str = "auto"
    """Where it runs: ``cpu``, ``cuda``, ``cuda:1`` ...; auto is the first GPU, else the CPU."""
    batch_size: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 16
    """Pairs in one batch."""
    revision: str = ""
    """Commit, tag or branch of a hub model."""


class ClassifierBackend:
    """A sequence classifier with two labels or more, such as one of natural language inference.

    A request is two messages of the user: the premise and the claim. Its reply is the most probable label; as its one
    token it holds the log-probabilities of all labels. A pair longer than the model's positions is ``context: ...``;
    nothing is cut. Weights are loaded by the first request.

    Args:
        model: ``id`` is a folder or a hub name; ``options`` as in `ClassifierOptions`.

    Raises:
        UserError: a wrong option; not a model; pickled weights; fewer than two labels.
        MissingPackage: torch or transformers is not installed.
    """

    Options = ClassifierOptions
    provides = frozenset({"entailment"})

    def __init__(self, model: Model) -> None:
        self.model = model
        self.options = read_options(model, ClassifierOptions)
        self._checkpoint = Checkpoint(model, CheckpointOptions(revision=self.options.revision), causal=False)
        require(("torch", "transformers"), "hf")
        config = self._checkpoint.config
        kinds = config.get("architectures") or []
        if kinds and not any(str(kind).endswith("ForSequenceClassification") for kind in kinds):
            raise UserError(f"{self._checkpoint.name}: {kinds[0]} is no classifier: one of sequences is meant")
        if len(config.get("id2label") or {0: "", 1: ""}) < 2:
            raise UserError(
                f"{self._checkpoint.name}: it has one output; a classifier with two labels or more is meant"
            )
        self._tokenizer: Any = None
        self._loaded: Any = None
        self._device = ""

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Reply]]:
        """Each request with its reply, batch by batch.

        Raises:
            BackendError: the model or its tokenizer cannot be loaded.
        """
        waiting = iter(requests)
        while window := list(itertools.islice(waiting, WINDOW * self.options.batch_size)):
            self._load()
            fit: list[tuple[Request, list[int]]] = []
            for request in window:
                problem, ids = self._prepare(request)
                if problem:
                    yield request, Reply(finish="error", error=problem, usage=Usage(requests=1))
                else:
                    fit.append((request, ids))
            fit.sort(key=lambda one: -len(one[1]))
            for begin in range(0, len(fit), self.options.batch_size):
                yield from self._classified(fit[begin : begin + self.options.batch_size])

    def describe(self) -> dict[str, Any]:
        """What changes an answer or explains it: versions, labels, device, weights."""
        return {
            "backend": "classifier",
            **self._checkpoint.describe(),
            "transformers": importlib.metadata.version("transformers"),
            "torch": importlib.metadata.version("torch"),
            "labels": dict(self._checkpoint.config.get("id2label") or {}),
            "device": self.options.device,
            "batch_size": self.options.batch_size,
            "notes": [],
        }

    def close(self) -> None:
        """Frees the model's memory; safe to call twice. A later call would load it again."""
        self._loaded = None

    def _load(self) -> None:
        if self._loaded is not None:
            return
        import torch
        from transformers import AutoModelForSequenceClassification

        wanted = self.options.device
        name = ("cuda" if torch.cuda.is_available() else "cpu") if wanted == "auto" else wanted
        try:
            torch.empty(1, device=name)
        except (RuntimeError, AssertionError) as error:
            who = f"model {self.model.name!r} (classifier)"
            raise UserError(f"{who}: device={wanted!r} cannot be used: {one_line(str(error), 160)}") from error
        folder = str(self._checkpoint.folder)
        try:
            with _quiet():
                self._tokenizer = load_tokenizer(self._checkpoint, trust_remote_code=False)
                model, report = AutoModelForSequenceClassification.from_pretrained(
                    folder, use_safetensors=True, local_files_only=True, output_loading_info=True
                )
        except BackendError:
            raise
        except Exception as error:  # whatever an unfit checkpoint makes transformers raise
            reason = f"{type(error).__name__}: {one_line(str(error))}"
            raise BackendError(f"{self._checkpoint.name}: the model cannot be loaded: {reason}") from error
        if report["missing_keys"] or report["mismatched_keys"]:
            lacking = sorted(report["missing_keys"]) + sorted(str(key[0]) for key in report["mismatched_keys"])
            raise BackendError(f"{self._checkpoint.name}: the weights do not fit the config: {lacking[0]} is missing")
        self._loaded, self._device = model.to(name).float().eval(), name

    @property
    def _longest(self) -> int | None:
        """Tokens of a pair at most."""
        told = getattr(self._tokenizer, "model_max_length", None)
        bounds = [told] if isinstance(told, int) and told < 1_000_000 else []
        context = self._checkpoint.context
        if context is not None:
            bounds.append(context - 2 if self._checkpoint.config.get("model_type") in OFFSET else context)
        return min(bounds) if bounds else None

    def _prepare(self, request: Request) -> tuple[str, list[int]]:
        """Why a request cannot be answered, or its tokens."""
        if [message.role for message in request.messages] != ["user", "user"]:
            return "model: a classifier takes two messages of the user, the premise and the claim", []
        premise, claim = (message.content for message in request.messages)
        ids = list(self._tokenizer(premise, claim, truncation=False, verbose=False)["input_ids"])
        if self._longest is not None and len(ids) > self._longest:
            return f"context: premise and claim have {len(ids)} tokens, more than the model's {self._longest}", []
        return "", ids

    def _classified(self, batch: Sequence[tuple[Request, list[int]]]) -> Iterator[tuple[Request, Reply]]:
        import torch

        pairs = [tuple(message.content for message in request.messages) for request, _ in batch]
        padding = self._tokenizer.pad_token is not None
        logits = []
        for some in [pairs] if padding else [[pair] for pair in pairs]:
            inputs = self._tokenizer(
                [one for one, _ in some], [two for _, two in some], padding=padding, truncation=False,
                return_tensors="pt", verbose=False,
            )  # fmt: skip
            with torch.inference_mode():
                logits.append(self._loaded(**inputs.to(self._device)).logits)
        labels = self._loaded.config.id2label
        for (request, ids), row in zip(batch, torch.cat(logits).log_softmax(-1).cpu().tolist(), strict=True):
            top = sorted(((str(labels[at]), value) for at, value in enumerate(row)), key=lambda each: -each[1])
            yield (
                request,
                Reply(
                    text=top[0][0],
                    usage=Usage(prompt_tokens=len(ids), requests=1),
                    logprobs=(TokenLogprob(token=top[0][0], logprob=top[0][1], top=tuple(top)),),
                ),
            )
