"""A disk that fills up half way, and what has been forced to it by the time a command says done."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from endpoint_server import Act, EndpointServer

from judgebench.files import write_atomic
from judgebench.runs import Journal, Run
from judgebench.types import Answer

SUITE = "name: talk\nlicense: Apache-2.0\nprompt: '{question}'\nscorer: number\nitems:\n" + "".join(
    f'  - {{id: "{number}", question: question {number}, reference: "1"}}\n' for number in range(60)
)
LIMITED = (
    "import resource, sys\n"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))\n"
    "sys.argv = ['judgebench', *sys.argv[2:]]\n"
    "from judgebench.cli import entry\nentry()\n"
)


@pytest.mark.parametrize("cached", [False, True], ids=["no cache", "cache"])
def test_a_full_disk_ends_with_one_line_tears_nothing_and_the_same_command_goes_on(
    tmp_path: Path, cached: bool
) -> None:
    (tmp_path / "talk.yaml").write_text(SUITE, encoding="utf-8")
    with EndpointServer(lambda body, count: Act(text="1 " * 1500)) as server:
        words = ["generate", str(tmp_path / "r"), "--suite", str(tmp_path / "talk.yaml"), "--model", "m=openai/x",
                 "--option", f"m.base_url={server.base_url}", "--max-concurrency", "4", "--quiet"]  # fmt: skip
        if cached:
            words += ["--option", "m.revision=1"]
        full = [sys.executable, "-c", LIMITED, "80000", *words]
        done = subprocess.run(full, env=os.environ, capture_output=True, text=True, check=False)
        assert done.returncode == 2, done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
        assert "Traceback" not in done.stderr
        raw = (tmp_path / "r" / "answers" / "m.jsonl").read_bytes()
        assert raw.endswith(b"\n")
        held = Run(tmp_path / "r").answers()
        assert 0 < len(held) == len(raw.splitlines()) < 60
        asked = len(server.seen)
        again = [sys.executable, "-m", "judgebench", *words]
        done = subprocess.run(again, env=os.environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        after = Run(tmp_path / "r").answers()
        assert len(after) == 60
        assert all(after[key] == answer for key, answer in held.items())
        assert len(server.seen) - asked <= 60 - len(held)
        assert asked - len(held) <= 4 + 4 + 1  # under way, read ahead, and the one that no longer fitted


def test_what_was_said_to_be_done_is_forced_to_the_disk_with_the_folders_that_list_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forced: list[tuple[str, int]] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        path = str(Path(f"/proc/self/fd/{handle}").readlink())
        forced.append((path.removeprefix(f"{tmp_path}/"), os.fstat(handle).st_size))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    file = tmp_path / "run" / "answers" / "m.jsonl"
    with Journal(file) as journal:
        assert {path for path, _ in forced} >= {"run", "run/answers"}
        for number in range(5):
            journal.append(Answer(suite="s", item=str(number), model="m"))
    assert ("run/answers/m.jsonl", file.stat().st_size) in forced
    forced.clear()
    write_atomic(tmp_path / "run" / "summary.json", "{}")
    assert forced[0][0].startswith("run/.summary.json")
    assert forced[-1][0] == "run"
