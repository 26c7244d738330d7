"""Runs in flight: from a claim that is durable to a last line that is (R1, R3)."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sinkd.clock import Clock
from sinkd.decide import SEEN_LATE_SECONDS
from sinkd.instant import rfc3339
from sinkd.permits import Permits
from sinkd.record import Trigger, ordered
from sinkd.runner import Attempt, Runner
from sinkd.spec import Job
from sinkd.store import Promise, Store, interrupted


def _future() -> asyncio.Future[Any]:
    return asyncio.get_running_loop().create_future()


@dataclass(slots=True)
class Flight:
    """A claimed run until its last line is durable; it holds a permit to `host`.

    `job` is the frozen spec that it was claimed with (C7). `ended` gets its record; `asked` is
    what a person waits for who asked for the run, None for a scheduled one.
    """

    job: Job
    promise: Promise
    trigger: Trigger
    scheduled_at: float
    host: str
    asked: "asyncio.Future[Flight] | None" = None
    ended: asyncio.Future[Mapping[str, Any]] = field(default_factory=_future)
    sending: asyncio.Future[Any] | None = None

    @property
    def run_id(self) -> str:
        """The run's identity."""
        return self.promise.run_id


class Flights:
    """Claims, sends and records runs; at most one of a job is in flight.

    `landed` is called after each end. `bug` is where an error of our own shows, which would be
    lost in silence in a run's task.
    """

    def __init__(
        self,
        store: Store,
        runner: Runner,
        clock: Clock,
        permits: Permits,
        landed: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self.permits = permits
        self.bug: asyncio.Future[None] = _future()
        self._store = store
        self._runner = runner
        self._clock = clock
        self._landed = landed
        self._by_job: dict[str, Flight] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._change = asyncio.Event()
        self._cutting = False

    def __len__(self) -> int:
        return len(self._by_job)

    def of(self, job: str) -> Flight | None:
        """Return the run of a job that is in flight."""
        return self._by_job.get(job)

    async def start(self, flights: Sequence[Flight]) -> list[Flight]:
        """Claim runs in one group and send them; return those that the disk refused (E1)."""
        for flight in flights:
            self._by_job[flight.job.name] = flight
        promised = await self._store.claim([flight.promise for flight in flights])
        refused = []
        for flight, is_durable in zip(flights, promised, strict=True):
            if is_durable:
                self._spawn(self._fly(flight))
            else:
                self._let_go(flight)
                refused.append(flight)
        return refused

    async def drain(self, seconds: float) -> int:
        """Wait for what is in flight, at most so long or until `cut`; return how many are left."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while self._by_job and not self._cutting and deadline > loop.time():
            self._change.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(deadline):
                    await self._change.wait()
        return len(self._by_job)

    def hurry(self) -> None:
        """Let `drain` end now (D2)."""
        self._cutting = True
        self._change.set()

    async def cut(self, seconds: float) -> int:
        """Cut what is left and wait for its records, at most so long; return how many are lost."""
        for flight in self._by_job.values():
            if flight.sending:
                flight.sending.cancel()
        self._cutting = False
        return await self.drain(seconds)

    def abandon(self) -> None:
        """Forget everything, as a crash does."""
        for running in self._tasks:
            running.cancel()

    async def _fly(self, flight: Flight) -> None:
        """Send a claimed run and record its end, whatever happens (R1, R3)."""
        began = self._clock.wall()
        if flight.trigger == "manual":  # it may be a millisecond ahead of the clock (T12)
            began = max(began, flight.scheduled_at)
        window = flight.job.catch_up_seconds + SEEN_LATE_SECONDS
        if 0 <= began - flight.scheduled_at <= window:
            ending = await self._send(flight, began)
        else:  # the claim became durable too late (R3)
            ending = {"outcome": "missed", "reason": "stalled"}
        run = ordered({**flight.promise.record, **ending})
        await self._store.finish(run)
        self._let_go(flight)
        flight.ended.set_result(run)
        self._landed(run)

    async def _send(self, flight: Flight, began: float) -> dict[str, Any]:
        """Send the request and return what its record says of it."""
        trace_id = flight.promise.record["trace_id"]
        attempt = Attempt(flight.job, flight.run_id, flight.scheduled_at, flight.trigger, trace_id)
        late_ms = int((began - flight.scheduled_at) * 1000)
        times = {"started_at": rfc3339(began), "late_ms": late_ms}
        flight.sending = asyncio.ensure_future(self._runner.run(attempt))
        await asyncio.wait([flight.sending])
        if flight.sending.cancelled():
            return {**times, **interrupted({}, "shutdown")}
        answer = flight.sending.result()
        return {**times, "finished_at": rfc3339(self._clock.wall()), **answer.fields()}

    def _let_go(self, flight: Flight) -> None:
        del self._by_job[flight.job.name]
        self.permits.give_back(flight.host)
        self._change.set()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        running = asyncio.create_task(work)
        self._tasks.add(running)
        running.add_done_callback(self._ended)

    def _ended(self, running: asyncio.Task[None]) -> None:
        self._tasks.discard(running)
        if not running.cancelled() and (bug := running.exception()) and not self.bug.done():
            self.bug.set_exception(bug)
