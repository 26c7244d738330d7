"""Sums up records: totals of each job, its last day by the hour, and what went wrong.

Pure, in one pass and with memory for the jobs alone. Totals of two stretches of a log, the older
one first, merge into the totals of both (law 8): every figure is a sum, the newest of two records,
or read from a histogram.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias, cast

from sinkd.errors import UsageError
from sinkd.histogram import Histogram
from sinkd.instant import parse_rfc3339, rfc3339
from sinkd.record import CLAIMED, REASONS, Run
from sinkd.schedule import describe, next_slot
from sinkd.spec import Job
from sinkd.standing import Standing
from sinkd.state import Pause

STRIP_HOURS: Final = 24
_HOUR: Final = 3600

Cause: TypeAlias = tuple[str, str]  # of a trouble: outcome; reason, for an answer with its code

REASON_WORDS: Final[Mapping[str, str]] = {
    "overlap": "the run before was still going",
    "capacity": "too many runs were in flight",
    "paused": "it was paused",
    "down": "sinkd was down",
    "suspended": "the machine slept",
    "clock_step": "the clock was set forward",
    "stalled": "sinkd stood still",
    "draining": "sinkd was stopping",
    "log_unwritable": "the run log could not be written",
    "crash": "sinkd crashed, its fate is unknown",
    "shutdown": "cut off by a shutdown",
}


@dataclass(slots=True)
class Trouble:
    """What went wrong for one cause: how many slots, the first record and the last."""

    count: int
    first: Run
    last: Run


@dataclass(slots=True)
class Totals:
    """What became of one job's runs and slots.

    `counts` are by outcome, a missed range counts each slot in the window; `manual` are those of
    them that a person asked for. `hours` holds `[successes, runs]` of the 24 hours before the end
    of the window, the oldest is 0. `in_a_row` counts the successes since a run was none.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    manual: Counter[str] = field(default_factory=Counter)
    durations: Histogram = field(default_factory=Histogram)
    first: Run | None = None
    last_run: Run | None = None
    last_success: Run | None = None
    in_a_row: int = 0
    hours: dict[int, list[int]] = field(default_factory=dict)
    troubles: dict[Cause, Trouble] = field(default_factory=dict)

    @property
    def runs(self) -> int:
        """Every request that was claimed: successes, failures and interrupted ones."""
        return sum(self.counts[outcome] for outcome in CLAIMED)

    @property
    def due(self) -> int:
        """The slots that were due; a manual run uses up none."""
        return self.counts.total() - self.manual.total()

    @property
    def answered(self) -> int:
        """The due slots that were answered with success."""
        return self.counts["success"] - self.manual["success"]

    @property
    def percent(self) -> str | None:
        """The share of the runs that succeeded, as in `97.6`; never `100.0` when one did not."""
        if not self.runs:
            return None
        text = f"{100 * self.counts['success'] / self.runs:.1f}"
        return "99.9" if text == "100.0" and self.counts["success"] < self.runs else text

    def merge(self, later: "Totals") -> None:
        """Add the totals of the same job and window over a later stretch of the log."""
        self.labels = later.labels
        self.first = self.first or later.first
        self.counts.update(later.counts)
        self.manual.update(later.manual)
        self.durations.merge(later.durations)
        self.last_run = later.last_run or self.last_run
        self.last_success = later.last_success or self.last_success
        all_good = later.counts["success"] == later.runs
        self.in_a_row = later.in_a_row + (self.in_a_row if all_good else 0)
        for hour, (good, runs) in later.hours.items():
            self._count_hour(hour, good, runs)
        for cause, trouble in later.troubles.items():
            self._count_trouble(cause, trouble.count, trouble.first, trouble.last)

    def add(self, run: Run, count: int, hour: int) -> None:
        """Count one record with `count` slots in the window, its first in this hour."""
        outcome = run["outcome"]
        self.first = self.first or run
        self.labels = run.get("labels", {})
        self.counts[outcome] += count
        if run.get("trigger") == "manual":
            self.manual[outcome] += count
        if outcome in CLAIMED:
            self._add_claimed(run, hour)
        if outcome != "success":
            self._count_trouble(_cause(run), count, run, run)

    def _add_claimed(self, run: Run, hour: int) -> None:
        good = int(run["outcome"] == "success")
        self.last_run = run
        self.last_success = run if good else self.last_success
        self.in_a_row = self.in_a_row + 1 if good else 0
        duration_ms = run.get("duration_ms")
        if isinstance(duration_ms, int):
            self.durations.add(duration_ms)
        if 0 <= hour < STRIP_HOURS:
            self._count_hour(hour, good, 1)

    def _count_hour(self, hour: int, good: int, runs: int) -> None:
        counts = self.hours.setdefault(hour, [0, 0])
        counts[0] += good
        counts[1] += runs

    def _count_trouble(self, cause: Cause, count: int, first: Run, last: Run) -> None:
        if known := self.troubles.get(cause):
            known.count += count
            known.last = last
        else:
            self.troubles[cause] = Trouble(count, first, last)


