"""What `/metrics` says, for a monitoring system: made from the daemon and its records when asked.

`FAMILIES` lists every name with its labels, which are a job's name and closed sets only. Counters
begin at 0 with the process, `last_*` timestamps and `loaded` outlive it. A removed job has no series.
"""

import platform
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from pydantic_core import from_json

from sinkd import __version__, sealed
from sinkd.exposition import exposition
from sinkd.history import History
from sinkd.instant import DAY, parse_rfc3339
from sinkd.record import CLAIMED, REASONS, Run
from sinkd.report import Totals, next_run, tidy
from sinkd.revisions import read_accepted
from sinkd.schedule import longest_gap_seconds
from sinkd.spec import Job, Schedule

if TYPE_CHECKING:
    from sinkd.daemon import Daemon

DURATION_BUCKETS: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)
LATENESS_BUCKETS: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 3600)


class Family(NamedTuple):
    """One metric: its type, its labels, and what it says."""

    kind: Callable[..., Metric]
    labels: tuple[str, ...]
    help: str


_Info, _Gauge = InfoMetricFamily, GaugeMetricFamily
_Counter, _Histogram = CounterMetricFamily, HistogramMetricFamily
_JOB: Final = ("job",)

FAMILIES: Final = {
    "sinkd_build_info": Family(_Info, ("version", "python_version"), "Which sinkd runs."),
    "sinkd_config_info": Family(_Info, ("revision",), "The jobs file in use, by its SHA-256."),
    "sinkd_config_last_reload_successful": Family(
        _Gauge, (), "0 while a newer jobs file is refused."
    ),
    "sinkd_config_last_reload_success_timestamp_seconds": Family(
        _Gauge, (), "When the jobs file in use was accepted."
    ),
    "sinkd_config_reloads_total": Family(
        _Counter, ("result",), "Changes of the jobs file: accepted or refused."
    ),
    "sinkd_jobs": Family(_Gauge, ("state",), "Jobs that are enabled, disabled or paused by hand."),
    "sinkd_job_enabled": Family(_Gauge, _JOB, "1 while the job is enabled and not paused."),
    "sinkd_job_loaded_timestamp_seconds": Family(
        _Gauge, _JOB, "Since when the job runs as it does: new schedule, enabled, resumed."
    ),
    "sinkd_job_timeout_seconds": Family(_Gauge, _JOB, "The total deadline of one run."),
    "sinkd_job_interval_seconds": Family(
        _Gauge, _JOB, "The longest gap between slots in the next 14 days."
    ),
    "sinkd_job_next_run_timestamp_seconds": Family(
        _Gauge, _JOB, "The next slot; absent while nothing is due."
    ),
    "sinkd_job_last_run_timestamp_seconds": Family(
        _Gauge, _JOB, "When the last run started; absent until the first."
    ),
    "sinkd_job_last_success_timestamp_seconds": Family(
        _Gauge, _JOB, "When the last run that succeeded started; absent until the first."
    ),
    "sinkd_runs_total": Family(
        _Counter,
        ("job", "outcome", "reason"),
        "Runs and slots by what became of them; a missed range adds each of its slots.",
    ),
    "sinkd_run_duration_seconds": Family(_Histogram, _JOB, "How long runs took."),
    "sinkd_run_lateness_seconds": Family(
        _Histogram, (), "How long after their slots scheduled runs started."
    ),
    "sinkd_runs_in_flight": Family(_Gauge, (), "Runs that are being sent."),
    "sinkd_runlog_write_errors_total": Family(
        _Counter, (), "How often the disk refused a line of the run log."
    ),
    "sinkd_printed_lines_dropped_total": Family(
        _Counter, (), "Lines of --print-runs that nobody took in time."
    ),
}


