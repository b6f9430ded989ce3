"""Replies kept across runs: what was answered once, under the very same everything, is not asked again.

One SQLite file, ``responses.sqlite`` in the user's cache folder (``JUDGEBENCH_CACHE``). A reply is found again by the
sha256 of all that decides it (`deciding`, `CachedBackend`), never by a name that can move. Errors are never kept.
Neither prompts nor keys are in the file: hashes and replies are.

The file is written through SQLite's rollback journal, not its write-ahead log, which breaks where several machines
share a home folder. Replies are committed at most every half second: what a killed process had not committed is
asked again.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
import threading
import time
import urllib.parse
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from judgebench.errors import UserError
from judgebench.types import (
    Backend,
    ChoiceReply,
    ChoiceRequest,
    ComparesChoices,
    Message,
    Model,
    Reply,
    Request,
    Usage,
)

FORM = 1
"""Version of the file and of the keys in it; another one is never read."""

COMMIT_SECONDS, COMMIT_REPLIES = 0.5, 500
"""Replies are committed at most this often, or once there are so many."""

MOST_HITS = 5_000
"""Replies out of the cache that are held at once while other calls are under way."""

SPEED_ONLY = frozenset(
    {"max_concurrency", "batch_size", "batch_positions", "max_in_flight", "timeout", "max_retries", "api_key_env"}
    | {"gpu_memory_utilization", "proxy", "client", "notes", "served", "executor"}
)
"""Options and parts of a description that change how fast an answer comes, or grow while calls are made."""

DATED = re.compile(r"[-@](20\d\d-?[01]\d-?[0-3]\d)$")
"""How the name of a model ends that its provider promises never to change."""

SMALL_FILES = ("*.json", "*.model", "*.txt", "*.jinja", "*.py")
"""Files of a checkpoint beside its weights that decide what it says: configuration, tokenizer, template, own code."""

BLOCK, BLOCKS = 1 << 16, 64
"""Size and number of the pieces of a weights file that are hashed where all of it is too much."""

Asked = TypeVar("Asked", Request, ChoiceRequest)
Said = TypeVar("Said", Reply, ChoiceReply)


class Speed(NamedTuple):
    """What calls took, measured."""

    requests: int
    """Calls."""
    seconds: float
    """Wall time of all of them together."""
    prompt_tokens: int
    """Tokens read."""
    completion_tokens: int
    """Tokens written."""
    day: str
    """Day of the measurement, YYYY-MM-DD."""


class ResponseCache:
    """The file of replies; several processes may use it at once.

    Args:
        path: the file; made, with its folder, where it is not there.

    Raises:
        UserError: it is damaged, of another version, or cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._pending: dict[bytes, bytes] = {}
        self._committed = time.monotonic()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"the response cache {path} cannot be made: {error.strerror}; --no-cache goes on"
            ) from error
        with self._explained():
            self._file = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
        try:
            with self._explained():
                self._begin()
        except BaseException:
            self._file.close()
            raise

    def _begin(self) -> None:
        """Makes the tables where there are none; reads a row, so that damage shows."""
        (form,) = self._file.execute("PRAGMA user_version").fetchone()
        if form not in (0, FORM):
            raise UserError(
                f"the response cache {self.path} is of version {form}, and this judgebench reads {FORM}: delete it, or "
                "use --no-cache"
            )
        if form == 0:
            self._file.execute("BEGIN IMMEDIATE")
            self._file.execute(
                "CREATE TABLE IF NOT EXISTS replies (key BLOB PRIMARY KEY, reply BLOB NOT NULL, day TEXT NOT NULL) "
                "WITHOUT ROWID"
            )
            self._file.execute(
                "CREATE TABLE IF NOT EXISTS speeds (who TEXT PRIMARY KEY, requests INTEGER, seconds REAL, "
                "prompt_tokens INTEGER, completion_tokens INTEGER, day TEXT) WITHOUT ROWID"
            )
            self._file.execute(f"PRAGMA user_version = {FORM}")
            self._file.execute("COMMIT")
        self._file.execute("SELECT key, reply, day FROM replies LIMIT 1").fetchone()

    def find(self, key: bytes, kind: type[Said]) -> Said | None:
        """The reply kept under a key; None where there is none.

        Raises:
            UserError: the file is damaged.
        """
        with self._lock, self._explained():
            raw = self._pending.get(key)
            if raw is None:
                row = self._file.execute("SELECT reply FROM replies WHERE key = ?", (key,)).fetchone()
                raw = None if row is None else row[0]
        if raw is None:
            return None
        try:
            return msgspec.json.decode(raw, type=kind)
        except (msgspec.MsgspecError, TypeError) as error:
            raise UserError(f"the response cache {self.path} is damaged: delete it, or use --no-cache") from error

    def keep(self, key: bytes, reply: Reply | ChoiceReply) -> None:
        """Keeps a reply; the first one under a key stays.

        Raises:
            UserError: the file is damaged, or the disk is full.
        """
        with self._lock:
            self._pending.setdefault(key, msgspec.json.encode(reply))
            late = time.monotonic() - self._committed > COMMIT_SECONDS
        if late or len(self._pending) >= COMMIT_REPLIES:
            self.commit()

    def commit(self) -> None:
        """Writes what is kept to the disk.

        Raises:
            UserError: the file is damaged, or the disk is full.
        """
        with self._lock, self._explained():
            rows = [(key, raw, _today()) for key, raw in self._pending.items()]
            self._pending = {}
            self._committed = time.monotonic()
            if rows:
                self._file.execute("BEGIN IMMEDIATE")
                self._file.executemany("INSERT OR IGNORE INTO replies VALUES (?, ?, ?)", rows)
                self._file.execute("COMMIT")

    def keep_speed(self, who: str, speed: Speed) -> None:
        """Keeps how fast a model answered; the last measurement stays."""
        with self._lock, self._explained():
            self._file.execute("INSERT OR REPLACE INTO speeds VALUES (?, ?, ?, ?, ?, ?)", (who, *speed))

    def speed(self, who: str) -> Speed | None:
        """How fast a model answered when it was last measured; None where it never was."""
        with self._lock, self._explained():
            row = self._file.execute(
                "SELECT requests, seconds, prompt_tokens, completion_tokens, day FROM speeds WHERE who = ?", (who,)
            ).fetchone()
        return None if row is None else Speed(*row)

    def close(self) -> None:
        """Writes what is left and closes the file; safe to call twice."""
        if self._pending:
            self.commit()
        self._file.close()

    def _explained(self) -> _Explained:
        return _Explained(self)


