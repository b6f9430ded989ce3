"""Candidate and judge on one GPU: an engine is given back before the next one starts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from judgebench import plugins
from judgebench.cli import main
from judgebench.errors import BackendError
from judgebench.types import Model, Reply, Request

SUITE = 'name: talk\nlicense: Apache-2.0\nitems:\n  - {id: "1", turns: [Hello]}\n  - {id: "2", turns: [Bye]}\n'


class Engine:
    """A backend that starts on its first request and holds the only GPU until it is closed."""

    class Options(msgspec.Struct, forbid_unknown_fields=True):
        """It takes no options."""

    provides: ClassVar[frozenset[str]] = frozenset()
    running: ClassVar[list[str]] = []
    history: ClassVar[list[str]] = []
    fails: ClassVar[str] = ""

    def __init__(self, model: Model) -> None:
        self.name = model.name

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Reply]]:
        for request in requests:
            if self.name not in self.running:
                assert not self.running, f"{self.running} still hold the GPU"
                self.running.append(self.name)
                self.history.append(self.name)
            if self.fails == self.name:
                raise BackendError("the engine died")
            yield request, Reply(text="[[A]]")

    def describe(self) -> dict[str, Any]:
        return {"notes": []}

    def close(self) -> None:
        if self.name in self.running:
            self.running.remove(self.name)


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setitem(plugins.BUILT_IN["backends"], "engine", f"{__name__}:Engine")
    monkeypatch.setattr(Engine, "running", [])
    monkeypatch.setattr(Engine, "history", [])
    (tmp_path / "talk.yaml").write_text(SUITE, encoding="utf-8")
    return ["run", str(tmp_path / "r"), "--suite", str(tmp_path / "talk.yaml"), "--model", "a=engine/x", "--model",
            "b=engine/y", "--judge", "j=engine/z", "--rubric", "pairwise-mtbench", "--quiet"]  # fmt: skip


def test_each_engine_of_a_run_is_given_back_before_the_next_one_starts(words: list[str]) -> None:
    assert main(words) == 0
    assert Engine.history == ["a", "b", "j"]
    assert not Engine.running


def test_an_engine_that_dies_or_is_stopped_by_a_limit_gives_the_gpu_back_too(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Engine, "fails", "b")
    with pytest.raises(BackendError, match="died"):
        main(words)
    assert not Engine.running
    monkeypatch.setattr(Engine, "fails", "")
    assert main(words) == 0
    assert Engine.history == ["a", "b", "b", "j"]
