"""`sinkd status`: whether a daemon is alive, which configuration runs, and what is wrong."""

import asyncio
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from sinkd import control
from sinkd.answers import Jobs, Refused, Status
from sinkd.clock import SystemClock
from sinkd.errors import SinkdError
from sinkd.evidence import is_alive, read_events, read_journal, read_revision
from sinkd.history import History
from sinkd.instant import duration_text, parse_rfc3339, rfc3339
from sinkd.record import ConfigAccepted, Event, Started
from sinkd.standing import problems, stamp, standing
from sinkd.storage import LOCK
from sinkd.terminal import escape, json_text, show

if TYPE_CHECKING:
    from sinkd.settings import Settings

_PATIENCE_SECONDS: Final = 2.0
_SILENT_SECONDS: Final = 180  # of a daemon that leaves a sign of life each minute
_SHOWN: Final = 5
_FOUND: Final = 1


@dataclass(frozen=True, slots=True)
class _State:
    """A status, and what a text says beside it: `problems` are what makes a status not clean."""

    status: Status
    started: Started | None
    seen: float | None
    stopping: bool
    now: float
    problems: Sequence[str]
    next: tuple[int, str] | None


def run_command(
    settings: "Settings", *, alive: bool, output_format: str = "text", now: float | None = None
) -> int:
    """Print the status; 1 when something is wrong. `now` is the clock's if None."""
    running = is_alive(settings.data_dir)
    if alive or not (output_format == "json" or settings.data_dir.is_dir()):
        click.echo(_sign_of_life(settings.data_dir, running=running))
        return 0 if running else _FOUND
    now = SystemClock().wall() if now is None else now
    state = _read(settings.data_dir, now, alive=running)
    if output_format == "json":
        click.echo(json_text(state.status))
    else:
        show(_text(state), color=settings.use_color(sys.stdout))
    return _FOUND if state.problems else 0


def _sign_of_life(data_dir: Path, *, running: bool) -> str:
    if not data_dir.is_dir():
        return (
            f"no daemon runs: there is no data directory {data_dir}; start `sinkd run`, or name its "
            "directory with `--data-dir`"
        )
    return f"{'a' if running else 'no'} daemon runs with the data directory {data_dir}"


def _read(data_dir: Path, now: float, *, alive: bool) -> _State:
    """Read the files, and ask the daemon for what only it knows."""
    replay = read_journal(data_dir)
    events = read_events(History(data_dir)) if data_dir.is_dir() else []
    told, answers_in_time = _ask(data_dir) if alive else (None, True)
    started = next((event for event in reversed(events) if event["event"] == "started"), None)
    accepted = next(
        (event for event in reversed(events) if event["event"] == "config_accepted"), None
    )
    claims = [claim.run_id for claim in replay.open_claims()] if replay else []
    status = Status(
        alive=alive,
        pid=_pid(data_dir) if alive else None,
        instance=started.get("instance") if started else None,
        revision=accepted["revision"] if accepted else None,
        config=accepted["revision"][:12] if accepted else None,
        commit=accepted.get("commit") if accepted else None,
        source=_source(started, accepted),
        accepted_at=accepted["at"] if accepted else None,
        refused=_refused(events, now),
        secrets_missing=told["secrets_missing"] if told else _secrets_missing(events),
        log_unwritable=told["log_unwritable"] if told else _log_unwritable(events),
        paused=[
            {"job": job, "until": rfc3339(pause.until), "reason": pause.reason, "by": pause.by}
            for job, pause in standing(events, now).pauses.items()
        ],
        jobs=told["jobs"] if told else _jobs(data_dir, accepted),
        in_flight=told["in_flight"] if told else claims,
        tzdata=started["tzdata"] if started else None,
    )
    seen = replay.alive_at if replay else None
    is_old = told is None and seen is not None and now - seen > _SILENT_SECONDS
    wrong = list(problems(status, is_silent=alive and (is_old or not answers_in_time)))
    stopping = alive and replay is not None and replay.draining is not None
    coming = told["next"] if told and not stopping else None
    return _State(status, started, seen, stopping, now, wrong, coming)


