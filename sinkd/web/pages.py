"""The pages, complete without a script."""

import asyncio
import re
import time as clocks
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse

from sinkd import __version__, load, pictures
from sinkd.instant import DAY, MINUTE, duration_text, minute_text, parse_rfc3339, rfc3339
from sinkd.report import REASON_WORDS
from sinkd.schedule import describe, slots, zone_of
from sinkd.spec import Job
from sinkd.standing import problems
from sinkd.web.look import Look
from sinkd.web.view import (
    MARKS,
    ORDER,
    WORDS,
    Card,
    Filter,
    card,
    in_order,
    runs_of,
    state_of,
)
from sinkd.when import parse_time
from sinkd.why import slot_text

_SLICE_SECONDS: Final = 0.003  # how long a page may keep the daemon's loop
_PIECE: Final = 64 * 1024
_ROWS: Final = 100  # that a script may ask for at once
_LABELS: Final = 200
_UPCOMING: Final = 5
_RUN_ID_LIMIT: Final = 120
_TIME_LIMIT: Final = 100


class _Known(NamedTuple):
    """What a row was drawn from; it is drawn anew when something of it differs."""

    seq: int
    job: Job
    pause: object
    flight: str | None
    minute: int


class Pages:
    """Draws the pages of one daemon, rows of the status page only when they changed."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._templates = _environment()
        self._rows: dict[str, tuple[_Known, Markup]] = {}
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
            "rows": await self._drawn(jobs, now),
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
        slots = [int(instant // MINUTE) * MINUTE for instant in instants]
        answers = await self._look.why(job.name, slots)
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
            state_of(job, held.get(job.name), look.overview) for job in look.spec.jobs.values()
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
        if self._load[0] != f"{spec.revision} {int(now // DAY)}":
            drawn = pictures.load(load.load_by_minute(spec, now))
            self._load = f"{spec.revision} {int(now // DAY)}", drawn
        labels = {f"{key}={value}" for job in spec.jobs.values() for key, value in job.labels}
        return {"load": self._load[1], "labels": sorted(labels)[:_LABELS], "order": ORDER}

    async def _drawn(self, jobs: Sequence[Job], now: float) -> Markup:
        """Return the rows of jobs; the loop goes on in between."""
        began, rows = clocks.perf_counter(), []
        for job in jobs:
            rows.append(self._row(job, now))
            if clocks.perf_counter() - began > _SLICE_SECONDS:
                await asyncio.sleep(0)
                began = clocks.perf_counter()
        return Markup("").join(rows)

    def _row(self, job: Job, now: float) -> Markup:
        daemon, overview = self._look.daemon, self._look.overview
        state = daemon.store.states.get(job.name)
        flight = daemon.flights.of(job.name)
        known = _Known(
            overview.past(job.name).seq,
            job,
            state and state.pause,
            flight.run_id if flight else None,
            int(now // 60),
        )
        before = self._rows.get(job.name)
        if before and before[0] == known and before[0].job is job:
            return before[1]
        drawn = card(daemon, overview, job, now)
        row = Markup(self._templates.get_template("row.html").render(card=drawn, now=now))  # noqa: S704 (escaped by the template)
        self._rows[job.name] = known, row
        return row

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


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("sinkd.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "marks": MARKS,
        "words": WORDS,
        "version": __version__,
        "pictures": pictures,
        "describe": describe,
        "zone_of": zone_of,
        "slot_text": slot_text,
    }
    environment.filters |= {
        "stamp": _stamp,
        "clock": _clock,
        "span": duration_text,
        "iso": _iso,
        "instant": _instant,
        "answer": _answer,
        "code": _code,
        "details": _details,
    }
    return environment


def _instant(at: str | float) -> float:
    return parse_rfc3339(at) if isinstance(at, str) else at


def _iso(at: str | float) -> str:
    return at if isinstance(at, str) else rfc3339(at)


def _stamp(at: str | float) -> str:
    """Return a date and time of the day: `2026-11-23 10:01:12`."""
    return rfc3339(int(_instant(at)))[:19].replace("T", " ")


def _clock(at: str | float, now: float) -> str:
    """Return the time of the day alone when it is within a day."""
    instant = _instant(at)
    text = minute_text(int(instant))[:16].replace("T", " ")
    return text[11:] if abs(now - instant) < DAY else text


def _details(run: Mapping[str, Any]) -> str:
    """Return what else a record says: by hand or late, how many slots, why, the error."""
    count = run.get("count", 1)
    parts = [
        {"manual": "by hand", "catch_up": "caught up"}.get(run.get("trigger", ""), ""),
        f"{count:,} slots to {_stamp(run['last_scheduled_at'])}" if count > 1 else "",
        REASON_WORDS.get(run.get("reason", ""), ""),
        run.get("error", ""),
        f"blocked by {run['blocked_by']}" if "blocked_by" in run else "",
    ]
    return ", ".join(filter(None, parts))


def _code(text: str) -> Markup:
    """Return a sentence whose `quoted` parts are code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 (escaped before)


def _answer(run: Mapping[str, Any]) -> str:
    """Return the status code that came, else the reason why there was none."""
    reason = run.get("reason")
    if reason in {None, "http_status"}:
        return str(run.get("status_code", ""))
    return str(reason).replace("_", " ")
