"""The text of a report: a table of the jobs, what failed, what did not run, and single runs."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import click

from sinkd.commands.report_words import (
    Cells,
    failures,
    last_run,
    minute,
    next_run,
    no_runs,
    not_run,
    refusal,
    run_cells,
    seconds,
    share,
    short,
    span,
    strip,
)
from sinkd.instant import DAY, duration_text
from sinkd.report import STRIP_HOURS, Report, tidy
from sinkd.schedule import describe
from sinkd.terminal import align, escape, width

_GAP: Final = "  "
_BOLD: Final = ("JOB ", "Failures", "Not run", "Runs")


class _Column(NamedTuple):
    """A column of the table; a narrow terminal loses the highest `spare` first, 0 never."""

    spare: int
    side: str
    title: str
    cells: Sequence[str]


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
    yield from _section("Failures", failures(report), "<><<<")
    yield from _section("Not run", not_run(report), "<><<")
    if report.runs is not None:
        runs = [run_cells(tidy(run)) for run in report.runs]
        yield from _section("Runs, newest first", runs, "<<<<><")
    if report.runs == []:
        yield ""
        yield no_runs(report)


def _section(title: str, cells: Sequence[Cells], sides: str) -> Iterator[str]:
    if cells:
        yield ""
        yield title
        yield from (_GAP + line for line in align(cells, sides))


# What was read, and what runs.


def _header(report: Report) -> Iterator[str]:
    yield f"{span(report)}{' in' if report.begins_at is None else ','} {escape(report.log)}"
    if refused := refusal(report):
        yield refused
    if len(report.rows) == 1 and (job := report.rows[0].job):
        words = f"{job.name}, {describe(job.schedule)}"
        yield ": ".join(filter(None, [words, escape(job.description or "")]))


def _next_run(report: Report) -> Iterator[str]:
    coming = [(row.next_slot, row.name) for row in report.rows if row.next_slot]
    if coming:
        slot, name = min(coming)
        wait = duration_text(slot - int(report.now))
        yield f"next: {name} at {short(slot, report.now)} (in {wait})"
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
    title = f"{minute(begins_at)} ".ljust(STRIP_HOURS, "─")
    return [
        _Column(0, "<", "JOB", [escape(row.name) for row in report.rows]),
        _Column(0, ">", "RUNS", [str(each.runs) for each in totals]),
        _Column(0, ">", "OK", [share(each) for each in totals]),
        _Column(0, ">", "MISSED", [str(each.counts["missed"]) for each in totals]),
        _Column(2, ">", "P50", [seconds(each.durations.quantile(0.50)) for each in totals]),
        _Column(1, ">", "P95", [seconds(each.durations.quantile(0.95)) for each in totals]),
        _Column(5, "<", title, [strip(each) for each in totals]),
        _Column(
            4, "<", "LAST RUN", align([last_run(row, report.now) for row in report.rows], "<<<")
        ),
        _Column(3, "<", "NEXT", [next_run(row, report) for row in report.rows]),
    ]
