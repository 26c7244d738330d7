"""`sinkd export`: the run records of all files as one stream of lines, unchanged."""

import math
import sys
from typing import TYPE_CHECKING

from sinkd.clock import SystemClock
from sinkd.commands.jobs import check_window, instants
from sinkd.history import History, overlaps
from sinkd.terminal import warn

if TYPE_CHECKING:
    from sinkd.settings import Settings


def run_command(
    settings: "Settings",
    *,
    since: str | None = None,
    until: str | None = None,
    now: float | None = None,
) -> int:
    """Print each line that has a slot in [since, until), oldest first. `now` is the clock's if None."""
    now = SystemClock().wall() if now is None else now
    first = None if since is None else instants(since, now, "UTC")[0]
    end = None if until is None else instants(until, now, "UTC")[-1]
    check_window(first, end, math.inf)
    history = History(settings.data_dir)
    output = sys.stdout.buffer
    for line, run in history.entries("runs"):
        if overlaps(run, first, end):
            output.write(line if line.endswith(b"\n") else line + b"\n")
    output.flush()
    warn(history.losses)
    return 0
