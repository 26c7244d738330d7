"""Reads what `gcloud scheduler jobs list` prints: jobs of Google Cloud Scheduler."""

import base64
import binascii
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from sinkd.errors import UsageError
from sinkd.importers.entry import Entry, Found, InexpressibleError, LeftOut

COMMAND: Final = "gcloud scheduler jobs list --format=json"
_DEADLINE_SECONDS: Final = 180  # Google's default for HTTP
_OTHER_TARGETS: Final = {
    "pubsubTarget": "it publishes to Pub/Sub: sinkd sends HTTP requests",
    "appEngineHttpTarget": "it calls App Engine from inside: sinkd calls a URL",
}
_TOKENS: Final = ("oidcToken", "oauthToken")


def read(data: Any, file: str) -> Iterator[Found]:  # noqa: ANN401 (what JSON holds)
    """Return each job of the list; one job alone, as `describe` prints it, is a list of one.

    Raises UsageError when these are no jobs of Cloud Scheduler.
    """
    jobs = data if isinstance(data, list) else [data]
    if jobs and not any(isinstance(job, dict) and "schedule" in job for job in jobs):
        message = f"{file}:1: no jobs of Cloud Scheduler: print them with `{COMMAND}`"
        raise UsageError(message)
    for number, job in enumerate(jobs):
        name = job.get("name") if isinstance(job, dict) else None
        place = name.rpartition("/")[2] if isinstance(name, str) and name else f"[{number}]"
        try:
            yield _entry(place, job)
        except InexpressibleError as error:
            yield LeftOut(place, str(error))


def _entry(place: str, job: Any) -> Entry:  # noqa: ANN401 (what JSON holds)
    if not isinstance(job, dict):
        message = "no job: a mapping is expected"
        raise InexpressibleError(message)
    for other, reason in _OTHER_TARGETS.items():
        if other in job:
            raise InexpressibleError(reason)
    target = _mapping(job, "httpTarget")
    for token in _TOKENS:
        if token in target:
            message = f"`{token}`: only Google can make such a token for each request"
            raise InexpressibleError(message)
    notes = []
    if _mapping(job, "retryConfig").get("retryCount"):
        notes.append("sinkd never retries: the next slot is the next run")
    return Entry(
        place=place,
        cron=_text(job, "schedule"),
        timezone=_text(job, "timeZone", "UTC").replace("Etc/UTC", "UTC"),
        request=_request(target),
        title=place,
        description=_text(job, "description", ""),
        timeout_seconds=_seconds(_text(job, "attemptDeadline", f"{_DEADLINE_SECONDS}s")),
        enabled=_text(job, "state", "ENABLED") not in {"PAUSED", "DISABLED"},
        notes=tuple(notes),
    )


def _request(target: Mapping[str, Any]) -> dict[str, Any]:
    method = _text(target, "httpMethod", "POST").replace("HTTP_METHOD_UNSPECIFIED", "POST")
    request: dict[str, Any] = {"url": _literal(_text(target, "uri")), "method": method}
    headers = _mapping(target, "headers")
    sent = {
        name: _literal(_text(headers, name))
        for name in headers
        if name != "User-Agent" or headers[name] != "Google-Cloud-Scheduler"
    }
    if sent:
        request["headers"] = sent
    if body := _text(target, "body", ""):
        request["body"] = _literal(_decoded(body))
    return request


def _decoded(body: str) -> str:
    try:
        return base64.b64decode(body, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        message = "`body` is not base64 of UTF-8 text"
        raise InexpressibleError(message) from None


def _seconds(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?s", text, re.ASCII):
        message = "`attemptDeadline` is no number of seconds, as in `180s`"
        raise InexpressibleError(message)
    return math.ceil(float(text[:-1]))


def _literal(text: str) -> str:
    """Return a text as a jobs file writes it, where `${` would begin a reference."""
    return text.replace("${", "$${")


def _mapping(job: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = job.get(name, {})
    if isinstance(value, dict):
        return value
    message = f"`{name}` must be a mapping"
    raise InexpressibleError(message)


def _text(job: Mapping[str, Any], name: str, default: str | None = None) -> str:
    value = job.get(name, default)
    if isinstance(value, str):
        return value
    message = f"`{name}` must be a text"
    raise InexpressibleError(message)