def _ask(data_dir: Path) -> tuple[dict[str, Any] | None, bool]:
    """Return what the daemon says of itself, None if not to us; and False if it kept us waiting."""

    async def ask() -> dict[str, Any]:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return await control.last_reply(data_dir, {"do": "status"})

    try:
        return asyncio.run(ask()).get("status"), True
    except TimeoutError:
        return None, False
    except SinkdError:
        return None, True


def _pid(data_dir: Path) -> int | None:
    with suppress(OSError, ValueError):
        return int((data_dir / LOCK).read_text())
    return None


def _source(started: Started | None, accepted: ConfigAccepted | None) -> Any:  # noqa: ANN401
    """Return from where the configuration came; one accepted after a start is from the file."""
    if started is None:
        return None
    later = accepted is not None and accepted["seq"] > started["seq"]
    return "file" if later else started["source"]


def _refused(events: Sequence[Event], now: float) -> Refused | None:
    if not standing(events, now).refused:
        return None
    for event in reversed(events):
        if event["event"] == "config_refused":
            return {
                "revision": event["revision"],
                "at": event["at"],
                "problems": event["problems"],
                "total": event["total"],
            }
    return None


def _secrets_missing(events: Sequence[Event]) -> list[str]:
    """Return what was missing since the last start, some of which may be there again."""
    missing: set[str] = set()
    for event in events:
        if event["event"] == "started":
            missing.clear()
        elif event["event"] == "secret_missing":
            missing.add(event["reference"])
    return sorted(missing)


def _log_unwritable(events: Sequence[Event]) -> str | None:
    for event in reversed(events):
        if event["event"] in {"log_recovered", "started"}:
            return None
        if event["event"] == "log_failed":
            return event["errno"]
    return None


def _jobs(data_dir: Path, accepted: ConfigAccepted | None) -> Jobs | None:
    spec = read_revision(data_dir, accepted["revision"]) if accepted else None
    if spec is None:
        return None
    enabled = sum(job.enabled for job in spec.jobs.values())
    return {"enabled": enabled, "disabled": len(spec.jobs) - enabled}


def _text(state: _State) -> Iterator[str]:
    yield from _first_line(state)
    for problem in state.problems:
        if state.status["alive"] or not problem.startswith("no daemon"):
            yield click.style(f"  ! {escape(problem)}", fg="red")
    for name, value in _facts(state):
        yield f"  {name:<10} {escape(value)}"


def _first_line(state: _State) -> Iterator[str]:
    status, started = state.status, state.started
    if not status["alive"]:
        seen = f", its last sign of life is of {stamp(rfc3339(state.seen))}" if state.seen else ""
        yield click.style(f"no daemon runs{seen}: start `sinkd run`", fg="red")
        return
    pid = f" (pid {status['pid']})" if status["pid"] else ""
    since = ""
    if started:
        age = duration_text(state.now - parse_rfc3339(started["at"]))
        host = escape(started["host"])
        since = f" on {host} since {stamp(started['at'])}, {age}, version {started['version']}"
    if state.stopping:
        yield f"sinkd is stopping{pid}{since}: it waits for the runs in flight, and starts nothing new"
    elif state.problems:
        yield f"sinkd runs{pid}{since}"
    else:
        yield click.style(f"sinkd runs{pid}{since}, nothing is wrong", fg="green")


def _facts(state: _State) -> Iterator[tuple[str, str]]:
    status = state.status
    if status["config"]:
        commit = f" (commit {status['commit'][:12]})" if status["commit"] else ""
        yield "config", f"{status['config']}{commit}, in use since {stamp(status['accepted_at'])}"
    if status["instance"]:
        yield "instance", status["instance"]
    if jobs := status["jobs"]:
        yield "jobs", f"{jobs['enabled']} enabled, {jobs['disabled']} disabled"
    for paused in status["paused"]:
        until = stamp(paused["until"])
        yield "paused", f"{paused['job']} until {until} by {paused['by']}: {paused['reason']}"
    if status["in_flight"]:
        more = len(status["in_flight"]) - _SHOWN
        shown = ", ".join(status["in_flight"][:_SHOWN])
        yield "in flight", f"{shown} and {more} more" if more > 0 else shown
    if state.next:
        slot, job = state.next
        wait = f"in {duration_text(slot - state.now)}" if slot > state.now else "due now"
        yield "next", f"{job} at {stamp(rfc3339(slot))}, {wait}"
    if status["tzdata"]:
        yield "tzdata", status["tzdata"]
