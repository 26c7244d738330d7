"""Shows the totals of each job, or the history of one job, from the files of the data directory."""

import math
import sys
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click

from sinkd import sealed, source
from sinkd.clock import SystemClock
from sinkd.commands.jobs import check_names, check_window, instants
from sinkd.commands.progress import with_progress
from sinkd.commands.report_csv import csv
from sinkd.commands.report_text import text
from sinkd.errors import UsageError
from sinkd.history import History
from sinkd.instant import minute_text
from sinkd.overview import Past
from sinkd.record import Run
from sinkd.report import Report, Row, Summary, Totals, has_labels, parse_labels, rows
from sinkd.revisions import read_accepted
from sinkd.spec import Daily, Job
from sinkd.standing import standing
from sinkd.terminal import columns, escape, json_text, show, warn

if TYPE_CHECKING:
    from sinkd.settings import Settings

_FOUND: Final = 1


@dataclass(frozen=True, slots=True)
class _Question:
    """What was asked for: no `names` are all jobs, no `outcome` is any."""

    names: Collection[str]
    labels: Mapping[str, str]
    outcome: str | None
    number: int
    since: float | None
    until: float | None

    def wants(self, name: str, labels: Mapping[str, str]) -> bool:
        """Say whether a job of this name, with these labels, was asked for."""
        return (not self.names or name in self.names) and has_labels(labels, self.labels)


def run_command(
    settings: "Settings",
    *,
    jobs: Sequence[str] = (),
    since: str | None = None,
    until: str | None = None,
    outcome: str | None = None,
    labels: Sequence[str] = (),
    number: int = 20,
    output_format: str = "text",
    fail_under: float | None = None,
    now: float | None = None,
) -> int:
    """Print a report; 1 when a listed job is below `fail_under`. `now` is the clock's if None."""
    now = SystemClock().wall() if now is None else now
    if output_format == "csv" and outcome:
        message = "`--outcome` lists runs, `-o csv` has a line for each job: choose one of them"
        raise UsageError(message)
    history = History(settings.data_dir)
    known = _known_jobs(settings)
    zone = _zone(known, jobs)
    question = _Question(
        names=set(jobs),
        labels=parse_labels(labels),
        outcome=outcome,
        number=number,
        since=None if since is None else instants(since, now, zone)[0],
        until=None if until is None else instants(until, now, zone)[-1],
    )
    check_window(question.since, question.until, now)
    pasts: dict[str, Past] = {}
    report = _read(history, known, question, now, pasts if output_format == "html" else None)
    _print(report, pasts, output_format, settings)
    warn(history.losses)
    return _below(report.rows, fail_under)


def _print(
    report: Report, pasts: Mapping[str, Past], output_format: str, settings: "Settings"
) -> None:
    """Write the report to standard output; what is a file for others is UTF-8 everywhere."""
    match output_format:
        case "json":
            click.echo(json_text(report.as_json()))
        case "csv":
            click.echo(csv(report).encode(), nl=False)
        case "markdown":
            from sinkd.commands.report_markdown import markdown

            click.echo(markdown(report).encode())
        case "html":
            from sinkd.commands.report_html import html

            click.echo(html(report, pasts).encode())
        case _:
            show(text(report, columns()), color=settings.use_color(sys.stdout))


def _read(
    history: History,
    known: Mapping[str, Job] | None,
    question: _Question,
    now: float,
    pasts: dict[str, Past] | None,
) -> Report:
    """Read the whole log once, and keep what was asked for; `pasts` are filled if there are any."""
    jobs = known or {}
    labels = {name: dict(job.labels) for name, job in jobs.items()}
    since = -math.inf if question.since is None else question.since
    until = math.inf if question.until is None else question.until
    summary = Summary(min(until, now), since, until)
    names, listed = set(jobs), deque[Run](maxlen=question.number)
    for run in with_progress(history.runs(), now):
        name = run["job"]
        names.add(name)
        if not question.wants(name, labels.get(name, run.get("labels", {}))):
            continue
        if not summary.add(run):
            continue
        if pasts is not None:
            pasts.setdefault(name, Past()).add(run, b"")
        if question.outcome in {None, run["outcome"]}:
            listed.append(run)
    older = _expired(history, question, labels, Summary(min(until, now), since, until), names)
    older.merge(summary)
    summary = older
    check_names(sorted(question.names), names, "the jobs file or the run log")
    stands = standing(history.events(), now)
    lists = len(question.names) == 1 or question.outcome
    asked = {name: job for name, job in jobs.items() if question.wants(name, labels[name])}
    table = rows(asked, summary, stands, now)
    if question.labels and not table:
        message = "no job in the jobs file or the run log has the label that `--label` names"
        raise UsageError(message)
    return Report(
        rows=table,
        runs=list(reversed(listed)) if lists else None,
        first=summary.first,
        stands=stands,
        since=question.since,
        until=min(until, now),
        now=now,
        log=str(history.data_dir / "runs.jsonl"),
        knows_jobs=known is not None,
        outcome=question.outcome,
    )


def _expired(
    history: History,
    question: _Question,
    labels: Mapping[str, Mapping[str, str]],
    into: Summary,
    names: set[str],
) -> Summary:
    """Add the totals of the segments that are gone and lie within the window (L7)."""
    parts = sorted(_parts(history), key=lambda part: part[0])
    for first, last, jobs in parts:
        if first < into.since or last >= into.until:
            if last >= into.since and first < into.until:
                _say_left_out(first, last)
            continue
        names |= jobs.keys()
        wanted = {
            name: totals
            for name, totals in jobs.items()
            if question.wants(name, labels.get(name, totals.labels))
        }
        into.merge(Summary(into.ends_at, into.since, into.until, wanted))
    return into


def _parts(history: History) -> Iterator[tuple[float, float, Mapping[str, Totals]]]:
    for path in history.expired():
        try:
            if part := sealed.decode(path.read_bytes()):
                yield part
        except (OSError, ValueError):
            history.note_damage(path)


def _say_left_out(first: float, last: float) -> None:
    click.echo(
        f"sinkd: the log from {minute_text(int(first))} to {minute_text(int(last))} was removed, "
        "only its totals are kept; they are left out, as not all of it is asked for",
        err=True,
    )


def _known_jobs(settings: "Settings") -> Mapping[str, Job] | None:
    """Return the jobs of the file accepted last, else of `--config`; None for no valid file."""
    accepted = read_accepted(settings.data_dir)
    try:
        spec = source.load(accepted.data if accepted else source.read(settings.config)).spec
    except UsageError as error:
        problem = str(error)
    else:
        if spec:
            return spec.jobs
        problem = f"{settings.config} is not valid, `sinkd validate` says why"
    click.echo(f"sinkd: {escape(problem)}; the jobs shown are those of the run log", err=True)
    return None


def _zone(known: Mapping[str, Job] | None, names: Sequence[str]) -> str:
    """Return the zone of times: that of the one job named, UTC for an interval job or more."""
    job = (known or {}).get(names[0]) if len(names) == 1 else None
    return job.schedule.timezone if job and isinstance(job.schedule, Daily) else "UTC"


def _below(table: Sequence[Row], percent: float | None) -> int:
    """Name the rows with fewer due slots answered by success; return the exit code."""
    if percent is None:
        return 0
    below = [row for row in table if row.totals.answered * 100 < percent * row.totals.due]
    for row in below:
        name, totals = escape(row.name), row.totals
        click.echo(
            f"sinkd: {name}: {totals.answered} of {totals.due} due slots were answered "
            f"with success, that is under {percent:g} %",
            err=True,
        )
    return _FOUND if below else 0
