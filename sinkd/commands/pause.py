"""`sinkd pause` and `sinkd resume`: a person holds one job for a while, on the record (T10)."""

import asyncio
import os
from typing import TYPE_CHECKING, Any, Final

import click

from sinkd import control
from sinkd.clock import SystemClock
from sinkd.commands.trigger import assemble_quietly
from sinkd.errors import ConfigError, UsageError
from sinkd.instant import DAY, duration_text, parse_duration, rfc3339
from sinkd.state import Pause
from sinkd.storage import is_locked

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from sinkd.daemon import Daemon
    from sinkd.settings import Settings

REASON_LIMIT_CHARACTERS: Final = 300


def pause_command(settings: "Settings", *, job: str, duration: str, reason: str) -> int:
    """Hold the job, and say until when."""
    seconds = _seconds(duration)
    if not reason.strip():
        message = "--reason is empty; say why, `sinkd why` and the report will show it"
        raise UsageError(message)
    if len(reason) > REASON_LIMIT_CHARACTERS:
        message = f"--reason has {len(reason):,} characters; at most {REASON_LIMIT_CHARACTERS}"
        raise UsageError(message)
    pause = Pause(SystemClock().wall() + seconds, reason.strip(), _person())
    request = {"do": "pause", "job": job, "until": pause.until, "reason": pause.reason}
    _do(
        settings,
        {**request, "by": pause.by},
        lambda daemon: daemon.pause(job, pause),
    )
    click.echo(f"{job} is paused until {rfc3339(int(pause.until))}, for {duration_text(seconds)}")
    return 0


def resume_command(settings: "Settings", *, job: str) -> int:
    """End the job's pause."""
    by = _person()
    _do(settings, {"do": "resume", "job": job, "by": by}, lambda daemon: daemon.resume(job, by))
    click.echo(f"{job} runs again")
    return 0


def _do(
    settings: "Settings",
    request: dict[str, Any],
    order: "Callable[[Daemon], Coroutine[Any, Any, None]]",
) -> None:
    """Hand a request to the daemon, or do it ourselves when none runs."""
    work: Coroutine[Any, Any, Any]
    if is_locked(settings.data_dir):
        work = control.last_reply(settings.data_dir, request)
    else:
        work = _alone(settings, order)
    asyncio.run(work)


async def _alone(
    settings: "Settings", order: "Callable[[Daemon], Coroutine[Any, Any, None]]"
) -> None:
    try:
        assembly = await assemble_quietly(settings)
    except ConfigError as error:  # its exit code is for supervisors of a daemon
        raise UsageError(str(error)) from None
    await assembly.daemon.alone(assembly.first, order(assembly.daemon))


def _seconds(duration: str) -> int:
    try:
        seconds = parse_duration(duration)
    except ValueError as error:
        message = f"--for: {error}"
        raise UsageError(message) from None
    if not seconds:
        message = f"--for {duration} holds nothing; `sinkd resume` ends a pause"
        raise UsageError(message)
    if seconds > DAY:
        message = f"--for {duration}: at most 24h; to hold a job longer, commit `enabled: false`"
        raise UsageError(message)
    return seconds


def _person() -> str:
    """Return who asks: the person behind sudo, else the user of this process."""
    import pwd

    if behind := os.environ.get("SUDO_USER"):
        return behind
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"uid {os.geteuid()}"
