"""What the viewer shows of runs on disk: read on from where a file ended last, also while a run is being written."""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from judgebench.errors import UserError
from judgebench.files import plain_name
from judgebench.runs import Run, read_manifest, sharing
from judgebench.stages.labelling import doubt
from judgebench.types import Answer, Item, Verdict
from judgebench.web.following import Followed

SHOW = ("all", "disagree", "unscored", "people", "failed")
"""Which items a page of items may be narrowed to."""
MOST_HELD = 3
"""Runs whose records are held at a time; of the others only how many there are is known."""

ItemKey = tuple[str, str]
"""(suite, item)."""


class Progress(NamedTuple):
    """How far a run is."""

    name: str
    """Its folder."""
    models: str
    """Who answers, or what is wrong with the folder."""
    answers: int
    """Answers on disk."""
    planned: int
    """Answers planned."""
    verdicts: int
    """Verdicts on disk, people's and exact ones included."""
    judged: int
    """... of judges."""
    to_judge: int
    """Verdicts of judges that were planned; 0 where the run does not say, as of imported ones."""
    writers: tuple[int, ...]
    """Processes that write it now."""
    broken: tuple[str, ...] = ()
    """Lines that could not be read, each with its file, number and why; the first ones."""
    unread: int = 0
    """How many lines could not be read."""


class Row(NamedTuple):
    """One item with what is said about it."""

    suite: str
    """Its suite."""
    item: Item
    """The question; one without turns where the run holds answers or verdicts and no question."""
    answers: tuple[Answer, ...]
    """All answers to it."""
    verdicts: tuple[Verdict, ...]
    """All verdicts on them."""
    doubt: float
    """The largest spread of verdicts on one pair or answer along one dimension, in [0, 1]."""
    flags: tuple[str, ...]
    """Those of ``SHOW`` that hold."""
    judges: frozenset[str]
    """Whose verdicts there are."""


class _AnswerKey(msgspec.Struct, frozen=True):
    suite: str
    item: str
    model: str
    sample: int = 0


class _VerdictKey(msgspec.Struct, frozen=True):
    suite: str
    item: str
    judge: str
    shown: tuple[tuple[str, int], ...]
    turn: int = 1
    rubric: str = ""
    dimension: str = "overall"
    sample: int = 0


class _Counted:
    """How many different keys a file holds, without what it says."""

    def __init__(self, path: Path, kind: type[_AnswerKey] | type[_VerdictKey]) -> None:
        self.followed: Followed[Any] = Followed(path, kind)
        self._keys: set[int] = set()

    def count(self) -> int:
        """How many there are now."""
        found = self.followed.look()
        if found.anew:
            self._keys.clear()
        self._keys.update(map(hash, found.records))
        return len(self._keys)


