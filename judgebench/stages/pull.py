"""``judgebench pull SUITE…``: fetches a suite's rows once, from upstream, into the cache."""

from __future__ import annotations

import argparse
import gzip
import hashlib
import http.client
import os
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
import zlib
from pathlib import Path
from typing import Any

import msgspec

from judgebench.errors import FileError, UserError, did_you_mean
from judgebench.files import read_bytes, write_atomic
from judgebench.hub import Hub, fetch
from judgebench.report.visible import visible
from judgebench.sources import File, Source, cache_folder
from judgebench.suites import check_suite, find_suite_file

TIMEOUT = 60.0
"""Seconds without a byte after which a transfer is given up."""
_CHUNK = 1 << 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing; the parser takes suites, ``--version`` and ``--quiet`` afterwards."""
    parser.description = (
        "Fetch a suite's questions once into the cache (JUDGEBENCH_CACHE, else the platform's cache folder). "
        "A sha256 that upstream is known by is checked; an unknown one is pinned in lock.json on the first pull. "
        "JUDGEBENCH_MIRROR=http://host replaces scheme and host of every address; hashes are checked all the same."
    )
    parser.add_argument("suites", nargs="+", metavar="SUITE", help="a shipped suite's name or a suite file")
    parser.add_argument(
        "--version", dest="source_version", metavar="NAME", help="the version of the rows; default: first"
    )
    parser.add_argument("--quiet", action="store_true", help="say nothing but errors")


def main(args: argparse.Namespace) -> int:
    """0 once every file of every suite is in the cache.

    Raises:
        UserError: a suite has nothing to fetch, an address does not answer, or a hash differs; nothing half is kept.
    """
    wanted = [(name, _source(name, args.source_version)) for name in _split(args.suites)]
    for name, source in wanted:
        if source is None:
            _say(args, f"{name}: carries its questions; nothing to fetch")
            continue
        categories = tuple(check_suite(find_suite_file(name)).categories)
        for file in (source.items, source.fewshot, source.join):
            for category in _categories(file, categories):
                assert file is not None
                _pull(file, category, args)
    return 0


def _split(names: list[str]) -> list[str]:
    return [part for name in names for part in name.split(",") if part]


def _source(name: str, version: str | None) -> Source | None:
    suite = check_suite(find_suite_file(name))
    if not suite.sources:
        return None
    if version is None:
        chosen = suite.sources[0]
    else:
        known = {source.version: source for source in suite.sources}
        if version not in known:
            raise UserError(f"{name} has no version {version!r}: {did_you_mean(version, known)}")
        chosen = known[version]
    files = [file for file in (chosen.items, chosen.fewshot, chosen.join) if file is not None]
    lacking = [file.path for file in files if not file.url and file.hub is None]
    if lacking:
        raise UserError(f"{name}: no address is known for {', '.join(lacking)}; use --data DIR with that file")
    return chosen


def _categories(file: File | None, categories: tuple[str, ...]) -> tuple[str, ...]:
    if file is None:
        return ()
    return categories if "{category}" in file.path else ("",)


def _pull(file: File, category: str, args: argparse.Namespace) -> None:
    """Nothing; the file is in the cache and its hash is the known or the pinned one.

    Raises:
        UserError: it cannot be fetched, or its hash differs.
    """
    cache = cache_folder()
    name = file.path.replace("{category}", category)
    path = cache / name
    if not path.resolve().is_relative_to(cache.resolve()):
        raise UserError(f"the path {name!r} leaves the cache folder")
    lock = _lock(cache)
    pinned = lock.get(name, {}).get("sha256", "")
    expected = file.expected(category) or pinned
    if path.is_file() and expected and content_hash(path) == expected:
        _say(args, f"{name}: there")
        return
    if file.hub is not None:
        url = f"the hub's {file.hub.name} ({file.hub.split})"
        _say(args, f"{name}: fetching {url}")
        partial = _from_hub(file.hub, category, path)
    else:
        url = mirrored(file.url.replace("{category}", urllib.parse.quote(category)))
        _say(args, f"{name}: fetching {url}")
        partial = _fetch(url, path, args)
    try:
        found = content_hash(partial, name)
        if expected and found != expected:
            where = "upstream's is known to be" if file.expected(category) else f"pinned in {cache / 'lock.json'} is"
            raise UserError(f"{url}: sha256 of the content is {found}, {where} {expected}; nothing was kept")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    if not file.expected(category) and not pinned:
        address = url if file.hub is not None else file.url.replace("{category}", category)
        lock[name] = {"url": address, "sha256": found}
        write_atomic(
            cache / "lock.json", msgspec.json.format(msgspec.json.encode(lock, order="sorted"), indent=2) + b"\n"
        )
        _say(args, f"{name}: its hash was not known; pinned {found} in {cache / 'lock.json'}")


def mirrored(url: str) -> str:
    """The address, with scheme and host of JUDGEBENCH_MIRROR where that is set.

    Raises:
        UserError: the mirror is not an address, or holds a password.
    """
    mirror = os.environ.get("JUDGEBENCH_MIRROR", "")
    if not mirror:
        return url
    base = urllib.parse.urlsplit(mirror)
    if base.scheme not in ("http", "https") or not base.netloc:
        shown = mirror.rpartition("@")[2]
        raise UserError(f"JUDGEBENCH_MIRROR is {shown!r}; allowed: http://HOST or https://HOST")
    if "@" in base.netloc:
        raise UserError(f"JUDGEBENCH_MIRROR may hold no user or password: addresses are printed ({base.hostname})")
    return urllib.parse.urlsplit(url)._replace(scheme=base.scheme, netloc=base.netloc).geturl()


def content_hash(path: Path, name: str = "") -> str:
    """sha256 of a file's uncompressed content, read in pieces; ``name`` tells its ending where it is a temporary file.

    Raises:
        FileError: it is not the gzip its name says.
    """
    digest = hashlib.sha256()
    zipped = (name or path.name).endswith(".gz")
    try:
        with gzip.open(path) if zipped else path.open("rb") as stream:
            while piece := stream.read(_CHUNK):
                digest.update(piece)
    except (OSError, EOFError, zlib.error) as error:
        raise FileError(name or path, f"is not whole gzip: {error}" if zipped else str(error)) from None
    return digest.hexdigest()


def _fetch(url: str, path: Path, args: argparse.Namespace) -> Path:
    """The temporary file beside ``path`` that holds what the address gave, whole."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from error
    partial = Path(name)
    done = False
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "judgebench"})
        with os.fdopen(handle, "wb") as out, urllib.request.urlopen(request, timeout=TIMEOUT) as response:
            length = int(response.headers.get("Content-Length") or 0)
            received = 0
            while piece := response.read(_CHUNK):
                out.write(piece)
                received += len(piece)
                if length >= 16 * _CHUNK and received % (16 * _CHUNK) < len(piece):
                    _say(args, f"  {received >> 20} of {length >> 20} MiB")
        if length and received != length:
            raise UserError(f"{url}: ended after {received:,} of {length:,} bytes; nothing was kept")
        done = True
    except urllib.error.HTTPError as error:
        error.close()
        raise UserError(f"{url}: the server says {error.code} {error.reason}; nothing was kept") from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise UserError(f"{url}: {reason or type(error).__name__}; nothing was kept") from None
    finally:
        if not done:
            partial.unlink(missing_ok=True)
    return partial


def _from_hub(hub: Hub, category: str, path: Path) -> Path:
    """The temporary file beside ``path`` that holds the rows of a split of the hub as JSON lines."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from error
    partial = Path(name)
    try:
        with os.fdopen(handle, "wb") as out:
            out.writelines(fetch(hub, category))
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return partial


def _lock(cache: Path) -> dict[str, Any]:
    path = cache / "lock.json"
    if not path.exists():
        return {}
    try:
        return msgspec.json.decode(read_bytes(path), type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise FileError(path, f"is not the lock file that pull writes: {error}") from None


def _say(args: argparse.Namespace, line: str) -> None:
    if not args.quiet:
        sys.stderr.write(f"{visible(line)}\n")
        sys.stderr.flush()
