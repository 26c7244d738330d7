"""The lines of `runs.jsonl` and `events.jsonl`, format version 1: their fields and their bytes.

A record is a plain dict, typed here; a field that does not apply is absent, an unknown value is
None. `schemas/run.schema.json` and `schemas/event.schema.json` are made from these types, and
`schemas/README.md` specifies the file format. Readers ignore unknown fields and unknown events.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, NotRequired

from pydantic import Field
from pydantic_core import to_json
from typing_extensions import TypedDict

from sinkd.instant import minute_text, rfc3339
from sinkd.spec import On

VERSION: Final = 1
LINE_LIMIT_BYTES: Final = 32 * 1024  # R6
ERROR_LIMIT_CHARACTERS: Final = 300  # R10

Trigger = Literal["schedule", "catch_up", "manual"]
Outcome = Literal["success", "failure", "skipped", "missed", "interrupted"]
CLAIMED: Final[frozenset[Outcome]] = frozenset({"success", "failure", "interrupted"})  # R3
FailureReason = Literal[
    "http_status", "dns", "connect", "tls", "protocol", "read", "write", "timeout", "policy",
    "secret", "internal",
]  # fmt: skip
SkipReason = Literal["overlap", "capacity", "paused"]
MissReason = Literal["down", "suspended", "clock_step", "stalled", "draining", "log_unwritable"]
InterruptReason = Literal["crash", "shutdown"]
Reason = FailureReason | SkipReason | MissReason | InterruptReason
Phase = Literal["dns", "connect", "tls", "write", "headers", "body"]

REASONS: Final[Mapping[Outcome, tuple[str, ...]]] = {
    "success": (),
    "failure": FailureReason.__args__,  # type: ignore[attr-defined]
    "skipped": SkipReason.__args__,  # type: ignore[attr-defined]
    "missed": MissReason.__args__,  # type: ignore[attr-defined]
    "interrupted": InterruptReason.__args__,  # type: ignore[attr-defined]
}

Time = Annotated[str, Field(description="RFC 3339 in UTC, ending in `Z`.")]


class Run(TypedDict):
    """One finished run, one skipped slot, or one range of missed slots."""

    v: Annotated[Literal[1], Field(description="Format version.")]
    seq: Annotated[int, Field(ge=1, description="Increases over journal, runs and events.")]
    run_id: Annotated[str, Field(description="`job@2026-11-23T09:00Z`; manual: `…#manual`.")]
    job: str
    labels: NotRequired[dict[str, str]]
    scheduled_at: Annotated[Time, Field(description="The slot; of a range the first one.")]
    last_scheduled_at: Annotated[NotRequired[Time], Field(description="Of a range: the last slot.")]
    count: Annotated[NotRequired[int], Field(ge=1, description="Of a range: how many slots.")]
    trigger: NotRequired[Trigger]
    outcome: Outcome
    reason: NotRequired[Reason]
    phase: NotRequired[Phase]
    status_code: NotRequired[int]
    error: Annotated[NotRequired[str], Field(max_length=ERROR_LIMIT_CHARACTERS)]
    started_at: Annotated[NotRequired[Time], Field(description="When the claim was durable.")]
    late_ms: Annotated[NotRequired[int], Field(description="`started_at` less `scheduled_at`.")]
    finished_at: NotRequired[Time | None]
    duration_ms: NotRequired[int | None]
    response_bytes: NotRequired[int]
    truncated: Annotated[NotRequired[bool], Field(description="True: more than 1 MiB came.")]
    response_headers: NotRequired[dict[str, str]]
    method: NotRequired[str]
    url: Annotated[NotRequired[str], Field(description="Up to `?`, references unresolved.")]
    config: Annotated[NotRequired[str], Field(description="First 12 hex of the revision.")]
    commit: NotRequired[str]
    tzdata: NotRequired[str]
    trace_id: NotRequired[str]
    instance: NotRequired[str]
    replica: NotRequired[str]
    blocked_by: Annotated[NotRequired[str], Field(description="Of an overlap: the run in flight.")]


class Problem(TypedDict):
    """One reason why a file was refused; lines and columns count from 1."""

    code: str
    line: int
    column: int
    message: str


class _Event(TypedDict):
    v: Literal[1]
    seq: Annotated[int, Field(ge=1)]
    at: Time


class Started(_Event):
    """The daemon began to run."""

    event: Literal["started"]
    version: str
    pid: int
    host: str
    instance: NotRequired[str]
    tzdata: str
    source: Literal["file", "last_good"]


class Stopped(_Event):
    """The daemon stopped by itself; `clean` when every record was durable."""

    event: Literal["stopped"]
    reason: str
    clean: bool


class UncleanStop(_Event):
    """A start found that the daemon before had not stopped by itself (R12)."""

    event: Literal["unclean_stop"]
    last_alive_at: Time


class ConfigAccepted(_Event):
    """A jobs file is in use from here on."""

    event: Literal["config_accepted"]
    revision: str
    commit: NotRequired[str]
    path: str
    added: list[str]
    changed: list[str]
    removed: list[str]
    paused: Annotated[list[str], Field(description="`enabled` became false.")]
    resumed: Annotated[list[str], Field(description="`enabled` became true.")]


class ConfigRefused(_Event):
    """A jobs file was refused; the one before stays in use (C4)."""

    event: Literal["config_refused"]
    revision: Annotated[str | None, Field(description="null when the file could not be read.")]
    problems: Annotated[list[Problem], Field(max_length=20)]
    total: int


class ConfigRestored(_Event):
    """The accepted bytes are back while a refusal was showing (C9)."""

    event: Literal["config_restored"]
    revision: str


class ConfigUnsettled(_Event):
    """The file has kept changing for 10 s, so nothing was applied (C2)."""

    event: Literal["config_unsettled"]


class ConfigShrunk(_Event):
    """A reload removed or disabled over half of the jobs (C10)."""

    event: Literal["config_shrunk"]
    removed: int
    paused: int
    total: Annotated[int, Field(description="Jobs enabled before the reload.")]


class JobPaused(_Event):
    """A person holds a job (T10)."""

    event: Literal["job_paused"]
    job: str
    until: Time
    reason: str
    by: str


class JobResumed(_Event):
    """A pause ended, by a person or because its time was over (`expired`)."""

    event: Literal["job_resumed"]
    job: str
    by: str


class SecretMissing(_Event):
    """A reference cannot be resolved; runs that need it are `failure/secret` (H10)."""

    event: Literal["secret_missing"]
    reference: str
    jobs: list[str]


class Notify(_Event):
    """Somebody was told of a job or of the jobs file, or could not be: `error` says why."""

    event: Literal["notify"]
    on: On
    job: NotRequired[str]
    status_code: NotRequired[int]
    error: NotRequired[str]


# `from` is a keyword, so this one cannot be written as a class.
ClockStep = TypedDict(
    "ClockStep",
    {
        "v": Literal[1],
        "seq": Annotated[int, Field(ge=1)],
        "at": Time,
        "event": Literal["clock_step"],
        "from": Time,
        "to": Time,
    },
)
ClockStep.__doc__ = (
    "The wall clock was set: `from` is what it would have shown, `to` what it shows."
)


class Suspended(_Event):
    """The machine slept."""

    event: Literal["suspended"]
    seconds: float


class Stalled(_Event):
    """Time passed while the daemon's loop did not run."""

    event: Literal["stalled"]
    seconds: float


