"""The text of a report: a table of the jobs, what failed, what did not run, and single runs.

A time within the last day stands alone, an older one with its date; all are UTC.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

import click

from sinkd.instant import DAY, duration_text, parse_rfc3339
from sinkd.record import Run
from sinkd.report import REASON_WORDS, STRIP_HOURS, Cause, Report, Row, Totals, Trouble, tidy
from sinkd.schedule import describe
from sinkd.terminal import align, escape, width

_NOTHING: Final = "\N{EN DASH}"
_ALL_GOOD, _SOME_GOOD, _NONE_GOOD, _NO_RUN = "▇▃▁ "
_GAP: Final = "  "
_BOLD: Final = ("JOB ", "Failures", "Not run", "Runs")


class _Column(NamedTuple):
    """A column of the table; a narrow terminal loses the highest `spare` first, 0 never."""

    spare: int
    side: str
    title: str
    cells: Sequence[str]


class _Line(NamedTuple):
    """One cause of one job's troubles."""

    row: Row
    cause: Cause
    trouble: Trouble


def text(report: Report, columns: int | None) -> Iterator[str]:
    """Yield the lines of a report.

    On a terminal of this many columns the table leaves out what does not fit; a sentence is never
    cut, the terminal wraps it. None is no limit.
    """
    for line in _lines(report, columns):
        if line.startswith(_BOLD):
            yield click.style(line, bold=True)
        elif line.startswith("running config"):
            yield click.style(line, fg="yellow")
        else:
            yield line


def _lines(report: Report, columns: int | None) -> Iterator[str]:
    yield from _header(report)
    if report.first is None:
        yield from _next_run(report)
        return
    yield ""
    yield from _table(report, columns)
    troubles = [
        _Line(row, cause, trouble)
        for row in report.rows
        for cause, trouble in row.totals.troubles.items()
    ]
    troubles.sort(key=lambda line: line.trouble.last["seq"], reverse=True)
    failures = [line for line in troubles if line.cause[0] in {"failure", "interrupted"}]
    not_run = [line for line in troubles if line.cause[0] in {"skipped", "missed"}]
    yield from _section("Failures", [_failure(line, report.now) for line in failures], "<><<<")
    yield from _section("Not run", [_not_run(line) for line in not_run], "<><<")
    if report.runs is not None:
        yield from _section(
            "Runs, newest first", [_run(tidy(run)) for run in report.runs], "<<<<><"
        )


def _section(title: str, cells: Sequence[Sequence[str]], sides: str) -> Iterator[str]:
    if cells:
        yield ""
        yield title
        yield from (_GAP + line for line in align(cells, sides))


# What was read, and what runs.


def _header(report: Report) -> Iterator[str]:
    log, begins_at = escape(report.log), report.begins_at
    if begins_at is None:
        yield f"no runs recorded yet in {log}"
    else:
        runs = sum(row.totals.runs for row in report.rows)
        first = " (first record)" if report.since is None else ""
        yield (
            f"{_stamp(begins_at)}{first} to {_stamp(report.until)} UTC, "
            f"{runs} run{'' if runs == 1 else 's'}, {log}"
        )
    yield from _refusal(report)
    if len(report.rows) == 1 and (job := report.rows[0].job):
        words = f"{job.name}, {describe(job.schedule)}"
        yield ": ".join(filter(None, [words, escape(job.description or "")]))


def _refusal(report: Report) -> Iterator[str]:
    """Say which configuration runs while the file on disk is refused (C4)."""
    if refused := report.stands.refused:
        in_use = report.stands.in_use
        running = f"{in_use.config} since {_stamp(in_use.since)}" if in_use else "accepted last"
        on_disk = f"{refused.config} " if refused.config else ""
        yield escape(f"running config {running}; file on disk {on_disk}refused: {refused.problem}")


def _next_run(report: Report) -> Iterator[str]:
    coming = [(row.next_slot, row.name) for row in report.rows if row.next_slot]
    if coming:
        slot, name = min(coming)
        wait = duration_text(slot - int(report.now))
        yield f"next: {name} at {_short(slot, report.now)} (in {wait})"
    elif not report.rows:
        yield "declare jobs in jobs.yaml and start `sinkd run`"


# The table of jobs.


def _table(report: Report, columns: int | None) -> Sequence[str]:
    table = _columns(report)
    lines = _aligned(table)
    while columns is not None and max(map(width, lines)) > columns:
        least_needed = max(table, key=lambda column: column.spare)
        if not least_needed.spare:
            break
        table.remove(least_needed)
        lines = _aligned(table)
    return lines


def _aligned(table: Sequence[_Column]) -> Sequence[str]:
    titles = [column.title for column in table]
    cells = zip(*(column.cells for column in table), strict=True)
    return align([titles, *cells], "".join(column.side for column in table))


def _columns(report: Report) -> list[_Column]:
    totals = [row.totals for row in report.rows]
    begins_at = min(report.until, report.now) - DAY
    strip = f"{_minute(begins_at)} ".ljust(STRIP_HOURS, "─")
    return [
        _Column(0, "<", "JOB", [escape(row.name) for row in report.rows]),
        _Column(0, ">", "RUNS", [str(each.runs) for each in totals]),
        _Column(0, ">", "OK", [_share(each) for each in totals]),
        _Column(0, ">", "MISSED", [str(each.counts["missed"]) for each in totals]),
        _Column(2, ">", "P50", [_seconds(each.durations.quantile(0.50)) for each in totals]),
        _Column(1, ">", "P95", [_seconds(each.durations.quantile(0.95)) for each in totals]),
        _Column(5, "<", strip, [_strip(each) for each in totals]),
        _Column(4, "<", "LAST RUN", _last_runs(report)),
        _Column(3, "<", "NEXT", [_next(row, report) for row in report.rows]),
    ]


