"""Checks a file's data against the model in `jobsfile`.

pydantic finds what is wrong and where; `names` and `values` find the words and the fix. They are
imported when something is wrong: a good file is checked as fast as pydantic can be loaded.
"""

from typing import Any

from pydantic import ValidationError

from sinkd.document import Location
from sinkd.findings import Findings
from sinkd.jobsfile import ADAPTER, JobsFile, is_ignored


def check(findings: Findings) -> JobsFile | None:
    """Return the data as the model's when it has the model's shape; else findings say why not."""
    data = _without_ignored(findings.value(()))
    try:
        return ADAPTER.validate_python(data)
    except ValidationError as error:
        _explain(findings, data, error)
    return None


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
