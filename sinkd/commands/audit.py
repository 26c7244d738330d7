"""`sinkd audit`: proves from the files that each due slot has exactly one answer."""

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click

from sinkd import answers, schedule
from sinkd.audit import Answers, Audit, LastSign, Slots, audit
from sinkd.clock import SystemClock
from sinkd.commands.jobs import check_window, instants
from sinkd.evidence import (
    begins_at,
    is_alive,
    newest,
    read_events,
    read_journal,
    read_revision,
)
from sinkd.history import History
from sinkd.instant import MINUTE, duration_text, minute_text, rfc3339
from sinkd.journal import Replay
from sinkd.terminal import align, escape, json_text, show
from sinkd.timeline import Accepted, Specs, Timeline, spans, timeline

if TYPE_CHECKING:
    from sinkd.settings import Settings

_SHOWN: Final = 20
_FOUND: Final = 1


@dataclass(frozen=True, slots=True)
class _Finding:
    """An audit, and in sentences what it could not look at (`unchecked`) and what else to know."""

    audit: Audit
    unchecked: Sequence[str]
    notes: Sequence[str]

    @property
    def is_clean(self) -> bool:
        """Whether everything was checked and nothing is amiss."""
        return not (self.audit.unanswered or self.audit.duplicates or self.unchecked)

    def as_json(self) -> answers.Audit:
        """Return the object of `audit -o json`."""
        found = self.audit
        return {
            "since": None if found.since is None else rfc3339(found.since),
            "until": rfc3339(found.until),
            "checked": found.checked,
            "unanswered": [slots.as_json() for slots in found.unanswered],
            "duplicates": [slots.as_json() for slots in found.duplicates],
            "notes": [*self.unchecked, *self.notes],
        }


def run_command(
    settings: "Settings",
    *,
    since: str | None = None,
    output_format: str = "text",
    now: float | None = None,
) -> int:
    """Print what was found; 1 when the log is not proven. `now` is the clock's if None."""
    now = SystemClock().wall() if now is None else now
    begin = None if since is None else instants(since, now, "UTC")[0]
    check_window(begin, None, now)
    finding = _look(settings, -math.inf if begin is None else begin, now)
    if output_format == "json":
        click.echo(json_text(finding.as_json()))
    else:
        show(_text(finding), color=settings.use_color(sys.stdout))
    return 0 if finding.is_clean else _FOUND


def _look(settings: "Settings", since: float, now: float) -> _Finding:
    """Read the journal first: what it says is settled has its line in the files read after it."""
    history = History(settings.data_dir)
    alive = is_alive(settings.data_dir)
    replay = read_journal(settings.data_dir)
    events = read_events(history)
    found = timeline(events)
    start = begins_at(settings.data_dir, events)
    if start:
        found.begin_with(start)
    specs = {
        accepted.config: read_revision(settings.data_dir, accepted.revision)
        for accepted in found.accepted
    }
    lines, last = Answers(), None
    for last in history.runs():
        lines.add(last)
    sign = _last_sign(replay, newest(last, events[-1] if events else None))
    since = max(since, start.at) if start else since
    result = audit(found, spans(found, specs, sign.at), lines, sign, since)
    notes = [
        *_life_notes(replay, sign, now, alive=alive),
        *_begin_notes(start),
        *_result_notes(result, lines, found),
        *_damage_notes(history, replay),
    ]
    return _Finding(result, list(_unchecked(found, specs)), notes)


def _last_sign(replay: Replay | None, newest_at: float) -> LastSign:
    """Return what the journal says; without one, about when the newest line was written."""
    if replay is None or replay.alive_at is None:
        return LastSign(max(0, newest_at - MINUTE))
    # What comes due while a daemon drains is left to the next start (D4).
    at = replay.alive_at if replay.draining is None else min(replay.draining, replay.alive_at)
    decided = {name: state.decided for name, state in replay.states.items()}
    return LastSign(at, decided, [claim.run_id for claim in replay.open_claims()])


def _unchecked(found: Timeline, specs: Specs) -> Iterator[str]:
    for config in dict.fromkeys(accepted.config for accepted in found.accepted):
        if specs[config] is None:
            yield (
                f"revisions/{config}….yaml is missing, changed or not yours to read: the time "
                "in which it was in use is not checked; run `sinkd audit` as the daemon's user"
            )
    if not found.accepted:
        yield "no configuration was ever accepted, as far as the events tell: nothing is checked"