class _Explained:
    """Turns SQLite's errors into one line that says what to do."""

    def __init__(self, cache: ResponseCache) -> None:
        self._cache = cache

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, sqlite3.Error):
            return
        path = self._cache.path
        if isinstance(error, sqlite3.OperationalError):
            raise UserError(f"the response cache {path} cannot be used: {error}; --no-cache goes on without") from error
        raise UserError(f"the response cache {path} is damaged ({error}): delete it, or use --no-cache") from error


class CachedBackend:
    """A backend whose replies are kept, and not asked for again.

    The key of a reply is the sha256 of `deciding`'s parts, the messages, the sampling with its seed, and the number of
    the sample. What is drawn (at any temperature but 0) is found again only for the same model's name, suite, item and
    turn, and call by call: two models that are alike still draw for themselves.

    A reply out of the cache has a usage of ``cached=1`` and nothing else: nothing was spent on it now.

    Args:
        inner: who answers what is not kept.
        cache: the file; closed with this backend.
        model: whose backend it is.
        parts: what decides its answers, from `deciding`.
    """

    def __init__(self, inner: Backend, cache: ResponseCache, model: Model, parts: Mapping[str, Any]) -> None:
        self.inner, self.cache, self.model = inner, cache, model
        self.hits = self.asked = 0
        self._decided = _hash(parts)
        self._drawn: Counter[bytes] = Counter()
        self._warmth = model.options.get("temperature")

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Reply]]:
        """Each request with its reply, kept or fresh, as the backend's own `generate`.

        Raises:
            BackendError: as the backend.
            UserError: the file is damaged.
        """
        return self._answered(requests, self.inner.generate, Reply)

    def describe(self) -> dict[str, Any]:
        """The backend's own description."""
        return self.inner.describe()

    def counts(self) -> dict[str, int]:
        """How many replies came out of the cache, and how many calls were made."""
        return {"hits": self.hits, "asked": self.asked}

    def close(self) -> None:
        """Closes the backend and the file."""
        try:
            self.inner.close()
        finally:
            self.cache.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def _answered(
        self, requests: Iterable[Asked], ask: Callable[[Iterable[Asked]], Iterator[tuple[Asked, Said]]],
        kind: type[Said],
    ) -> Iterator[tuple[Asked, Said]]:  # fmt: skip
        source = iter(requests)
        hits: deque[tuple[Asked, Said]] = deque()
        keys: dict[str, bytes] = {}
        first: list[Asked] = []

        def fresh() -> Iterator[Asked]:
            """Requests without a kept reply; replies of the others go to ``hits``."""
            yield from first
            while len(hits) < MOST_HITS and (request := next(source, None)) is not None:
                if not self._held(request, kind, hits, keys):
                    yield request

        try:
            while True:
                first = []
                for request in source:
                    if not self._held(request, kind, hits, keys):
                        first = [request]
                        break
                    yield hits.popleft()
                if not first:
                    return
                for request, reply in ask(fresh()):
                    while hits:
                        yield hits.popleft()
                    self.asked += 1
                    key = keys.pop(request.id, None)
                    if key is not None and not reply.error and _whole(request, reply):
                        self.cache.keep(key, reply)
                    yield request, reply
                while hits:
                    yield hits.popleft()
        finally:
            self.cache.commit()

    def _held(self, request: Asked, kind: type[Said], hits: deque[tuple[Asked, Said]], keys: dict[str, bytes]) -> bool:
        """Whether a reply is kept; it is then among the hits, else the request's key is among the keys."""
        key = self._key(request)
        if key is None:
            return False
        found = self.cache.find(key, kind)
        if found is None:
            keys[request.id] = key
            return False
        self.hits += 1
        hits.append((request, msgspec.structs.replace(found, usage=Usage(cached=1))))
        return True

    def _key(self, request: Request | ChoiceRequest) -> bytes | None:
        """What a reply is found by; None where the request cannot be written down (lone surrogates)."""
        what: list[Any] = [request.messages]
        drawn = False
        if isinstance(request, ChoiceRequest):
            what += ["choices", request.choices, request.lead]
        else:
            what += ["reply", request.sampling, request.sample]
            warmth = request.sampling.temperature if self._warmth is None else float(self._warmth)
            drawn = warmth != 0
            if drawn:
                what += [self.model.name, request.suite, request.item, request.turn]
        try:
            key = hashlib.sha256(self._decided + _plain(what)).digest()
        except UnicodeEncodeError:
            return None
        if drawn:
            self._drawn[key] += 1
            key = hashlib.sha256(key + str(self._drawn[key]).encode()).digest()
        return key


