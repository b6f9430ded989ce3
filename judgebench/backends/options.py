"""A model's options as its backend's own struct, with errors that name the model and the option."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from judgebench.backends.secret_values import find_secret
from judgebench.errors import UserError, did_you_mean
from judgebench.types import Model

OptionsType = TypeVar("OptionsType", bound=msgspec.Struct)


def read_options(model: Model, type: type[OptionsType]) -> OptionsType:
    """The options of ``model`` as ``type``; texts from a command line become the field's type.

    ``"true"``, ``"0.5"`` and ``"null"`` are read where a truth value, a number or nothing is due; ``"{...}"`` and
    ``"[...]"`` are read as JSON where a mapping or a list is due.

    Args:
        model: the model, its options as the user gave them.
        type: struct of all options that the backend takes, each with a default.

    Raises:
        UserError: an option that the backend does not have, or a value of the wrong type or range.
    """
    fields = {field.name: field for field in msgspec.structs.fields(type)}
    read: dict[str, Any] = {}
    for name, value in model.options.items():
        if name not in fields:
            hint = did_you_mean(name, fields) if fields else f"the backend {model.backend!r} takes no options"
            raise UserError(f"model {model.name!r} ({model.backend}): unknown option {name!r}: {hint}")
        read[name] = _convert(model, name, value, fields[name].type)
    return type(**read)


def _convert(model: Model, name: str, value: Any, wanted: Any) -> Any:
    candidates = [value]
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            candidates.append(msgspec.json.decode(value))
        except msgspec.DecodeError as error:
            candidates.append(error)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        candidates.append(str(value))
    problem = ""
    for candidate in candidates:
        if isinstance(candidate, msgspec.DecodeError):
            problem = f"not JSON: {candidate}"
            continue
        try:
            return msgspec.convert(candidate, wanted, strict=False)
        except msgspec.ValidationError as error:
            problem = problem or str(error)
    if find_secret(value):
        raise UserError(
            f"model {model.name!r} ({model.backend}): option {name!r}: {problem}; what it holds looks like a key"
        )
    found = repr(value) if len(repr(value)) <= 80 else repr(value)[:77] + "..."
    raise UserError(f"model {model.name!r} ({model.backend}): option {name!r}: {problem}; found {found}")
