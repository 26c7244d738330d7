"""What `sinkd run --listen` serves, put together from its options.

A site is made before the daemon: it hears every line of the log from the first one on.
"""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sinkd.errors import UsageError
from sinkd.web.api import Metrics
from sinkd.web.app import create_app
from sinkd.web.feed import Feed
from sinkd.web.gently import Reader, StoppedError
from sinkd.web.guard import Access, host_name
from sinkd.web.look import Look
from sinkd.web.server import FILES, Address, address_text, listen, parse_address, serving

if TYPE_CHECKING:
    from sinkd.daemon import Daemon

_ALIVE_SECONDS: Final = 10.0
_TOKEN_LIMIT: Final = 4096


@dataclass(slots=True)
class Site:
    """A bound address, who may ask there, and what is told; `metrics` is handed in.

    `files` is how many file descriptors clients may hold.
    """

    listening: socket.socket
    access: Access
    feed: Feed = field(default_factory=Feed)
    metrics: Metrics | None = None
    files: int = FILES
    _passed_at: float = 0.0

    @property
    def address(self) -> str:
        """The URL of the status page, or where the socket is."""
        return address_text(self.listening)

    @property
    def is_alive(self) -> bool:
        """Whether the daemon's loop completed a pass in the last 10 s."""
        return time.monotonic() - self._passed_at < _ALIVE_SECONDS

    def passed(self) -> None:
        """Note that the daemon's loop completed a pass."""
        self._passed_at = time.monotonic()

    @asynccontextmanager
    async def serving(self, daemon: "Daemon", data_dir: Path, source: str) -> AsyncIterator[None]:
        """Serve the pages of a daemon, begun from `source`, while the block runs."""
        past, questions = Reader(data_dir), Reader(data_dir)
        filling = asyncio.create_task(self.feed.fill(past))
        app = create_app(self, Look(self.feed, daemon, questions, data_dir, source))
        async with serving(app, self.listening):
            try:
                yield
            finally:
                past.stop()
                questions.stop()
                self.feed.close()
        filling.cancel()
        with contextlib.suppress(asyncio.CancelledError, StoppedError):
            await filling


def prepare(
    at: str,
    *,
    token_file: Path | None = None,
    no_auth: bool = False,
    allowed_hosts: Collection[str] = (),
) -> Site:
    """Bind the address and read the token; UsageError when either cannot be used."""
    address = parse_address(at)
    if not (address.is_loopback or token_file or no_auth):
        message = (
            f"--listen {at}: others than this machine can connect there; give them a token with "
            "`--auth-token-file FILE`, or say `--no-auth`"
        )
        raise UsageError(message)
    token = _read_token(token_file) if token_file else None
    return Site(listen(address), Access(_hosts(address, allowed_hosts), token))


def _hosts(address: Address, allowed: Collection[str]) -> frozenset[str]:
    names = {address.host, "localhost", os.uname().nodename, *allowed}
    return frozenset(host_name(f"[{name}]" if ":" in name else name) for name in names if name)


def _read_token(path: Path) -> str:
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        message = f"cannot read `{path}` ({why.lower()}), which `--auth-token-file` names"
        raise UsageError(message) from None
    if not token or len(token) > _TOKEN_LIMIT or not token.isprintable() or " " in token:
        message = (
            f"`{path}` must hold one token, a line without blanks of at most {_TOKEN_LIMIT} "
            "characters: make one with `openssl rand -hex 32`"
        )
        raise UsageError(message)
    return token
