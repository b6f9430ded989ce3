"""Opening the backend behind a model, with the shared flags it takes, and what of it decides an answer."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import msgspec

from judgebench import plugins
from judgebench.backends.batches import Batches
from judgebench.backends.cache import CachedBackend, cached
from judgebench.backends.deciding import deciding
from judgebench.backends.replicas import Fleet, replicated
from judgebench.backends.responses import ResponseCache
from judgebench.backends.scripted import ScriptedBackend
from judgebench.errors import UserError
from judgebench.runs import Run
from judgebench.sources import cache_folder
from judgebench.stages.budget import Budget, MeteredBackend, limits, metered
from judgebench.stages.prices import FREE
from judgebench.stages.progress import say
from judgebench.stages.settings import Settings
from judgebench.types import Backend, Model

WITHOUT_MODEL = ("baseline", "judge")
"""What stands for a backend where a judge needs no model: our baselines, and judges of other packages."""

THROUGHPUT = frozenset(
    {"max_concurrency", "batch_size", "batch_positions", "timeout", "max_retries", "device", "tensor_parallel_size"}
    | {"gpu_memory_utilization", "base_url", "api_key_env", "deadline", "batch", "batch_poll", "batch_window"}
)
"""Options that change how fast or from where an answer comes, not which answer."""

DECIDES = ("weights", "commit", "generation_config", "templated", "template_sha256", "dtype", "sha256", "adapter")
"""Keys of a backend's description that decide its answers and are known only once it is loaded."""

Role = Literal["model", "judge"]

Ready = Mapping[tuple[Role, str], Backend]
"""(role, name) → backend made by the caller, used instead of a new one and left open."""


@contextmanager
def opened(
    role: Role, model: Model, settings: Settings, ready: Ready, *, budget: Budget | None = None,
    run: Run | None = None, quiet: bool = False,
) -> Iterator[tuple[Backend, dict[str, Any]]]:  # fmt: skip
    """A backend and its description; its notes are said aloud, and it is closed at the end.

    What it is asked counts against the budget, and its replies are kept in the response cache and found there, where
    all that decides them is known (`judgebench.backends.deciding`); backends of the caller's are never kept.

    Args:
        role: whether it answers or judges.
        model: whose backend it is.
        settings: shared flags are passed on where the backend has an option of that name that the model does not set.
        ready: backends already open.
        budget: what may be spent; the settings' limits alone, where none is given.
        run: whose folder holds what outlives the command (a provider's batches); None where there is no run.
        quiet: say nothing.

    Raises:
        UserError: the backend is unknown, not installed, or refuses an option; the response cache is damaged.
    """
    budget = budget or limits(settings)
    if (role, model.name) in ready:
        backend = ready[role, model.name]
        known = model if isinstance(backend, ScriptedBackend) else msgspec.structs.replace(model, backend="open")
        yield metered(backend, known, budget) if budget.limited else backend, _described(backend, model, quiet)
        return
    fresh = _made(model, settings)
    try:
        batches = _batches(role, fresh, model, run)
        description = _described(fresh, model, quiet)
        counted = metered(fresh, model, budget)
        cache, parts = _cache(model, description, settings)
        counted.not_kept = parts if isinstance(parts, str) else ""
        if cache is None:
            yield counted, description
            if batches is not None:
                batches.settle()
            return
        try:
            yield counted if isinstance(parts, str) else cached(counted, cache, model, parts), description
            if batches is not None:
                batches.settle()
            elif speed := counted.speed():
                cache.keep_speed(speed_key(model), speed)
        except BaseException:
            with suppress(UserError):  # what ended the work is what is said
                cache.close()
            raise
        cache.close()
    finally:
        fresh.close()


def _batches(role: Role, backend: Backend, model: Model, run: Run | None) -> Batches | None:
    """What asks a provider by batches, told where to note them; None where calls are made.

    Raises:
        UserError: there is no run in which they could be noted.
    """
    batches = getattr(backend, "batches", None)
    if not isinstance(batches, Batches):
        return None
    if run is None:
        raise UserError(f"model {model.name!r}: option 'batch' needs a run, in which batches are noted")
    batches.keep_state(run.batches_file(role, model.name))
    return batches


