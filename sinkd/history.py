"""Reads the run log of a data directory: sealed and current files, forwards and backwards.

A reader takes no lock and refuses nothing (R9). What cannot be parsed is skipped and counted, a
last line without its newline that cannot be parsed is in progress and no error, and no line is
loaded beyond 64 KiB: the tail of a torn file can be megabytes of NUL (R7).
"""

import gzip
import io
import os
import re
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final, Literal, TypeAlias, TypeGuard, cast, overload

from pydantic_core import from_json

from sinkd.errors import UsageError
from sinkd.instant import parse_rfc3339
from sinkd.record import VERSION, Event, Run

Stem: TypeAlias = Literal["runs", "events"]

LINE_CAP_BYTES: Final = 64 * 1024
_SUMMARY: Final = ".summary.json"
_BLOCK_BYTES: Final = 256 * 1024
_DAMAGE: Final = (EOFError, OSError, zlib.error)  # what a cut or broken segment raises


class History:
    """The run log of one data directory, as it is when a reading begins.

    `unreadable` counts what was skipped by all readings so far: a line, or the rest of one of the
    `damaged` files. `beyond_summaries` leaves out what a summary holds. Raises UsageError when the directory
    or one of its files cannot be opened.
    """

    def __init__(self, data_dir: Path, *, beyond_summaries: bool = False) -> None:
        self.data_dir = data_dir
        self._beyond_summaries = beyond_summaries
        self.unreadable = 0
        self.damaged: set[str] = set()
        self._read: set[str] = set()
        self._names()

    def runs(self, since: float | None = None, until: float | None = None) -> Iterator[Run]:
        """Yield the run records, oldest first; only those with a slot in [since, until)."""
        records = (run for _, run in self.entries("runs"))
        if since is None and until is None:
            return records
        return (run for run in records if overlaps(run, since, until))

    def runs_backwards(self) -> Iterator[Run]:
        """Yield the run records, newest first."""
        return (run for _, run in self.entries("runs", backwards=True))

    def events(self) -> Iterator[Event]:
        """Yield the events, oldest first."""
        return (event for _, event in self.entries("events"))

    def events_backwards(self) -> Iterator[Event]:
        """Yield the events, newest first."""
        return (event for _, event in self.entries("events", backwards=True))

    @overload
    def entries(
        self, stem: Literal["runs"], *, backwards: bool = False
    ) -> Iterator[tuple[bytes, Run]]: ...

    @overload
    def entries(
        self, stem: Literal["events"], *, backwards: bool = False
    ) -> Iterator[tuple[bytes, Event]]: ...

    def entries(self, stem: Stem, *, backwards: bool = False) -> Iterator[tuple[bytes, Any]]:
        """Yield each line that holds a record, and the record; oldest or newest first."""
        accepts = is_run if stem == "runs" else is_event
        for line in self.lines(stem, backwards=backwards):
            record = parse(line)
            if accepts(record):
                yield line, record
            elif line.endswith(b"\n") or len(line) > LINE_CAP_BYTES:
                self.unreadable += 1

    def lines(self, stem: Stem, *, backwards: bool = False) -> Iterator[bytes]:
        """Yield every line as it stands in the files; only a file's last may lack its newline.

        A line over the cap is cut, but stays over it, so that `parse` returns None.
        """
        read = _backwards if backwards else forwards
        for file in self._files(stem, backwards=backwards):
            try:
                yield from read(file)
            except _DAMAGE:
                self.note_damage(file.name)

    def note_damage(self, path: str | Path) -> None:
        """Remember that a file could not be read to its end."""
        self.unreadable += 1
        self.damaged.add(Path(path).name)

    @property
    def losses(self) -> str:
        """What was skipped, in words; nothing if nothing was (R7)."""
        if not self.unreadable:
            return ""
        count = "1 line" if self.unreadable == 1 else f"{self.unreadable:,} lines"
        named = f"; damaged: {', '.join(sorted(self.damaged))}" if self.damaged else ""
        return f"{count} of the run log cannot be read{named}"

    def expired(self) -> list[Path]:
        """Return the summaries of run segments that are gone, and were not read before (L7)."""
        there = {_segment(name) for name in self._names() if _SUMMARY not in name} | self._read
        return [path for path in self.summaries() if _segment(path.name) not in there]

    def summaries(self) -> list[Path]:
        """Return all summaries, oldest first."""
        return sorted(self.data_dir / name for name in self._names() if name.endswith(_SUMMARY))

    def _files(self, stem: Stem, *, backwards: bool) -> Iterator[IO[bytes]]:
        """Yield the files, oldest first or newest first, by the `seq` of their first record."""
        path = self.data_dir / f"{stem}.jsonl"
        with _open(path) as current:
            segments = self._segments(stem)
            if isinstance(current, io.BufferedReader) and not _is_file(path, current):
                # It was sealed since it was opened, and may be among the others (L1).
                yield from self._files(stem, backwards=backwards)
                return
            if backwards:
                yield current
            for sealed in sorted(segments, key=_first_seq, reverse=backwards):
                with _open(sealed) as file:
                    if not isinstance(file, io.BytesIO):
                        self._read.add(_segment(sealed.name))
                    yield file
            if not backwards:
                yield current

    def _segments(self, stem: Stem) -> list[Path]:
        """Return the sealed files (L5)."""
        named = re.compile(rf"{stem}-[^.]+\.jsonl(\.gz)?|{stem}\.jsonl\.\d+(\.gz)?")
        there = self._names()
        names = set(filter(named.fullmatch, there))
        if self._beyond_summaries:
            names = {name for name in names if _segment(name) + _SUMMARY not in there}
        # A crash while a segment is compressed leaves both: the plain one is complete.
        kept = [name for name in names if name.removesuffix(".gz") not in names - {name}]
        return [self.data_dir / name for name in sorted(kept)]

    def _names(self) -> list[str]:
        try:
            return [path.name for path in self.data_dir.iterdir()]
        except OSError as error:
            message = (
                f"cannot read the data directory `{self.data_dir}` ({_why(error)}): "
                "name the directory of `sinkd run` with `--data-dir`"
            )
            raise UsageError(message) from error


