"""The JSON objects that commands and the daemon answer with; schemas are made of these.

A field is always there, null where there is nothing to say, but for those that are marked.
"""

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from sinkd.record import Problem, Run, Time
from sinkd.spec import On

WhyAnswer = Literal[
    "ran", "failed", "skipped", "missed", "interrupted", "in_flight", "waiting", "not_due",
    "paused", "unknown_job", "config_refused", "down", "future", "before_log",
]  # fmt: skip


class Explained(TypedDict):
    """One minute of a job, explained."""

    job: str
    at: Annotated[Time, Field(description="The minute that was asked for.")]
    answer: Annotated[WhyAnswer, Field(description="`paused`: by a person, or disabled.")]
    explanation: Annotated[str, Field(description="In sentences: the cause, and what to do.")]
    run: Annotated[Run | None, Field(description="The line of the run log that says so.")]


class Why(Explained):
    """What became of a job at a minute."""

    second: Annotated[
        NotRequired[Explained], Field(description="In a fold: of the time that came again.")
    ]


class Slots(TypedDict):
    """Slots of a job that follow each other."""

    job: str
    scheduled_at: Annotated[Time, Field(description="The first slot.")]
    last_scheduled_at: Annotated[Time, Field(description="The last slot.")]
    count: Annotated[int, Field(ge=1)]
    seqs: Annotated[NotRequired[list[int]], Field(description="The lines that answer them.")]


class Audit(TypedDict):
    """Whether each due slot has exactly one answer."""

    since: Annotated[Time | None, Field(description="null when nothing could be checked.")]
    until: Annotated[Time, Field(description="The last sign of life.")]
    checked: Annotated[int, Field(ge=0, description="How many slots were due.")]
    unanswered: list[Slots]
    duplicates: list[Slots]
    notes: Annotated[list[str], Field(description="What could not be checked comes first.")]


class Paused(TypedDict):
    """A job that a person holds."""

    job: str
    until: Time
    reason: str
    by: str


class Refused(TypedDict):
    """The jobs file on disk, which was refused."""

    revision: Annotated[str | None, Field(description="null when the file could not be read.")]
    at: Time
    problems: list[Problem]
    total: int


class Jobs(TypedDict):
    """How many jobs the running configuration has."""

    enabled: int
    disabled: int


class Status(TypedDict):
    """How a daemon is: without one, how its files were left."""

    alive: Annotated[bool, Field(description="The lock of the data directory is held.")]
    pid: int | None
    instance: str | None
    revision: str | None
    config: Annotated[str | None, Field(description="First 12 hex of the revision.")]
    commit: str | None
    source: Annotated[Literal["file", "last_good"] | None, Field(description="Of the last start.")]
    accepted_at: Time | None
    refused: Refused | None
    secrets_missing: Annotated[list[str], Field(description="References as written.")]
    log_unwritable: Annotated[str | None, Field(description="The errno's name, as in `ENOSPC`.")]
    paused: list[Paused]
    jobs: Jobs | None
    in_flight: Annotated[list[str], Field(description="Run ids.")]
    tzdata: str | None


