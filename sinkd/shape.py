"""Checks a file's data against the model in `jobsfile`.

pydantic finds what is wrong and where; `names` and `values` find the words and the fix. They are
imported when something is wrong: a good file is checked as fast as pydantic can be loaded.
"""

from typing import Any, Final

from pydantic import ValidationError

from sinkd.document import PROBLEMS_LIMIT, Location
from sinkd.findings import Findings
from sinkd.jobsfile import (
    ADAPTER,
    DefaultRequest,
    Defaults,
    Job,
    JobsFile,
    Request,
    Schedule,
    is_ignored,
)

_FIELDS: Final = frozenset(
    field
    for model in (JobsFile, Defaults, DefaultRequest, Job, Schedule, Request)
    for field in model.__annotations__
)


def check(findings: Findings) -> JobsFile | None:
    """Return the data as the model's when it has the model's shape; else findings say why not."""
    data = _without_ignored(findings.value(()))
    limit = PROBLEMS_LIMIT
    while True:
        try:
            return ADAPTER.validate_python(data)
        except ValidationError as error:
            if error.error_count() <= PROBLEMS_LIMIT:
                _explain(findings, data, error)
                return None
        # A million of pydantic's errors take a gigabyte, so they are looked for in a part.
        findings.has_more = True
        data = _first(data, limit)
        limit //= 2


def _first(value: Any, limit: int) -> Any:  # noqa: ANN401 (whatever the file holds)
    """Return the first items of every list and mapping, and every field of the model."""
    if isinstance(value, list):
        return [_first(item, limit) for item in value[:limit]]
    if isinstance(value, dict):
        return {
            key: _first(item, limit)
            for number, (key, item) in enumerate(value.items())
            if number < limit or key in _FIELDS
        }
    return value


def _explain(findings: Findings, data: Any, error: ValidationError) -> None:  # noqa: ANN401
    from sinkd import names, values

    unknown: list[Location] = []
    missing: list[Location] = []
    for problem in error.errors(include_url=False, include_input=False):
        kind, place = problem["type"], problem["loc"]
        location = _location(data, place)
        if kind == "missing":
            missing.append((*location, place[-1]))
        elif kind == "extra_forbidden":
            unknown.append(location)
        else:
            on_key = place[-1:] == ("[key]",) and len(place) > len(location)
            values.explain(findings, kind, location, problem.get("ctx", {}), on_key=on_key)
    names.explain(findings, unknown, missing)


def _location(data: Any, place: Location) -> Location:  # noqa: ANN401 (whatever the file holds)
    """Return the part of pydantic's place that is in the data: it also names types in there."""
    location: list[str | int] = []
    for part in place:
        known = part in data if isinstance(data, dict) else isinstance(data, list)
        if known and (isinstance(data, dict) or isinstance(part, int)):
            location.append(part)
            data = data[part]
    return tuple(location)


def _without_ignored(data: Any) -> Any:  # noqa: ANN401 (whatever the file holds)
    """Leave out `$schema` and the `x-` keys at the top and of jobs."""
    if not isinstance(data, dict):
        return data
    rest = {key: value for key, value in data.items() if key != "$schema" and not is_ignored(key)}
    if isinstance(jobs := rest.get("jobs"), list):
        rest["jobs"] = [_job_without_ignored(job) for job in jobs]
    return rest


def _job_without_ignored(job: Any) -> Any:  # noqa: ANN401 (whatever the file holds)
    if isinstance(job, dict) and any(map(is_ignored, job)):
        return {key: value for key, value in job.items() if not is_ignored(key)}
    return job
