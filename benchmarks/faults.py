"""A server that fails, and a client that is killed: ``python benchmarks/faults.py``.

``judgebench judge`` of stored answers against a server that refuses 5 % of all calls (429 with Retry-After), fails 2 %
(500), tears 1 % (half a JSON) and never answers 1 %. Then the same work against a sound server, killed with SIGKILL
half way and begun anew: what was answered must not be asked again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from endpoint_parts import fresh, judging, mock, run, stored, verdicts


def main() -> None:
    """Prints both tables; exits with 1 where something was lost or asked too often."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--timeout", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=1)
    given = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as work:
        path, log = stored(Path(work), given.requests), Path(work) / "log"
        timeout = ["--option", f"j.timeout={given.timeout}"]
        for seed in range(1, given.rounds + 1):
            with mock("--latency", "0.05", "--faults", "--seed", str(seed)) as server:
                command = judging(fresh(path), server.base, *timeout, concurrency=given.concurrency)
                cost = run(command, log)
                stats = server.stats()
            found = verdicts(path)
            scored = sum(bool(verdict["scores"]) for verdict in found)
            reasons = Counter(verdict["error"].partition(":")[0] for verdict in found if not verdict["scores"])
            lost = given.requests - len(found)
            failed |= bool(lost) or stats["extra"] > stats["injected"] or stats["answered_again"] > 0
            print(
                f"faults: {stats['injected']} injected {stats['faults']}; {stats['extra']} extra requests; "
                f"{scored} scored, {dict(reasons)} unscored, {lost} lost; {stats['answered_again']} asked again though "
                f"answered; wall {cost.wall:.1f} s, exit {cost.code}"
            )
        with mock("--latency", "0.05") as server:
            command = judging(fresh(path), server.base, concurrency=given.concurrency)

            def kill(process: subprocess.Popen[bytes]) -> None:
                if server.stats()["answered"] >= given.requests / 2:
                    process.kill()
                time.sleep(0.02)

            first = run(command, log, tick=kill)
            time.sleep(0.3)
            kept, before = len(verdicts(path)), server.stats()
            second = run(command, log)
            after = server.stats()
        resent = after["extra"]
        failed |= resent > given.concurrency or len(verdicts(path)) != given.requests or bool(second.code)
        print(
            f"kill -9: exit {first.code} with {kept} verdicts of {before['requests']} requests sent; in the end "
            f"{after['items']} items asked, {resent} of them twice (at most {given.concurrency}), "
            f"{len(verdicts(path))} verdicts"
        )
    sys.exit(failed)


if __name__ == "__main__":
    main()
