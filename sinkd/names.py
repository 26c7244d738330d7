"""What to say about fields that are unknown, at the wrong level or missing.

Other tools' words are understood: each is answered with the word of a jobs file, or with the
reason why there is none.
"""

import difflib
import functools
import re
from collections import defaultdict
from collections.abc import Iterable
from fractions import Fraction
from typing import Final, NamedTuple

from sinkd import cron
from sinkd.amounts import amount
from sinkd.diagnostics import Edit, Related, Span, quoted
from sinkd.document import Location
from sinkd.findings import Findings
from sinkd.jobsfile import DefaultRequest, Defaults, Job, JobsFile, Notify, Request, Schedule

_CRON: Final = frozenset(
    {"cron", "crontab", "cron_schedule", "cron_expression", "schedule_expression"}
)
_OTHER_WORDS: Final = {
    "id": "name", "title": "name", "job": "name", "summary": "description", "tags": "labels",
    "uri": "url", "endpoint": "url", "href": "url", "verb": "method", "http_method": "method",
    "payload": "body", "data": "body", "json": "body", "content": "body",
    "http": "request", "http_request": "request", "http_target": "request",
    "tz": "timezone", "time_zone": "timezone", "time": "at", "times": "at",
    "weekdays": "days", "weekday": "days", "day": "days", "day_of_week": "days",
    "notifications": "notify", "alerts": "notify", "events": "on",
    "secret": "signing_secret", "webhook_secret": "signing_secret", "when": "schedule",
}  # fmt: skip
_OTHER_WORDS_AND_UNITS: Final = {
    "timeout": "timeout_seconds", "deadline": "timeout_seconds",
    "attempt_deadline": "timeout_seconds",
    "every": "interval_minutes", "interval": "interval_minutes", "minutes": "interval_minutes",
    "period": "interval_minutes", "frequency": "interval_minutes", "offset": "start_minute",
    "grace": "catch_up_minutes", "misfire_grace_time": "catch_up_minutes",
}  # fmt: skip
_IN_OTHER_UNITS: Final = {  # and how many of a field's own unit one of these is
    "timeout_ms": ("timeout_seconds", Fraction(1, 1000)),
    "timeout_minutes": ("timeout_seconds", Fraction(60)),
    "interval_seconds": ("interval_minutes", Fraction(1, 60)),
    "interval_hours": ("interval_minutes", Fraction(60)),
    "interval_days": ("interval_minutes", Fraction(1440)),
    "hours": ("interval_minutes", Fraction(60)),
    "starting_deadline_seconds": ("catch_up_minutes", Fraction(1, 60)),
}
_NO_RETRY: Final = "sinkd never retries: the next slot is the next run"
_NO_COMMAND: Final = "sinkd sends HTTP requests, it runs no commands"
_DISABLED: Final = "write `enabled: false`"
_REFERENCE: Final = "write `${env:NAME}` where the value belongs"
_NO_REDIRECTS: Final = "redirects are never followed"
_TIME: Final = 'write a time of day, as `at: "09:00"`'
_AUTHORIZATION: Final = "write `Authorization: Bearer ${env:NAME}` under `headers:`"
_IN_URL: Final = "write it in the `url`"
_QUERY: Final = "write it in the `url`, after a `?`"
_NO_DATES: Final = "days of the month and months cannot be expressed"
_NO_OVERLAP: Final = "a job never overlaps itself: a slot during a run is skipped"
_NO_FILE: Final = "write the body here: sinkd reads no other file"
_NEVER: Final = {
    "disabled": _DISABLED, "paused": _DISABLED, "suspend": _DISABLED, "suspended": _DISABLED,
    "retry": _NO_RETRY, "retries": _NO_RETRY, "max_retries": _NO_RETRY, "retry_policy": _NO_RETRY,
    "command": _NO_COMMAND, "script": _NO_COMMAND, "exec": _NO_COMMAND, "run": _NO_COMMAND,
    "env": _REFERENCE, "environment": _REFERENCE, "secrets": _REFERENCE,
    "follow_redirects": _NO_REDIRECTS, "redirects": _NO_REDIRECTS,
    "depends_on": "sinkd chains no jobs", "needs": "sinkd chains no jobs",
    "auth": _AUTHORIZATION, "token": _AUTHORIZATION,
    "host": _IN_URL, "path": _IN_URL, "port": _IN_URL, "scheme": _IN_URL, "base_url": _IN_URL,
    "backoff": _NO_RETRY, "params": _QUERY, "query": _QUERY, "query_params": _QUERY,
    "month": _NO_DATES, "months": _NO_DATES, "day_of_month": _NO_DATES, "date": _NO_DATES,
    "concurrency": _NO_OVERLAP, "concurrency_policy": _NO_OVERLAP, "max_instances": _NO_OVERLAP,
    "body_file": _NO_FILE, "data_file": _NO_FILE, "file": _NO_FILE,
    "seconds": "sinkd counts whole minutes", "hour": _TIME, "minute": _TIME,
    "jitter": "sinkd has no jitter: choose a `start_minute`",
}  # fmt: skip
_OTHER_FILES: Final = {
    "api_version": "a Kubernetes manifest is no jobs file",
    "on": "a GitHub workflow is no jobs file",
    "services": "a Compose file is no jobs file",
    "crons": "`sinkd import vercel FILE` makes a jobs file of it",
}
_ADD: Final = {
    "version": "add `version: 1`",
    "jobs": "add `jobs:`; `jobs: []` says that there are none",
    "name": "add `name:`, the job's identity in the run log",
    "schedule": "add `schedule:` with `interval_minutes:` or `at:`",
    "request": "add `request:` with at least `url:`",
    "url": "add `url:`",
}
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NO_COLON = re.compile(r"(?P<field>[a-z_]+)(?::(?=\S)| +(?=[{\[])| *= *(?=\S))")
_HEADER = re.compile(r"[A-Z][A-Za-z0-9]*(?:-[A-Za-z0-9]+)*|authorization|content-type|accept")
_CLOSE: Final = 0.75
_A_JOB: Final = ("jobs", 0)
_LONGEST_WORD: Final = 64  # characters; no word that is understood has half as many


