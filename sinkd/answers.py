"""The JSON objects that `why`, `audit` and `status` answer with; their schemas are made of these.

A field is always there, null where there is nothing to say; `second` alone may be absent.
"""

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from sinkd.record import Problem, Run, Time

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
