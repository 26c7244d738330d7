"""Checks a file's data against the model in `jobsfile`.

pydantic finds what is wrong and where; `names` and `values` find the words and the fix. They are
imported when something is wrong: a good file is checked as fast as pydantic can be loaded.
"""

from typing import Any, Final

from pydantic import ValidationError

from sinkd.document import Location
from sinkd.findings import Findings
from sinkd.jobsfile import ADAPTER, JOBS_LIMIT, JobsFile, is_ignored

_JOBS_AT_ONCE: Final = 100


def check(findings: Findings) -> JobsFile | None:
    """Return the data as the model's when it has the model's shape; else findings say why not.

    Jobs are checked some at a time: a million of pydantic's errors would take a gigabyte.
    """
    data = _without_ignored(findings.value(()))
    listed = data.get("jobs") if isinstance(data, dict) else None
    if not isinstance(listed, list):
        return _checked(findings, data, 0)
    if len(listed) > JOBS_LIMIT:
        from sinkd import values

        context = {"max_length": JOBS_LIMIT}
        values.explain(findings, "too_long", ("jobs",), context, on_key=False)
        return None
    file = _checked(findings, {**data, "jobs": listed[:_JOBS_AT_ONCE]}, 0)
    for first in range(_JOBS_AT_ONCE, len(listed), _JOBS_AT_ONCE):
        if findings.has_more:
            return None
        some = {"version": 1, "jobs": listed[first : first + _JOBS_AT_ONCE]}
        more = _checked(findings, some, first)
        if file and more:
            file["jobs"] += more["jobs"]
        else:
            file = None
    return file


def _checked(findings: Findings, data: Any, first: int) -> JobsFile | None:  # noqa: ANN401
    """Check data whose jobs are those of the file from the first on."""
    try:
        return ADAPTER.validate_python(data)
    except ValidationError as error:
        _explain(findings, data, error, first)
        return None


def _explain(findings: Findings, data: Any, error: ValidationError, first: int) -> None:  # noqa: ANN401
    from sinkd import names, values

    unknown: list[Location] = []
    missing: list[Location] = []
    for problem in error.errors(include_url=False, include_input=False):
        if findings.has_more:
            return
        kind, place = problem["type"], problem["loc"]
        location = _location(data, place)
        if len(location) > 1 and location[0] == "jobs":
            location = ("jobs", int(location[1]) + first, *location[2:])
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
