"""The viewer over a large run: ``python benchmarks/view.py [--rows 100000]``.

Each page is asked over HTTP of ``judgebench view`` in a process of its own, on a run of so many verdicts of five models
in both orders, each with a reply of sixty words. The floor is reading the run's files once into checked records. Also:
a page after one more verdict was written, and the server's resident memory beside the size of the run on disk.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from judgebench.rubrics import load_rubric
from judgebench.runs import Journal, Run, read_records
from judgebench.types import Answer, Item, Verdict

MODELS = [f"m{number}" for number in range(5)]
PAIRS = list(itertools.permutations(MODELS, 2))


def write(folder: Path, rows: int) -> Run:
    """A run of so many verdicts, ten pairs in both orders an item."""
    run, draw, rubric = Run(folder, create=True), random.Random(0), load_rubric("pairwise-general").id
    words = [f"word{number}" for number in range(500)]
    items = [str(number) for number in range(rows // len(PAIRS))]
    run.manifest["suites"]["talk"] = {"version": "1", "items": len(items), "available": len(items)}
    run.manifest["models"] = {name: {"backend": "imported", "id": name, "options": {}} for name in MODELS}
    run.save_manifest()
    run.save_items("talk", [Item(id=item, turns=(" ".join(draw.choices(words, k=30)),)) for item in items])
    for name in MODELS:
        with Journal(run.answers_file(name)) as journal:
            for item in items:
                text = " ".join(draw.choices(words, k=200))
                journal.append(Answer(suite="talk", item=item, model=name, turns=(text,), finish=("stop",)))
    with Journal(run.verdicts_file("j", "pairwise-general")) as journal:
        for item in items:
            for left, right in PAIRS:
                won = float(draw.random() < 0.5)
                journal.append(
                    Verdict(suite="talk", item=item, rubric=rubric, judge="j", kind="preference", scores=(won, 1 - won),
                            shown=((left, 0), (right, 0)), reply=" ".join(draw.choices(words, k=60)))
                )  # fmt: skip
    return run


def resident(pid: int) -> float:
    """MB of resident memory of a process."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def main() -> None:
    """Prints seconds a page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = write(Path(folder) / "results" / "large", args.rows)
        size = sum(path.stat().st_size for path in run.path.rglob("*.jsonl")) / 1e6
        began = time.perf_counter()
        for path in run.path.glob("*s/*.jsonl"):
            kind = {"items": Item, "answers": Answer, "verdicts": Verdict}[path.parent.name]
            for _ in read_records(path, kind):
                pass
        floor = time.perf_counter() - began
        sys.stdout.write(f"{args.rows:,} verdicts, {size:.0f} MB; read once {floor:.2f} s (1.0 floors)\n")
        process = subprocess.Popen(
            [sys.executable, "-m", "judgebench", "view", str(run.path.parent)], stdout=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout is not None
            parts = urlsplit(process.stdout.readline().strip())
            idle = resident(process.pid)

            def ask(path: str) -> float:
                connection = http.client.HTTPConnection("127.0.0.1", parts.port, timeout=120)
                began = time.perf_counter()
                connection.request("GET", parts.path + path)
                reply = connection.getresponse()
                body = reply.read()
                took = time.perf_counter() - began
                assert reply.status == 200, body[:300]
                connection.close()
                return took

            for name, path in (("runs, first", ""), ("items, first", "run?name=large")):
                took = ask(path)
                sys.stdout.write(f"{name:24}{took:8.3f} s {took / floor:6.2f} floors\n")
            pages = {
                "runs": "", "items": "run?name=large", "items, page 50": "run?name=large&page=50",
                "items with a word": "run?name=large&words=word17",
                "items without a hit": "run?name=large&words=nothing",
                "items that disagree": "run?name=large&show=disagree", "item": "item?name=large&suite=talk&item=17",
                "prompt": "prompt?name=large&suite=talk&item=17&verdict=3",
            }  # fmt: skip
            for name, path in pages.items():
                took = statistics.median(ask(path) for _ in range(args.rounds))
                sys.stdout.write(f"{name:24}{took:8.3f} s {took / floor:6.2f} floors\n")
            (last,) = itertools.islice(read_records(run.verdicts_file("j", "pairwise-general"), Verdict), 1)
            with Journal(run.verdicts_file("j", "pairwise-general")) as journal:
                journal.append(last)
                took = ask("run?name=large")
            sys.stdout.write(f"{'items, one verdict more':24}{took:8.3f} s {took / floor:6.2f} floors\n")
            grown = resident(process.pid) - idle
            sys.stdout.write(f"memory {grown:.0f} MB for the run, {grown / size:.1f} times its size on disk\n")
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


if __name__ == "__main__":
    main()
