"""`sinkd why`: explains one job at one minute, from the files alone."""

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click
from pydantic_core import to_json

from sinkd import source
from sinkd.answers import Why
from sinkd.clock import SystemClock
from sinkd.commands.evidence import (
    begins_at,
    is_alive,
    read_events,
    read_journal,
    read_revision,
)
from sinkd.commands.jobs import check_names, instants
from sinkd.errors import UsageError
from sinkd.history import History, is_run, overlaps, parse
from sinkd.instant import MINUTE, parse_rfc3339, rfc3339
from sinkd.record import Event, Run
from sinkd.schedule import zone_of
from sinkd.spec import Spec
from sinkd.terminal import escape, show
from sinkd.timeline import Timeline, timeline
from sinkd.why import Answer, Known, explain, reach, slot_text

if TYPE_CHECKING:
    from sinkd.settings import Settings


def run_command(
    settings: "Settings",
    *,
    job: str,
    time: str,
    output_format: str = "text",
    now: float | None = None,
) -> int:
    """Print what became of the job at that minute. `now` is the clock's if None."""
    now = SystemClock().wall() if now is None else now
    history = History(settings.data_dir)
    alive = is_alive(settings.data_dir)
    replay = read_journal(settings.data_dir)
    events = read_events(history)
    found = timeline(events)
    if start := begins_at(settings.data_dir, events):
        found.begin_with(start)
    specs: dict[str, Spec | None] = {}
    newest = _read(settings, found, now, specs)
    _check_name(settings, job, history, newest, events)
    known_job = newest.jobs.get(job) if newest else None
    zone = zone_of(known_job.schedule) if known_job else "UTC"
    slots = [int(instant // MINUTE) * MINUTE for instant in instants(time, now, zone)]
    for slot in slots:
        _read(settings, found, slot, specs)
    state = replay.states.get(job) if replay else None
    known = Known(
        job=job,
        now=now,
        alive=alive,
        found=found,
        events=events,
        specs=specs,
        runs=_lines(history, job, slots),
        begins_at=start.at if start else _first_instant(history, events),
        settled=state.decided if state else None,
        open=state.open.run_id if state and state.open else None,
        seen=replay.alive_at if replay else None,
    )
    answers = [explain(known, slot) for slot in slots]
    if output_format == "json":
        click.echo(to_json(_as_json(job, answers), indent=2))
    else:
        show(_text(job, zone, answers), color=settings.use_color(sys.stdout))
    return 0


def _read(
    settings: "Settings", found: Timeline, slot: float, specs: dict[str, Spec | None]
) -> Spec | None:
    """Read the configuration in force at an instant into `specs`, once."""
    accepted = found.in_force(slot)
    if accepted is None:
        return None
    if accepted.config not in specs:
        specs[accepted.config] = read_revision(settings.data_dir, accepted.revision)
    return specs[accepted.config]


def _check_name(
    settings: "Settings", job: str, history: History, newest: Spec | None, events: Sequence[Event]
) -> None:
    """Raise UsageError when no file, now or ever, has a job of this name."""
    names = set(newest.jobs if newest else ())
    for event in events:
        if event["event"] == "config_accepted":
            names.update(event["added"], event["removed"])
    if job in names:
        return
    try:
        if job.encode() in source.read(settings.config):
            return  # of a file that was not accepted, maybe with errors
    except UsageError:
        pass
    names.update(run["job"] for run in history.runs())
    check_names([job], names, "the run log or the jobs file")


def _lines(history: History, job: str, slots: Sequence[int]) -> list[Run]:
    """Return the lines of a job around these slots; only its own are parsed."""
    found = []
    since, until = reach(slots[0])[0], reach(slots[-1])[1]
    for line in history.lines("runs"):
        if job.encode() in line:
            run = parse(line)
            if is_run(run) and run["job"] == job and overlaps(run, since, until):
                found.append(run)
    return found


def _first_instant(history: History, events: Sequence[Event]) -> float | None:
    """Return when the log begins; None when it is empty."""
    first = next(history.runs(), None)
    texts = [event["at"] for event in events[:1]] + ([first["scheduled_at"]] if first else [])
    return min(map(parse_rfc3339, texts), default=None)


def _as_json(job: str, answers: Sequence[Answer]) -> Why:
    """Return the object of `why -o json`; in a fold the second occurrence stands in `second`."""
    first, *later = [
        Why(
            job=job,
            at=rfc3339(answer.at),
            answer=answer.answer,
            explanation=answer.explanation,
            run=answer.run,
        )
        for answer in answers
    ]
    for second in later:
        first["second"] = second
    return first


def _text(job: str, zone: str, answers: Sequence[Answer]) -> Iterator[str]:
    for answer in answers:
        if answer is not answers[0]:
            yield ""
        word = answer.answer.replace("_", " ")
        yield f"{escape(job)} at {slot_text(answer.at, zone)}: {click.style(word, bold=True)}"
        yield from (f"  {escape(sentence)}" for sentence in answer.sentences)
