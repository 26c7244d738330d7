"""`--proxy`: requests by way of an HTTP proxy; those of https through a tunnel (RFC 9110 9.3.6).

Only the option, or `SINKD_PROXY`, names a proxy. What other programs read from the environment,
such as `http_proxy`, is not asked (H5).
"""

import asyncio
import base64
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

import h11

from sinkd.errors import UsageError
from sinkd.grammar import target, url_flaw
from sinkd.redaction import HIDDEN

ANSWER_LIMIT_BYTES: Final = 16 * 1024
_PIECE_BYTES: Final = 4096
_HTTP_PORT: Final = 80


class TunnelError(Exception):
    """The proxy did not connect to the host; the text quotes nothing that it said."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """Where the proxy is, and the `user:password` that it wants, if any."""

    host: str
    port: int
    credentials: str | None = None

    def __repr__(self) -> str:
        """Show nothing: the credentials are a secret."""
        return HIDDEN

    def secrets(self) -> Iterator[str]:
        """Yield what must be shown nowhere."""
        if self.credentials is not None:
            yield self.credentials
            yield self.credentials.partition(":")[2]

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers that are for the proxy alone."""
        if self.credentials is None:
            return []
        token = base64.b64encode(self.credentials.encode())
        return [(b"Proxy-Authorization", b"Basic " + token)]


def parse(url: str) -> Proxy:
    """Return the proxy of `http://[USER:PASSWORD@]HOST:PORT`; UsageError, which quotes nothing."""
    scheme, _, rest = url.partition("://")
    user, at, place = rest.rpartition("@")
    bare = f"{scheme}://{place}"
    if scheme != "http" or url_flaw(bare) or target(bare).path_and_query != "/":
        message = (
            "--proxy: write `http://HOST:PORT`, with `USER:PASSWORD@` before the host if it wants"
            " them; their special characters as %XX"
        )
        raise UsageError(message)
    credentials = unquote(user if ":" in user else f"{user}:") if at else None
    return Proxy(target(bare).host, target(bare).port, credentials)


def absolute(host: str, port: int, path_and_query: bytes) -> bytes:
    """Return the target of a request that a proxy shall pass on (RFC 9112 3.2.2)."""
    place = _bracketed(host) if port == _HTTP_PORT else authority(host, port)
    return f"http://{place}".encode() + path_and_query


def authority(host: str, port: int) -> str:
    """Return host and port as in `api.example.com:443` and `[2001:db8::1]:443`."""
    return f"{_bracketed(host)}:{port}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


async def tunnel(sock: socket.socket, proxy: Proxy, host: str, port: int) -> None:
    """Have the proxy at the other end connect to a host; raises TunnelError or OSError.

    The socket is non-blocking; after this what is written to it reaches the host.
    """
    there = authority(host, port)
    http = h11.Connection(h11.CLIENT)
    headers = [(b"Host", there.encode()), *proxy.headers()]
    asked = _sent(http, h11.Request(method="CONNECT", target=there, headers=headers))
    await asyncio.get_running_loop().sock_sendall(sock, asked)
    try:
        answer = await _answer(sock, http)
    except h11.RemoteProtocolError:
        message = "its answer to CONNECT is no HTTP"
        raise TunnelError(message) from None
    if not 200 <= answer.status_code < 300:  # noqa: PLR2004 - the class of RFC 9110 15.3
        message = f"answered {answer.status_code} to CONNECT"
        raise TunnelError(message)
    if http.trailing_data[0]:
        message = "said more than its answer to CONNECT"
        raise TunnelError(message)


def _sent(http: h11.Connection, head: h11.Request) -> bytes:
    events: Sequence[h11.Event] = (head, h11.EndOfMessage())
    return b"".join(http.send(event) or b"" for event in events)


async def _answer(sock: socket.socket, http: h11.Connection) -> h11.Response:
    loop = asyncio.get_running_loop()
    left = ANSWER_LIMIT_BYTES
    while True:
        event = http.next_event()
        if isinstance(event, h11.Response):
            return event
        if event is h11.NEED_DATA:
            data = await loop.sock_recv(sock, min(left, _PIECE_BYTES)) if left else b""
            if not data:
                message = "did not answer CONNECT" if left else "answers CONNECT without end"
                raise TunnelError(message)
            left -= len(data)
            http.receive_data(data)
