"""Instants and durations, and their text.

An instant is a number of seconds since the Unix epoch: an `int` on a whole minute where it is a
slot, a `float` where it was read from a clock. Nothing in sinkd computes in local time but the
one function of `schedule` that maps a local date and time to an instant.
"""

import re
from datetime import UTC, datetime

MINUTE = 60
DAY = 86_400

_DURATION = re.compile(r"([0-9]{1,9})([smhd])")
_UNIT_SECONDS = {"s": 1, "m": MINUTE, "h": 3600, "d": DAY}


def rfc3339(instant: float) -> str:
    """Return the instant as RFC 3339 in UTC: seconds for an `int`, milliseconds for a `float`.

    Milliseconds are cut, not rounded, so that a text is never later than its instant.
    """
    if isinstance(instant, int):
        return datetime.fromtimestamp(instant, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    seconds, milliseconds = divmod(int(instant * 1000), 1000)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds:03}Z"


def minute_text(slot: int) -> str:
    """Return a slot as it stands in a run id: `2026-11-23T09:00Z`."""
    return datetime.fromtimestamp(slot, UTC).strftime("%Y-%m-%dT%H:%MZ")


def compact_text(instant: float) -> str:
    """Return the instant as it stands in a file's name, its second cut: `20261123T090000Z`."""
    return datetime.fromtimestamp(int(instant), UTC).strftime("%Y%m%dT%H%M%SZ")


def parse_rfc3339(text: str) -> float:
    """Return the instant of an RFC 3339 text, an `int` when it is a whole second.

    Raises ValueError when the text is not RFC 3339 or has no offset.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        message = f"`{text}` has no offset from UTC: end it with `Z`"
        raise ValueError(message)
    instant = moment.timestamp()
    return int(instant) if instant.is_integer() else instant


def parse_duration(text: str) -> int:
    """Return the seconds of a duration such as `90s`, `30m`, `2h` or `7d`; ValueError otherwise."""
    if found := _DURATION.fullmatch(text):
        return int(found[1]) * _UNIT_SECONDS[found[2]]
    message = f"`{text}` is not a duration: write a whole number and a unit, as in `30m` or `2h`"
    raise ValueError(message)


def duration_text(seconds: float) -> str:
    """Return a duration for people, of at most two units: `2 min 20 s`, `15 h`, `3 d 4 h`."""
    rest = max(0, int(seconds))
    parts: list[str] = []
    for unit, size in (("d", DAY), ("h", 3600), ("min", MINUTE), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {unit}")
        elif parts:
            break
    return " ".join(parts[:2]) or "0 s"