def _life_notes(replay: Replay | None, sign: LastSign, now: float, *, alive: bool) -> Iterator[str]:
    at = _stamp(sign.at)
    if replay is None:
        yield (
            "journal.jsonl is missing or not yours to read: the newest line stands for the last "
            "sign of life, and what is in flight is not known; run `sinkd audit` as the daemon's user"
        )
    if alive:
        yield f"a daemon runs; what came due after its last sign of life, {at}, is not checked"
    elif now > sign.at:
        ago = duration_text(now - sign.at)
        yield f"no daemon runs; what came due after {at} ({ago} ago) is answered at the next start"


def _begin_notes(start: Accepted | None) -> Iterator[str]:
    if start:
        yield f"older segments were removed: the log is complete from {_stamp(start.at)} on"


def _result_notes(result: Audit, lines: Answers, found: Timeline) -> Iterator[str]:
    for slots in result.waiting:
        yield f"{_slots_text(slots)}: waiting or in flight at the last sign of life"
    ours = schedule.tzdata().version
    others = ({version for _, version in found.tzdata} | lines.tzdata) - {"", ours}
    if others:
        yield (
            f"the log was written with other time zone rules ({', '.join(sorted(others))}; here "
            f"{ours}): local times of some zones may have meant other instants then"
        )
    for slots in result.other_rules:
        yield f"{_slots_text(slots)}: due by the rules of {ours} only, or answered at another minute"


def _damage_notes(history: History, replay: Replay | None) -> Iterator[str]:
    if history.losses:
        yield history.losses
    if replay and replay.damaged:
        yield f"{_amount(replay.damaged, 'line')} of the journal cannot be read"


def _text(finding: _Finding) -> Iterator[str]:
    found = finding.audit
    since = _stamp(found.since) if found.since is not None else "the beginning"
    yield (
        f"{since} to {_stamp(found.until)}: {_amount(found.checked, 'due slot')} of "
        f"{_amount(found.jobs, 'job')}, {_verdict(finding)}"
    )
    yield from _section("Without an answer", found.unanswered)
    yield from _section("Answered more than once", found.duplicates)
    for title, sentences in (("Not checked", finding.unchecked), ("Notes", finding.notes)):
        if sentences:
            yield from ("", click.style(title, bold=True))
            yield from (f"  {escape(sentence)}" for sentence in sentences)


def _verdict(finding: _Finding) -> str:
    found = finding.audit
    if finding.is_clean:
        return click.style("each has exactly one answer", fg="green")
    amiss = [
        f"{sum(slots.count for slots in listed)} {what}"
        for listed, what in (
            (found.unanswered, "without an answer"),
            (found.duplicates, "answered more than once"),
        )
        if listed
    ]
    return click.style(", ".join(amiss) or "not everything could be checked", fg="red")


def _section(title: str, listed: Sequence[Slots]) -> Iterator[str]:
    if not listed:
        return
    yield from ("", click.style(title, bold=True))
    rows = [
        (escape(slots.job), _range_text(slots), _amount(slots.count, "slot"), _seqs_text(slots))
        for slots in listed[:_SHOWN]
    ]
    yield from (f"  {line}" for line in align(rows, "<<><"))
    if len(listed) > _SHOWN:
        yield f"  and {len(listed) - _SHOWN} more: `-o json` lists them all"


def _slots_text(slots: Slots) -> str:
    return f"{slots.job} {_range_text(slots)}"


def _range_text(slots: Slots) -> str:
    first, last = _stamp(slots.first), _stamp(slots.last)
    if slots.first == slots.last:
        return first
    return f"{first[:-4]} to {last}" if first[:10] != last[:10] else f"{first[:-4]} to {last[11:]}"


def _seqs_text(slots: Slots) -> str:
    return f"seq {', '.join(map(str, slots.seqs))}" if slots.seqs else ""


def _stamp(instant: float) -> str:
    """Return the minute of an instant as people read it: `2026-11-23 09:00 UTC`."""
    return minute_text(int(instant)).replace("T", " ").replace("Z", " UTC")


def _amount(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
