"""Reads a cron expression and gives the schedule of a jobs file that means the same, if any.

sinkd has no cron expressions; this is for the people and files that come from them. Five fields
or an `@` word, as in crontab(5); times of day are local, intervals are UTC.
"""

import re
from typing import Final

from sinkd.spec import WEEKDAYS

_WORDS: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
}
_CRON_WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FIELD = re.compile(r"(?P<first>\*|\w+)(?:-(?P<last>\w+))?(?:/(?P<step>[0-9]+))?")
_MOST_TIMES: Final = 100


def schedule(expression: str) -> dict[str, object]:
    """Return the fields of `schedule` that mean the same, without a `timezone`.

    Raises ValueError, whose text says why there are none.
    """
    fields = _WORDS.get(expression.strip(), expression).split()
    if len(fields) != 5:  # noqa: PLR2004 (crontab(5) has five fields)
        seconds = len(fields) in {6, 7}
        message = "sinkd counts whole minutes: no seconds and no years"
        raise ValueError(message if seconds else "a cron expression has five fields")
    minutes, hours = _numbers(fields[0], 0, 59), _numbers(fields[1], 0, 23)
    if fields[2] not in {"*", "?"} or fields[3] != "*":
        message = "days of the month and months cannot be expressed"
        raise ValueError(message)
    days = _days(fields[4])
    if days == list(WEEKDAYS) and (interval := _interval(minutes, hours)):
        return interval
    if len(minutes) * len(hours) > _MOST_TIMES:
        message = f"more than {_MOST_TIMES} times a day, and not one interval"
        raise ValueError(message)
    times = [f"{hour:02}:{minute:02}" for hour in hours for minute in minutes]
    at = times[0] if len(times) == 1 else times
    return {"at": at} if days == list(WEEKDAYS) else {"at": at, "days": days}


def _interval(minutes: list[int], hours: list[int]) -> dict[str, object] | None:
    """Return the interval of times that repeat evenly through every day, if they do."""
    every_hour = len(hours) == 24  # noqa: PLR2004 (hours of a day)
    times = [hour * 60 + minute for hour in hours for minute in minutes]
    if len(times) == 1:
        return None  # once a day is a local time of day
    steps = {b - a for a, b in zip(times, [*times[1:], times[0] + 1440], strict=True)}
    if len(steps) > 1 or not (every_hour or hours[0] == 0):
        return None
    return {"interval_minutes": steps.pop(), "start_minute": times[0]}


def _days(field: str) -> list[str]:
    for number, name in enumerate(_CRON_WEEKDAYS[:7]):
        field = re.sub(name, str(number), field, flags=re.IGNORECASE)
    numbers = _numbers("*" if field == "?" else field, 0, 7)
    found = {_CRON_WEEKDAYS[number] for number in numbers}
    return [day for day in WEEKDAYS if day in found]


def _numbers(field: str, lowest: int, highest: int) -> list[int]:
    """Return the numbers that a field stands for, ascending."""
    numbers: set[int] = set()
    for part in field.split(","):
        found = _FIELD.fullmatch(part)
        if found is None:
            message = f"`{field}` is no field of a cron expression"
            raise ValueError(message)
        first, last, step = found["first"], found["last"], int(found["step"] or 1)
        if first == "*":
            start, end = lowest, highest
        else:
            start = _number(first, lowest, highest)
            end = _number(last, lowest, highest) if last else highest if found["step"] else start
        numbers.update(range(start, end + 1, max(step, 1)))
    if not numbers:
        message = f"`{field}` stands for nothing"
        raise ValueError(message)
    return sorted(numbers)


def _number(text: str, lowest: int, highest: int) -> int:
    if text.isascii() and text.isdecimal() and lowest <= int(text) <= highest:
        return int(text)
    message = f"`{text}` is not a number {lowest} to {highest}"
    raise ValueError(message)
