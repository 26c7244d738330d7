"""The writer: the one task that appends to the run log, the events and the journal (R5).

It takes everything queued and makes it durable in the order of `seq`, whatever is lost in a crash
is the end of that order: first the public lines, then the journal's, each file with one sync for
the whole group. So a claim is never durable without the records that were made before it, and a
terminal line is durable before its `close` is written (R1, R4).

When the disk refuses a line the log is blocked (E1): claims fail at once, everything else waits
in memory and is tried again each second (E4, E5). A failed sync is final (E6).
"""

import asyncio
import contextlib
import errno
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from sinkd import journal, record
from sinkd.clock import Clock
from sinkd.errors import LogUnusableError
from sinkd.instant import rfc3339
from sinkd.storage import PRIVATE_MODE, PUBLIC_MODE, Storage

RUNS: Final = "runs.jsonl"
EVENTS: Final = "events.jsonl"
RESERVE: Final = "reserve"
RESERVE_BYTES: Final = 256 * 1024
RETRY_SECONDS: Final = 1.0
LINGER_SECONDS: Final = 0.02  # how long a line nobody waits for gathers company before a sync

_TORN: Final = b" torn\n"  # ends a line that could not be cut back, so that nothing can read it
_MODES: Final = {RUNS: PUBLIC_MODE, EVENTS: PUBLIC_MODE, journal.FILE: PRIVATE_MODE}

Result = TypeVar("Result")


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
    """Appends lines in groups; `blocked` is why the disk refuses them, None while it does not."""

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        offload: Offload,
        *,
        seq: int,
        show: Callable[[bytes], None] | None = None,
    ) -> None:
        """Begin after `seq`; `show` is handed each public line once it is durable."""
        self.blocked: OSError | None = None
        self._blocked_at = 0.0
        self._storage = storage
        self._clock = clock
        self._offload = offload
        self._seq = seq
        self._show = show
        self._queue: list[_Line] = []
        self._wake = asyncio.Event()
        self._urgent = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._torn: set[str] = set()

    def put(self, file: str, entry: Mapping[str, Any]) -> None:
        """Queue a line that nobody waits for."""
        self._add(_Line(file, dict(entry)))

    def event(self, name: str, at: float | None = None, **fields: object) -> None:
        """Queue an event; `at` is now unless given."""
        moment = rfc3339(float(self._clock.wall() if at is None else at))
        self.put(EVENTS, {"at": moment, "event": name, **fields})

    async def write(self, file: str, entry: Mapping[str, Any]) -> int:
        """Return the line's `seq` once it is durable, however long the disk refuses it (E4)."""
        line = _Line(file, dict(entry), asyncio.get_running_loop().create_future())
        self._add(line)
        assert line.written
        return await line.written

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
        """Wait until nothing is queued, or the log is blocked."""
        self._urgent.set()
        while self._queue and not self.blocked:
            await self._idle.wait()

    async def serve(self) -> None:
        """Write what is queued, for ever; raises LogUnusableError when a sync fails (E6)."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if not self._urgent.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._urgent.wait(), LINGER_SECONDS)
            self._urgent.clear()
            await self._drain()
            while self.blocked:
                await asyncio.sleep(RETRY_SECONDS)
                await self._recover()

    def _add(self, line: _Line) -> None:
        self._queue.append(line)
        self._idle.clear()
        self._wake.set()

    async def _drain(self) -> None:
        """Write the queue until it is empty or the disk refuses."""
        while self._queue:
            refused = await self._commit()
            if refused:
                await self._block(refused)
                break
        self._idle.set()

    async def _commit(self) -> OSError | None:
        """Write one group: the public lines first, then the journal's; both in queue order."""
        group, self._queue = self._queue, []
        public = [line for line in group if line.file != journal.FILE]
        private = [line for line in group if line.file == journal.FILE]
        refused = await self._append(public)
        if refused is None:
            closes = [
                _Line(journal.FILE, {"entry": "close", "job": run["job"], "run_id": run["run_id"]})
                for run in (line.entry for line in public if line.file == RUNS)
                if journal.is_terminal(run)  # type: ignore[arg-type]
            ]
            private = closes + private
            refused = await self._append(private)
        if refused:
            self._queue[:0] = self._held(public + private, refused)
        return refused

    async def _append(self, lines: list[_Line]) -> OSError | None:
        """Append and sync lines; those that landed are done, the error of the next is returned."""
        if not lines:
            return None
        encoded = [self._encode(line) for line in lines]
        landed, refused = await self._offload(lambda: self._write(lines, encoded))
        for line, data in zip(lines[:landed], encoded, strict=False):
            if self._show and line.file != journal.FILE:
                self._show(data)
            if line.written and not line.written.done():
                line.written.set_result(line.entry["seq"])
        del lines[:landed]
        return refused

    def _encode(self, line: _Line) -> bytes:
        self._seq += 1
        # A line that was refused before gets a new number, so that the order stays that of the files.
        line.entry.pop("seq", None)
        if line.file == journal.FILE:
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
            if line.file != journal.FILE or line.entry["entry"] in journal.DURABLE:
                to_sync.add(line.file)
        for file in to_sync:
            try:
                self._storage.sync(file)
            except OSError as error:
                message = f"{file}: sync failed ({_name(error)}); sinkd must restart"
                raise LogUnusableError(message) from error
        return landed, refused

    def _append_line(self, file: str, data: bytes) -> None:
        self._storage.refresh(file)
        mode = _MODES[file]
        size = self._storage.size(file, mode)
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

    def _held(self, lines: list[_Line], refused: OSError) -> list[_Line]:
        """Return the lines that wait for the disk; claims do not (E3)."""
        for line in lines:
            if line.is_claim and line.written and not line.written.done():
                line.written.set_exception(refused)
        return [line for line in lines if not line.is_claim]

    async def _block(self, refused: OSError) -> None:
        if self.blocked is None:
            self._blocked_at = self._clock.wall()
        self.blocked = refused
        # Claims that were queued meanwhile fail too; the rest may fit into the reserve (E4).
        self._queue = self._held(self._queue, refused)
        self._storage.remove(RESERVE)
        if self._queue:
            await self._commit()

    async def _recover(self) -> None:
        """Unblock when what was held is written and the reserve could be made again (E5)."""
        assert self.blocked
        held = len(self._queue)
        if self._queue and (refused := await self._commit()):
            self.blocked = refused
            return
        try:
            self._storage.reserve(RESERVE, RESERVE_BYTES)
        except OSError as error:
            self.blocked = error
            return
        failed, self.blocked = self.blocked, None
        self.event("log_failed", self._blocked_at, errno=_name(failed))
        self.event("log_recovered", held=held)
        await self._drain()


def _name(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, str(error.errno))
