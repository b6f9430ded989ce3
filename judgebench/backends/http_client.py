"""HTTP/1.1 for many short calls to one place: kept-alive connections, TLS and proxies, and nothing else.

aiohttp does all this and more, at several times the processor time a call, and takes 0.13 s to load
(docs/performance.md).
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from judgebench import __version__
from judgebench.backends.http_connection import CallFailed, Connection, Response

CONNECT_SECONDS = 30.0
"""Until a connection that does not come about is given up."""

DIALLING_SECONDS = 0.5
"""For which the end waits for connections that are just coming about, so as to close them."""

JSON = "application/json"

_SAFE = "/%:@!$&'()*+,;=~-._"


class Client:
    """Connections to one place, each kept for the next call. To be used on one event loop.

    Args:
        base_url: ``http`` or ``https`` address under which all paths stand.
        headers: sent with every call.
        timeout: seconds from sending a call to the end of its response.
        proxy: address of an ``http`` or ``https`` proxy; None goes straight.
    """

    def __init__(self, base_url: str, headers: Mapping[str, str], *, timeout: float, proxy: str | None = None) -> None:
        url = urlsplit(base_url)
        self._host, self._secure = url.hostname or "", url.scheme == "https"
        self._port = url.port or (443 if self._secure else 80)
        self._root = quote(url.path.rstrip("/"), safe=_SAFE)
        self._proxy = urlsplit(proxy) if proxy else None
        self._timeout = timeout
        self._tls: ssl.SSLContext | None = None
        host = f"[{self._host}]" if ":" in self._host else self._host.encode("idna").decode()
        self._authority = f"{host}:{self._port}"
        named = host if self._port == (443 if self._secure else 80) else self._authority
        sent = {"Host": named, "User-Agent": f"judgebench/{__version__}", "Accept": "application/json", **headers}
        if self._proxy and not self._secure:
            self._root = f"http://{named}{self._root}"
            sent.update(self._to_proxy())
        self._headers = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        self._heads: dict[tuple[str, str, str], bytes] = {}
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._dialling: set[asyncio.Task[tuple[asyncio.Transport, Connection]]] = set()

    async def call(
        self, method: str, path: str, body: bytes = b"", *, content_type: str = JSON, timeout: float | None = None
    ) -> Response:
        """The response to one call.

        Args:
            method: of HTTP.
            path: behind the base address.
            body: what is sent.
            content_type: what it is.
            timeout: seconds, where fewer are left than the client's own.

        Raises:
            CallFailed: no whole response came.
            TimeoutError: none came in time.
        """
        head = self._heads.get((method, path, content_type))
        if head is None:
            kind = f"Content-Type: {content_type}\r\n" if method != "GET" else ""
            head = f"{method} {self._root}{path} HTTP/1.1\r\n{self._headers}{kind}Content-Length: ".encode()
            self._heads[method, path, content_type] = head
        connection = await self._lent()
        seconds = self._timeout if timeout is None else min(timeout, self._timeout)
        words = f"no reply within {seconds:.3g} s"
        expiry = asyncio.get_running_loop().call_later(seconds, connection.expire, words)
        try:
            response = await connection.send(b"%b%d\r\n\r\n%b" % (head, len(body), body))
        except asyncio.CancelledError:
            connection.abort()
            raise
        finally:
            expiry.cancel()
            if connection.reusable:
                self._idle.append(connection)
            elif not connection.ended:
                connection.transport.close()
        return response

    async def close(self) -> None:
        """Ends all connections."""
        if self._dialling:
            _, late = await asyncio.wait(self._dialling, timeout=DIALLING_SECONDS)
            for task in late:
                task.cancel()
        for connection in self._open:
            connection.abort()
        self._idle.clear()
        for _ in range(100):
            if all(connection.ended for connection in self._open):
                break
            await asyncio.sleep(0.001)
        self._open.clear()

    async def _lent(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable:
                return connection
        return await self._connect()

    async def _connect(self) -> Connection:
        try:
            async with asyncio.timeout(min(CONNECT_SECONDS, self._timeout)):
                connection = await (self._through(self._proxy) if self._proxy else self._straight())
        except TimeoutError:
            seconds = min(CONNECT_SECONDS, self._timeout)
            raise CallFailed("connect", f"no connection to {self._authority} within {seconds:g} s") from None
        except OSError as error:
            raise CallFailed("connect", str(error) or type(error).__name__) from error
        self._open = {each for each in self._open if not each.ended} | {connection}
        return connection

    async def _straight(self) -> Connection:
        return await self._dial(self._host, self._port, secure=self._secure)

    async def _dial(self, host: str, port: int, *, secure: bool) -> Connection:
        """A new connection.

        The race between a host's addresses is never cancelled from outside: asyncio would forget the socket that has
        just won it. Whoever no longer waits leaves it to the end of the dialling to close what came about.
        """
        loop = asyncio.get_running_loop()
        tls: dict[str, Any] = {"ssl": self._trust(), "server_hostname": host} if secure else {}
        dialled = loop.create_connection(Connection, host, port, happy_eyeballs_delay=0.25, **tls)
        task = loop.create_task(dialled)
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)
        try:
            _, connection = await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_abort)
            raise
        return connection

    async def _through(self, proxy: Any) -> Connection:
        port = proxy.port or (443 if proxy.scheme == "https" else 80)
        connection = await self._dial(proxy.hostname or "", port, secure=proxy.scheme == "https")
        if not self._secure:
            return connection
        fields = {"Host": self._authority, **self._to_proxy()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        try:
            response = await connection.send(f"CONNECT {self._authority} HTTP/1.1\r\n{lines}\r\n".encode(), bare=True)
        except CallFailed as error:
            raise CallFailed("connect", f"the proxy {proxy.hostname}: {error}") from error
        if not 200 <= response.status < 300:
            connection.abort()
            raise CallFailed("connect", f"the proxy {proxy.hostname} answers {response.status} to CONNECT")
        loop = asyncio.get_running_loop()
        transport = await loop.start_tls(connection.transport, connection, self._trust(), server_hostname=self._host)
        assert transport is not None
        connection.transport, connection.reusable = transport, True
        return connection

    def _to_proxy(self) -> dict[str, str]:
        """The header that opens the proxy, where its address holds a name and password."""
        if self._proxy is None or self._proxy.username is None:
            return {}
        pair = f"{unquote(self._proxy.username)}:{unquote(self._proxy.password or '')}"
        return {"Proxy-Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}

    def _trust(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls


def _abort(dialled: asyncio.Task[tuple[asyncio.Transport, Connection]]) -> None:
    """Closes a connection for which nobody waits any longer; why none came about concerns nobody either."""
    if not dialled.cancelled() and dialled.exception() is None:
        dialled.result()[0].abort()
