"""Sockets of `--listen`, and what a client may take of the daemon.

A request's head has 8 KiB and 10 s to come; 128 connections are served, the next get 503 and are
cut off soon after, beyond another 128 at once. A client that does not read is cut off as well.
"""

import asyncio
import contextlib
import ipaddress
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from sinkd.errors import UsageError

HEAD_BYTES: Final = 8 * 1024
HEAD_SECONDS: Final = 10.0
CONNECTIONS: Final = 128
REFUSED_AT_ONCE: Final = 128  # connections that still hear their 503
FILES: Final = CONNECTIONS + REFUSED_AT_ONCE
READ_SECONDS: Final = 30.0  # how long a client may read nothing of what it asked for
_REFUSED_SECONDS: Final = 1.0
_GRACE_SECONDS: Final = 1
_SOCKET_MODE: Final = 0o660
_TOLD: Final = b"too many connections, try later\n"
_REFUSAL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: %d\r\nretry-after: 5\r\nconnection: close\r\n\r\n%s" % (len(_TOLD), _TOLD)
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: a host and a port, or the path of a unix socket."""

    host: str = ""
    port: int = 0
    path: Path | None = None

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        if self.path or self.host == "localhost":
            return True
        with contextlib.suppress(ValueError):
            return ipaddress.ip_address(self.host).is_loopback
        return False


def parse_address(text: str) -> Address:
    """Return the address of `--listen HOST:PORT` or `--listen unix:PATH`; UsageError otherwise."""
    if text.startswith("unix:") and text != "unix:":
        return Address(path=Path(text.removeprefix("unix:")))
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if host and port.isascii() and port.isdigit() and int(port) <= 65535:  # noqa: PLR2004 (a port)
        return Address(host, int(port))
    message = (
        f"--listen {text}: write HOST:PORT, as in `127.0.0.1:8080` or `[::1]:8080`, or `unix:PATH`"
    )
    raise UsageError(message)


def listen(address: Address) -> socket.socket:
    """Return a listening socket; UsageError when the address cannot be had."""
    try:
        if address.path:
            return _unix(address.path)
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        return socket.create_server((address.host, address.port), family=family)
    except OSError as error:
        where = address.path or f"{address.host}:{address.port}"
        why = (error.strerror or str(error)).lower()
        message = f"--listen: {where} cannot be used ({why}): choose another address"
        raise UsageError(message) from None


def _unix(path: Path) -> socket.socket:
    """Bind a unix socket, in the place of one that nobody listens on any more."""
    if path.is_socket() and not _is_answered(path):
        path.unlink()
    listening = socket.socket(socket.AF_UNIX)
    try:
        listening.bind(str(path))
        path.chmod(_SOCKET_MODE)
        listening.listen()
    except BaseException:
        listening.close()
        raise
    return listening


def _is_answered(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as asked:
        return asked.connect_ex(str(path)) == 0


def address_text(listening: socket.socket) -> str:
    """Return the URL of a listening socket, or where its file is."""
    if listening.family == socket.AF_UNIX:
        return f"unix:{listening.getsockname()}"
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


@asynccontextmanager
async def serving(app: ASGIApp, listening: socket.socket) -> AsyncIterator[None]:
    """Serve an application while the block runs; its open connections may end, but soon."""
    logging.getLogger("uvicorn").addHandler(logging.NullHandler())
    logging.getLogger("uvicorn").propagate = False
    server = _Server(
        uvicorn.Config(
            app,
            http=_Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            h11_max_incomplete_event_size=HEAD_BYTES,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
    )
    path = Path(listening.getsockname()) if listening.family == socket.AF_UNIX else None
    served = asyncio.create_task(server.serve([listening]))
    try:
        yield
    finally:
        server.should_exit = True
        await served
        if path:
            path.unlink(missing_ok=True)


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the daemon."""
        yield


class _Protocol(H11Protocol):
    """One connection, bounded in time and number."""

    _refused = 0  # connections that hear their 503 just now, of all
    _deadline: asyncio.TimerHandle | None = None
    _is_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Serve a connection, or refuse it when there are too many."""
        if len(self.connections) >= CONNECTIONS:
            self._refuse(transport)
            return
        super().connection_made(transport)
        self._give(HEAD_SECONDS)

    def data_received(self, data: bytes) -> None:
        """Take a part of a request; its head must be whole when the time is over."""
        if self._is_refused:
            return
        if self._is_idle() and self._deadline is None:
            self._give(HEAD_SECONDS)
        super().data_received(data)
        if not self._is_idle():
            self._take_back()

    def pause_writing(self) -> None:
        """Give a client that does not read some time to do so."""
        if not self._is_refused:
            super().pause_writing()
            self._give(READ_SECONDS)

    def resume_writing(self) -> None:
        """Go on with a client that reads again."""
        if not self._is_refused:
            super().resume_writing()
            self._take_back()

    def eof_received(self) -> None:
        """Do nothing: a client may half-close and still read."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection."""
        self._take_back()
        if self._is_refused:
            _Protocol._refused -= 1
        else:
            super().connection_lost(exc)

    def _refuse(self, transport: asyncio.Transport) -> None:
        self._is_refused = True
        _Protocol._refused += 1
        self.transport = transport
        if _Protocol._refused > REFUSED_AT_ONCE:
            transport.abort()
            return
        transport.write(_REFUSAL)
        if transport.can_write_eof():
            transport.write_eof()
        self._give(_REFUSED_SECONDS)

    def _is_idle(self) -> bool:
        """Say whether no request is being answered."""
        cycle: Any = self.cycle
        return cycle is None or cycle.response_complete

    def _give(self, seconds: float) -> None:
        self._take_back()
        self._deadline = self.loop.call_later(seconds, self.transport.abort)

    def _take_back(self) -> None:
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None
