"""Our HTTP/1.1: every way to frame a response, broken ones, kept connections, TLS and a proxy, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from judgebench.backends.http_client import Client
from judgebench.backends.http_connection import CallFailed, Response

Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

BODY = b'{"said": "' + b"x" * 5000 + b'"}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

WHOLE = {
    "by length": HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY,
    "in chunks": HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"7\r\n" + BODY[:7] + b"\r\n"
    + b"%x;note=1\r\n" % (len(BODY) - 7) + BODY[7:] + b"\r\n0\r\nX-Trailer: 1\r\n\r\n",
    "to the end": HEAD + b"\r\n" + BODY,
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\n" + BODY,
    "after a 100": b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + b"content-length:%d\r\n\r\n" % len(BODY) + BODY,
    "no reason": b"HTTP/1.1 200\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY,
    "zipped": HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(gzip.compress(BODY, mtime=0))
    + gzip.compress(BODY, mtime=0),
}  # fmt: skip

BROKEN = {
    "not http": (b"SSH-2.0-OpenSSH_9\r\n", "protocol"),
    "a length that is none": (HEAD + b"Content-Length: many\r\n\r\n", "protocol"),
    "a head without an end": (b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 40000, "protocol"),
    "half a body": (HEAD + b"Content-Length: 100\r\n\r\n{", "torn"),
    "half a head": (b"HTTP/1.1 200 OK\r\nConte", "torn"),
    "half a chunk": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nff\r\n{", "torn"),
    "a chunk of no size": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{", "torn"),
    "torn zip": (HEAD + b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nabcde", "torn"),
    "nothing": (b"", "lost"),
}


async def take(reader: asyncio.StreamReader) -> bytes:
    """One request off the wire, head and body."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    return head + await reader.readexactly(int(length[0].split(b":")[1]) if length else 0)


