"""The file of replies kept across runs, and of how fast models answered: SQLite, several processes at once.

It is written through SQLite's rollback journal, not its write-ahead log, which breaks where several machines share a
home folder. Replies are committed at most every half second: what a killed process had not committed is asked again.
Neither prompts nor keys are in the file: hashes and replies are.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec

from judgebench.errors import UserError
from judgebench.types import ChoiceReply, Reply

FORM = 1
"""Version of the file and of the keys in it; another one is never read."""

COMMIT_SECONDS, COMMIT_REPLIES = 0.5, 500
"""Replies are committed at most this often, or once there are so many."""

Said = TypeVar("Said", Reply, ChoiceReply)


class Speed(NamedTuple):
    """What calls took, measured."""

    requests: int
    """Calls."""
    seconds: float
    """Wall time of all of them together."""
    prompt_tokens: int
    """Tokens read."""
    completion_tokens: int
    """Tokens written."""
    day: str
    """Day of the measurement, YYYY-MM-DD."""


class ResponseCache:
    """The file of replies; several processes may use it at once.

    Args:
        path: the file; made, with its folder, where it is not there.

    Raises:
        UserError: it is damaged, of another version, or cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._pending: dict[bytes, bytes] = {}
        self._committed = time.monotonic()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"the response cache {path} cannot be made: {error.strerror}; --no-cache goes on"
            ) from error
        with self._explained():
            self._file = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
        try:
            with self._explained():
                self._begin()
        except BaseException:
            self._file.close()
            raise

    def _begin(self) -> None:
        """Makes the tables where there are none; reads a row, so that damage shows."""
        (form,) = self._file.execute("PRAGMA user_version").fetchone()
        if form not in (0, FORM):
            raise UserError(
                f"the response cache {self.path} is of version {form}, and this judgebench reads {FORM}: delete it, or "
                "use --no-cache"
            )
        if form == 0:
            self._file.execute("BEGIN IMMEDIATE")
            self._file.execute(
                "CREATE TABLE IF NOT EXISTS replies (key BLOB PRIMARY KEY, reply BLOB NOT NULL, day TEXT NOT NULL) "
                "WITHOUT ROWID"
            )
            self._file.execute(
                "CREATE TABLE IF NOT EXISTS speeds (who TEXT PRIMARY KEY, requests INTEGER, seconds REAL, "
                "prompt_tokens INTEGER, completion_tokens INTEGER, day TEXT) WITHOUT ROWID"
            )
            self._file.execute(f"PRAGMA user_version = {FORM}")
            self._file.execute("COMMIT")
        self._file.execute("SELECT key, reply, day FROM replies LIMIT 1").fetchone()

    def find(self, key: bytes, kind: type[Said]) -> Said | None:
        """The reply kept under a key; None where there is none.

        Raises:
            UserError: the file is damaged.
        """
        with self._lock, self._explained():
            raw = self._pending.get(key)
            if raw is None:
                row = self._file.execute("SELECT reply FROM replies WHERE key = ?", (key,)).fetchone()
                raw = None if row is None else row[0]
        if raw is None:
            return None
        try:
            return msgspec.json.decode(raw, type=kind)
        except (msgspec.MsgspecError, TypeError) as error:
            raise UserError(f"the response cache {self.path} is damaged: delete it, or use --no-cache") from error

    def keep(self, key: bytes, reply: Reply | ChoiceReply) -> None:
        """Keeps a reply, on the disk with the next `commit`; the first one under a key stays."""
        with self._lock:
            self._pending.setdefault(key, msgspec.json.encode(reply))

    @property
    def due(self) -> bool:
        """Whether what is kept should be committed by now."""
        late = time.monotonic() - self._committed > COMMIT_SECONDS
        return bool(self._pending) and (late or len(self._pending) >= COMMIT_REPLIES)

    def commit(self) -> None:
        """Writes what is kept to the disk.

        Raises:
            UserError: the file is damaged, or the disk is full.
        """
        with self._lock, self._explained():
            rows = [(key, raw, _today()) for key, raw in self._pending.items()]
            self._pending = {}
            self._committed = time.monotonic()
            if rows:
                self._file.execute("BEGIN IMMEDIATE")
                self._file.executemany("INSERT OR IGNORE INTO replies VALUES (?, ?, ?)", rows)
                self._file.execute("COMMIT")

    def keep_speed(self, who: str, speed: Speed) -> None:
        """Keeps how fast a model answered; the last measurement stays."""
        with self._lock, self._explained():
            self._file.execute("INSERT OR REPLACE INTO speeds VALUES (?, ?, ?, ?, ?, ?)", (who, *speed))

    def speed(self, who: str) -> Speed | None:
        """How fast a model answered when it was last measured; None where it never was."""
        with self._lock, self._explained():
            row = self._file.execute(
                "SELECT requests, seconds, prompt_tokens, completion_tokens, day FROM speeds WHERE who = ?", (who,)
            ).fetchone()
        return None if row is None else Speed(*row)

    def close(self) -> None:
        """Writes what is left and closes the file; safe to call twice."""
        try:
            if self._pending:
                self.commit()
        finally:
            self._file.close()

    def _explained(self) -> _Explained:
        return _Explained(self)


class _Explained:
    """Turns SQLite's errors into one line that says what to do."""

    def __init__(self, cache: ResponseCache) -> None:
        self._cache = cache

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, sqlite3.Error):
            return
        path = self._cache.path
        if isinstance(error, sqlite3.OperationalError):
            raise UserError(f"the response cache {path} cannot be used: {error}; --no-cache goes on without") from error
        raise UserError(f"the response cache {path} is damaged ({error}): delete it, or use --no-cache") from error


def _today() -> str:
    return time.strftime("%Y-%m-%d", time.gmtime())
