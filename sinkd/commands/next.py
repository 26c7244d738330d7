"""Shows upcoming slots, from the jobs file; the run log is asked only who is paused."""

import heapq
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeAlias

import click

from sinkd.clock import SystemClock
from sinkd.commands.jobs import check_names, instants, read_spec, suggestion
from sinkd.errors import UsageError
from sinkd.history import History
from sinkd.instant import duration_text, rfc3339
from sinkd.load import busiest, chart, least_used, load_by_minute
from sinkd.schedule import local_time, slots, zone_names, zone_of
from sinkd.spec import Job, Spec
from sinkd.standing import standing
from sinkd.state import Pause
from sinkd.terminal import align, escape, json_text, pad, show

if TYPE_CHECKING:
    from sinkd.settings import Settings

Due: TypeAlias = tuple[int, str]  # a slot and the name of its job

_FIRST_LINE_CELLS: Final = 76
_NUMBER: Final = 10


def run_command(
    settings: "Settings",
    *,
    jobs: Sequence[str] = (),
    number: int | None = None,
    start: str | None = None,
    zone: str | None = None,
    load: bool = False,
    output_format: str = "text",
    now: float | None = None,
) -> int:
    """Print the next slots of the jobs named, ten if no number is given.

    Of all jobs the earliest `number`, or else each job's next: one that runs every minute does
    not hide the others. `now` is the clock's if None.
    """
    now = int(SystemClock().wall() if now is None else now)  # as the first line shows it
    spec = read_spec(settings)
    check_names(jobs, spec.jobs, settings.config.name)
    named = [spec.jobs[name] for name in dict.fromkeys(jobs)]
    _check(zone, load=load, output_format=output_format)
    of_named = zone_of(named[0].schedule) if len(named) == 1 else "UTC"
    after = now if start is None else instants(start, now, of_named)[0]
    if named or number is not None:
        wanted = _NUMBER if number is None else number
        due = list(islice(_upcoming(named or spec.jobs.values(), after), wanted))
    else:
        due = sorted(next(_slots(job, after)) for job in spec.jobs.values() if job.enabled)
    if output_format == "json":
        click.echo(json_text([_as_json(*each, spec, zone, now) for each in due]))
    else:
        lines = [
            _first_line(f"{settings.config.name}, {_amount(spec.jobs)}", zone, now),
            *_lines(due, spec, _pauses(settings, now), zone, now),
            *(_strip(spec, now) if load else ()),
        ]
        show(lines, color=settings.use_color(sys.stdout))
    for job in named:
        if not job.enabled:
            click.echo(f"sinkd: {job.name} has no slots: it is `enabled: false`", err=True)
    return 0


def _check(zone: str | None, *, load: bool, output_format: str) -> None:
    if zone is not None and zone not in zone_names():
        near = suggestion(zone, zone_names()) or ", such as `Europe/Berlin`"
        message = f"`{escape(zone)}` is no IANA time zone{near}"
        raise UsageError(message)
    if load and output_format == "json":
        message = "`--load` draws a strip, which has no JSON: leave one of the two out"
        raise UsageError(message)


def _upcoming(jobs: Iterable[Job], after: float) -> Iterator[Due]:
    """Yield the slots of the enabled jobs in time order, endlessly; of one minute by name."""
    return heapq.merge(*(_slots(job, after) for job in jobs if job.enabled))


def _slots(job: Job, after: float) -> Iterator[Due]:
    return ((slot, job.name) for slot in slots(job.schedule, after))


def _as_json(slot: int, name: str, spec: Spec, zone: str | None, now: int) -> Mapping[str, object]:
    local = local_time(slot, zone or zone_of(spec.jobs[name].schedule))
    return {
        "job": name,
        "scheduled_at": rfc3339(slot),
        "local": local.isoformat(),
        "in_seconds": slot - now,
    }


def _pauses(settings: "Settings", now: float) -> Mapping[str, Pause]:
    if not settings.data_dir.is_dir():  # nothing has run yet
        return {}
    return standing(History(settings.data_dir).events(), now).pauses


def _amount(jobs: Collection[str]) -> str:
    return "1 job" if len(jobs) == 1 else f"{len(jobs)} jobs"


def _first_line(summary: str, zone: str | None, now: int) -> str:
    clock = f"{local_time(now, 'UTC'):%Y-%m-%d %H:%M:%S} UTC"
    if zone:
        clock += f", {local_time(now, zone):%H:%M:%S} {zone}"
    return clock + pad(f"   {summary}", _FIRST_LINE_CELLS - len(clock), ">")


def _lines(
    due: Sequence[Due], spec: Spec, pauses: Mapping[str, Pause], zone: str | None, now: int
) -> list[str]:
    instants = [slot for slot, _ in due]
    requests = [spec.jobs[name].request for _, name in due]
    columns = [
        _times(instants, "UTC", now),
        *([_times(instants, zone, now)] if zone else []),
        _waits(instants, now),
        [name for _, name in due],
        [request.method for request in requests],
        [request.public_url for request in requests],
        [_hold(slot, pauses.get(name), now) for slot, name in due],
    ]
    return align(zip(*columns, strict=True), "<" * len(columns), gap="   ")


def _times(instants: Sequence[float], zone: str, now: int) -> list[str]:
    """Return the local times of a column, all with their date when one is of another day."""
    local = [local_time(instant, zone) for instant in instants]
    today = local_time(now, zone).date()
    pattern = "%H:%M" if all(time.date() == today for time in local) else "%Y-%m-%d %H:%M"
    return [time.strftime(pattern) for time in local]


def _waits(instants: Sequence[int], now: int) -> list[str]:
    durations = [duration_text(abs(instant - now)) for instant in instants]
    cells = max(map(len, durations), default=0)
    return [
        f"in {pad(duration, cells, '>')}" if instant >= now else f"{duration} ago"
        for instant, duration in zip(instants, durations, strict=True)
    ]


def _hold(slot: int, pause: Pause | None, now: int) -> str:
    if pause is None or slot >= pause.until:
        return ""
    return f"paused until {_times([pause.until], 'UTC', now)[0]}"


def _strip(spec: Spec, now: int) -> list[str]:
    load = load_by_minute(spec, now)
    title = f"Runs started in a minute of the hour (most: {busiest(load)})"
    return ["", title, *chart({"": load}).splitlines(), least_used(load)]
