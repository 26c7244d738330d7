"""`sinkd plan`: what the jobs file changes, against a commit, a file or a running daemon."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sinkd import diagnostics, source
from sinkd.answers import Paused
from sinkd.clock import SystemClock
from sinkd.commands import plan_sides
from sinkd.commands.plan_markdown import markdown
from sinkd.commands.plan_sides import Side
from sinkd.commands.plan_text import text
from sinkd.errors import UsageError
from sinkd.instant import rfc3339
from sinkd.plan import as_json, compare
from sinkd.spec import Spec
from sinkd.terminal import json_text, show

if TYPE_CHECKING:
    from sinkd.settings import Settings


def run_command(
    settings: "Settings",
    *,
    base: str | None = None,
    auth_token_file: Path | None = None,
    output_format: str = "text",
    exit_code: bool = False,
    now: float | None = None,
) -> int:
    """Print what changes; 1 when `exit_code` and something does. `now` is the clock's if None."""
    after = plan_sides.proposed(settings.config)
    before = plan_sides.compared_with(base, settings.config, auth_token_file)
    old, new = _specs((before, after), color=settings.use_color(sys.stderr))
    plan = compare(old, new, SystemClock().wall() if now is None else now)
    if output_format == "json":
        answer = as_json(plan)
        if before.is_daemon:
            answer["paused"] = _paused(before)
        click.echo(json_text(answer))
    else:
        lines = markdown if output_format == "markdown" else text
        show(lines(plan, before, after), color=settings.use_color(sys.stdout))
    return int(exit_code and bool(plan.entries or plan.notify))


def _specs(sides: Sequence[Side], *, color: bool) -> list[Spec]:
    """Return what each side means; what is wrong with any of them is printed, then UsageError."""
    specs, wrong = [], []
    for side in sides:
        loaded = source.load(side.data, side.path)
        if loaded.spec:
            specs.append(loaded.spec)
            continue
        text = side.data.decode("utf-8-sig", "replace")
        found = diagnostics.as_text(side.path, text, loaded.diagnostics, color=color)
        click.echo(f"{found}\n", err=True, color=color)
        wrong.append(side.path)
    if wrong:
        message = f"no plan: {' and '.join(wrong)} cannot be read as a jobs file"
        raise UsageError(message)
    return specs


def _paused(side: Side) -> list[Paused]:
    return [
        {"job": job, "until": rfc3339(int(pause.until)), "reason": pause.reason, "by": pause.by}
        for job, pause in side.pauses.items()
    ]
