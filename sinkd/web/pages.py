"""The pages, complete without a script."""

from collections.abc import AsyncIterator, Mapping
from itertools import islice
from typing import Any, Final

from markupsafe import Markup
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse

from sinkd import load, pictures
from sinkd.instant import DAY, MINUTE
from sinkd.schedule import slots, zone_of
from sinkd.spec import Job
from sinkd.standing import problems
from sinkd.web.look import Look
from sinkd.web.rows import Rows
from sinkd.web.texts import environment
from sinkd.web.view import (
    ORDER,
    Card,
    Filter,
    card,
    in_order,
    runs_of,
    state_of,
)
from sinkd.when import parse_time

_PIECE: Final = 64 * 1024
_ROWS: Final = 100  # that a script may ask for at once
_LABELS: Final = 200
_UPCOMING: Final = 5
_RUN_ID_LIMIT: Final = 120
_TIME_LIMIT: Final = 100


class Pages:
    """Draws the pages of one daemon."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._templates = environment()
        self._rows = Rows(look, self._templates)
        self._load: tuple[str, Markup] = ("", Markup())

    async def status(self, request: Request) -> Response:
        """Show every job that is wanted, failing ones first; with `rows` only those, in pieces."""
        look, now = self._look, self._look.now
        asked = request.query_params.getlist("rows")[:_ROWS]
        wanted = _filter(request.query_params)
        jobs = in_order(look.spec, look.overview, look.pauses(), wanted)
        if asked:
            jobs = [job for job in jobs if job.name in set(asked)]
        values = self._common(now) | {
            "wanted": wanted,
            "label": request.query_params.get("label", ""),
            "rows": await self._rows.draw(jobs, now),
            "shown": len(jobs),
            "latest": list(look.overview.latest),
            "seq": look.overview.newest,
            "is_complete": look.feed.is_complete,
        }
        if asked:
            return self._page("rows.html", values)
        return self._page("status.html", values | self._figures(now))

    async def job(self, request: Request) -> Response:
        """Show one job: its runs, their durations, what comes next, why, and its own YAML."""
        look, now = self._look, self._look.now
        job = self._job(request.path_params["name"])
        runs = runs_of(look.overview, job.name)
        drawn = card(look.daemon, look.overview, job, now)
        values = self._common(now) | {
            "job": job,
            "card": drawn,
            "runs": runs,
            "upcoming": _upcoming(drawn, now),
            "listing": await look.listing(job.name),
            "seq": look.overview.newest,
            "is_complete": look.feed.is_complete,
        }
        return self._page("job.html", values)

    async def run(self, request: Request) -> Response:
        """Show one run: every field of its record."""
        run_id = request.path_params["run_id"]
        run = await self._look.run(run_id) if len(run_id) <= _RUN_ID_LIMIT else None
        if run is None:
            job, _, at = run_id[:_RUN_ID_LIMIT].partition("@")
            told = f"No line of the log has the run {run_id[:_RUN_ID_LIMIT]!a}."
            if self._look.job(job) and at:
                told += " The page of its job says why."
            raise HTTPException(404, told)
        return self._page("run.html", self._common(self._look.now) | {"run": run})

    async def why(self, request: Request) -> Response:
        """Explain one minute of a job."""
        asked = request.query_params
        job, text = self._job(asked.get("job", "")), asked.get("time", "")[:_TIME_LIMIT].strip()
        zone, now = zone_of(job.schedule), self._look.now
        try:
            instants = parse_time(text, now, zone)
        except ValueError as error:
            raise HTTPException(400, str(error)) from None
        minutes = [int(instant // MINUTE) * MINUTE for instant in instants]
        answers = await self._look.why(job.name, minutes)
        values = {"job": job, "time": text, "zone": zone, "answers": answers}
        return self._page("why.html", self._common(now) | values)

    def _job(self, name: str) -> Job:
        if job := self._look.job(name):
            return job
        raise HTTPException(404, f"No job is named {name[:_TIME_LIMIT]!a}.")

    async def problem(self, request: Request, error: Exception) -> Response:
        """Answer an error: a page to a browser, a line to a program."""
        assert isinstance(error, HTTPException)  # noqa: S101 (what this is registered for)
        if "text/html" not in request.headers.get("accept", ""):
            return PlainTextResponse(f"{error.detail}\n", error.status_code, error.headers)
        values = self._common(self._look.now) | {"error": error}
        return self._page("problem.html", values, error.status_code)

    def _common(self, now: float) -> dict[str, Any]:
        """Return what every page shows."""
        look = self._look
        status = look.status()
        held = look.pauses()
        states = [
            state_of(job, held.get(job.name), look.overview.past(job.name))
            for job in look.spec.jobs.values()
        ]
        return {
            "now": now,
            "status": status,
            "problems": list(problems(status, is_silent=False)),
            "states": {state: states.count(state) for state in ORDER},
            "enabled": len(states) - states.count("disabled"),
        }

    def _figures(self, now: float) -> dict[str, Any]:
        """Return what changes with the configuration alone."""
        spec = self._look.spec
        of = f"{spec.revision} {int(now // DAY)}"
        if self._load[0] != of:
            self._load = of, pictures.load(load.load_by_minute(spec, now))
        labels = {f"{key}={value}" for job in spec.jobs.values() for key, value in job.labels}
        return {"load": self._load[1], "labels": sorted(labels)[:_LABELS], "order": ORDER}

    def _page(self, template: str, values: Mapping[str, Any], status_code: int = 200) -> Response:
        text = self._templates.get_template(template).render(values)
        if len(text) <= _PIECE:
            return HTMLResponse(text, status_code)
        return StreamingResponse(_pieces(text), status_code, media_type="text/html")


def _upcoming(drawn: Card, now: float) -> list[tuple[int, bool]]:
    """Return the next five slots, and of each whether it is in a pause."""
    job, pause = drawn.row.job, drawn.row.pause
    if job is None or not job.enabled:
        return []
    coming = islice(slots(job.schedule, now), _UPCOMING)
    return [(slot, bool(pause and slot < pause.until)) for slot in coming]


async def _pieces(text: str) -> AsyncIterator[str]:
    """Yield a long page piece by piece: a slow client must not make the daemon hold it all."""
    for start in range(0, len(text), _PIECE):
        yield text[start : start + _PIECE]


def _filter(query: QueryParams) -> Filter:
    labels = dict(text.split("=", 1) for text in query.getlist("label") if "=" in text)
    state = query.get("state", "")
    return Filter(state if state in ORDER else "", labels, query.get("q", "")[:100])
