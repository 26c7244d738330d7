"""Words, figures and times that every form of a report shares; what a file says is made harmless.

A time within the last day stands alone, an older one with its date; all are UTC.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple, TypeAlias

from sinkd.instant import DAY, parse_rfc3339
from sinkd.record import Run
from sinkd.report import REASON_WORDS, STRIP_HOURS, Cause, Report, Row, Totals, Trouble
from sinkd.terminal import escape

NOTHING: Final = "\N{EN DASH}"
_ALL_GOOD, _SOME_GOOD, _NONE_GOOD = "▇▃▁"
_IDLE: Final = (0, 0)

Cells: TypeAlias = Sequence[str]


class _Line(NamedTuple):
    """One cause of one job's troubles."""

    row: Row
    cause: Cause
    trouble: Trouble


# The window and its jobs.


def span(report: Report) -> str:
    """Return the window that the report is of, and how many runs are in it."""
    if report.begins_at is None:
        before = f"before {stamp(report.until)} UTC" if report.until < report.now else "yet"
        return f"no runs recorded {before}"
    runs = sum(row.totals.runs for row in report.rows)
    first = " (first record)" if report.since is None else ""
    return (
        f"{stamp(report.begins_at)}{first} to {stamp(report.until)} UTC, "
        f"{runs} run{'' if runs == 1 else 's'}"
    )


def refusal(report: Report) -> str:
    """Say which configuration runs while the file on disk is refused (C4); else nothing."""
    refused, in_use = report.stands.refused, report.stands.in_use
    if refused is None:
        return ""
    running = f"{in_use.config} since {stamp(in_use.since)}" if in_use else "accepted last"
    on_disk = f"{refused.config} " if refused.config else ""
    return escape(f"running config {running}; file on disk {on_disk}refused: {refused.problem}")


def share(totals: Totals) -> str:
    """Return the share of the runs that succeeded, a dash when there are none."""
    return NOTHING if totals.percent is None else f"{totals.percent}%"


def strip(totals: Totals, none: str = " ") -> str:
    """Return a mark for each of the last 24 hours, `none` for one without a run."""
    return "".join(_bar(totals.hours.get(hour, _IDLE), none) for hour in range(STRIP_HOURS))


def _bar(counts: Sequence[int], none: str) -> str:
    good, runs = counts
    if not runs:
        return none
    if not good:
        return _NONE_GOOD
    return _ALL_GOOD if good == runs else _SOME_GOOD


def last_run(row: Row, now: float) -> Cells:
    """Return when a job ran last, what was answered and how long it took."""
    run = row.totals.last_run
    if run is None:
        return NOTHING, "", ""
    return short(_started(run), now, seconds=True), _answer(run), seconds(run.get("duration_ms"))


def next_run(row: Row, report: Report) -> str:
    """Return when a job runs next, or why it does not."""
    if row.job is None:
        return "removed" if report.knows_jobs else NOTHING
    if not row.job.enabled:
        return "disabled"
    if row.pause:
        until = short(row.pause.until, report.now)
        return f"paused until {until} by {escape(row.pause.by)}: {escape(row.pause.reason)}"
    return NOTHING if row.next_slot is None else short(row.next_slot, report.now)


# What went wrong, and single runs.


def failures(report: Report) -> list[Cells]:
    """Return the causes of failed runs, newest first: job, number, cause, when, what was said."""
    lines = _troubles(report, {"failure", "interrupted"})
    return [_failure(line, report.now) for line in lines]


def not_run(report: Report) -> list[Cells]:
    """Return why slots were not run, newest first: job, number, reason, from when to when."""
    return [_not_run(line) for line in _troubles(report, {"skipped", "missed"})]


def _troubles(report: Report, outcomes: set[str]) -> Iterator[_Line]:
    lines = [
        _Line(row, cause, trouble)
        for row in report.rows
        for cause, trouble in row.totals.troubles.items()
        if cause[0] in outcomes
    ]
    yield from sorted(lines, key=lambda line: line.trouble.last["seq"], reverse=True)


