"""Judging through an endpoint: ``python benchmarks/endpoint.py [--tail] [--clients bare,judgebench,openai]``.

``judgebench judge`` of stored answers, start to finish, beside bare sockets and the openai package over two transports,
each a process of its own, against a mock server on this machine. Rounds are interleaved; ratios are taken within a
round, and their medians printed. ``span`` leaves start-up out: the wall of the same command with nothing to judge.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from endpoint_parts import Cost, floor, fresh, judging, mock, run, stored, verdicts


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--latency", type=float, default=0.05)
    parser.add_argument("--tail", action="store_true", help="a heavy-tailed server: median 0.2 s")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", default="bare,judgebench")
    given = parser.parse_args()
    flags = ["--latency", str(0.2 if given.tail else given.latency), *(["--tail"] if given.tail else [])]
    clients = given.clients.split(",")
    costs: dict[str, list[Cost]] = {client: [] for client in clients}
    with tempfile.TemporaryDirectory() as work, mock(*flags) as server:
        folder = Path(work)
        path = stored(folder, given.requests)
        log = folder / "log"
        for _ in range(given.rounds):
            for client in clients:
                server.reset()
                if client == "judgebench":
                    command = judging(fresh(path), server.base, concurrency=given.concurrency)
                else:
                    prompts, out = folder / "prompts.jsonl", folder / "out.jsonl"
                    command = floor(prompts, server.base, out, client, concurrency=given.concurrency)
                cost = run(command, log)
                if cost.code or server.stats()["answered"] != given.requests:
                    sys.exit(f"{client} failed:\n{log.read_text()[-2000:]}")
                costs[client].append(cost)
        if "judgebench" in costs:
            assert len(verdicts(path)) == given.requests
    print(f"{given.requests} requests, concurrency {given.concurrency}, {' '.join(flags)}, {given.rounds} rounds")
    for client in clients:
        rows = costs[client]
        ratio = statistics.median(row.wall / first.wall for row, first in zip(rows, costs[clients[0]], strict=True))
        wall, cpu = statistics.median(row.wall for row in rows), statistics.median(row.cpu for row in rows)
        print(
            f"{client:14} wall {wall:6.2f} s  x {ratio:5.2f}  cpu {cpu:5.2f} s  {1000 * cpu / given.requests:5.2f} ms "
            f"a request  {max(row.rss for row in rows):6.1f} MiB"
        )


if __name__ == "__main__":
    main()
