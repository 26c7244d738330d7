"""The writer: the one task that appends to the run log, the events and the journal (R5).

It takes what is queued in groups, public lines and then lines of the journal, and makes each group
durable with one sync a file before the next, so that whatever is lost in a crash is the end of the
order of `seq`. So a claim is never durable without the records that were made before it, `seq`
keeps the order in which a job's slots were settled (T9), and a terminal line is durable before its
`close` is written (R1, R4).

A public file above 64 MiB is sealed: it gets another name and begins anew, after a group and before
the next (L1). A file that was moved from outside is let go, and one that was cut is reported (L2, L3).

When the disk refuses a line the log is blocked (E1): claims fail at once, everything else waits
in memory and is tried again each second (E4, E5). A failed sync is final (E6).
"""

import asyncio
import contextlib
import errno
import itertools
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

import structlog

from sinkd import journal, record
from sinkd.clock import Clock
from sinkd.errors import LogUnusableError
from sinkd.instant import compact_text, rfc3339
from sinkd.storage import PRIVATE_MODE, PUBLIC_MODE, Storage

RUNS: Final = "runs.jsonl"
EVENTS: Final = "events.jsonl"
MODES: Final = {RUNS: PUBLIC_MODE, EVENTS: PUBLIC_MODE, journal.FILE: PRIVATE_MODE}
RESERVE: Final = "reserve"
RESERVE_BYTES: Final = 256 * 1024
ROTATE_BYTES: Final = 64 * 1024 * 1024  # L1
RETRY_SECONDS: Final = 1.0
SAID_AGAIN_RETRIES: Final = 60  # E1
LINGER_SECONDS: Final = 0.02  # how long a line nobody waits for gathers company before a sync

_TORN: Final = b" torn\n"  # ends a line that could not be cut back, so that nothing can read it

Result = TypeVar("Result")

_log = structlog.get_logger("sinkd")


class Offload(Protocol):
    """Runs a blocking call off the loop; under simulation, at once."""

    def __call__(self, call: Callable[[], Result], /) -> Awaitable[Result]:
        """Return what the call returns."""


@dataclass(slots=True)
class _Line:
    file: str
    entry: dict[str, Any]
    written: asyncio.Future[int] | None = None  # its `seq`, once durable
    is_claim: bool = False