class RunningConfig(TypedDict):
    """The jobs file that a daemon runs (`/api/v1/config`), references unresolved."""

    revision: Annotated[str, Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of the text.")]
    commit: str | None
    text: Annotated[str, Field(description="The accepted file, which says all that runs.")]
    paused: list[Paused]


class ReportJob(TypedDict):
    """The totals of a job, over the whole log or a window of it."""

    job: str
    description: str | None
    labels: dict[str, str]
    enabled: bool
    paused_until: Time | None
    schedule: Annotated[str | None, Field(description="In words; null: the job was removed.")]
    total_runs: Annotated[
        int, Field(ge=0, description="`successful_runs` + `failed_runs` + `interrupted`.")
    ]
    successful_runs: Annotated[int, Field(ge=0)]
    failed_runs: Annotated[int, Field(ge=0)]
    skipped: Annotated[int, Field(ge=0, description="A range counts each of its slots.")]
    missed: Annotated[int, Field(ge=0)]
    interrupted: Annotated[int, Field(ge=0)]
    last_run_at: Time | None
    last_outcome: Literal["success", "failure", "interrupted"] | None
    next_run_at: Annotated[Time | None, Field(description="null: it runs no more.")]
    p50_ms: int | None
    p95_ms: int | None


class JobNow(ReportJob):
    """A job of the running configuration, and how it is."""

    state: Annotated[
        Literal["failing", "ok", "new", "paused", "disabled"],
        Field(description="`failing`: its newest slot was not answered by success."),
    ]


class JobsNow(TypedDict):
    """Every job of the running configuration (`/api/v1/jobs`)."""

    at: Time
    jobs: Annotated[list[JobNow], Field(description="In the order of the file.")]


class JobRuns(TypedDict):
    """The last 50 records of a job (`/api/v1/jobs/NAME/runs`)."""

    job: str
    runs: Annotated[list[Run], Field(description="Newest first.")]


class Badge(TypedDict):
    """A badge in the form of shields.io's endpoint (`/badge/NAME.json`)."""

    schemaVersion: Literal[1]
    label: str
    message: str
    color: str


class RunsPerDay(TypedDict):
    """The slots of the next 7 days divided by 7, with one decimal."""

    before: float
    after: float


class FieldChange(TypedDict):
    """A field of a job that differs, named by its path in the file."""

    field: str
    change: Literal["added", "changed", "removed"]
    before: Annotated[
        NotRequired[bool | float | str | list[str] | None],
        Field(description="Both values are absent for headers, bodies and queries."),
    ]
    after: NotRequired[bool | float | str | list[str] | None]


# `from` is a keyword, so this one cannot be written as a class.
PlannedJob = TypedDict(
    "PlannedJob",
    {
        "job": str,
        "from": Annotated[NotRequired[str], Field(description="Of a renamed job: its old name.")],
        "fields": Annotated[
            NotRequired[list[FieldChange]], Field(description="Of a changed or renamed job.")
        ],
        "schedule": Annotated[str, Field(description="In words.")],
        "method": str,
        "url": Annotated[str, Field(description="Up to `?`, references unresolved.")],
        "enabled": bool,
        "runs_per_day": RunsPerDay,
        "next_run_at": Annotated[Time | None, Field(description="null: it runs no more.")],
        "first_new_at": Annotated[
            Time | None, Field(description="The first slot that is new, if there is one in 7 days.")
        ],
        "first_dropped_at": Annotated[
            Time | None,
            Field(description="The first slot that is gone, if there is one in 7 days."),
        ],
        "new_host": Annotated[str | None, Field(description="A host no job used before.")],
        "receives": Annotated[
            list[str], Field(description="References that the job's host did not get before.")
        ],
        "needs": Annotated[list[str], Field(description="References that no job had before.")],
    },
)
PlannedJob.__doc__ = "A job that differs: as it will be, or as it was when it is removed."


class PlannedNotify(TypedDict):
    """An item of `notify` that comes or goes; one that changed does both."""

    change: Literal["added", "removed"]
    url: Annotated[str, Field(description="Up to `?`, references unresolved.")]
    on: list[On]
    new_host: Annotated[str | None, Field(description="null: something was sent there before.")]
    receives: Annotated[list[str], Field(description="References new for this host.")]
    needs: Annotated[list[str], Field(description="References that nothing had.")]


class Plan(TypedDict):
    """What a jobs file changes."""

    added: list[PlannedJob]
    changed: list[PlannedJob]
    removed: list[PlannedJob]
    renamed: list[PlannedJob]
    unchanged: Annotated[int, Field(ge=0)]
    runs_per_day: RunsPerDay
    notify: list[PlannedNotify]
    paused: Annotated[NotRequired[list[Paused]], Field(description="Against a daemon only.")]


class Position(TypedDict):
    """A place in a jobs file, characters counted from 1."""

    line: Annotated[int, Field(ge=1)]
    column: Annotated[int, Field(ge=1)]


class Range(TypedDict):
    """A piece of a jobs file, up to the character before its end."""

    start: Position
    end: Position


class RelatedPlace(TypedDict):
    """Another place that a finding is about."""

    range: Range
    label: str


class Fix(TypedDict):
    """A replacement that repairs the file."""

    range: Range
    text: str
    safe: Annotated[bool, Field(description="Whether it is certain: `--fix` applies it.")]


class Finding(TypedDict):
    """What is wrong at one place, and what to write instead."""

    code: Annotated[str, Field(pattern="^SNK[0-9]{3}$", description="`sinkd explain CODE`.")]
    severity: Literal["error", "warning"]
    message: Annotated[str, Field(description="The value and the rule.")]
    label: Annotated[str, Field(description="The fix, in words.")]
    path: str
    job: str | None
    range: Range
    help: list[str]
    related: list[RelatedPlace]
    fix: Fix | None


class Totals(TypedDict):
    """How many findings there are."""

    errors: Annotated[int, Field(ge=0)]
    warnings: Annotated[int, Field(ge=0)]
    fixable: Annotated[int, Field(ge=0, description="Errors and warnings that `--fix` repairs.")]


class Validate(TypedDict):
    """What is wrong with jobs files."""

    files: Annotated[list[str], Field(description="Those that were read.")]
    diagnostics: Annotated[list[Finding], Field(description="By file, in the order of its text.")]
    summary: Totals
