"""`sinkd trigger`: one job, now, recorded as `manual`."""

import asyncio
import logging
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click
from pydantic_core import to_json

from sinkd import control
from sinkd.clock import SystemClock
from sinkd.commands.jobs import check_names, read_spec
from sinkd.commands.run import configure_log
from sinkd.daemon import Daemon
from sinkd.record import manual_run_id
from sinkd.runner import Attempt, Runner, direct_transport
from sinkd.secrets import Secrets
from sinkd.spec import Job
from sinkd.start import Assembly, Options, assemble
from sinkd.storage import is_locked

if TYPE_CHECKING:
    from sinkd.settings import Settings


def run_command(
    settings: "Settings", *, job: str, dry_run: bool, no_wait: bool, output_format: str
) -> int:
    """Fire the job through the daemon, or by ourselves when none runs; exit 0 on success."""
    if dry_run:
        return _show_request(settings, job)
    if is_locked(settings.data_dir):
        work = _through_daemon(settings, job, wait=not no_wait)
    else:
        work = _alone(settings, job)
    return _show(asyncio.run(work), output_format)


def _show_request(settings: "Settings", name: str) -> int:
    """Print the request that would be sent, secrets masked."""
    clock = SystemClock()
    now = clock.wall()
    job = _job(settings, name)
    runner = Runner(direct_transport(), Secrets({}, ()), now=clock.wall)
    attempt = Attempt(job, manual_run_id(name, now), now, "manual", "0" * 32)
    request = runner.preview(attempt)
    lines = [f"{request.method} {request.url}"]
    lines += [f"{name}: {value}" for name, value in request.headers]
    click.echo("\n".join(lines))
    if request.body:
        click.echo("\n" + request.body.decode("utf-8", "replace"))
    return 0


def _job(settings: "Settings", name: str) -> Job:
    jobs = read_spec(settings).jobs
    check_names([name], jobs, settings.config.name)
    return jobs[name]


async def _through_daemon(settings: "Settings", job: str, *, wait: bool) -> Mapping[str, Any]:
    """Return the run's record, or only its id when nobody waits for the end."""
    request = {"do": "trigger", "job": job, "wait": wait}
    reply = await control.last_reply(settings.data_dir, request)
    run: Mapping[str, Any] = reply.get("run", reply)
    return run


async def _alone(settings: "Settings", job: str) -> Mapping[str, Any]:
    """Take the lock and fire the job in this process; the schedule is left alone."""
    _job(settings, job)
    assembly = await assemble_quietly(settings)
    return await assembly.daemon.alone(assembly.first, _run_of(assembly.daemon, job))


async def _run_of(daemon: Daemon, job: str) -> Mapping[str, Any]:
    return await (await daemon.trigger(job)).ended


async def assemble_quietly(settings: "Settings") -> Assembly:
    """Put a daemon together for one order of a person, when none runs."""
    colors = settings.use_color(sys.stderr)
    redactor = configure_log("console", colors=colors, level=logging.WARNING)
    return await assemble(Options(settings.config, settings.data_dir), redactor=redactor)


def _show(run: Mapping[str, Any], output_format: str) -> int:
    if output_format == "json":
        click.echo(to_json(run, ensure_ascii=True).decode())
    else:
        click.echo(_line(run))
    return 0 if run.get("outcome", "success") == "success" else 1


def _line(run: Mapping[str, Any]) -> str:
    """Return the run's id and, once it has ended, what became of it."""
    result = "/".join(run[key] for key in ("outcome", "reason") if key in run)
    told = (run["run_id"], result, run.get("status_code"))
    line = " ".join(str(part) for part in told if part)
    return f"{line}: {run['error']}" if "error" in run else line
