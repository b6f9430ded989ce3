"""The provider's batch endpoints: what is sent to them and what is read of them.

The form is that of OpenAI's reference: ``POST /files`` (multipart, purpose ``batch``), ``POST /batches``, ``GET
/batches``, ``GET /batches/ID`` and ``GET /files/ID/content``.
"""

from __future__ import annotations

import asyncio
import time
import urllib.parse
from collections.abc import Collection, Sequence
from threading import Thread
from typing import Any
from uuid import uuid4

import msgspec

from judgebench.backends.chat_completions import Fault, decode, one_line, read_refusal, read_reply
from judgebench.backends.http_client import JSON, Client
from judgebench.backends.http_connection import CallFailed, Response
from judgebench.backends.retry import retry_after, wait_before
from judgebench.types import Reply

ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
"""What providers call batches that will not change any more."""

METADATA = "judgebench"
"""Field of a batch's metadata that holds our name of it."""

PAGES, PAGE = 20, 100
"""Most pages of the provider's list of batches that are looked through, and batches on each."""


class WireFailed(Exception):
    """An endpoint gave no answer that can be used.

    Args:
        fault: why.
    """

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.detail)
        self.fault = fault


class BatchInfo(msgspec.Struct, frozen=True):
    """A batch as the provider tells of it."""

    id: str
    status: str = ""
    output_file_id: str | None = None
    error_file_id: str | None = None
    errors: Any = None
    metadata: Any = None

    def problems(self) -> tuple[str, dict[int, str]]:
        """(the first thing wrong with the batch, 0-based row → what is wrong with it)."""
        found = self.errors.get("data") if isinstance(self.errors, dict) else None
        first = ""
        rows: dict[int, str] = {}
        for each in found if isinstance(found, list) else ():
            if isinstance(each, dict):
                words = one_line(" ".join(str(each[name]) for name in ("code", "message") if each.get(name)))
                first = first or words
                if isinstance(each.get("line"), int):
                    rows.setdefault(each["line"] - 1, words)
        return first or "no reason is given", rows


