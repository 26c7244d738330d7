"""What a jobs file may say and yet hardly means: the warnings SNK301 to SNK310.

A warning never refuses a file; `validate --strict` counts it as an error.
"""

import ipaddress
import re
from collections import defaultdict
from typing import Any, Final, TypeGuard

from sinkd import grammar
from sinkd.diagnostics import Edit, Related, quoted
from sinkd.document import Location
from sinkd.findings import Findings
from sinkd.instant import MINUTE
from sinkd.redaction import is_credential
from sinkd.rules import jobs, mapping, notify

_MINUTES_OF_A_DAY: Final = 1440
_HOSTS_SHOWN: Final = 3
_EUROPEAN: Final = frozenset({"CET", "EET", "MET", "WET"})
_SHORTEST_TOKEN: Final = 12
_PRIVATE_NAME: Final = re.compile(
    r"[^.]+\.?|.*\.(?:localhost|local|internal|intranet|lan|corp|home|home\.arpa|test|svc|private)\.?"
)
_TOKEN: Final = re.compile(
    r"gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{20,}|xox[abprs]-[\w-]{10,}"
    r"|[rs]k_live_\w{10,}|AKIA[0-9A-Z]{16}|AIza[\w-]{30,}|whsec_[\w+/=]{20,}"
    r"|eyJ[\w-]{10,}\.eyJ[\w-]{10,}|-----BEGIN [A-Z ]*PRIVATE KEY"
)
_QUERY_PAIR: Final = re.compile(r"[?&](?P<name>[^=&]+)=(?P<value>[^&]+)")
_WINDOWS: Final = (
    ("catch_up_minutes", MINUTE, "SNK306", "by then the next slot is due"),
    ("timeout_seconds", 1, "SNK310", "a slow run makes the next slot `skipped/overlap`"),
)
_ADVICE: Final = "whoever reads the repository reads it"


def check(findings: Findings) -> None:
    """Add the warnings of a jobs file, whatever its shape."""
    data = mapping(findings.value(()))
    defaults = mapping(data.get("defaults"))
    _check_zone(findings, ("defaults", "timezone"), defaults.get("timezone"))
    _check_header_secrets(findings, ("defaults", "request"), mapping(defaults.get("request")))
    listed = jobs(data)
    windows = dict(defaults)  # less what is doubted once
    for location, job in listed:
        if findings.has_more or findings.has_more_warnings:
            break
        schedule, request = mapping(job.get("schedule")), mapping(job.get("request"))
        _check_zone(findings, (*location, "schedule", "timezone"), schedule.get("timezone"))
        if _is_whole(interval := schedule.get("interval_minutes")):
            _check_interval(findings, location, interval, schedule)
            _check_windows(findings, location, interval, job, windows)
        _check_url(findings, (*location, "request", "url"), request.get("url"))
        _check_header_secrets(findings, (*location, "request"), request)
        _check_body_secrets(findings, (*location, "request", "body"), request.get("body"))
        _check_content_type(findings, (*location, "request"), request, defaults)
    for location, to in notify(data):
        _check_url(findings, (*location, "url"), to.get("url"))
        _check_header_secrets(findings, location, to)
    _check_default_headers(findings, defaults, listed)


def _is_whole(value: Any) -> TypeGuard[int]:  # noqa: ANN401 (whatever the file holds)
    return type(value) is int and value > 0


def _check_zone(findings: Findings, place: Location, name: Any) -> None:  # noqa: ANN401
    from sinkd.schedule import is_abbreviation_zone

    if isinstance(name, str) and is_abbreviation_zone(name):
        message = f"{quoted(name)} is an abbreviation, without the rules of a place"
        if found := re.fullmatch(r"Etc/GMT([+-])([0-9]+)", name):
            message = f"{quoted(name)} is UTC{'-' if found[1] == '+' else '+'}{found[2]}"
        near = "Europe/Berlin" if name in _EUROPEAN else "America/New_York"
        findings.add("SNK309", place, message, f"write a place, as `{near}`")


def _check_interval(
    findings: Findings, job: Location, interval: int, schedule: dict[str, Any]
) -> None:
    place = (*job, "schedule", "interval_minutes")
    if interval < _MINUTES_OF_A_DAY and _MINUTES_OF_A_DAY % interval:
        divisors = [n for n in range(1, _MINUTES_OF_A_DAY + 1) if _MINUTES_OF_A_DAY % n == 0]
        below = max(n for n in divisors if n < interval)
        above = min(n for n in divisors if n > interval)
        message = f"an interval of {interval} does not divide a day: its times differ each day"
        findings.add("SNK302", place, message, f"{below} and {above} do")
    start = schedule.get("start_minute")
    if _is_whole(start) and start >= interval:
        place = (*place[:-1], "start_minute")
        same = start % interval
        findings.add(
            "SNK304",
            place,
            f"`start_minute` {start} is the same as {same} for an interval of {interval}",
            f"write {same}",
            related=[_interval(findings, job, f"repeats every {_minutes(interval)}")],
            fix=Edit(findings.span(place), str(same)),
        )


def _interval(findings: Findings, job: Location, label: str) -> Related:
    return Related(findings.span((*job, "schedule", "interval_minutes")), label)


def _minutes(number: int) -> str:
    return "1 minute" if number == 1 else f"{number:,} minutes"


