"""The HTTP application: which path is answered by what."""

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from sinkd.web.api import Api
from sinkd.web.guard import Guard
from sinkd.web.look import Look
from sinkd.web.pages import Pages
from sinkd.web.stream import Stream

if TYPE_CHECKING:
    from sinkd.web.site import Site


def create_app(site: "Site", look: Look) -> ASGIApp:
    """Return the application over a daemon."""
    pages, api, stream = Pages(look), Api(site, look), Stream(look.feed)
    app = Starlette(
        routes=[
            Route("/", pages.status),
            Route("/jobs/{name}", pages.job),
            Route("/runs/{run_id:path}", pages.run),
            Route("/why", pages.why),
            Route("/events", stream.events),
            Route("/metrics", api.metrics),
            Route("/-/healthy", api.healthy),
            Route("/-/ready", api.ready),
            Route("/api/v1/status", api.status),
            Route("/api/v1/config", api.config),
            Route("/api/v1/jobs", api.jobs),
            Route("/api/v1/jobs/{name}/runs", api.runs),
            Route("/badge/{name}.json", api.badge),
            Route("/calendar.ics", api.calendar),
            Mount("/static", StaticFiles(packages=[("sinkd.web", "static")])),
        ],
        exception_handlers={HTTPException: pages.problem},
    )
    return Guard(app, site.access)
