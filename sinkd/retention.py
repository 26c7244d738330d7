"""Looks after sealed segments: their summaries, their compression, and which of them go (L1, L6).

Every step can be cut off at any point and is done again at the next look, at a start, each hour,
and when a file was sealed. Until a segment has its summary, it is neither compressed nor removed.
"""

import asyncio
import contextlib
import math
import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Final

import structlog

from sinkd import sealed
from sinkd.clock import Clock
from sinkd.instant import DAY
from sinkd.runlog import Offload, RunLog
from sinkd.storage import PUBLIC_MODE, Storage

LOOK_SECONDS: Final = 3600
MIN_FREE_BYTES: Final = 512 * 1024 * 1024

_NAME: Final = re.compile(r"((?:runs|events)-(\d{8}T\d{6}Z)(?:-(\d+))?)\.jsonl(?:\.gz)?")

_log = structlog.get_logger("sinkd")


@dataclass(frozen=True, slots=True)
class Keep:
    """How long segments are kept, and how many bytes of them, None for all."""

    days: int = 90
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """A sealed file; after a crash in its compression it is there under two names, plain first."""

    stem: str
    sealed_at: float
    number: int
    names: tuple[str, ...]
    size: int

    @property
    def kind(self) -> str:
        """`runs` or `events`."""
        return self.stem.partition("-")[0]


def free_bytes(path: Path) -> int:
    """Return what the daemon may still write to the file system of a path."""
    return shutil.disk_usage(path).free


def expired(segments: Iterable[Segment], now: float, keep: Keep, free: int) -> list[Segment]:
    """Return the segments that go, the oldest first.

    Neither size nor a full disk takes the newest of its kind: after a crash a start reads the end
    of the log back to its last sign of life, and finds there which runs have ended (R4, T9).
    """
    ordered = sorted(segments, key=lambda each: (each.sealed_at, each.number, each.stem))
    gone = [each for each in ordered if each.sealed_at < now - keep.days * DAY]
    kept = ordered[len(gone) :]
    newest = {each.kind: each for each in kept}.values()
    over = MIN_FREE_BYTES - free - sum(each.size for each in gone)
    if keep.bytes is not None:
        over = max(over, sum(each.size for each in kept) - keep.bytes)
    for each in kept:
        if over > 0 and each not in newest:
            gone.append(each)
            over -= each.size
    return gone


class Retention:
    """Looks after the segments of one data directory; `free` returns its free bytes."""

    def __init__(
        self,
        storage: Storage,
        log: RunLog,
        clock: Clock,
        offload: Offload,
        *,
        keep: Keep,
        free: Callable[[Path], int] = free_bytes,
    ) -> None:
        self._storage = storage
        self._runlog = log
        self._clock = clock
        self._offload = offload
        self._keep = keep
        self._free = free

    async def serve(self) -> None:
        """Look at once, each hour, and when the writer says that there is something to do."""
        while True:
            self._runlog.upkeep.clear()
            try:
                await self.look()
            except OSError as error:  # such as of a file that somebody else removed
                _log.warning("retention_failed", error=str(error))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._runlog.upkeep.wait()

    async def look(self) -> None:
        """Finish what was sealed, then remove what is expired; the event comes before (L6)."""
        segments = await self._offload(self._finished)
        free = await self._offload(lambda: self._free(self._storage.path))
        if gone := expired(segments, self._clock.wall(), self._keep, free):
            self._runlog.event("expired", segments=[each.names[-1] for each in gone])
            # While the disk is full this waits for nothing: it is the removal that makes room.
            await self._runlog.flush()
            await self._offload(lambda: self._remove(gone))

    def _finished(self) -> list[Segment]:
        """Summarise and compress what is not yet; return what may be removed."""
        for segment in self._segments():
            try:
                self._finish(segment)
            except OSError as error:
                _log.warning("segment_unfinished", segment=segment.stem, error=str(error))
        names = set(self._storage.names())
        return [
            each
            for each in self._segments()
            if each.kind == "events" or _summary_name(each) in names
        ]

    def _finish(self, segment: Segment) -> None:
        name = segment.names[0]
        if segment.kind == "runs" and not (self._storage.path / _summary_name(segment)).exists():
            data = sealed.summary_of(self._storage.path / name)
            self._storage.replace(_summary_name(segment), data, PUBLIC_MODE)
        if not name.endswith(".gz"):
            self._storage.compress(name)

    def _segments(self) -> list[Segment]:
        """Return the segments that were sealed here; those rotated from outside are not ours."""
        found = sorted(filter(None, map(_NAME.fullmatch, self._storage.names())), key=_name)
        segments = []
        for stem, matches in groupby(found, key=lambda match: match[1]):
            one, *more = matches
            names = (one[0], *map(_name, more))
            sealed_at, number = _instant(one[2]), int(one[3] or 1)
            segments.append(Segment(stem, sealed_at, number, names, self._size(names)))
        return segments

    def _size(self, names: Sequence[str]) -> int:
        return sum((self._storage.path / name).stat().st_size for name in names)

    def _remove(self, segments: Iterable[Segment]) -> None:
        try:
            for segment in segments:
                for name in segment.names:
                    self._storage.remove(name)
            self._storage.sync_directory()
        except OSError as error:
            _log.warning("segments_not_removed", error=str(error))


def _name(match: re.Match[str]) -> str:
    return match[0]


def _summary_name(segment: Segment) -> str:
    return f"{segment.stem}.summary.json"


def _instant(text: str) -> float:
    """Return the instant in a name; one that no calendar has never grows old."""
    with contextlib.suppress(ValueError):
        return datetime.strptime(text, "%Y%m%dT%H%M%S%z").timestamp()
    return math.inf
