"""Says in sentences what became of a slot that has a line, from the events around it.

Sentences say the cause, with its instants in UTC, and then what can be done about it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sinkd.instant import DAY, duration_text, parse_rfc3339, rfc3339
from sinkd.record import Event, Run
from sinkd.schedule import latest_slot
from sinkd.spec import Job

_FAILED_ADVICE: Final[Mapping[str, str]] = {
    "http_status": "The server decides this: its own log knows more, by the run id {run_id}.",
    "dns": "Check the host name, and the name server of the machine that runs sinkd.",
    "connect": "Check that the server listens there, and what lies in between.",
    "tls": "Check the server's certificate; further authorities are named with `--ca-file`.",
    "protocol": "The server broke HTTP: its own log knows more, by the run id {run_id}.",
    "read": "The server hung up: its own log knows more, by the run id {run_id}.",
    "write": "The server hung up: its own log knows more, by the run id {run_id}.",
    "timeout": "Make the server faster, or raise `timeout_seconds`.",
    "policy": (
        "`--allow-host` and `--allow-cidr` allow an address that is not public; nothing allows a "
        "metadata service."
    ),
    "secret": "Set the secret; it is read anew for each run.",
    "internal": "This is a bug of sinkd: report it.",
}

_UNSENT: Final = frozenset({"policy", "secret"})


@dataclass(frozen=True, slots=True)
class Scene:
    """What is known around one slot of a job: `events` and the job's `runs`, oldest first.

    `job` is as the configuration in force had it, None when that cannot be read.
    """

    slot: int
    job: Job | None
    events: Sequence[Event]
    runs: Sequence[Run]

    def last(self, before: int, *names: str, job: str | None = None) -> Mapping[str, Any] | None:
        """Return the newest event of these names before a `seq`, maybe only of one job."""
        return self._first(reversed(self.events), lambda seq: seq < before, names, job)

    def next(self, after: int, *names: str, job: str | None = None) -> Mapping[str, Any] | None:
        """Return the oldest event of these names after a `seq`, maybe only of one job."""
        return self._first(iter(self.events), lambda seq: seq > after, names, job)

    @staticmethod
    def _first(
        events: Iterator[Event], wants: Callable[[int], bool], names: Sequence[str], job: str | None
    ) -> Mapping[str, Any] | None:
        return next(
            (
                event
                for event in events
                if wants(event["seq"])
                and event["event"] in names
                and (job is None or event.get("job") == job)
            ),
            None,
        )

    def clock(self, at: float | str) -> str:
        """Return an instant for people, in UTC: with its date when that is not the slot's."""
        instant = parse_rfc3339(at) if isinstance(at, str) else at
        text = rfc3339(int(instant))
        time = text[11:16] if text[17:19] == "00" else text[11:19]
        same_day = int(instant) // DAY == self.slot // DAY
        return f"{time} UTC" if same_day else f"{text[:10]} {time} UTC"


def sentences(scene: Scene, run: Run) -> Iterator[str]:
    """Yield what a line says of the slot, its cause, and what to do."""
    match run["outcome"]:
        case "success" | "failure":
            yield from _ended(scene, run)
        case "interrupted":
            yield from _interrupted(scene, run)
        case "skipped":
            yield from _SKIPPED.get(run.get("reason", ""), _unknown)(scene, run)
        case "missed":
            yield from _MISSED.get(run.get("reason", ""), _unknown)(scene, run)
            yield from _not_caught_up(scene, run)


def _ended(scene: Scene, run: Run) -> Iterator[str]:
    if run.get("reason") in _UNSENT:
        yield f"It was due, and nothing was sent{_start(scene, run)}: {run.get('error')}."
    else:
        yield f"It was sent{_start(scene, run)}{_how_late(run)}, and {_answer(run)}."
    if run["outcome"] == "failure":
        advice = _FAILED_ADVICE.get(run.get("reason", ""), "")
        if advice:
            yield advice.format(run_id=run.get("run_id"))
        yield "Nothing is sent again for this slot: the next slot is the next run."


def _start(scene: Scene, run: Run) -> str:
    return f" at {scene.clock(run['started_at'])}" if "started_at" in run else ""


