"""A report as Markdown, for an issue that is opened each week: what needs a look comes first.

What files and servers say stands in code, where a forge makes no mention, link or markup of it.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Final

from sinkd import __version__
from sinkd.commands.plan_markdown import LIMIT_CHARACTERS, code
from sinkd.commands.report_csv import harmless
from sinkd.commands.report_words import (
    Cells,
    failures,
    last_run,
    next_run,
    no_runs,
    not_run,
    refusal,
    run_cells,
    seconds,
    share,
    span,
    stamp,
    strip,
)
from sinkd.record import Run
from sinkd.report import REASON_WORDS, Report, Row, tidy
from sinkd.schedule import describe

_TEXT_CHARACTERS: Final = 300  # of one text of a server
_JOBS: Final = (
    "| Job | Schedule | Runs | OK | Missed | p50 | p95 | Last 24 hours | Last run | Next run |",
    "|---|---|---:|---:|---:|---:|---:|---|---|---|",
)
_FAILURES: Final = ("| Job | Runs | Why | When (UTC) | What was said |", "|---|---:|---|---|---|")
_NOT_RUN: Final = ("| Job | Slots | When (UTC) | Why |", "|---|---:|---|---|")
_RUNS: Final = (
    "| Slot (UTC) | Job | Outcome | Answer | Duration | Details |",
    "|---|---|---|---|---:|---|",
)


def markdown(report: Report) -> str:
    """Return the text of an issue, of at most 60,000 characters.

    When there is too much for it, each table ends early and says how much is left out.
    """
    most = max(map(len, (report.rows, failures(report), not_run(report), report.runs or ())))

    def length(rows: int) -> int:
        return len(_issue(report, rows))

    if length(most) > LIMIT_CHARACTERS:
        most = max(0, bisect_right(range(most), LIMIT_CHARACTERS, key=length) - 1)
    return _issue(report, most)


def _issue(report: Report, most: int) -> str:
    """Return the text with at most so many rows in each table."""
    return "\n".join(_lines(report, most))


def _lines(report: Report, most: int) -> Iterator[str]:
    yield f"### sinkd report: {_verdict(report.rows)}"
    yield ""
    yield from _header(report)
    if report.rows:
        rows = sorted(report.rows, key=_answered)
        yield from _table(_JOBS, [_job(row, report) for row in rows], most)
    yield from _section("Failures", _FAILURES, map(_failure, failures(report)), most)
    yield from _section("Not run", _NOT_RUN, map(_not_run, not_run(report)), most)
    if report.runs:
        yield from _section("Runs, newest first", _RUNS, map(_run, map(tidy, report.runs)), most)
    elif report.runs is not None:
        yield from (no_runs(report), "")
    yield f"<sub>sinkd {__version__}</sub>"


def _verdict(rows: Sequence[Row]) -> str:
    """Return how many jobs need a look."""
    jobs = "1 job" if len(rows) == 1 else f"{len(rows):,} jobs"
    wrong = sum(_answered(row) < 1 for row in rows)
    if not wrong:
        return f"{jobs} without failures or slots not run"
    return f"{wrong:,} of {jobs} with failures or slots not run"


def _answered(row: Row) -> float:
    """Return the share of the due slots that were answered with success."""
    totals = row.totals
    return totals.answered / totals.due if totals.due else 1


def _header(report: Report) -> Iterator[str]:
    yield f"{span(report)}, {_code(report.log)}."
    if in_use := report.stands.in_use:
        yield f"Configuration {code(in_use.config)}, in use since {stamp(in_use.since)} UTC."
    yield ""
    if refused := refusal(report):
        yield from ("> [!WARNING]", f"> {_code(refused)}", "")


def _section(title: str, head: Cells, rows: Iterator[Cells], most: int) -> Iterator[str]:
    if cells := list(rows):
        yield f"#### {title}"
        yield ""
        yield from _table(head, cells, most)


def _table(head: Cells, rows: Sequence[Cells], most: int) -> Iterator[str]:
    yield from head
    yield from (f"| {' | '.join(row)} |" for row in rows[:most])
    yield ""
    if left_out := len(rows) - most if len(rows) > most else 0:
        lines = "1 line is" if left_out == 1 else f"{left_out:,} lines are"
        yield f"**{lines} left out**: an issue holds {LIMIT_CHARACTERS:,} characters."
        yield ""


def _job(row: Row, report: Report) -> Cells:
    totals = row.totals
    at, answer, duration = last_run(row, report.now)
    next_at = next_run(row, report)
    return (
        _code(row.name),
        describe(row.job.schedule) if row.job else "",
        f"{totals.runs:,}",
        share(totals),
        f"{totals.counts['missed']:,}",
        seconds(totals.durations.quantile(0.50)),
        seconds(totals.durations.quantile(0.95)),
        f"`{strip(totals, '·')}`",
        f"{at} {_code(answer)} {duration}" if answer else at,
        _code(next_at) if row.pause else next_at,
    )


def _failure(cells: Cells) -> Cells:
    job, number, why, when, said = cells
    return _code(job), number, _code(why), when, _code(said)


def _not_run(cells: Cells) -> Cells:
    job, number, why, when = cells
    return _code(job), number, when, why if why in REASON_WORDS.values() else _code(why)


def _run(run: Run) -> Cells:
    slot, job, outcome, answer, duration, details = run_cells(run)
    return slot, _code(job), _code(outcome), _code(answer), duration, _code(details)


def _code(text: str) -> str:
    """Return a text as code, cut when it is long; a copy of the cell is no formula."""
    if len(text) > _TEXT_CHARACTERS:
        text = f"{text[: _TEXT_CHARACTERS - 1]}…"
    return code(harmless(text)) if text else ""
