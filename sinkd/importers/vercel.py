"""Reads the `crons` of a vercel.json: paths that Vercel requests by GET, at times in UTC."""

from collections.abc import Iterator
from typing import Any

from sinkd.errors import UsageError
from sinkd.importers.entry import Entry, Found, LeftOut, Note

_REQUEST = {"method": "GET", "headers": {"Authorization": "Bearer ${env:CRON_SECRET}"}}
_NOTE = "Vercel sends `CRON_SECRET` when it is set: set it for sinkd as well, or remove the header"


def read(data: Any, file: str, base_url: str) -> Iterator[Found]:  # noqa: ANN401 (what JSON holds)
    """Return each cron of the file; `base_url` is the deployment's origin.

    Raises UsageError when the file has no list `crons`.
    """
    crons = data.get("crons") if isinstance(data, dict) else None
    if not isinstance(crons, list):
        message = f"{file}:1: not a vercel.json with crons: it has no list `crons`"
        raise UsageError(message)
    for number, cron in enumerate(crons):
        yield _entry(f"crons[{number}]", cron, base_url.rstrip("/"))
    if crons:
        yield Note("crons", _NOTE)


def _entry(place: str, cron: Any, origin: str) -> Entry | LeftOut:  # noqa: ANN401 (what JSON holds)
    match cron:
        case {"path": str(path), "schedule": str(schedule)} if path.startswith("/"):
            return Entry(
                place=place,
                cron=schedule,
                timezone="UTC",
                request={"url": origin + path.replace("${", "$${"), **_REQUEST},
                title=path.partition("?")[0],
            )
    return LeftOut(place, "a cron has a `path` that begins with `/`, and a `schedule`")