class RunLog:
    """Appends lines in groups; `blocked` is why the disk refuses them, None while it does not.

    `upkeep` is set when a file was sealed or the disk refused a line: time to look after segments.
    `listeners` are handed each public line once it is durable; `write_errors` counts refusals.
    """

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        offload: Offload,
        *,
        seq: int,
        show: Callable[[bytes], None] | None = None,
        rotate_bytes: int = ROTATE_BYTES,
    ) -> None:
        """Begin after `seq`; `show` is the first listener."""
        self.blocked: OSError | None = None
        self.upkeep = asyncio.Event()
        self.listeners = [show] if show else []
        self.write_errors = 0
        self._storage = storage
        self._clock = clock
        self._offload = offload
        self._seq = seq
        self._queue: list[_Line] = []
        self._wake = asyncio.Event()
        self._urgent = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._torn: set[str] = set()
        self._rotate_bytes = rotate_bytes
        self._ends: dict[str, int] = {}  # the sizes of the public files, as far as we know
        self._rotated: list[dict[str, Any]] = []  # what is not yet an event

    @property
    def unwritable(self) -> str | None:
        """The name of the error for which the disk refuses lines, None while it takes them."""
        return _name(self.blocked) if self.blocked else None

    def put(self, file: str, entry: Mapping[str, Any]) -> None:
        """Queue a line that nobody waits for."""
        self._add(_Line(file, dict(entry)))

    def event(self, name: str, **fields: object) -> None:
        """Queue an event of now."""
        self.put(EVENTS, {"at": rfc3339(float(self._clock.wall())), "event": name, **fields})

    async def write(self, file: str, entry: Mapping[str, Any]) -> int:
        """Return the line's `seq` once it is durable, however long the disk refuses it (E4)."""
        written: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._add(_Line(file, dict(entry), written))
        return await written

    async def claim(self, entries: list[dict[str, Any]]) -> list[int | OSError]:
        """Return for each claim its `seq` once durable, or why it was not written (E1, E3)."""
        if self.blocked:
            return [self.blocked] * len(entries)
        loop = asyncio.get_running_loop()
        futures = [loop.create_future() for _ in entries]
        for entry, future in zip(entries, futures, strict=True):
            self._add(_Line(journal.FILE, entry, future, is_claim=True))
        self._urgent.set()
        results: list[int | OSError] = await asyncio.gather(*futures, return_exceptions=True)
        return results

    async def flush(self) -> None:
        """Wait until everything queued is durable, or the log is blocked."""
        self._urgent.set()
        while not (self._idle.is_set() or self.blocked):
            await self._idle.wait()

    async def replace_journal(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Put these entries in the place of the whole journal (R8); OSError when it stays as it is.

        The writer's own thread does it, so that no line goes to the file that was replaced.
        """
        lines = [_Line(journal.FILE, dict(entry)) for entry in entries]
        data = b"".join([self._encode(line) for line in lines])
        await self._offload(lambda: self._storage.replace(journal.FILE, data, PRIVATE_MODE))

    async def serve(self) -> None:
        """Write what is queued, for ever; raises LogUnusableError when a sync fails (E6)."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if not self._urgent.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LINGER_SECONDS):
                        await self._urgent.wait()
            self._urgent.clear()
            await self._drain()
            for retry in itertools.count():
                if not self.blocked:
                    break
                if retry % SAID_AGAIN_RETRIES == 0:
                    _log.error("log_failed", errno=_name(self.blocked))
                await asyncio.sleep(RETRY_SECONDS)
                await self._recover()

    def _add(self, line: _Line) -> None:
        self._queue.append(line)
        self._idle.clear()
        self._wake.set()

    async def _drain(self) -> None:
        """Write the queue until it is empty or the disk refuses."""
        if refused := await self._write_queue():
            await self._block(refused)
        self._idle.set()

    async def _write_queue(self) -> OSError | None:
        """Write the queue group by group; return why the disk refused the rest."""
        while self._queue:
            if refused := await self._commit():
                return refused
        return None

    async def _commit(self) -> OSError | None:
        """Write one group and return why the disk refused the rest of it, which is queued again."""
        public = list(itertools.takewhile(_is_public, self._queue))
        private = list(itertools.takewhile(_is_private, self._queue[len(public) :]))
        self._queue = self._queue[len(public) + len(private) :]
        landed, refused = await self._append(public)
        ended = [line.entry for line in public[:landed] if line.file == RUNS]
        closes = [_closing(run) for run in ended if journal.is_terminal(run)]
        rest = public[landed:] + private + closes
        if refused is None:
            landed, refused = await self._append(rest)
            rest = rest[landed:]
        if refused:
            self._queue[:0] = self._held(rest, refused)
        return refused

    async def _append(self, lines: list[_Line]) -> tuple[int, OSError | None]:
        """Append and sync lines; return how many landed and why the disk refused the next."""
        if not lines:
            return 0, None
        encoded = [self._encode(line) for line in lines]
        landed, refused = await self._offload(lambda: self._write(lines, encoded))
        self._say_rotated()
        self.write_errors += refused is not None
        for line, data in zip(lines[:landed], encoded, strict=False):
            if _is_public(line):
                for listener in self.listeners:
                    listener(data)
            if line.written and not line.written.done():
                line.written.set_result(line.entry["seq"])
        return landed, refused

    def _encode(self, line: _Line) -> bytes:
        self._seq += 1
        # A line that was refused before gets a new number, so that the order stays that of the files.
        line.entry.pop("seq", None)
        if _is_private(line):
            line.entry = {"seq": self._seq, **line.entry}
            return journal.encode(line.entry)
        line.entry = {"v": record.VERSION, "seq": self._seq, **line.entry}
        return record.line(line.entry)

    def _write(self, lines: list[_Line], encoded: list[bytes]) -> tuple[int, OSError | None]:
        """Append each line with one write and sync the files; return how many landed (R6)."""
        landed, refused = 0, None
        to_sync: set[str] = set()
        for line, data in zip(lines, encoded, strict=True):
            try:
                self._append_line(line.file, data)
            except OSError as error:
                refused = error
                break
            landed += 1
            if _is_public(line) or line.entry["entry"] in journal.DURABLE:
                to_sync.add(line.file)
        for file in to_sync:
            try:
                self._storage.sync(file)
            except OSError as error:
                message = f"{file}: sync failed ({_name(error)}); sinkd must restart"
                raise LogUnusableError(message) from error
        if refused is None:
            self._seal_long(to_sync - {journal.FILE})
        return landed, refused

    def _append_line(self, file: str, data: bytes) -> None:
        mode = MODES[file]
        is_moved = self._storage.refresh(file)
        size = self._storage.size(file, mode)
        if file != journal.FILE:
            self._look_for_rotation(file, size, is_moved=is_moved)
        if file in self._torn:
            self._storage.append(file, _TORN, mode)
            self._torn.discard(file)
            size += len(_TORN)
        try:
            self._storage.append(file, data, mode)
        except OSError:
            try:
                self._storage.truncate(file, size)  # E2
            except OSError:
                self._torn.add(file)
            raise
        self._ends[file] = size + len(data)

    def _look_for_rotation(self, file: str, size: int, *, is_moved: bool) -> None:
        """Note that a file was moved away (L2) or cut (L3) from outside."""
        cut_bytes = self._ends.get(file, 0) - size
        if is_moved:
            self._rotated.append({"segment": file})
        elif cut_bytes > 0:
            self._rotated.append({"segment": file, "cut_bytes": cut_bytes})
        self._ends[file] = size

    def _seal_long(self, files: set[str]) -> None:
        """Seal the files that are too long, whose lines are all durable (L1)."""
        for file in sorted(files):
            if self._storage.size(file, MODES[file]) <= self._rotate_bytes:
                continue
            with contextlib.suppress(OSError):  # a full disk: the long file is as good
                segment = self._segment_name(file.removesuffix(".jsonl"))
                self._storage.seal(file, segment, MODES[file])
                self._ends[file] = 0
                self._rotated.append({"segment": segment})

    def _segment_name(self, stem: str) -> str:
        """Return a name of this second that no segment or summary has."""
        taken = {name.partition(".")[0] for name in self._storage.names()}
        sealed = f"{stem}-{compact_text(self._clock.wall())}"
        again = (f"{sealed}-{number}" for number in itertools.count(2))
        return (
            next(name for name in itertools.chain([sealed], again) if name not in taken) + ".jsonl"
        )

    def _say_rotated(self) -> None:
        rotated, self._rotated = self._rotated, []
        for fields in rotated:
            self.event("rotated", **fields)
            if "cut_bytes" in fields:
                _log.warning("log_cut", **fields, fix="rotate by renaming, not by copytruncate")
            self.upkeep.set()

    def _held(self, lines: list[_Line], refused: OSError) -> list[_Line]:
        """Return the lines that wait for the disk; claims do not (E3)."""
        for line in lines:
            if line.is_claim and line.written and not line.written.done():
                line.written.set_exception(refused)
        return [line for line in lines if not line.is_claim]

    async def _block(self, refused: OSError) -> None:
        self.blocked = refused
        # Claims that were queued meanwhile fail too; the rest may fit into the reserve (E4).
        self._queue = self._held(self._queue, refused)
        self.event("log_failed", errno=_name(refused))
        self.upkeep.set()
        with contextlib.suppress(OSError):  # a file system that became read-only keeps it
            self._storage.remove(RESERVE)
        await self._write_queue()

    async def _recover(self) -> None:
        """Unblock when what was held is written and the reserve could be made again (E5)."""
        held = sum(line.file == RUNS for line in self._queue)
        if refused := await self._write_queue():
            self.blocked = refused
            return
        try:
            # Without room beside the reserve, the next line would be refused as the last one was.
            for size in (2 * RESERVE_BYTES, RESERVE_BYTES):
                self._storage.reserve(RESERVE, size)
        except OSError as error:
            self.blocked = error
            return
        self.blocked = None
        self.event("log_recovered", held=held)
        _log.info("log_recovered", held=held)


def _is_public(line: _Line) -> bool:
    return line.file != journal.FILE


def _is_private(line: _Line) -> bool:
    return line.file == journal.FILE


def _closing(run: Mapping[str, Any]) -> _Line:
    """Return the journal's line that says that a run's last line is durable (R1)."""
    return _Line(journal.FILE, {"entry": "close", "job": run["job"], "run_id": run["run_id"]})


def _name(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, str(error.errno))
