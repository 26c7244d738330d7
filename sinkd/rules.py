"""Rules on what a jobs file means, beyond its shape: errors SNK110 to SNK118.

They hold whatever else is wrong, so each takes only the parts that have the right kind.
`warnings` has the rules that doubt instead of refuse.
"""

import functools
import math
import re
from collections import defaultdict
from typing import Any, Final

from pydantic_core import to_json

from sinkd import grammar
from sinkd.diagnostics import Edit, Related, quoted
from sinkd.document import Location
from sinkd.findings import Findings
from sinkd.jobsfile import BODY_LIMIT_BYTES, LABELS_LIMIT, NOTIFY_LIMIT, is_ignored, merged

_BODILESS: Final = frozenset({"GET", "HEAD"})
_FOUR_DIGITS: Final = re.compile(r"[0-9]{2}:[0-9]{2}")
_LIKE_REFERENCE: Final = re.compile(r"(?:\$|env:)([A-Za-z_][A-Za-z0-9_]*)")
_OFFSET: Final = re.compile(r"(?:utc|gmt|z)?_?[+-][0-9:]+")
_ODD_INTEGERS_SHOWN: Final = 1000


def check(findings: Findings) -> None:
    """Add what is wrong with the meaning of a jobs file, whatever its shape."""
    data = mapping(findings.value(()))
    defaults = mapping(data.get("defaults"))
    _check_defaults(findings, defaults)
    names: dict[str, Location] = {}
    for location, job in jobs(data):
        if findings.has_more:
            return
        _check_name(findings, location, job, names)
        _check_schedule(findings, location, mapping(job.get("schedule")), defaults)
        _check_request(findings, location, job, defaults)
        _check_signing(findings, location, job)
        _check_capture(findings, location, job)
        _check_labels(findings, location, job, defaults)
    for location, to in notify(data):
        _check_address(findings, location, to)
        signed = to.get("signing_secret") is not None
        _check_headers(findings, location, to, signed=signed)
        _check_signing(findings, location, to)
    _check_integers(findings)