class CachedChooser(CachedBackend):
    """A backend that also compares choices, and whose replies are kept."""

    def loglikelihood(self, requests: Iterable[ChoiceRequest]) -> Iterator[tuple[ChoiceRequest, ChoiceReply]]:
        """Each request with the log-probabilities of its choices, kept or fresh.

        Raises:
            BackendError: as the backend.
            UserError: the file is damaged.
        """
        assert isinstance(self.inner, ComparesChoices)
        return self._answered(requests, self.inner.loglikelihood, ChoiceReply)


def cached(inner: Backend, cache: ResponseCache, model: Model, parts: Mapping[str, Any]) -> CachedBackend:
    """The backend with its replies kept in a file.

    Args: as `CachedBackend`.
    """
    kind = CachedChooser if hasattr(inner, "loglikelihood") else CachedBackend
    return kind(inner, cache, model, parts)


def deciding(model: Model, description: Mapping[str, Any]) -> dict[str, Any] | str:
    """All that decides a model's answers beside the request; or, as text, why that is not known: nothing is kept then.

    - ``hf`` and ``vllm``: the whole description but for speed (weights' hash or the hub's commit, versions, number
      format, device, template), with the hash of the configuration, tokenizer, template and adapter files. Of weights
      too large to be hashed whole: size, time of change to the nanosecond, and the hash of 64 pieces of each file.
      Weights that are made up (``load_format=dummy``) are not known.
    - ``openai``: the address, the model's name and the options, where the option ``revision`` says what stands behind
      the name, or the name itself ends in a date at an https address. Any other name may mean another model tomorrow.
    - Other backends cost nothing, or do not say what decides their answers.

    Args:
        model: as the user named it.
        description: of its open backend.
    """
    options = {name: value for name, value in model.options.items() if name not in SPEED_ONLY}
    parts: dict[str, Any] = {"form": FORM, "backend": model.backend, "options": options}
    if model.backend == "openai":
        address = description.get("base_url")
        addresses = [address] if isinstance(address, str) else list(address or ())
        secure = all(urllib.parse.urlsplit(str(each)).scheme == "https" for each in addresses)
        if not description.get("revision") and not (secure and DATED.search(model.id)):
            return (
                f"nothing says which model stands behind the name {model.id!r} today and tomorrow; the option "
                f"{model.name}.revision=… does"
            )
        return {**parts, "model": model.id, "base_url": addresses}
    if model.backend not in ("hf", "vllm"):
        return f"the backend {model.backend!r} does not say what decides its answers"
    said = {name: value for name, value in description.items() if name not in SPEED_ONLY}
    folder = Path(model.id).expanduser()
    if not description.get("weights"):
        return "its weights are made up"
    if folder.is_dir():
        said.pop("model", None)
        parts["files"] = _small_files(folder)
        if "not_hashed" in description["weights"]:
            parts["pieces"] = {path.name: _pieces(path) for path in sorted(folder.glob("*.safetensors"))}
    elif not description.get("commit"):
        return "its revision on the hub is not known"
    adapter = description.get("adapter") or {}
    if adapter:
        parts["adapter"] = _small_files(Path(adapter["folder"]))
    return {**parts, "said": said}


