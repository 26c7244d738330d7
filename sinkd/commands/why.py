"""`sinkd why`: explains one job at one minute, from the files alone."""

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from sinkd import source
from sinkd.answers import Why
from sinkd.clock import SystemClock
from sinkd.commands.jobs import check_names, instants
from sinkd.errors import UsageError
from sinkd.evidence import Evidence, is_alive
from sinkd.history import History
from sinkd.instant import MINUTE, parse_rfc3339, rfc3339
from sinkd.record import Event
from sinkd.schedule import zone_of
from sinkd.spec import Job, Spec
from sinkd.terminal import escape, json_text, show
from sinkd.why import Answer, explain, slot_text

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
    evidence = Evidence(history, now, alive=is_alive(settings.data_dir))
    _check_name(settings, job, history, evidence.spec(now), evidence.events)
    known_job = _as_last_declared(job, evidence, now)
    zone = zone_of(known_job.schedule) if known_job else "UTC"
    slots = [int(instant // MINUTE) * MINUTE for instant in instants(time, now, zone)]
    known = evidence.known(job, slots)
    answers = [explain(known, slot) for slot in slots]
    if output_format == "json":
        click.echo(json_text(_as_json(job, answers)))
    else:
        show(_text(job, zone, answers), color=settings.use_color(sys.stdout))
    return 0


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


def _as_last_declared(name: str, evidence: Evidence, now: float) -> Job | None:
    """Return the job as the configuration in use has it, a removed one as the last that had it."""
    removals = (
        parse_rfc3339(event["at"])
        for event in reversed(evidence.events)
        if event["event"] == "config_accepted" and name in event["removed"]
    )
    for at in (now, next(removals, 0)):  # at its own instant the one before is still in force
        if (spec := evidence.spec(at)) and name in spec.jobs:
            return spec.jobs[name]
    return None


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
