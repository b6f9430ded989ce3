"""How a judge draws by a rubric, and whether a backend can do what the judge's requests need."""

from __future__ import annotations

import msgspec

from judgebench.errors import UserError
from judgebench.rubrics import Rubric
from judgebench.stages.settings import Settings
from judgebench.types import Judge, Model, Sampling

ABLE = {"logprobs": ("openai", "hf", "vllm", "scripted"), "json_schema": ("openai", "vllm", "scripted"),
        "one_of": ("vllm", "scripted"), "loglikelihood": ("hf", "vllm"), "entailment": ("classifier",)}  # fmt: skip
"""What a judge's requests may need → the built-in backends that give it."""


def drawn(rubric: Rubric, settings: Settings) -> tuple[int, Sampling]:
    """How many verdicts a judge gives on each matchup by a rubric, and how it draws: flags over the rubric's own."""
    own = rubric.sampling
    warmth = settings.judge_temperature
    if isinstance(warmth, msgspec.UnsetType):
        warmth = 0.0 if own.temperature is None else own.temperature
    most = settings.judge_max_tokens or own.max_tokens or 2048
    return settings.judge_samples or own.samples or 1, Sampling(temperature=warmth, max_tokens=most)


def refuse_unable(maker: Judge, model: Model, backend: object) -> None:
    """Nothing, when the backend (or its class) can do what the judge's requests need.

    Raises:
        UserError: it cannot: log-probabilities, or replies held to a form.
    """
    needs: frozenset[str] = getattr(maker, "needs", frozenset())
    compares = {"loglikelihood"} if hasattr(backend, "loglikelihood") else set()
    given = getattr(backend, "provides", frozenset()) | compares
    for need in sorted(needs - given):
        able = ABLE[need]
        what = {"logprobs": "log-probabilities of replies", "json_schema": "replies held to a JSON schema",
                "loglikelihood": "log-probabilities of a given text",
                "entailment": "labels of a premise and a claim"}  # fmt: skip
        rubric = maker.rubric.partition("@")[0]
        raise UserError(
            f"rubric {rubric} needs {what.get(need, 'replies held to a choice of texts')}, which the backend "
            f"{model.backend!r} of judge {model.name!r} does not give; those that do: {', '.join(able)}"
        )
