"""Explains one job at one minute: what became of it, why, and what to do.

Every minute has an answer: a line of the run log, or the reason why there is none. Reasons are
found from the files alone, in this order: the slot's line; the log does not reach back; the
configuration in force then; the schedule; what the journal knows of a slot that is not settled.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from sinkd import causes, schedule
from sinkd.answers import WhyAnswer
from sinkd.causes import Scene
from sinkd.instant import DAY, MINUTE, duration_text, minute_text, parse_rfc3339
from sinkd.record import Event, Run, run_id
from sinkd.report import tidy
from sinkd.spec import Daily, Job
from sinkd.standing import problem_text, standing
from sinkd.timeline import Accepted, Specs, Timeline

_OF_OUTCOME: Final[Mapping[str, WhyAnswer]] = {
    "success": "ran",
    "failure": "failed",
    "skipped": "skipped",
    "missed": "missed",
    "interrupted": "interrupted",
}
_JUST_NOW_SECONDS: Final = 5
_SILENT_SECONDS: Final = 180  # of a daemon that leaves a sign of life each minute


@dataclass(frozen=True, slots=True)
class Known:
    """What the files say about a job.

    `runs` are its lines around the minute, oldest first. `begins_at` is where the log
    begins, None when it is empty. Of the journal, None when it cannot be read: `settled` is the
    instant through which the job is settled, `open` the run whose end is not recorded, `seen` the
    last sign of life, `draining` since when the daemon stops, if it does.
    """

    job: str
    now: float
    alive: bool
    found: Timeline
    events: Sequence[Event]
    specs: Specs
    runs: Sequence[Run]
    begins_at: float | None
    settled: float | None = None
    open: str | None = None
    seen: float | None = None
    draining: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer about one minute; `run` is the line that it rests on."""

    at: int
    answer: WhyAnswer
    sentences: tuple[str, ...]
    run: Run | None = None

    @property
    def explanation(self) -> str:
        """The sentences as one text."""
        return " ".join(self.sentences)


def explain(known: Known, slot: int) -> Answer:
    """Return what became of the job at a minute."""
    accepted = known.found.in_force(slot)
    spec = known.specs.get(accepted.config) if accepted else None
    job = spec.jobs.get(known.job) if spec else None
    scene = Scene(slot, job, known.events, [tidy(run) for run in known.runs])
    if lines := _lines(scene):
        answer = _from_line(known, scene, lines)
    else:
        kind, sentences = _without_line(known, scene, accepted, is_read=spec is not None)
        answer = Answer(slot, kind, tuple(sentences))
    by_hand = tuple(_by_hand(scene))
    return Answer(slot, answer.answer, answer.sentences + by_hand, answer.run)


def _lines(scene: Scene) -> list[Run]:
    """Return the lines that answer the slot, that of a sent one last, else the newest last."""
    lines = [run for run in scene.runs if run.get("trigger") != "manual" and _covers(run, scene)]
    return sorted(lines, key=lambda run: ("trigger" in run, run["seq"]))


def _covers(run: Run, scene: Scene) -> bool:
    first = parse_rfc3339(run["scheduled_at"])
    if run.get("count", 1) == 1 or first == scene.slot:
        return first == scene.slot
    on_grid = scene.job is None or _is_slot(scene.job, scene.slot)
    return on_grid and first <= scene.slot <= parse_rfc3339(run["last_scheduled_at"])


def _is_slot(job: Job, instant: int) -> bool:
    return schedule.latest_slot(job.schedule, instant) == instant


def _from_line(known: Known, scene: Scene, lines: Sequence[Run]) -> Answer:
    *others, run = lines
    is_paused = run["outcome"] == "skipped" and run.get("reason") == "paused"
    answer = "paused" if is_paused else _OF_OUTCOME.get(run["outcome"], "missed")
    sentences = [*_moved(scene), *causes.sentences(scene, run)]
    sentences += [
        f"Before that it was {other['outcome']} ({other.get('reason')}); then the clock was set "
        "back, and the slot came again."
        for other in others
        if other["seq"] < run["seq"]  # a later range left the slot out, as it was sent (T2)
    ]
    line = next(line for line in known.runs if line["seq"] == run["seq"])
    return Answer(scene.slot, answer, tuple(sentences), line)


def _moved(scene: Scene) -> Iterator[str]:
    """Say that a slot stands at another local time than its schedule, because of a gap (S4)."""
    if scene.job and isinstance(when := scene.job.schedule, Daily):
        local = schedule.local_time(scene.slot, when.timezone)
        if f"{local:%H:%M}" not in when.at:
            yield (
                f"The clocks of {when.timezone} were set forward over its local time, so its slot "
                f"moved to {local:%H:%M} by the length of the gap."
            )


def _by_hand(scene: Scene) -> Iterator[str]:
    for run in scene.runs:
        if run.get("trigger") == "manual":
            at = parse_rfc3339(run["scheduled_at"])
            if scene.slot <= at < scene.slot + MINUTE:
                yield f"It was run by hand at {scene.clock(at)}: {run['outcome']}."


