"""What held when, by the events: the configuration in use, and each job's spans on a schedule.

A configuration holds for the slots after the instant at which it was accepted, so a span is open
at its beginning and closed at its end (C3, T7). Instants are those of the wall clock, which may
have been set back: what came first is said by `seq`.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from sinkd.decide import SMALL_STEP_SECONDS
from sinkd.instant import parse_rfc3339
from sinkd.record import Event
from sinkd.schedule import fingerprint
from sinkd.spec import Job, Spec

CONFIG_DIGITS: Final = 12

Specs: TypeAlias = Mapping[str, Spec | None]  # by `config`; None: its revision cannot be read


@dataclass(frozen=True, slots=True)
class Accepted:
    """A configuration came into use; `revision` is its first 12 hex when only a record names it."""

    seq: int
    at: float
    revision: str
    commit: str | None = None
    path: str | None = None

    @property
    def config(self) -> str:
        """The first 12 hex digits of the revision."""
        return self.revision[:CONFIG_DIGITS]


@dataclass(frozen=True, slots=True)
class SetBack:
    """The wall clock was set back so far that slots may be due a second time (T4)."""

    seq: int
    was: float
    to: float


@dataclass(frozen=True, slots=True)
class Span:
    """A job was enabled on one schedule: its slots in (since, through] were due.

    `job` is as the span's first configuration had it; lines from `seq` on were written in it.
    """

    job: Job
    since: float
    through: float
    seq: int


@dataclass(slots=True)
class Timeline:
    """What came into use and when, in the order in which it happened.

    `tzdata` holds (instant, version) of each start.
    """

    accepted: list[Accepted] = field(default_factory=list)
    set_back: list[SetBack] = field(default_factory=list)
    tzdata: list[tuple[float, str]] = field(default_factory=list)

    def begin_with(self, first: Accepted) -> None:
        """Take what the first record names for the time before the first event, if it was in it."""
        if all(accepted.seq > first.seq for accepted in self.accepted):
            self.accepted.insert(0, first)

    def in_force(self, slot: float) -> Accepted | None:
        """Return the configuration under which a slot was due; None before the first."""
        return next((each for each in reversed(self.accepted) if each.at < slot), None)

    def tzdata_at(self, instant: float) -> str | None:
        """Return the version of the zone rules that the daemon used at an instant."""
        return next((version for at, version in reversed(self.tzdata) if at <= instant), None)

    def went_back(self, after: int, before: int) -> bool:
        """Say whether the clock was set back between two lines, named by their `seq`."""
        return any(after < step.seq < before for step in self.set_back)


def timeline(events: Iterable[Event]) -> Timeline:
    """Fold the events, oldest first; one whose fields are not as they must be is passed over."""
    found = Timeline()
    for event in events:
        with suppress(AttributeError, LookupError, TypeError, ValueError):
            _fold(found, event)
    return found


def _fold(found: Timeline, event: Event) -> None:
    at = parse_rfc3339(event["at"])
    match event["event"]:
        case "started":
            found.tzdata.append((at, event["tzdata"]))
        case "config_accepted":
            commit, path = event.get("commit"), event.get("path")
            found.accepted.append(Accepted(event["seq"], at, event["revision"], commit, path))
        case "clock_step":
            step = SetBack(event["seq"], parse_rfc3339(event["from"]), parse_rfc3339(event["to"]))
            if step.was - step.to >= SMALL_STEP_SECONDS:
                found.set_back.append(step)


def spans(found: Timeline, specs: Specs, until: float) -> list[Span]:
    """Return every span of every job, in no order, the last ones through `until`.

    Nothing is known of the time in which a configuration held that cannot be read. After the clock
    was set back a span goes on from where it was set to, so that spans of one job may overlap.
    """
    running: dict[str, Span] = {}
    ended: list[Span] = []
    changes: list[Accepted | SetBack] = [*found.accepted, *found.set_back]
    for change in sorted(changes, key=lambda change: change.seq):
        match change:
            case Accepted():
                ended += _swap(running, change, specs.get(change.config))
            case SetBack():
                ended += _begin_again(running, change)
    ended += [replace(span, through=until) for span in running.values()]
    through_until = (replace(span, through=min(span.through, until)) for span in ended)
    return [span for span in through_until if span.since < span.through]


def _swap(running: dict[str, Span], accepted: Accepted, spec: Spec | None) -> list[Span]:
    """Begin the spans of a new configuration; return those that end: a changed schedule ends one."""
    jobs = spec.jobs if spec else {}
    enabled = {name: job for name, job in jobs.items() if job.enabled}
    ended = [
        replace(running.pop(name), through=accepted.at)
        for name, span in list(running.items())
        if name not in enabled or not _is_same(enabled[name], span.job)
    ]
    for name, job in enabled.items():
        running.setdefault(name, Span(job, accepted.at, accepted.at, accepted.seq))
    return ended


def _is_same(one: Job, other: Job) -> bool:
    return fingerprint(one.schedule) == fingerprint(other.schedule)


def _begin_again(running: dict[str, Span], step: SetBack) -> Sequence[Span]:
    ended = [replace(span, through=step.was) for span in running.values()]
    for name, span in running.items():
        # A cursor that is ahead of the clock by less than a minute stays where it is (T4).
        since = span.since if 0 <= span.since - step.to < SMALL_STEP_SECONDS else step.to
        running[name] = replace(span, since=since, seq=step.seq)
    return ended
