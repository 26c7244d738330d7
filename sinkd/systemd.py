"""Tells systemd how the daemon is, as `Type=notify` expects it: one datagram a message.

The protocol is that of sd_notify(3). Without `NOTIFY_SOCKET` in the environment nothing is sent,
and a supervisor that went away is no reason to stop: a message that cannot be sent is dropped.
"""

import contextlib
import os
import socket
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Notifier:
    """The supervisor's socket: a path, `@name` in the abstract namespace, or None for nobody."""

    address: str | None

    @classmethod
    def from_environment(cls) -> Self:
        """Find the socket in `NOTIFY_SOCKET`."""
        return cls(os.environ.get("NOTIFY_SOCKET"))

    def ready(self, status: str) -> None:
        """Say that jobs run: after the start, and after each reload, accepted or refused."""
        self._send("READY=1", f"STATUS={status}")

    def reloading(self, monotonic_usec: int) -> None:
        """Say that a reload begins, at this instant of CLOCK_MONOTONIC; `ready` ends it."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={monotonic_usec}")

    def stopping(self) -> None:
        """Say that the drain begins."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """Show this line in `systemctl status`."""
        self._send(f"STATUS={text}")

    def watchdog(self) -> None:
        """Give a sign of life; due within the unit's `WatchdogSec`."""
        self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> None:
        if not self.address:
            return
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection,
        ):
            connection.settimeout(0)
            connection.sendto("\n".join(lines).encode(), address)
