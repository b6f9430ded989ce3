"""Files a user writes, and files written whole."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from judgebench.errors import FileError, UserError
from judgebench.files import line_of, plain_name, read_yaml, safe_name, shipped, write_atomic


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    text: str = ""
    number: float = 0.0


class Outer(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    mode: Literal["pointwise", "pairwise"] = "pointwise"
    count: int = 0
    flag: bool = False
    words: list[str] = []
    inner: dict[str, Inner] = {}
    levels: dict[int, str] = {}
    either: Inner | list[Inner] | None = None
    pair: tuple[float, float] = (0, 1)
    anything: dict[str, Any] = {}


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "a.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def refused(tmp_path: Path, text: str) -> str:
    path = write(tmp_path, text)
    with pytest.raises(FileError) as caught:
        read_yaml(path, Outer)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    return message.removeprefix(str(path))


def test_a_file_is_read_into_its_type(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        'name: "42"\nflag: yes\ncount: 7\nwords: [a, "no", it is, -x]\nlevels: {1: bad, 2: good}\n'
        "inner:\n  a:\n    text: |\n      one\n      two\n    number: 1e-3\npair: [1, 10]\n"
        "anything: {a: [1, null, 2.5, true]}\n",
    )
    read = read_yaml(path, Outer)
    assert (read.name, read.flag, read.count, read.words) == ("42", True, 7, ["a", "no", "it is", "-x"])
    assert read.levels == {1: "bad", 2: "good"}
    assert read.inner == {"a": Inner(text="one\ntwo\n", number=0.001)}
    assert read.pair == (1.0, 10.0)
    assert read.anything == {"a": [1, None, 2.5, True]}


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("name: no", 1, "name: found no where text is due: quote it"),
        ("name: 42", 1, "name: found 42 where text is due: quote it"),
        ("name: 1e3", 1, "name: found 1e3 where text is due: quote it"),
        ("name: 2024-01-02", 1, "name: found the date 2024-01-02: quote it"),
        ("name: x\nwords:\n  - a\n  - on\n", 4, "words.1: found on where text is due: quote it"),
        ("name: x\nanything: {day: 2024-01-02}\n", 2, "anything.day: found the date 2024-01-02: quote it"),
        ("name: x\ncount: 010\n", 2, "count: found 010, which YAML reads as a number of another base"),
        ("name: ~", 1, "name: found nothing where text is due"),
        ("name:\n  - a\n", 1, "name: found a list of 1; allowed: text"),
        ("name: x\ncount: many\n", 2, "count: found 'many'; allowed: a whole number"),
        ("name: x\nmode: pointwize\n", 2, "mode: found 'pointwize': did you mean 'pointwise'?"),
        ("name: x\n\ninner:\n  a:\n    txet: y\n", 5, "inner.a.txet: unknown key 'txet': did you mean 'text'?"),
        ("name: x\ninner:\n  a: {text: y}\n  b: {text: off}\n", 4, "inner.b.text: found off where text is due"),
        ("name: x\neither: [{text: y}, {tex: z}]\n", 2, "either.1.tex: unknown key 'tex'"),
        ("name: x\nname: y\n", 2, "name: is there twice"),
        ("name: x\ninner: {no: {text: y}}\n", 2, "inner.no: the key no is not text: quote it"),
        ("name: x\n42: y\n", 2, "42: the key 42 is not text: quote it"),
        ("name: x\nlevels: {one: bad}\n", 2, "levels"),
        ("name: x\npair: [1]\n", 2, "pair: found a list of 1"),
        ("mode: pairwise\n", 1, "the key 'name' is missing"),
        ("name: x\nwords: *a\n", 2, "alias"),
        ("name: &a x\n", 1, "anchor"),
        ("name: !!python/object/apply:os.getcwd []\n", 1, "tag"),
        ("name: x\n---\nname: y\n", 2, "second document"),
        ("name: [a\n", 2, "is not YAML"),
        ("name: 'a\n", 2, "is not YAML"),
        ("- a\n", 1, "found a list of 1; allowed: a mapping"),
        ("{[a]: b}\n", 1, "cannot be a key"),
        ("[" * 60 + "]" * 60, 1, "nested deeper than 50"),
    ],
)
def test_a_mistake_names_line_key_and_what_is_allowed(tmp_path: Path, text: str, line: int, says: str) -> None:
    message = refused(tmp_path, text)
    assert message.startswith(f":{line}: "), message
    assert says in message


def test_a_hundred_thousand_brackets_are_an_error_and_no_crash(tmp_path: Path) -> None:
    assert "nested" in refused(tmp_path, "[" * 100_000)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "there is no such file"),
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_bytes(b"# only a comment\n"), "is empty"),
        (lambda path: path.write_bytes(b"name: x\nmode: \xff\n"), ":2: is not UTF-8"),
        (lambda path: os.truncate(path, path.write_bytes(b"") or 65 * 1024 * 1024), "at most 67,108,864 are read"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path, make: Any, says: str) -> None:
    path = tmp_path / "b.yaml"
    closing = make(path)
    del closing
    with pytest.raises(FileError, match=says) as caught:
        read_yaml(path, Outer)
    assert "\n" not in str(caught.value)


def test_the_line_of_a_character_in_a_block_text_is_found(tmp_path: Path) -> None:
    path = write(tmp_path, "name: x\n\ninner:\n  a:\n    text: |\n      one\n      two {hole}\n")
    text = read_yaml(path, Outer).inner["a"].text
    assert line_of(path, ("inner", "a", "text"), text.index("{hole}")) == 7
    assert line_of(path, ("name",)) == 1
    assert line_of(path, ("inner", "b")) == 3


def test_shipped_folders_are_those_of_the_checkout() -> None:
    assert shipped("suites").parent == Path(__file__).resolve().parent.parent
    with pytest.raises(ValueError, match="nothing"):
        shipped("secrets")


def test_an_atomic_write_replaces_whole_and_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.txt"
    write_atomic(path, "one")
    write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert [each.name for each in path.parent.iterdir()] == ["a.txt"]
    with pytest.raises(UserError, match="cannot be written"):
        write_atomic(path / "below", "x")


def test_a_symbolic_link_stays_and_its_target_is_written(tmp_path: Path) -> None:
    target, link = tmp_path / "elsewhere" / "target.txt", tmp_path / "link.txt"
    link.symlink_to(target)  # to nothing yet
    for content in ("made", "replaced"):
        write_atomic(link, content)
        assert link.is_symlink()
        assert not target.is_symlink()
        assert target.read_text(encoding="utf-8") == content
    second = tmp_path / "second"
    second.symlink_to(link.name)  # relative, and to a link
    write_atomic(second, "through both")
    assert second.is_symlink()
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8") == "through both"
    assert [each.name for each in target.parent.iterdir()] == ["target.txt"]


def test_a_link_that_leads_to_itself_is_refused_in_one_line(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(link)
    with pytest.raises(UserError, match="cannot be written") as caught:
        write_atomic(link, "x")
    assert "\n" not in str(caught.value)
    assert link.is_symlink()


def test_a_pipe_is_written_into_and_stays_a_pipe(tmp_path: Path) -> None:
    pipe, heard = tmp_path / "pipe", []
    os.mkfifo(pipe)
    content = "ä" * 200_000  # more than a pipe holds
    reader = threading.Thread(target=lambda: heard.append(pipe.read_text(encoding="utf-8")), daemon=True)
    reader.start()
    write_atomic(pipe, content)
    reader.join(30)
    assert heard == [content]
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]


def test_a_link_to_a_pipe_is_written_into_too(tmp_path: Path) -> None:
    pipe, link, heard = tmp_path / "pipe", tmp_path / "link", []
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    reader = threading.Thread(target=lambda: heard.append(pipe.read_bytes()), daemon=True)
    reader.start()
    write_atomic(link, b"through")
    reader.join(30)
    assert heard == [b"through"]
    assert link.is_symlink()
    assert pipe.is_fifo()


def test_a_socket_and_a_folder_are_refused_and_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's address may be no longer than some 100 bytes
    folder = tmp_path / "folder"
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        for path, kind in ((tmp_path / "socket", "a socket"), (folder, "a folder")):
            with pytest.raises(UserError, match=f"is {kind}; a file is needed"):
                write_atomic(path, "x")
        assert (tmp_path / "socket").is_socket()
    assert folder.is_dir()


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_safe_name_is_one_file_name_and_goes_back(name: str) -> None:
    encoded = safe_name(name)
    assert "/" not in encoded
    assert not encoded.startswith(".")
    assert plain_name(encoded) == name
