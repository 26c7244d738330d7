"""What a page shows of every job: totals, the last day by the hour, the last runs.

Fed record by record in the order of the log, so that nobody reads a million lines for a page. Its
memory is bounded for each job: its totals, 24 hours, and the lines of its last 50 records.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from sinkd.instant import parse_rfc3339
from sinkd.record import CLAIMED, Event, Run
from sinkd.report import STRIP_HOURS, Summary, Totals, slots_within

KEPT_RUNS: Final = 50
_LATEST: Final = 8
_HOUR: Final = 3600
_OF_ALL: Final = frozenset(
    [
        "config_accepted",
        "config_refused",
        "config_restored",
        "secret_missing",
        "log_failed",
        "log_recovered",
    ]
)


class Hour(NamedTuple):
    """What became of the slots of one hour, which begins at an instant."""

    at: int
    good: int = 0
    failed: int = 0
    not_run: int = 0

    @property
    def kind(self) -> str:
        """The hour in a word: `good`, `some`, `failed`, `missed` (nothing was sent), `none`."""
        if not self.failed and not self.not_run:
            return "good" if self.good else "none"
        if self.good:
            return "some"
        return "failed" if self.failed else "missed"


@dataclass(slots=True)
class Past:
    """What is kept of one job: `seq` is its newest record's, `lines` are the oldest first.

    `failing`: its newest slot was not answered by success; a paused one counts as neither.
    """

    seq: int = 0
    failing: bool = False
    lines: deque[bytes] = field(default_factory=lambda: deque(maxlen=KEPT_RUNS))
    _hours: dict[int, list[int]] = field(default_factory=dict)

    def add(self, run: Run, line: bytes) -> None:
        """Take in the newest record of the job, and the line that it came in."""
        self.seq = run["seq"]
        self.lines.append(line)
        if run.get("reason") != "paused":
            self.failing = run["outcome"] != "success"
        place = 0 if run["outcome"] == "success" else 1 if run["outcome"] in CLAIMED else 2
        for hour, count in _by_hour(run):
            self._hours.setdefault(hour, [0, 0, 0])[place] += count
        while len(self._hours) > STRIP_HOURS + 1:
            del self._hours[min(self._hours)]

    def day(self, now: float) -> list[Hour]:
        """Return the last 24 hours, the one that is not over last."""
        this = int(now // _HOUR)
        hours = range(this - STRIP_HOURS + 1, this + 1)
        return [Hour(hour * _HOUR, *self._hours.get(hour, (0, 0, 0))) for hour in hours]


def _by_hour(run: Run) -> Iterator[tuple[int, int]]:
    """Yield the hours of a record's slots with their number; of a long range the last day's."""
    first = int(parse_rfc3339(run["scheduled_at"]) // _HOUR)
    if run.get("count", 1) == 1:
        yield first, 1
        return
    last = int(parse_rfc3339(run["last_scheduled_at"]) // _HOUR)
    for hour in range(max(first, last - STRIP_HOURS), last + 1):
        if count := slots_within(run, hour * _HOUR, (hour + 1) * _HOUR):
            yield hour, count


@dataclass(slots=True)
class Overview:
    """What is kept of all jobs. `seq` is the newest record's; older ones are passed over.

    `latest` are the last runs, newest first. `config_seq` is that of the last event that is of no
    single job, but shows, `events` holds the newest of each kind.
    """

    seq: int = 0
    config_seq: int = 0
    summary: Summary = field(default_factory=lambda: Summary(0))
    latest: deque[Run] = field(default_factory=lambda: deque(maxlen=_LATEST))
    events: dict[str, Event] = field(default_factory=dict)
    _pasts: dict[str, Past] = field(default_factory=dict)
    _changed: dict[str, int] = field(default_factory=dict)  # the job that changed last is last

    def past(self, job: str) -> Past:
        """Return what is kept of a job."""
        return self._pasts.get(job) or Past()

    def totals(self, job: str) -> Totals:
        """Return the totals of a job."""
        return self.summary.jobs.get(job) or Totals()

    def add_run(self, run: Run, line: bytes) -> None:
        """Take in a record, unless it is known."""
        if run["seq"] <= self.seq:
            return
        self.seq = run["seq"]
        if not self.summary.add(run):
            return
        self._pasts.setdefault(run["job"], Past()).add(run, line)
        self._touch(run["job"])
        if run["outcome"] in CLAIMED:
            self.latest.appendleft(run)

    def add_event(self, event: Event) -> None:
        """Take in an event; the newest of a kind counts."""
        known = self.events.get(event["event"])
        if known and known["seq"] >= event["seq"]:
            return
        self.events[event["event"]] = event
        if event["event"] in _OF_ALL:
            self.config_seq = event["seq"]
        if job := event.get("job"):
            self._touch(str(job), event["seq"])

    def changed_since(self, seq: int) -> list[str]:
        """Return the jobs of which something is newer than `seq`, the newest first."""
        names = []
        for name in reversed(self._changed):
            if self._changed[name] <= seq:
                break
            names.append(name)
        return names

    @property
    def newest(self) -> int:
        """The `seq` of the newest record or event."""
        return max([self.seq, *(event["seq"] for event in self.events.values())])

    def _touch(self, job: str, seq: int | None = None) -> None:
        self._changed.pop(job, None)
        self._changed[job] = self.seq if seq is None else seq
