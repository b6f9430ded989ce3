"""From a thousand to twenty thousand calls: ``python benchmarks/growth.py [--sizes 1000,5000,20000]``.

``judgebench judge`` of stored answers against a server that takes 5 ms, concurrency 64, beside bare sockets; each a
process of its own, rounds interleaved. Printed for each size are medians; in the end what a further request costs, the
difference of largest and smallest size divided by the requests between them: start-up drops out of it.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from endpoint_parts import Cost, floor, fresh, judging, mock, run, stored


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="1000,5000,20000")
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--latency", type=float, default=0.005)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--flags", default="", help="further flags of judgebench judge, such as --no-cache")
    given = parser.parse_args()
    sizes = [int(size) for size in given.sizes.split(",")]
    bare: dict[int, list[Cost]] = defaultdict(list)
    ours: dict[int, list[Cost]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as work, mock("--latency", str(given.latency)) as server:
        places = {size: Path(work) / str(size) for size in sizes}
        runs = {size: stored(place, size) for size, place in places.items()}
        for _ in range(given.rounds):
            for size, place in places.items():
                commands = (
                    (bare, floor(place / "prompts.jsonl", server.base, place / "out", concurrency=given.concurrency)),
                    (ours, judging(fresh(runs[size]), server.base, *given.flags.split(),
                                   concurrency=given.concurrency)),
                )  # fmt: skip
                for costs, command in commands:
                    server.reset()
                    cost = run(command, place / "log")
                    if cost.code or server.stats()["answered"] != size:
                        sys.exit(f"failed:\n{(place / 'log').read_text()[-2000:]}")
                    costs[size].append(cost)
    print(f"{given.latency * 1000:g} ms, concurrency {given.concurrency}, medians of {given.rounds} rounds")
    for size in sizes:
        ratio = statistics.median(own.wall / low.wall for own, low in zip(ours[size], bare[size], strict=True))
        row = [statistics.median(getattr(cost, name) for cost in ours[size]) for name in ("wall", "cpu", "rss")]
        low_cpu = statistics.median(cost.cpu for cost in bare[size])
        print(
            f"{size:7} requests: wall {row[0]:6.2f} s, {ratio:4.2f} x bare sockets; cpu {row[1]:5.2f} s "
            f"({1000 * row[1] / size:.2f} ms a request; bare {1000 * low_cpu / size:.2f}); {row[2]:.0f} MiB"
        )
    least, most = min(sizes), max(sizes)
    if most > least:
        cpu = statistics.median((b.cpu - a.cpu) for a, b in zip(ours[least], ours[most], strict=True))
        low = statistics.median((b.cpu - a.cpu) for a, b in zip(bare[least], bare[most], strict=True))
        rss = statistics.median((b.rss - a.rss) for a, b in zip(ours[least], ours[most], strict=True))
        further = most - least
        print(
            f"a further request: {1000 * cpu / further:.3f} ms cpu (bare {1000 * low / further:.3f}), "
            f"{1024 * rss / further:.2f} kB"
        )


if __name__ == "__main__":
    main()