def _how_late(run: Run) -> str:
    late_ms = run.get("late_ms")
    if not isinstance(late_ms, int):
        return ""
    late = f"{late_ms} ms" if late_ms < 1000 else duration_text(late_ms / 1000)  # noqa: PLR2004
    caught_up = ", to catch up" if run.get("trigger") == "catch_up" else ""
    return f", {late} late{caught_up}"


def _answer(run: Run) -> str:
    status, error, phase = run.get("status_code"), run.get("error"), run.get("phase")
    duration_ms = run.get("duration_ms")
    took = "" if duration_ms is None else f" after {duration_ms / 1000:.2f} s"
    if run["outcome"] == "success" or run.get("reason") == "http_status":
        return f"the server answered {status}{took}"
    reason = run.get("reason", "unknown")
    where = f" in the phase `{phase}`" if phase not in {None, reason} else ""
    return f"it failed with `{reason}`{where}{took}{f': {error}' if error else ''}"


def _interrupted(scene: Scene, run: Run) -> Iterator[str]:
    if run.get("reason") == "shutdown":
        yield (
            f"It was sent{_start(scene, run)}, and cut off when sinkd stopped before the answer "
            "was there."
        )
        yield "A longer `--drain-seconds` gives runs more time to end."
    else:
        yield "It was claimed, and sinkd ended without a word before its end was recorded."
        # Its line is the first that the next start writes.
        yield from _end_of_life(scene, scene.next(run["seq"], "started"))
    yield (
        "Whether the request arrived is not known, and it is never sent again: ask the server "
        f"for the Idempotency-Key {run.get('run_id')}."
    )


def _end_of_life(scene: Scene, started: Mapping[str, Any] | None) -> Iterator[str]:
    """Say how the daemon ended that was there before a start, and when that was."""
    if started is None:
        return
    ended = scene.last(started["seq"], "stopped", "unclean_stop", "started")
    again = f"it was started again at {scene.clock(started['at'])}"
    match ended and ended["event"]:
        case "stopped":
            stopped = scene.clock(ended["at"])  # type: ignore[index]  # it has an event
            yield f"It was stopped ({ended['reason']}) at {stopped}; {again}."  # type: ignore[index]
        case "unclean_stop":
            seen = scene.clock(ended["last_alive_at"])  # type: ignore[index]  # it has an event
            yield (
                f"Its last sign of life is of {seen}: it crashed, was killed, or lost power; "
                f"{again}."
            )
        case _:
            yield f"It was started at {scene.clock(started['at'])}."


def _unknown(_scene: Scene, run: Run) -> Iterator[str]:
    yield f"Its line says `{run['outcome']}`, `{run.get('reason')}`: a newer sinkd may know more."


# --- skipped: due, and deliberately not sent


def _overlap(scene: Scene, run: Run) -> Iterator[str]:
    blocked_by = run.get("blocked_by", "")
    yield (
        f"The run {blocked_by} was still in flight, and runs of one job never overlap: the slot "
        "was skipped."
    )
    other = next((each for each in scene.runs if each.get("run_id") == blocked_by), None)
    if other is None:
        yield "That run has no line yet: it is in flight, or its end was lost."
    else:
        ended = f" at {scene.clock(end)}" if (end := other.get("finished_at")) else ""
        started = f"It had started{_start(scene, other)} and " if "started_at" in other else "It "
        reason = f" ({other['reason']})" if "reason" in other else ""
        yield f"{started}ended{ended}: {other['outcome']}{reason}."
    yield "Make the runs shorter, lower `timeout_seconds`, or leave more time between the slots."


def _capacity(_scene: Scene, _run: Run) -> Iterator[str]:
    yield (
        "It waited for a permit, as many runs as allowed were in flight, in all or to its host, "
        "until its time was over or its next slot came."
    )
    yield (
        "Spread the start minutes (`sinkd next --load`), or raise `--max-in-flight` or "
        "`--max-in-flight-per-host`."
    )