class _Buckets:
    """A histogram with fixed upper bounds, each inclusive, and none above the last."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def put(self, family: HistogramMetricFamily, labels: list[str]) -> None:
        bounds = [*(str(float(bound)) for bound in self._bounds), "+Inf"]
        family.add_metric(
            labels, list(zip(bounds, accumulate(self._counts), strict=True)), self._sum
        )


def _zeros() -> dict[tuple[str, str], int]:
    return {
        (outcome, reason): 0 for outcome, reasons in REASONS.items() for reason in reasons or ("",)
    }


@dataclass(slots=True)
class _Series:
    """What was counted of one job; the timestamps are None until its first such run."""

    counts: dict[tuple[str, str], int] = field(default_factory=_zeros)
    durations: _Buckets = field(default_factory=lambda: _Buckets(DURATION_BUCKETS))
    ran_at: float | None = None
    succeeded_at: float | None = None

    def count(self, run: Run) -> None:
        """Count one record."""
        cause = (run["outcome"], str(run.get("reason", "")))
        self.counts[cause] = self.counts.get(cause, 0) + run.get("count", 1)
        if (duration_ms := run.get("duration_ms")) is not None:
            self.durations.add(duration_ms / 1000)

    def note(self, run: Run) -> None:
        """Note when a run was, if it is the newest."""
        if run["outcome"] in CLAIMED:
            at = parse_rfc3339(run.get("started_at", run["scheduled_at"]))
            self.ran_at = max(self.ran_at or 0, at)
            if run["outcome"] == "success":
                self.succeeded_at = max(self.succeeded_at or 0, at)


class Metrics:
    """The metrics of one daemon; `dropped` returns how many printed lines were dropped.

    Hand each public line to `observe`. `render` changes nothing the daemon uses and may be called
    in a thread of its own, so that a thousand jobs do not hold up the loop.
    """

    def __init__(self, daemon: "Daemon", data_dir: Path, dropped: Callable[[], int]) -> None:
        accepted = read_accepted(data_dir)
        self._accepted_at = parse_rfc3339(accepted.at) if accepted else 0.0
        self._daemon = daemon
        self._dropped = dropped
        self._reloads = {"accepted": 0, "refused": 0}
        self._series: dict[str, _Series] = {}
        self._lateness = _Buckets(LATENESS_BUCKETS)

    def observe(self, line: bytes) -> None:
        """Count a durable line of the run log or the events."""
        record = from_json(line)
        if "job" in record and "outcome" in record:
            self._count(record)
        elif record["event"] == "config_refused":
            self._reloads["refused"] += 1
        elif record["event"] in {"config_accepted", "config_restored"}:
            self._reloads["accepted"] += record["event"] == "config_accepted"
            self._accepted_at = parse_rfc3339(record["at"])

    def restore(self, runs: Iterable[Run]) -> None:
        """Take over when jobs ran last before this process, as `newest_runs` found it."""
        for run in runs:
            self._of(run["job"]).note(run)

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """Return the metrics in the format that an Accept header asks for, and its content type."""
        _, content_type = choose_encoder(accept)
        open_metrics = content_type.startswith("application/openmetrics-text")
        return exposition(self.collect(), open_metrics=open_metrics).encode(), content_type

    def collect(self) -> Iterator[Metric]:
        """Yield the families with what holds now."""
        jobs = self._daemon.spec.jobs
        if self._daemon.spec.revision:  # there is one once the daemon runs
            for removed in [name for name in list(self._series) if name not in jobs]:
                self._series.pop(removed, None)
        yield from self._about_the_daemon()
        yield from self._about_jobs(list(jobs.values()))
        yield from self._about_runs(list(jobs))

    def _count(self, run: Run) -> None:
        series = self._of(run["job"])
        series.count(run)
        series.note(run)
        if run.get("trigger") != "manual" and (late_ms := run.get("late_ms")) is not None:
            self._lateness.add(late_ms / 1000)

    def _of(self, job: str) -> _Series:
        return self._series.setdefault(job, _Series())

    def _about_the_daemon(self) -> Iterator[Metric]:
        daemon, log = self._daemon, self._daemon.store.log
        python = platform.python_version()
        yield _info("sinkd_build_info", version=__version__, python_version=python)
        yield _info("sinkd_config_info", revision=daemon.spec.revision)
        yield _single("sinkd_config_last_reload_successful", daemon.reloader.refused is None)
        yield _single("sinkd_config_last_reload_success_timestamp_seconds", self._accepted_at)
        yield _by_label("sinkd_config_reloads_total", self._reloads)
        yield _single("sinkd_runs_in_flight", len(daemon.flights))
        yield _single("sinkd_runlog_write_errors_total", log.write_errors)
        yield _single("sinkd_printed_lines_dropped_total", self._dropped())

    def _about_jobs(self, jobs: list[Job]) -> Iterator[Metric]:
        daemon, now = self._daemon, self._daemon.clock.wall()
        paused = set(daemon.paused)
        states = {job.name: daemon.store.states.get(job.name) for job in jobs}
        runs = [job.name for job in jobs if job.enabled and job.name not in paused]
        held = sum(job.enabled for job in jobs) - len(runs)
        disabled = len(jobs) - len(runs) - held
        yield _by_label("sinkd_jobs", {"enabled": len(runs), "disabled": disabled, "paused": held})
        enabled = dict.fromkeys([job.name for job in jobs], 0) | dict.fromkeys(runs, 1)
        yield _by_label("sinkd_job_enabled", enabled)
        loaded = {name: known.loaded for name, known in states.items() if known}
        yield _by_label("sinkd_job_loaded_timestamp_seconds", loaded)
        timeouts = {job.name: job.timeout_seconds for job in jobs}
        yield _by_label("sinkd_job_timeout_seconds", timeouts)
        intervals = {job.name: _interval_seconds(job.schedule, int(now // DAY)) for job in jobs}
        yield _by_label("sinkd_job_interval_seconds", intervals)
        pauses = {name: known.pause for name, known in states.items() if known}
        nexts = {job.name: next_run(job, pauses.get(job.name), now) for job in jobs}
        yield _by_label("sinkd_job_next_run_timestamp_seconds", nexts)

    def _about_runs(self, jobs: list[str]) -> Iterator[Metric]:
        series = {job: self._series.get(job) or _Series() for job in jobs}
        ran = {job: each.ran_at for job, each in series.items()}
        yield _by_label("sinkd_job_last_run_timestamp_seconds", ran)
        succeeded = {job: each.succeeded_at for job, each in series.items()}
        yield _by_label("sinkd_job_last_success_timestamp_seconds", succeeded)
        runs = _family("sinkd_runs_total")
        durations = _family("sinkd_run_duration_seconds")
        for job, each in series.items():
            for cause, count in list(each.counts.items()):
                runs.add_metric([job, *cause], count)
            each.durations.put(durations, [job])
        lateness = _family("sinkd_run_lateness_seconds")
        self._lateness.put(lateness, [])
        yield from (runs, durations, lateness)


def newest_runs(data_dir: Path) -> list[Run]:
    """Return runs, among them the last one and the last success of each job.

    What was sealed is known by its summaries.
    """
    newest: dict[str, Totals] = {}
    history = History(data_dir, beyond_summaries=True)
    for jobs in sealed.readable(history.summaries()):
        for name, totals in jobs.items():
            newest.setdefault(name, Totals()).merge(totals)
    found = [run for each in newest.values() for run in (each.last_run, each.last_success) if run]
    last: dict[tuple[str, bool], Run] = {}
    for run in history.runs():
        if run["outcome"] in CLAIMED:
            last[run["job"], run["outcome"] == "success"] = run
    return [tidy(run) for run in (*found, *last.values())]


@lru_cache(maxsize=16_384)
def _interval_seconds(when: Schedule, day: int) -> int:
    return longest_gap_seconds(when, day * DAY)


def _family(name: str) -> Any:  # noqa: ANN401 (each kind has an `add_metric` of its own)
    kind, labels, text = FAMILIES[name]
    return kind(name.removesuffix("_info"), text, labels=labels)


def _info(name: str, **labels: str) -> Metric:
    family = _family(name)
    family.add_metric([], labels)
    return family  # type: ignore[no-any-return]


def _single(name: str, value: float) -> Metric:
    return _by_label(name, {"": value})


def _by_label(name: str, values: Mapping[str, float | None]) -> Metric:
    """Return a family of one label, or none; what is None has no series."""
    family = _family(name)
    for label, value in values.items():
        if value is not None:
            family.add_metric([label], value)
    return family  # type: ignore[no-any-return]
