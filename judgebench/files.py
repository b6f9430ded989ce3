"""Files a user writes: read strictly, with errors that name file, line and key; files written whole or not at all."""

from __future__ import annotations

import os
import stat
import tempfile
import urllib.parse
from pathlib import Path
from typing import TypeVar

import msgspec

from judgebench.errors import FileError, UserError
from judgebench.yaml_tree import Keys, content_of, explain, find, parse

T = TypeVar("T")

LARGEST = 64 * 1024 * 1024
"""Most bytes of one YAML file."""


def read_yaml(path: str | Path, type: type[T]) -> T:
    """The content of a YAML file as ``type`` (a msgspec struct that forbids unknown fields).

    Plain scalars that YAML turns into something else (``no``, ``1e3``, ``42``, a date) are refused where text is due;
    duplicate keys, anchors, tags and unknown keys are refused everywhere.

    Raises:
        FileError: the file cannot be read or does not fit; one line with file, line, key, found and allowed.
    """
    root = parse(path, read_bytes(path, largest=LARGEST))
    content = content_of(path, root)
    try:
        return msgspec.convert(content, type)
    except msgspec.ValidationError as error:
        raise explain(path, root, content, type, error) from None


def line_of(path: str | Path, keys: Keys, offset: int = 0) -> int:
    """1-based line of the value under a key path, or of the character at ``offset`` in its text; 0 where there is none.

    >>> line_of("rubrics/mine.yaml", ("prompt",), 120)  # doctest: +SKIP
    14
    """
    try:
        node, line = find(parse(path, read_bytes(path, largest=LARGEST)), keys)
    except FileError:
        return 0
    if node is None or not isinstance(node.value, str):
        return line
    return node.line + node.value[:offset].count("\n") + (1 if node.block else 0)


def read_bytes(path: str | Path, *, largest: int | None = None) -> bytes:
    """All bytes of a file.

    Raises:
        FileError: it is missing, a folder, unreadable or larger than ``largest`` bytes.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise FileError(path, "is a folder; a file is needed")
        if largest is not None and path.stat().st_size > largest:
            raise FileError(path, f"has {path.stat().st_size:,} bytes; at most {largest:,} are read")
        return path.read_bytes()
    except FileNotFoundError:
        raise FileError(path, "there is no such file") from None
    except OSError as error:
        raise FileError(path, f"cannot be read: {error.strerror or error}") from None


def shipped(kind: str) -> Path:
    """The folder of what the package brings (``rubrics``, ``suites`` or ``examples``), in a checkout or in a wheel.

    Raises:
        ValueError: nothing else is shipped.
    """
    if kind not in ("rubrics", "suites", "examples"):
        raise ValueError(f"nothing of the kind {kind!r} is shipped")
    package = Path(__file__).resolve().parent
    checkout = package.parent
    if (checkout / "pyproject.toml").is_file() and (checkout / kind).is_dir():
        return checkout / kind
    return package / "shipped" / kind


def write_atomic(path: str | Path, content: str | bytes) -> None:
    """Nothing; the file holds ``content`` afterwards, whole, or what it held before.

    A symbolic link stays, and its target is replaced. A pipe or a device that takes characters stays too: ``content``
    is written into it, as a shell's ``>`` does.

    Raises:
        UserError: the disk is full, the folder cannot be written, or ``path`` is a folder, a socket or a disk.
    """
    path = Path(path)
    data = content.encode() if isinstance(content, str) else content
    try:
        if _takes_a_stream(path):
            with path.open("wb", buffering=0) as stream:
                left = memoryview(data)
                while left:
                    left = left[stream.write(left) or 0 :]
        else:
            _replace(Path(os.path.realpath(path)) if path.is_symlink() else path, data)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from error


def _takes_a_stream(path: Path) -> bool:
    """Whether what is there is a pipe or a device of characters; False where a file is, or nothing.

    Raises:
        UserError: it is a folder, a socket or a device of blocks.
        OSError: it cannot be looked at.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISREG(mode):
        return False
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        return True
    kind = "a folder" if stat.S_ISDIR(mode) else "a socket" if stat.S_ISSOCK(mode) else "a disk"
    raise UserError(f"{path}: is {kind}; a file is needed")


def _replace(path: Path, data: bytes) -> None:
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.", suffix=".part")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        Path(temporary).chmod(0o666 & ~mask)
        Path(temporary).replace(path)
        sync_folder(path.parent)
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Forces a folder's list of files to the disk: without it a power failure may lose a file that was itself synced.

    Raises:
        OSError: the folder cannot be opened.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def safe_name(name: str) -> str:
    """A name as one file name: all but letters, digits and ``._-+@=`` percent-encoded, a leading dot too.

    >>> safe_name("Qwen/Qwen3-8B")
    'Qwen%2FQwen3-8B'
    """
    encoded = urllib.parse.quote(name, safe="+@=").replace("~", "%7E")
    return f"%2E{encoded[1:]}" if encoded.startswith(".") else encoded


def plain_name(encoded: str) -> str:
    """The name that ``safe_name`` made a file name of.

    >>> plain_name("Qwen%2FQwen3-8B")
    'Qwen/Qwen3-8B'
    """
    return urllib.parse.unquote(encoded)