def fields(location: Location) -> tuple[str, ...]:
    """Return the fields of the mapping at a location."""
    match location:
        case []:
            model: type = JobsFile
        case ["defaults"]:
            model = Defaults
        case ["defaults", _]:
            model = DefaultRequest
        case ["jobs", _]:
            model = Job
        case ["notify", _]:
            model = Notify
        case [*_, "schedule"]:
            model = Schedule
        case _:
            model = Request
    return tuple(model.__annotations__)


def explain(findings: Findings, unknown: Iterable[Location], missing: Iterable[Location]) -> None:
    """Add a finding for each unknown and each missing field, but none that only follows."""
    answered: set[Location] = set()  # missing fields that an unknown one explains
    misplaced: defaultdict[tuple[Location, _Home], list[Location]] = defaultdict(list)
    unknown = list(unknown)
    tool = next((each for each in unknown if not each[1:] and _word(each) in _OTHER_FILES), None)
    if tool:  # then the rest of the top only follows
        unknown = [each for each in unknown if each is tool or each[1:]]
        answered.update({("version",), ("jobs",)})
    for location in unknown:
        mapping, word = location[:-1], _word(location)
        if word in _CRON:
            _explain_cron(findings, location)
            answered.add((*mapping, "schedule"))
        elif not _is_list_of_jobs(findings, location) and (
            home := _home(mapping, word, findings.value(location))
            or _home_of_header(location, word)
        ):
            misplaced[mapping, home].append(location)
            answered.add((*mapping, home.key))
        elif known := _explain_unknown(findings, location, word, answered):
            answered.add((*mapping, known))
    for (_, home), locations in misplaced.items():
        _explain_misplaced(findings, home, locations)
    for location in missing:
        if location not in answered and not _is_cut(findings, location[:-1]):
            _explain_missing(findings, location)


def _is_list_of_jobs(findings: Findings, location: Location) -> bool:
    return location == ("job",) and isinstance(findings.value(location), list)


def _word(location: Location) -> str:
    """Return a key as sinkd would write it: `timeoutSeconds` is `timeout_seconds`."""
    key = str(location[-1])[:_LONGEST_WORD]
    return _CAMEL.sub("_", key).replace("-", "_").replace(" ", "_").lower()


class _Home(NamedTuple):
    """Where a misplaced field belongs: a key, and the words for it."""

    key: str
    where: str
    label: str


_HOME_OF_JOBS: Final = _Home("jobs", "to a job", "write it in an item of `jobs:`")


def _home(mapping: Location, word: str, value: object) -> _Home | None:
    here = fields(mapping)
    if word in here:
        return None
    of_jobs_alone = {*fields(_A_JOB)} - {*fields(("defaults",))} | {"request"}
    if not mapping and not of_jobs_alone.isdisjoint((word, _OTHER_WORDS.get(word))):
        return _HOME_OF_JOBS
    if home := _home_inside(mapping, word, value):
        return home
    if not mapping and word in fields((*_A_JOB, "request")):
        return _HOME_OF_JOBS
    return _home_outside(mapping, word) if mapping[:1] == ("jobs",) else None