@dataclass(slots=True)
class Summary:
    """The totals of every job that has a record with a slot in [since, until).

    `ends_at` is where the last day of each job's `hours` ends.
    """

    ends_at: float
    since: float = -math.inf
    until: float = math.inf
    jobs: dict[str, Totals] = field(default_factory=dict)

    @property
    def first(self) -> Run | None:
        """The first record."""
        firsts = [totals.first for totals in self.jobs.values() if totals.first]
        return min(firsts, key=lambda run: run["seq"], default=None)

    def add(self, run: Run) -> bool:
        """Count one record, if a slot of it lies in the window; say whether one did.

        An outcome that only a later version knows is passed over.
        """
        count = slots_within(run, self.since, self.until)
        if not count or run["outcome"] not in REASONS:
            return False
        totals = self.jobs.get(run["job"])
        if totals is None:
            totals = self.jobs[run["job"]] = Totals()
        age = self.ends_at - parse_rfc3339(run["scheduled_at"])
        totals.add(run, count, STRIP_HOURS - 1 - int(age // _HOUR))
        return True

    def merge(self, later: "Summary") -> None:
        """Add the summary of a later stretch of the log over the same window."""
        for name, totals in later.jobs.items():
            self.jobs.setdefault(name, Totals()).merge(totals)


def summarise(
    records: Iterable[Run], ends_at: float, since: float = -math.inf, until: float = math.inf
) -> Summary:
    """Return the totals of the records, which are in the order of the log."""
    summary = Summary(ends_at, since, until)
    for run in records:
        summary.add(run)
    return summary


def slots_within(run: Run, since: float, until: float) -> int:
    """Return how many slots of a record lie in [since, until): of a range maybe a part.

    The slots of a range are taken as evenly spaced, which those of an interval job are.
    """
    first, count = parse_rfc3339(run["scheduled_at"]), run.get("count", 1)
    last = parse_rfc3339(run["last_scheduled_at"]) if count > 1 else first

    def before(instant: float) -> int:
        if instant <= first or instant > last:
            return count if instant > last else 0
        return -int((first - instant) * (count - 1) // (last - first))  # rounded up

    return before(until) - before(since)


def _cause(run: Run) -> Cause:
    reason = str(run.get("reason", "unknown"))
    if reason == "http_status":
        reason = f"{reason} {run.get('status_code')}"
    return run["outcome"], reason


@dataclass(frozen=True, slots=True)
class Row:
    """One job of a report. `job` is None when only the log knows it: it was removed."""

    name: str
    job: Job | None
    totals: Totals
    pause: Pause | None
    next_slot: int | None

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of the job, of a removed one those of its last record."""
        return dict(self.job.labels) if self.job else self.totals.labels

    def as_json(self) -> dict[str, object]:
        """Return the job's object of `report -o json`."""
        job, totals = self.job, self.totals
        last = totals.last_run
        return {
            "job": self.name,
            "description": job and job.description,
            "labels": self.labels,
            "enabled": bool(job and job.enabled),
            "paused_until": self.pause and rfc3339(self.pause.until),
            "schedule": job and describe(job.schedule),
            "total_runs": totals.runs,
            "successful_runs": totals.counts["success"],
            "failed_runs": totals.counts["failure"],
            "skipped": totals.counts["skipped"],
            "missed": totals.counts["missed"],
            "interrupted": totals.counts["interrupted"],
            "last_run_at": last and last.get("started_at", last["scheduled_at"]),
            "last_outcome": last and last["outcome"],
            "next_run_at": self.next_slot and rfc3339(self.next_slot),
            "p50_ms": totals.durations.quantile(0.50),
            "p95_ms": totals.durations.quantile(0.95),
        }


def rows(jobs: Mapping[str, Job], summary: Summary, stands: Standing, now: float) -> list[Row]:
    """Return a row for each job, in file order, then for those that only the log knows."""
    removed = sorted(summary.jobs.keys() - jobs.keys())
    return [
        Row(
            name=name,
            job=job,
            totals=_tidied(summary.jobs.get(name, Totals())),
            pause=stands.pauses.get(name),
            next_slot=next_run(job, stands.pauses.get(name), now) if job else None,
        )
        for name in [*jobs, *removed]
        for job in [jobs.get(name)]
    ]


def _tidied(totals: Totals) -> Totals:
    troubles = {
        cause: replace(trouble, first=tidy(trouble.first), last=tidy(trouble.last))
        for cause, trouble in totals.troubles.items()
    }
    last_run = totals.last_run
    return replace(totals, last_run=last_run and tidy(last_run), troubles=troubles)


def tidy(run: Run) -> Run:
    """Return the record without what cannot be shown: a file can hold fields of any type."""
    return cast("Run", {key: value for key, value in run.items() if _fits(key, value)})


def _fits(key: str, value: object) -> bool:
    if key in {"started_at", "finished_at", "last_scheduled_at"}:
        with suppress(TypeError, ValueError):
            parse_rfc3339(cast("str", value))
            return True
        return False
    if key in {"status_code", "duration_ms", "late_ms", "seq", "count"}:
        return isinstance(value, int)
    if key in {"labels", "response_headers"}:
        return isinstance(value, dict)
    return isinstance(value, str)


def next_run(job: Job, pause: Pause | None, now: float) -> int | None:
    """Return the next slot of a job that is not held by its pause, None while it is disabled."""
    if not job.enabled:
        return None
    free = math.ceil(pause.until) - 1 if pause else now  # a slot at its end is not held (T10)
    return next_slot(job.schedule, max(now, free))


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that a report shows, read at the instant `now`.

    The window is [since, until), `since` None for everything. `runs` are newest first, None when
    neither one job nor an `outcome` was asked for. `log` is the place that was read. Without
    `knows_jobs` there was no valid jobs file, so that no job can be said to be removed.
    """

    rows: Sequence[Row]
    runs: Sequence[Run] | None
    first: Run | None
    stands: Standing
    since: float | None
    until: float
    now: float
    log: str
    knows_jobs: bool = True
    outcome: str | None = None

    @property
    def begins_at(self) -> float | None:
        """Where the window begins: at the first record if nothing else was asked for."""
        if self.since is None and self.first:
            return parse_rfc3339(self.first["scheduled_at"])
        return self.since

    def as_json(self) -> dict[str, object]:
        """Return the object of `report -o json`."""
        begins_at = self.begins_at
        shape: dict[str, object] = {
            "since": None if begins_at is None else rfc3339(begins_at),
            "until": rfc3339(int(self.until)),
            "jobs": [row.as_json() for row in self.rows],
        }
        return shape if self.runs is None else shape | {"runs": self.runs}


def has_labels(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Say whether every wanted label is there with its value."""
    return wanted.items() <= labels.items()


def parse_labels(texts: Iterable[str]) -> dict[str, str]:
    """Return the labels of `K=V` texts; UsageError when one has no `=`."""
    labels = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            message = f"`--label {text}` names no value: write it as in `--label team=shop`"
            raise UsageError(message)
        labels[key] = value
    return labels
