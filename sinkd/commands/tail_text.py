"""The text of a tail: each run and event as a line for people.

Times are UTC; a date has a line of its own where it changes.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import PurePath
from typing import Final, TypeAlias, cast

import click

from sinkd.history import is_run
from sinkd.instant import duration_text, parse_rfc3339, rfc3339
from sinkd.record import ConfigAccepted, Event, Run
from sinkd.report import REASON_WORDS, tidy
from sinkd.standing import problem_text
from sinkd.terminal import escape

Told: TypeAlias = tuple[str, str]  # the word that says what happened, and the rest of the line

_NOTHING: Final = "-"
_COLORS: Final = {
    "ok": "green",
    "FAILED": "red",
    "INTERRUPTED": "red",
    "CRASHED": "red",
    "MISSED": "yellow",
    "SKIPPED": "yellow",
}


class Teller:
    """Tells records in order, as lines for people; times are UTC.

    It remembers the date, which has a line of its own where it changes, and the jobs file in use.
    """

    def __init__(self, date: str) -> None:
        self._date = date
        self._in_use = ""
        self._file = "the jobs file"

    def tell(self, record: Run | Event) -> Iterator[str]:
        """Yield the record's line, and before it its date if that is a new one."""
        if is_run(record):
            run = tidy(record)
            at = run.get("finished_at") or run.get("started_at") or run["scheduled_at"]
            word, text = _run(run)
        else:
            event = cast("Event", record)
            at = event["at"]
            word, text = self._event(event)
        if at[:10] != self._date:
            self._date = at[:10]
            yield self._date
        shown = click.style(f"{word:<7}", fg=_COLORS.get(word), bold=word == "CONFIG")
        yield f"{_clock(at)}  {shown}  {escape(text)}".rstrip()

    def learn(self, event: Event) -> None:
        """Remember which jobs file is in use, from an event that is not told."""
        with suppress(LookupError, TypeError, ValueError):
            if event["event"] == "config_accepted":
                self._in_use = event["revision"][:12]
                self._file = PurePath(event["path"]).name

    def _event(self, event: Event) -> Told:
        self.learn(event)
        with suppress(AttributeError, LookupError, TypeError, ValueError):  # not as it must be
            told = self._config(event) or _life(event) or _jobs(event)
            if told := told or _clocks(event) or _log(event):
                return told
        return "EVENT", str(event["event"])

    def _config(self, event: Event) -> Told | None:
        match event["event"]:
            case "config_accepted":
                text = f"{self._file} in use, {self._in_use}: {_changes(event)}"
            case "config_refused":
                still = f", still using {self._in_use}" if self._in_use else ""
                text = f"{self._file} refused{still}: {problem_text(event)}"
            case "config_restored":
                text = f"{self._file} is again as accepted, {event['revision'][:12]}"
            case "config_unsettled":
                text = f"{self._file} keeps changing; it is applied when it stays the same"
            case "config_shrunk":
                gone = f"{event['removed']} removed and {event['paused']} disabled"
                text = f"{self._file} now lacks over half of the jobs: {gone} of {event['total']}"
            case _:
                return None
        return "CONFIG", text


def _run(run: Run) -> Told:
    match run["outcome"]:
        case "success":
            return "ok", _answer(run)
        case "failure":
            return "FAILED", f"{_answer(run)}   {_failure(run)}"
        case "interrupted":
            return "INTERRUPTED", f"{run['job']}  {_words(run)}"
        case "skipped":
            return "SKIPPED", f"{run['job']:<16}  {_skipped(run)}"
        case "missed":
            return "MISSED", f"{run['job']:<16}  {_missed(run)}"
    return str(run["outcome"]).upper(), run["job"]


def _changes(event: ConfigAccepted) -> str:
    changes = {
        "added": event["added"],
        "changed": event["changed"],
        "removed": event["removed"],
        "paused": event["paused"],
        "resumed": event["resumed"],
    }
    counted = [f"{len(jobs)} {word}" for word, jobs in changes.items() if jobs]
    return ", ".join(counted) or "no job changed"


