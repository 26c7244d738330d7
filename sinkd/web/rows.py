"""The rows of the status page, each drawn anew only when something of it changed."""

import asyncio
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import quote

from jinja2 import Environment
from markupsafe import Markup

from sinkd import pictures
from sinkd.instant import duration_text, rfc3339
from sinkd.spec import Job
from sinkd.state import Pause
from sinkd.web.look import Look
from sinkd.web.texts import answer, clock
from sinkd.web.view import Card, card

# How long a page may keep the daemon's loop. In a burst its turn comes late, so not too short.
_SLICE_SECONDS: Final = 0.02
_HOUR: Final = 3600
_GLUE: Final = "\N{NO-BREAK SPACE}"
_RUNNING: Final = Markup(
    '<td data-title="Next run"><span class="state flying"><span class="mark" aria-hidden="true">'
    "\N{BLACK RIGHT-POINTING SMALL TRIANGLE}</span> running</span></td></tr>\n"
)


class _Seen(NamedTuple):
    """What a row was drawn from."""

    seq: int
    pause: Pause | None
    hour: int


class _Drawn(NamedTuple):
    """A row up to the cell of what comes next, whose countdown is of each moment."""

    job: Job
    seen: _Seen
    head: Markup
    html: Markup
    next_slot: int | None


class Rows:
    """Draws rows, and keeps them; of a job that was removed nothing."""

    def __init__(self, look: Look, templates: Environment) -> None:
        self._look = look
        self._head = templates.get_template("head.html")
        self._row = templates.get_template("row.html")
        self._drawn: dict[str, _Drawn] = {}
        self._revision = ""

    async def draw(self, jobs: Sequence[Job], now: float) -> Markup:
        """Return the rows of jobs as one; the daemon's loop goes on in between."""
        self._forget()
        began, rows = time.perf_counter(), []
        for job in jobs:
            rows.append(self._of(job, now))
            if time.perf_counter() - began > _SLICE_SECONDS:
                await asyncio.sleep(0)
                began = time.perf_counter()
        return Markup("").join(rows)

    def _forget(self) -> None:
        spec = self._look.spec
        if self._revision != spec.revision:
            self._revision = spec.revision
            self._drawn = {
                name: drawn
                for name, drawn in self._drawn.items()
                if spec.jobs.get(name) == drawn.job
            }

    def _of(self, job: Job, now: float) -> Markup:
        daemon, overview = self._look.daemon, self._look.overview
        known, flight = daemon.store.states.get(job.name), daemon.flights.of(job.name)
        pause = known.pause if known else None
        seen = _Seen(overview.past(job.name).seq, pause, int(now // _HOUR))
        drawn = self._drawn.get(job.name)
        if drawn is None or drawn.seen != seen or (drawn.next_slot or now) < now:
            drawn = self._draw(job, seen, card(daemon, overview, job, now), drawn, now)
            self._drawn[job.name] = drawn
        return drawn.html + (_RUNNING if flight else _next(drawn.next_slot, int(now)))

    def _draw(
        self, job: Job, seen: _Seen, drawn: Card, before: _Drawn | None, now: float
    ) -> _Drawn:
        if before and before.seen.pause == seen.pause:
            head = before.head
        else:
            head = Markup(self._head.render(job=job, pause=seen.pause))  # noqa: S704 (of a template)
        totals, last = drawn.row.totals, drawn.row.totals.last_run
        at = last.get("started_at", last["scheduled_at"]) if last else ""
        html = head + Markup(  # noqa: S704 (of a template)
            self._row.render(
                job=job,
                state=drawn.state,
                strip=pictures.strip(drawn.day),
                share=drawn.share,
                runs=f"{totals.runs:,}",
                split=f"{totals.counts['success']:,}{_GLUE}ok, {totals.counts['failure']:,}{_GLUE}failed",
                p95=pictures.seconds_text(totals.durations.quantile(0.95)),
                last=last,
                last_at=at,
                now=now,
                last_url=quote(last["run_id"]) if last else "",
                answer=answer(last) if last else "",
            )
        )
        return _Drawn(job, seen, head, html, drawn.row.next_slot)


@lru_cache(maxsize=4096)  # many jobs share a slot
def _next(slot: int | None, now: int) -> Markup:
    """Return the cell of the next slot, and the end of the row."""
    if slot is None:
        return Markup('<td data-title="Next run">\N{EN DASH}</td></tr>\n')
    return Markup(  # noqa: S704 (times)
        f'<td data-title="Next run"><time datetime="{rfc3339(slot)}">{clock(slot, now)}</time> '
        f'<span class="sub" data-due="{slot}">in {duration_text(slot - now)}</span></td></tr>\n'
    )