def _failure(line: _Line, now: float) -> Cells:
    name, (outcome, reason), trouble = escape(line.row.name), line.cause, line.trouble
    when = f"last {short(_ended(trouble.last), now, seconds=True)}"
    if trouble.count > 1:  # by the slots, as `sinkd why` asks for them
        first, last = _slot(trouble.first), _slot(trouble.last)
        when = f"{short(first, now)} to {short(last, now)}"
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


def _not_run(line: _Line) -> Cells:
    trouble, reason = line.trouble, line.cause[1]
    first, last = _slot(trouble.first), _last_slot(trouble.last)
    words = REASON_WORDS.get(reason, escape(reason))
    return escape(line.row.name), str(trouble.count), words, _span(first, last, trouble.count)


def _span(first: float, last: float, count: int) -> str:
    """Return the first and the last of some slots, with their date."""
    if count == 1:
        return f"{minute(first)} on {_date(first)}"
    if _date(first) != _date(last):
        return f"{stamp(first)} to {stamp(last)}"
    between = ", " if count == 2 else " to "  # noqa: PLR2004 - both are named
    return f"{minute(first)}{between}{minute(last)} on {_date(first)}"


def no_runs(report: Report) -> str:
    """Say that no single run can be listed."""
    if report.outcome:
        return f"No line of the log has the outcome {report.outcome}."
    return "No line of the log is of this time; of older ones only the totals are kept."


def run_cells(run: Run) -> Cells:
    """Return a line of a history: slot, job, outcome, answer, duration, details."""
    return (
        stamp(_slot(run)),
        escape(run["job"]),
        escape(run["outcome"]),
        _answer(run),
        seconds(run.get("duration_ms")) if "started_at" in run else "",
        _detail(run),
    )


def _detail(run: Run) -> str:
    reason = str(run.get("reason", ""))
    parts = [
        str(run.get("trigger", "")).replace("schedule", ""),
        f"{run['count']} slots to {stamp(_last_slot(run))}" if run.get("count", 1) > 1 else "",
        REASON_WORDS.get(reason, ""),
        run.get("error", ""),
        *(f"{name}: {value}" for name, value in run.get("response_headers", {}).items()),
    ]
    return escape(", ".join(filter(None, parts)))


def _slot(run: Run) -> float:
    return parse_rfc3339(run["scheduled_at"])


def _last_slot(run: Run) -> float:
    return parse_rfc3339(run.get("last_scheduled_at", run["scheduled_at"]))


def _answer(run: Run) -> str:
    """Return the status code that came, else the reason why there was none."""
    reason = run.get("reason")
    status = run.get("status_code", reason) if reason in {None, "http_status"} else reason
    return escape(NOTHING if status is None else status)


def _started(run: Run) -> float:
    return parse_rfc3339(run.get("started_at", run["scheduled_at"]))


def _ended(run: Run) -> float:
    return parse_rfc3339(run.get("finished_at") or run["scheduled_at"])


# Texts and times.


def printable(text: str) -> str:
    """Return a text for other than terminals: only what hides, breaks or reverses it is escaped."""
    return "".join(each if each.isprintable() else escape(each) for each in text)


def seconds(duration_ms: int | None) -> str:
    """Return a duration in seconds, a dash for None."""
    return NOTHING if duration_ms is None else f"{duration_ms / 1000:.2f} s"


def short(instant: float, now: float, *, seconds: bool = False) -> str:
    """Return the time of day; with its date when that is more than a day away."""
    if abs(now - instant) >= DAY:
        return stamp(instant)
    return f"{_utc(instant):%H:%M:%S}" if seconds else minute(instant)


def stamp(instant: float) -> str:
    """Return a date and a time of the day, in UTC."""
    return f"{_utc(instant):%Y-%m-%d %H:%M}"


def _date(instant: float) -> str:
    return f"{_utc(instant):%Y-%m-%d}"


def minute(instant: float) -> str:
    """Return a time of the day, in UTC."""
    return f"{_utc(instant):%H:%M}"


def _utc(instant: float) -> datetime:
    return datetime.fromtimestamp(instant, UTC)