class Wire:
    """Calls to one provider, one at a time, from any thread.

    Args:
        url: the API's root.
        key: sent, and taken out of whatever comes back; may be empty.
        timeout: seconds for one call.
        proxy: see `Client`.
        max_retries: most repeats of a call that may succeed later.
    """

    def __init__(self, url: str, key: str, *, timeout: float, proxy: str | None, max_retries: int) -> None:
        self._key, self._max_retries = key, max_retries
        self._client = Client(url, {"Authorization": f"Bearer {key or 'none'}"}, timeout=timeout, proxy=proxy)
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="batches", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the connection."""
        asyncio.run_coroutine_threadsafe(self._client.close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def upload(self, rows: Sequence[bytes]) -> str:
        """The id of a new file of these lines.

        Raises:
            WireFailed: it is refused.
        """
        boundary = f"judgebench-{uuid4().hex}"
        field = f'--{boundary}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
        file = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="judgebench.jsonl"\r\n'
            "Content-Type: application/jsonl\r\n\r\n"
        )
        body = b"".join((field.encode(), file.encode(), *rows, f"\r\n--{boundary}--\r\n".encode()))
        found = _object(self._call("POST", "/files", body, f"multipart/form-data; boundary={boundary}"))
        if not isinstance(found.get("id"), str):
            raise WireFailed(Fault(kind="http", detail="the uploaded file was given no id"))
        return str(found["id"])

    def create(self, file: str, window: str, token: str) -> BatchInfo:
        """A new batch over an uploaded file; never a second one where the answer to the first try was lost.

        Raises:
            WireFailed: it is refused.
        """
        asked = {
            "input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": window,
            "metadata": {METADATA: token},
        }  # fmt: skip
        body = msgspec.json.encode(asked)
        for repeats in range(self._max_retries + 1):
            try:
                return _info(self._once("POST", "/batches", body, JSON))
            except WireFailed as error:
                fault = error.fault
                if not (fault.again or fault.stale) or repeats == self._max_retries:
                    raise
                time.sleep(0.0 if fault.stale else wait_before(repeats, fault.retry_after))
                if fault.kind != "refused" and (made := self.find(token)):
                    return made
        raise AssertionError("the last repeat returns or raises")

    def find(self, token: str) -> BatchInfo | None:
        """The batch whose metadata hold our name of it, among the provider's newest; None where there is none.

        Raises:
            WireFailed: the list cannot be read.
        """
        after = ""
        for _ in range(PAGES):
            found = _object(self._call("GET", f"/batches?limit={PAGE}{after}"))
            listed = found.get("data")
            infos = [info for each in (listed if isinstance(listed, list) else ()) if (info := _told(each))]
            for info in infos:
                if isinstance(info.metadata, dict) and info.metadata.get(METADATA) == token:
                    return info
            if not infos or not found.get("has_more"):
                return None
            after = f"&after={urllib.parse.quote(infos[-1].id, safe='')}"
        return None

    def look(self, batch: str) -> BatchInfo:
        """What has become of a batch.

        Raises:
            WireFailed: it cannot be told.
        """
        return _info(self._call("GET", f"/batches/{urllib.parse.quote(batch, safe='')}"))

    def content(self, file: str) -> bytes:
        """What is in a file.

        Raises:
            WireFailed: it cannot be had.
        """
        return self._call("GET", f"/files/{urllib.parse.quote(file, safe='')}/content")

    def _call(self, method: str, path: str, body: bytes = b"", content_type: str = JSON) -> bytes:
        repeats = 0
        while True:
            try:
                return self._once(method, path, body, content_type)
            except WireFailed as error:
                fault = error.fault
                if not (fault.again or fault.stale) or repeats >= self._max_retries:
                    raise
                time.sleep(0.0 if fault.stale else wait_before(repeats, fault.retry_after))
                repeats += 1

    def _once(self, method: str, path: str, body: bytes, content_type: str) -> bytes:
        calling = self._client.call(method, path, body, content_type=content_type)
        future = asyncio.run_coroutine_threadsafe(calling, self._loop)
        try:
            response: Response = future.result()
        except CallFailed as error:
            words = self._clean(str(error).encode()).decode()
            lost = error.kind == "connect"
            detail = f"nobody answers: {words}" if lost else f"the connection was lost: {words}"
            raise WireFailed(Fault(kind="http", detail=one_line(detail), again=True, stale=error.stale)) from None
        except TimeoutError as error:
            raise WireFailed(Fault(kind="timeout", detail=str(error), again=True)) from None
        finally:
            future.cancel()
        raw = self._clean(response.body)
        if not 200 <= response.status < 300:
            wait = retry_after(response.headers, time.time())
            raise WireFailed(read_refusal(response.status, raw, retry_after=wait))
        return raw

    def _clean(self, raw: bytes) -> bytes:
        return raw.replace(self._key.encode(), b"***") if len(self._key) >= 8 else raw


def _told(found: Any) -> BatchInfo | None:
    try:
        return msgspec.convert(found, BatchInfo)
    except msgspec.ValidationError:
        return None


def _object(raw: bytes) -> dict[str, Any]:
    try:
        found = decode(raw)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        excerpt = one_line(raw[:200].decode("utf-8", "replace"))
        raise WireFailed(Fault(kind="http", detail=f"the response is not in the form of batches: {excerpt!r}"))
    return found


def _info(raw: bytes) -> BatchInfo:
    try:
        return msgspec.convert(_object(raw), BatchInfo)
    except msgspec.ValidationError as error:
        raise WireFailed(Fault(kind="http", detail=f"the response tells of no batch: {error}")) from None


class _Response(msgspec.Struct):
    status_code: int = 200
    body: msgspec.Raw = msgspec.Raw(b"null")


class _Row(msgspec.Struct):
    custom_id: str
    response: _Response | None = None
    error: Any = None


_ROW = msgspec.json.Decoder(_Row)


def read_rows(raw: bytes, wanted: Collection[str]) -> dict[str, tuple[Reply, str] | Fault]:
    """Row → its reply and what the provider says that it served, or why there is none; rows not wanted are left out.

    A line that cannot be read is left out too: whose it is is not known.
    """
    found: dict[str, tuple[Reply, str] | Fault] = {}
    for line in raw.splitlines():
        try:
            row = _ROW.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue
        if row.custom_id not in wanted:
            continue
        if row.response is None or row.error:
            found[row.custom_id] = _fault(row.error)
        elif row.response.status_code != 200:
            found[row.custom_id] = read_refusal(row.response.status_code, bytes(row.response.body))
        else:
            found[row.custom_id] = read_reply(bytes(row.response.body))
    return found


def _fault(error: Any) -> Fault:
    code = str(error.get("code") or "") if isinstance(error, dict) else ""
    words = str(error.get("message") or "") if isinstance(error, dict) else str(error or "")
    detail = one_line(f"{code} {words}".strip()) or "the row has neither a response nor an error"
    if code == "batch_expired":
        return Fault(kind="timeout", detail=detail)
    return Fault(kind="refused" if code == "batch_cancelled" else "http", detail=detail)
