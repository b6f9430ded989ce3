"""Serves an app on 127.0.0.1 until it is interrupted."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Iterable

import uvicorn
from starlette.types import ASGIApp

from judgebench.errors import UserError
from judgebench.web.guard import Guard, new_token

HOST = "127.0.0.1"


def listen(port: int) -> socket.socket:
    """A socket that listens on 127.0.0.1; port 0 is any that is free.

    Raises:
        UserError: the port is taken or not allowed.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((HOST, port))
        sock.listen(128)
    except (OSError, OverflowError) as error:
        sock.close()
        raise UserError(f"--port {port}: {getattr(error, 'strerror', None) or error}") from error
    return sock


def serve(app: ASGIApp, port: int, paths: Iterable[str] = ("",)) -> None:
    """Serves until interrupted; the addresses to open, with a fresh token, are printed first.

    Args:
        app: what is served.
        port: where; 0 is any that is free.
        paths: paths whose addresses are printed.

    Raises:
        UserError: the port is taken.
    """
    sock = listen(port)
    with contextlib.suppress(KeyboardInterrupt):  # how a server is meant to end
        token, bound = new_token(), sock.getsockname()[1]
        for path in paths:
            sys.stdout.write(f"http://{HOST}:{bound}/{token}/{path}\n")
        sys.stdout.flush()
        sys.stderr.write("open this in a browser on this machine; Ctrl-C ends it\n")
        config = uvicorn.Config(
            Guard(app, token, bound), log_level="warning", access_log=False, server_header=False, lifespan="off",
            timeout_graceful_shutdown=2,
        )  # fmt: skip
        uvicorn.Server(config).run(sockets=[sock])