# --- no line


Reason: TypeAlias = tuple[WhyAnswer, list[str]]


def _without_line(
    known: Known, scene: Scene, accepted: Accepted | None, *, is_read: bool
) -> Reason:
    if known.begins_at is None:
        return "before_log", ["The run log is empty: sinkd never ran with this data directory."]
    if accepted is None or scene.slot <= known.begins_at:
        return "before_log", list(_before_log(known, scene))
    if not is_read:
        return "before_log", list(_unread(scene, accepted))
    reason = _not_in_force(known, scene, accepted) or _due(known, scene, accepted)
    if reason[0] in {"unknown_job", "paused", "not_due"} and (
        refused := list(_refused(known, scene))
    ):
        return "config_refused", reason[1] + refused
    return reason


def _unread(scene: Scene, accepted: Accepted) -> Iterator[str]:
    yield f"Whether it was due is said by {_in_use(scene, accepted)}."
    yield "Its file in `revisions/` is missing, changed or not yours to read."


def _before_log(known: Known, scene: Scene) -> Iterator[str]:
    begins = scene.clock(known.begins_at or 0)
    if any(event["event"] == "expired" for event in known.events):
        yield f"The log begins at {begins}: older segments were removed."
        yield "`--keep-days` and `--keep-bytes` say how long they are kept."
    else:
        yield f"The log begins at {begins}: sinkd did not run with this data directory before."


def _in_use(scene: Scene, accepted: Accepted) -> str:
    commit = f" (commit {accepted.commit[:12]})" if accepted.commit else ""
    return f"configuration {accepted.config}{commit}, in use since {scene.clock(accepted.at)}"


def _refused(known: Known, scene: Scene) -> Iterator[str]:
    """Say that a file was on disk at that time which was refused (C4)."""
    shown = [event for event in known.events if parse_rfc3339(event["at"]) <= scene.slot]
    refusals = [event for event in shown if event["event"] == "config_refused"]
    if refusals and standing(shown, scene.slot).refused:
        at, problem = scene.clock(refusals[-1]["at"]), problem_text(refusals[-1])
        yield f"The file on disk was refused at {at} and changed nothing: {problem}."
        yield "`sinkd validate` shows all that is wrong with a file."


def _not_in_force(known: Known, scene: Scene, accepted: Accepted) -> Reason | None:
    """Say why the job had no slot then: not there, disabled, or on another minute."""
    if scene.job is None:
        told = f"No job has this name in {_in_use(scene, accepted)}."
        return "unknown_job", [told, *_came_or_went(known, scene)]
    if not scene.job.enabled:
        return "paused", list(_disabled(known, scene, accepted))
    if not _is_slot(scene.job, scene.slot):
        return "not_due", list(_off_grid(scene, scene.job))
    return None


def _came_or_went(known: Known, scene: Scene) -> Iterator[str]:
    removed = _changes(known, scene, "removed")
    if removed:
        yield f"It was removed by {_by(scene, removed[-1])}."
    for event in known.events:
        if (
            event["event"] == "config_accepted"
            and parse_rfc3339(event["at"]) >= scene.slot
            and known.job in event.get("added", ())
        ):
            yield f"It was added by {_by(scene, event)}."
            return


def _disabled(known: Known, scene: Scene, accepted: Accepted) -> Iterator[str]:
    if paused := _changes(known, scene, "paused", "added"):
        yield f"It was disabled (`enabled: false`) by {_by(scene, paused[-1])}."
    else:
        yield f"It is disabled (`enabled: false`) in {_in_use(scene, accepted)}."
    yield "`enabled: true` in the jobs file schedules it again, from then on."


def _changes(
    known: Known, scene: Scene, *lists: Literal["added", "removed", "paused"]
) -> list[Mapping[str, Any]]:
    """Return the accepted files before the slot that name the job in one of these lists."""
    return [
        dict(event)
        for event in known.events
        if event["event"] == "config_accepted"
        and parse_rfc3339(event["at"]) < scene.slot
        and any(known.job in event[each] for each in lists)
    ]


def _by(scene: Scene, accepted: Mapping[str, Any]) -> str:
    commit = f" (commit {accepted['commit'][:12]})" if accepted.get("commit") else ""
    at = scene.clock(accepted["at"])
    return f"configuration {accepted['revision'][:12]}{commit} at {at}"


def _off_grid(scene: Scene, job: Job) -> Iterator[str]:
    when, zone = job.schedule, schedule.zone_of(job.schedule)
    local = schedule.local_time(scene.slot, zone)
    before = schedule.latest_slot(when, scene.slot)
    after = schedule.next_slot(when, scene.slot)
    yield f"It was not due: its schedule is {schedule.describe(when)}."
    if isinstance(when, Daily) and f"{local:%H:%M}" in when.at:
        if local.fold:
            yield (
                f"{local:%H:%M} came twice on this day, because the clocks of {zone} were set "
                f"back; the job runs at the first of them, {scene.clock(before)}."
            )
        else:
            yield f"{local:%H:%M} is one of its times, but {local:%A} is none of its days."
    yield f"The slot before is {slot_text(before, zone)}, the one after {slot_text(after, zone)}."