@contextlib.asynccontextmanager
async def listening(peer: Peer, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await peer(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()

    server = await asyncio.start_server(served, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def client_of(port: int, scheme: str = "http", proxy: str | None = None) -> AsyncIterator[Client]:
    client = Client(f"{scheme}://127.0.0.1:{port}/v1", {"Authorization": "Bearer x"}, timeout=5.0, proxy=proxy)
    try:
        yield client
    finally:
        await client.close()


def once(answer: bytes, pieces: int = 1) -> Response:
    """What the client makes of one answer, sent in so many pieces, after which the server hangs up."""

    async def run() -> Response:
        async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await take(reader)
            size = max(1, -(-len(answer) // pieces))
            for place in range(0, len(answer), size):
                writer.write(answer[place : place + size])
                await writer.drain()
                await asyncio.sleep(0)

        async with listening(peer) as port, client_of(port) as client:
            return await client.call("POST", "/chat/completions", b"{}")

    return asyncio.run(run())


@pytest.mark.parametrize("pieces", [1, 300])
@pytest.mark.parametrize("answer", WHOLE.values(), ids=WHOLE.keys())
def test_a_body_is_whole_however_it_is_framed_and_cut(answer: bytes, pieces: int) -> None:
    response = once(answer, pieces)
    assert (response.status, response.body) == (200, BODY)


@pytest.mark.parametrize(("answer", "kind"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_response_says_how_and_is_never_taken_for_whole(answer: bytes, kind: str) -> None:
    with pytest.raises(CallFailed) as failed:
        once(answer)
    assert failed.value.kind == kind
    assert not failed.value.stale


def test_a_connection_is_kept_and_one_that_ended_meanwhile_is_told_from_a_lost_call() -> None:
    async def run() -> tuple[int, list[bool]]:
        connections, stale = 0, []

        async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            for _ in range(2):
                assert (await take(reader)).startswith(b"POST /v1/x HTTP/1.1\r\nHost: 127.0.0.1")
                writer.write(WHOLE["by length"])
            await take(reader)  # the third request is read, and hung up on

        async with listening(peer) as port, client_of(port) as client:
            for _ in range(2):
                await client.call("POST", "/x", b"{}")
            with pytest.raises(CallFailed) as failed:
                await client.call("POST", "/x", b"{}")
            stale.append(failed.value.stale)
            await client.call("POST", "/x", b"{}")
        return connections, stale

    assert asyncio.run(run()) == (2, [True])


def test_nobody_listening_and_no_reply_in_time_are_two_things() -> None:
    async def run() -> None:
        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()

        async with listening(silent) as port, client_of(port) as client:
            with pytest.raises(TimeoutError, match=r"no reply within 0\.1 s"):
                await client.call("POST", "/x", b"{}", timeout=0.1)
        async with client_of(port) as client:
            with pytest.raises(CallFailed) as failed:
                await client.call("POST", "/x", b"{}")
            assert failed.value.kind == "connect"

    asyncio.run(run())


def test_a_connection_that_comes_about_when_nobody_waits_any_longer_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of thirty dials, cancelled at thirty moments on the way, each leaves a socket that is closed at the end."""
    made: list[socket.socket] = []
    own = socket.socket.__init__

    def noted(self: socket.socket, *args: Any, **more: Any) -> None:
        own(self, *args, **more)
        made.append(self)

    async def tried() -> None:
        async with listening(lambda reader, _: reader.read()) as port:  # type: ignore[arg-type, return-value]
            monkeypatch.setattr(socket.socket, "__init__", noted)
            client = Client(f"http://localhost:{port}", {}, timeout=5)
            calls = [asyncio.create_task(client.call("GET", "/")) for _ in range(30)]
            for call in calls:
                await asyncio.sleep(0)
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            await client.close()
            await asyncio.sleep(0)
            dialled = [each for each in made if each.fileno() != -1 and peer_port(each) == port]
            assert dialled == []

    asyncio.run(tried())
    assert len(made) >= 10


def peer_port(end: socket.socket) -> int | None:
    """Port of the other end; None where it is not connected."""
    try:
        return int(end.getpeername()[1])
    except OSError:
        return None


def test_a_server_that_speaks_before_it_is_asked_is_not_http() -> None:
    async def tried() -> None:
        async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 mail.example ESMTP\r\n")
            await reader.read()

        async with listening(greet) as port:
            client = Client(f"http://127.0.0.1:{port}", {}, timeout=5)
            connection = await client._lent()
            await asyncio.sleep(0.05)
            with pytest.raises(CallFailed, match="220 mail") as failed:
                await connection.send(b"GET / HTTP/1.1\r\n\r\n")
            assert failed.value.kind == "protocol"
            await client.close()

    asyncio.run(tried())


def test_a_response_too_many_is_given_to_no_later_call() -> None:
    async def run() -> list[bytes]:
        async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await take(reader)
            writer.write(HEAD + b"Content-Length: 1\r\n\r\n1" + HEAD + b"Content-Length: 1\r\n\r\n2")
            await reader.read()

        async with listening(peer) as port, client_of(port) as client:
            return [(await client.call("POST", "/x", b"{}")).body for _ in range(2)]

    assert asyncio.run(run()) == [b"1", b"1"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-keyout", key, "-out", cert, "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    return key, cert


def tls_of(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate[1], certificate[0])
    return context


async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await take(reader)
        writer.write(WHOLE["by length"])


def test_tls_is_checked_and_a_proxy_tunnels_it(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head)
        host, _, port = head.split(b" ")[1].rpartition(b":")
        there, out = await asyncio.open_connection(host.decode(), int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")

        async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            while data := await source.read(1 << 16):
                target.write(data)
            target.close()

        await asyncio.gather(copy(reader, out), copy(there, writer))

    async def run() -> list[Response]:
        async with listening(answering, tls_of(certificate)) as port, listening(proxy) as through:
            async with client_of(port, "https") as client:
                with pytest.raises(CallFailed, match=r"(?i)certificate"):
                    await client.call("POST", "/x", b"{}")
            monkeypatch.setenv("SSL_CERT_FILE", str(certificate[1]))
            found = []
            for proxied in (None, f"http://name:pass%21@127.0.0.1:{through}"):
                async with client_of(port, "https", proxied) as client:
                    found += [await client.call("POST", "/x", b"{}") for _ in range(2)]
            return found

    assert [response.body for response in asyncio.run(run())] == [BODY] * 4
    (head,) = asked
    assert head.startswith(b"CONNECT 127.0.0.1:")
    assert b"Proxy-Authorization: Basic bmFtZTpwYXNzIQ==" in head
    assert b"Bearer" not in head