def parse(line: bytes) -> object:
    """Return the JSON value of a line, None when it is not JSON or over the cap."""
    if len(line) > LINE_CAP_BYTES:
        return None
    try:
        return from_json(line, cache_strings="keys")
    except ValueError:
        return None


def is_run(record: object) -> TypeGuard[Run]:
    """Say whether this is a run record whose identity, slots and outcome can be relied on."""
    return (
        isinstance(record, dict)
        and _is_numbered(record)
        and isinstance(record.get("job"), str)
        and isinstance(record.get("outcome"), str)
        and _is_time(record.get("scheduled_at"))
        and isinstance(record.get("labels", {}), dict)
        and ("count" not in record or _is_range(record))
    )


def is_event(record: object) -> TypeGuard[Event]:
    """Say whether this is an event whose name and instant can be relied on."""
    return (
        isinstance(record, dict)
        and _is_numbered(record)
        and isinstance(record.get("event"), str)
        and _is_time(record.get("at"))
    )


def _is_numbered(record: dict[str, Any]) -> bool:
    return record.get("v") == VERSION and isinstance(record.get("seq"), int)


def _is_range(record: dict[str, Any]) -> bool:
    count = record["count"]
    return isinstance(count, int) and (
        count == 1 or (count > 1 and _is_time(record.get("last_scheduled_at")))
    )


def _is_time(text: object) -> bool:
    if isinstance(text, str) and text.endswith("Z"):
        with suppress(ValueError):
            parse_rfc3339(text)
            return True
    return False


def overlaps(run: Run, since: float | None, until: float | None) -> bool:
    """Say whether a record has a slot in [since, until); None is no limit."""
    first = parse_rfc3339(run["scheduled_at"])
    last = parse_rfc3339(run["last_scheduled_at"]) if run.get("count", 1) > 1 else first
    return (since is None or last >= since) and (until is None or first < until)


def forwards(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines of a file, first to last; one over the cap is cut, but stays over it."""
    if isinstance(file, gzip.GzipFile):
        yield from _decompressed(file)
        return
    while line := file.readline(LINE_CAP_BYTES + 1):
        yield line
        while len(line) > LINE_CAP_BYTES and not line.endswith(b"\n"):
            line = file.readline(LINE_CAP_BYTES + 1)  # the rest of an endless line is not kept
            if not line:
                return


def _decompressed(file: gzip.GzipFile) -> Iterator[bytes]:
    """Yield the lines of a compressed file; where it breaks off, also what is left of a line."""
    rest, damage = b"", None
    try:
        while block := file.read1():
            *lines, rest = (rest + block).split(b"\n")
            yield from (line[: LINE_CAP_BYTES + 1] + b"\n" for line in lines)
            rest = rest[: LINE_CAP_BYTES + 1]  # the rest of an endless line is not kept
    except _DAMAGE as error:
        damage = error
    if rest:
        yield rest
    if damage:
        raise damage


def _backwards(file: IO[bytes], block_bytes: int = _BLOCK_BYTES) -> Iterator[bytes]:
    """Yield the lines of a file, last to first, reading it in blocks from its end."""
    if isinstance(file, gzip.GzipFile):
        yield from _decompressed_backwards(file)
        return
    rest = newline = b""  # `rest` is the end of a line that begins before `start`
    start = file.seek(0, os.SEEK_END)
    while start > 0:
        end, start = start, max(0, start - block_bytes)
        file.seek(start)
        pieces = (file.read(end - start) + rest).split(b"\n")
        rest = pieces[0][-LINE_CAP_BYTES - 1 :]
        for piece in reversed(pieces[1:]):
            if piece or newline:
                yield piece + newline
            newline = b"\n"
    if rest or newline:
        yield rest + newline


def _decompressed_backwards(file: gzip.GzipFile) -> Iterator[bytes]:
    """Yield the lines of a compressed file, last to first, by way of a temporary file."""
    damage = None
    with tempfile.TemporaryFile() as plain:
        try:
            while (
                block := file.read1()
            ):  # as much at once as forwards, so that damage costs the same
                plain.write(block)
        except _DAMAGE as error:
            damage = error
        yield from _backwards(plain)
    if damage:
        raise damage


def _first_seq(path: Path) -> int:
    """Return the `seq` of a file's first readable record, 0 when its beginning has none."""
    with _open(path) as file, suppress(*_DAMAGE):
        for line in islice(forwards(file), 100):
            record = parse(line)
            if is_run(record) or is_event(record):
                return record["seq"]
    return 0


def _open(path: Path) -> IO[bytes]:
    """Open a log file for reading, an empty one when retention or a rotation took it away."""
    try:
        if path.suffix == ".gz":
            return cast("IO[bytes]", gzip.open(path))
        return path.open("rb", buffering=_BLOCK_BYTES)
    except FileNotFoundError:
        if path.suffix == ".gz":
            return io.BytesIO()
        return _open(path.with_name(path.name + ".gz"))  # compressed since it was listed
    except OSError as error:
        message = f"cannot read `{path}` ({_why(error)}): check who may read it"
        raise UsageError(message) from error


def _segment(name: str) -> str:
    """Return what the files of one segment share in their names."""
    return name.partition(".")[0]


def _is_file(path: Path, file: IO[bytes]) -> bool:
    with suppress(OSError):
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    return False


def _why(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
