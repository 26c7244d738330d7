"""Reads jobs.yaml: bytes in, a `Spec` out, or every problem at its place.

The only module that opens the jobs file. A file is accepted or refused as a whole (C3): there is
a `Spec` exactly when nothing in the file is an error.
"""

import codecs
import contextlib
import gc
import hashlib
import itertools
import os
import re
import stat
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, get_args

from sinkd import crowds, doubts, jobsfile, rules, shape
from sinkd import document as documents
from sinkd.diagnostics import Diagnostic, Span
from sinkd.document import Document
from sinkd.errors import UsageError
from sinkd.findings import Findings
from sinkd.instant import MINUTE
from sinkd.jobsfile import JobsFile, merged
from sinkd.spec import (
    WEEKDAYS,
    Daily,
    Interval,
    Job,
    Notify,
    On,
    Request,
    Schedule,
    Spec,
    default_catch_up_seconds,
    default_timeout_seconds,
)

if TYPE_CHECKING:
    from sinkd.record import Problem

SIZE_LIMIT_BYTES: Final = 16 * 1024 * 1024
BIG_FILE_BYTES: Final = 256 * 1024
PROBLEMS_SHOWN: Final = 20
_CATCH_UP_FLOOR_SECONDS: Final = 5  # T3
_IGNORE = re.compile(r"# *sinkd: *ignore\[([A-Z0-9, ]+)\]")
_KINDS: Final = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a directory",
}
# Without O_NONBLOCK, opening a FIFO would wait for somebody to write to it.
_FLAGS: Final = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a file's bytes say: `spec` is None exactly when a diagnostic is an error."""

    spec: Spec | None
    diagnostics: tuple[Diagnostic, ...]


def read(path: Path) -> bytes:
    """Return the bytes of a regular file of at most 16 MiB; symlinks are followed.

    Raises UsageError, whose sentence names the path, when there is none or it cannot be read.
    """
    try:
        with os.fdopen(os.open(path, _FLAGS), "rb") as file:
            _check_is_file(path, os.fstat(file.fileno()).st_mode)
            data = file.read(SIZE_LIMIT_BYTES + 1)
    except FileNotFoundError:
        message = f"{path}: no such file; name the jobs file, as in `--config jobs.yaml`"
        raise UsageError(message) from None
    except IsADirectoryError:
        message = f"{path} is a directory; a jobs file is a regular file"
        raise UsageError(message) from None
    except OSError as error:
        message = f"{path} cannot be read: {(error.strerror or str(error)).lower()}"
        raise UsageError(message) from None
    if len(data) > SIZE_LIMIT_BYTES:
        message = f"{path} is larger than 16 MiB, the most that a jobs file may have"
        raise UsageError(message)
    return data


def write(path: Path, data: bytes) -> None:
    """Replace a jobs file at once, keeping its mode and owner; through a symlink, the file itself.

    Raises UsageError when it cannot be written; then the old file stands untouched.
    """
    new = None
    try:
        target = path.resolve()
        old = target.stat()
        _check_is_file(path, old.st_mode)
        with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as file:
            new = Path(file.name)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.chmod(stat.S_IMODE(old.st_mode))
        if new.stat()[stat.ST_UID : stat.ST_GID + 1] != (old.st_uid, old.st_gid):
            os.chown(new, old.st_uid, old.st_gid)
        new.replace(target)
    except OSError as error:
        message = f"{path} cannot be written: {(error.strerror or str(error)).lower()}"
        raise UsageError(message) from None
    finally:
        if new:
            new.unlink(missing_ok=True)