def _life(event: Event) -> Told | None:
    match event["event"]:
        case "started":
            last_good = ", on the last good jobs file" if event["source"] == "last_good" else ""
            host = f"{event['host']}, pid {event['pid']}"
            return "STARTED", f"sinkd {event['version']} on {host}{last_good}"
        case "stopped":
            lost = "" if event["clean"] else "; not every record could be written"
            return "STOPPED", f"{event['reason']}{lost}"
        case "unclean_stop":
            return "CRASHED", f"sinkd ended without a word after {_clock(event['last_alive_at'])}"
        case _:
            return None


def _jobs(event: Event) -> Told | None:
    match event["event"]:
        case "secret_missing":
            jobs = ", ".join(event["jobs"]) or "notify"
            return "SECRET", f"{event['reference']} cannot be resolved, needed by {jobs}"
        case "job_paused":
            until = f"until {_minute(event['until'])} by {event['by']}"
            return "PAUSED", f"{event['job']:<16}  {until}: {event['reason']}"
        case "notify":
            about = event.get("job", "the jobs file")
            return "NOTIFY", f"{about:<16}  {event['on']}: {event.get('error', 'sent')}"
        case "job_resumed":
            by = "its pause is over" if event["by"] == "expired" else f"by {event['by']}"
            return "RESUMED", f"{event['job']:<16}  {by}"
        case _:
            return None


def _clocks(event: Event) -> Told | None:
    match event["event"]:
        case "clock_step":
            step = parse_rfc3339(event["to"]) - parse_rfc3339(event["from"])
            way = "forward" if step > 0 else "back"
            text = (
                f"the clock was set {way} by {duration_text(abs(step))}, to {_clock(event['to'])}"
            )
        case "suspended":
            text = f"the machine slept for {duration_text(event['seconds'])}"
        case "stalled":
            text = f"sinkd stood still for {duration_text(event['seconds'])}"
        case _:
            return None
    return "CLOCK", text


def _log(event: Event) -> Told | None:
    match event["event"]:
        case "log_failed":
            text = f"cannot be written ({event['errno']}): nothing is sent until it can be"
        case "log_recovered":
            text = f"can be written again; {event['held']} records were held in memory"
        case "rotated" if cut := event.get("cut_bytes"):
            text = f"{event['segment']} was cut by {cut} bytes from outside: lines may be lost"
        case "rotated" if event["segment"] in {"runs.jsonl", "events.jsonl"}:
            text = f"{event['segment']} was moved away from outside, and begun anew"
        case "rotated":
            text = f"sealed as {event['segment']}"
        case "expired":
            text = f"removed as too old or too big: {', '.join(event['segments'])}"
        case _:
            return None
    return "LOG", text


def _answer(run: Run) -> str:
    method, status = run.get("method", ""), run.get("status_code")
    duration_ms = run.get("duration_ms")
    took = _NOTHING if duration_ms is None else f"{duration_ms / 1000:.2f} s"
    return f"{run['job']:<16}  {method:<4}  {status or _NOTHING:<3}  {took:>8}"


def _failure(run: Run) -> str:
    reason = run.get("reason", "unknown")
    error = "" if reason == "http_status" else run.get("error", "")
    # An error begins with the phase, which often has the reason's name.
    return f"{reason}: {error.removeprefix(f'{reason}: ')}" if error else reason


def _skipped(run: Run) -> str:
    blocked_by = run.get("blocked_by", "").rpartition("@")[2]
    if run.get("reason") != "overlap" or not blocked_by:
        return _words(run)
    manual = "manual " if blocked_by.endswith("#manual") else ""
    return f"the {manual}run of {_minute(blocked_by)} is still going"


def _missed(run: Run) -> str:
    first = _minute(run["scheduled_at"])
    count = run.get("count", 1)
    if count == 1:
        return f"{first}: {_words(run)}"
    last_at = run["last_scheduled_at"]
    day = f"{last_at[:10]} " if last_at[:10] != run["scheduled_at"][:10] else ""
    return f"{count} slots, {first} to {day}{_minute(last_at)}: {_words(run)}"


def _words(run: Run) -> str:
    reason = run.get("reason", "unknown")
    return REASON_WORDS.get(reason, reason)


def _clock(at: str) -> str:
    """Return the time of day of an RFC 3339 text in UTC, with milliseconds."""
    return rfc3339(float(parse_rfc3339(at)))[11:23]


def _minute(at: str) -> str:
    return at[11:16]
