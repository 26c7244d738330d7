"""Run the real daemon in virtual time: a week of jobs in seconds, the same every time.

`simulate` takes a jobs file, a span of time and a function that answers requests, and returns what
was sent and what was logged. Everything runs on one `VirtualLoop`: ready callbacks in order, and
when nothing is ready the time jumps to the next timer. There are no threads and no waiting, so the
same input gives the same bytes.

    from sinkd.testing import simulate

    def test_the_report_job_runs_on_weekdays_at_nine(tmp_path):
        result = simulate(Path("jobs.yaml"), tmp_path, start="2026-11-23T00:00Z", hours=24 * 7)
        assert [sent.scheduled_at for sent in result.sent_by("report")] == [...]
"""

import asyncio
import inspect
import random
import selectors
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

import httpx
import structlog

from sinkd import __version__, schedule
from sinkd.daemon import NAP_SECONDS, Daemon
from sinkd.errors import UsageError
from sinkd.history import History
from sinkd.instant import MINUTE, parse_rfc3339
from sinkd.lines import Lines
from sinkd.permits import MAX_IN_FLIGHT, Permits
from sinkd.record import Event, Run
from sinkd.reload import Candidate, Reloader, begin_with, last_good
from sinkd.retention import Keep, Retention
from sinkd.runlog import ROTATE_BYTES
from sinkd.runner import Runner
from sinkd.secrets import Secrets
from sinkd.spec import Spec
from sinkd.storage import Storage
from sinkd.store import Store

Result = TypeVar("Result")
Answer: TypeAlias = Callable[[httpx.Request], httpx.Response | Awaitable[httpx.Response]]

CONFIG_POLL_SECONDS: Final = 15
START_SECONDS: Final = 0.1  # what a start has written by then is durable


class DeadlockError(RuntimeError):
    """Nothing is ready and no timer is set: what is awaited will never come."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """An asyncio loop whose time jumps to the next timer instead of passing.

    It does no input or output: sockets, pipes, subprocesses and threads have no place on it.
    """

    _scheduled: list[asyncio.TimerHandle]  # asyncio's own heap of timers
    _clock_resolution: float

    def __init__(self) -> None:
        self._now = 0.0
        self._jumps = _Jumps(self)
        super().__init__(self._jumps)
        # asyncio runs timers that are due before now + this; it must not vanish beside a year.
        self._clock_resolution = 1e-6

    def time(self) -> float:
        """Return the virtual seconds since the loop was made."""
        return self._now

    def jump(self) -> None:
        """Let time pass until the next timer."""
        if not self._scheduled:
            message = "nothing is ready and no timer is set"
            raise DeadlockError(message)
        # To its very instant: adding the difference may round to just before it, for ever.
        self._now = max(self._now, self._scheduled[0].when())


class _Jumps(selectors.SelectSelector):
    """Stands where the loop waits for files: it lets virtual time pass instead."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None or timeout > 0:
            self._loop.jump()
        return []


