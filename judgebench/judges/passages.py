"""Passages of a folder of sources, and those that fit a question best by BM25 (library bm25s)."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from judgebench.errors import MissingPackage, UserError
from judgebench.types import Record

ENDINGS = (".txt", ".md")
"""Files of a folder of sources."""

WORDS = 200
"""Words of a passage at most; a paragraph is cut only where it alone is longer."""

_TOKEN = re.compile(r"[぀-ヿ㐀-鿿豈-﫿]|[^\W_]+")
"""A word, or one character of Chinese or Japanese."""


class Passage(Record, frozen=True, kw_only=True):
    """A piece of a source."""

    source: str
    """Name of the file, without its ending."""
    number: int
    """1-based place in it."""
    text: str
    """Its words."""


class Sources:
    """The passages of a folder of ``.txt`` and ``.md`` files, one file a topic.

    Args:
        folder: where they are.

    Raises:
        UserError: there is no such folder, or no file in it, or one that cannot be read.
        MissingPackage: bm25s is not installed.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise UserError(f"sources: there is no folder {folder}")
        try:
            import bm25s  # noqa: F401
        except ModuleNotFoundError as error:
            raise MissingPackage("bm25s", "facts") from error
        self._passages: dict[str, list[Passage]] = {}
        self._ranked: dict[str, Any] = {}
        self._names: dict[str, str] = {}
        for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS and path.is_file()):
            try:
                text = path.read_text(encoding="utf-8-sig")
            except (OSError, UnicodeDecodeError) as error:
                raise UserError(f"sources: {path}: {error}") from error
            plain = _plain(path.stem)
            if plain in self._names:
                raise UserError(f"sources: {path}: another file of {folder} has the same topic {path.stem!r}")
            self._names[plain] = path.stem
            self._passages[path.stem] = [
                Passage(source=path.stem, number=number, text=piece) for number, piece in enumerate(pieces(text), 1)
            ]
        if not any(self._passages.values()):
            raise UserError(f"sources: {folder} holds no text: files *.txt or *.md, one a topic, are meant")

    def named(self, topic: str) -> str | None:
        """The source of a topic's name (capitals, spaces and underscores do not matter); None where there is none."""
        name = self._names.get(_plain(topic))
        return name if name is not None and self._passages[name] else None

    def best(self, query: str, most: int, source: str = "") -> list[Passage]:
        """The passages that fit a text best by BM25, the best first; at most so many.

        Args:
            query: what they should be about.
            most: how many.
            source: only those of this source; empty is all.
        """
        passages = self._passages[source] if source else [one for each in self._passages.values() for one in each]
        words = tokens(query)
        if len(passages) <= 1 or not words:
            return passages[:most]
        import bm25s

        if source not in self._ranked:
            index = bm25s.BM25()
            index.index([tokens(each.text) or [""] for each in passages], show_progress=False)
            self._ranked[source] = index
        known = [word for word in words if word in self._ranked[source].vocab_dict]
        if not known:
            return passages[:most]
        scores = self._ranked[source].get_scores(known)
        ranked = sorted(range(len(passages)), key=lambda at: (-float(scores[at]), at))
        return [passages[at] for at in ranked[:most]]


@functools.cache
def sources_in(folder: str) -> Sources:
    """The sources of a folder, read once."""
    return Sources(Path(folder))


def pieces(text: str, words: int = WORDS) -> list[str]:
    """Paragraphs joined to pieces of at most so many words; a longer paragraph is cut between words."""
    found: list[str] = []
    held: list[str] = []
    count = 0
    for paragraph in re.split(r"\n\s*\n", text):
        for part in _cut(paragraph.strip(), words):
            size = len(tokens(part))
            if held and count + size > words:
                found.append("\n\n".join(held))
                held, count = [], 0
            held.append(part)
            count += size
    return [*found, "\n\n".join(held)] if held else found


def tokens(text: str) -> list[str]:
    """Words in small letters; each character of Chinese or Japanese is one.

    >>> tokens("Born 1950 in 北京.")
    ['born', '1950', 'in', '北', '京']
    """
    return _TOKEN.findall(text.lower())


def _cut(paragraph: str, words: int) -> Sequence[str]:
    if not paragraph:
        return []
    starts = [match.start() for match in _TOKEN.finditer(paragraph.lower())]
    edges = [0, *(starts[at] for at in range(words, len(starts), words)), len(paragraph)]
    return [paragraph[one:two].strip() for one, two in itertools.pairwise(edges)]


def _plain(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").split())
