"""What a new jobs file changes: the difference of two specs, job by job, and what follows from it.

`changes` names the jobs that differ, for the daemon's event. `compare` is for people who decide
whether to merge: fields, the runs that come and go, hosts and the references they receive, load.
Values of headers, bodies and queries are compared and not kept: they may be secrets.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Final, Literal, TypeAlias

from sinkd import answers, grammar
from sinkd.grammar import Reference
from sinkd.instant import DAY, MINUTE, rfc3339
from sinkd.load import load_by_minute
from sinkd.schedule import describe, latest_slot, next_slot, runs_per_day, slots
from sinkd.spec import (
    Daily,
    Interval,
    Job,
    Notify,
    Schedule,
    Spec,
    default_catch_up_seconds,
    default_timeout_seconds,
)

Value: TypeAlias = bool | float | str | tuple[str, ...]

_SECTIONS: Final = (
    *("enabled", "schedule", "request", "timeout_seconds", "catch_up_minutes"),
    *("signing_secret", "capture_headers", "labels", "description"),
)
_NEVER_SHOWN: Final = ("request.headers.", "request.query", "request.body")


@dataclass(frozen=True, slots=True)
class Changes:
    """The names of the jobs that differ, in file order.

    `paused` and `resumed` are those whose `enabled` changed; a job is in `changed` when anything
    else of it did, so it can be in both.
    """

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    paused: tuple[str, ...] = ()
    resumed: tuple[str, ...] = ()


def changes(before: Mapping[str, Job], after: Mapping[str, Job]) -> Changes:
    """Return what differs; two equal sets of jobs give an empty `Changes`."""
    both = [(before[name], job) for name, job in after.items() if name in before]
    return Changes(
        added=tuple(name for name in after if name not in before),
        changed=tuple(new.name for old, new in both if replace(old, enabled=new.enabled) != new),
        removed=tuple(name for name in before if name not in after),
        paused=tuple(new.name for old, new in both if old.enabled and not new.enabled),
        resumed=tuple(new.name for old, new in both if new.enabled and not old.enabled),
    )


@dataclass(frozen=True, slots=True)
class Difference:
    """One field of a job, named as in the file, with both values; None where it is not set.

    Of a field whose values are not kept, both are None, and `kind` says what happened to it.
    """

    field: str
    kind: Literal["added", "changed", "removed"]
    before: Value | None = None
    after: Value | None = None

    @property
    def is_shown(self) -> bool:
        """Whether the values are there to be shown."""
        return not self.field.startswith(_NEVER_SHOWN)


@dataclass(frozen=True, slots=True)
class Entry:
    """A job that differs, and what follows; it has no `before` when added, no `after` when removed.

    `job` is the one of both that is newer. The next slots are None while the job is absent or
    disabled. `first_new` and `first_dropped` are the first slots that only the one side has, None
    without such a slot in 7 days. `new_host` is a host that no job named before, `receives` are
    the references that were not sent to the job's host before, `needs` those that no job had.
    """

    job: Job
    before: Job | None
    after: Job | None
    differences: tuple[Difference, ...]
    runs_before: float
    runs_after: float
    next_before: int | None
    next_after: int | None
    first_new: int | None
    first_dropped: int | None
    new_host: str | None
    receives: tuple[Reference, ...]
    needs: tuple[Reference, ...]

    @property
    def host(self) -> str:
        """The host that the job sends to."""
        return _host(self.job)

    @property
    def enabled(self) -> Difference | None:
        """The change of `enabled`, if it changed."""
        return next((found for found in self.differences if found.field == "enabled"), None)

    @property
    def is_rescheduled(self) -> bool:
        """Whether a field of the schedule changed."""
        return any(found.field.startswith("schedule.") for found in self.differences)


@dataclass(frozen=True, slots=True)
class Address:
    """An item of `notify` that comes or goes; one that changed does both.

    `new_host` is a host that nothing was sent to before, `receives` are the references that were
    not sent there before, `needs` those that nothing had; all are empty for one that goes.
    """

    to: Notify
    kind: Literal["added", "removed"]
    new_host: str | None = None
    receives: tuple[Reference, ...] = ()
    needs: tuple[Reference, ...] = ()

    @property
    def host(self) -> str:
        """The host that is told."""
        return grammar.target(self.to.url).host.lower()

    @property
    def url(self) -> str:
        """The URL's text up to `?`."""
        return self.to.request().public_url


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of all jobs, and of `notify`; runs are per day, a load holds the most runs of each minute."""

    now: int
    same_text: bool
    added: tuple[Entry, ...]
    changed: tuple[Entry, ...]
    renamed: tuple[Entry, ...]
    removed: tuple[Entry, ...]
    notify: tuple[Address, ...]
    unchanged: int
    runs_before: float
    runs_after: float
    load_before: list[int]
    load_after: list[int]

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All jobs that differ."""
        return self.added + self.changed + self.renamed + self.removed


