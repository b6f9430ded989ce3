"""Who is named on the command line: models and judges as ``[name=]backend/id``, and whose each option is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from judgebench import plugins
from judgebench.errors import UserError
from judgebench.types import Model

LOCAL = "hf"
"""The backend that a folder is most likely meant for."""


def parse_options(texts: list[str]) -> dict[str, Any]:
    """``NAME.key`` → value out of ``NAME.key=value`` texts; values are text here, the backend types them.

    Raises:
        UserError: a text has no such form.
    """
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or "." not in key or key.startswith(".") or key.endswith("."):
            raise UserError(f"--option {text!r} is not NAME.KEY=VALUE")
        found[key] = value
    return found


def parse_model(text: str) -> Model:
    """A model out of ``[name=]backend/id``; without a name, the last part of the id.

    >>> parse_model("a=hf/some/folder").name, parse_model("openai/org/big-model").name
    ('a', 'big-model')

    Raises:
        UserError: it has no backend, no id, or an empty name.
    """
    name, equals, rest = text.partition("=")
    if not equals or "/" in name:
        name, rest = "", text
    elif not name:
        raise UserError(f"--model {text!r}: the name before '=' is empty")
    backend, slash, identifier = rest.partition("/")
    if backend != "baseline" and backend not in plugins.names("backends") and Path(rest).is_dir():
        named = f"{name}={LOCAL}/{rest}" if name else f"{LOCAL}/{rest}"
        raise UserError(f"{text!r} names a folder and no backend: did you mean {named}?")
    if not slash or not backend or not identifier:
        raise UserError(f"{text!r} is not [NAME=]BACKEND/ID, such as hf/path/to/model or openai/model-name")
    if backend == "baseline":
        if name:
            raise UserError(f"{text!r}: a baseline keeps its own name, {rest}")
        return Model(name=rest, backend=backend, id=identifier)
    if not name:
        last = identifier.rstrip("/").rsplit("/", 1)[-1]
        for ending in (".gz", ".jsonl", ".json", ".gguf"):
            last = last.removesuffix(ending)
        name = last
    if set(name) & set("@|") or name.startswith(".") or not name.isprintable():
        raise UserError(f"model name {name!r}: '@', '|' and a leading dot are not allowed; give another: NAME={rest}")
    return Model(name=name, backend=backend, id=identifier)


def parse_models(texts: tuple[str, ...], options: Mapping[str, Any]) -> list[Model]:
    """Models with their options: those of the backend first, those of the model's own name over them.

    Raises:
        UserError: two models share a name.
    """
    models: list[Model] = []
    for text in texts:
        model = parse_model(text)
        same = [other for other in models if other.name == model.name]
        if same:
            raise UserError(
                f"two models are called {model.name!r} ({same[0].backend}/{same[0].id}, {model.backend}/{model.id}): "
                f"name one, as in OTHER={model.backend}/{model.id}"
            )
        own: dict[str, Any] = {}
        for owner in (model.backend, model.name):
            own.update({owner_of(key)[1]: value for key, value in options.items() if owner_of(key)[0] == owner})
        models.append(msgspec.structs.replace(model, options=own))
    return models


def check_owners(options: Mapping[str, Any], models: list[Model], rubrics: Iterable[str] = ()) -> None:
    """Nothing, when every option belongs to a model, a judge, a backend or a rubric in use.

    Raises:
        UserError: one belongs to none.
    """
    owners = {name for model in models for name in (model.name, model.backend) if model.backend != "baseline"}
    owners |= set(rubrics)
    for key in options:
        if owner_of(key)[0] not in owners:
            raise UserError(
                f"--option {key}: no model, judge or backend of that name is used here ({', '.join(sorted(owners))})"
            )


def owner_of(key: str) -> tuple[str, str]:
    """Whose option it is, and which; the last dot parts them, as names may hold dots and options hold none."""
    owner, _, option = key.rpartition(".")
    return owner, option
