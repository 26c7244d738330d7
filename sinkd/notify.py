"""Sends the notices of `notify:`, one POST each, never again, and leaves an event of each.

A few are in flight at a time and some wait; more are dropped with an event, so that whatever a
receiver does, no run is late.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Final

from pydantic_core import from_json

from sinkd import sealed
from sinkd.history import History
from sinkd.notices import Edges, Notice
from sinkd.report import Totals
from sinkd.runlog import RunLog
from sinkd.runner import Runner
from sinkd.spec import Notify
from sinkd.standing import standing

AT_ONCE: Final = 8
QUEUE_NOTICES: Final = 1000


class Notices:
    """Tells who is to be told; `addresses` returns the `notify:` of the jobs file in use.

    Hand each public line to `observe`.
    """

    def __init__(
        self,
        edges: Edges,
        runner: Runner,
        log: RunLog,
        addresses: Callable[[], Iterable[Notify]],
    ) -> None:
        self._edges = edges
        self._runner = runner
        self._log = log
        self._addresses = addresses
        self._queue: asyncio.Queue[tuple[Notify, Notice]] = asyncio.Queue(QUEUE_NOTICES)

    def observe(self, line: bytes) -> None:
        """Take a durable line, and queue what is to be told of it."""
        if notice := self._edges.take(from_json(line)):
            for to in self._addresses():
                if notice.on in to.on:
                    self._put(to, notice)

    async def serve(self) -> None:
        """Send what is queued, for ever."""
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._send())

    def _put(self, to: Notify, notice: Notice) -> None:
        try:
            self._queue.put_nowait((to, notice))
        except asyncio.QueueFull:
            self._say(notice, error=f"not sent: {QUEUE_NOTICES:,} notices wait already")

    async def _send(self) -> None:
        while True:
            to, notice = await self._queue.get()
            answer = await self._runner.tell(to, notice.identity, notice.body())
            self._say(notice, status_code=answer.status_code, error=answer.error)

    def _say(self, notice: Notice, **fields: object) -> None:
        every = {"on": notice.on, "job": notice.job, **fields}
        said = {key: value for key, value in every.items() if value is not None}
        self._log.event("notify", **said)


def edges_of(data_dir: Path, jobs: Collection[str], now: float) -> Edges:
    """Return what a log says of these jobs: which fail, and whether a refused file shows.

    A run that a shutdown cut is left out: its notice could not be sent any more.
    """
    found = Edges()
    history = History(data_dir, beyond_summaries=True)
    for older in sealed.readable(history.summaries()):
        for name, totals in older.items():
            _fold(found.failing, name, totals)
    for run in history.runs():
        if run.get("reason") != "shutdown":
            found.take(run)
    found.failing.intersection_update(jobs)
    found.refused = standing(history.events(), now).refused is not None
    return found


def _fold(failing: set[str], job: str, totals: Totals) -> None:
    """Take in whether the last slot of a job in a sealed file was answered by success."""
    troubles = [each.last["seq"] for (_, why), each in totals.troubles.items() if why != "paused"]
    bad, good = max(troubles, default=0), totals.last_success["seq"] if totals.last_success else 0
    if bad > good:
        failing.add(job)
    elif good:
        failing.discard(job)