def _home_inside(mapping: Location, word: str, value: object) -> _Home | None:
    """Return in which of a mapping's own mappings a field belongs."""
    here = fields(mapping)
    meant = _OTHER_WORDS.get(word) or _OTHER_WORDS_AND_UNITS.get(word)
    for key in ("defaults", "request", "schedule"):
        inside = fields((*mapping, key)) if key in here else ()
        if word in inside:
            return _Home(key, f"under `{key}:`", f"indent under `{key}:`")
        if meant in inside and meant not in here:
            written = _in_own_unit(meant, value) or meant
            return _Home(key, f"under `{key}:`", f"write `{written}` under `{key}:`")
    return None


def _home_of_header(location: Location, word: str) -> _Home | None:
    """Return where a header belongs that stands in `request` itself."""
    mapping, key = location[:-1], str(location[-1])
    is_header = mapping[-1:] == ("request",) and _HEADER.fullmatch(key)
    if not is_header or _meant(word, fields(mapping))[0]:
        return None
    return _Home("headers", "under `headers:`", "indent under `headers:`")


@functools.lru_cache(1000)
def is_meant(key: str, field: str) -> bool:
    """Say whether a key is another word for a field, or a misspelling of it."""
    return _meant(_word((key,)), [field])[0] == field


def _home_outside(mapping: Location, word: str) -> _Home | None:
    """Return where a field inside of a job, or of its `request` or `schedule`, belongs."""
    if word in fields(()):
        return _Home(word, "at the top of the file", "move it out of `jobs:`")
    if not mapping[2:]:
        return None
    this, other = ("request", "schedule") if mapping[-1] == "request" else ("schedule", "request")
    if word in fields((*mapping[:-1], other)):
        return _Home(other, f"under `{other}:`", f"move it under `{other}:`")
    if word in fields(mapping[:-1]):
        return _Home(word, f"beside `{this}:`", f"move it out, beside `{this}:`")
    return None


def _explain_misplaced(findings: Findings, home: _Home, locations: list[Location]) -> None:
    names = [f"`{location[-1]}`" for location in locations]
    these = " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)
    verb = "belong" if names[1:] else "belongs"
    findings.add(
        "SNK113",
        locations[0],
        f"{these} {verb} {home.where}",
        home.label,
        key=True,
        related=[Related(findings.span(place, key=True), "and this") for place in locations[1:]],
    )


def _explain_cron(findings: Findings, location: Location) -> None:
    expression = findings.value(location)
    message = f"`{location[-1]}` is not a field: sinkd has no cron expressions"
    label = "write `interval_minutes`, or `at`"
    if isinstance(expression, str):
        label = cron_label(expression)
    findings.add("SNK112", location, message, label, key=True)


def cron_label(expression: str) -> str:
    """Say which fields of `schedule` mean the same as a cron expression, or why none do."""
    try:
        schedule = cron.schedule(expression)
    except ValueError as error:
        return str(error)
    parts = [f"`{key}: {_flow(value)}`" for key, value in schedule.items()]
    if "at" in schedule:
        parts.append("a `timezone`")
    return "write " + " and ".join([", ".join(parts[:-1]), parts[-1]])


def _flow(value: object) -> str:
    """Write a value as YAML in one line."""
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return f'"{value}"' if ":" in str(value) else str(value)


def _explain_unknown(
    findings: Findings, location: Location, word: str, answered: set[Location]
) -> str | None:
    """Add the finding, and return the field that was meant."""
    mapping, key = location[:-1], str(location[-1])
    known = fields(mapping)
    message = f"unknown field {quoted(key)} in {_owner(mapping)}"
    if head := _explain_cut(findings, location, message, known):
        return head
    if _is_named_by_key(findings, location, word):
        label = f"write `- name: {key}`, and the fields beside `name`"
        findings.add("SNK101", location, message, label, key=True)
        answered.update((*mapping, field) for field in ("name", "schedule", "request"))
        return None
    if reason := _reason(mapping, word):
        findings.add("SNK101", location, message, reason, key=True)
        return None
    if word in _IN_OTHER_UNITS and _IN_OTHER_UNITS[word][0] in known:
        return _explain_unit(findings, location, message, *_IN_OTHER_UNITS[word])
    meant, safe = _meant(word, known)
    written = None if safe or not meant else _in_own_unit(meant, findings.value(location))
    if meant is None:
        label = "known here: " + ", ".join(f"`{name}`" for name in known)
        findings.add("SNK101", location, message, label, key=True)
    elif meant in findings.value(mapping) or (*mapping, meant) in answered:
        findings.add("SNK101", location, message, f"`{meant}` is set already", key=True)
    elif written:
        fix = Edit(_whole(findings, location), written)
        findings.add("SNK101", location, message, f"write `{written}`", key=True, fix=fix)
    else:
        fix = Edit(findings.span(location, key=True), meant, safe)
        findings.add("SNK101", location, message, f"did you mean `{meant}`?", key=True, fix=fix)
    return meant


