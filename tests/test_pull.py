"""Rows fetched once from a real server on this machine."""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from judgebench.errors import UserError
from judgebench.sources import cache_folder
from judgebench.stages import pull
from judgebench.suites import load_suite

ROWS = b'{"q": "one", "a": "1"}\n{"q": "two", "a": "2"}\n'
GOOD = hashlib.sha256(ROWS).hexdigest()


class Upstream:
    """A server with files by path and a list of what was asked."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.cut = False
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                body = outer.files.get(self.path)
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write((body or b"")[: 5 if outer.cut else None])

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> Iterator[Upstream]:
    server = Upstream()
    monkeypatch.setenv("JUDGEBENCH_MIRROR", server.address)
    yield server
    server.close()


def suite(tmp_path: Path, sha256: str = "", path: str = "mine/rows.jsonl") -> str:
    file = tmp_path / "mine.yaml"
    file.write_text(
        f'name: mine\nsource:\n  items: {{path: "{path}", url: "https://example.org/{path}", sha256: "{sha256}"}}\n'
        "map: {question: q, reference: a}\nscorer: text\n"
    )
    return str(file)


def run(*names: str, quiet: bool = True) -> int:
    parser = argparse.ArgumentParser()
    pull.add_arguments(parser)
    return pull.main(parser.parse_args([*names, *(["--quiet"] if quiet else [])]))


def kept() -> list[str]:
    return sorted(str(path.relative_to(cache_folder())) for path in cache_folder().rglob("*") if path.is_file())


def test_what_is_pulled_is_read_and_not_asked_for_again(upstream: Upstream, tmp_path: Path) -> None:
    upstream.files["/mine/rows.jsonl"] = ROWS
    name = suite(tmp_path, GOOD)
    with pytest.raises(UserError, match="judgebench pull mine, or --data DIR"):
        load_suite(name)
    assert run(name) == run(name) == 0
    assert upstream.asked == ["/mine/rows.jsonl"]
    assert [item.turns for item in load_suite(name).items] == [("one",), ("two",)]
    assert kept() == ["mine/rows.jsonl"]


def test_a_hash_that_differs_stops_and_keeps_nothing(upstream: Upstream, tmp_path: Path) -> None:
    upstream.files["/mine/rows.jsonl"] = ROWS + b"\n"
    with pytest.raises(UserError, match=f"known to be {GOOD}; nothing was kept"):
        run(suite(tmp_path, GOOD))
    assert kept() == []


def test_an_unknown_hash_is_pinned_said_and_held_to(
    upstream: Upstream, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    upstream.files["/mine/rows.jsonl"] = ROWS
    name = suite(tmp_path)
    run(name, quiet=False)
    assert f"its hash was not known; pinned {GOOD}" in capsys.readouterr().err
    lock = json.loads((cache_folder() / "lock.json").read_text())
    assert lock == {"mine/rows.jsonl": {"url": "https://example.org/mine/rows.jsonl", "sha256": GOOD}}
    (cache_folder() / "mine/rows.jsonl").unlink()
    upstream.files["/mine/rows.jsonl"] = ROWS * 2
    with pytest.raises(UserError, match="pinned in"):
        run(name)
    assert kept() == ["lock.json"]


def test_hashes_are_of_the_uncompressed_content(upstream: Upstream, tmp_path: Path) -> None:
    upstream.files["/mine/rows.jsonl.gz"] = gzip.compress(ROWS)
    name = suite(tmp_path, GOOD, "mine/rows.jsonl.gz")
    run(name)
    assert len(load_suite(name).items) == 2
    upstream.files["/mine/rows.jsonl.gz"] = gzip.compress(ROWS)[:-9]
    (cache_folder() / "mine/rows.jsonl.gz").unlink()
    with pytest.raises(UserError, match="not whole gzip"):
        run(name)
    assert kept() == []


def test_a_missing_or_torn_file_is_one_line_and_keeps_nothing(upstream: Upstream, tmp_path: Path) -> None:
    name = suite(tmp_path, GOOD)
    with pytest.raises(UserError, match="the server says 404"):
        run(name)
    upstream.files["/mine/rows.jsonl"], upstream.cut = ROWS, True
    with pytest.raises(UserError, match="nothing was kept"):
        run(name)
    assert kept() == []


def test_nobody_listens_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUDGEBENCH_MIRROR", "http://127.0.0.1:1")
    with pytest.raises(UserError, match="refused"):
        run(suite(tmp_path, GOOD))
    monkeypatch.setenv("JUDGEBENCH_MIRROR", "somewhere")
    with pytest.raises(UserError, match="JUDGEBENCH_MIRROR is 'somewhere'"):
        run(suite(tmp_path, GOOD))
    monkeypatch.setenv("JUDGEBENCH_MIRROR", "https://me:hidden-word@mirror.example")
    with pytest.raises(UserError, match="may hold no user or password") as refused:
        run(suite(tmp_path, GOOD))
    assert "hidden-word" not in str(refused.value)


def test_a_suite_with_its_own_items_has_nothing_to_fetch(
    upstream: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("mini-math", quiet=False) == 0
    assert "carries its questions" in capsys.readouterr().err
    assert upstream.asked == []


def test_a_path_may_not_leave_the_cache(upstream: Upstream, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="leaves the cache"):
        run(suite(tmp_path, GOOD, "../../outside.jsonl"))
    with pytest.raises(UserError, match="no suite is called 'mmlo': did you mean 'mmlu'"):
        run("mmlo")


def test_a_category_with_spaces_and_signs_is_percent_encoded_in_the_address(upstream: Upstream, tmp_path: Path) -> None:
    upstream.files["/rows/Arts%20%26%20C%2B%2B.jsonl"] = ROWS
    file = tmp_path / "mine.yaml"
    file.write_text(
        'name: mine\ncategories: ["Arts & C++"]\n'
        'source: {items: {path: "m/{category}.jsonl", url: "https://example.org/rows/{category}.jsonl"}}\n'
        "map: {question: q, reference: a}\nscorer: text\n"
    )
    assert run(str(file)) == 0
    assert kept() == ["lock.json", "m/Arts & C++.jsonl"]
    assert {item.category for item in load_suite(str(file)).items} == {"Arts & C++"}
