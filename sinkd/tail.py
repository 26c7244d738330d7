"""What is appended to the run log as it comes, and which of it is wanted."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, TypeAlias

from sinkd.history import LINE_CAP_BYTES, is_run
from sinkd.record import Event, Run
from sinkd.report import has_labels

_BLOCK_BYTES: Final = 256 * 1024
_BAD_EVENTS: Final = frozenset(
    {"unclean_stop", "config_refused", "config_unsettled", "secret_missing", "log_failed"}
)
Record: TypeAlias = Run | Event


class Follower:
    """Reads what is appended to one file, through rotation and truncation.

    It begins a little before the file's present end, so that no line is lost between a reading
    of the history and the first call; the caller knows by `seq` what it has seen.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rest = b""
        self._file = self._open()
        if self._file:
            self._file.seek(max(0, self._file.seek(0, os.SEEK_END) - LINE_CAP_BYTES))

    def lines(self) -> Iterator[bytes]:
        """Yield the complete lines that have come since the last call."""
        yield from self._read()
        while self._is_replaced():
            if self._rest:  # a line that lost its newline; no more of this file will come
                yield self._rest
            self.close()
            self._file = self._open()
            yield from self._read()

    def close(self) -> None:
        """Close the file and forget its last, unfinished line."""
        self._rest = b""
        if self._file:
            self._file.close()

    def _read(self) -> Iterator[bytes]:
        while self._file and (block := self._file.read(_BLOCK_BYTES)):
            *complete, rest = (self._rest + block).split(b"\n")
            self._rest = rest[: LINE_CAP_BYTES + 1]
            yield from (line + b"\n" for line in complete)

    def _is_replaced(self) -> bool:
        """Say whether the path names another file by now, or this one was cut (L2, L3)."""
        try:
            found = self.path.stat()
        except OSError:
            return False  # between two files of a rotation, or never written yet
        if self._file is None:
            return True
        same = os.path.samestat(found, os.fstat(self._file.fileno()))
        return not same or found.st_size < self._file.tell()

    def _open(self) -> IO[bytes] | None:
        with suppress(FileNotFoundError):
            return self.path.open("rb", buffering=0)
        return None


@dataclass(frozen=True, slots=True)
class Filter:
    """Which records are shown: all of them when nothing is asked for."""

    jobs: frozenset[str] = frozenset()
    labels: Mapping[str, str] = field(default_factory=dict)
    failed: bool = False

    def __bool__(self) -> bool:
        return bool(self.jobs or self.labels or self.failed)

    def wants(self, record: Record) -> bool:
        """Say whether a record is shown; an event has no labels, so a label hides it."""
        return self._wants_run(record) if is_run(record) else self._wants_event(record)

    def _wants_run(self, run: Run) -> bool:
        return (
            (not self.jobs or run["job"] in self.jobs)
            and has_labels(run.get("labels", {}), self.labels)
            and not (self.failed and run["outcome"] == "success")
        )

    def _wants_event(self, event: Mapping[str, Any]) -> bool:
        about = {str(event.get("job")), *_texts(event.get("jobs"))}
        bad = event["event"] in _BAD_EVENTS or "error" in event  # `notify` has one when it failed
        return (
            (not self.jobs or not self.jobs.isdisjoint(about))
            and not self.labels
            and (bad or not self.failed)
        )


def _texts(value: object) -> Iterable[str]:
    return map(str, value) if isinstance(value, list) else ()
