"""What the viewer shows of runs on disk: read afresh when a file changed, also while a run is still being written."""

from __future__ import annotations

import difflib
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from judgebench import plugins
from judgebench.errors import UserError
from judgebench.judges import matchups
from judgebench.rubrics import Rubric
from judgebench.runs import Run, read_manifest
from judgebench.stages.labelling import doubt
from judgebench.types import Answer, ChoiceRequest, Item, Matchup, Message, Verdict

MOST_WORDS = 1500
"""Words of either text up to which a word diff is made."""
SHOW = ("all", "disagree", "unscored", "people", "failed")
"""Which items a page of items may be narrowed to."""


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
    writers: tuple[int, ...]
    """Processes that write it now."""


class Row(NamedTuple):
    """One item with what is said about it."""

    suite: str
    """Its suite."""
    item: Item
    """The question."""
    answers: tuple[Answer, ...]
    """All answers to it."""
    verdicts: tuple[Verdict, ...]
    """All verdicts on them."""
    doubt: float
    """The largest spread of verdicts on one pair or answer by one rubric, in [0, 1]."""

    @property
    def flags(self) -> tuple[str, ...]:
        """Those of ``SHOW`` that hold."""
        judged = [verdict for verdict in self.verdicts if not verdict.judge.startswith("exact@")]
        found = {
            "disagree": self.doubt > 0,
            "unscored": any(not verdict.scores for verdict in judged),
            "people": any(verdict.judge.startswith("human@") for verdict in judged),
            "failed": any(answer.error for answer in self.answers),
        }
        return tuple(name for name, holds in found.items() if holds)


class Shelf:
    """The runs of a folder, or one run.

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
        self._held: dict[str, tuple[object, list[Row]]] = {}

    def paths(self) -> dict[str, Path]:
        """Name → folder of each run, the last one written first."""
        found = [self._only] if self._only else [path.parent for path in self._folder.glob("*/manifest.json")]
        return {path.name: path for path in sorted(found, key=lambda path: -(path / "manifest.json").stat().st_mtime)}

    def progress(self, name: str) -> Progress:
        """How far a run is."""
        path = self.paths()[name]
        try:
            manifest = read_manifest(path)
            answers, verdicts = len(Run(path).answers()), len(Run(path).verdicts())
        except UserError as error:
            return Progress(name, f"damaged: {error}", 0, 0, 0, ())
        planned = sum(manifest["planned"].values())
        return Progress(name, ", ".join(manifest["models"]), answers, planned, verdicts, tuple(_writers(path)))

    def rows(self, name: str) -> list[Row]:
        """All items of a run: those on which verdicts disagree first, then in the order of the suites."""
        path = self.paths()[name]
        files = sorted(path.glob("*/*.jsonl"))
        signature = tuple((file, (stat := file.stat()).st_size, stat.st_mtime_ns) for file in files)
        known = self._held.get(name)
        if known is None or known[0] != signature:
            known = self._held[name] = signature, _rows(Run(path))
        return known[1]

    def row(self, name: str, suite: str, item: str) -> Row | None:
        """One item of a run."""
        return next((row for row in self.rows(name) if (row.suite, row.item.id) == (suite, item)), None)


def _rows(run: Run) -> list[Row]:
    answers: dict[tuple[str, str], list[Answer]] = defaultdict(list)
    for answer in run.answers().values():
        answers[answer.suite, answer.item].append(answer)
    verdicts: dict[tuple[str, str], list[Verdict]] = defaultdict(list)
    for verdict in run.verdicts().values():
        verdicts[verdict.suite, verdict.item].append(verdict)
    rows = []
    for suite in run.manifest["suites"]:
        for item in run.items(suite).values():
            said = verdicts[suite, item.id]
            rows.append(Row(suite, item, tuple(answers[suite, item.id]), tuple(said), _doubt(said)))
    return sorted(rows, key=lambda row: -row.doubt)


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
        if judge and not any(verdict.judge == judge for verdict in row.verdicts):
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


def word_diff(left: str, right: str) -> tuple[list[tuple[str, bool]], list[tuple[str, bool]]]:
    """Both texts in pieces, each with True where the other text lacks it; one piece each where they are very long.

    >>> word_diff("a b c", "a x c")[1]
    [('a ', False), ('x ', True), ('c', False)]
    """
    one, two = re.findall(r"\s*\S+\s*|\s+", left), re.findall(r"\s*\S+\s*|\s+", right)
    if max(len(one), len(two)) > MOST_WORDS:
        return [(left, False)], [(right, False)]
    matcher = difflib.SequenceMatcher(None, [w.strip() for w in one], [w.strip() for w in two], autojunk=False)
    sides: tuple[list[tuple[str, bool]], list[tuple[str, bool]]] = ([], [])
    for kind, a, b, c, d in matcher.get_opcodes():
        for side, piece in zip(sides, ("".join(one[a:b]), "".join(two[c:d])), strict=True):
            if piece:
                side.append((piece, kind != "equal"))
    return sides


def prompt_of(path: Path, row: Row, verdict: Verdict) -> tuple[list[Message], str]:
    """The first request that led to a verdict, built anew from the run's rubric, item and answers; or why not."""
    record: dict[str, Any] | None = read_manifest(path)["rubrics"].get(verdict.rubric)
    if verdict.judge.startswith(("human@", "exact@", "baseline/")) or record is None:
        return [], "no model was asked"
    if not record.get("prompt"):
        return [], "this verdict was imported without its prompt"
    held = {(answer.model, answer.sample): answer for answer in row.answers}
    try:
        rubric = msgspec.convert(record, Rubric, strict=False)
        judge = plugins.load("judges", rubric.made_by)(verdict.judge, rubric)
        asked = next(call for call in matchups.calls(rubric, row.item) if verdict.dimension in call)
        matchup = Matchup(
            suite=row.suite, item=row.item, turn=verdict.turn, shown=tuple(held[each] for each in verdict.shown),
            dimensions=asked, sample=verdict.sample,
        )  # fmt: skip
        deliberation = judge.deliberate(matchup)
        first = next(deliberation)
        deliberation.close()
    except (UserError, msgspec.MsgspecError, LookupError, StopIteration) as error:
        return [], f"cannot be rebuilt: {error or type(error).__name__}"
    requests = [request for request in first if not isinstance(request, ChoiceRequest)]
    return [message for request in requests[:1] for message in request.messages], (
        "" if len(requests) == 1 else f"the first of {len(first)} requests of this step"
    )


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
