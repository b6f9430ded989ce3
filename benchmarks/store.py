"""Verdicts on disk: ``python benchmarks/store.py [--rows 100000] [--report 1000000]``.

Writing and reading verdicts through the run folder beside a bare loop over orjson (msgspec where it is not installed),
one write a record in both. Reading yields checked records here and plain dictionaries there. With ``--report N``, the
largest resident set of ``judgebench rate`` and ``judgebench report`` over so many verdicts, each a process of its own.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from endpoint_parts import run

from judgebench.rubrics import load_rubric
from judgebench.runs import Journal, Run, read_records
from judgebench.types import Answer, Item, Usage, Verdict

try:
    import orjson

    NAME, dumps, loads = "orjson", orjson.dumps, orjson.loads
except ImportError:
    NAME, dumps, loads = "msgspec", msgspec.json.encode, msgspec.json.decode

REPLY = "The first answer names its sources and bounds; the second is shorter and leaves the main point open. [[A]]"
MODELS = [f"m{number}" for number in range(10)]


def verdicts(count: int) -> Iterator[Verdict]:
    """Preferences over pairs of ten models, both orders of each."""
    rubric = load_rubric("pairwise-general").id
    draw = random.Random(0)
    pairs = [(left, right) for left in MODELS for right in MODELS if left != right]
    for number in range(count):
        left, right = pairs[number % len(pairs)]
        won = draw.random()
        yield Verdict(
            suite="stored", item=f"{number // len(pairs):06d}", rubric=rubric, judge="j",
            shown=((left, 0), (right, 0)), kind="preference", scores=(1.0, 0.0) if won < 0.6 else (0.0, 1.0),
            reply=REPLY, usage=Usage(prompt_tokens=700, completion_tokens=40, requests=1), seen="0123456789ab",
        )  # fmt: skip


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor seconds of one call."""
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    kept = work()
    took = time.perf_counter() - wall, time.process_time() - cpu
    del kept
    return took


def compare(folder: Path, rows: int, rounds: int) -> None:
    """Prints writing and reading beside the floor."""
    records = list(verdicts(rows))
    plain: list[Any] = [msgspec.to_builtins(record) for record in records]
    counter = itertools.count()

    def bare_write() -> None:
        with (folder / f"{next(counter)}.jsonl").open("wb", buffering=0) as file:
            for row in plain:
                file.write(dumps(row) + b"\n")

    def own_write() -> None:
        with Journal(folder / f"{next(counter)}.jsonl") as journal:
            for record in records:
                journal.append(record)

    source = folder / "source.jsonl"
    source.write_bytes(b"".join(msgspec.json.encode(record) + b"\n" for record in records))

    def bare_read() -> object:
        with source.open("rb") as lines:
            return [loads(line) for line in lines]

    def own_read() -> object:
        return list(read_records(source, Verdict))

    print(f"{rows:,} verdicts of {source.stat().st_size / rows:.0f} bytes, medians of {rounds} rounds; floor: {NAME}")
    for title, bare, own in (("write", bare_write, own_write), ("read", bare_read, own_read)):
        costs = [(timed(bare), timed(own)) for _ in range(rounds)]
        wall = statistics.median(own[0] / bare[0] for bare, own in costs)
        cpu = statistics.median(own[1] / bare[1] for bare, own in costs)
        seconds = statistics.median(own[0] for _, own in costs)
        print(f"{title:6} {seconds:6.2f} s, {wall:.2f} x the floor's wall, {cpu:.2f} x its cpu")
        for file in folder.glob("[0-9]*.jsonl"):
            file.unlink()


def report(folder: Path, count: int) -> None:
    """Prints what rating and reporting so many verdicts takes."""
    subprocess.run([sys.executable, __file__, "--fill", str(folder / "big"), "--rows", str(count)], check=True)
    for stage in ("rate", "report"):
        cost = run([sys.executable, "-m", "judgebench", stage, str(folder / "big")], folder / "log")
        if cost.code:
            sys.exit((folder / "log").read_text()[-2000:])
        print(f"{stage} of {count:,} verdicts: {cost.wall:.1f} s, {cost.cpu:.1f} s cpu, {cost.rss:.0f} MiB at most")


def fill(path: Path, count: int) -> None:
    """Writes a run of so many verdicts."""
    result = Run(path, create=True)
    most = count // 90 + 1
    record = {"version": "1", "about": "", "license": "", "scorer": "", "scorer_options": {}, "items": most,
              "available": most, "missing": [], "notes": [], "fingerprint": {}, "submission": ""}  # fmt: skip
    result.manifest["suites"]["stored"] = record
    result.save_items("stored", [Item(id=f"{number:06d}", turns=("What is it?",)) for number in range(most)])
    for model in MODELS:
        result.manifest["models"][model] = {"backend": "scripted", "id": "x", "options": {}}
        with Journal(result.answers_file(model)) as journal:
            for number in range(most):
                item = f"{number:06d}"
                journal.append(Answer(suite="stored", item=item, model=model, turns=("This.",), finish=("stop",)))
    spec = load_rubric("pairwise-general")
    result.manifest["rubrics"][spec.id] = msgspec.to_builtins(spec)
    rubric = {"id": spec.id, "without_reference": {}, "orders": "both", "samples": 1}
    result.manifest["judges"]["j"] = {"backend": "scripted", "id": "x", "options": {}, "baseline": False,
                                      "rubrics": {"pairwise-general": rubric}}  # fmt: skip
    file = result.verdicts_file("j", "pairwise-general")
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as lines:
        for verdict in verdicts(count):
            lines.write(msgspec.json.encode(verdict) + b"\n")
    result.save_manifest()


def main() -> None:
    """Prints both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--report", type=int, default=0, metavar="N")
    parser.add_argument("--fill", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.fill:
        fill(given.fill, given.rows)
        return
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as work:
        if given.report:
            report(Path(work), given.report)
        else:
            compare(Path(work), given.rows, given.rounds)


if __name__ == "__main__":
    main()
