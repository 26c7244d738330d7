"""The loop: settle what is due, swap in a new spec, claim, send, record; and drain at the end.

One task owns all that changes: the spec, the jobs' states, the runs in flight. It waits for the
disk where order matters (claims, a swap), so no claim is ever queued across a swap or a pause (C3).
While the log is blocked nothing is settled, sent or swapped: the cursors stay, and the first pass
after it decides everything anew under the cause `log_unwritable` (E1, E3, E5).
"""

import asyncio
import contextlib
import dataclasses
import difflib
import errno
import hashlib
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

import structlog

from sinkd import decide, grammar, plan, schedule
from sinkd.agenda import Agenda
from sinkd.clock import Clock
from sinkd.decide import Skipped
from sinkd.errors import LogUnusableError, RecordsLostError, SinkdError
from sinkd.flights import Flight, Flights
from sinkd.instant import rfc3339
from sinkd.lapse import Lapse, Reading, lapse
from sinkd.lines import Lines
from sinkd.permits import Permits
from sinkd.record import MissReason, Trigger, manual_run_id, run_id
from sinkd.reload import Candidate, Refusal, Reloader
from sinkd.retention import Retention
from sinkd.runlog import RETRY_SECONDS, Offload
from sinkd.runner import Runner
from sinkd.secrets import Secrets
from sinkd.spec import Job, Spec
from sinkd.state import Pause
from sinkd.store import Promise, Store

NAP_SECONDS: Final = 1.0  # T1
PROBLEMS_LIMIT: Final = 20  # of a config_refused event
LAST_WRITE_SECONDS: Final = 5.0  # how long a stopping daemon waits for a slow or full disk

Result = TypeVar("Result")


class RefusedError(SinkdError):
    """What a person asked for cannot be done now (T10, T12)."""


@dataclass(frozen=True, slots=True)
class _Due:
    """A slot that waits for a permit."""

    slot: int
    trigger: Trigger


