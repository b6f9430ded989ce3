"""The run folder: nothing is lost, nothing is mixed, a torn line is redone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from judgebench.errors import RunConflict, UserError
from judgebench.runs import Journal, Run, read_records
from judgebench.types import Answer, Item, Verdict


def answer(item: str, **changes: object) -> Answer:
    return Answer(suite="s", item=item, model="m", turns=("text",), finish=("stop",), **changes)  # type: ignore[arg-type]


def test_records_come_back_as_they_were_written(tmp_path: Path) -> None:
    run = Run(tmp_path / "r", create=True)
    written = [answer(str(i), reasoning=("é\n\u2028",)) for i in range(3)]
    with Journal(run.answers_file("m")) as journal:
        for each in written:
            journal.append(each)
    assert list(run.answers().values()) == written
    assert Run(tmp_path / "r").answers("m").keys() == {("s", str(i), "m", 0) for i in range(3)}


@pytest.mark.parametrize("torn", [b'{"suite":"s","item":"9"', b"{", b'{"suite":"s"}'])
def test_a_torn_last_line_is_left_out_by_readers_and_dropped_by_the_next_writer(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "a.jsonl"
    with Journal(path) as journal:
        journal.append(answer("1"))
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    assert [each.item for each in read_records(path, Answer)] == ["1"]
    with Journal(path) as journal:
        journal.append(answer("2"))
    assert [each.item for each in read_records(path, Answer)] == ["1", "2"]
    assert path.read_bytes().startswith(whole)


def test_a_file_of_one_torn_line_becomes_empty(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"x" * 200_000)
    Journal(path).close()
    assert path.read_bytes() == b""


def test_a_broken_line_in_the_middle_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"suite":"s"}\n{"suite":"s","item":"1","model":"m"}\n')
    with pytest.raises(UserError, match=r"a\.jsonl:1: is no answer record"):
        list(read_records(path, Answer))


def test_the_last_line_of_a_key_counts(tmp_path: Path) -> None:
    run = Run(tmp_path / "r", create=True)
    with Journal(run.answers_file("m")) as journal:
        journal.append(answer("1", error="timeout: 1 s"))
        journal.append(answer("1"))
    assert [each.error for each in run.answers().values()] == [""]


def test_a_second_writer_is_refused_with_the_first_ones_pid(tmp_path: Path) -> None:
    with (
        Journal(tmp_path / "a.jsonl"),
        pytest.raises(RunConflict, match=rf"written by another process \(pid {os.getpid()}\)"),
    ):
        Journal(tmp_path / "a.jsonl")
    Journal(tmp_path / "a.jsonl").close()


def test_a_writer_killed_in_mid_run_loses_no_line_it_had_written(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom judgebench.runs import Journal\n"
        "from judgebench.types import Answer\n"
        "journal = Journal(Path(sys.argv[1]))\n"
        "for i in range(10**9):\n"
        "    journal.append(Answer(suite='s', item=str(i), model='m', turns=('x' * 5000,)))\n"
        "    print(i, flush=True)\n"
    )
    path = tmp_path / "a.jsonl"
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    seen = -1
    while seen < 200:
        seen = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    seen = max([seen, *[int(line) for line in process.stdout.read().split("\n")[:-1] if line]])
    process.stdout.close()
    process.wait()
    assert [each.item for each in read_records(path, Answer)][: seen + 1] == [str(i) for i in range(seen + 1)]
    Journal(path).close()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_is_one_clear_line_and_what_was_written_stays_whole(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("this machine lets root mount nothing")
    try:
        written = 0

        def fill() -> None:
            nonlocal written
            with Journal(disk / "a.jsonl") as journal:
                while True:
                    journal.append(answer(str(written), error="x" * 3000))
                    written += 1

        with pytest.raises(UserError, match="the disk is full; everything before is kept"):
            fill()
        assert written > 5
        assert (disk / "a.jsonl").read_bytes().endswith(b"\n")
        assert len(list(read_records(disk / "a.jsonl", Answer))) == written
    finally:
        time.sleep(0.05)
        subprocess.run(["umount", str(disk)], check=True)


def test_what_is_no_run_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no run in .*nothing"):
        Run(tmp_path / "nothing")
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="is a file; a run is a folder"):
        Run(tmp_path / "file", create=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("x")
    with pytest.raises(UserError, match="holds other files"):
        Run(tmp_path / "other", create=True)
    assert (tmp_path / "other" / "thesis.tex").read_text() == "x"


def test_a_changed_part_refuses_alone_and_says_what_differs(tmp_path: Path) -> None:
    run = Run(tmp_path / "r", create=True)
    run.check_fingerprint("answers", "s | m", {"prompt": "typo"}, held=False)
    run.check_fingerprint("answers", "s | m", {"prompt": "one", "limit": 1}, held=False)
    run.check_fingerprint("answers", "s | other", {"prompt": "two"}, held=True)
    with pytest.raises(RunConflict, match=r's \| m: prompt was "one" and is now "two"'):
        run.check_fingerprint("answers", "s | m", {"prompt": "two"}, held=True)
    run.check_fingerprint("answers", "s | m", {"prompt": "one", "weights": "abc"}, held=True)


def test_two_processes_may_each_add_to_the_manifest(tmp_path: Path) -> None:
    first, second = Run(tmp_path / "r", create=True), Run(tmp_path / "r")
    first.manifest["judges"]["one"] = {"rubrics": {"a": 1}}
    first.save_manifest()
    second.manifest["judges"]["two"] = {"rubrics": {"b": 2}}
    second.manifest["seed"] = 3
    second.save_manifest()
    first.manifest["judges"]["one"]["rubrics"]["c"] = 3
    first.save_manifest()
    manifest = Run(tmp_path / "r").manifest
    assert manifest["judges"] == {"one": {"rubrics": {"a": 1, "c": 3}}, "two": {"rubrics": {"b": 2}}}
    assert manifest["seed"] == 3


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "{", '{"suites": []}'])
def test_a_damaged_manifest_is_one_clear_line(tmp_path: Path, text: str) -> None:
    Run(tmp_path / "r", create=True)
    (tmp_path / "r" / "manifest.json").write_text(text)
    with pytest.raises(UserError, match=r"manifest\.json is damaged"):
        Run(tmp_path / "r")


def test_names_with_slashes_and_percent_signs_have_files_of_their_own(tmp_path: Path) -> None:
    run = Run(tmp_path / "r", create=True)
    names = ["a/b", "a%2Fb", "a b", "../x", ".hidden", "ü", "a+b"]
    files = {run.verdicts_file(name, "r") for name in names} | {run.answers_file(name) for name in names}
    assert len(files) == 2 * len(names)
    assert all(file.parent in (run.path / "answers", run.path / "verdicts") for file in files)


def test_items_grow_and_never_shrink(tmp_path: Path) -> None:
    run = Run(tmp_path / "r", create=True)
    items = [Item(id=str(i), turns=("q",)) for i in range(4)]
    run.save_items("s", items[:3])
    assert list(run.save_items("s", items[2:])) == ["0", "1", "2", "3"]
    assert list(run.items("s").values()) == items


def test_a_verdicts_line_has_exactly_the_names_other_tools_rely_on(tmp_path: Path) -> None:
    import msgspec

    verdict = Verdict(suite="s", item="1", judge="j", shown=(("a", 0), ("b", 0)), kind="preference", scores=(1.0, 0.0))
    row = msgspec.json.decode(msgspec.json.encode(verdict))
    assert list(row) == [
        "suite", "item", "turn", "rubric", "judge", "dimension", "shown", "sample", "kind", "scores", "scale", "reply",
        "error", "usage", "seen",
    ]  # fmt: skip
    assert row["shown"] == [["a", 0], ["b", 0]]


def test_a_line_of_broken_utf8_is_named_and_several_records_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "r" / "answers" / "m.jsonl"
    with Journal(path) as journal:
        journal.append(*(Answer(suite="s", item=str(k), model="m", turns=("x",)) for k in range(3)))
    assert [each.item for each in read_records(path, Answer)] == ["0", "1", "2"]
    with path.open("ab") as file:
        file.write(b'{"suite":"s","item":"\xff","model":"m"}\n')
    with pytest.raises(UserError, match=r"m\.jsonl:4: is no answer record"):
        list(read_records(path, Answer))
    (tmp_path / "r" / "manifest.json").write_bytes(b'{"suites": "\xff"}')
    with pytest.raises(UserError, match="is damaged"):
        Run(tmp_path / "r")
