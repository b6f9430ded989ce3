"""Files that grow while they are looked at: what was appended since the last look, and what could not be read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Generic, NamedTuple, TypeVar

import msgspec

T = TypeVar("T")

MARK = 64
"""Bytes before the place reached that must be as they were; else the file is another one."""
MOST_TOLD = 20
"""Broken lines of a file that are told one by one; the others are only counted."""


class Look(NamedTuple, Generic[T]):
    """What one look at a file found."""

    records: list[T]
    """Whole records since the last look, in file order."""
    anew: bool
    """True where the file is gone or another one: what earlier looks found no longer holds."""


class Followed(Generic[T]):
    """Reads on where the last look ended; a last line without its end waits until it is whole.

    Args:
        path: a JSON Lines file, which need not be there yet.
        kind: what its lines hold.
        through: what records pass through one by one as they are read, so that no two forms of all of them are held.
    """

    def __init__(self, path: Path, kind: type[T], through: Callable[[Iterator[T]], Iterable[T]] = iter) -> None:
        self.path = path
        self._through = through
        self.broken: list[str] = []
        """Lines that are no such record, each with its number and why; at most ``MOST_TOLD``."""
        self.unread = 0
        """How many lines are no such record."""
        self._decoder = msgspec.json.Decoder(kind)
        self._forget()

    def _forget(self) -> None:
        self._place, self._line, self._mark = 0, 0, b""
        self._inode: tuple[int, int] | None = None
        self.broken.clear()
        self.unread = 0

    def look(self) -> Look[T]:
        """What is there now and was not at the last look."""
        try:
            with self.path.open("rb") as file:
                status = os.fstat(file.fileno())
                anew = self._place > 0 and not self._same(file, status)
                if anew:
                    self._forget()
                self._inode = status.st_dev, status.st_ino
                return Look(self._read(file) if status.st_size > self._place else [], anew)
        except OSError as error:
            gone = self._place > 0
            self._forget()
            if not isinstance(error, FileNotFoundError):
                self.unread, self.broken = 1, [f"{self.path.parent.name}/{self.path.name}: {error.strerror}"]
            return Look([], gone)

    def _same(self, file: BinaryIO, status: os.stat_result) -> bool:
        if (status.st_dev, status.st_ino) != self._inode or status.st_size < self._place:
            return False
        return os.pread(file.fileno(), len(self._mark), self._place - len(self._mark)) == self._mark

    def _read(self, file: BinaryIO) -> list[T]:
        file.seek(self._place)
        return list(self._through(self._whole(file)))

    def _whole(self, file: BinaryIO) -> Iterator[T]:
        for line in file:
            if not line.endswith(b"\n"):
                break
            self._place += len(line)
            self._line += 1
            self._mark = line[-MARK:]
            try:
                record = self._decoder.decode(line)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                self.unread += 1
                if len(self.broken) < MOST_TOLD:
                    self.broken.append(f"{self.path.parent.name}/{self.path.name}, line {self._line}: {error}")
            else:
                yield record
