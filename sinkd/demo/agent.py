"""The example agent's HTTP application: endpoints for the four jobs, pages for a person.

Its writes answer on a loopback address, so any web page that the person has open could post to
them: requests that a browser marks as coming from another site are refused, and so are host
names that are not this machine's (DNS rebinding). A scheduler sends no such marks.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sinkd.demo import database, research
from sinkd.demo.books import Books
from sinkd.demo.sessions import Session, Sessions
from sinkd.instant import rfc3339

BODY_LIMIT_BYTES: Final = 64 * 1024
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self';"
        " base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def create_app(database_file: Path, now: Callable[[], float] = time.time) -> Starlette:
    """Return the agent on this database, which is made if need be; its directory exists.

    Sessions that an earlier life left `running` are continued first.
    """
    database.create(database_file)
    agent = _Agent(Sessions(database_file, now), Books(database_file, now), _templates())
    for session in agent.sessions.all():
        agent.proceed(session)
    return Starlette(
        routes=[
            Route("/", agent.overview),
            Route("/sessions/{session_id}", agent.session_page),
            Route("/sessions/{session_id}/{decision}", agent.decide, methods=["POST"]),
            Route("/agents/trading-bot/execute", agent.execute, methods=["POST"]),
            Route("/cache/refresh", agent.refresh_cache, methods=["POST"]),
            Route("/sync", agent.sync, methods=["POST"]),
            Route("/health", agent.health),
            Mount("/static", StaticFiles(packages=[("sinkd.demo", "static")])),
        ],
        middleware=[
            Middleware(_Guard),
            Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"]),
            Middleware(RequestBodyLimitMiddleware, max_body_size=BODY_LIMIT_BYTES),
        ],
        exception_handlers={HTTPException: agent.problem},
    )


@dataclass(frozen=True, slots=True)
class _Agent:
    sessions: Sessions
    books: Books
    templates: Jinja2Templates

    def proceed(self, session: Session, decision: str | None = None) -> Session:
        """Produce items until the session waits for a person or is completed.

        `decision` answers a session that waits; the item it makes is the next one.
        """
        while decision or session.state == "running":
            day = datetime.fromtimestamp(session.created_at, UTC).date()
            script = research.script(day, decision or session.decision)
            if not self.sessions.append(session, script[len(session.items)]) and decision:
                raise HTTPException(409, "Somebody else has just decided this session.")
            decision = None
            session = self.find(session.id)
        return session

    def find(self, session_id: str) -> Session:
        """Return the session, or raise the 404 that names it."""
        if session := self.sessions.get(session_id):
            return session
        raise HTTPException(404, f"There is no session {session_id}.")

    async def execute(self, request: Request) -> Response:
        """Open a session, or find that of the same `Idempotency-Key`, and let it work."""
        await _require_research_mode(request)
        session = await run_in_threadpool(self._open, request.headers.get("idempotency-key"))
        return JSONResponse(
            {
                "session_id": session.id,
                "state": session.state,
                "url": str(request.url_for("session_page", session_id=session.id)),
            },
            status_code=202,
            headers={"X-Session-Id": session.id},
        )

    def _open(self, run_id: str | None) -> Session:
        return self.proceed(self.find(self.sessions.create(run_id)))

    def decide(self, request: Request) -> Response:
        """Approve or reject the order of a session that waits, and let it end."""
        session = self.find(request.path_params["session_id"])
        decision = request.path_params["decision"]
        if decision not in ("approve", "reject"):
            raise HTTPException(404, "A session is decided with `approve` or `reject`.")
        if session.state != "waiting_for_input":
            raise HTTPException(409, "This session waits for no decision: it is completed.")
        self.proceed(session, decision)
        return RedirectResponse(f"/sessions/{session.id}", status_code=303)

    def refresh_cache(self, _: Request) -> Response:
        """Put fresh quotes into the cache."""
        return JSONResponse({"refreshed": self.books.refresh_quotes()})

    def sync(self, _: Request) -> Response:
        """Copy approved orders into the ledger."""
        return JSONResponse({"copied": self.books.sync_orders()})

    def health(self, _: Request) -> Response:
        """Say that the agent is well, which it is when its database answers."""
        return JSONResponse({"status": "ok", **self.books.figures()})

    def overview(self, request: Request) -> Response:
        """Show the sessions, those that wait first, and what the other jobs have done."""
        sessions = sorted(
            self.sessions.all(), key=lambda session: session.state != "waiting_for_input"
        )
        return self.templates.TemplateResponse(
            request, "overview.html", {"sessions": sessions, "books": self.books.figures()}
        )

    def session_page(self, request: Request) -> Response:
        """Show one session with its items and, while it waits, the two buttons."""
        session = self.find(request.path_params["session_id"])
        return self.templates.TemplateResponse(request, "session.html", {"session": session})

    def problem(self, request: Request, error: Exception) -> Response:
        """Answer an error: a page to a browser, a line to a program."""
        assert isinstance(error, HTTPException)  # noqa: S101 (what this is registered for)
        if "text/html" not in request.headers.get("accept", ""):
            return PlainTextResponse(f"{error.detail}\n", error.status_code, error.headers)
        return self.templates.TemplateResponse(
            request, "problem.html", {"error": error}, error.status_code, error.headers
        )


async def _require_research_mode(request: Request) -> None:
    try:
        mode = json.loads(await request.body())["mode"]
    except (ValueError, LookupError, TypeError):
        mode = None
    if mode != "research":
        raise HTTPException(422, 'The body must be the JSON object {"mode": "research"}.')


class _Guard:
    """Refuses writes from other sites and puts the security headers on every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        app = self.app
        if scope["method"] not in ("GET", "HEAD") and _is_from_another_site(Headers(scope=scope)):
            app = PlainTextResponse("This request comes from another site.\n", 403)
        await app(scope, receive, send_with_headers)


def _is_from_another_site(headers: Headers) -> bool:
    """Tell it by what browsers add to each write and a page cannot forge; programs add neither."""
    if site := headers.get("sec-fetch-site"):
        return site not in ("same-origin", "none")
    return headers.get("origin", own := f"http://{headers.get('host')}") != own


def _templates() -> Jinja2Templates:
    environment = Environment(
        loader=PackageLoader("sinkd.demo"), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["moment"] = _moment
    return Jinja2Templates(env=environment)


def _moment(instant: int) -> dict[str, Any]:
    text = rfc3339(instant)
    return {"iso": text, "text": f"{text[:10]} {text[11:19]} UTC"}
