"""Amounts of time as people write them: `15m`, `2 hours`, `1_000`."""

import re
from typing import Final

_AMOUNT: Final = re.compile(
    r"(?P<number>[0-9][0-9_]{0,20}|[0-9]{1,3}(?:,[0-9]{3}){1,3})(?:\.0+)? *(?P<unit>[a-z]*)",
    re.IGNORECASE,
)
_SECONDS: Final = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86_400),
}


def amount(text: str, unit: str) -> int | None:
    """Return an amount in a unit, such as `minutes`, when it is a whole number of them.

    One that names no unit is taken to be in this one.
    """
    found = _AMOUNT.fullmatch(text)
    if not found:
        return None
    number, written = int(re.sub("[_,]", "", found["number"])), found["unit"].lower() or unit
    if written not in _SECONDS:
        return None
    in_unit, rest = divmod(number * _SECONDS[written], _SECONDS[unit])
    return None if rest else in_unit