def _whole(request: Request | ChoiceRequest, reply: Reply | ChoiceReply) -> bool:
    """Whether all that was asked for came back: log-probabilities that a server left out may come another time."""
    wanted = isinstance(request, Request) and request.sampling.logprobs
    return not (wanted and isinstance(reply, Reply) and not reply.logprobs)


def _small_files(folder: Path) -> dict[str, str]:
    found = sorted({path for pattern in SMALL_FILES for path in folder.glob(pattern) if path.is_file()})
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def _pieces(path: Path) -> list[Any]:
    """Size, time of change, and the hash of evenly spaced pieces of a file, its first and last among them."""
    seen = path.stat()
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for number in range(BLOCKS):
            file.seek(max(0, seen.st_size - BLOCK) * number // (BLOCKS - 1))
            digest.update(file.read(BLOCK))
    return [seen.st_size, seen.st_mtime_ns, digest.hexdigest()]


def _plain(what: object) -> bytes:
    def told(value: Any) -> Any:
        if isinstance(value, Message):
            return [value.role, value.content]
        return str(value)

    return msgspec.json.encode(what, enc_hook=told, order="deterministic")


def _hash(what: object) -> bytes:
    return hashlib.sha256(_plain(what)).digest()


def _today() -> str:
    return time.strftime("%Y-%m-%d", time.gmtime())