class _Held:
    """The records of one run, by item; a look reads only what was appended."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self._files: dict[Path, Followed[Any]] = {}
        self._items: dict[str, dict[str, Item]] = {}
        self._answers: dict[ItemKey, dict[Any, Answer]] = defaultdict(dict)
        self._verdicts: dict[ItemKey, dict[Any, Verdict]] = defaultdict(dict)
        self._shared: dict[Any, Any] = {}
        self.rows: dict[ItemKey, Row] = {}
        self.order: list[Row] = []

    def refresh(self) -> None:
        """Reads what is new; from the beginning where a file was replaced.

        Raises:
            UserError: the manifest is damaged.
        """
        run = Run(self.path)
        changed: set[ItemKey] = set()
        for suite in run.manifest["suites"]:
            for item in self._look(run.items_file(suite), Item).records:
                self._items.setdefault(suite, {})[item.id] = item
                changed.add((suite, item.id))
        files: dict[Path, type[Answer] | type[Verdict]] = {
            **dict.fromkeys(sorted((self.path / "answers").glob("*.jsonl")), Answer),
            **dict.fromkeys(sorted((self.path / "verdicts").glob("*.jsonl")), Verdict),
        }
        gone = [path for path in self._files if path.parent.name != "items" and path not in files]
        looks = {path: self._look(path, kind) for path, kind in files.items()}
        if gone or any(look.anew for look in looks.values()):
            self._forget()
            self.refresh()
            return
        for path, kind in files.items():
            if kind is Answer:
                for answer in looks[path].records:
                    self._answers[answer.suite, answer.item][answer.key] = answer
                    changed.add((answer.suite, answer.item))
            else:
                for verdict in looks[path].records:
                    self._verdicts[verdict.suite, verdict.item][verdict.key] = verdict
                    changed.add((verdict.suite, verdict.item))
        for key in changed:
            self.rows[key] = self._row(key)
        if changed:
            known = [(suite, item) for suite in run.manifest["suites"] for item in self._items.get(suite, ())]
            held = set(known)
            every = [*known, *(key for key in self.rows if key not in held)]
            self.order = sorted((self.rows[key] for key in every), key=lambda row: -row.doubt)

    def _look(self, path: Path, kind: type[Any]) -> Any:
        if path not in self._files:
            shared = partial(sharing, shared=self._shared)
            self._files[path] = Followed(path, kind, shared) if kind is Verdict else Followed(path, kind)
        return self._files[path].look()

    def _row(self, key: ItemKey) -> Row:
        suite, name = key
        item = self._items.get(suite, {}).get(name) or Item(id=name, turns=())
        answers, verdicts = tuple(self._answers[key].values()), tuple(self._verdicts[key].values())
        spread = _doubt(verdicts)
        judged = [verdict for verdict in verdicts if not verdict.judge.startswith("exact@")]
        judges = frozenset(verdict.judge for verdict in verdicts)
        holds = {
            "disagree": spread > 0,
            "unscored": any(not verdict.scores for verdict in judged),
            "people": any(judge.startswith("human@") for judge in judges),
            "failed": any(answer.error for answer in answers),
        }
        flags = tuple(flag for flag, yes in holds.items() if yes)
        return Row(suite, item, answers, verdicts, spread, flags, judges)

    def broken(self) -> tuple[tuple[str, ...], int]:
        """Lines that could not be read, and how many."""
        told = [line for followed in self._files.values() for line in followed.broken]
        return tuple(told), sum(followed.unread for followed in self._files.values())


class Shelf:
    """The runs of a folder, or one run; safe for several threads.

    Args:
        folder: of runs, or a run itself.

    Raises:
        UserError: there is no such folder.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise UserError(f"no folder {folder}: 'judgebench run' makes runs, by default in results/")
        self._only = folder.resolve() if (folder / "manifest.json").is_file() else None
        self._folder = folder
        self._lock = threading.Lock()
        self._held: dict[Path, _Held] = {}
        self._counted: dict[Path, _Counted] = {}

    def paths(self) -> dict[str, Path]:
        """Name → folder of each run, the last one written first."""
        found = [self._only] if self._only else [path.parent for path in self._folder.glob("*/manifest.json")]
        times = {path: _written(path) for path in found}
        return {_name(path): path for path in sorted(times, key=lambda path: -times[path])}

    def progress(self, name: str) -> Progress:
        """How far a run is."""
        path = self.paths()[name]
        try:
            manifest = read_manifest(path)
            planned = sum(manifest["planned"].values())
            to_judge = sum(_numbers(manifest["plans"]))
        except (UserError, TypeError) as error:
            why = str(error) if isinstance(error, UserError) else "manifest.json is damaged: counts that are no numbers"
            return Progress(name, why, 0, 0, 0, 0, 0, ())
        with self._lock:
            answers = sum(self._count(file, _AnswerKey) for file in (path / "answers").glob("*.jsonl"))
            counts = {file: self._count(file, _VerdictKey) for file in (path / "verdicts").glob("*.jsonl")}
            held = self._held.get(path)
        other = ("exact@", "human@")
        judged = sum(count for file, count in counts.items() if not plain_name(file.stem).startswith(other))
        broken, unread = held.broken() if held else ((), 0)
        return Progress(name, ", ".join(map(str, manifest["models"])), answers, planned, sum(counts.values()), judged,
                        to_judge, tuple(_writers(path)), broken, unread)  # fmt: skip

    def _count(self, file: Path, kind: type[_AnswerKey] | type[_VerdictKey]) -> int:
        return self._counted.setdefault(file, _Counted(file, kind)).count()

    def rows(self, name: str) -> list[Row]:
        """All items of a run: those on which verdicts disagree first, then in the order of the suites.

        Raises:
            UserError: the run is damaged.
        """
        return self._refreshed(name).order

    def row(self, name: str, suite: str, item: str) -> Row | None:
        """One item of a run.

        Raises:
            UserError: the run is damaged.
        """
        return self._refreshed(name).rows.get((suite, item))

    def _refreshed(self, name: str) -> _Held:
        path = self.paths()[name]
        with self._lock:
            held = self._held.pop(path, None) or _Held(path)
            self._held[path] = held
            for old in list(self._held)[:-MOST_HELD]:
                del self._held[old]
        with held.lock:
            held.refresh()
        return held


def _name(path: Path) -> str:
    """The folder's name as text that a page can hold, whatever bytes it is made of."""
    return os.fsencode(path.name).decode("utf-8", "backslashreplace")


def _written(path: Path) -> float:
    """When anything of a run was written last; 0 where it has just gone."""
    found = 0.0
    for file in (path / "manifest.json", *path.glob("answers/*.jsonl"), *path.glob("verdicts/*.jsonl")):
        try:
            found = max(found, file.stat().st_mtime)
        except OSError:
            continue
    return found


def _numbers(nested: Any) -> Iterator[int]:
    if isinstance(nested, dict):
        for value in nested.values():
            yield from _numbers(value)
    elif isinstance(nested, int):
        yield nested


def _doubt(verdicts: Iterable[Verdict]) -> float:
    units: dict[object, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        if not verdict.judge.startswith("exact@"):
            units[verdict.turn, verdict.dimension, verdict.scale, tuple(sorted(verdict.shown))].append(verdict)
    return max((doubt(each) for each in units.values()), default=0.0)


def narrowed(rows: Iterable[Row], words: str = "", suite: str = "", judge: str = "", show: str = "all") -> list[Row]:
    """The items that hold the words (in question, answer or reply, in any case) and the rest that is asked for."""
    wanted = words.casefold().strip()
    found = []
    for row in rows:
        if suite and row.suite != suite:
            continue
        if judge and judge not in row.judges:
            continue
        if show in SHOW[1:] and show not in row.flags:
            continue
        if wanted and not any(wanted in text.casefold() for text in _texts(row)):
            continue
        found.append(row)
    return found


def _texts(row: Row) -> Iterator[str]:
    yield row.item.id
    yield from row.item.turns
    for answer in row.answers:
        yield from answer.turns
    for verdict in row.verdicts:
        yield verdict.reply
        yield verdict.error


def _writers(path: Path) -> Iterator[int]:
    """Live processes that hold a journal of the run."""
    for lock in sorted(path.glob("*/.*.lock")):
        try:
            pid = int(lock.read_text())
            os.kill(pid, 0)
        except PermissionError:
            yield pid
        except (OSError, ValueError):
            continue
        else:
            yield pid
