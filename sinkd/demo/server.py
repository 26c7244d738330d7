"""The port of the agent: on loopback, for this machine alone."""

import os
import socket
from typing import Final

from sinkd.errors import UsageError

HOST: Final = "127.0.0.1"
PORT: Final = 8787  # as in jobs.yaml


def listen(port: int) -> socket.socket:
    """Return a listening socket on the port; UsageError when it cannot be had."""
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        why = os.strerror(error.errno or 0).lower()
        message = f"port {port} of {HOST} cannot be used: {why}; choose another one with --port"
        raise UsageError(message) from None
