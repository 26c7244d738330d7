"""Serves the agent on a loopback port, inside a loop that belongs to somebody else."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import uvicorn
from starlette.applications import Starlette

from sinkd.errors import UsageError

HOST: Final = "127.0.0.1"
PORT: Final = 8787  # as in jobs.yaml
_GRACE_SECONDS: Final = 1


def listen(port: int) -> socket.socket:
    """Return a listening socket on the port; UsageError when it cannot be had."""
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        why = os.strerror(error.errno or 0).lower()
        message = f"port {port} of {HOST} cannot be used: {why}; choose another one with --port"
        raise UsageError(message) from None


@asynccontextmanager
async def serving(app: Starlette, listening: socket.socket) -> AsyncIterator[None]:
    """Serve the application while the block runs; its open connections may end, but soon."""
    server = _Server(
        uvicorn.Config(
            app,
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
    )
    served = asyncio.create_task(server.serve([listening]))
    try:
        yield
    finally:
        server.should_exit = True
        await served


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the daemon."""
        yield