def mapping(value: Any) -> dict[str, Any]:  # noqa: ANN401 (whatever the file holds)
    """Return the value if it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def jobs(data: dict[str, Any]) -> list[tuple[Location, dict[str, Any]]]:
    """Return the jobs of a file that are mappings, with their places."""
    found = data.get("jobs")
    items = found if isinstance(found, list) else []
    return [(("jobs", number), job) for number, job in enumerate(items) if isinstance(job, dict)]


def notify(data: dict[str, Any]) -> list[tuple[Location, dict[str, Any]]]:
    """Return the items of `notify` that are mappings, with their places."""
    found = data.get("notify")
    items = found[:NOTIFY_LIMIT] if isinstance(found, list) else []
    return [(("notify", number), to) for number, to in enumerate(items) if isinstance(to, dict)]


def _check_defaults(findings: Findings, defaults: dict[str, Any]) -> None:
    location = ("defaults",)
    if isinstance(defaults.get("timezone"), str):
        _check_zone(findings, (*location, "timezone"))
    request = mapping(defaults.get("request"))
    signed = isinstance(defaults.get("signing_secret"), str)
    _check_headers(findings, (*location, "request"), request, signed=signed)
    _check_signing(findings, location, defaults)
    _check_capture(findings, location, defaults)


def _check_name(
    findings: Findings, location: Location, job: dict[str, Any], names: dict[str, Location]
) -> None:
    if not isinstance(name := job.get("name"), str):
        return
    place = (*location, "name")
    first = names.setdefault(name.casefold(), place)
    if first is not place:
        message = f"two jobs are named {quoted(name)}"
        related = Related(findings.span(first), "first used here")
        label = "names identify a job in the run log"
        findings.add("SNK110", place, message, label, related=[related])


def _check_schedule(
    findings: Findings, job: Location, schedule: dict[str, Any], defaults: dict[str, Any]
) -> None:
    location = (*job, "schedule")
    if "at" in schedule and "interval_minutes" in schedule:
        message = "`interval_minutes` and `at` exclude each other"
        spans = [findings.span((*location, key), key=True) for key in ("interval_minutes", "at")]
        related = [Related(min(spans), "and this")]
        place = (*location, "at" if spans[1] > spans[0] else "interval_minutes")
        findings.add("SNK118", place, message, "keep one of them", key=True, related=related)
    elif "at" in schedule:
        _check_times(findings, location, schedule["at"])
        _check_daily(findings, job, schedule, defaults)
    elif "interval_minutes" in schedule:
        for field in ("timezone", "days"):
            if field in schedule:
                message = f"`{field}` goes with `at`: intervals are counted in UTC, on every day"
                findings.add("SNK118", (*location, field), message, "remove it", key=True)
    elif not schedule.keys() - {"start_minute", "timezone", "days"} and schedule == findings.value(
        location
    ):
        message = "`schedule` has no `interval_minutes` and no `at`"
        findings.add("SNK102", location, message, "add one of the two", key=True)


def _check_times(findings: Findings, location: Location, times: Any) -> None:  # noqa: ANN401
    for number, time in enumerate(times if isinstance(times, list) else [times]):
        place = (*location, "at", number) if isinstance(times, list) else (*location, "at")
        if isinstance(time, str) and not grammar.is_time_of_day(time):
            from sinkd.values import time_of_day

            meant = time_of_day(time)
            text = f'"{meant}"' if meant else _list_of_times(time)
            label = f"write `{meant or text}`" if text else "write it as `09:00`"
            if not text and _FOUR_DIGITS.fullmatch(time):
                label = "from `00:00` to `23:59`"
            fix = Edit(findings.span(place), text) if text else None
            message = f"{quoted(time)} is not a time of day `HH:MM`"
            findings.add("SNK117", place, message, label, fix=fix)


def _list_of_times(text: str) -> str | None:
    """Return the list that somebody meant with `09:00, 12:00`."""
    times = re.split(r"[,; ]+", text)
    right = len(times) > 1 and all(map(grammar.is_time_of_day, times))
    return "[" + ", ".join(f'"{time}"' for time in times) + "]" if right else None


def _check_daily(
    findings: Findings, job: Location, schedule: dict[str, Any], defaults: dict[str, Any]
) -> None:
    location = (*job, "schedule")
    if "start_minute" in schedule:
        message = "`start_minute` goes with `interval_minutes`"
        label = "remove it: `at` names the minute"
        findings.add("SNK118", (*location, "start_minute"), message, label, key=True)
    zone = schedule.get("timezone", defaults.get("timezone"))
    if isinstance(schedule.get("timezone"), str):
        _check_zone(findings, (*location, "timezone"))
    elif zone is None and not _has_some_zone(findings, job):
        message = "`at` has no `timezone`: the machine's is never used"
        label = "add `timezone:` beside it, or in `defaults:`"
        findings.add("SNK102", (*location, "at"), message, label, key=True)


def _has_some_zone(findings: Findings, job: Location) -> bool:
    """Say whether a time zone has another name or place, which `names` explains."""
    from sinkd.names import is_meant

    places = (job, (*job, "schedule"), (*job, "request"), ("defaults",), ())
    keys = ((*place, key) for place in places for key in mapping(findings.value(place)))
    return any(findings.is_wrong(key) and is_meant(str(key[-1]), "timezone") for key in keys)


def _check_zone(findings: Findings, place: Location) -> None:
    from sinkd.schedule import zone_names

    name: str = findings.value(place)
    if name in zone_names():
        return
    word = name.strip().replace(" ", "_").lower()
    same = _zones(zone_names()).get(word)
    if _OFFSET.fullmatch(word):  # `Etc/GMT+1` is UTC-1, so it is no answer
        label, meant = "an offset is no zone: write a place, as `Europe/Berlin`", None
    else:
        meant = same or ("UTC" if word == "z" else _close_zone(word))
        label = f"did you mean `{meant}`?" if meant else "write an IANA name, as `Europe/Berlin`"
    fix = Edit(findings.span(place), meant, safe=same is not None) if meant else None
    findings.add("SNK117", place, f"{quoted(name)} is not a time zone", label, fix=fix)


@functools.cache
def _zones(names: frozenset[str]) -> dict[str, str]:
    """Return the names of zones by what they are in lower case."""
    return {zone.lower(): zone for zone in sorted(names)}


@functools.cache
def _words_of_zones(names: frozenset[str]) -> dict[str, dict[str, str]]:
    """Return, by their first letter, the words for zones in lower case: names and cities."""
    words: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for key, zone in _zones(names).items():
        for word in (key, key.rpartition("/")[2]):
            words[word[0]].setdefault(word, zone)
    return words


def _close_zone(word: str) -> str | None:
    import difflib

    from sinkd.schedule import zone_names

    word = word.removeprefix("right/").removeprefix("posix/")  # of a system's own zone files
    words = _words_of_zones(zone_names()).get(
        word[:1], {}
    )  # of all of them it would take milliseconds
    begin_so = {zone for key, zone in words.items() if key.startswith(word)}
    if len(begin_so) == 1 and len(word) > len("PST"):  # one was cut short
        return begin_so.pop()
    close = difflib.get_close_matches(word[:64], words, 1, 0.8)
    return words[close[0]] if close else None


def _check_request(
    findings: Findings, job: Location, data: dict[str, Any], defaults: dict[str, Any]
) -> None:
    location = (*job, "request")
    request = mapping(data.get("request"))
    _check_address(findings, location, request)
    signed = data.get("signing_secret", defaults.get("signing_secret")) is not None
    _check_headers(findings, location, request, signed=signed)
    if "body" in request:
        _check_body(findings, (*location, "body"), request)


def _check_address(findings: Findings, location: Location, request: dict[str, Any]) -> None:
    if isinstance(url := request.get("url"), str) and (flaw := grammar.url_flaw(url)):
        findings.add_flaw("SNK106", (*location, "url"), flaw)


def _check_headers(
    findings: Findings, location: Location, request: dict[str, Any], *, signed: bool
) -> None:
    names: dict[str, Location] = {}
    for name, value in mapping(request.get("headers")).items():
        place = (*location, "headers", name)
        if flaw := grammar.header_name_flaw(name, signed=signed):
            findings.add_flaw("SNK115", place, flaw, key=True)
        first = names.setdefault(name.lower(), place)
        if first is not place:
            message = f"the header {quoted(name)} is set twice: names ignore case"
            related = Related(findings.span(first, key=True), "first set here")
            findings.add("SNK115", place, message, "keep one", key=True, related=[related])
        if isinstance(value, str) and (flaw := grammar.header_value_flaw(value)):
            findings.add_flaw("SNK115", place, flaw)


def _check_body(findings: Findings, place: Location, request: dict[str, Any]) -> None:
    method, body = request.get("method"), request["body"]
    if isinstance(method, str) and method in _BODILESS:
        message = f"a {method} request has no body"
        findings.add("SNK116", place, message, "remove it, or use `POST`", key=True)
    size = len(body.encode() if isinstance(body, str) else to_json(body))
    if size > BODY_LIMIT_BYTES:
        message = "the body is larger than 1 MiB"
        findings.add("SNK116", place, message, f"{size:,} bytes as sent", key=True)
        return  # megabytes of references are not read
    _check_json(findings, place, body)


def _check_json(findings: Findings, place: Location, value: Any) -> None:  # noqa: ANN401
    """Check what a body holds; its depth is limited by the document's."""
    if isinstance(value, str):
        if flaw := grammar.reference_flaw(value):
            findings.add_flaw("SNK114", place, flaw)
    elif isinstance(value, float) and not math.isfinite(value):
        message = f"{quoted(findings.raw(place))} cannot be sent: JSON has no such number"
        findings.add("SNK116", place, message, "write a number, or quote it")
    elif isinstance(value, dict):
        for key, item in value.items():
            if "${" in key and any(grammar.references(key)):
                message = "a reference cannot stand in a key"
                label = "references work in values"
                findings.add("SNK114", (*place, key), message, label, key=True)
            _check_json(findings, (*place, key), item)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            _check_json(findings, (*place, number), item)


