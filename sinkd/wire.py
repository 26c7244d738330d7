"""One HTTP/1.1 request over one new connection: the only user of sockets and h11 (H5).

There is no pool: a pool's bookkeeping is quadratic in a burst, and a kept connection may be dead.
`Progress` always names the phase, so an error and a deadline never have to be guessed apart.
"""

import asyncio
import contextlib
import errno
import os
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from typing import Final, TypeAlias, cast

import h11

from sinkd.network import Policy, blocked
from sinkd.proxy import Proxy, TunnelError, tunnel
from sinkd.record import FailureReason, Phase
from sinkd.resolver import Addresses, Resolver, numeric

Headers: TypeAlias = list[tuple[bytes, bytes]]

HEAD_START_SECONDS: Final = 0.25  # RFC 8305 section 5
ADDRESS_LIMIT: Final = 8
HEAD_LIMIT_BYTES: Final = 64 * 1024
INTERIM_LIMIT: Final = 16
EVENTS_PER_TURN: Final = 64
NEVER_SECONDS: Final = 1e6  # the run has one deadline; asyncio's own must not come first

_EAI: Final = {value: name for name, value in vars(socket).items() if name.startswith("EAI_")}


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a request failed; `text` is one line of ours that quotes no value and no server."""

    reason: FailureReason
    phase: Phase | None
    text: str


class FailedError(Exception):
    """The request was not sent, or got no whole answer."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause.text)
        self.cause = cause


@dataclass(slots=True)
class Progress:
    """Where a request is right now; whoever ends it reads the phase here."""

    phase: Phase = "headers"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where to connect; `host` is without brackets, and decides address and server name (H8)."""

    host: str
    port: int
    tls: bool


@dataclass(frozen=True, slots=True)
class Wire:
    """Makes connections: one TLS context for all, every address checked by the policy."""

    context: ssl.SSLContext
    resolver: Resolver
    policy: Policy
    proxy: Proxy | None = None

    async def open(self, origin: Origin, progress: Progress) -> "Connection":
        """Return a new connection to the origin; raises FailedError."""
        if self.proxy is None:
            sock = await self._connected(origin.host, origin.port, progress)
        else:
            sock = await self._by_way_of(self.proxy, origin, progress)
        if origin.tls:
            progress.phase = "tls"
        return await self._start(sock, origin, progress)

    async def _connected(self, host: str, port: int, progress: Progress) -> socket.socket:
        progress.phase = "dns"
        addresses = await self._addresses(host)
        progress.phase = "connect"
        try:
            return await _first(self._permitted(host, addresses), port)
        except OSError as error:
            raise FailedError(Cause("connect", "connect", describe(error))) from error

    async def _by_way_of(self, proxy: Proxy, origin: Origin, progress: Progress) -> socket.socket:
        """Return a connection to the proxy, for https one that it leads on to the origin.

        Names are looked up by the proxy, so the policy sees only an address in a URL.
        """
        self._permitted(origin.host, numeric(origin.host))
        try:
            sock = await self._connected(proxy.host, proxy.port, progress)
            if origin.tls:
                await _tunnel(sock, proxy, origin)
        except FailedError as error:
            cause = replace(error.cause, text=f"the proxy: {error.cause.text}")
            raise FailedError(cause) from error
        return sock

    async def _addresses(self, host: str) -> Addresses:
        try:
            return await self.resolver.addresses(host)
        except (OSError, UnicodeError) as error:
            raise FailedError(Cause("dns", "dns", describe(error))) from error

    def _permitted(self, host: str, addresses: Addresses) -> Addresses:
        """Return the addresses that may be connected to, families in turn, the first ones."""
        refusal = None
        permitted = []
        for address in addresses:
            if (why := blocked(address, self.policy, host)) is None:
                permitted.append(address)
            refusal = why or refusal
        if refusal is not None and not permitted:
            raise FailedError(Cause("policy", "connect", refusal))
        return _interleave(permitted)[:ADDRESS_LIMIT]

    async def _start(self, sock: socket.socket, origin: Origin, progress: Progress) -> "Connection":
        """Return the connection over a socket that asyncio owns, and closes, from here on."""
        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: Connection(progress),
                sock=sock,
                ssl=self.context if origin.tls else None,
                server_hostname=origin.host.rstrip(".") if origin.tls else None,
                ssl_handshake_timeout=NEVER_SECONDS if origin.tls else None,
            )
        except OSError as error:  # an SSLError is one
            raise FailedError(Cause("tls", "tls", describe(error))) from error
        return connection


class Connection(asyncio.Protocol):
    """One connection for one exchange: `request`, then its answer as an async iterator of bytes."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_LIMIT_BYTES)
        self._lost: Exception | None = None
        self._closed = False
        self._unwritten = False
        self._arrival: asyncio.Future[None] | None = None
        self._events = 0

    async def request(
        self, method: str, target: bytes, headers: Headers, body: bytes
    ) -> h11.Response:
        """Send the request and return the head of its final answer; raises FailedError.

        All bytes are handed over at once and the answer is awaited meanwhile: a server may answer,
        and close, before it has read them.
        """
        self._progress.phase = "write"
        head = h11.Request(method=method, target=target, headers=headers)
        self._transport.set_write_buffer_limits(high=0)
        self._transport.write(self._encoded(head, body))
        if not (self._unwritten or self._transport.is_closing()):
            self._progress.phase = "headers"
        for _ in range(INTERIM_LIMIT):
            event = await self._event()
            if isinstance(event, h11.Response):
                return event
        raise FailedError(Cause("protocol", "headers", f"over {INTERIM_LIMIT} interim answers"))

    def _encoded(self, head: h11.Request, body: bytes) -> bytes:
        events = (head, h11.Data(data=body), h11.EndOfMessage())
        return b"".join(self._h11.send(event) or b"" for event in events)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """Return the next bytes of the body as they came (H4); raises FailedError."""
        event = await self._event()
        if isinstance(event, h11.Data):
            return bytes(event.data)
        raise StopAsyncIteration

    def close(self) -> None:
        """Close at once; nothing is left to say to a server that has been heard."""
        self._transport.abort()

    async def _event(self) -> h11.Event | type[h11.PAUSED]:
        self._events += 1
        if self._events % EVENTS_PER_TURN == 0:
            await asyncio.sleep(0)  # a flood of tiny chunks must not hold the loop
        while True:
            try:
                event = self._h11.next_event()
            except h11.RemoteProtocolError as error:
                raise FailedError(self._broken(error)) from error
            if event is not h11.NEED_DATA:
                return event  # type: ignore[return-value]
            if self._closed:
                raise FailedError(self._cut())
            await self._arrived()

    def _broken(self, error: h11.RemoteProtocolError) -> Cause:
        if self._closed:
            return self._cut()
        # What h11 says before a colon is its own; after it may come the server's bytes.
        # Of an answer that is no HTTP it says what it would say to a client.
        said = str(error).partition(":")[0].replace("request line", "status line")
        return Cause("protocol", self._progress.phase, f"{type(error).__name__}, {said}")

    def _cut(self) -> Cause:
        phase = self._progress.phase
        if self._lost is None:
            return Cause("protocol", phase, "the server closed before the end of its answer")
        if phase == "body" and isinstance(self._lost, ConnectionError):
            return Cause("protocol", phase, describe(self._lost))  # H3
        return Cause("write" if phase == "write" else "read", phase, describe(self._lost))

    async def _arrived(self) -> None:
        self._arrival = asyncio.get_running_loop().create_future()
        self._transport.resume_reading()
        try:
            await self._arrival
        finally:
            self._arrival = None

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    def _take_what_arrived(self) -> None:
        """Take the answer that came before a RST made writing fail: asyncio would drop it."""
        if self._transport.get_extra_info("sslcontext"):
            return  # ciphertext, which the lost TLS layer alone could read
        sock = self._transport.get_extra_info("socket")
        with contextlib.suppress(OSError):
            self._h11.receive_data(os.read(sock.fileno(), HEAD_LIMIT_BYTES))

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; reading begins when an answer is awaited."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        """Take what came and read no more until it is wanted."""
        self._h11.receive_data(data)
        self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """Note that the server has said all it will; asyncio closes the connection."""
        self._h11.receive_data(b"")
        self._closed = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection is gone, and why."""
        if self._progress.phase == "write":
            self._take_what_arrived()
        self._lost = self._lost or exc
        self._closed = True
        self._wake()

    def pause_writing(self) -> None:
        """Note that bytes of the request wait for the server to read."""
        self._unwritten = True

    def resume_writing(self) -> None:
        """Note that the whole request has been handed to the system."""
        self._unwritten = False
        if self._progress.phase == "write":
            self._progress.phase = "headers"


