"""The upcoming slots as an iCalendar feed (RFC 5545), which calendars subscribe to."""

import heapq
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Final

from sinkd.instant import DAY, compact_text, minute_text
from sinkd.schedule import describe, slots
from sinkd.spec import Job
from sinkd.state import Pause

DAYS: Final = 7
EVENTS: Final = 1000
_OF_A_JOB: Final = 50  # a job of each minute must not push the others out
_LINE_BYTES: Final = 75


def calendar(jobs: Iterable[Job], pauses: Mapping[str, Pause], now: float) -> str:
    """Return the slots of the next 7 days: of a job at most 50, of all at most 1,000, soonest first.

    Slots in a pause are left out. An event's UID is its run id, so it stays the same.
    """
    upcoming = heapq.merge(
        *(islice(_slots(job, pauses.get(job.name), now), _OF_A_JOB) for job in jobs if job.enabled),
        key=lambda each: each[0],
    )
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//sinkd//slots//EN", "NAME:sinkd"]
    lines += ["X-WR-CALNAME:sinkd", "REFRESH-INTERVAL;VALUE=DURATION:PT1H"]
    for slot, job in islice(upcoming, EVENTS):
        lines += _event(slot, job, now)
    lines.append("END:VCALENDAR")
    return "".join(f"{folded}\r\n" for line in lines for folded in _folded(line))


def _slots(job: Job, pause: Pause | None, now: float) -> Iterator[tuple[int, Job]]:
    for slot in slots(job.schedule, now, now + DAYS * DAY):
        if pause is None or slot >= pause.until:
            yield slot, job


def _event(slot: int, job: Job, now: float) -> Iterator[str]:
    yield "BEGIN:VEVENT"
    yield f"UID:{job.name}@{minute_text(slot)}@sinkd"
    yield f"DTSTAMP:{compact_text(now)}"
    yield f"DTSTART:{compact_text(slot)}"
    yield "DURATION:PT1M"
    yield f"SUMMARY:{_text(job.name)}"
    told = [job.description, describe(job.schedule)]
    yield f"DESCRIPTION:{_text(chr(10).join(filter(None, told)))}"
    yield "TRANSP:TRANSPARENT"
    yield "END:VEVENT"


def _text(text: str) -> str:
    """Escape a value of type TEXT (RFC 5545 3.3.11); control characters have no place in one."""
    for char in "\\;,":
        text = text.replace(char, "\\" + char)
    text = text.replace("\n", "\\n")
    return "".join(char for char in text if char.isprintable())


def _folded(line: str) -> Iterator[str]:
    """Yield a line in parts of at most 75 bytes, the later ones begun by a blank (RFC 5545 3.1)."""
    part, size = "", 0
    for char in line:
        bytes_ = len(char.encode(errors="replace"))
        if size + bytes_ > _LINE_BYTES:
            yield part
            part, size = " ", 1
        part += char
        size += bytes_
    yield part
