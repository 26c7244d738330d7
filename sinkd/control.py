"""The control socket: how `trigger` and `status` reach a running daemon.

A unix socket in the data directory, mode 0600, one JSON line each way and one more when a run that
was waited for has ended. The peer must be the daemon's user or root. The protocol is private.
"""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import from_json, to_json

from sinkd.errors import SinkdError
from sinkd.state import Pause

if TYPE_CHECKING:
    from sinkd.daemon import Daemon

FILE: Final = "control.sock"
PATIENCE_SECONDS: Final = 10.0  # with a daemon that reads a request, and answers nothing
_REPLY_LIMIT_BYTES: Final = 1 << 24  # a status names every run in flight
_ADDRESS_LIMIT: Final = 100  # of the bytes of a unix socket's path; Linux has 108, macOS 104


@contextlib.contextmanager
def _address(data_dir: Path) -> Iterator[str]:
    """Give a path of the socket that is short enough, whatever the directory's is."""
    path = data_dir / FILE
    if len(os.fsencode(path)) <= _ADDRESS_LIMIT or not Path("/proc/self/fd").exists():
        yield str(path)
        return
    descriptor = os.open(data_dir, os.O_RDONLY)
    try:
        yield f"/proc/self/fd/{descriptor}/{FILE}"
    finally:
        os.close(descriptor)


@contextlib.asynccontextmanager
async def serving(daemon: "Daemon", data_dir: Path) -> AsyncIterator[None]:
    """Answer on the control socket while the block runs."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, ValueError):
            if _may_ask(writer.get_extra_info("socket")):
                async for reply in _replies(daemon, from_json(await reader.readline())):
                    writer.write(to_json(reply) + b"\n")
                    await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(answer, sock=_bound(data_dir))
    try:
        yield
    finally:
        server.close()
        with contextlib.suppress(FileNotFoundError):
            (data_dir / FILE).unlink()


def _bound(data_dir: Path) -> socket.socket:
    """Return the bound socket, its file open to its owner alone from the first instant on."""
    with contextlib.suppress(FileNotFoundError):
        (data_dir / FILE).unlink()
    listening = socket.socket(socket.AF_UNIX)
    mask = os.umask(0o177)
    try:
        with _address(data_dir) as address:
            listening.bind(address)
    finally:
        os.umask(mask)
    return listening


async def _replies(daemon: "Daemon", asked: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
    try:
        match asked:
            case {"do": "trigger", "job": str(job)}:
                flight = await daemon.trigger(job)
                yield {"run_id": flight.run_id}
                if asked.get("wait"):
                    yield {"run": await asyncio.shield(flight.ended)}
            case {
                "do": "pause",
                "job": str(job),
                "until": float(until),
                "reason": str(reason),
                "by": str(by),
            }:
                await daemon.pause(job, Pause(until, reason, by))
                yield {"done": True}
            case {"do": "resume", "job": str(job), "by": str(by)}:
                await daemon.resume(job, by)
                yield {"done": True}
            case {"do": "status"}:
                yield {"status": daemon.status()}
            case _:
                yield {"refused": "this sinkd does not know the request; is it an older one?"}
    except SinkdError as refused:
        yield {"refused": str(refused)}


def _may_ask(peer: socket.socket) -> bool:
    """Say whether the peer is the daemon's user or root; where it cannot be told, the mode does."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, user, _ = struct.unpack("3i", credentials)
    return user in {0, os.geteuid()}


async def last_reply(data_dir: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """Send a request and return the last reply; SinkdError when it is refused or not answered."""
    reply: dict[str, Any] = {"refused": "the daemon closed the connection"}
    try:
        async for each in ask(data_dir, request):
            reply = each
    except TimeoutError as error:
        message = (
            f"the daemon has not answered for {PATIENCE_SECONDS:g} s: its process or its disk "
            "stands still; when it goes on, it may still do what was asked (`sinkd tail` shows it)"
        )
        raise SinkdError(message) from error
    except OSError as error:
        message = f"the daemon does not answer on {data_dir / FILE} ({error.strerror})"
        raise SinkdError(message) from error
    if refused := reply.get("refused"):
        raise SinkdError(refused)
    return reply


async def ask(data_dir: Path, request: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
    """Send a request to the daemon and yield its replies; OSError when there is no daemon.

    TimeoutError when nothing comes back; after the first reply a run may take as long as it takes.
    """
    with _address(data_dir) as address:
        reader, writer = await asyncio.open_unix_connection(address, limit=_REPLY_LIMIT_BYTES)
    try:
        writer.write(to_json(request) + b"\n")
        async with asyncio.timeout(PATIENCE_SECONDS):
            first = await reader.readline()
        if first:
            yield from_json(first)
        async for line in reader:
            yield from_json(line)
    finally:
        writer.close()