def _check_windows(
    findings: Findings,
    location: Location,
    interval: int,
    job: dict[str, Any],
    defaults: dict[str, Any],
) -> None:
    """Doubt a window not shorter than the interval; one of `defaults`, for the first such job."""
    for field, seconds, code, label in _WINDOWS:
        own = field in job
        value = job[field] if own else defaults.get(field)
        if not _is_whole(value) or value * seconds < interval * MINUTE:
            continue
        place = (*location, field) if own else ("defaults", field)
        related = [_interval(findings, location, f"repeats every {_minutes(interval)}")]
        message = f"`{field}` {value} is not below the interval of {_minutes(interval)}"
        findings.add(code, place, message, label, related=related)
        if not own:
            del defaults[field]


def _check_url(findings: Findings, place: Location, url: Any) -> None:  # noqa: ANN401
    if not isinstance(url, str) or grammar.url_flaw(url):
        return
    target = grammar.target(url)
    if target.scheme == "http" and _is_public(target.host):
        span = findings.part(place, 0, len("http"))
        message = f"{quoted(target.host)} is a public host, and `http://` hides nothing"
        fix = Edit(span, "https", safe=False) if span else None
        findings.add("SNK301", place, message, "write `https`", span=span, fix=fix)
    for found in _QUERY_PAIR.finditer(url):
        if is_credential(found["name"]) and _is_literal_secret(found["value"]):
            _warn_of_secret(findings, place, f"`{found['name']}`", found.span("value"))
            return
    _check_token(findings, place, url)


def _is_public(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return _PRIVATE_NAME.fullmatch(host.lower()) is None


def _is_literal_secret(value: str) -> bool:
    """Say whether a credential's value is written out: long, one word, with a digit."""
    return (
        "${" not in value
        and len(value) >= _SHORTEST_TOKEN
        and " " not in value
        and any(character.isdigit() for character in value)
    )


def _warn_of_secret(
    findings: Findings, place: Location, what: str, within: tuple[int, int]
) -> None:
    span = findings.part(place, *within)
    message = f"{what} holds a literal that looks like a secret"
    findings.add("SNK303", place, message, "write `${env:NAME}`", span=span, help=[_ADVICE])


def _check_token(findings: Findings, place: Location, text: str) -> None:
    if found := _TOKEN.search(text):
        _warn_of_secret(findings, place, quoted(str(place[-1])), found.span())


def _check_header_secrets(findings: Findings, location: Location, request: dict[str, Any]) -> None:
    for name, value in mapping(request.get("headers")).items():
        if isinstance(value, str):
            place = (*location, "headers", name)
            if is_credential(name) and value and "${" not in value:
                _warn_of_secret(findings, place, quoted(name), (0, len(value)))
            else:
                _check_token(findings, place, value)


def _check_body_secrets(findings: Findings, place: Location, value: Any) -> None:  # noqa: ANN401
    if isinstance(value, str):
        if is_credential(str(place[-1])) and _is_literal_secret(value):
            _warn_of_secret(findings, place, quoted(str(place[-1])), (0, len(value)))
        else:
            _check_token(findings, place, value)
    elif isinstance(value, dict | list):
        for part, item in value.items() if isinstance(value, dict) else enumerate(value):
            _check_body_secrets(findings, (*place, part), item)


def _check_content_type(
    findings: Findings, location: Location, request: dict[str, Any], defaults: dict[str, Any]
) -> None:
    headers = mapping(request.get("headers"))
    types = {name: value for name, value in headers.items() if name.lower() == "content-type"}
    body = request.get("body")
    for name, value in types.items():
        if body is None and isinstance(value, str) and "json" in value.lower():
            message = "the `Content-Type` is JSON, and there is no body"
            label = "add `body:`, or remove the header"
            findings.add("SNK307", (*location, "headers", name), message, label, key=True)
    inherited = mapping(mapping(defaults.get("request")).get("headers"))
    known = types or any(name.lower() == "content-type" for name in inherited)
    if isinstance(body, str) and not known:
        message = "a text body is sent without a `Content-Type`"
        kind = "application/json" if body.lstrip()[:1] in {"{", "["} else "text/plain"
        label = f"add one under `headers:`, as `{kind}`"
        findings.add("SNK308", (*location, "body"), message, label, key=True)


def _check_default_headers(
    findings: Findings, defaults: dict[str, Any], listed: list[tuple[Location, dict[str, Any]]]
) -> None:
    """Warn of a default header that carries a reference to more than one host."""
    headers = mapping(mapping(defaults.get("request")).get("headers"))
    shared = [name for name, value in headers.items() if isinstance(value, str) and "${" in value]
    hosts: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for _, job in listed if shared else ():
        request = mapping(job.get("request"))
        own = {name.lower() for name in mapping(request.get("headers"))}
        url = request.get("url")
        if isinstance(url, str) and not grammar.url_flaw(url):
            for name in shared:
                if name.lower() not in own and request.get("headers", {}) is not None:
                    hosts[name][grammar.target(url).host.lower()] = None
    for name, reached in hosts.items():
        if len(reached) > 1:
            some = ", ".join(list(reached)[:_HOSTS_SHOWN])
            more = len(reached) - _HOSTS_SHOWN
            label = f"it goes to {some}" + (f" and {more} more" if more > 0 else "")
            place = ("defaults", "request", "headers", name)
            message = f"the secret of the default header {quoted(name)} reaches several hosts"
            advice = "set it in the jobs that need it, or drop it with null in the others"
            findings.add("SNK305", place, message, label, key=True, help=[advice])