def compare(before: Spec, after: Spec, now: float) -> Plan:
    """Return what differs and what follows from it, as seen at an instant; order is no difference."""
    old, new = before.jobs, after.jobs
    renames = _renames(old, new)
    known = _Known(before, int(now))
    entry = known.entry
    both = [(old[name], job) for name, job in new.items() if name in old]
    changed = [pair for pair in both if differences(*pair)]
    added = [job for name, job in new.items() if name not in old and name not in renames]
    gone = set(old) - set(new) - set(renames.values())
    return Plan(
        now=int(now),
        same_text=before.revision == after.revision,
        added=tuple(entry(job, None, job) for job in added),
        changed=tuple(entry(job, was, job) for was, job in changed),
        renamed=tuple(entry(new[name], old[was], new[name]) for name, was in renames.items()),
        removed=tuple(entry(job, job, None) for name, job in old.items() if name in gone),
        notify=(
            *(known.address(to) for to in after.notify if to not in before.notify),
            *(Address(to, "removed") for to in before.notify if to not in after.notify),
        ),
        unchanged=len(both) - len(changed),
        runs_before=sum(_runs_per_day(job, now) for job in old.values()),
        runs_after=sum(_runs_per_day(job, now) for job in new.values()),
        load_before=load_by_minute(before, now),
        load_after=load_by_minute(after, now),
    )


def differences(before: Job, after: Job) -> tuple[Difference, ...]:
    """Return the fields that differ, but for the name; of two equal jobs none."""
    old, new = _fields(before), _fields(after)
    implied = _defaults(before) & _defaults(after)  # the schedule's own change says it all
    differing = {field for field, _ in old.items() ^ new.items()} - implied
    fields = sorted(old | new, key=lambda field: _SECTIONS.index(field.partition(".")[0]))
    return tuple(
        _difference(field, old.get(field), new.get(field)) for field in fields if field in differing
    )


def _difference(field: str, before: Value | None, after: Value | None) -> Difference:
    kind: Literal["added", "changed", "removed"] = "changed"
    if before is None:
        kind = "added"
    elif after is None:
        kind = "removed"
    if field.startswith(_NEVER_SHOWN):
        return Difference(field, kind)
    return Difference(field, kind, before, after)


def _fields(job: Job) -> dict[str, Value]:
    """Return a job's fields by their path in the file; what is not set is left out."""
    fields = {
        "enabled": job.enabled,
        **_schedule_fields(job.schedule),
        **_request_fields(job),
        "timeout_seconds": job.timeout_seconds,
        "catch_up_minutes": _minutes(job.catch_up_seconds),
        "signing_secret": job.signing_secret,
        "capture_headers": tuple(sorted(job.capture_headers)) or None,
        "description": job.description,
        **{f"labels.{key}": value for key, value in job.labels},
    }
    return {field: value for field, value in fields.items() if value is not None}


def _minutes(seconds: int) -> float:
    """Return a catch-up window in minutes; the shortest, 5 s, is what the file writes as 0 (T3)."""
    halves = round(seconds / (MINUTE / 2))
    return halves / 2 if halves % 2 else halves // 2


def _schedule_fields(schedule: Schedule) -> dict[str, Value]:
    match schedule:
        case Interval(interval, start):
            return {
                "schedule.interval_minutes": interval,
                "schedule.start_minute": start % interval,
            }
        case Daily(at, timezone, days):
            return {"schedule.at": at, "schedule.timezone": timezone, "schedule.days": days}


def _request_fields(job: Job) -> dict[str, Value | None]:
    request = job.request
    return {
        "request.method": request.method,
        "request.url": request.public_url,
        "request.query": request.url[len(request.public_url) :] or None,
        # As text: 1 and true are equal in Python, and the order of keys means nothing in JSON.
        "request.body": None if request.body is None else json.dumps(request.body, sort_keys=True),
        **{f"request.headers.{name}": value for name, value in request.headers},
    }


def _defaults(job: Job) -> set[str]:
    """Return the fields whose value is the schedule's own default."""
    windows = {
        "timeout_seconds": job.timeout_seconds == default_timeout_seconds(job.schedule),
        "catch_up_minutes": job.catch_up_seconds == default_catch_up_seconds(job.schedule),
    }
    return {field for field, is_default in windows.items() if is_default}


def _renames(before: Mapping[str, Job], after: Mapping[str, Job]) -> dict[str, str]:
    """Return the new names of removed jobs, each with the old one: their requests are equal.

    Of several such jobs the one with the fewest differences is taken, each of them once.
    """
    removed: defaultdict[str, list[Job]] = defaultdict(list)
    for name, job in before.items():
        if name not in after:
            removed[_request_text(job)].append(job)
    renames = {}
    for name, job in after.items():
        if name not in before and (same := removed.get(_request_text(job))):
            closest = min(same, key=lambda old, new=job: len(differences(old, new)))  # type: ignore[misc]
            same.remove(closest)
            renames[name] = closest.name
    return renames


def _request_text(job: Job) -> str:
    return json.dumps(_request_fields(job), sort_keys=True)