async def _tunnel(sock: socket.socket, proxy: Proxy, origin: Origin) -> None:
    try:
        await tunnel(sock, proxy, origin.host, origin.port)
    except BaseException as error:
        sock.close()
        if isinstance(error, TunnelError):
            raise FailedError(Cause("connect", "connect", str(error))) from error
        if isinstance(error, OSError):
            raise FailedError(Cause("connect", "connect", describe(error))) from error
        raise


async def _first(addresses: Sequence[str], port: int) -> socket.socket:
    """Return the first connection made; attempts start 0.25 s apart or as one fails (RFC 8305).

    Raises the OSError of the attempt that failed last.
    """
    if len(addresses) == 1:
        return await _attempt(addresses[0], port)
    waiting = list(addresses)
    attempts: set[asyncio.Task[socket.socket]] = set()
    failure = OSError(errno.EADDRNOTAVAIL, "")
    try:
        while waiting or attempts:
            if waiting:
                attempts.add(asyncio.create_task(_attempt(waiting.pop(0), port)))
            done, _ = await asyncio.wait(
                attempts,
                timeout=HEAD_START_SECONDS if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for attempt in done:
                attempts.remove(attempt)
                error = attempt.exception()
                if error is None:
                    return attempt.result()
                if not isinstance(error, OSError):
                    raise error
                failure = error
        raise failure
    finally:
        _abandon(attempts)


def _abandon(attempts: set[asyncio.Task[socket.socket]]) -> None:
    for attempt in attempts:
        if not attempt.cancel() and attempt.exception() is None:
            attempt.result().close()


async def _attempt(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(0)
        await asyncio.get_running_loop().sock_connect(sock, (address, port))
    except BaseException:
        sock.close()
        raise
    return sock


def _interleave(addresses: Addresses) -> list[str]:
    """Return the addresses with the families in turn (RFC 8305 section 4)."""
    families: dict[bool, list[str]] = {}
    for address in addresses:
        families.setdefault(":" in address, []).append(address)
    return [address for address in chain(*zip_longest(*families.values())) if address]


def describe(error: BaseException) -> str:
    """Return class and error name, as in `ConnectionRefusedError, ECONNREFUSED`; never `str`."""
    name = type(error).__name__
    match error:
        case ssl.SSLCertVerificationError():
            return f"{name}, {error.verify_message}"
        case ssl.SSLError():
            return f"{name}, {error.reason}" if error.reason else name
        case socket.gaierror():
            return f"{name}, {_EAI.get(error.errno or 0, error.errno)}"
        case OSError(errno=int(number)):
            return f"{name}, {errno.errorcode.get(number, number)}"
    return name
