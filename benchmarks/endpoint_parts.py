"""What the endpoint benchmarks share: a run of stored answers, the mock server as a process, and the process meter."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SYSTEM = "You are an impartial judge of an AI assistant."
FRAME = "Grade the reply to the question between the marks, from 1 to 10, and end with [[n]]. " * 7
WORDS = (  # noqa: SIM905
    "the reply names a method that weighs truth against depth and gives numbers sources steps and bounds for what it "
    "says while some of its claims about the data stay open"
).split()


@dataclass(frozen=True)
class Cost:
    """What a process took."""

    wall: float
    """Seconds from start to end."""
    cpu: float
    """Processor seconds, user and system."""
    rss: float
    """Largest resident set, MiB."""
    code: int
    """Exit status; minus the signal's number where one ended it."""


def run(command: Sequence[str], log: Path, *, tick: Callable[[subprocess.Popen[bytes]], None] | None = None) -> Cost:
    """The cost of a command, its words appended to ``log``; ``tick`` is called a hundred times a second."""
    environment = {**os.environ, "OPENAI_API_KEY": "none"}
    with log.open("ab") as words:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=words, stderr=words, stdin=subprocess.DEVNULL, env=environment)
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG if tick else 0)
            if pid:
                break
            if tick:
                tick(process)
            time.sleep(0.01)
        wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, process.returncode)


class Mock:
    """The mock server as a process of its own."""

    def __init__(self, *flags: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "endpoint_mock.py"), *flags], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.base = f"http://127.0.0.1:{self._process.stdout.readline().split()[1]}/v1"

    def stats(self) -> dict[str, Any]:
        """What it has seen."""
        with urllib.request.urlopen(self.base.removesuffix("/v1") + "/stats", timeout=10) as response:
            found: dict[str, Any] = json.loads(response.read())
        return found

    def reset(self) -> None:
        """Forgets what it has seen."""
        root = self.base.removesuffix("/v1")
        urllib.request.urlopen(urllib.request.Request(root + "/reset", method="POST"), timeout=10).close()

    def close(self) -> None:
        """Ends it."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


@contextlib.contextmanager
def mock(*flags: str) -> Iterator[Mock]:
    """The mock server with these flags."""
    server = Mock(*flags)
    try:
        yield server
    finally:
        server.close()


def stored(folder: Path, count: int) -> Path:
    """A run of one model with so many answers to one open suite, and the same prompts for the floor beside it.

    It is made by a process of its own: a child's largest resident set counts from its parent's.

    Returns:
        The run's folder; ``prompts.jsonl`` stands in ``folder``.
    """
    subprocess.run([sys.executable, __file__, str(folder), str(count)], check=True)
    return folder / f"run-{count}"


def store(folder: Path, count: int) -> None:
    """Writes what `stored` gives."""
    from judgebench.runs import Journal, Run
    from judgebench.types import Answer, Item

    draw = random.Random(0)
    record = {"version": "1", "about": "", "license": "", "scorer": "", "scorer_options": {}, "items": count,
              "available": count, "missing": [], "notes": [], "fingerprint": {}, "submission": ""}  # fmt: skip
    result = Run(folder / f"run-{count}", create=True)
    result.manifest["suites"]["stored"] = record
    result.manifest["models"]["m"] = {"backend": "scripted", "id": "x", "options": {}}
    items, prompts = [], []
    with Journal(result.answers_file("m")) as journal:
        for number in range(count):
            asked = f"Question ITEM-{number:06d}: " + " ".join(draw.choices(WORDS, k=60))
            said = " ".join(draw.choices(WORDS, k=110))
            items.append(Item(id=f"{number:06d}", turns=(asked,)))
            journal.append(Answer(suite="stored", item=f"{number:06d}", model="m", turns=(said,), finish=("stop",)))
            prompts.append({"id": number, "system": SYSTEM, "prompt": f"{FRAME}\n{asked}\n{said}"})
    result.save_items("stored", items)
    result.save_manifest()
    (folder / "prompts.jsonl").write_text("".join(json.dumps(prompt) + "\n" for prompt in prompts))


def fresh(path: Path) -> Path:
    """The run without its verdicts."""
    for file in (path / "verdicts").glob("*.jsonl"):
        file.unlink()
    return path


def judging(path: Path, base: str, *more: str, concurrency: int = 64) -> list[str]:
    """The command that judges the run by the mock."""
    return [
        sys.executable, "-m", "judgebench", "judge", str(path), "--judge", "j=openai/mock",
        "--rubric", "pointwise-general", "--option", f"j.base_url={base}",
        "--max-concurrency", str(concurrency), "--no-cache", *more,
    ]  # fmt: skip


def floor(prompts: Path, base: str, out: Path, client: str = "bare", *, concurrency: int = 64) -> list[str]:
    """The command of the floor."""
    return [
        sys.executable, str(HERE / "endpoint_floor.py"), str(prompts), base, str(out), "--client", client,
        "--concurrency", str(concurrency),
    ]  # fmt: skip


def verdicts(path: Path) -> list[dict[str, Any]]:
    """What stands in the run's verdict file, whole lines only."""
    found = []
    for file in (path / "verdicts").glob("*.jsonl"):
        for line in file.read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n"):
                found.append(json.loads(line))
    return found


if __name__ == "__main__":
    store(Path(sys.argv[1]), int(sys.argv[2]))
