"""A job as the pages show it: its state in a word and a mark, its figures, its last run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from sinkd.history import is_run, parse
from sinkd.overview import Hour, Overview, Past
from sinkd.record import Run
from sinkd.report import Row, Summary, has_labels, rows, tidy
from sinkd.spec import Job, Spec
from sinkd.standing import Standing
from sinkd.state import Pause

if TYPE_CHECKING:
    from sinkd.daemon import Daemon

State: TypeAlias = Literal["failing", "ok", "new", "paused", "disabled"]

ORDER: Final[Sequence[State]] = ("failing", "ok", "new", "paused", "disabled")
RANKS: Final[Mapping[State, int]] = {"failing": 0, "ok": 1, "new": 1, "paused": 2, "disabled": 3}
MARKS: Final[Mapping[str, str]] = {
    "failing": "✕",
    "ok": "✓",
    "new": "○",
    "paused": "‖",
    "disabled": "\N{EN DASH}",
    "success": "✓",
    "failure": "✕",
    "interrupted": "✕",
    "skipped": "↷",
    "missed": "∅",
}
WORDS: Final[Mapping[str, str]] = {"new": "no run yet"}


@dataclass(frozen=True, slots=True)
class Card:
    """What a row of the page shows of a job. `in_flight` is the id of its run that is."""

    row: Row
    state: State
    day: Sequence[Hour]
    in_flight: str | None

    @property
    def share(self) -> str:
        """The share of its runs that succeeded, a dash when there are none."""
        percent = self.row.totals.percent
        return "\N{EN DASH}" if percent is None else f"{percent} %"


@dataclass(frozen=True, slots=True)
class Filter:
    """Which jobs are shown; nothing asked for are all."""

    state: str = ""
    labels: Mapping[str, str] | None = None
    text: str = ""

    def wants(self, job: Job, state: State) -> bool:
        """Say whether a job is shown."""
        if self.state and state != self.state:
            return False
        if self.labels and not has_labels(dict(job.labels), self.labels):
            return False
        return self.text.lower() in f"{job.name} {job.description or ''}".lower()


def state_of(job: Job, pause: Pause | None, past: Past) -> State:
    """Return how a job is; one that is not scheduled is neither well nor failing."""
    if not job.enabled:
        return "disabled"
    if pause:
        return "paused"
    if past.failing:
        return "failing"
    return "ok" if past.seq else "new"


def card(daemon: "Daemon", overview: Overview, job: Job, now: float) -> Card:
    """Return what is shown of a job."""
    known = daemon.store.states.get(job.name)
    pause = known.pause if known else None
    flight, past = daemon.flights.of(job.name), overview.past(job.name)
    return Card(
        row_of(job, overview, pause, now),
        state_of(job, pause, past),
        past.day(now),
        flight.run_id if flight else None,
    )


def row_of(job: Job, overview: Overview, pause: Pause | None, now: float) -> Row:
    """Return the row of a job as `sinkd report` has it."""
    alone = Summary(0, jobs={job.name: overview.totals(job.name)})
    stands = Standing(pauses={job.name: pause} if pause else {})
    return rows({job.name: job}, alone, stands, now)[0]


def records_of(overview: Overview, job: str) -> list[Run]:
    """Return the last records of a job as they are in the log, newest first."""
    records = (parse(line) for line in reversed(overview.past(job).lines))
    return [record for record in records if is_run(record)]


def runs_of(overview: Overview, job: str) -> list[Run]:
    """Return the last records of a job as they can be shown, newest first."""
    return [tidy(record) for record in records_of(overview, job)]


def in_order(
    spec: Spec, overview: Overview, held: Mapping[str, Pause], wanted: Filter
) -> list[Job]:
    """Return the jobs that are wanted: failing first, in the order of the file otherwise."""
    states = {
        name: state_of(job, held.get(name), overview.past(name)) for name, job in spec.jobs.items()
    }
    jobs = [job for job in spec.jobs.values() if wanted.wants(job, states[job.name])]
    return sorted(jobs, key=lambda job: RANKS[states[job.name]])
