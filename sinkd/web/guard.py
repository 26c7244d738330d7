"""Who may ask, and how: reading methods, known hosts, the token; headers of every answer."""

import base64
import binascii
import hmac
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sinkd.web.server import HEAD_BYTES

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
        " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
HEALTH: Final = frozenset({"/-/healthy", "/-/ready"})
_METHODS: Final = ("GET", "HEAD")
_CLOSE: Final = {"Connection": "close"}  # a body that nobody reads may follow

_log = structlog.get_logger("sinkd")


@dataclass(frozen=True, slots=True)
class Access:
    """Who may ask: `hosts` are the lower-case names a request may call us; no token, no check."""

    hosts: Collection[str]
    token: str | None = None

    def refusal(self, scope: Scope) -> Response | None:
        """Return why a request is refused, None when it is not."""
        headers = Headers(scope=scope)
        refused = _malformed(scope, headers)
        if refused or scope["path"] in HEALTH:
            return refused
        if host_name(headers.get("host", "")) not in self.hosts:
            told = "this name is not one of sinkd's: allow it with --allowed-host NAME\n"
            return PlainTextResponse(told, 403)
        if self.token is not None and not _matches(headers.get("authorization", ""), self.token):
            challenge = {"WWW-Authenticate": 'Basic realm="sinkd", charset="UTF-8"'}
            return PlainTextResponse("give the token\n", 401, challenge)
        return None


def _malformed(scope: Scope, headers: Headers) -> Response | None:
    if scope["method"] not in _METHODS:
        told = "sinkd only answers GET and HEAD: a jobs file or the command line changes it\n"
        return PlainTextResponse(told, 405, {"Allow": ", ".join(_METHODS), **_CLOSE})
    # h11 only counts a head that comes in parts.
    target = len(scope.get("raw_path") or b"") + len(scope["query_string"])
    if target + sum(len(name) + len(value) + 4 for name, value in headers.raw) > HEAD_BYTES:
        return PlainTextResponse("the request's head is over 8 KiB\n", 431, _CLOSE)
    if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
        return PlainTextResponse("a request here has no body\n", 413, _CLOSE)
    return None


class Guard:
    """Refuses what may not be asked, and puts the security headers on every answer."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app = app
        self.access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        is_begun = False

        async def send_with_headers(message: Message) -> None:
            nonlocal is_begun
            if message["type"] == "http.response.start":
                is_begun = True
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        app = self.access.refusal(scope) or self.app
        try:
            await app(scope, receive, send_with_headers)
        except Exception:
            _log.exception("page_failed", path=scope["path"])
            if is_begun:
                raise
            told = PlainTextResponse("sinkd met a bug of its own here; its log says more\n", 500)
            await told(scope, receive, send_with_headers)


def host_name(header: str) -> str:
    """Return the name of a `Host` header, lower-case, without its port."""
    name = header.strip().lower()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.partition(":")[0].removesuffix(".")


def _matches(authorization: str, token: str) -> bool:
    """Say whether a header carries the token, as Bearer, or as the password of Basic."""
    scheme, _, given = authorization.partition(" ")
    given = given.strip()
    if scheme.lower() == "basic":
        try:
            decoded = base64.b64decode(given, validate=True).decode()
        except (binascii.Error, ValueError):
            return False
        given = decoded.partition(":")[2]
    elif scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(given.encode(), token.encode())
