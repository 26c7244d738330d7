"""Checks a file's data against the model in `jobsfile` and says in plain words what differs."""

from typing import Any

from pydantic import ValidationError

from sinkd.findings import Findings
from sinkd.jobsfile import ADAPTER, JobsFile, is_ignored


def check(findings: Findings) -> JobsFile | None:
    """Return the data as the model's, or None and findings."""
    data = _without_ignored(findings.data)
    try:
        return ADAPTER.validate_python(data)
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False):
            findings.add("SNK101", [], str(problem))
    return None


def _without_ignored(data: Any) -> Any:  # noqa: ANN401 (whatever the file holds)
    """Leave out `$schema` and the `x-` keys at the top and of jobs."""
    if not isinstance(data, dict):
        return data
    rest = {key: value for key, value in data.items() if key != "$schema" and not is_ignored(key)}
    if isinstance(jobs := rest.get("jobs"), list):
        rest["jobs"] = [_without_ignored_of_job(job) for job in jobs]
    return rest


def _without_ignored_of_job(job: Any) -> Any:  # noqa: ANN401 (whatever the file holds)
    if isinstance(job, dict) and any(map(is_ignored, job)):
        return {key: value for key, value in job.items() if not is_ignored(key)}
    return job