class _Known:
    """The hosts and references of all jobs before: what is new is new against all of them."""

    def __init__(self, before: Spec, now: int) -> None:
        self._now = now
        self._first_missing = cache(_first_missing)  # many jobs share a schedule
        self._known = {reference for job in before.jobs.values() for reference in job.references}
        self._sent: defaultdict[str, set[Reference]] = defaultdict(set)
        for job in before.jobs.values():
            self._sent[_host(job)].update(job.request.references)
        self._told = before.notify

    def entry(self, job: Job, before: Job | None, after: Job | None) -> Entry:
        """Return what becomes of one job."""
        now, old, new = self._now, _schedule(before), _schedule(after)
        host = _host(job)
        return Entry(
            job,
            before,
            after,
            differences=differences(before, after) if before and after else (),
            runs_before=_runs_per_day(before, now),
            runs_after=_runs_per_day(after, now),
            next_before=next_slot(old, now) if old else None,
            next_after=next_slot(new, now) if new else None,
            first_new=self._first_missing(new, old, now),
            first_dropped=self._first_missing(old, new, now),
            new_host=None if host in self._sent else host,
            receives=_without(job.request.references, self._sent.get(host, ())),
            needs=_without(job.references, self._known),
        )

    def address(self, to: Notify) -> Address:
        """Return what follows from an item of `notify` that comes."""
        new = Address(to, "added")
        told = [each for each in self._told if Address(each, "removed").host == new.host]
        known = {*self._known, *(ref for each in self._told for ref in each.references)}
        sent = {
            *self._sent.get(new.host, ()),
            *(r for each in told for r in each.request().references),
        }
        return replace(
            new,
            new_host=None if told or new.host in self._sent else new.host,
            receives=_without(to.request().references, sent),
            needs=_without(to.references, known),
        )


def _without(
    references: Iterable[Reference], known: Collection[Reference]
) -> tuple[Reference, ...]:
    return tuple(dict.fromkeys(each for each in references if each not in known))


def _schedule(job: Job | None) -> Schedule | None:
    """Return when a job is due, None when never: it is absent or disabled."""
    return job.schedule if job and job.enabled else None


def _runs_per_day(job: Job | None, now: float) -> float:
    schedule = _schedule(job)
    return runs_per_day(schedule, now) if schedule else 0.0


def _first_missing(schedule: Schedule | None, other: Schedule | None, now: int) -> int | None:
    """Return the first slot that the other schedule has not, None without one in 7 days."""
    if schedule is None or schedule == other:
        return None
    if other is None:
        return next_slot(schedule, now)
    coming = slots(schedule, now, now + 7 * DAY)
    return next((slot for slot in coming if latest_slot(other, slot) != slot), None)


def _host(job: Job) -> str:
    return grammar.target(job.request.url).host.lower()


def as_json(plan: Plan) -> answers.Plan:
    """Return a plan as `schemas/plan.schema.json` describes it."""
    return {
        "added": [_entry_json(entry) for entry in plan.added],
        "changed": [_entry_json(entry) for entry in plan.changed],
        "removed": [_entry_json(entry) for entry in plan.removed],
        "renamed": [_entry_json(entry) for entry in plan.renamed],
        "unchanged": plan.unchanged,
        "runs_per_day": _runs_json(plan.runs_before, plan.runs_after),
        "notify": [_address_json(address) for address in plan.notify],
    }


def _runs_json(before: float, after: float) -> answers.RunsPerDay:
    return {"before": round(before, 1), "after": round(after, 1)}


def _entry_json(entry: Entry) -> answers.PlannedJob:
    job, was = entry.job, entry.before
    planned: answers.PlannedJob = {
        "job": job.name,
        "schedule": describe(job.schedule),
        "method": job.request.method,
        "url": job.request.public_url,
        "enabled": job.enabled,
        "runs_per_day": _runs_json(entry.runs_before, entry.runs_after),
        "next_run_at": _time_json(entry.next_after),
        "first_new_at": _time_json(entry.first_new),
        "first_dropped_at": _time_json(entry.first_dropped),
        "new_host": entry.new_host,
        "receives": [str(reference) for reference in entry.receives],
        "needs": [str(reference) for reference in entry.needs],
    }
    if was and was.name != job.name:
        planned["from"] = was.name
    if was and entry.after:
        planned["fields"] = [_field_json(found) for found in entry.differences]
    return planned


def _address_json(address: Address) -> answers.PlannedNotify:
    return {
        "change": address.kind,
        "url": address.url,
        "on": list(address.to.on),
        "new_host": address.new_host,
        "receives": [str(reference) for reference in address.receives],
        "needs": [str(reference) for reference in address.needs],
    }


def _field_json(found: Difference) -> answers.FieldChange:
    change: answers.FieldChange = {"field": found.field, "change": found.kind}
    if found.is_shown:
        change["before"], change["after"] = map(_value_json, (found.before, found.after))
    return change


def _value_json(value: Value | None) -> bool | float | str | list[str] | None:
    return list(value) if isinstance(value, tuple) else value


def _time_json(slot: int | None) -> str | None:
    return None if slot is None else rfc3339(slot)