# --- due, without a line


def _due(known: Known, scene: Scene, accepted: Accepted) -> Reason:
    job = scene.job
    assert job is not None  # noqa: S101 (it has a slot)
    if scene.slot > known.now:
        return _future(known, scene, accepted)
    if known.open == run_id(known.job, scene.slot):
        return "in_flight", list(_in_flight(known, scene, job))
    if known.settled is not None and scene.slot <= known.settled:
        return "missed", [
            "It was due, but its line was lost or removed: whether it ran is not known.",
            "`sinkd audit` shows all that the log lacks.",
        ]
    if known.alive:
        return "waiting", list(_waiting(known, scene))
    return "down", list(_still_down(known, scene, job))


def _future(known: Known, scene: Scene, accepted: Accepted) -> Reason:
    pause = standing(known.events, known.now).pauses.get(known.job)
    if pause and scene.slot < pause.until:
        until = scene.clock(pause.until)
        return "paused", [
            f"It is paused by {pause.by} until {until}: {pause.reason}.",
            f"The slot will be skipped, unless `sinkd resume {known.job}` ends the pause.",
        ]
    wait = duration_text(scene.slot - known.now)
    told = f"It will run in {wait}, by {_in_use(scene, accepted)}."
    return "future", [told] if known.alive else [told, "No daemon runs now: start `sinkd run`."]


def _in_flight(known: Known, scene: Scene, job: Job) -> Iterator[str]:
    if known.alive:
        yield "It was sent and is in flight: the server has not answered yet."
        yield f"After {job.timeout_seconds} s it is given up (`timeout_seconds`)."
    else:
        yield "It was claimed, and sinkd ended before its end was recorded."
        yield from _seen(known, scene)
        yield "The next start records it as interrupted; it is never sent again."


def _waiting(known: Known, scene: Scene) -> Iterator[str]:
    log = scene.last(known.events[-1]["seq"] + 1, "log_failed", "log_recovered")
    if known.now - scene.slot < _JUST_NOW_SECONDS:
        yield "It is due just now."
    elif log and log["event"] == "log_failed":
        yield f"The run log cannot be written since {scene.clock(log['at'])} ({log['errno']})."
        yield "Nothing is sent until it can be: free some space on the disk."
    elif known.seen is None:
        yield "It waits or is in flight; the journal, which knows, is not yours to read."
    elif known.draining is not None:
        yield f"sinkd is stopping since {scene.clock(known.draining)}, and starts nothing new."
        yield "The next start answers this slot."
    elif known.now - known.seen > _SILENT_SECONDS:
        yield "It is due, and the daemon does not move: it holds the lock, but stands still."
        yield from _seen(known, scene)
    elif known.seen < scene.slot:
        yield "It is due, and waits for a permit, unless the daemon stands still."
        yield from _seen(known, scene)
        yield "`sinkd status` asks the daemon."
    else:
        yield "It is due and waits for a permit: as many runs as allowed are in flight."
        yield "`--max-in-flight` and `--max-in-flight-per-host` set how many may be."


def _still_down(known: Known, scene: Scene, job: Job) -> Iterator[str]:
    stopped = scene.last(known.events[-1]["seq"] + 1, "started", "stopped")
    if stopped and stopped["event"] == "stopped":
        yield f"sinkd is down: it was stopped ({stopped['reason']}) at {scene.clock(stopped['at'])}."
    else:
        yield "sinkd is down: it ended without a word."
        yield from _seen(known, scene)
    last = schedule.latest_slot(job.schedule, known.now)
    if scene.slot == last and known.now - scene.slot <= job.catch_up_seconds:
        until = scene.clock(scene.slot + job.catch_up_seconds)
        yield f"If it is started by {until}, this slot still runs (`catch_up_minutes`)."
    else:
        yield "The next start records this slot as missed."


def _seen(known: Known, scene: Scene) -> Iterator[str]:
    if known.seen is not None:
        yield f"Its last sign of life is of {scene.clock(known.seen)}."


def slot_text(slot: int, zone: str) -> str:
    """Return a slot as people think of it: `2026-11-23 09:00 America/New_York (14:00 UTC)`."""
    local = schedule.local_time(slot, zone)
    text = f"{local:%Y-%m-%d %H:%M} {zone}"
    return text if zone == "UTC" else f"{text} ({minute_text(slot)[11:16]} UTC)"


def reach(slot: int) -> tuple[float, float]:
    """Return [from, until) of the slots whose lines an explanation may need.

    A run can begin 12 hours late and take one: so far back lies what can block a slot.
    """
    return slot - 13 * 3600, slot + DAY