def _paused(scene: Scene, run: Run) -> Iterator[str]:
    paused = scene.last(run["seq"], "job_paused", "job_resumed", job=run["job"])
    if paused and paused["event"] == "job_paused":
        yield f"It was paused by {paused['by']}{_since_until(scene, paused)}: {paused['reason']}."
        if resumed := scene.next(paused["seq"], "job_resumed", job=run["job"]):
            by = "when the time was over" if resumed["by"] == "expired" else f"by {resumed['by']}"
            yield f"It was resumed at {scene.clock(resumed['at'])} {by}."
        else:
            yield f"`sinkd resume {run['job']}` ends a pause."
    else:
        yield "It waited for a permit when the job was removed, disabled or given another schedule."
        if accepted := scene.next(run["seq"], "config_accepted"):
            yield f"That was configuration {accepted['revision'][:12]}."


def _since_until(scene: Scene, paused: Mapping[str, Any]) -> str:
    return f" from {scene.clock(paused['at'])} until {scene.clock(paused['until'])}"


_SKIPPED: Final = {"overlap": _overlap, "capacity": _capacity, "paused": _paused}


# --- missed: due, and nobody was there to send it


def _down(scene: Scene, run: Run) -> Iterator[str]:
    yield "sinkd was down."
    yield from _end_of_life(scene, scene.last(run["seq"], "started"))


def _draining(scene: Scene, run: Run) -> Iterator[str]:
    stopped = scene.last(run["seq"], "stopped")
    if stopped and parse_rfc3339(stopped["at"]) < scene.slot:  # its line began with the drain
        yield "sinkd was down."
    else:
        yield "sinkd was stopping, and then starts nothing new."
    yield from _end_of_life(scene, scene.last(run["seq"], "started"))


def _suspended(scene: Scene, run: Run) -> Iterator[str]:
    if event := scene.last(run["seq"], "suspended"):
        slept = duration_text(event["seconds"])
        yield f"The machine slept for {slept}, until {scene.clock(event['at'])}."
    yield "Keep the machine awake, or run sinkd on one that does not sleep."


def _clock_step(scene: Scene, run: Run) -> Iterator[str]:
    if event := scene.last(run["seq"], "clock_step"):
        step = duration_text(parse_rfc3339(event["to"]) - parse_rfc3339(event["from"]))
        was, to = scene.clock(event["from"]), scene.clock(event["to"])
        yield f"The clock was set forward by {step}, from {was} to {to}: the slot never came."
    yield "Check who sets the clock of the machine (NTP slews a running clock)."


def _stalled(scene: Scene, run: Run) -> Iterator[str]:
    if "trigger" in run:
        yield "By the time its claim was durable it was too late to send it: the disk was slow."
        return
    if event := scene.last(run["seq"], "stalled"):
        stood = duration_text(event["seconds"])
        yield f"sinkd stood still for {stood}, until {scene.clock(event['at'])}."
    yield "The process got no CPU, hung on the disk, or was stopped (SIGSTOP)."


def _log_unwritable(scene: Scene, run: Run) -> Iterator[str]:
    if failed := scene.last(run["seq"], "log_failed"):
        since = f"from {scene.clock(failed['at'])} on ({failed['errno']})"
        recovered = scene.next(failed["seq"], "log_recovered")
        until = f", until {scene.clock(recovered['at'])}" if recovered else ""
        yield f"The run log could not be written {since}{until}."
    yield "What cannot be recorded is not sent: free some space on the disk of the data directory."


_MISSED: Final = {
    "down": _down,
    "draining": _draining,
    "suspended": _suspended,
    "clock_step": _clock_step,
    "stalled": _stalled,
    "log_unwritable": _log_unwritable,
}


def _not_caught_up(scene: Scene, run: Run) -> Iterator[str]:
    """Say why the slot was not sent late: it was not the newest, or its window had passed."""
    if scene.job is None or "trigger" in run:
        return
    after = scene.last(run["seq"], "started", "suspended", "clock_step", "stalled", "log_recovered")
    if after is None:
        return
    back_at = parse_rfc3339(after["at"])
    window = duration_text(scene.job.catch_up_seconds)
    if (newest := latest_slot(scene.job.schedule, back_at)) > scene.slot:
        yield (
            f"After a gap only the newest slot may still run, here that of {scene.clock(newest)}, "
            f"and at most {window} late (`catch_up_minutes`)."
        )
    else:
        yield f"By then it was too late to run it: at most {window} (`catch_up_minutes`)."