def _cache(
    model: Model, description: Mapping[str, Any], settings: Settings
) -> tuple[ResponseCache | None, dict[str, Any] | str]:
    """The response cache, and what of the model decides a reply, or why it is not known."""
    if settings.no_cache:
        return None, "--no-cache"
    if model.backend in FREE:
        return None, ""
    return ResponseCache(responses_file()), deciding(model, description)


def responses_file() -> Path:
    """Where replies are kept across runs."""
    return cache_folder() / "responses.sqlite"


def speed_key(model: Model) -> str:
    """What a measured speed is kept under: backend, model and where it stands."""
    usual = os.environ.get("OPENAI_BASE_URL", "") if model.backend == "openai" else ""
    place = model.options.get("base_url") or usual
    return " ".join(map(str, (model.backend, model.id, place)))


def made(model: Model, settings: Settings) -> Backend:
    """A new backend of a model in this process, with the shared flags it takes; nothing is asked.

    Raises:
        UserError: the backend is unknown, not installed, or refuses an option.
    """
    return _made(model, alone(settings))


def alone(settings: Settings) -> Settings:
    """The settings without replicas, for what is only looked at: none is started and no cluster is asked."""
    return msgspec.structs.replace(settings, executor="local", replicas=1)


def try_out(role: Role, models: Iterable[Model], settings: Settings, ready: Ready) -> None:
    """Nothing, when every model's backend can be made: options, addresses and files are looked at, nobody is asked.

    Raises:
        UserError: one cannot.
    """
    for model in models:
        if model.backend not in WITHOUT_MODEL and (role, model.name) not in ready:
            _made(model, settings).close()


def _made(model: Model, settings: Settings) -> Backend:
    kind = plugins.load("backends", model.backend)
    known = set(kind.Options.__struct_fields__)
    shared = {
        name: getattr(settings, name)
        for name in ("max_concurrency", "batch_size", "chat_template")
        if name in known and name not in model.options
    }
    model = msgspec.structs.replace(model, options={**shared, **model.options})
    if settings.executor == "ray":
        if "batch" in known and str(model.options.get("batch", "")).lower() in ("true", "1"):
            raise UserError(f"model {model.name!r}: option 'batch' is not for --executor ray")
        return replicated(model, Fleet(replicas=settings.replicas, cpus=settings.replica_cpus,
                                       gpus=settings.replica_gpus, decides=DECIDES))  # fmt: skip
    made: Backend = kind(model)
    return made


def closing_words(backend: Backend, model: Model, before: Mapping[str, Any], *, quiet: bool = False) -> dict[str, Any]:
    """The description after the work; what a server taught on the way (a parameter dropped, say) is said aloud."""
    description = dict(backend.describe())
    for note in description.get("notes", ()):
        if note not in before.get("notes", ()):
            say(f"note: {model.name}: {note}", quiet=quiet)
    if isinstance(backend, CachedBackend):
        description["cache"] = backend.counts()
        if backend.hits:
            calls = f"{backend.asked} calls were made"
            say(f"note: {model.name}: {backend.hits} replies came from the response cache, {calls}", quiet=quiet)
    elif isinstance(backend, MeteredBackend) and backend.not_kept:
        description["cache"] = {"off": backend.not_kept}
    return description


def _described(backend: Backend, model: Model, quiet: bool) -> dict[str, Any]:
    description = dict(backend.describe())
    for note in description.get("notes", ()):
        say(f"note: {model.name}: {note}", quiet=quiet)
    return description


def identity(model: Model, settings: Settings) -> dict[str, Any]:
    """The parts of a model that decide its answers, known without loading it."""
    options = {key: value for key, value in model.options.items() if key not in THROUGHPUT}
    local = {"chat_template": settings.chat_template} if model.backend in ("hf", "vllm") else {}
    return {"model": f"{model.backend}/{model.id}", "options": {**local, **options}}


def loaded_identity(description: Mapping[str, Any]) -> dict[str, Any]:
    """The parts that decide its answers and are known only once it is loaded."""
    return {key: description[key] for key in DECIDES if description.get(key) is not None}
