"""What is known of the batches that a run has at a provider: one append-only file, so that any later command goes on.

No prompt, reply or key is in it: only the provider's ids and digests of requests.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from judgebench.runs import Journal, read_records
from judgebench.types import Record


class BatchEvent(Record, frozen=True, kw_only=True):
    """One step in the life of a batch."""

    event: Literal["planned", "made", "ended", "taken", "learnt"]
    """About to be made; made; over, with all that went wrong in it given out; replies of it taken into the run; what
    the model refused is sent otherwise from now on."""
    token: str = ""
    """Our name of the batch, also in its metadata at the provider."""
    url: str = ""
    """Address that it is made at."""
    batch: str = ""
    """The provider's id."""
    rows: tuple[str, ...] = ()
    """Digests of its requests in the order of its file; of those taken."""
    status: str = ""
    """How it ended, in the provider's word."""
    at: str = ""
    """Time of day in UTC."""
    tokens_parameter: str = ""
    """Name under which the limit on new tokens is sent from now on."""
    dropped: tuple[str, ...] = ()
    """Parameters left out from now on."""


@dataclass
class Batch:
    """A batch as the file tells of it."""

    token: str
    rows: tuple[str, ...]
    id: str = ""
    """The provider's; empty where it is not known that it was made."""
    over: bool = False
    """It has ended, and what went wrong in it was given out: what it did not answer is asked anew."""
    taken: set[str] = field(default_factory=set)
    """Rows whose outcome is in the run, or was given out by this process."""
    unsaid: set[str] = field(default_factory=set)
    """Those of them that the file does not yet tell of."""


class BatchState:
    """The batches of one model at one address, and which of them holds a request's row.

    Args:
        path: the file; made where it is not there.
        url: the address; batches made at others are left alone.

    Raises:
        RunConflict: another process writes the file.
        UserError: it is damaged, or cannot be written.
    """

    def __init__(self, path: Path, url: str) -> None:
        self._url = url
        self._journal = Journal(path)
        self.batches: dict[str, Batch] = {}
        self.learnt: BatchEvent | None = None
        """What the model was last found to refuse."""
        self._home: dict[str, str] = {}
        try:
            for event in read_records(path, BatchEvent):
                self._hear(event)
        except BaseException:
            self._journal.close()
            raise
        for batch in self.batches.values():
            self._home.update((row, batch.token) for row in batch.rows if row not in batch.taken)

    def _hear(self, event: BatchEvent) -> None:
        if event.event == "planned" and event.url == self._url:
            self.batches[event.token] = Batch(event.token, event.rows)
        if event.event == "learnt" and event.url == self._url:
            self.learnt = event
        batch = self.batches.get(event.token)
        if batch is None:
            return
        batch.id = event.batch or batch.id
        batch.over = batch.over or event.event == "ended"
        if event.event == "taken":
            batch.taken.update(event.rows)

    def unconfirmed(self) -> list[Batch]:
        """Those of which it is not known whether they were made."""
        return [batch for batch in self.batches.values() if not batch.id and not batch.over]

    def home(self, row: str) -> Batch | None:
        """The newest batch that may answer a request; None where it must be asked."""
        token = self._home.get(row)
        batch = self.batches[token] if token is not None else None
        return batch if batch is not None and batch.id else None

    def planned(self, token: str, rows: Iterable[str], at: str) -> Batch:
        """A batch that is about to be made; on the disk before this returns."""
        batch = self.batches[token] = Batch(token, tuple(rows))
        self._write(BatchEvent(event="planned", token=token, url=self._url, rows=batch.rows, at=at))
        return batch

    def made(self, batch: Batch, id: str, at: str) -> None:
        """Notes the provider's id of a batch; on the disk before this returns."""
        batch.id = id
        self._home.update((row, batch.token) for row in batch.rows if row not in batch.taken)
        self._write(BatchEvent(event="made", token=batch.token, batch=id, at=at))

    def ended(self, batch: Batch, status: str, at: str) -> None:
        """Notes that a batch is over: from the next command on only what it answered counts."""
        if not batch.over:
            batch.over = True
            self._write(BatchEvent(event="ended", token=batch.token, status=status, at=at))

    def took(self, batch: Batch, row: str) -> None:
        """Notes that the outcome of a row was taken; in the file by `settle`."""
        batch.taken.add(row)
        batch.unsaid.add(row)
        if self._home.get(row) == batch.token:
            del self._home[row]

    def learns(self, tokens_parameter: str, dropped: Iterable[str], at: str) -> None:
        """Notes how requests are written from now on, so that no later batch is refused for the same."""
        names = tuple(sorted(dropped))
        self._write(BatchEvent(event="learnt", url=self._url, tokens_parameter=tokens_parameter, dropped=names, at=at))

    def settle(self, at: str) -> None:
        """Writes which rows were taken: the run has them on its disk, and they are never given out again."""
        for batch in self._unsettled():
            rows = tuple(sorted(batch.unsaid))
            self._write(BatchEvent(event="taken", token=batch.token, rows=rows, at=at))
            batch.unsaid.clear()

    def _unsettled(self) -> Iterator[Batch]:
        return (batch for batch in self.batches.values() if batch.unsaid)

    def _write(self, event: BatchEvent) -> None:
        self._journal.append(event)
        self._journal.sync()

    def close(self) -> None:
        """Gives the file free; safe to call twice."""
        self._journal.close()
