"""Replies from a function or a file of the user's own, instead of a model."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Self

import msgspec

from judgebench.backends.options import read_options
from judgebench.errors import FileError, UserError, did_you_mean
from judgebench.types import Model, Reply, Request

Script = Callable[[list[dict[str, str]]], "str | Reply"]
"""From the chat, messages as ``{"role": ..., "content": ...}``, to what is replied."""


class ScriptedOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The scripted backend takes no options."""


class ScriptedBackend:
    """A function from chat to reply, or a file that maps messages to replies.

    Args:
        model: ``id`` is one of

            - ``module:function``, the module being importable;
            - ``path/to/file.py:function``;
            - a ``.json`` file, an object from the chat's last message to its reply, or to a list of replies, one per
              sample; the key ``"*"`` answers every other message;
            - a ``.jsonl`` file, a line ``{"message": ..., "reply": ...}`` for each; repeated messages are samples.

    An exception in the function becomes a reply with ``error`` ``model: TYPE: words``; it is never raised.
    ``asked`` holds every request answered so far, in order.

    Raises:
        UserError: there is no such module, file or function, or the file cannot be read.
    """

    Options = ScriptedOptions
    provides = frozenset({"logprobs", "json_schema", "one_of", "entailment"})  # whatever the function makes of it

    def __init__(self, model: Model) -> None:
        read_options(model, ScriptedOptions)
        self.model = model
        self.asked: list[Request] = []
        self._sha256 = ""
        self._answer: Callable[[Request], str | Reply]
        if model.id.endswith((".json", ".jsonl")):
            path = Path(model.id)
            self._answer = _Table(path)
            self._sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            self._use(self._find())

    @classmethod
    def of(cls, function: Script, name: str = "scripted") -> Self:
        """A backend that replies with ``function``, for tests and notebooks."""
        made = cls.__new__(cls)
        where = f"{getattr(function, '__module__', '')}:{getattr(function, '__qualname__', repr(function))}"
        made.model = Model(name=name, backend="scripted", id=where)
        made.asked, made._sha256 = [], ""
        made._use(function)
        return made

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Reply]]:
        """Each request with its reply, one at a time and in the order asked."""
        for request in requests:
            self.asked.append(request)
            try:
                found = self._answer(request)
            except Exception as error:
                words = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(": ")
                found = Reply(finish="error", error=f"model: {words}")
            if isinstance(found, str):
                found = Reply(text=found)
            elif not isinstance(found, Reply):
                wrong = f"the script returned {type(found).__name__}, neither text nor a Reply"
                found = Reply(finish="error", error=f"model: {wrong}")
            if found.usage.requests == 0:
                found = msgspec.structs.replace(found, usage=msgspec.structs.replace(found.usage, requests=1))
            yield request, found

    def describe(self) -> dict[str, Any]:
        """Name of the script and, where it is a file, its sha256."""
        return {"backend": "scripted", "script": self.model.id, "sha256": self._sha256, "notes": []}

    def close(self) -> None:
        """Does nothing: nothing is held."""

    def _use(self, function: Script) -> None:
        def answer(request: Request) -> str | Reply:
            return function([{"role": message.role, "content": message.content} for message in request.messages])

        self._answer = answer

    def _find(self) -> Script:
        place, _, name = self.model.id.rpartition(":")
        if not place or not name:
            raise UserError(
                f"scripted/{self.model.id} names no script: module:function, file.py:function, FILE.json or FILE.jsonl"
            )
        module = self._load_file(Path(place)) if place.endswith(".py") else self._import(place)
        function = getattr(module, name, None)
        if not callable(function):
            names = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
            raise UserError(f"{place} has no function {name!r}: {did_you_mean(name, names)}")
        script: Script = function
        return script

    def _import(self, name: str) -> object:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name and (name == error.name or name.startswith(f"{error.name}.")):
                hint = f"for a file that is not installed, write {name.replace('.', '/')}.py:FUNCTION"
                raise UserError(f"scripted/{self.model.id}: no module is called {error.name!r}; {hint}") from None
            raise

    def _load_file(self, path: Path) -> object:
        if not path.is_file():
            raise UserError(f"scripted/{self.model.id}: there is no file {path}")
        self._sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        name = f"judgebench_script_{self._sha256[:16]}"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # dataclasses and pickle look their module up there
        try:
            spec.loader.exec_module(module)
        except SyntaxError as error:
            raise FileError(path, f"not Python: {error.msg}", line=error.lineno or 0) from None
        return module


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    message: str
    reply: str


class _Table:
    """Last message → replies, one per sample."""

    def __init__(self, path: Path) -> None:
        self._path, self._replies = path, _read_table(path)

    def __call__(self, request: Request) -> str | Reply:
        asked = request.messages[-1].content if request.messages else ""
        replies = self._replies.get(asked, self._replies.get("*", []))
        if request.sample < len(replies):
            return replies[request.sample]
        what = f"sample {request.sample} of this message" if replies else "this message"
        return Reply(finish="error", error=f"model: {self._path} has no reply for {what}: {asked[:80]!r}")


def _read_table(path: Path) -> dict[str, list[str]]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"scripted/{path}: {error.strerror}") from None
    table: dict[str, list[str]] = {}
    if path.suffix == ".jsonl":
        for number, line in enumerate(data.splitlines(), start=1):
            if line.strip():
                try:
                    read = msgspec.json.decode(line, type=_Line)
                except msgspec.DecodeError as error:
                    allowed = '{"message": TEXT, "reply": TEXT} is meant'
                    raise FileError(path, f"{error}; {allowed}", line=number) from None
                table.setdefault(read.message, []).append(read.reply)
        return table
    try:
        found = msgspec.json.decode(data, type=dict[str, str | list[str]])
    except msgspec.DecodeError as error:
        raise FileError(path, f"{error}; an object from message to reply, or to a list of replies, is meant") from None
    return {message: [reply] if isinstance(reply, str) else reply for message, reply in found.items()}
