"""How jobs.yaml is written: its shape, with a description and examples on each field.

The JSON Schema is made from these types, and `source` checks a file's data with them. What only
`source` knows is listed in `schemas/README.md`. A job's null drops the value of `defaults`.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal, Required, TypeAlias

from pydantic import ConfigDict, Field, TypeAdapter, with_config
from typing_extensions import TypedDict

from sinkd import grammar
from sinkd.spec import On

JOBS_LIMIT: Final = 50_000
LABELS_LIMIT: Final = 8
NOTIFY_LIMIT: Final = 8
BOUNDS: Final = {
    "interval_minutes": (1, 1440),
    "start_minute": (0, 59),
    "timeout_seconds": (1, 3600),
    "catch_up_minutes": (0, 720),
}
BODY_LIMIT_BYTES: Final = 1024 * 1024

_STRICT = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)
_OPEN = ConfigDict(
    json_schema_extra={"patternProperties": {"^x-": {"description": "Ignored by sinkd."}}}
)

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
TimeOfDay = Annotated[str, Field(pattern=grammar.TIME_OF_DAY)]
LabelKey = Annotated[str, Field(pattern=grammar.LABEL_KEY)]
LabelValue = Annotated[str, Field(max_length=64)]
HeaderName = Annotated[str, Field(pattern=grammar.HEADER_NAME)]

Zone: TypeAlias = Annotated[
    str,
    Field(
        description="IANA time zone of `at`.",
        examples=["America/New_York", "Europe/Berlin", "UTC"],
    ),
]
Timeout: TypeAlias = Annotated[
    int,
    Field(
        ge=BOUNDS["timeout_seconds"][0],
        le=BOUNDS["timeout_seconds"][1],
        description="Total deadline of one run: DNS, connection, request and whole answer. "
        "Default 60; 50 for a job of each minute.",
        examples=[30],
    ),
]
CatchUp: TypeAlias = Annotated[
    int,
    Field(
        ge=BOUNDS["catch_up_minutes"][0],
        le=BOUNDS["catch_up_minutes"][1],
        description="How late the newest due slot may still run, after sinkd was down. "
        "Default: half the interval, at most 60.",
        examples=[5],
    ),
]
SigningSecret: TypeAlias = Annotated[
    str,
    Field(
        pattern=grammar.SIGNING_SECRET,
        description="References to the keys (`whsec_…`) of the Standard Webhooks headers; "
        "several, separated by blanks, sign with each.",
        examples=["${env:WEBHOOK_SECRET}", "${file:webhook-new} ${file:webhook-old}"],
    ),
]
CaptureHeaders: TypeAlias = Annotated[
    list[HeaderName],
    Field(
        max_length=8,
        description="Response headers copied into the run record.",
        examples=[["X-Session-Id"]],
    ),
]
LABELS: Final = Field(
    description="Names and values to filter by in `report`, `tail` and on the page.",
    examples=[{"team": "shop"}],
)
HEADERS: Final = Field(
    description="Request headers. `${env:NAME}` and `${file:NAME}` in a value are looked up "
    "when the request is sent.",
    examples=[{"Authorization": "Bearer ${env:AGENTS_TOKEN}"}],
)


@with_config(
    _STRICT
    | ConfigDict(
        json_schema_extra={
            "oneOf": [
                {
                    "required": ["interval_minutes"],
                    "not": {"anyOf": [{"required": [name]} for name in ("at", "timezone", "days")]},
                },
                {
                    "required": ["at"],
                    "not": {
                        "anyOf": [
                            {"required": [name]} for name in ("interval_minutes", "start_minute")
                        ]
                    },
                },
            ]
        }
    )
)
class Schedule(TypedDict, total=False):
    """When the job is due: every so many minutes, or at local times of day."""

    interval_minutes: Annotated[
        int,
        Field(
            ge=BOUNDS["interval_minutes"][0],
            le=BOUNDS["interval_minutes"][1],
            description="Minutes between slots, counted in UTC, unaffected by summer time.",
            examples=[15],
        ),
    ]
    start_minute: Annotated[
        int,
        Field(
            ge=BOUNDS["start_minute"][0],
            le=BOUNDS["start_minute"][1],
            description="Shifts the grid: 15 with 5 is due at :05, :20, :35 and :50. Default 0.",
            examples=[5],
        ),
    ]
    at: Annotated[
        TimeOfDay | Annotated[list[TimeOfDay], Field(min_length=1, max_length=100)],
        Field(
            description="Local time of day `HH:MM`, or a list of them, instead of "
            "`interval_minutes`.",
            examples=["09:00", ["09:00", "17:30"]],
        ),
    ]
    timezone: Zone | None
    days: Annotated[
        list[Day],
        Field(
            min_length=1,
            max_length=7,
            description="Local weekdays of `at`. Default: every day.",
            examples=[["mon", "tue", "wed", "thu", "fri"]],
        ),
    ]


@with_config(
    _STRICT
    | ConfigDict(
        json_schema_extra={
            "if": {"required": ["method"], "properties": {"method": {"enum": ["GET", "HEAD"]}}},
            "then": {"not": {"required": ["body"]}},
        }
    )
)
class Request(TypedDict, total=False):
    """The HTTP request that a run sends."""

    url: Required[
        Annotated[
            str,
            Field(
                max_length=grammar.URL_LIMIT_CHARACTERS,
                pattern="^https?://",
                description="`http` or `https`, ASCII, without credentials and fragment. "
                "References may stand in path and query.",
                examples=["https://api.example.com/v1/cache/refresh"],
            ),
        ]
    ]
    method: Annotated[Method, Field(description="Default `POST`.", examples=["GET"])]
    headers: Annotated[dict[HeaderName, str | None] | None, HEADERS]
    body: Annotated[
        str | dict[str, Any] | list[Any],
        Field(
            description="A text is sent as it is; a mapping or list as JSON, with its "
            "`Content-Type`. Not with GET and HEAD.",
            examples=[{"mode": "research"}, "plain text"],
        ),
    ]


@with_config(_STRICT | _OPEN)
class Job(TypedDict, total=False):
    """One named job."""

    name: Required[
        Annotated[
            str,
            Field(
                pattern=grammar.NAME,
                description="The job's identity in the run log, unique in the file.",
                examples=["refresh-cache"],
            ),
        ]
    ]
    description: Annotated[
        str, Field(description="A sentence for people.", examples=["Refresh the product cache"])
    ]
    labels: Annotated[
        Annotated[dict[LabelKey, LabelValue | None], Field(max_length=LABELS_LIMIT)] | None, LABELS
    ]
    schedule: Required[Schedule]
    request: Required[Request]
    timeout_seconds: Timeout | None
    catch_up_minutes: CatchUp | None
    signing_secret: SigningSecret | None
    capture_headers: CaptureHeaders | None
    enabled: Annotated[
        bool,
        Field(
            description="false: the job is not scheduled, from about a second after the file "
            "changes. Default true.",
            examples=[False],
        ),
    ]


@with_config(_STRICT)
class Notify(TypedDict, total=False):
    """Where to tell of jobs that fail and recover, and of refused files: one POST of JSON each."""

    url: Required[
        Annotated[
            str,
            Field(
                max_length=grammar.URL_LIMIT_CHARACTERS,
                pattern="^https?://",
                description="As a job's. What is told is "
                "`{text, on, job, run}` or `{text, on, event}`.",
                examples=["https://hooks.slack.com/services/T0/B0/${env:SLACK_TOKEN}"],
            ),
        ]
    ]
    headers: Annotated[dict[HeaderName, str], HEADERS]
    signing_secret: SigningSecret
    on: Annotated[
        list[On],
        Field(
            min_length=1,
            max_length=3,
            description="What to tell of: a slot that was not answered by success after one that "
            "was, the reverse, a jobs file that was refused. Default: all three.",
            examples=[["failure", "recovery"]],
        ),
    ]


@with_config(_STRICT)
class DefaultRequest(TypedDict, total=False):
    """What `defaults` may say about requests."""

    headers: Annotated[dict[HeaderName, str], HEADERS]


@with_config(_STRICT)
class Defaults(TypedDict, total=False):
    """Values of jobs that set none themselves; headers merge by name, labels by key."""

    timezone: Zone
    timeout_seconds: Timeout
    catch_up_minutes: CatchUp
    signing_secret: SigningSecret
    capture_headers: CaptureHeaders
    labels: Annotated[dict[LabelKey, LabelValue], Field(max_length=LABELS_LIMIT), LABELS]
    request: DefaultRequest


@with_config(_STRICT | _OPEN)
class JobsFile(TypedDict, total=False):
    """Jobs of sinkd: HTTP requests on minute-aligned schedules."""

    version: Required[Annotated[Literal[1], Field(description="Format version.", examples=[1])]]
    defaults: Defaults
    notify: Annotated[
        list[Notify],
        Field(
            max_length=NOTIFY_LIMIT,
            description="Who is told when a job fails or recovers, or a file is refused.",
            examples=[[{"url": "https://ntfy.sh/${env:NTFY_TOPIC}", "on": ["failure"]}]],
        ),
    ]
    jobs: Required[
        Annotated[
            list[Job],
            Field(
                max_length=JOBS_LIMIT,
                description="The jobs; `[]` is the only way to say that there are none.",
                examples=[[]],
            ),
        ]
    ]


ADAPTER: Final = TypeAdapter(JobsFile)


def is_ignored(key: str) -> bool:
    """Say whether a key at the top or in a job is for other tools: `x-…`."""
    return key.startswith("x-")


def merged(
    defaults: Mapping[str, str] | None,
    own: Mapping[str, str | None] | None,
    key: Callable[[str], str] = str,
) -> tuple[tuple[str, str], ...]:
    """Return a job's headers or labels with those of `defaults`, which come first.

    Two names are one when their `key` is; a null in `own` drops the default, None drops all.
    """
    if own is None:
        return ()
    both = {key(name): (name, value) for name, value in (defaults or {}).items()}
    dropped = {key(name) for name, value in own.items() if value is None}
    both.update({key(name): (name, value) for name, value in own.items() if value is not None})
    return tuple(pair for name, pair in both.items() if name not in dropped)