def run_virtual(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine to its end on a fresh `VirtualLoop`, as `asyncio.run` does on a real one."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)


class VirtualClock:
    """The three clocks over a virtual loop; `step` sets the wall clock, `suspend` sleeps."""

    def __init__(self, start: float) -> None:
        self._start = start
        self._set = 0.0
        self._slept = 0.0

    def wall(self) -> float:
        """Return the Unix time."""
        return self._start + self._set + self.boottime()

    def monotonic(self) -> float:
        """Return the loop's time."""
        return asyncio.get_running_loop().time()

    def boottime(self) -> float:
        """Return the loop's time and the sleep of the machine."""
        return self.monotonic() + self._slept

    def step(self, seconds: float) -> None:
        """Set the wall clock forward, or back."""
        self._set += seconds

    def suspend(self, seconds: float) -> None:
        """Let the machine sleep."""
        self._slept += seconds


class MemoryConfig:
    """A jobs file in memory; None for its bytes means that it cannot be read."""

    def __init__(self, data: bytes | None, path: Path = Path("jobs.yaml")) -> None:
        self.path = path
        self._data = data
        self._changed = asyncio.Event()

    def write(self, data: bytes | None) -> None:
        """Change the file, and hint at it."""
        self._data = data
        self._changed.set()

    def read(self) -> bytes:
        """Return the bytes; UsageError when there are none."""
        if self._data is None:
            message = f"{self.path}: no such file"
            raise UsageError(message)
        return self._data

    async def hints(self) -> AsyncIterator[None]:
        """Yield at each change, and every 15 s."""
        while True:
            yield
            try:
                async with asyncio.timeout(CONFIG_POLL_SECONDS):
                    await self._changed.wait()
            except TimeoutError:
                continue
            self._changed.clear()


async def inline(call: Callable[[], Result], /) -> Result:
    """Do the work of a thread at once."""
    return call()


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as the target saw it: when it came and what it was."""

    at: float
    request: httpx.Request

    @property
    def job(self) -> str:
        """The job's name."""
        return self.request.headers["X-Sinkd-Job"]

    @property
    def run_id(self) -> str:
        """The run's identity."""
        return self.request.headers["X-Sinkd-Run-Id"]

    @property
    def scheduled_at(self) -> str:
        """The slot, as RFC 3339."""
        return self.request.headers["X-Sinkd-Scheduled-At"]


@dataclass(slots=True)
class World:
    """Everything outside a daemon, kept over its restarts: clock, jobs file, target, secrets."""

    data_dir: Path
    clock: VirtualClock
    config: MemoryConfig
    answer: Answer
    env: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    sent: list[Sent] = field(default_factory=list)
    storage: Callable[[Path], Storage] = Storage
    max_in_flight: int = MAX_IN_FLIGHT
    drain_seconds: float = 8
    nap_seconds: float = NAP_SECONDS
    rotate_bytes: int = ROTATE_BYTES
    keep: Keep = field(default_factory=Keep)
    free_bytes: int = 2**40
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 (the same seed gives the same bytes)

    async def start(self) -> "Life":
        """Start a daemon, as `sinkd run` would; ConfigError when there is nothing to run."""
        daemon, first, origin = await self.assemble()
        started = {"version": __version__, "pid": 1, "host": "virtual"}
        running = asyncio.create_task(daemon.run(first, source=origin, started=started))
        await asyncio.sleep(START_SECONDS)
        return Life(daemon, running)

    async def assemble(self) -> tuple[Daemon, Candidate, str]:
        """Return a daemon that does not run yet, and what it begins with, from where."""
        reloader = Reloader(self.config, inline, commit_of=lambda path, data: None)  # noqa: ARG005
        last = last_good(self.data_dir, self.config.path)
        found = await reloader.first(last.spec.revision if last else None)
        first, origin = begin_with(found, last)
        rules = schedule.tzdata()
        secrets = Secrets(self.env, ())
        storage, version = self.storage(self.data_dir), rules.version
        store = Store(storage, self.clock, inline, tzdata=version, rotate_bytes=self.rotate_bytes)
        daemon = Daemon(
            store=store,
            retention=Retention(
                storage,
                store.log,
                self.clock,
                inline,
                keep=self.keep,
                free=lambda path: self.free_bytes,  # noqa: ARG005
            ),
            reloader=reloader,
            runner=Runner(httpx.MockTransport(self._answer), secrets, now=self.clock.wall),
            secrets=secrets,
            clock=self.clock,
            offload=inline,
            permits=Permits(self.max_in_flight),
            lines=Lines(rules.version),
            new_trace_id=lambda: f"{self._random.getrandbits(128):032x}",
            drain_seconds=self.drain_seconds,
            nap_seconds=self.nap_seconds,
            accepted_last=last.spec if last else Spec({}, ""),
            log=structlog.wrap_logger(structlog.ReturnLogger(), processors=[]),
        )
        return daemon, first, origin

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(Sent(self.clock.wall(), request))
        answer = self.answer(request)
        return await answer if inspect.isawaitable(answer) else answer


@dataclass(frozen=True, slots=True)
class Life:
    """One daemon from its start to its end."""

    daemon: Daemon
    running: asyncio.Task[None]

    async def stop(self) -> None:
        """Stop it as SIGTERM does, and wait until it has drained."""
        self.daemon.stop("SIGTERM")
        await self.running
        self.daemon.store.close()

    async def crash(self) -> None:
        """End it as `kill -9` does: nothing more is sent or written."""
        self.running.cancel()
        await asyncio.wait([self.running])
        self.daemon.store.close()


@dataclass(frozen=True, slots=True)
class Simulation:
    """What a simulation left: the requests that the target saw, and the log that was written."""

    sent: list[Sent]
    runs: list[Run]
    events: list[Event]

    def sent_by(self, job: str) -> list[Sent]:
        """Return what one job sent."""
        return [sent for sent in self.sent if sent.job == job]

    def runs_of(self, job: str) -> list[Run]:
        """Return the records of one job."""
        return [run for run in self.runs if run["job"] == job]


def simulate(
    jobs: Path | str | bytes,
    data_dir: Path,
    *,
    start: str,
    hours: float,
    answer: Answer = lambda request: httpx.Response(200),  # noqa: ARG005
    env: Mapping[str, str] | None = None,
    seed: int = 0,
) -> Simulation:
    """Run a jobs file for a span of virtual time and return what was sent and logged.

    `jobs` is a path, or the text of a file. `start` is RFC 3339. `answer` gets each request and
    returns its response, or a coroutine that may sleep first. `env` holds the values of `${env:}`.
    """
    data = jobs.read_bytes() if isinstance(jobs, Path) else jobs
    data = data.encode() if isinstance(data, str) else data

    async def live() -> list[Sent]:
        world = World(
            data_dir,
            VirtualClock(parse_rfc3339(start)),
            MemoryConfig(data),
            answer,
            env or {},
            seed,
            nap_seconds=MINUTE,  # nothing steps the clock here, so nothing needs a second look
        )
        life = await world.start()
        await asyncio.sleep(hours * 3600)
        await life.stop()
        return world.sent

    sent = run_virtual(live())
    history = History(data_dir)
    return Simulation(sent, list(history.runs()), list(history.events()))
