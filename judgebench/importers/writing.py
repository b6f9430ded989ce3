"""Laying gathered files into a run: what it does not hold yet, and nothing twice."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from judgebench.errors import RunConflict
from judgebench.importers.joining import KEYS, Joined, Shown
from judgebench.importers.records import Gathered, Judged, Options, fingerprint
from judgebench.runs import Journal, Run
from judgebench.sources import read_content
from judgebench.types import Answer, Record, Verdict

SeenOf = Callable[[Verdict, Mapping[tuple[str, str, str, int], Answer]], str]
"""The hash of the answers that a verdict is on; empty where one of them is not known."""


class Imported(Record, frozen=True, kw_only=True):
    """What an import added to a run."""

    suites: tuple[str, ...]
    """Suites it went into."""
    items: int
    """Questions that the run did not hold."""
    answers: int
    """Answers that it did not hold."""
    verdicts: int
    """Verdicts that it did not hold."""
    held: int
    """Verdicts in the files that the run held already."""
    unscored: int
    """Verdicts added that say nothing: the file records none."""
    notes: tuple[str, ...] = ()
    """What a user should know."""


def write(
    run: Run, format: str, files: Sequence[Path], gathered: Gathered, options: Options, seen_of: SeenOf
) -> Imported:
    """What was added to the run after all that the files say is in it.

    Args:
        run: what it is laid into.
        format: name of the importer.
        files: what was read.
        gathered: what they say.
        options: of the command line.
        seen_of: the hash by which a verdict tells whether its answers are still what they were.

    Raises:
        UserError: an answer that was judged is not known, or a file says of a pair or question what another denies.
        RunConflict: another process writes the run.
    """
    joined = Joined(run, gathered, options)
    fresh_items = joined.add_items()
    for each in gathered.answers:
        joined.answer(each.suite, each.item, each.side, each.place)
    for key in gathered.pairs:
        joined.pair(key)
    found = joined.verdicts()
    held_answers = (answer for answer in run.answers().values() if not answer.error)  # nobody judged one that failed
    known = {answer.key: answer for each in (held_answers, *joined.fresh.values()) for answer in each}
    verdicts = [(judged, msgspec.structs.replace(verdict, seen=seen_of(verdict, known))) for judged, verdict in found]
    hashes = {str(path): hashlib.sha256(read_content(path)).hexdigest() for path in files}
    before = {path for path, digest in hashes.items() if digest in run.manifest.get("imports", {})}
    chosen, held = _chosen(run, verdicts, before)
    for suite, items in joined.fresh_items.items():
        run.save_items(suite, items)
    _append({run.answers_file(model): answers for model, answers in joined.fresh.items()})
    _append(chosen)
    run.write(KEYS, msgspec.json.format(msgspec.json.encode(joined.keys()), indent=1))
    _record(run, format, hashes, joined, verdicts, gathered, options)
    added = [verdict for each in chosen.values() for verdict in each]
    return Imported(
        suites=tuple(sorted(set(joined.suites.values()))),
        items=fresh_items,
        answers=sum(map(len, joined.fresh.values())),
        verdicts=len(added),
        held=held,
        unscored=sum(not verdict.scores for verdict in added),
        notes=tuple(gathered.notes),
    )


def _append(records: Mapping[Path, Sequence[Answer | Verdict]]) -> None:
    """Appends records to their files."""
    for path, every in records.items():
        if every:
            with Journal(path) as journal:
                for record in every:
                    journal.append(record)


def _chosen(
    run: Run, found: Sequence[tuple[Judged, Verdict]], before: Collection[str]
) -> tuple[dict[Path, list[Verdict]], int]:
    """File → verdicts that the run does not hold, and how many it does."""
    groups: dict[Path, list[tuple[Judged, Verdict]]] = defaultdict(list)
    for judged, verdict in found:
        groups[run.verdicts_file(verdict.judge, verdict.rubric.partition("@")[0])].append((judged, verdict))
    chosen = {path: _fresh(run.verdicts(path), group, before) for path, group in groups.items()}
    return chosen, len(found) - sum(map(len, chosen.values()))


def _fresh(
    held: Mapping[tuple[Any, ...], Verdict], group: Sequence[tuple[Judged, Verdict]], before: Collection[str]
) -> list[Verdict]:
    """The verdicts that are not held: rows that repeat an identity within the files are further samples.

    Args:
        held: what the run holds.
        group: what the files say.
        before: files that were imported before: a vote in them that the run holds is that vote.

    Raises:
        RunConflict: the run holds another verdict of the same judge on the same pair.
    """
    fresh: list[Verdict] = []
    votes = Counter(_anyone(verdict) for verdict in held.values())
    now: set[tuple[Any, ...]] = set()
    for judged, verdict in group:
        if judged.vote and judged.place.rpartition(": row ")[0] in before and votes[_anyone(verdict)] > 0:
            votes[_anyone(verdict)] -= 1
            continue
        sample = verdict.sample
        while verdict.key in now or (judged.vote and verdict.key in held):
            sample += 1
            verdict = msgspec.structs.replace(verdict, sample=sample)
        now.add(verdict.key)
        if verdict.key not in held:
            fresh.append(verdict)
        elif msgspec.structs.replace(held[verdict.key], seen=verdict.seen) != verdict:
            raise RunConflict(
                f"{judged.place}: the run holds another verdict of {verdict.judge} on this; import it into another "
                "run, or under another --judge"
            )
    return fresh


def _anyone(verdict: Verdict) -> tuple[Any, ...]:
    """What a vote says, whichever of the people on that pair gave it."""
    return *verdict.key[:-1], verdict.scores, verdict.reply


def _record(
    run: Run, format: str, hashes: Mapping[str, str], joined: Joined, verdicts: Sequence[tuple[Judged, Verdict]],
    gathered: Gathered, options: Options,
) -> None:  # fmt: skip
    """Writes into the manifest what the run now holds and where it is from."""
    manifest = run.manifest
    for local, suite in joined.suites.items():
        items = run.items(suite)
        record = manifest["suites"].setdefault(suite, {
            "version": "imported", "about": f"imported by the {format} reader", "license": "",
            "scorer": gathered.scorers.get(local, ""), "scorer_options": {}, "missing": [], "notes": [],
            "submission": "",
        })  # fmt: skip
        if record["version"] == "imported":
            words = [fingerprint(item.turns) for item in items.values()]
            record.update(
                items=len(items), available=len(items), fingerprint=hashlib.sha256("".join(words).encode()).hexdigest()
            )
    for model, answers in joined.fresh.items():
        for answer in answers:
            manifest["answers"].setdefault(f"{answer.suite} | {model}", {"imported": format})
        for key, count in Counter(f"{held.suite} | {model}" for held in run.answers(model).values()).items():
            manifest["planned"][key] = max(count, manifest["planned"].get(key, 0))
    models = {name for _, verdict in verdicts for name, _ in verdict.shown} | set(joined.fresh)
    for name in sorted(models):
        manifest["models"].setdefault(name, {"backend": "imported", "id": name, "options": {}})
    for judged, verdict in verdicts:
        if judged.judge.startswith("exact@"):
            continue
        entry = manifest["judges"].setdefault(
            judged.judge, {"backend": "imported", "id": judged.judge, "options": {}, "baseline": False, "rubrics": {}}
        )
        if not judged.rubric:
            continue
        asked = entry["rubrics"].setdefault(judged.rubric, {"without_reference": {}, "orders": "one"})
        asked.update(id=verdict.rubric)
        rubric = manifest["rubrics"].setdefault(
            verdict.rubric,
            {
                "name": judged.rubric, "version": "imported", "about": f"imported by the {format} reader",
                "mode": "pairwise" if len(verdict.shown) == 2 else "pointwise", "dimensions": {},
                "scale": list(judged.scale), "prompt": "",
            },
        )  # fmt: skip
        rubric["dimensions"].setdefault(judged.dimension, "")
    _record_orders(run, verdicts)
    imports = manifest.setdefault("imports", {})
    for path, digest in hashes.items():
        imports[digest] = {"file": Path(path).name, "format": format, "names": dict(options.names)}
    run.save_manifest()


def _record_orders(run: Run, verdicts: Sequence[tuple[Judged, Verdict]]) -> None:
    """Writes into the manifest in how many orders each judge saw its pairs: both, where it saw most of them in both."""
    seen: dict[tuple[str, str], dict[tuple[Any, ...], set[tuple[Shown, ...]]]] = defaultdict(lambda: defaultdict(set))
    files = {run.verdicts_file(verdict.judge, judged.rubric) for judged, verdict in verdicts if judged.rubric}
    held = run.verdicts(*files).values() if files else ()
    for verdict in (*held, *(verdict for _, verdict in verdicts)):
        if len(verdict.shown) == 2:
            pair = verdict.suite, verdict.item, verdict.turn, verdict.dimension, *sorted(verdict.shown)
            seen[verdict.judge, verdict.rubric.partition("@")[0]][pair].add(verdict.shown)
    for (judge, rubric), pairs in seen.items():
        if rubric:
            both = sum(len(orders) == 2 for orders in pairs.values())
            run.manifest["judges"][judge]["rubrics"][rubric]["orders"] = "both" if 2 * both > len(pairs) else "one"
