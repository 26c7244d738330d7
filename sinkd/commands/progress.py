"""Shows at a terminal how far a long reading of the run log is."""

import sys
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from sinkd.instant import parse_rfc3339
from sinkd.record import Run

_PATIENCE_SECONDS: Final = 1.0
_RECORDS: Final = 2_000  # between two looks at the clock


def with_progress(runs: Iterator[Run], now: float) -> Iterable[Run]:
    """Return the records of a log that ends `now`; at a terminal a bar shows after a second.

    It shows the part of the log's time that was read. Without a terminal nothing is shown.
    """
    return _watched(runs, now) if sys.stderr.isatty() else runs


def _watched(runs: Iterator[Run], now: float) -> Iterator[Run]:
    """Read on quietly for a second: most logs are done by then, and rich takes long to import."""
    first, began = None, time.monotonic()
    for run in runs:
        yield run
        first = first or run
        yield from islice(runs, _RECORDS)
        if time.monotonic() - began > _PATIENCE_SECONDS:
            yield from _with_bar(runs, parse_rfc3339(first["scheduled_at"]), now)


def _with_bar(runs: Iterator[Run], begins_at: float, now: float) -> Iterator[Run]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = TextColumn("reading the log"), BarColumn(), TaskProgressColumn()
    plain = Console(stderr=True, no_color=True)
    with Progress(*columns, console=plain, transient=True) as progress:
        bar = progress.add_task("", total=max(1, now - begins_at))
        for run in runs:
            yield run
            yield from islice(runs, _RECORDS)
            progress.update(bar, completed=parse_rfc3339(run["scheduled_at"]) - begins_at)
