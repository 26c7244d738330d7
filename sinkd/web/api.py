"""The answers for programs: JSON, health, badges, the calendar, metrics."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from sinkd.answers import Badge, JobRuns, JobsNow, RunningConfig
from sinkd.instant import rfc3339
from sinkd.spec import Job
from sinkd.web import ical
from sinkd.web.look import Look
from sinkd.web.view import records_of, row_of, state_of

if TYPE_CHECKING:
    from sinkd.web.site import Site

Metrics: TypeAlias = Callable[[str], tuple[bytes, str]]  # of an Accept header: body, content type

_SLICE_SECONDS: Final = 0.003
_COLORS: Final[Mapping[str, str]] = {
    "failing": "red",
    "ok": "brightgreen",
    "new": "lightgrey",
    "paused": "yellow",
    "disabled": "lightgrey",
}


class Api:
    """Answers about one daemon."""

    def __init__(self, site: "Site", look: Look) -> None:
        self._site = site
        self._look = look

    async def healthy(self, _: Request) -> Response:
        """Say that the daemon's loop goes round."""
        return _health("" if self._site.is_alive else "the loop stands still")

    async def ready(self, _: Request) -> Response:
        """Say that a spec runs and that the log can be written; a refused file changes nothing."""
        daemon = self._look.daemon
        if daemon.store.log.blocked:
            return _health("the run log cannot be written")
        is_ready = self._site.is_alive and daemon.spec.revision
        return _health("" if is_ready else "no configuration runs yet, or the loop stands still")

    async def metrics(self, request: Request) -> Response:
        """Answer a Prometheus server; a thousand jobs take a while, so on a thread."""
        if self._site.metrics is None:
            raise HTTPException(404, "This sinkd has no metrics.")
        accept = request.headers.get("accept", "")
        body, content_type = await asyncio.to_thread(self._site.metrics, accept)
        return Response(body, media_type=content_type)

    async def status(self, _: Request) -> Response:
        """Answer as `sinkd status -o json` does."""
        return _json(self._look.status())

    async def config(self, _: Request) -> Response:
        """Answer with the jobs file that runs: `sinkd plan --base URL` compares with it."""
        look = self._look
        revision, commit = look.spec.revision, look.daemon.lines.commit
        try:
            text = await look.text()
        except OSError:
            raise HTTPException(404, "The file of this revision is lost.") from None
        answer = RunningConfig(revision=revision, commit=commit, text=text, paused=look.paused())
        return _json(answer)

    async def jobs(self, _: Request) -> Response:
        """Answer with the totals of every job, as `sinkd report -o json` has them."""
        look, now = self._look, self._look.now
        held = look.pauses()
        began, jobs = time.perf_counter(), []
        for job in look.spec.jobs.values():
            pause = held.get(job.name)
            row = row_of(job, look.overview, pause, now).as_json()
            jobs.append({**row, "state": state_of(job, pause, look.overview.past(job.name))})
            if time.perf_counter() - began > _SLICE_SECONDS:
                await asyncio.sleep(0)
                began = time.perf_counter()
        answer: JobsNow = {"at": rfc3339(float(now)), "jobs": jobs}  # type: ignore[typeddict-item]
        return _json(answer)

    async def runs(self, request: Request) -> Response:
        """Answer with the last records of a job, newest first."""
        job = self._job(request)
        runs = records_of(self._look.overview, job.name)
        return _json(JobRuns(job=job.name, runs=runs))

    async def badge(self, request: Request) -> Response:
        """Answer in the form of an endpoint badge of shields.io."""
        job = self._job(request)
        look = self._look
        state = state_of(job, look.pauses().get(job.name), look.overview.past(job.name))
        totals = look.overview.totals(job.name)
        message: str = "no run yet" if state == "new" else state
        if state in {"ok", "failing"} and totals.runs:
            message = f"{state}, {100 * totals.counts['success'] / totals.runs:.1f} %"
        badge = Badge(schemaVersion=1, label=job.name, message=message, color=_COLORS[state])
        return _json(badge, {"Cache-Control": "max-age=60"})

    async def calendar(self, _: Request) -> Response:
        """Answer with the upcoming slots as a calendar."""
        look = self._look
        text = ical.calendar(look.spec.jobs.values(), look.pauses(), look.now)
        return Response(text, media_type="text/calendar; charset=utf-8")

    def _job(self, request: Request) -> Job:
        name = request.path_params["name"]
        if job := self._look.job(name):
            return job
        raise HTTPException(404, f"No job is named {name!a}.")


def _json(answer: object, headers: Mapping[str, str] | None = None) -> Response:
    body: Any = to_json(answer)
    return Response(body + b"\n", media_type="application/json", headers=headers)


def _health(flaw: str) -> Response:
    return PlainTextResponse(f"{flaw}\n", 503) if flaw else PlainTextResponse("ok\n")
