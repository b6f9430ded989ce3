"""Who may speak to a local page: only this machine's browser, with the token, at the page's own address.

Any page that a browser shows could send requests to 127.0.0.1. So the path begins with a token that nobody can guess;
the Host must be the one that is served (no other name may be pointed here); what changes something must come from the
page's own Origin; and no script runs but the page's own file (Content-Security-Policy).
"""

from __future__ import annotations

import hmac
import secrets

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
MOST_BODY = 64 * 1024
"""Bytes of a request's body."""


def new_token() -> str:
    """A token of 128 random bits, fit for a path."""
    return secrets.token_urlsafe(16)


class Guard:
    """Lets requests through to an app, or refuses them.

    Args:
        app: what is behind; it sees paths without the token, which becomes its ``root_path``.
        token: the first part of every path.
        port: where it is served.
    """

    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        self.app, self.token = app, token
        self.hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        why = self._refusal(scope)
        if why:
            await PlainTextResponse(f"{why}\n", status_code=403, headers=_headers())(scope, receive, send)
            return
        root = f"/{self.token}"

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _headers().items():
                    headers[name] = value
            await send(message)

        await self.app({**scope, "root_path": root}, receive, sending)

    def _refusal(self, scope: Scope) -> str:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if host not in self.hosts:
            return "refused: this page is not served under that Host"
        origin = headers.get("origin")
        changes = scope["method"] not in ("GET", "HEAD")
        if (origin is not None or changes) and origin != f"http://{host}":
            return "refused: the request comes from another page (Origin)"
        first = scope["path"].split("/")[1] if scope["path"].startswith("/") else ""
        if not hmac.compare_digest(first.encode(), self.token.encode()):
            return "refused: the address lacks the token; open the one that the terminal shows"
        length = headers.get("content-length", "")
        if changes and (not length.isdecimal() or len(length) > 9 or int(length) > MOST_BODY):
            return "refused: too much was sent, or nobody said how much"
        return ""


def _headers() -> dict[str, str]:
    return {
        "content-security-policy": POLICY, "x-content-type-options": "nosniff", "cache-control": "no-store",
        "referrer-policy": "same-origin", "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin", "x-frame-options": "DENY",
    }  # fmt: skip