def _share(totals: Totals) -> str:
    if not totals.runs:
        return _NOTHING
    share = f"{100 * totals.counts['success'] / totals.runs:.1f}%"
    return "99.9%" if share == "100.0%" and totals.counts["success"] < totals.runs else share


def _strip(totals: Totals) -> str:
    return "".join(_bar(*totals.hours.get(hour, (0, 0))) for hour in range(STRIP_HOURS))


def _bar(good: int, runs: int) -> str:
    if not runs:
        return _NO_RUN
    if not good:
        return _NONE_GOOD
    return _ALL_GOOD if good == runs else _SOME_GOOD


def _last_runs(report: Report) -> list[str]:
    cells = []
    for row in report.rows:
        run = row.totals.last_run
        cells.append(
            (
                _short(_started(run), report.now, seconds=True),
                _answer(run),
                _seconds(run.get("duration_ms")),
            )
            if run
            else (_NOTHING, "", "")
        )
    return align(cells, "<<<")


def _next(row: Row, report: Report) -> str:
    if row.job is None:
        return "removed" if report.knows_jobs else _NOTHING
    if not row.job.enabled:
        return "disabled"
    if row.pause:
        until = _short(row.pause.until, report.now)
        return f"paused until {until} by {escape(row.pause.by)}: {escape(row.pause.reason)}"
    return _NOTHING if row.next_slot is None else _short(row.next_slot, report.now)


# What went wrong, and single runs.


def _failure(line: _Line, now: float) -> Sequence[str]:
    name, (outcome, reason), trouble = escape(line.row.name), line.cause, line.trouble
    first, last = _ended(trouble.first), _ended(trouble.last)
    when = f"last {_short(last, now, seconds=True)}"
    if trouble.count > 1:
        when = f"{_short(first, now)} to {_short(last, now)}"
    what = outcome if outcome == "interrupted" else escape(reason)
    notes = [REASON_WORDS.get(reason, escape(trouble.last.get("error", "")))]
    totals = line.row.totals
    if totals.in_a_row and trouble.last["seq"] == _last_failure_seq(totals):
        notes.append(f"then {totals.in_a_row} in a row succeeded")
    return name, str(trouble.count), what, when, "; ".join(filter(None, notes))


def _last_failure_seq(totals: Totals) -> int:
    return max(
        trouble.last["seq"]
        for (outcome, _), trouble in totals.troubles.items()
        if outcome in {"failure", "interrupted"}
    )


def _not_run(line: _Line) -> Sequence[str]:
    trouble, reason = line.trouble, line.cause[1]
    first = parse_rfc3339(trouble.first["scheduled_at"])
    last = _last_slot(trouble.last)
    words = REASON_WORDS.get(reason, escape(reason))
    return escape(line.row.name), str(trouble.count), words, _span(first, last, trouble.count)


def _span(first: float, last: float, count: int) -> str:
    """Return the first and the last of some slots, with their date."""
    if count == 1:
        return f"{_minute(first)} on {_date(first)}"
    if _date(first) != _date(last):
        return f"{_stamp(first)} to {_stamp(last)}"
    between = ", " if count == 2 else " to "  # noqa: PLR2004 - both are named
    return f"{_minute(first)}{between}{_minute(last)} on {_date(first)}"


def _run(run: Run) -> Sequence[str]:
    slot = parse_rfc3339(run["scheduled_at"])
    outcome = escape(run["outcome"])
    return (
        _stamp(slot),
        escape(run["job"]),
        outcome,
        _answer(run),
        _seconds(run.get("duration_ms")) if "started_at" in run else "",
        _detail(run),
    )


def _detail(run: Run) -> str:
    reason = str(run.get("reason", ""))
    parts = [
        str(run.get("trigger", "")).replace("schedule", ""),
        f"{run['count']} slots to {_stamp(_last_slot(run))}" if run.get("count", 1) > 1 else "",
        REASON_WORDS.get(reason, ""),
        run.get("error", ""),
        *(f"{name}: {value}" for name, value in run.get("response_headers", {}).items()),
    ]
    return escape(", ".join(filter(None, parts)))


def _last_slot(run: Run) -> float:
    return parse_rfc3339(run.get("last_scheduled_at", run["scheduled_at"]))


def _answer(run: Run) -> str:
    """Return the status code that came, else the reason why there was none."""
    reason = run.get("reason")
    status = run.get("status_code", reason) if reason in {None, "http_status"} else reason
    return escape(_NOTHING if status is None else status)


def _started(run: Run) -> float:
    return parse_rfc3339(run.get("started_at", run["scheduled_at"]))


def _ended(run: Run) -> float:
    return parse_rfc3339(run.get("finished_at") or run["scheduled_at"])


# Times.


def _seconds(duration_ms: int | None) -> str:
    return _NOTHING if duration_ms is None else f"{duration_ms / 1000:.2f} s"


def _short(instant: float, now: float, *, seconds: bool = False) -> str:
    """Return the time of day; with its date when that is more than a day away."""
    if abs(now - instant) >= DAY:
        return _stamp(instant)
    return f"{_utc(instant):%H:%M:%S}" if seconds else _minute(instant)


def _stamp(instant: float) -> str:
    return f"{_utc(instant):%Y-%m-%d %H:%M}"


def _date(instant: float) -> str:
    return f"{_utc(instant):%Y-%m-%d}"


def _minute(instant: float) -> str:
    return f"{_utc(instant):%H:%M}"


def _utc(instant: float) -> datetime:
    return datetime.fromtimestamp(instant, UTC)