@dataclass(slots=True)
class Daemon:
    """Runs one spec after another over one store until `stop` is called.

    `new_trace_id` returns 32 hex digits; `passed` is called after each pass of the loop, which naps
    for `nap_seconds` at most: waking more often changes no record (law 5).
    """

    store: Store
    reloader: Reloader
    runner: Runner
    secrets: Secrets
    clock: Clock
    offload: Offload
    permits: Permits
    lines: Lines
    new_trace_id: Callable[[], str]
    retention: Retention
    drain_seconds: float = 8
    nap_seconds: float = NAP_SECONDS
    passed: Callable[[], None] = lambda: None
    log: Any = field(default_factory=lambda: structlog.get_logger("sinkd"))

    accepted_last: Spec = field(default_factory=lambda: Spec({}, ""))

    spec: Spec = field(default_factory=lambda: Spec({}, ""))
    flights: Flights = field(init=False)
    waiting: dict[str, _Due] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    paused: set[str] = field(default_factory=set)
    _agenda: Agenda = field(default_factory=lambda: Agenda((), 0))
    _pending: Candidate | None = None
    _manual: list[tuple[str, asyncio.Future[Flight]]] = field(default_factory=list)
    _orders: list[tuple[Callable[[], None], asyncio.Future[None]]] = field(default_factory=list)
    _nudge: asyncio.Event = field(default_factory=asyncio.Event)
    _stopping: str | None = None
    _seen: Reading | None = None
    _lapse: Lapse = field(default_factory=Lapse)
    _blocked: bool = False
    _decided_once: bool = False
    _decide_all: bool = True
    _manual_at: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Take over the pauses of the daemon before."""
        self.flights = Flights(self.store, self.runner, self.clock, self.permits, self._landed)
        self.paused = {name for name, known in self.store.states.items() if known.pause}

    # --- life -------------------------------------------------------------------------------

    async def run(self, first: Candidate, *, source: str, started: Mapping[str, Any]) -> None:
        """Run until `stop`, then drain; `first` is the spec to begin with, from `source`.

        Raises LogUnusableError when a sync failed (E6), RecordsLostError when not every record
        could be made durable.
        """
        writer = asyncio.create_task(self.store.log.serve())
        reloads = asyncio.create_task(self.reloader.serve(self))
        loop = asyncio.create_task(self._loop(first, source, started))
        keeping = asyncio.create_task(self.retention.serve())
        ends = (loop, writer, reloads, keeping, self.flights.bug)
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            next(end for end in ends if end.done()).result()
        finally:
            self.flights.abandon()
            for each in ends:
                each.cancel()

    @property
    def upcoming(self) -> tuple[int, str] | None:
        """The next slot, with a job that it is of; None without enabled jobs."""
        return self._agenda.upcoming()

    def status(self) -> dict[str, Any]:
        """Say what the files do not: what is in flight or missing now, why the log is refused."""
        self._look_for_secrets()
        enabled = sum(job.enabled for job in self.spec.jobs.values())
        return {
            "jobs": {"enabled": enabled, "disabled": len(self.spec.jobs) - enabled},
            "next": self._agenda.upcoming(self.paused),
            "in_flight": [known.open.run_id for known in self.store.states.values() if known.open],
            "secrets_missing": sorted(self.missing),
            "log_unwritable": self.store.log.unwritable,
        }

    async def alone(self, first: Candidate, work: Coroutine[Any, Any, Result]) -> Result:
        """Do one thing that was asked for, without serving the schedule, and return its result.

        Raises RefusedError, or LogUnusableError when a sync failed (E6).
        """
        writer = asyncio.create_task(self.store.log.serve())
        self._adopt(first)
        done = asyncio.create_task(self._do_alone(work))
        try:
            await asyncio.wait((writer, done), return_when=asyncio.FIRST_COMPLETED)
            if writer.done():
                writer.result()
            return await done
        finally:
            writer.cancel()
            done.cancel()

    async def _do_alone(self, work: Coroutine[Any, Any, Result]) -> Result:
        asked = asyncio.create_task(work)
        await asyncio.sleep(0)
        await self._obey()
        await self._start(self.clock.wall())
        result = await asked
        await self.store.log.flush()
        return result

    def stop(self, reason: str) -> None:
        """Stop claiming and drain; a second call cuts what is in flight (D1, D2)."""
        if self._stopping:
            self.flights.hurry()
        self._stopping = self._stopping or reason
        self._nudge.set()

    async def trigger(self, name: str) -> Flight:
        """Claim a manual run of a job and return it in flight (T12).

        Raises RefusedError with the reason when it cannot start now.
        """
        asked: asyncio.Future[Flight] = self._ask()
        self._manual.append((name, asked))
        return await asked

    async def pause(self, name: str, pause: Pause) -> None:
        """Hold a job until an instant; durable when this returns (T10). Raises RefusedError."""
        asked = self._ask()
        self._orders.append((lambda: self._hold_job(name, pause), asked))
        await asked

    async def resume(self, name: str, by: str) -> None:
        """End the pause of a job; durable when this returns (T10). Raises RefusedError."""
        asked = self._ask()
        self._orders.append((lambda: self._release_job(name, by), asked))
        await asked

    def _ask(self) -> asyncio.Future[Any]:
        """Return what the next pass answers."""
        if self._stopping:
            message = "sinkd is stopping"
            raise RefusedError(message)
        self._nudge.set()
        return asyncio.get_running_loop().create_future()

    async def _loop(self, first: Candidate, source: str, started: Mapping[str, Any]) -> None:
        self._begin(first, source, started)
        while not self._stopping:
            await self._pass()
            self.passed()
            await self._nap()
        await self._drain()

    def _begin(self, first: Candidate, source: str, started: Mapping[str, Any]) -> None:
        """Say that the daemon runs, and begin with a spec (R12, T7, T9)."""
        log = self.store.log
        if (alive := self.store.last_alive) is not None and not self.store.stopped_clean:
            log.event("unclean_stop", last_alive_at=rfc3339(float(alive)))
        log.event("started", **started, tzdata=self.lines.tzdata, source=source)
        now = self._look_at_clocks()
        last, said = self.accepted_last, self.store.said_revision
        shows_refusal = self.store.shows_refusal
        if last.revision not in {"", said}:
            # A crash came after it was kept: it has held since then, and so it is said.
            said, since = last.revision, min(now, self.store.accepted_at)
            self._begin_spec(Candidate(last, b"", None), since)
            self._announce(Candidate(last, b"", None), since)
            shows_refusal = False
        self._begin_spec(first, now)
        self.reloader.running = first.spec.revision
        if first.spec.revision != last.revision:
            self._keep_first(first, now)
        if first.spec.revision != said:
            self._announce(first, now)
        elif shows_refusal and not self.reloader.refused:
            self.restored()  # C9, while nobody ran
        if self.reloader.refused:
            self.refused(self.reloader.refused)
        self._look_for_secrets()

    def _begin_spec(self, candidate: Candidate, since: float) -> None:
        """Take a spec over from a daemon that is gone, as of an instant (T7, T9)."""
        self._adopt(candidate)
        for name, known in list(self.store.states.items()):
            self._end_schedule(name, known.schedule, since)
        for job in self.spec.jobs.values():
            if job.name not in self.store.states:
                self.store.cursor(job.name, int(since), _fingerprint(job))

    def _keep_first(self, first: Candidate, now: float) -> None:
        """Keep what the daemon begins with: without it the next start may run an older file (R13)."""
        try:
            self.store.keep(first.data, self.reloader.path, now)
        except OSError as error:
            message = f"the jobs file cannot be kept in the data directory: {error.strerror}"
            raise LogUnusableError(message) from error

    def _end_schedule(self, name: str, before: str | None, now: float) -> None:
        """Settle a known job whose schedule changed while nobody ran (T7)."""
        job = self.spec.jobs.get(name)
        after = _fingerprint(job) if job else None
        if before == after:
            return
        if before is not None:
            missed = decide.gap(self.store.states[name], now, self.store.down)
            if missed:
                line = self.lines.missed(name, job, missed)
                self.store.settle(name, missed.last, [line])
        self.store.cursor(name, int(now), after)

    # --- a pass -----------------------------------------------------------------------------

    async def _pass(self) -> None:
        """Settle, swap, start, in this order."""
        now = self._look_at_clocks()
        if self.store.log.blocked:
            self._hold()
            return
        for job in self._due(now):
            self._settle(job, now)
        self._blocked, self._decided_once = False, True
        self._end_pauses(now)
        await self._obey()
        if self._pending:
            await self._swap(self._pending, now)
        await self._start(self.clock.wall())
        self.store.alive(now)
        await self.store.compact()

    async def _nap(self) -> None:
        """Sleep until the next slot, a nudge, or a second, whichever is first (T1)."""
        # While the log is blocked a slot that is due stays due: it must not keep the loop awake.
        upcoming = None if self.store.log.blocked else self.upcoming
        left = upcoming[0] - self.clock.wall() if upcoming else self.nap_seconds
        seconds = min(self.nap_seconds, max(0.0, left))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._nudge.wait()
        self._nudge.clear()

    def _look_at_clocks(self) -> float:
        """Read the clocks, and write down what they say of the time since the last pass (T6)."""
        now = Reading(self.clock.wall(), self.clock.monotonic(), self.clock.boottime())
        self._lapse = lapse(self._seen, now, self.nap_seconds) if self._seen else Lapse()
        log = self.store.log
        if self._lapse.suspended:
            log.event("suspended", seconds=round(self._lapse.suspended, 3))
        if self._lapse.stepped:
            unset = now.wall - self._lapse.stepped
            times: dict[str, Any] = {"from": rfc3339(float(unset)), "to": rfc3339(now.wall)}
            log.event("clock_step", **times)
        if self._lapse.stalled:
            log.event("stalled", seconds=round(self._lapse.stalled, 3))
        if self._seen and now.wall < self._seen.wall:
            self._decide_all = True
        self._seen = now
        return now.wall

    def _hold(self) -> None:
        """Leave everything as it is while the disk refuses lines (E1)."""
        self._blocked = self._decide_all = True
        self._refuse_all("the run log cannot be written")

    def _due(self, now: float) -> Iterable[Job]:
        """Return the enabled jobs that may have something to decide."""
        if self._decide_all:
            self._decide_all = False
            self._agenda = Agenda(self.spec.jobs.values(), now)
            return [job for job in self.spec.jobs.values() if job.enabled]
        names = dict.fromkeys([*self._agenda.due(now), *self.waiting])
        return [self.spec.jobs[name] for name in names]

    def _settle(self, job: Job, now: float) -> None:
        """Decide one job's due slots and write what was decided."""
        known = self.store.states[job.name]
        waits = self.waiting.get(job.name)
        flight = self.flights.of(job.name)
        decision = decide.settle(
            job,
            known,
            waits.slot if waits else None,
            now,
            in_flight=flight.run_id if flight else None,
            cause=self._cause,
        )
        if decision.stepped:
            self._say_stepped(known.decided, now)
            self.store.cursor(job.name, decision.decided, known.schedule)
        lines = [self.lines.settled(job, each) for each in decision.records]
        if lines or decision.decided != known.decided:
            self.store.settle(job.name, decision.decided, lines)
        if decision.waiting is None:
            self.waiting.pop(job.name, None)
        elif waits is None or waits.slot != decision.waiting:
            late = now - decision.waiting > decide.SEEN_LATE_SECONDS
            self.waiting[job.name] = _Due(decision.waiting, "catch_up" if late else "schedule")

    def _say_stepped(self, decided: int, now: float) -> None:
        """Write down a step that happened while nobody looked (T4, T9)."""
        if not self._lapse.stepped:
            times: dict[str, Any] = {"from": rfc3339(float(decided)), "to": rfc3339(now)}
            self.store.log.event("clock_step", **times)
            self._lapse = Lapse(stepped=now - decided)

    def _cause(self, slot: int) -> MissReason:
        """Say why nobody sent a slot; the first cause counts (T6)."""
        if not self._decided_once:
            return self.store.down(slot)
        if self._blocked:
            return "log_unwritable"
        return self._lapse.cause

    # --- starting runs ----------------------------------------------------------------------

    async def _start(self, now: float) -> None:
        """Claim what may start now, in one group, then send it (R1, T8)."""
        flights = [*self._manual_flights(now), *self._due_flights(now)]
        if not flights:
            return
        for flight in await self.flights.start(flights):
            self._decide_all = True
            if flight.asked:
                _refuse(flight.asked, "the run log cannot be written")
        for flight in flights:
            self.waiting.pop(flight.job.name, None)
            if flight.asked and not flight.asked.done():
                flight.asked.set_result(flight)

    def _due_flights(self, now: float) -> Iterable[Flight]:
        for name, due in sorted(self.waiting.items(), key=_herd_order):
            job = self.spec.jobs[name]
            host = grammar.target(job.request.url).host
            if due.slot > now or not self.permits.take(host):
                continue
            before = schedule.latest_slot(job.schedule, due.slot - 1)
            identity = run_id(name, due.slot)
            line = self.lines.claimed(job, identity, due.slot, due.trigger, self.new_trace_id())
            promise = Promise(identity, name, line, due.slot, before)
            yield Flight(job, promise, due.trigger, due.slot, host)

    def _manual_flights(self, now: float) -> Iterable[Flight]:
        asked, self._manual = self._manual, []
        taken: set[str] = set()
        for name, answer in asked:
            job = self.spec.jobs.get(name)
            host = grammar.target(job.request.url).host if job else ""
            if job is None:
                _refuse(answer, self._no_job(name))
            elif name in taken:
                _refuse(answer, "a manual run of it starts right now")
            elif flying := self.flights.of(name):
                _refuse(answer, f"{flying.run_id} is in flight")
            elif name in self.waiting:
                _refuse(answer, f"the run of {rfc3339(self.waiting[name].slot)} waits to start")
            elif not self.permits.take(host):
                _refuse(answer, "as many runs as allowed are in flight")
            else:
                taken.add(name)
                yield self._manual_flight(job, now, host, answer)

    def _manual_flight(
        self, job: Job, now: float, host: str, asked: asyncio.Future[Flight]
    ) -> Flight:
        before = self._manual_at.get(job.name, 0)
        if abs(now - before) < 1:  # its identity is its millisecond, cut
            now = max(now, before + 0.0015)
        self._manual_at[job.name] = now
        identity = manual_run_id(job.name, now)
        line = self.lines.claimed(job, identity, float(now), "manual", self.new_trace_id())
        promise = Promise(identity, job.name, line)
        return Flight(job, promise, "manual", now, host, asked)

    def _landed(self, run: Mapping[str, Any]) -> None:
        """Look for work that waited for the permit of a run."""
        if run.get("reason") == "secret" and (job := self.spec.jobs.get(run["job"])):
            self._say_missing(self.secrets.missing(job))
        if self.waiting:
            self._nudge.set()

    # --- pauses by hand ---------------------------------------------------------------------

    async def _obey(self) -> None:
        """Do what was asked for, make it durable, then answer."""
        orders, self._orders = self._orders, []
        for order, asked in orders:
            try:
                order()
            except RefusedError as refused:
                _refuse(asked, str(refused))
        if orders:
            await self.store.log.flush()
        for _, asked in orders:
            if not asked.done():
                asked.set_result(None)

    def _hold_job(self, name: str, pause: Pause) -> None:
        if name not in self.spec.jobs:
            raise RefusedError(self._no_job(name))
        self._give_up_waiting(name)
        self.store.pause(name, pause)
        self.paused.add(name)
        until = rfc3339(float(pause.until))
        fields = {"job": name, "until": until, "reason": pause.reason, "by": pause.by}
        self.store.log.event("job_paused", **fields)
        self.log.info("job_paused", **fields)

    def _no_job(self, name: str) -> str:
        near = difflib.get_close_matches(name, self.spec.jobs, 1)
        return f"no job is named `{name}`" + (f": did you mean `{near[0]}`?" if near else "")

    def _release_job(self, name: str, by: str) -> None:
        if name not in self.paused:
            message = f"`{name}` is not paused"
            raise RefusedError(message)
        self.store.resume(name)
        self.paused.discard(name)
        self.store.log.event("job_resumed", job=name, by=by)
        self.log.info("job_resumed", job=name, by=by)

    def _end_pauses(self, now: float) -> None:
        """End the pauses whose time is over (T10)."""
        for name in list(self.paused):
            pause = self.store.states[name].pause
            if pause is None or pause.until <= now:
                self._release_job(name, "expired")

    def _give_up_waiting(self, name: str) -> None:
        """Settle a slot that waits for a permit: its job is held or changed (T8, C3)."""
        if due := self.waiting.pop(name, None):
            line = self.lines.settled(self.spec.jobs[name], Skipped(due.slot, "paused"))
            self.store.settle(name, due.slot, [line])

    def _refuse_all(self, reason: str) -> None:
        answers: list[asyncio.Future[Any]] = [asked for _, asked in self._manual]
        answers += [asked for _, asked in self._orders]
        for asked in answers:
            _refuse(asked, reason)
        self._manual.clear()
        self._orders.clear()

    # --- reloading --------------------------------------------------------------------------

    def accepted(self, candidate: Candidate) -> None:
        """Take a checked file: it is swapped in at the next pass (C3)."""
        self._pending = candidate
        self._nudge.set()

    def refused(self, refusal: Refusal) -> None:
        """Take note of a refused file; what runs stays (C4)."""
        problems = list(refusal.problems)
        shown, total = problems[:PROBLEMS_LIMIT], len(problems)
        revision, path = refusal.revision, str(self.reloader.path)
        self.store.log.event("config_refused", revision=revision, problems=shown, total=total)
        self.log.error("config_refused", path=path, total=total, **problems[0])

    def restored(self) -> None:
        """Take note that the bytes in use are back while a refusal was showing (C9)."""
        self.store.log.event("config_restored", revision=self.spec.revision)
        self.log.info("config_restored", config=self.spec.config)

    def unsettled(self) -> None:
        """Take note that the file has kept changing for 10 s (C2)."""
        self.store.log.event("config_unsettled")
        self.log.warning("config_unsettled", path=str(self.reloader.path))

    async def _swap(self, candidate: Candidate, now: float) -> None:
        """Put a checked spec in the place of the running one (C3, T7)."""
        try:
            await self.offload(lambda: self.store.keep(candidate.data, self.reloader.path, now))
        except OSError as error:
            self.log.warning("config_waits", error=errno.errorcode.get(error.errno or 0))
            return
        if self._pending is candidate:
            self._pending = None
        for name, known in list(self.store.states.items()):
            job = candidate.spec.jobs.get(name)
            after = _fingerprint(job) if job else None
            if known.schedule == after:
                continue
            self._give_up_waiting(name)
            self.store.cursor(name, int(now), after)
        for job in candidate.spec.jobs.values():
            if job.name not in self.store.states:
                self.store.cursor(job.name, int(now), _fingerprint(job))
        self._announce(candidate, now)
        self._adopt(candidate)
        self._agenda = Agenda(self.spec.jobs.values(), now)
        self.missing.clear()  # other jobs may need them now
        self._look_for_secrets()
        await self.store.log.flush()

    def _adopt(self, candidate: Candidate) -> None:
        self.spec = candidate.spec
        self.lines = replace(self.lines, config=candidate.spec.config, commit=candidate.commit)

    def _announce(self, candidate: Candidate, now: float) -> None:
        """Say what a file changes that holds for the slots after now (C10)."""
        before, after = self.accepted_last.jobs, candidate.spec
        self.accepted_last = after
        changed = dataclasses.asdict(plan.changes(before, after.jobs))
        event: dict[str, Any] = {"at": rfc3339(now), "revision": after.revision}
        if candidate.commit:
            event["commit"] = candidate.commit
        event |= {"path": str(self.reloader.path), **changed}
        self.store.log.event("config_accepted", **event)
        removed = [name for name in changed["removed"] if before[name].enabled]
        enabled = sum(job.enabled for job in before.values())
        if 2 * (len(removed) + len(changed["paused"])) > enabled:
            shrunk = {"removed": len(removed), "paused": len(changed["paused"]), "total": enabled}
            self.store.log.event("config_shrunk", **shrunk)
            self.log.warning("config_shrunk", **shrunk)
        counts = {name: len(names) for name, names in changed.items() if names}
        self.log.info("config_accepted", config=after.config, **counts)

    def _look_for_secrets(self) -> None:
        """Say which references of the spec cannot be resolved (H10)."""
        missing = self.secrets.missing(self.spec)
        self.missing.intersection_update(missing)
        self._say_missing(missing)

    def _say_missing(self, references: Iterable[str]) -> None:
        """Say once of each reference that it is missing, and which jobs need it."""
        for reference in references:
            if reference in self.missing:
                continue
            self.missing.add(reference)
            jobs = [
                job.name
                for job in self.spec.jobs.values()
                if reference in self.secrets.missing(job)
            ]
            self.store.log.event("secret_missing", reference=reference, jobs=jobs)
            self.log.warning("secret_missing", reference=reference, jobs=jobs)

    # --- stopping ---------------------------------------------------------------------------

    async def _drain(self) -> None:
        """Wait for what is in flight, cut what is left, and make every record durable (D1 to D4)."""
        began = self.clock.wall()
        self.store.alive(began, draining=began, at_once=True)
        self.log.info("draining", reason=self._stopping, in_flight=len(self.flights))
        self._refuse_all("sinkd is stopping")
        await self.flights.drain(self.drain_seconds)
        lost = await self.flights.cut(LAST_WRITE_SECONDS)
        self.store.alive(self.clock.wall(), draining=began, at_once=True)
        self.store.log.event("stopped", reason=self._stopping, clean=not lost)
        if not await self._flush_last() or lost:
            what = f"{lost} records" if lost else "the last lines of the log"
            message = f"stopped, but {what} could not be made durable"
            raise RecordsLostError(message)

    async def _flush_last(self) -> bool:
        """Say whether everything is durable in time; a disk that refuses may yet give in (E5)."""
        log = self.store.log
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WRITE_SECONDS):
                await log.flush()
                while log.blocked:
                    await asyncio.sleep(RETRY_SECONDS / 2)
                    await log.flush()
                return True
        return False


def _fingerprint(job: Job) -> str | None:
    """Return the text of a job's schedule; None while it has none because it is disabled."""
    return schedule.fingerprint(job.schedule) if job.enabled else None


def _herd_order(waiting: tuple[str, _Due]) -> bytes:
    """Order slots that start together so that no job is always the last one (T8)."""
    name, due = waiting
    return hashlib.sha256(f"{due.slot} {name}".encode()).digest()


def _refuse(answer: asyncio.Future[Any], reason: str) -> None:
    if not answer.done():
        answer.set_exception(RefusedError(reason))
