"""How things stand now, by the events: the jobs file in use, a refusal that shows, jobs held."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from sinkd.answers import Refused, Status
from sinkd.instant import parse_rfc3339
from sinkd.record import ConfigRefused, Event
from sinkd.state import Pause


@dataclass(frozen=True, slots=True)
class InUse:
    """The configuration that runs: the first 12 hex of its revision, and since when."""

    config: str
    since: float


@dataclass(frozen=True, slots=True)
class Refusal:
    """The file on disk that does not run: 12 hex, None if unreadable; and its first problem."""

    config: str | None
    problem: str


@dataclass(slots=True)
class Standing:
    """What the events say of now: the file in use, a refusal that shows, the jobs held."""

    in_use: InUse | None = None
    refused: Refusal | None = None
    pauses: dict[str, Pause] = field(default_factory=dict)


def standing(events: Iterable[Event], now: float) -> Standing:
    """Fold the events, oldest first, into how things stand at an instant (C4, T10)."""
    found = Standing()
    for event in events:
        with suppress(LookupError, TypeError, ValueError):  # a field is not as it must be
            _fold(found, event)
    found.pauses = {job: pause for job, pause in found.pauses.items() if now < pause.until}
    return found


def _fold(stands: Standing, event: Event) -> None:
    match event["event"]:
        case "config_accepted":
            stands.in_use = InUse(event["revision"][:12], parse_rfc3339(event["at"]))
            stands.refused = None
        case "config_refused":
            revision = event["revision"]
            stands.refused = Refusal(revision and revision[:12], problem_text(event))
        case "config_restored":
            stands.refused = None
        case "job_paused":
            until = parse_rfc3339(event["until"])
            stands.pauses[event["job"]] = Pause(until, str(event["reason"]), str(event["by"]))
        case "job_resumed":
            stands.pauses.pop(event["job"], None)


def problem_text(refused: ConfigRefused | Refused) -> str:
    """Return the first problem of a refused file with its place, and how many there are."""
    if not refused["problems"]:
        return "it cannot be read"
    first, more = refused["problems"][0], refused["total"] - 1
    text = f"{first['line']}:{first['column']} {first['message']}"
    return f"{text} (and {more} more)" if more > 0 else text


def problems(status: Status, *, is_silent: bool) -> Iterator[str]:
    """Yield what is wrong, each with what to do."""
    if not status["alive"]:
        yield "no daemon runs: start `sinkd run`"
    if is_silent:
        yield "the daemon holds the lock, but does not answer: see whether its process stands still"
    if errno := status["log_unwritable"]:
        yield f"the run log cannot be written ({errno}), so nothing is sent: free some disk space"
    if refused := status["refused"]:
        problem = problem_text(refused)
        yield (
            f"the jobs file on disk is refused since {stamp(refused['at'])}, the one before "
            f"stays in use: {problem} (`sinkd validate` shows it all)"
        )
    if status["source"] == "last_good":
        yield "the last good jobs file runs, as the one on disk was refused at the start"
    for reference in status["secrets_missing"]:
        yield f"the secret {reference} is missing: runs that need it fail, nothing is sent"


def stamp(at: str | None) -> str:
    """Return an RFC 3339 text as a date and a time of the day, for people."""
    return f"{at[:10]} {at[11:16]} UTC" if at else "an unknown time"
