"""Which records a summary was counted from, and what is said once the run holds others."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from judgebench.runs import Run
from judgebench.types import Record

KINDS: Final = {"items": "questions", "answers": "answers", "verdicts": "verdicts"}
"""Folder of records → how they are said."""
BLOCK = 1 << 20
"""Bytes read at once."""


class Held(Record, frozen=True, kw_only=True):
    """The records of one kind that a run holds."""

    count: int
    """Whole lines of all files; a record that was written anew counts once more."""
    hash: str
    """Of the files' names and whole lines."""
    torn: tuple[str, ...] = ()
    """Files whose last line is half a record."""


def held(run: Run) -> dict[str, Held]:
    """What the run's files hold now, by the folders of `KINDS`; what half lines hold is no part of it."""
    return {kind: _held(run.path, kind) for kind in KINDS}


def _held(folder: Path, kind: str) -> Held:
    digest, count, torn = hashlib.blake2b(digest_size=16), 0, []
    for path in sorted((folder / kind).glob("*.jsonl")):
        digest.update(f"{path.name}\n".encode())
        rest = b""
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                count += block.count(b"\n")
                whole, feed, tail = block.rpartition(b"\n")
                if feed:
                    digest.update(rest + whole + feed)
                    rest = tail
                else:
                    rest += tail
        if rest:
            torn.append(f"{kind}/{path.name}")
    return Held(count=count, hash=digest.hexdigest(), torn=tuple(torn))


def noted(found: Mapping[str, Held]) -> dict[str, dict[str, Any]]:
    """What a summary remembers of the records it was counted from: number and hash by kind."""
    return {kind: {"count": each.count, "hash": each.hash} for kind, each in found.items()}


def doubts(run: Run, summary: Mapping[str, Any]) -> list[str]:
    """A line where the run's records are not those that its summary was counted from, and one on half lines.

    Args:
        run: as it is now.
        summary: its summary.json, decoded.
    """
    now = held(run)
    again = f"'judgebench rate {run.path}' counts anew"
    lines = []
    if "records" not in summary:
        lines.append(f"the numbers do not say of which records they are, so they may be old: {again}")
    else:
        changed = [_change(name, summary["records"].get(kind, {}), now[kind]) for kind, name in KINDS.items()]
        said = ", ".join(filter(None, changed))
        if said:
            lines.append(
                f"the run has changed since it was rated ({said}): the numbers are of then, the items as they are now; "
                + again
            )
    torn = [name for each in now.values() for name in each.torn]
    if torn:
        more = f" and {len(torn) - 1} further files" if len(torn) > 1 else ""
        lines.append(
            f"{torn[0]}{more}: the last line is half a record, cut off or still being written; it counts nowhere"
        )
    return lines


def _change(name: str, before: Mapping[str, Any], now: Held) -> str:
    if before.get("hash") == now.hash:
        return ""
    counted = before.get("count", 0)
    if counted == now.count:
        return f"other {name}"
    return f"{counted:,} records of {name} then, {now.count:,} now"
