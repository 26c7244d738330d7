"""The times that people write on the command line (TIME in the manual)."""

import re
from datetime import datetime

from sinkd.instant import parse_duration, parse_rfc3339
from sinkd.schedule import instant_at, local_time

_LOCAL = re.compile(r"(?:(\d{4}-\d\d-\d\d)T)?(\d\d:\d\d)")
_YEAR_3000 = 32_503_680_000


def parse_time(text: str, now: float, zone: str = "UTC") -> tuple[float, ...]:
    """Return the instant of RFC 3339, of a local time in `zone`, or of an age as in `-30m`.

    A local time that comes twice has two instants, the earlier one first; one that a zone skips
    has the instant that a slot at this time would have (S4). ValueError says what can be written.
    """
    try:
        instants = _parse(text, now, zone)
    except ValueError:
        message = (
            f"`{text}` is not a time: write `2026-11-23T09:00Z`; "
            f"`2026-11-23T09:00` or `09:00`, read as {zone}; or `-30m`, `-2h`, `-3d`"
        )
        raise ValueError(message) from None
    if not 0 <= instants[0] < _YEAR_3000:
        message = f"`{text}` lies outside the years 1970 to 2999"
        raise ValueError(message)
    return instants


def _parse(text: str, now: float, zone: str) -> tuple[float, ...]:
    if text.startswith("-"):
        return (now - parse_duration(text[1:]),)
    if found := _LOCAL.fullmatch(text):
        day = found[1] or local_time(now, zone).date().isoformat()
        return _occurrences(datetime.fromisoformat(f"{day}T{found[2]}"), zone)
    return (parse_rfc3339(text),)


def _occurrences(moment: datetime, zone: str) -> tuple[float, ...]:
    first, second = (instant_at(moment, zone, fold=fold) for fold in (0, 1))
    return (first, second) if first < second else (first,)
