"""What the jobs of a file do together: the warnings SNK201 to SNK203 and SNK311.

Slots are those of one week, the same for every check of a file, whenever it is made.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Final, NamedTuple

from pydantic_core import to_json

from sinkd import grammar
from sinkd.diagnostics import Related, quoted
from sinkd.document import Location
from sinkd.findings import Findings
from sinkd.instant import MINUTE, parse_rfc3339
from sinkd.permits import MAX_IN_FLIGHT, Permits
from sinkd.schedule import local_time
from sinkd.spec import WEEKDAYS, Daily, Interval, Job, Schedule, Spec

CROWD: Final = 100  # runs in one minute
CROWD_OF_A_HOST: Final = 30
_FREE: Final = 4  # a minute is free when a crowded one has so many times its runs
_MONDAY: Final = int(parse_rfc3339("2026-01-05T00:00:00Z")) // MINUTE
_DAY: Final = 1440
_WEEK: Final = 7 * _DAY


class _Due(NamedTuple):
    """Jobs of one schedule: how many, the seconds they may all take, the shortest window."""

    schedule: Schedule
    jobs: int
    seconds: int
    window: int


def check(findings: Findings, spec: Spec) -> None:
    """Add what a file without errors makes doubtful as a whole."""
    jobs: dict[Location, Job]
    jobs = {("jobs", n): job for n, job in enumerate(spec.jobs.values()) if job.enabled}
    hosts: defaultdict[str, dict[Location, Job]] = defaultdict(dict)
    for location, job in jobs.items():
        hosts[grammar.target(job.request.url).host.lower()][location] = job
    crowded = False
    for host, listed in hosts.items():
        if len(listed) >= CROWD_OF_A_HOST:
            crowded |= _check_host(findings, host, listed)
    if len(jobs) >= CROWD:
        due = _grouped(jobs.values())
        _check_capacity(findings, ("jobs",), due, Permits(MAX_IN_FLIGHT).limit, "at once")
        if not crowded:
            _check_minute(findings, _by_minute(due))
    _check_repeated(findings, jobs)


def _check_host(findings: Findings, host: str, jobs: Mapping[Location, Job]) -> bool:
    """Add what is wrong with the runs to one host, and say whether one of its minutes is crowded."""
    due = _grouped(jobs.values())
    place = (*next(iter(jobs)), "request", "url")
    _check_capacity(
        findings, place, due, Permits(MAX_IN_FLIGHT).per_host, f"at once to {quoted(host)}"
    )
    load = _by_minute(due)
    if not _is_crowded(load, CROWD_OF_A_HOST):
        return False
    message = (
        f"{max(load):,} runs call {quoted(host)} in one minute, {_past(load.index(max(load)))}"
    )
    findings.add("SNK202", place, message, _free(load))
    return True


def _check_minute(findings: Findings, load: Sequence[int]) -> None:
    if _is_crowded(load, CROWD):
        message = f"{max(load):,} runs start in one minute, {_past(load.index(max(load)))}"
        findings.add("SNK201", ("jobs",), message, _free(load), key=True)


def _is_crowded(load: Sequence[int], crowd: int) -> bool:
    return max(load) >= crowd and min(load) * _FREE <= max(load)


def _past(minute: int) -> str:
    return f":{minute:02} past the hour"


def _free(load: Sequence[int]) -> str:
    fewest = min(load)
    return f":{load.index(fewest):02} has {fewest or 'none'}: spread them over the hour"


def _check_capacity(
    findings: Findings, place: Location, due: Iterable[_Due], permits: int, where: str
) -> None:
    """Warn when more is due in a minute than the permits can start in the shortest window (T8)."""
    runs = _by_week(due, lambda group: group.jobs)
    if max(runs) <= permits:
        return
    seconds = _by_week(due, lambda group: group.seconds)
    windows = [_WEEK * MINUTE] * _WEEK
    for group in due:
        for minute in _minutes(group.schedule):
            windows[minute] = min(windows[minute], group.window)
    late = [
        minute
        for minute, number in enumerate(runs)
        if number > permits and seconds[minute] > permits * windows[minute]
    ]
    if not late:
        return
    worst = max(late, key=lambda minute: runs[minute])
    message = f"{runs[worst]:,} runs are due in one minute, {_past(worst % 60)}: some may not start"
    label = f"{permits:,} may run {where}, the shortest catch-up window is {windows[worst]:,} s"
    advice = "if each takes its whole timeout, those that wait too long are `skipped/capacity`"
    findings.add("SNK203", place, message, label, key=place == ("jobs",), help=[advice])


def _grouped(jobs: Iterable[Job]) -> list[_Due]:
    groups: dict[Schedule, _Due] = {}
    for job in jobs:
        window = job.catch_up_seconds
        if isinstance(job.schedule, Interval):  # by then the next slot is due
            window = min(window, job.schedule.interval_minutes * MINUTE)
        same = groups.get(job.schedule, _Due(job.schedule, 0, 0, window))
        groups[job.schedule] = _Due(
            job.schedule,
            same.jobs + 1,
            same.seconds + job.timeout_seconds,
            min(same.window, window),
        )
    return list(groups.values())


def _by_minute(due: Iterable[_Due]) -> list[int]:
    """Return, for each minute of the hour, the most runs that are due in one such minute."""
    runs = _by_week(due, lambda group: group.jobs)
    return [max(runs[minute::60]) for minute in range(60)]


def _by_week(due: Iterable[_Due], amount: Callable[[_Due], int]) -> list[int]:
    """Add an amount of each group up in every minute of the week in which it is due."""
    total = [0] * _WEEK
    for group in due:
        number = amount(group)
        for minute in _minutes(group.schedule):
            total[minute] += number
    return total


def _minutes(schedule: Schedule) -> Sequence[int]:
    """Return the minutes of the week at which a schedule is due."""
    if isinstance(schedule, Interval):
        interval = schedule.interval_minutes
        return range((schedule.start_minute - _MONDAY) % interval, _WEEK, interval)
    return _daily_minutes(schedule)


def _daily_minutes(schedule: Daily) -> list[int]:
    offset = local_time(_MONDAY * MINUTE, schedule.timezone).utcoffset() or timedelta()
    west = -int(offset.total_seconds()) // MINUTE
    times = [int(time[:2]) * 60 + int(time[3:]) + west for time in schedule.at]
    days = [WEEKDAYS.index(day) * _DAY for day in schedule.days]
    return [(day + time) % _WEEK for day in days for time in times]


def _check_repeated(findings: Findings, jobs: Mapping[Location, Job]) -> None:
    """Warn of a job whose request another sends in the same minute."""
    targets: defaultdict[tuple[str, str], list[Location]] = defaultdict(list)
    for location, job in jobs.items():
        targets[job.request.method, job.request.url].append(location)
    for places in targets.values():
        requests: defaultdict[object, dict[int, Location]] = defaultdict(dict)
        for place in places if len(places) > 1 else ():
            _check_against(findings, place, jobs, requests[_request(jobs[place])])


def _request(job: Job) -> object:
    """Return all that a job sends, in a form to compare: names of headers ignore case."""
    request = job.request
    headers = sorted((name.lower(), value) for name, value in request.headers)
    return tuple(headers), to_json(request.body), job.signing_secret


def _check_against(
    findings: Findings, place: Location, jobs: Mapping[Location, Job], taken: dict[int, Location]
) -> None:
    """Compare a job with those that send the same, by the minutes that they have taken."""
    minutes = _minutes(jobs[place].schedule)
    first = next((taken[minute] for minute in minutes if minute in taken), None)
    if first is None:
        taken.update(dict.fromkeys(minutes, place))
        return
    name, other = quoted(jobs[place].name), quoted(jobs[first].name)
    message = f"{name} sends the same request as {other}, in the same minute"
    related = [Related(findings.span((*first, "name")), "the same request")]
    label = "remove one, or give it another minute"
    findings.add("SNK311", (*place, "name"), message, label, related=related)
