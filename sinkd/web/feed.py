"""Every durable line of the log, folded into an overview as it comes.

What was there before the start is read once, on a thread, while new lines are held; who waits for
a change holds no buffer, only the `seq` up to which it knows.
"""

import asyncio
from contextlib import suppress
from typing import Final

import structlog
from pydantic_core import from_json

from sinkd import sealed
from sinkd.errors import UsageError
from sinkd.history import History, is_event, is_run
from sinkd.overview import Overview
from sinkd.record import Event, Run
from sinkd.report import Summary
from sinkd.web.gently import Reader

_COALESCE_SECONDS: Final = 1.0

_log = structlog.get_logger("sinkd")


class Feed:
    """The overview of one data directory; `is_complete` once what was there before is in it."""

    def __init__(self) -> None:
        self.overview = Overview()
        self.is_complete = False
        self.is_closed = False
        self._held: list[tuple[Run | Event, bytes]] = []
        self._waiting: set[asyncio.Future[None]] = set()

    def show(self, line: bytes) -> None:
        """Take in a durable public line of the log."""
        record = from_json(line)
        _add(self.overview, record, line)
        if not self.is_complete:
            self._held.append((record, line))
        self._wake()

    async def fill(self, reader: Reader) -> None:
        """Take in what the log holds from before; the loop goes on meanwhile."""
        try:
            overview = await reader.ask(read)
        except UsageError as error:  # what comes from now on is shown all the same
            _log.warning("past_unreadable", error=str(error))
            overview = Overview()
        for record, line in self._held:
            _add(overview, record, line)
        self.overview, self.is_complete, self._held = overview, True, []
        self._wake()

    async def changed(self, seq: int, seconds: float) -> bool:
        """Wait until something is newer than `seq`, at most so long; say whether something is.

        Changes of one second come together.
        """
        if self.overview.newest <= seq:
            waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(waiting)
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await waiting
            self._waiting.discard(waiting)
        if self.overview.newest <= seq or self.is_closed:
            return False
        await asyncio.sleep(_COALESCE_SECONDS)
        return True

    def close(self) -> None:
        """Let everybody go who waits: the daemon stops."""
        self.is_closed = True
        self._wake()

    def _wake(self) -> None:
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)


def read(history: History) -> Overview:
    """Return the overview of a log as it is now."""
    overview = Overview()
    for line, run in history.entries("runs"):
        overview.add_run(run, line)
    older = Summary(0)
    for jobs in sealed.readable(history.expired()):
        older.merge(Summary(0, jobs=jobs))
    older.merge(overview.summary)
    overview.summary = older
    for event in history.events():
        overview.add_event(event)
    return overview


def _add(overview: Overview, record: Run | Event, line: bytes) -> None:
    if is_run(record):
        overview.add_run(record, line)
    elif is_event(record):
        overview.add_event(record)
