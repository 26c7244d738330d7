"""Which instants a schedule names: the slots of a job (S1 to S6).

Everything here is a function of a schedule and the zone rules alone, never of the clock, the host's
zone or the jobs' order (S2). Interval slots are arithmetic on the UTC epoch grid (S3). Daily slots
are found date by date: each local time is mapped to its instant once, and from there on instants
are compared, sorted and counted, never local times (S4).

The zone rules are the newer of the system's and those of the `tzdata` package (S6). They are chosen
once, when the first zone is looked up, so take zones from `zone` and never from zoneinfo itself.
"""

import math
import re
import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import cache, lru_cache
from itertools import pairwise
from typing import Literal

from tzdata import IANA_VERSION  # type: ignore[import-untyped]  # it ships no types

from sinkd.instant import DAY, MINUTE
from sinkd.spec import WEEKDAYS, Daily, Interval, Schedule

_UNUSABLE_ZONES = {"localtime", "Factory", "posixrules"}
_ABBREVIATION = re.compile(r"[CEMW]ET|[EHM]ST|[CEMP]ST\d[CEMP]DT|(Etc/)?GMT[+-]\d+")
_IANA_VERSION = re.compile(r"(?:# version )?(\d{4}[a-z]+)\s*")
_LISTED = 4  # how many minutes or times `describe` spells out