def _owner(mapping: Location) -> str:
    match mapping:
        case []:
            return "a jobs file"
        case ["jobs", int()]:
            return "a job"
        case ["notify", int()]:
            return "an item of `notify`"
        case _:
            return f"`{mapping[-1]}`"


def _is_named_by_key(findings: Findings, location: Location, word: str) -> bool:
    """Say whether a job is written as `- refresh: {…}`: its only key is a name of its own."""
    mapping = location[:-1]
    if mapping[:-1] != ("jobs",) or _meant(word, fields(mapping))[0] or word in _NEVER:
        return False
    return isinstance(findings.value(location), dict) and len(findings.value(mapping)) == 1


def _reason(mapping: Location, word: str) -> str | None:
    """Return why nothing stands for a word in a jobs file."""
    if not mapping and word in _OTHER_FILES:
        return _OTHER_FILES[word]
    if word.startswith("x_"):
        return "keys for others begin with `x-`, at the top or in a job"
    return _NEVER.get(word)


def _explain_cut(
    findings: Findings, location: Location, message: str, known: Iterable[str]
) -> str | None:
    """Add the finding when a key lacks its `: `, or is the end of a value; return the field."""
    key, document = str(location[-1]), findings.document
    node = document.find(location)[0]
    if node is None or document.raw(node) != key:  # quoted
        return None
    if (found := _NO_COLON.match(key)) and found["field"] in known:
        fix = Edit(findings.span(location, key=True), f"{found['field']}: {key[found.end() :]}")
        label = f"write `{found['field']}: `, with a colon and a blank"
        findings.add("SNK101", location, message, label, key=True, fix=fix)
        return found["field"]
    if document.text.startswith((",", "}"), document.ends[node]):
        label = "a `,` ends a value in `{ }`: write the value before it in quotes"
        findings.add("SNK101", location, message, label, key=True)
        return key
    return None


def _explain_unit(
    findings: Findings, location: Location, message: str, field: str, factor: Fraction
) -> str:
    """Add the finding for a field that counts in another unit, with the amount in its own."""
    value, unit = findings.value(location), field.rpartition("_")[2]
    number = value * factor if type(value) is int else Fraction(1, 2)
    if number.denominator > 1:
        label = f"write `{field}`, a whole number of {unit}"
        findings.add("SNK101", location, message, label, key=True)
        return field
    written = f"{field}: {number}"
    fix = Edit(_whole(findings, location), written, safe=False)
    findings.add("SNK101", location, message, f"write `{written}`", key=True, fix=fix)
    return field


def _in_own_unit(field: str, value: object) -> str | None:
    """Write a field with an amount that names its unit, such as `15m`, in the field's own."""
    if not isinstance(value, str) or not value[-1:].isalpha():
        return None
    number = amount(value, field.rpartition("_")[2])
    return None if number is None else f"{field}: {number}"


def _whole(findings: Findings, location: Location) -> Span:
    """Return the span of a key and its value."""
    return Span(*findings.span(location, key=True)[:2], *findings.span(location)[2:])


def _meant(word: str, known: Iterable[str]) -> tuple[str | None, bool]:
    """Return the field that a word stands for, and whether its value can stay as it is."""
    names = list(known)
    if word in names:
        return word, True
    if _OTHER_WORDS.get(word) in names:
        return _OTHER_WORDS[word], True
    if _OTHER_WORDS_AND_UNITS.get(word) in names:
        return _OTHER_WORDS_AND_UNITS[word], False
    close = difflib.get_close_matches(word, names, 1, _CLOSE)
    return (close[0], True) if close else (None, False)


def _is_cut(findings: Findings, mapping: Location) -> bool:
    """Say whether keys of a mapping were lost, as those of a merge key."""
    span = findings.span(mapping)
    return any(
        span[:2] <= problem.span[:2] < span[2:]
        for problem in findings.document.problems
        if problem.code in {"SNK004", "SNK005", "SNK108"}
    )


def _explain_missing(findings: Findings, location: Location) -> None:
    mapping, field = location[:-1], location[-1]
    label = _ADD.get(str(field), f"add `{field}:`")
    name = findings.value((*mapping, "name"))
    match mapping:
        case ["jobs", int()] if isinstance(name, str):
            message = f"job {quoted(name)} has no `{field}`"
            findings.add("SNK102", (*mapping, "name"), message, label)
        case [] | ["jobs" | "notify", int()]:
            words = {"jobs": "job", "notify": "item"}
            owner = f"{words[str(mapping[0])]} {int(mapping[1]) + 1}" if mapping else "the file"
            first = next(iter(findings.value(mapping)), None)
            place = mapping if first is None else (*mapping, first)
            findings.add("SNK102", place, f"{owner} has no `{field}`", label, key=True)
        case _:
            message = f"`{mapping[-1]}` has no `{field}`"
            findings.add("SNK102", mapping, message, label, key=True)