def _check_is_file(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        message = f"{path} is {_KINDS[stat.S_IFMT(mode)]}; a jobs file is a regular file"
        raise UsageError(message)


def load(data: bytes, path: str = "jobs.yaml") -> Loaded:  # noqa: ARG001 (callers name it)
    """Read the bytes of a jobs file: every problem at once, in the order of the text."""
    with _no_garbage_collection(len(data) > BIG_FILE_BYTES):
        document = _document(data)
        findings = Findings(document)
        file = _check(findings) if document.finished else None
        spec = None
        if file is not None and not findings.has_errors:
            spec = _spec(file, hashlib.sha256(data).hexdigest())
            crowds.check(findings, spec)
        shown = (found for found in findings.finish() if not _is_silenced(document, found))
        return Loaded(spec, tuple(shown))


def _check(findings: Findings) -> JobsFile | None:
    if findings.document.data is None:
        if not findings.diagnostics:
            label = "write `version: 1` and `jobs:`"
            findings.diagnostics.append(
                Diagnostic("SNK002", "the file is empty", Span(1, 1, 1, 1), label)
            )
        return None
    file = shape.check(findings)
    rules.check(findings)
    doubts.check(findings)
    if file is None and not findings.has_errors:
        findings.add("SNK111", (), "the file does not have the shape that the schema shows")
    return file


def _is_silenced(document: Document, found: Diagnostic) -> bool:
    """Say whether a comment on a warning's line, `# sinkd: ignore[SNK304]`, silences it."""
    if found.severity != "warning":
        return False
    comment = _IGNORE.search(document.line(found.span.line))
    return comment is not None and found.code in re.split(r"[ ,]+", comment[1])


@contextlib.contextmanager
def _no_garbage_collection(wanted: bool) -> Iterator[None]:  # noqa: FBT001 (read at one place)
    """Keep the collector away from a million new objects: most of a big load's time is its."""
    if not (wanted and gc.isenabled()):
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _document(data: bytes) -> Document:
    """Decode and read; the words for what is no UTF-8 and no YAML are loaded when needed."""
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        document = documents.read(data.decode())
    except UnicodeDecodeError as error:
        from sinkd import syntax

        document = Document(data[: error.start].decode())
        document.problems.append(syntax.not_utf8(document, data))
    if document.failure:
        from sinkd import syntax

        document.problems.append(syntax.explain(document, document.failure))
    return document


def problems(diagnostics: Iterable[Diagnostic]) -> "list[Problem]":
    """Return the first errors as the event `config_refused` shows them, at most 20."""
    errors = (found for found in diagnostics if found.severity == "error")
    return [
        {
            "code": found.code,
            "line": found.span.line,
            "column": found.span.column,
            "message": found.message,
        }
        for found in itertools.islice(errors, PROBLEMS_SHOWN)
    ]


def _spec(file: JobsFile, revision: str) -> Spec:
    defaults = file.get("defaults", {})
    jobs = {job["name"]: _job(job, defaults) for job in file["jobs"]}
    return Spec(jobs, revision, tuple(map(_notify, file.get("notify", ()))))


def _notify(to: jobsfile.Notify) -> Notify:
    return Notify(
        url=to["url"],
        on=tuple(on for on in get_args(On) if on in to.get("on", get_args(On))),
        headers=tuple(to.get("headers", {}).items()),
        signing_secret=to.get("signing_secret"),
    )


def _job(job: jobsfile.Job, defaults: jobsfile.Defaults) -> Job:
    """Apply the defaults: a job's own value wins, its null drops the default."""
    schedule = _schedule(job["schedule"], defaults)
    timeout = job.get("timeout_seconds", defaults.get("timeout_seconds"))
    minutes = job.get("catch_up_minutes", defaults.get("catch_up_minutes"))
    catch_up = default_catch_up_seconds(schedule) if minutes is None else minutes * MINUTE
    capture = job.get("capture_headers", defaults.get("capture_headers")) or ()
    return Job(
        name=job["name"],
        schedule=schedule,
        request=_request(job["request"], defaults),
        timeout_seconds=default_timeout_seconds(schedule) if timeout is None else timeout,
        catch_up_seconds=max(catch_up, _CATCH_UP_FLOOR_SECONDS),
        description=job.get("description"),
        labels=merged(defaults.get("labels"), job.get("labels", {})),
        signing_secret=job.get("signing_secret", defaults.get("signing_secret")),
        capture_headers=tuple(dict.fromkeys(name.lower() for name in capture)),
        enabled=job.get("enabled", True),
    )


def _schedule(schedule: jobsfile.Schedule, defaults: jobsfile.Defaults) -> Schedule:
    if "interval_minutes" in schedule:
        return Interval(schedule["interval_minutes"], schedule.get("start_minute", 0))
    times = schedule["at"]
    days = schedule.get("days", WEEKDAYS)
    return Daily(
        at=tuple(sorted({times} if isinstance(times, str) else set(times))),
        timezone=schedule.get("timezone") or defaults["timezone"],
        days=tuple(day for day in WEEKDAYS if day in days),
    )


def _request(request: jobsfile.Request, defaults: jobsfile.Defaults) -> Request:
    default_headers = defaults.get("request", {}).get("headers")
    return Request(
        url=request["url"],
        method=request.get("method", "POST"),
        headers=merged(default_headers, request.get("headers", {}), key=str.lower),
        body=request.get("body"),
    )