@dataclass(frozen=True, slots=True)
class TzData:
    """One copy of the IANA zone rules: its version, as in `2026f`, and where it came from."""

    version: str
    source: Literal["system", "bundled"]

    def age_days(self, now: float) -> int:
        """Return about how old the rules are: a version names no date, only a year and a letter.

        The letters are taken to be two months apart, at most in December: early rather than late.
        """
        letter = ord(self.version[4]) - ord("a") + 1
        released = datetime(int(self.version[:4]), min(2 * letter, 12), 1, tzinfo=UTC)
        return max(0, int((now - released.timestamp()) // DAY))


def _system_version(directory: str) -> str:
    """Return the IANA version of a compiled zone directory, or an empty text: it names none."""
    for name in ("+VERSION", "tzdata.zi", "version"):
        try:
            with open(f"{directory}/{name}", encoding="ascii", errors="replace") as file:  # noqa: PTH123 - layer 1 has no pathlib
                found = _IANA_VERSION.fullmatch(file.readline(80))
        except OSError:
            continue
        if found:
            return found[1]
    return ""


def use_newest_tzdata() -> TzData:
    """Make zoneinfo use the newer of the system's and the bundled zone rules (S6); say which.

    Of two equal versions the bundled one is used: its bytes are the same on every machine.
    """
    zoneinfo.reset_tzpath()
    version, directory = max(
        ((_system_version(directory), directory) for directory in zoneinfo.TZPATH),
        default=("", ""),
    )
    system = version > IANA_VERSION
    zoneinfo.reset_tzpath(to=[directory] if system else [])  # with none, zoneinfo asks tzdata
    forget_zones()
    return TzData(version, "system") if system else TzData(IANA_VERSION, "bundled")


def forget_zones() -> None:
    """Empty every cache that holds zone rules or what was computed with them."""
    zoneinfo.ZoneInfo.clear_cache()
    for cached in (zone, zone_names, _instants, _next, _latest, _count):
        cached.cache_clear()


@cache
def tzdata() -> TzData:
    """Return the zone rules that this process uses; the first call chooses them."""
    return use_newest_tzdata()


@cache
def zone(name: str) -> zoneinfo.ZoneInfo:
    """Return the zone of this name; a KeyError when the rules have none."""
    tzdata()
    return zoneinfo.ZoneInfo(name)


@cache
def zone_names() -> frozenset[str]:
    """Return the names that `timezone` may have (S5)."""
    tzdata()
    return frozenset(zoneinfo.available_timezones() - _UNUSABLE_ZONES)


def is_abbreviation_zone(name: str) -> bool:
    """Say whether a zone is named by an abbreviation or an offset: `EST`, `Etc/GMT+5` (UTC-5!)."""
    return _ABBREVIATION.fullmatch(name) is not None


def local_time(instant: float, timezone: str) -> datetime:
    """Return the instant as a date and time of the zone, to show it: never compute with it."""
    return datetime.fromtimestamp(instant, zone(timezone))


def zone_of(schedule: Schedule) -> str:
    """Return the name of the zone in which people think of the schedule: UTC for an interval."""
    return schedule.timezone if isinstance(schedule, Daily) else "UTC"


def instant_at(moment: datetime, timezone: str, *, fold: Literal[0, 1] = 0) -> int:
    """Return the instant of a naive local date and time, read as RFC 5545 3.3.5 says (S4).

    A time in a gap is moved forward by the length of the gap. Of a time that comes twice, fold 0 is
    the first and fold 1 the second; in a gap fold 1 is the *earlier* instant, as PEP 495 has it.
    """
    local = moment.replace(tzinfo=zone(timezone), fold=fold)
    return math.floor(local.timestamp() / MINUTE) * MINUTE  # S1: offsets had seconds until 1972


def next_slot(schedule: Schedule, after: float) -> int:
    """Return the first slot later than `after`."""
    match schedule:
        case Interval():
            return latest_slot(schedule, after) + schedule.interval_minutes * MINUTE
        case Daily():
            return _next(schedule, _minute(after))


def latest_slot(schedule: Schedule, at: float) -> int:
    """Return the last slot that is not later than `at`."""
    match schedule:
        case Interval():
            step, offset = schedule.interval_minutes * MINUTE, schedule.start_minute * MINUTE
            return (_minute(at) - offset) // step * step + offset  # S3
        case Daily():
            return _latest(schedule, _minute(at))


def count(schedule: Schedule, after: float, through: float) -> int:
    """Return how many slots lie in (after, through]; none when `through` is not later."""
    if through <= after:
        return 0
    match schedule:
        case Interval():
            seconds = latest_slot(schedule, through) - latest_slot(schedule, after)
            return seconds // (schedule.interval_minutes * MINUTE)
        case Daily():
            return _count(schedule, _minute(after), _minute(through))


def slots(schedule: Schedule, after: float, through: float = math.inf) -> Iterator[int]:
    """Yield the slots in (after, through], strictly increasing; without `through`, endlessly."""
    slot = next_slot(schedule, after)
    while slot <= through:
        yield slot
        slot = next_slot(schedule, slot)


def runs_per_day(schedule: Schedule, now: float) -> float:
    """Return the slots of the 7 days from now, divided by 7."""
    return count(schedule, now, now + 7 * DAY) / 7


def longest_gap_seconds(schedule: Schedule, after: float, days: int = 14) -> int:
    """Return the longest time between two slots that follow each other, in the days from `after`.

    The first of them is the last slot before these days, the last one the first slot after them.
    """
    if isinstance(schedule, Interval):
        return schedule.interval_minutes * MINUTE
    first, end = latest_slot(schedule, after), next_slot(schedule, after + days * DAY)
    return max(
        later - earlier for earlier, later in pairwise((first, *slots(schedule, first, end)))
    )


def _minute(instant: float) -> int:
    """Return the start of the minute: slots lie on whole minutes, so the rest never counts (S1)."""
    return math.floor(instant / MINUTE) * MINUTE


# The caches below are bounded and hold what many jobs of one schedule ask for at one instant.


@lru_cache(maxsize=16_384)
def _instants(schedule: Daily, day: int) -> tuple[int, ...]:
    """Map the times of one local date (a proleptic ordinal) to instants: in no order, not distinct."""
    nominal = date.fromordinal(day)
    if WEEKDAYS[nominal.weekday()] not in schedule.days:
        return ()
    moments = (datetime.combine(nominal, time.fromisoformat(at)) for at in schedule.at)
    return tuple(instant_at(moment, schedule.timezone) for moment in moments)


def _today(schedule: Daily, instant: int) -> int:
    return local_time(instant, schedule.timezone).toordinal()


def _candidates(schedule: Daily, first: int, last: int) -> Iterator[int]:
    """Yield the instants of the local dates from `first` to `last`, both with a date more.

    A zone that skips a date, or turns back over midnight, has instants of one date on another (S4).
    """
    for day in range(first - 1, last + 2):
        yield from _instants(schedule, day)


@lru_cache(maxsize=16_384)
def _next(schedule: Daily, after: int) -> int:
    today = _today(schedule, after)
    # One weekday comes again after seven dates; with the margin these are ten (S2).
    return min(slot for slot in _candidates(schedule, today, today + 7) if slot > after)


@lru_cache(maxsize=16_384)
def _latest(schedule: Daily, at: int) -> int:
    today = _today(schedule, at)
    return max(slot for slot in _candidates(schedule, today - 7, today) if slot <= at)


@lru_cache(maxsize=16_384)
def _count(schedule: Daily, after: int, through: int) -> int:
    first, last = _today(schedule, after), _today(schedule, through)
    return len({slot for slot in _candidates(schedule, first, last) if after < slot <= through})


def fingerprint(schedule: Schedule) -> str:
    """Return the schedule as one line of text: `15/5`, or `09:00,17:30 mon,fri Europe/Paris`.

    Equal texts mean equal slots, and `parse_fingerprint` reads it back.
    """
    match schedule:
        case Interval(interval, start):
            return f"{interval}/{start % interval}"
        case Daily(at, timezone, days):
            return f"{','.join(at)} {','.join(days)} {timezone}"


def parse_fingerprint(text: str) -> Schedule:
    """Return the schedule of a text made by `fingerprint`; ValueError when it is not one."""
    if " " not in text:
        interval, start = text.split("/")
        return Interval(int(interval), int(start))
    at, days, timezone = text.split(" ")
    return Daily(tuple(at.split(",")), timezone, tuple(days.split(",")))


def describe(schedule: Schedule) -> str:
    """Return the schedule in words: `hourly at :00`, `Mon-Fri at 09:00 America/New_York`."""
    match schedule:
        case Interval(interval, start):
            return _describe_interval(interval, start % interval)
        case Daily(at, timezone, days):
            return f"{_describe_days(days)} at {_describe_times(at)} {timezone}"


def _describe_interval(interval: int, start: int) -> str:
    hours, minutes = divmod(interval, 60)
    if interval * MINUTE == DAY:
        return f"daily at 00:{start:02} UTC"
    if not minutes:
        return f"{'hourly' if hours == 1 else f'every {hours} h'} at :{start:02}"
    if interval == 1:
        return "every minute"
    if not 60 % interval:
        return f"every {interval} min {_describe_minutes(range(start, 60, interval))}"
    if not DAY % (interval * MINUTE):
        return f"every {interval} min from 00:{start:02} UTC"
    return f"every {interval} min"  # The grid walks through the day: no minute names it (S3).


def _describe_minutes(minutes: range) -> str:
    if len(minutes) > _LISTED:
        return f"from :{minutes[0]:02}"
    return "at " + " ".join(f":{minute:02}" for minute in minutes)


def _describe_times(at: tuple[str, ...]) -> str:
    if len(at) <= _LISTED:
        return " ".join(at)
    return f"{at[0]} {at[1]} … {at[-1]} ({len(at)} times)"


def _describe_days(days: tuple[str, ...]) -> str:
    if len(days) == len(WEEKDAYS):
        return "daily"
    first = WEEKDAYS.index(days[0])
    names = [day.capitalize() for day in days]
    if names[2:] and days == WEEKDAYS[first : first + len(days)]:
        return f"{names[0]}-{names[-1]}"
    return " ".join(names)
