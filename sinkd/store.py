"""The embedded run store: one data directory, one writer, every job's state (R4, R8, R11, T9).

Opening it takes the lock, replays the journal and the end of the run log into states, and closes
what a crash left open. From then on `states` holds what is settled about every job.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from sinkd import journal, revisions, state
from sinkd.clock import Clock
from sinkd.history import History
from sinkd.instant import parse_rfc3339
from sinkd.journal import Replay
from sinkd.record import MissReason, Run
from sinkd.runlog import MODES, RESERVE, RESERVE_BYTES, ROTATE_BYTES, RUNS, Offload, RunLog
from sinkd.state import Claim, JobState, Pause
from sinkd.storage import PRIVATE_MODE, Storage

ALIVE_SECONDS: Final = 60  # R12


@dataclass(frozen=True, slots=True)
class Promise:
    """A run to claim: the slot and the one before it on the job's grid, or a manual run's None."""

    run_id: str
    job: str
    record: Mapping[str, Any]
    slot: int | None = None
    after: int | None = None


class Store:
    """What is settled, and the files that prove it."""

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        offload: Offload,
        *,
        tzdata: str,
        show: Callable[[bytes], None] | None = None,
        rotate_bytes: int = ROTATE_BYTES,
    ) -> None:
        """Take the lock, replay what is there and close what a crash left open.

        Raises LockedError, LogUnusableError, or ConfigError when the data is of a newer version.
        """
        self._storage = storage
        self._clock = clock
        self._tzdata = tzdata
        storage.lock()
        self._replay = _replay(storage)
        newest = _newest_events(storage)
        self.stopped_clean = newest.get("life", {}).get("event") == "stopped"  # R12
        self.said_revision: str | None = newest.get("accepted", {}).get("revision")
        self.shows_refusal = newest.get("file", {}).get("event") == "config_refused"  # C9
        self.log = RunLog(
            storage, clock, offload, seq=self._replay.seq, show=show, rotate_bytes=rotate_bytes
        )
        self.states: dict[str, JobState] = self._replay.states
        self._told: dict[str, int] = {}
        self._alive_at = 0.0
        self._prepare()

    @property
    def damaged(self) -> int:
        """How many lines of the journal did not prove themselves at the start (R8)."""
        return self._replay.damaged

    @property
    def last_alive(self) -> float | None:
        """The last sign of life of the daemon before, None in a new directory (R12)."""
        return self._replay.alive_at

    @property
    def accepted_at(self) -> float:
        """When the jobs file was kept that was accepted last; 0 without one (R13)."""
        accepted = revisions.read_accepted(self._storage.path)
        return parse_rfc3339(accepted.at) if accepted else 0

    def down(self, slot: int) -> MissReason:
        """Say why nobody sent a slot that was due before this start (T6, D4)."""
        draining, alive = self._replay.draining, self._replay.alive_at or 0
        return "draining" if draining is not None and draining <= slot <= alive else "down"

    async def claim(self, promises: Sequence[Promise]) -> list[bool]:
        """Promise runs, durable when this returns; False for one that the disk refused (E1)."""
        entries = [_claim_entry(promise) for promise in promises]
        results = await self.log.claim(entries)
        for entry, seq in zip(entries, results, strict=True):
            if isinstance(seq, int):
                self._fold({**entry, "seq": seq})
        return [isinstance(seq, int) for seq in results]

    async def finish(self, run: Mapping[str, Any]) -> None:
        """Record the end of a claimed run; it is in flight until the line is durable (R3, E4)."""
        await self.log.write(RUNS, run)
        self._fold({"entry": "close", "job": run["job"], "run_id": run["run_id"]})

    def settle(self, job: str, decided: int, records: Sequence[Mapping[str, Any]] = ()) -> None:
        """Note through which instant a job is settled, with the lines that say how."""
        for run in records:
            self.log.put(RUNS, run)
        self.states[job] = state.settled(self.states[job], decided)

    def cursor(self, job: str, decided: int, schedule: str | None) -> None:
        """Begin a schedule: the job is settled through `decided`, whatever was before (T7, T4)."""
        self._put({"entry": "cursor", "job": job, "decided": decided, "schedule": schedule})
        self._told.pop(job, None)  # it may have gone back, and come to what was told again

    def pause(self, job: str, pause: Pause) -> None:
        """Note that a person holds a job (T10)."""
        self._put({"entry": "pause", "job": job, **asdict(pause)})

    def resume(self, job: str) -> None:
        """Note that a job is held no longer (T10)."""
        self._put({"entry": "resume", "job": job, "at": self._clock.wall()})

    def alive(self, now: float, *, draining: float | None = None, at_once: bool = False) -> None:
        """Leave a sign of life each minute, with the cursors moved since the one before (R12)."""
        if not at_once and 0 <= now - self._alive_at < ALIVE_SECONDS:
            return
        self._alive_at = now
        moved = {
            job: known.decided
            for job, known in self.states.items()
            if self._told.get(job) != known.decided
        }
        self._told.update(moved)
        self.log.put(journal.FILE, self._alive_entry(moved, draining))

    def _alive_entry(self, moved: Mapping[str, int], draining: float | None) -> dict[str, Any]:
        alive = {"entry": "alive", "at": self._alive_at, "cursors": moved}
        return {**alive, "tzdata": self._tzdata, "draining": draining}

    async def compact(self) -> None:
        """Make a large journal short again, once everything queued is durable (R8).

        What is queued from here on comes after it. A run whose end was recorded but not yet told
        to `finish` is still open in it, which the next start finds out from the run log (R4).
        """
        if self._storage.size(journal.FILE, PRIVATE_MODE) < journal.COMPACT_BYTES:
            return
        await self.log.flush()
        if self.log.blocked:
            return
        entries = [*journal.compacted(self.states), self._alive_entry({}, None)]
        with contextlib.suppress(OSError):  # a full disk: the long journal is as good
            await self.log.replace_journal(entries)

    def keep(self, data: bytes, path: Path, now: float) -> None:
        """Keep an accepted jobs file (R13); OSError when the disk refuses it."""
        revisions.keep(self._storage, data, path, now)

    def close(self) -> None:
        """Let go of the directory."""
        self._storage.close()

    def _put(self, entry: dict[str, Any]) -> None:
        self.log.put(journal.FILE, entry)
        self._fold(entry)

    def _fold(self, entry: Mapping[str, Any]) -> None:
        job = entry["job"]
        self.states[job] = state.apply(self.states.get(job), entry)

    def _prepare(self) -> None:
        """Seal torn tails, start a journal, end the runs of a crash (R4, R7)."""
        for file, mode in MODES.items():
            if self._storage.is_torn(file, mode):
                self._storage.append(file, b"\n", mode)
                self._storage.sync(file)  # what follows relies on the line that this ends
        self._storage.reserve(RESERVE, RESERVE_BYTES)
        if not self._storage.size(journal.FILE, PRIVATE_MODE):
            self.log.put(journal.FILE, {"entry": "version", "format": journal.FORMAT})
        for claim in list(self._replay.open_claims()):
            job = claim.record["job"]
            self.states[job] = replace(self.states[job], open=None)
            if _has_ended(self._storage, claim):
                closing = {"entry": "close", "job": job, "run_id": claim.run_id}
                self.log.put(journal.FILE, closing)
            else:
                self.log.put(RUNS, interrupted(claim.record, "crash"))


def interrupted(record: Mapping[str, Any], reason: str) -> dict[str, Any]:
    """Return the terminal line of a claimed run whose fate is unknown (R3, R4)."""
    return {**record, "outcome": "interrupted", "reason": reason, "finished_at": None}


def _claim_entry(promise: Promise) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "entry": "claim",
        "job": promise.job,
        "run_id": promise.run_id,
        "record": promise.record,
    }
    if promise.slot is not None:
        entry |= {"slot": promise.slot, "after": promise.after}
    return entry


def _replay(storage: Storage) -> Replay:
    """Fold the journal, then the run log from the newest sign of life on (T9)."""
    try:
        data = (storage.path / journal.FILE).read_bytes()
    except FileNotFoundError:
        data = b""
    replayed = journal.replay(data)
    history = History(storage.path)
    newest = next(history.events_backwards(), None)
    seqs = [replayed.seq, newest["seq"] if newest else 0]
    later: list[Run] = []
    for run in history.runs_backwards():
        seqs.append(run["seq"])
        if run["seq"] <= replayed.alive_seq or not replayed.states:
            break
        later.append(run)
    replayed.seq = max(seqs)
    for run in reversed(later):
        if through := journal.settled_by(run):
            replayed.settle(run["job"], run["seq"], int(parse_rfc3339(through)))
    return replayed


def _newest_events(storage: Storage) -> dict[str, Mapping[str, Any]]:
    """Return the newest event of the daemon's life, accepted configuration, and of the file."""
    kinds = {
        "life": {"started", "stopped"},
        "accepted": {"config_accepted"},
        "file": {"config_accepted", "config_refused", "config_restored"},
    }
    newest: dict[str, Mapping[str, Any]] = {}
    for event in History(storage.path).events_backwards():
        for kind, names in kinds.items():
            if event["event"] in names:
                newest.setdefault(kind, event)
        if len(newest) == len(kinds):
            break
    return newest


def _has_ended(storage: Storage, claim: Claim) -> bool:
    """Search the run log backwards for the end of a claimed run, down to its claim (R4)."""
    for run in History(storage.path).runs_backwards():
        if run["seq"] < claim.seq:
            return False
        if run["run_id"] == claim.run_id and journal.is_terminal(run):
            return True
    return False
