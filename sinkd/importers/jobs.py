"""Turns entries into jobs: the schedule that means the same, a name of its own, and a last check.

What `validate` would refuse is left out, for the reason that it gives.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sinkd import cron, source
from sinkd.importers.entry import Entry, Found, InexpressibleError, LeftOut, Note
from sinkd.importers.writing import jobs_file
from sinkd.jobsfile import JOBS_LIMIT
from sinkd.schedule import zone_names
from sinkd.values import slug

_NAME_LIMIT: Final = 63
_TITLE_LIMIT: Final = 40  # a longer description is no name


@dataclass(slots=True)
class Conversion:
    """What became of a file's entries; `jobs` holds each with the comments above it."""

    jobs: list[tuple[list[str], dict[str, Any]]] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)


def convert(found: Iterable[Found], file: str) -> Conversion:
    """Return the jobs of the entries that can be expressed, and all that is to be said."""
    result, names = Conversion(), dict[str, int]()
    for one in found:
        match one:
            case LeftOut():
                result.left_out.append(one)
            case Note():
                result.notes.append(one)
            case Entry() if len(result.jobs) == JOBS_LIMIT:
                full = f"a jobs file has at most {JOBS_LIMIT:,} jobs"
                result.left_out.append(LeftOut(one.place, full))
            case Entry():
                _add(result, one, file, names)
    return result


def _add(result: Conversion, entry: Entry, file: str, names: dict[str, int]) -> None:
    try:
        job = _job(entry, _unused(_title(entry), names))
        comments = [f"{file}:{entry.place}: {entry.cron}"]
        remarks = _remarks(job)
    except InexpressibleError as error:
        result.left_out.append(LeftOut(entry.place, str(error)))
        return
    names[job["name"]] = 1
    times = job["schedule"].get("at")
    if isinstance(times, list):
        comments.append(f"no interval means the same: {len(times)} times of day do")
    result.jobs.append((comments, job))
    result.notes += [Note(entry.place, text) for text in (*comments[1:], *entry.notes, *remarks)]


def _job(entry: Entry, name: str) -> dict[str, Any]:
    description = " ".join(entry.description.split())
    return {
        "name": name,
        **({"description": description} if description else {}),
        "schedule": _schedule(entry),
        "request": dict(entry.request),
        **({"timeout_seconds": entry.timeout_seconds} if entry.timeout_seconds else {}),
        **({} if entry.enabled else {"enabled": False}),
    }


def _schedule(entry: Entry) -> Mapping[str, object]:
    if entry.timezone not in zone_names():
        message = "its time zone is none of IANA, such as `America/New_York`"
        raise InexpressibleError(message)
    try:
        fields = cron.schedule(entry.cron, entry.timezone)
    except ValueError as error:
        raise InexpressibleError(str(error)) from None
    if "at" not in fields:
        return fields
    return {"at": fields.pop("at"), "timezone": entry.timezone, **fields}


def _title(entry: Entry) -> str:
    """Return the words that name an entry: its own, a short description, or its URL."""
    if entry.title:
        return entry.title
    if entry.description and len(entry.description) <= _TITLE_LIMIT:
        return entry.description
    without_references = re.sub(r"\$\{[^}]*\}", "", str(entry.request["url"]))
    return without_references.partition("?")[0].partition("://")[2]


def _unused(title: str, names: dict[str, int]) -> str:
    """Return a job name made of a title, with a number when it is taken.

    `names` holds the highest number that each name was given.
    """
    name = first = slug(title)[:_NAME_LIMIT] or "job"
    while name in names:
        names[first] += 1
        number = f"-{names[first]}"
        name = first[: _NAME_LIMIT - len(number)] + number
    return name


def _remarks(job: dict[str, Any]) -> list[str]:
    """Return what the job needs, and what `validate` warns of.

    InexpressibleError says what it refuses.
    """
    loaded = source.load(jobs_file([([], job)], []).encode("utf-8", "replace"))
    found = loaded.diagnostics
    texts = [f"{one.message}: {one.label}" if one.label else one.message for one in found]
    for one, text in zip(found, texts, strict=True):
        if one.severity == "error":
            raise InexpressibleError(text)
    jobs = loaded.spec.jobs.values() if loaded.spec else ()
    needed = dict.fromkeys(reference.name for one in jobs for reference in one.references)
    return [*(f"`{name}` must be in the environment of `sinkd run`" for name in needed), *texts]