class LogFailed(_Event):
    """The run log cannot be written; nothing is sent until it can (E1)."""

    event: Literal["log_failed"]
    errno: str


class LogRecovered(_Event):
    """The run log can be written again; `held` records were kept in memory meanwhile."""

    event: Literal["log_recovered"]
    held: int


class Rotated(_Event):
    """A log file was sealed as a segment (L1), or was found replaced or cut from outside."""

    event: Literal["rotated"]
    segment: Annotated[str, Field(description="From outside: the log file itself.")]
    cut_bytes: Annotated[NotRequired[int], Field(description="Cut from outside, maybe lost (L3).")]


class Expired(_Event):
    """Sealed segments were removed (L6)."""

    event: Literal["expired"]
    segments: list[str]


Event = (
    Started | Stopped | UncleanStop | ConfigAccepted | ConfigRefused | ConfigRestored
    | ConfigUnsettled | ConfigShrunk | JobPaused | JobResumed | SecretMissing | Notify | ClockStep
    | Suspended | Stalled | LogFailed | LogRecovered | Rotated | Expired
)  # fmt: skip


def run_id(job: str, slot: int) -> str:
    """Return the identity of a scheduled run: `job@2026-11-23T09:00Z` (S1)."""
    return f"{job}@{minute_text(slot)}"


def manual_run_id(job: str, asked_at: float) -> str:
    """Return the identity of a manual run: `job@2026-11-23T09:00:12.345Z#manual`."""
    return f"{job}@{rfc3339(float(asked_at))}#manual"


def ordered(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's fields in the order of `Run`, in which people read a line."""
    return {name: fields[name] for name in Run.__annotations__ if name in fields}


def line(record: Mapping[str, Any]) -> bytes:
    """Return the record as one line of ASCII JSON, newline last, at most 32 KiB (R6).

    A longer one loses `response_headers` first, then the end of `error`; an event that names too
    many jobs loses the end of its longest list.
    """
    encoded = to_json(record, ensure_ascii=True)
    if len(encoded) >= LINE_LIMIT_BYTES:
        fields = dict(record)
        while len(encoded) >= LINE_LIMIT_BYTES and _shorten(fields):
            encoded = to_json(fields, ensure_ascii=True)
    return encoded + b"\n"


def _shorten(fields: dict[str, Any]) -> bool:
    """Take away what a record can do without most; False when there is nothing of the kind."""
    if fields.pop("response_headers", None):
        return True
    if len(fields.get("error") or "") > ERROR_LIMIT_CHARACTERS:
        fields["error"] = fields["error"][:ERROR_LIMIT_CHARACTERS]
        return True
    lists = [(len(value), name) for name, value in fields.items() if isinstance(value, list)]
    length, longest = max(lists, default=(0, ""))
    if length:
        fields[longest] = fields[longest][: length // 2]
    return length > 0
