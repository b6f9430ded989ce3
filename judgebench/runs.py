"""The run folder: manifest, append-only records, resume. Everything a run knows is here; nothing here calls a model.

Layout (docs/architecture.md):

    manifest.json  config.yaml
    items/SUITE.jsonl               the questions as asked, so that judging and reporting need no benchmark files
    answers/MODEL.jsonl             append-only, one writer
    verdicts/JUDGE+RUBRIC.jsonl     append-only, one writer
    ratings.jsonl  summary.json  leaderboard.csv  report.html  report.md      derived, replaced atomically
"""

from __future__ import annotations

import contextlib
import copy
import errno
import fcntl
import os
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import msgspec

from judgebench import __version__
from judgebench.errors import RunConflict, UserError
from judgebench.files import safe_name, sync_folder, write_atomic
from judgebench.types import Answer, Item, Rating, Record, Verdict

R = TypeVar("R", bound=Record)
Kind = TypeVar("Kind")

FSYNC_SECONDS = 0.1
"""Records are forced to the disk at most this often, and before a stage says done."""


class Journal:
    """An append-only JSON Lines file with one writer: one write a record, a torn last line dropped when opened.

    Raises:
        RunConflict: another live process writes this file; the message names its pid.
        UserError: the disk is full or the folder cannot be written; what was written before stays whole.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock_file = path.with_name(f".{path.name}.lock")
        self._synced = time.monotonic()
        self._dirty = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self._lock_file, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                owner = os.read(self._lock, 32).decode(errors="replace").strip() or "unknown"
                os.close(self._lock)
                raise RunConflict(f"{path} is being written by another process (pid {owner})") from None
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, str(os.getpid()).encode(), 0)
            fresh = not path.exists()
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            self._size = self._drop_torn_line()
            if fresh:
                sync_folder(path.parent)
                sync_folder(path.parent.parent)
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}") from error

    def _drop_torn_line(self) -> int:
        size = os.fstat(self._file).st_size
        end, block = size, 1 << 16
        while end > 0:
            start = max(0, end - block)
            chunk = os.pread(self._file, end - start, start)
            newline = chunk.rfind(b"\n")
            if newline >= 0:
                whole = start + newline + 1
                break
            end = start
        else:
            whole = 0
        if whole != size:
            os.ftruncate(self._file, whole)
        return whole

    def append(self, *records: Record) -> None:
        """Writes each record as one line, all with one write: where it fails none of them is there."""
        line = b"".join(msgspec.json.encode(record) + b"\n" for record in records)
        try:
            written = os.write(self._file, line)
            while written < len(line):
                written += os.write(self._file, line[written:])
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._size)
            why = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else str(error.strerror)
            raise UserError(
                f"cannot write {self.path}: {why}; everything before is kept, run it again to go on"
            ) from error
        self._size += len(line)
        self._dirty = True
        if time.monotonic() - self._synced > FSYNC_SECONDS:
            self.sync()

    def sync(self) -> None:
        """Forces what was appended to the disk."""
        if self._dirty:
            os.fsync(self._file)
            self._dirty = False
        self._synced = time.monotonic()

    def close(self) -> None:
        """Syncs and gives the file free; safe to call twice."""
        if self._file >= 0:
            self.sync()
            os.close(self._file)
            os.close(self._lock)
            self._lock_file.unlink(missing_ok=True)
            self._file = -1

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_records(path: Path, type: type[R]) -> Iterator[R]:
    """Every whole record of a JSON Lines file, in file order; a torn last line is left out, a missing file is empty.

    Raises:
        UserError: a line before the last is not such a record; names file and line.
    """
    if not path.exists():
        return
    decoder = msgspec.json.Decoder(type)
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.endswith(b"\n"):
                return
            try:
                yield decoder.decode(line)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise UserError(f"{path}:{number}: is no {type.__name__.lower()} record: {error}") from error


class Run:
    """A run folder.

    Args:
        path: the folder; made when ``create`` is set.
        create: make it when it is not there.

    Raises:
        UserError: there is no run there, or the path is not a folder.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self.path = path
        if path.exists() and not path.is_dir():
            raise UserError(f"{path} is a file; a run is a folder")
        if not (path / "manifest.json").is_file():
            if not create:
                raise UserError(f"no run in {path}: it has no manifest.json ('judgebench run {path} …' makes one)")
            if path.is_dir() and any(path.iterdir()):
                raise UserError(f"{path} holds other files and no manifest.json; name a new or empty folder")
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            empty: dict[str, Any] = {name: {} for name in MANIFEST}
            self.write("manifest.json", msgspec.json.encode({"judgebench": __version__, "created": now, **empty}))
        self.manifest = read_manifest(path)
        self._saved = copy.deepcopy(self.manifest)

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.path.resolve().name

    def write(self, name: str, content: str | bytes) -> None:
        """Replaces a derived file atomically.

        Raises:
            UserError: it cannot be written (disk full, no permission).
        """
        write_atomic(self.path / name, content)

    def rows(self, name: str, row: type[Kind], again: str) -> list[Kind]:
        """The rows that a command wrote as JSON into a file of its own; none where it never ran.

        Args:
            name: of the file.
            row: what each is.
            again: words of the command that writes the file anew.

        Raises:
            UserError: the file is damaged.
        """
        path = self.path / name
        if not path.is_file():
            return []
        try:
            return msgspec.json.decode(path.read_bytes(), type=list[row])  # type: ignore[valid-type]
        except msgspec.MsgspecError as error:
            raise UserError(f"{path} is damaged: {error}; 'judgebench {again}' writes it anew") from error

    def save_manifest(self) -> None:
        """Lays what changed here over the manifest on disk: another process may have written its own part meanwhile."""
        with (self.path / ".manifest.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            current: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self.manifest))
            merged: dict[str, Any] = _laid_over(read_manifest(self.path), _changes(self._saved, current))
            self.write("manifest.json", msgspec.json.format(msgspec.json.encode(merged), indent=1))
        self.manifest = merged
        self._saved = copy.deepcopy(merged)

    def check_fingerprint(self, kind: str, key: str, parts: dict[str, Any], *, held: bool) -> None:
        """Records the parts that decide a group of records, or refuses where they differ from those recorded.

        Args:
            kind: ``answers`` or ``verdicts``.
            key: what the parts belong to, such as ``gsm8k | my-model``.
            parts: name → JSON value; a part recorded earlier and not named now is left alone.
            held: whether the run holds any record of the group; without one nothing binds, and the parts replace the
                old ones.

        Raises:
            RunConflict: a part differs; the message names it with both values and what to do.
        """
        known = self.manifest[kind].setdefault(key, {})
        if not held:
            for part in parts:
                known.pop(part, None)
        parts = msgspec.json.decode(msgspec.json.encode(parts))
        for part, value in parts.items():
            if part in known and known[part] != value:
                before, now = _short(known[part]), _short(value)
                raise RunConflict(
                    f"{self.path}: {key}: {part} was {before} and is now {now}; its {kind} would not be comparable. "
                    f"Use another run, or delete its file under {kind}/ to have it redone"
                )
        known.update(parts)

    # Items -------------------------------------------------------------------------------------------------------

    def items(self, suite: str) -> dict[str, Item]:
        """Id → item of a suite, in file order; empty where none were kept yet."""
        return {item.id: item for item in read_records(self.items_file(suite), Item)}

    def items_file(self, suite: str) -> Path:
        """Where a suite's items are."""
        return self.path / "items" / f"{safe_name(suite)}.jsonl"

    def save_items(self, suite: str, items: Iterable[Item]) -> dict[str, Item]:
        """Id → item, after adding the given ones to those the run already holds."""
        known = self.items(suite)
        fresh = {item.id: item for item in items}
        merged = {**known, **fresh}
        if merged != known:
            (self.path / "items").mkdir(exist_ok=True)
            self.write(
                f"items/{safe_name(suite)}.jsonl", b"".join(msgspec.json.encode(i) + b"\n" for i in merged.values())
            )
        return merged

    # Answers and verdicts ------------------------------------------------------------------------------------------

    def answers_file(self, model: str) -> Path:
        """Where a model's answers are."""
        return self.path / "answers" / f"{safe_name(model)}.jsonl"

    def batches_file(self, role: str, model: str) -> Path:
        """Where the batches are noted that a provider works on for a model or judge."""
        return self.path / "batches" / f"{role}+{safe_name(model)}.jsonl"

    def verdicts_file(self, judge: str, rubric: str) -> Path:
        """Where the verdicts of a judge by a rubric (its bare name; empty for exact scorers and people) are."""
        name = f"{safe_name(judge)}+{safe_name(rubric)}" if rubric else safe_name(judge)
        return self.path / "verdicts" / f"{name}.jsonl"

    def answers(self, model: str | None = None) -> dict[tuple[str, str, str, int], Answer]:
        """Resume key → the last answer recorded for it, of one model or of all."""
        files = [self.answers_file(model)] if model else sorted((self.path / "answers").glob("*.jsonl"))
        return {answer.key: answer for file in files for answer in read_records(file, Answer)}

    def verdicts(self, *files: Path) -> dict[tuple[Any, ...], Verdict]:
        """Identity → the last verdict recorded for it, of the files given or of all."""
        chosen = files or tuple(sorted((self.path / "verdicts").glob("*.jsonl")))
        shared: dict[Any, Any] = {}
        return {verdict.key: verdict for file in chosen for verdict in sharing(read_records(file, Verdict), shared)}

    def ratings(self) -> list[Rating]:
        """The ratings as last computed."""
        return list(read_records(self.path / "ratings.jsonl", Rating))


SHARED = ("suite", "item", "rubric", "judge", "dimension", "shown", "scores", "scale", "error", "usage", "seen")
"""Fields of a verdict whose values come over and over: each held once, a million verdicts take half the memory."""


def sharing(verdicts: Iterable[Verdict], shared: dict[Any, Any]) -> Iterator[Verdict]:
    """The verdicts, their equal values being one object each."""
    put, known = msgspec.structs.force_setattr, shared.setdefault
    for verdict in verdicts:
        for name in SHARED:
            value = getattr(verdict, name)
            put(verdict, name, known((name, value), value))
        yield verdict


MANIFEST = ("suites", "models", "judges", "rubrics", "answers", "verdicts", "planned", "plans")
"""What every manifest maps names in."""


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of a run folder.

    Raises:
        UserError: it is not what this program writes.
    """
    file = path / "manifest.json"
    try:
        found = msgspec.json.decode(file.read_bytes())
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{file} is damaged: {error}") from error
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}") from error
    wrong = [name for name in MANIFEST if not isinstance(found, dict) or not isinstance(found.get(name), dict)]
    if wrong:
        raise UserError(f"{file} is damaged: it has no {wrong[0]!r}")
    manifest: dict[str, Any] = found
    return manifest


def _changes(before: Any, after: Any) -> Any:
    """What a mapping changed into, keys that stayed as they were left out."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return after
    return {key: _changes(before.get(key), value) for key, value in after.items() if before.get(key) != value}


def _laid_over(below: Any, above: Any) -> Any:
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    return {**below, **{key: _laid_over(below.get(key), value) for key, value in above.items()}}


def _short(value: object) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 80 else text[:77] + "…"
