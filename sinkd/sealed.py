"""The summary of a sealed segment, `runs-<UTC>.summary.json`: the totals that outlive it (L7).

`schemas/README.md` specifies the file. It holds what a report shows of whole stretches of the log,
so all but the last day by the hour; a report reads it only when the segment itself is gone.
"""

import gzip
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final, Literal, NotRequired, TypeAlias, cast

from pydantic import TypeAdapter
from pydantic_core import to_json
from typing_extensions import TypedDict

from sinkd.histogram import Histogram
from sinkd.history import forwards, is_run, parse
from sinkd.instant import parse_rfc3339
from sinkd.record import Run
from sinkd.report import Summary, Totals, Trouble

VERSION: Final = 1

_DAMAGE: Final = (EOFError, gzip.BadGzipFile, zlib.error)  # of a compressed file

_Line: TypeAlias = dict[str, Any]  # a record, with all its fields


class _Durations(TypedDict):
    least: int | None
    most: int | None
    steps: dict[int, int]


class _Trouble(TypedDict):
    outcome: str
    reason: str
    count: int
    first: _Line
    last: _Line


class _Totals(TypedDict):
    labels: dict[str, Any]
    counts: dict[str, int]
    manual: dict[str, int]
    durations_ms: _Durations
    in_a_row: int
    first: _Line
    last_run: _Line | None
    last_success: NotRequired[_Line | None]
    troubles: list[_Trouble]


class _File(TypedDict):
    v: Literal[1]
    since: str | None
    until: str | None
    jobs: dict[str, _Totals]


_FILE: Final = TypeAdapter(_File)


def summary_of(segment: Path) -> bytes:
    """Return the summary of a segment, plain or compressed; OSError when it cannot be read."""
    whole = Summary(0)
    since, until = "", ""
    opened = gzip.open if segment.suffix == ".gz" else open
    with cast("IO[bytes]", opened(segment, "rb")) as file, suppress(*_DAMAGE):
        for line in forwards(file):
            run = parse(line)
            if is_run(run) and whole.add(run):
                first = run["scheduled_at"]
                last = run["last_scheduled_at"] if run.get("count", 1) > 1 else first
                since = min(since or first, first, key=parse_rfc3339)
                until = max(until or last, last, key=parse_rfc3339)
    return encode(whole, since or None, until or None)


def encode(whole: Summary, since: str | None, until: str | None) -> bytes:
    """Return the bytes of a summary whose slots lie from `since` to `until`, both included."""
    jobs = {name: _shape(totals) for name, totals in whole.jobs.items()}
    return to_json({"v": VERSION, "since": since, "until": until, "jobs": jobs}) + b"\n"


def _shape(totals: Totals) -> dict[str, Any]:
    durations = totals.durations
    return {
        "labels": totals.labels,
        "counts": totals.counts,
        "manual": totals.manual,
        "durations_ms": {
            "least": durations.least,
            "most": durations.most,
            "steps": durations.counts,
        },
        "in_a_row": totals.in_a_row,
        "first": totals.first,
        "last_run": totals.last_run,
        "last_success": totals.last_success,
        "troubles": [
            {
                "outcome": outcome,
                "reason": reason,
                "count": trouble.count,
                "first": trouble.first,
                "last": trouble.last,
            }
            for (outcome, reason), trouble in totals.troubles.items()
        ],
    }


def decode(data: bytes) -> tuple[float, float, dict[str, Totals]] | None:
    """Return the first slot, the last and the totals of each job; None when there was no record.

    Raises ValueError when the bytes are no summary that this version knows.
    """
    file = _FILE.validate_json(data)
    if file["since"] is None or file["until"] is None:
        return None
    jobs = {name: _totals(shape) for name, shape in file["jobs"].items()}
    return parse_rfc3339(file["since"]), parse_rfc3339(file["until"]), jobs


def readable(paths: Iterable[Path]) -> Iterator[dict[str, Totals]]:
    """Yield the totals of each job in each summary, but for those that cannot be read."""
    for path in paths:
        with suppress(OSError, ValueError):
            if part := decode(path.read_bytes()):
                yield part[2]


def _totals(shape: _Totals) -> Totals:
    durations = shape["durations_ms"]
    return Totals(
        labels=shape["labels"],
        counts=Counter(shape["counts"]),
        manual=Counter(shape["manual"]),
        durations=Histogram(Counter(durations["steps"]), durations["least"], durations["most"]),
        first=_run(shape["first"]),
        last_run=_run(shape["last_run"]) if shape["last_run"] else None,
        last_success=_run(success) if (success := shape.get("last_success")) else None,
        in_a_row=shape["in_a_row"],
        troubles={
            (each["outcome"], each["reason"]): Trouble(
                each["count"], _run(each["first"]), _run(each["last"])
            )
            for each in shape["troubles"]
        },
    )


def _run(line: _Line) -> Run:
    if not is_run(line):
        message = "a summary holds what is no run record"
        raise ValueError(message)
    return line
