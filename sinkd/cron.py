"""Reads a cron expression and gives the schedule of a jobs file that means the same, if any.

sinkd has no cron expressions; this is for the people and files that come from them. Five fields
or an `@` word, as in crontab(5); times of day are local, intervals are UTC.
"""

import re
from datetime import UTC, datetime
from typing import Final

from sinkd.instant import MINUTE
from sinkd.schedule import zone
from sinkd.spec import WEEKDAYS

_WORDS: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_CRON_WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CRON_MONTHS: Final = (
    *("", "jan", "feb", "mar", "apr", "may", "jun"),
    *("jul", "aug", "sep", "oct", "nov", "dec"),
)
_FIELD = re.compile(r"(?P<first>\*|\w{1,9})(?:-(?P<last>\w{1,9}))?(?:/(?P<step>[0-9]{1,4}))?")
_MOST_TIMES: Final = 100
_LATEST_START_MINUTE: Final = 59
_YEARS: Final = range(2026, 2038)  # the rules of a zone repeat in fewer


def schedule(expression: str, timezone: str = "UTC") -> dict[str, object]:
    """Return the fields of `schedule` that mean the same in a zone, without the `timezone`.

    Raises ValueError, whose text says why there are none.
    """
    if expression.strip() == "@reboot":
        message = "nothing is due because a machine or sinkd starts"
        raise ValueError(message)
    fields = _WORDS.get(expression.strip(), expression).split()
    if len(fields) != 5:  # noqa: PLR2004 (crontab(5) has five fields)
        seconds = len(fields) in {6, 7}
        message = "sinkd counts whole minutes: no seconds and no years"
        raise ValueError(message if seconds else "a cron expression has five fields")
    if not re.fullmatch(r"[ -~]+", "".join(fields)):
        message = "a cron expression is printable ASCII"
        raise ValueError(message)
    minutes, hours = _numbers(fields[0], 0, 59), _numbers(fields[1], 0, 23)
    if not _is_every_date(fields):
        message = "days of the month and months cannot be expressed"
        raise ValueError(message)
    days = _days(fields[4])
    if days == list(WEEKDAYS) and (interval := _interval(minutes, hours, timezone)):
        return interval
    if len(minutes) * len(hours) > _MOST_TIMES:
        message = f"more than {_MOST_TIMES} times a day, and not one interval"
        raise ValueError(message)
    times = [f"{hour:02}:{minute:02}" for hour in hours for minute in minutes]
    at = times[0] if len(times) == 1 else times
    return {"at": at} if days == list(WEEKDAYS) else {"at": at, "days": days}


def _interval(minutes: list[int], hours: list[int], timezone: str) -> dict[str, object] | None:
    """Return the interval of times that repeat evenly through every day, if they do.

    The grid of an interval is UTC's (S3): whatever the zone's offset is, it must be the same one.
    """
    times = [hour * 60 + minute for hour in hours for minute in minutes]
    if len(times) == 1:
        return None  # once a day is a local time of day
    steps = {b - a for a, b in zip(times, [*times[1:], times[0] + 1440], strict=True)}
    if len(steps) > 1:
        return None
    step = steps.pop()
    starts = {(times[0] - offset) % step for offset in _offsets_minutes(timezone)}
    if len(starts) > 1 or max(starts) > _LATEST_START_MINUTE:
        return None
    return {"interval_minutes": step, "start_minute": starts.pop()}


def _offsets_minutes(timezone: str) -> set[int]:
    """Return the offsets from UTC that a zone has in the course of some years."""
    if timezone == "UTC":
        return {0}
    moments = (datetime(year, month, 1, tzinfo=UTC) for year in _YEARS for month in range(1, 13))
    offsets = (moment.astimezone(zone(timezone)).utcoffset() for moment in moments)
    return {int(offset.total_seconds()) // MINUTE for offset in offsets if offset is not None}


def _is_every_date(fields: list[str]) -> bool:
    """Say whether only the weekday field chooses dates.

    With both fields of days restricted, a date of either is due: so `1-31` makes it every date,
    which is no restriction by weekday; `*` and what begins with it leave the weekdays alone.
    """
    dates = _numbers("*" if fields[2] == "?" else fields[2], 1, 31)
    months = _numbers(fields[3], 1, 12, _CRON_MONTHS)
    weekdays_alone = fields[2][0] in "*?" or fields[4][0] in "*?"
    return len(dates) == 31 and len(months) == 12 and weekdays_alone  # noqa: PLR2004 (a year's)


def _days(field: str) -> list[str]:
    field = re.sub("-sun$|-sun(?=[,/])", "-7", field, flags=re.IGNORECASE)
    numbers = _numbers("*" if field == "?" else field, 0, 7, _CRON_WEEKDAYS)
    found = {_CRON_WEEKDAYS[number] for number in numbers}
    return [day for day in WEEKDAYS if day in found]


def _numbers(field: str, lowest: int, highest: int, names: tuple[str, ...] = ()) -> list[int]:
    """Return the numbers that a field stands for, ascending; `names` are those of 0, 1 and so on."""
    numbers: set[int] = set()
    for part in field.split(","):
        found = _FIELD.fullmatch(part)
        if found is None:
            message = f"`{field}` is no field of a cron expression"
            raise ValueError(message)
        first, last, step = found["first"], found["last"], found["step"]
        if first == "*":
            start, end = lowest, highest
        else:
            start = _number(first, lowest, highest, names)
            end = _number(last, lowest, highest, names) if last else start
            if step and not last:
                message = (
                    f"`{part}` means {first} to one cron, `{first}-{highest}/{step}` to another"
                )
                raise ValueError(message)
        if step and not int(step):
            message = f"`{part}` has a step of 0"
            raise ValueError(message)
        numbers.update(range(start, end + 1, int(step or 1)))
    if not numbers:
        message = f"`{field}` stands for nothing"
        raise ValueError(message)
    return sorted(numbers)


def _number(text: str, lowest: int, highest: int, names: tuple[str, ...]) -> int:
    if text.lower() in names:
        return names.index(text.lower())
    if text.isascii() and text.isdecimal() and lowest <= int(text) <= highest:
        return int(text)
    message = f"`{text}` is not a number {lowest} to {highest}"
    raise ValueError(message)
