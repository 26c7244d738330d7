"""A machine with one daemon, whose supervisor starts it again whenever it died; and its target."""

import asyncio
import contextlib
import functools
import random
from dataclasses import dataclass
from unittest import mock

import httpx
from sim.disk import Faults, PowerCutError
from structlog.testing import capture_logs

from sinkd import journal, source
from sinkd.daemon import RefusedError
from sinkd.errors import ConfigError, LogUnusableError, RecordsLostError
from sinkd.instant import parse_rfc3339
from sinkd.retention import Keep
from sinkd.testing import MemoryConfig, VirtualClock, World

SECRET = "s3cret/canary+42"
RETRY_SECONDS = 30
LATENCIES = (0.01, 0.2, 1, 20, 70, 100, 10**6)
_load = functools.lru_cache(maxsize=64)(source.load)
STATUSES = (200, 200, 204, 302, 404, 503)


@dataclass(slots=True)
class Visit:
    """A request as the target saw it; `began` and `ended` are monotonic, `ended` None till then."""

    job: str
    run_id: str
    at: float
    began: float
    ended: float | None = None


@contextlib.contextmanager
def surroundings(compact_bytes):
    """Give what the daemon says; let a journal be compacted early, and files be parsed once."""
    with (
        capture_logs() as said,
        mock.patch.object(journal, "COMPACT_BYTES", compact_bytes),
        mock.patch.object(source, "load", _load),
    ):
        yield said


class Machine:
    """A world, what fails in it, and what was seen of it from outside.

    `set_back` has the monotonic instants at which the clock was set back, `wrong` what was seen to
    be wrong while it ran, `outage` the seconds that a supervisor takes.
    """

    def __init__(self, data_dir, jobs, *, seed=0, start="2026-11-23T08:59:30Z", tail=None, **more):
        self.clock = VirtualClock(parse_rfc3339(start))
        self.faults = Faults(seed, self.clock, tail)
        self.random = random.Random(seed + 1)
        self.latencies = LATENCIES
        self.visits = []
        self.set_back = []
        self.wrong = []
        self.good = jobs
        self.life = None
        self.outage = 0
        self.world = World(
            data_dir,
            self.clock,
            MemoryConfig(jobs),
            self._answer,
            {"KEY": SECRET},
            seed,
            storage=self.faults.storage,
            keep=Keep(days=100_000),
            **more,
        )

    async def _answer(self, request):
        run_id = request.headers["X-Sinkd-Run-Id"]
        if not self.faults.has_claim(self.world.data_dir, run_id):
            self.wrong.append(f"I3: {run_id} was sent before its claim was durable")
        now = asyncio.get_running_loop().time
        visit = Visit(request.headers["X-Sinkd-Job"], run_id, self.clock.wall(), now())
        self.visits.append(visit)
        try:
            await asyncio.sleep(self.random.choice(self.latencies))
        finally:
            visit.ended = now()
        echo = request.headers.get("Authorization", "")
        if self.random.random() < 0.1:
            raise httpx.ReadError(echo)
        return httpx.Response(self.random.choice(STATUSES), headers={"X-Echo": echo})

    # --- what a person or the world does to it ------------------------------------------------

    async def boot(self):
        """Start the daemon, again and again until it stays."""
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        while True:
            try:
                self.life = await self.world.start()
            except PowerCutError:
                self.faults.lose_tails(self.world.data_dir)
            except ConfigError:
                self.world.config.write(self.good)
            except (OSError, LogUnusableError):
                await asyncio.sleep(RETRY_SECONDS)
            else:
                if not self._is_dead():
                    return
                await self._bury()
                await asyncio.sleep(max(RETRY_SECONDS, self.outage))

    async def sleep(self, seconds):
        """Let time pass; who died meanwhile is started again."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            await asyncio.wait([self.life.running], timeout=max(0, deadline - loop.time()))
            await self._recover()
            if loop.time() >= deadline:
                return

    async def ask(self, order):
        """Let a person ask the daemon for something, and wait until it did, refused, or died."""
        asked = asyncio.ensure_future(order(self.life.daemon))
        ends = [asked, self.life.running]
        await asyncio.wait(ends, timeout=1000, return_when=asyncio.FIRST_COMPLETED)
        if asked.done():
            with contextlib.suppress(RefusedError):
                asked.result()
        await self._recover()

    def edit(self, data, *, good=True):
        """Write the jobs file."""
        self.good = data if good else self.good
        self.world.config.write(data)

    def step(self, seconds):
        """Set the clock."""
        if seconds < 0:
            self.set_back.append(self.clock.monotonic())
        self.clock.step(seconds)

    def fail(self, kind, seconds):
        """Let operations of a kind fail for some time."""
        self.faults.failing.add(kind)
        asyncio.get_running_loop().call_later(seconds, self.faults.failing.discard, kind)

    async def stop(self, down=0, *, twice=False):
        """End it by SIGTERM, and start it again after a while."""
        await self.end(twice=twice)
        await asyncio.sleep(down)
        await self.boot()

    async def end(self, *, twice=False):
        """End it by SIGTERM."""
        self.life.daemon.stop("SIGTERM")
        if twice:
            self.life.daemon.stop("SIGTERM")
        await asyncio.wait([self.life.running], timeout=100)
        if not self.life.running.done():
            self.wrong.append("D1: it did not stop in 100 s")
        await self._bury()

    async def crash(self, down=0):
        """End it by SIGKILL, and start it again after a while; the machine goes on."""
        await self.kill()
        await asyncio.sleep(down)
        await self.boot()

    async def cut_power(self, down=0):
        """Take the power away."""
        await self.kill()
        self.faults.lose_tails(self.world.data_dir)
        await asyncio.sleep(down)
        await self.boot()

    # --- the supervisor -----------------------------------------------------------------------

    def _is_dead(self):
        return self.faults.dead or self.life.running.done()

    async def _recover(self):
        self._measure()
        if self._is_dead():
            await self._bury()
            await asyncio.sleep(self.outage)
            await self.boot()

    async def _bury(self):
        """Look why the daemon ended, and take away what is left of it."""
        running = self.life.running
        error = running.exception() if running.done() else None
        was_cut = self.faults.dead
        await self.kill()
        if was_cut or isinstance(error, PowerCutError | LogUnusableError):
            self.faults.lose_tails(self.world.data_dir)
        elif error and not isinstance(error, RecordsLostError):
            self.wrong.append(f"bug: {error!r}")

    async def kill(self):
        self.faults.dead = True
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for each in others:
            each.cancel()
        if others:
            await asyncio.wait(others)
        self.faults.disk.close()

    def _measure(self):
        """Look at what must stay small (I15)."""
        daemon = self.life.daemon
        ranges = max((len(known.sent) for known in daemon.store.states.values()), default=0)
        queued = len(daemon.store.log._queue)
        if ranges > 64 or queued > 300:
            self.wrong.append(f"I15: {ranges} ranges of sent slots, {queued} lines in the queue")
