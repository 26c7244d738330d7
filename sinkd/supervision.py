"""What stands between a daemon and its supervisor: signals come in, signs of life go out."""

import asyncio
import signal
import sys
from typing import TYPE_CHECKING

import structlog

from sinkd.daemon import Daemon
from sinkd.instant import minute_text
from sinkd.systemd import Notifier

if TYPE_CHECKING:
    from sinkd.web.site import Site

_log = structlog.get_logger("sinkd")


class Supervision:
    """Hands on what signals ask for, and tells systemd and the site how the daemon is."""

    def __init__(self, daemon: Daemon, notifier: Notifier, site: "Site | None" = None) -> None:
        self._daemon = daemon
        self._site = site
        self._notifier = notifier
        self._told = ""
        self._reloads: set[asyncio.Task[None]] = set()

    def listen(self) -> None:
        """SIGTERM and SIGINT drain; SIGHUP reloads, but stops what began at a terminal (C1)."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number.name)
        if sys.stdin is not None and sys.stdin.isatty():
            loop.add_signal_handler(signal.SIGHUP, self._stop, "SIGHUP")
        else:
            loop.add_signal_handler(signal.SIGHUP, self._ask_for_reload)

    def passed(self) -> None:
        """Say after each pass of the loop that it is alive, and what comes next."""
        if self._site:
            self._site.passed()
        status = _status(self._daemon)
        if not self._told:
            self._notifier.ready(status)
            _log.info("running", status=status, see="sinkd tail -f")
        elif status != self._told:
            self._notifier.status(status)
        self._told = status
        self._notifier.watchdog()

    def _stop(self, reason: str) -> None:
        self._notifier.stopping()
        self._daemon.stop(reason)

    def _ask_for_reload(self) -> None:
        reload = asyncio.get_running_loop().create_task(self._reload())
        self._reloads.add(reload)
        reload.add_done_callback(self._reloads.discard)

    async def _reload(self) -> None:
        self._notifier.reloading(int(self._daemon.clock.monotonic() * 1_000_000))
        await self._daemon.reloader.look(self._daemon)
        self._notifier.ready(self._told)


def _status(daemon: Daemon) -> str:
    """Return a line such as `41 jobs, next refresh-cache at 10:05 UTC`."""
    jobs = sum(job.enabled for job in daemon.spec.jobs.values())
    text = f"{jobs} job{'' if jobs == 1 else 's'}"
    if upcoming := daemon.upcoming:
        slot, name = upcoming
        text += f", next {name} at {minute_text(slot)[11:16]} UTC"
    return text
