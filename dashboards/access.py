"""Who may ask the dashboard: this machine, or whoever has the token; and what a browser may do with its pages."""

import hmac
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ctllm.schemas.errors import ConfigError

COOKIE = "ctllm_dashboard"
MIN_TOKEN_CHARS = 16
FREE = frozenset({"/api/health"})
"""Answered without a token, as are the page's own files, which hold no data."""

POLICY = "; ".join([
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self' 'unsafe-inline'",  # charts set styles from script
    "img-src 'self' data: blob:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
])  # fmt: skip

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True)
class Access:
    """What a request must show: a Host of this machine, and the token where one is asked for."""

    is_local: bool
    """Listens on this machine only: a Host of another name is a page that was made to point here."""
    token: str | None

    @classmethod
    def checked(cls, host: str, *, token: str | None) -> "Access":
        """Raises ConfigError for an address that others reach without a token, and for a token that can be guessed."""
        if token is not None and (len(token) < MIN_TOKEN_CHARS or not token.isascii() or not token.isprintable()):
            raise ConfigError(f"--token: at least {MIN_TOKEN_CHARS} ASCII characters; `openssl rand -hex 16` makes one")
        if token is None and not is_loopback(host):
            raise ConfigError(
                f"--host {host}: open to others without a token; set CTLLM_DASHBOARD_TOKEN or pass --token"
            )
        return cls(is_loopback(host), token)

    def refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Why a request is not answered: status and reason."""
        headers = Headers(scope=scope)
        path: str = scope["path"]
        if self.is_local and not is_loopback(host_name(headers.get("host", ""))):
            return 421, "this address is for 127.0.0.1 and localhost only"
        if scope["method"] not in ("GET", "HEAD") and path != "/api/login":
            return 405, "this dashboard only reads"
        if not path.startswith("/api/"):
            return None
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return 403, "asked by a page of another site"
        if path not in FREE and not self._has_token(headers):
            return 401, "give the token that the dashboard was started with"
        return None

    def _has_token(self, headers: Headers) -> bool:
        if self.token is None:
            return True
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        given = [bearer.strip()] if scheme.lower() == "bearer" else _cookies(headers.getlist("cookie"))
        return any(hmac.compare_digest(each.encode(), self.token.encode()) for each in given)


def _cookies(lines: Iterable[str]) -> list[str]:
    """Values of our cookie."""
    found = []
    for line in lines:
        try:
            cookies = SimpleCookie(line)
        except CookieError:
            continue
        if COOKIE in cookies:
            found.append(cookies[COOKIE].value)
    return found


def host_name(host: str) -> str:
    """The name in a Host header, without port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] or host if host.rpartition(":")[2].isdecimal() else host


def is_loopback(host: str) -> bool:
    """Whether a name or address is this machine's own."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Guarded:
    """ASGI middleware: refuses what Access refuses, and gives every answer HEADERS."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app, self.access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                if scope["path"].startswith("/api/"):
                    headers["Cache-Control"] = "no-store"
            await send(message)

        refusal = self.access.refusal(scope)
        answer: Any = self.app if refusal is None else JSONResponse({"error": refusal[1]}, refusal[0])
        await answer(scope, receive, send_with_headers)
