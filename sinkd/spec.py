"""What jobs.yaml means: the immutable description of every job, with all defaults applied.

`jobsfile` describes how the file is written, `source` reads it into this. Values that may hold
references (`${env:NAME}`, `${file:NAME}`) keep them as written: they are resolved when a request
is sent (H10), so a `Spec` never holds a secret.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from sinkd.grammar import Reference, references

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

On: TypeAlias = Literal["failure", "recovery", "config_refused"]

JSONValue: TypeAlias = "bool | int | float | str | list[JSONValue] | dict[str, JSONValue] | None"


@dataclass(frozen=True, slots=True)
class Interval:
    """Every `interval_minutes` on the UTC epoch grid (S3).

    `epoch_minute % interval_minutes == start_minute % interval_minutes` at each slot.
    """

    interval_minutes: int
    start_minute: int = 0


@dataclass(frozen=True, slots=True)
class Daily:
    """Local times of day in one zone, on some weekdays (S4).

    `at` holds `HH:MM` texts, sorted and distinct; `days` is a subset of `WEEKDAYS` in that order.
    """

    at: tuple[str, ...]
    timezone: str
    days: tuple[str, ...] = WEEKDAYS


Schedule: TypeAlias = Interval | Daily


@dataclass(frozen=True, slots=True)
class Request:
    """The HTTP request of a job, references unresolved.

    `headers` holds those of the job and of `defaults`, in file order, names as written.
    `body` is a text, or a mapping or list that is sent as JSON, or None for no body.
    """

    url: str
    method: str = "POST"
    headers: tuple[tuple[str, str], ...] = ()
    body: str | list[JSONValue] | dict[str, JSONValue] | None = None

    @property
    def public_url(self) -> str:
        """The URL's text up to `?`, as records show it."""
        return self.url.partition("?")[0]

    @property
    def references(self) -> list[Reference]:
        """All references whose values the request carries to its host, in file order."""
        sent = [self.url, *(value for _, value in self.headers), *_texts(self.body)]
        return [reference for text in sent for reference in references(text)]


@dataclass(frozen=True, slots=True)
class Job:
    """One named job with every default applied.

    `catch_up_seconds` is the window of T3: how late the newest due slot may still be sent.
    `signing_secret` is a text of references, or None when requests are not signed.
    `capture_headers` holds lower-case names of response headers copied into the record.
    """

    name: str
    schedule: Schedule
    request: Request
    timeout_seconds: int
    catch_up_seconds: int
    description: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    signing_secret: str | None = None
    capture_headers: tuple[str, ...] = ()
    enabled: bool = True

    @property
    def references(self) -> list[Reference]:
        """All references that a run needs: those of its request, and of the signing key."""
        return self.request.references + references(self.signing_secret or "")


@dataclass(frozen=True, slots=True)
class Notify:
    """Where to tell of a job that fails or recovers, or of a refused file; references unresolved.

    `on` holds what to tell of: `failure`, `recovery`, `config_refused`.
    """

    url: str
    on: tuple[On, ...]
    headers: tuple[tuple[str, str], ...] = ()
    signing_secret: str | None = None

    def request(self, body: str | None = None) -> Request:
        """Return the request that tells somebody."""
        return Request(self.url, "POST", self.headers, body)

    @property
    def references(self) -> list[Reference]:
        """All references that a notice needs."""
        return self.request().references + references(self.signing_secret or "")


@dataclass(frozen=True, slots=True)
class Spec:
    """One accepted jobs file: its jobs by name, in file order, and the SHA-256 of its bytes."""

    jobs: Mapping[str, Job]
    revision: str
    notify: tuple[Notify, ...] = ()

    @property
    def config(self) -> str:
        """The first 12 hex digits of the revision, as records show it."""
        return self.revision[:12]

    @property
    def references(self) -> list[Reference]:
        """All references that its jobs and notices need."""
        users: list[Job | Notify] = [*self.jobs.values(), *self.notify]
        return [reference for user in users for reference in user.references]


def default_timeout_seconds(schedule: Schedule) -> int:
    """Return the total deadline of a job that sets none: 60 s, 50 s for a job of each minute."""
    return 50 if isinstance(schedule, Interval) and schedule.interval_minutes == 1 else 60


def default_catch_up_seconds(schedule: Schedule) -> int:
    """Return the catch-up window of a job that sets none (T3): half an interval, at most 1 h."""
    if isinstance(schedule, Interval):
        return min(30 * schedule.interval_minutes, 3600)
    return 3600


def _texts(value: JSONValue) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for item in value:
                yield from _texts(item)
        case dict():
            for item in value.values():
                yield from _texts(item)
