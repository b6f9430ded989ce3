"""One HTTP/1.1 connection as a protocol of asyncio: a request, its response, and so on.

Framing follows RFC 9112: sections 6.3 (length of a body), 7.1 (chunks) and 9.3 (persistence).
"""

from __future__ import annotations

import asyncio
import re
import zlib
from typing import Literal, NamedTuple

LONGEST_HEAD = 1 << 17
"""Bytes of a response's head; more is not HTTP."""

_STATUS = re.compile(rb"HTTP/1\.([01]) (\d{3})(?:\s|$)")


class Response(NamedTuple):
    """A whole response."""

    status: int
    head: bytes
    """Status line and header fields, as they came."""
    body: bytes

    @property
    def headers(self) -> dict[str, str]:
        """Name in lower case → value; of several of one name the last."""
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        pairs = (line.partition(":") for line in lines)
        return {name.strip().lower(): value.strip() for name, _, value in pairs}


class CallFailed(Exception):
    """No whole response came.

    Args:
        kind: ``connect`` (no connection), ``lost`` (it ended before the response began), ``torn`` (within it), or
            ``protocol`` (what came is not HTTP/1.1).
        words: what happened.
        stale: the connection had served before, and ended before anything of this response came. Servers close idle
            connections, so this says nothing of the call.
    """

    def __init__(
        self, kind: Literal["connect", "lost", "torn", "protocol"], words: str, *, stale: bool = False
    ) -> None:
        super().__init__(words)
        self.kind, self.stale = kind, stale


class Connection(asyncio.Protocol):
    """One connection; ``reusable`` says whether another request may be sent on it."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.reusable = True
        self.ended = False
        self._served = 0
        self._unasked = b""
        """What the server said before it was asked anything: it speaks another protocol."""
        self._buffer = bytearray()
        self._waiter: asyncio.Future[Response] | None = None
        self._begin(bare=False)

    def _begin(self, *, bare: bool) -> None:
        self._head: tuple[int, bytes] | None = None
        self._length: int | None = None
        self._chunks: bytearray | None = None
        self._bare = bare

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Takes the transport; a second time where TLS was laid over the first."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def send(self, message: bytes, *, bare: bool = False) -> asyncio.Future[Response]:
        """The response to come; `CallFailed` where none does, ``TimeoutError`` after `expire`.

        Args:
            message: head and body of the request.
            bare: the response has no body whatever its head says, as a proxy's to CONNECT.
        """
        self._begin(bare=bare)
        waiter: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._waiter = waiter
        if self._unasked:
            self._fail(CallFailed("protocol", f"it begins with {self._unasked!r}"))
        elif self.ended or self.transport.is_closing():
            self._fail(CallFailed("lost", "the server closed the connection", stale=self._served > 0))
        else:
            self.transport.write(message)
        return waiter

    def expire(self, words: str) -> None:
        """Gives up the call under way."""
        self._fail(TimeoutError(words))

    def abort(self) -> None:
        """Ends the connection at once."""
        self.reusable = False
        self._waiter = None
        self.transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        """Ends the call that waits: whole, where the connection's end is the body's."""
        self.reusable, self.ended = False, True
        words = (str(error) or type(error).__name__) if error else "the server closed the connection"
        if self._head is None and not self._buffer:
            self._fail(CallFailed("lost", words, stale=self._served > 0))
        elif self._head is None or self._length is not None or self._chunks is not None or error:
            self._fail(CallFailed("torn", words))
        else:
            self._finish(bytes(self._buffer))

    def data_received(self, data: bytes) -> None:
        """Reads on."""
        if self._waiter is None:  # words without a question: whose answer they would be taken for is not known
            if not self._served:
                self._unasked = data[:40]
            self.abort()
            return
        self._buffer += data
        try:
            if self._head is not None or self._read_head():
                self._read_body()
        except CallFailed as error:
            self._fail(error)

    def _read_head(self) -> bool:
        """True once the head is whole; informational responses before it are passed over."""
        buffer = self._buffer
        while True:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                if not buffer.startswith(b"HTTP/"[: len(buffer)]) or len(buffer) > LONGEST_HEAD:
                    raise CallFailed("protocol", f"it begins with {bytes(buffer[:40])!r}")
                return False
            head = bytes(buffer[:end])
            found = _STATUS.match(head)
            if found is None:
                raise CallFailed("protocol", f"it begins with {head[:40]!r}")
            del buffer[: end + 4]
            status = int(found[2])
            if status >= 200 or status == 101:
                break
        self._head = status, head
        lower = head.lower()
        connection = _field(lower, b"connection")
        if b"close" in connection or (found[1] == b"0" and b"keep-alive" not in connection):
            self.reusable = False
        length = _field(lower, b"content-length")
        if self._bare or status in (204, 304):
            self._length = 0
        elif b"chunked" in _field(lower, b"transfer-encoding"):
            self._chunks = bytearray()
        elif length:
            if not length.isdigit():
                raise CallFailed("protocol", f"its content-length is {length[:40]!r}")
            self._length = int(length)
        else:
            self.reusable = False
        return True

    def _read_body(self) -> None:
        buffer = self._buffer
        if self._chunks is not None:
            self._read_chunks(self._chunks)
        elif self._length is not None and len(buffer) >= self._length:
            body = bytes(buffer[: self._length])
            del buffer[: self._length]
            self._finish(body)

    def _read_chunks(self, body: bytearray) -> None:
        buffer = self._buffer
        place = 0
        while (end := buffer.find(b"\r\n", place)) >= 0:
            line = bytes(buffer[place:end]).partition(b";")[0].strip()
            try:
                size = int(line, 16)
            except ValueError:
                raise CallFailed("torn", f"a chunk's size is {line[:40]!r}") from None
            if size == 0:
                last = end if buffer[end : end + 4] == b"\r\n\r\n" else buffer.find(b"\r\n\r\n", end)
                if last >= 0:
                    del buffer[: last + 4]
                    self._finish(bytes(body))
                    return
                break
            if len(buffer) < end + 2 + size + 2:
                break
            body += buffer[end + 2 : end + 2 + size]
            place = end + 2 + size + 2
        del buffer[:place]

    def _finish(self, body: bytes) -> None:
        assert self._head is not None
        status, head = self._head
        waiter, self._waiter = self._waiter, None
        self._served += 1
        if self._buffer:  # more than the response
            self.reusable = False
            self._buffer.clear()
        if waiter is None or waiter.done():
            return
        if _field(head.lower(), b"content-encoding") in (b"gzip", b"deflate", b"x-gzip"):
            try:
                body = zlib.decompressobj(wbits=47).decompress(body)
            except zlib.error as error:
                waiter.set_exception(CallFailed("torn", str(error)))
                return
        waiter.set_result(Response(status, head, body))

    def _fail(self, error: Exception) -> None:
        waiter, self._waiter = self._waiter, None
        self.reusable = False
        if not self.ended:
            self.transport.abort()
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)


def _field(head: bytes, name: bytes) -> bytes:
    """The value of a header field, empty where there is none; head and name are in lower case."""
    begin = head.find(b"\r\n" + name + b":")
    if begin < 0:
        return b""
    begin += len(name) + 3
    end = head.find(b"\r\n", begin)
    return head[begin : end if end >= 0 else len(head)].strip()