def _check_signing(findings: Findings, location: Location, data: dict[str, Any]) -> None:
    secret = data.get("signing_secret")
    if not isinstance(secret, str):
        return
    place = (*location, "signing_secret")
    if flaw := grammar.reference_flaw(secret):
        findings.add_flaw("SNK114", place, flaw)
    elif not grammar.is_signing_secret(secret):
        message = "`signing_secret` holds references, never the key itself"
        name = _LIKE_REFERENCE.fullmatch(secret)
        label = "write `${env:NAME}` or `${file:NAME}`, several with blanks between"
        label = f"write `${{env:{name[1]}}}`" if name else label
        findings.add("SNK114", place, message, label)


def _check_capture(findings: Findings, location: Location, data: dict[str, Any]) -> None:
    names = data.get("capture_headers")
    for number, name in enumerate(names if isinstance(names, list) else ()):
        if isinstance(name, str) and not grammar.is_header_name(name):
            message = f"{quoted(name)} is not a header name"
            place = (*location, "capture_headers", number)
            findings.add("SNK115", place, message, "write one name")


def _check_labels(
    findings: Findings, location: Location, job: dict[str, Any], defaults: dict[str, Any]
) -> None:
    own = job.get("labels")
    if isinstance(own, dict) and isinstance(defaults.get("labels"), dict):
        number = len(merged(defaults["labels"], own))
        if number > LABELS_LIMIT >= len(own):
            message = f"a job has at most {LABELS_LIMIT} labels"
            label = f"{number} with those of `defaults`"
            findings.add("SNK109", (*location, "labels"), message, label, key=True)


def _check_integers(findings: Findings) -> None:
    """Refuse integers that people and programs read differently, as `010`, wherever they stand."""
    for node in findings.document.odd_integers[:_ODD_INTEGERS_SHOWN]:
        location = findings.document.location(node)
        if location is None or location[:1] == ("$schema",):
            continue
        if any(is_ignored(str(part)) for part in (*location[:1], *location[2:3])):
            continue
        raw, value = findings.raw(location), findings.value(location)
        advice, safe = _reading(raw, value)
        if "body" in location:
            label, safe = f"write {value}, or quote it to send it as text", False
        else:
            label = f"write {value}"
        zero = raw.lstrip("+-")[:1] == "0" and raw.lstrip("+-").isdecimal()
        message = f"{quoted(raw)} " + ("has a leading zero" if zero else "is not plain decimal")
        fix = Edit(findings.span(location), str(value), safe)
        findings.add("SNK104", location, message, label, help=advice, fix=fix)


def _reading(raw: str, value: int) -> tuple[list[str], bool]:
    """Say how YAML 1.1 tools read an integer, and whether its meaning is certain."""
    digits = raw.lstrip("+-")
    if not digits.isdecimal():
        return [], True
    if set(digits) & {"8", "9"}:
        return (["YAML 1.1 tools read text"], True) if digits[0] == "0" else ([], True)
    octal = int(digits, 8) if digits[0] == "0" else abs(value)
    if octal == abs(value):
        return [], True
    return [f"{value} in YAML 1.2, {octal} to a YAML 1.1 tool"], False
