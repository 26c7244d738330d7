"""A plan as Markdown for a comment: a table of the jobs, what to look at, first runs and load.

Whoever proposes a change writes its values. They stand in code, where a forge makes no mention, no
link and no markup of them, and what could end that code or a table's cell is an HTML entity.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Final

from sinkd import __version__
from sinkd.commands.plan_sides import Side
from sinkd.commands.plan_text import (
    amounts,
    first_run,
    most,
    needs,
    number,
    value_text,
    verdict,
    when,
)
from sinkd.load import chart
from sinkd.plan import Address, Difference, Entry, Plan, Value
from sinkd.schedule import describe
from sinkd.terminal import escape

LIMIT_CHARACTERS: Final = 60_000
_PLAIN: Final = re.compile(r"[^`|]*[^`| ]")
_NOT_IN_A_MARKER: Final = re.compile(r"[^\w./ -]|-(?=-)")


def markdown(plan: Plan, before: Side, after: Side) -> Iterator[str]:
    """Yield the lines of a comment, together at most 60,000 characters.

    When there are too many jobs the last ones are left out, and a line says how many.
    """
    entries = plan.entries

    def length(jobs: int) -> int:
        return len("\n".join(_comment(plan, before, after, jobs)))

    shown = len(entries)
    if length(shown) > LIMIT_CHARACTERS:
        shown = max(0, bisect_right(range(shown), LIMIT_CHARACTERS, key=length) - 1)
    yield from _comment(plan, before, after, shown)


def code(text: str) -> str:
    """Return a text as code that shows it and nothing else, also in a cell of a table."""
    text = escape(text)
    if _PLAIN.fullmatch(text):
        return f"`{text}`"
    return f"<code>{''.join(map(_entity, text))}</code>"


def _entity(character: str) -> str:
    return character if character.isalnum() else f"&#{ord(character)};"


def _comment(plan: Plan, before: Side, after: Side, shown: int) -> Iterator[str]:
    """Yield the comment with this many jobs."""
    entries, left_out = plan.entries[:shown], plan.entries[shown:]
    yield f"<!-- sinkd-plan: {_NOT_IN_A_MARKER.sub('_', after.path)} -->"
    same = "`notify` changes" if plan.notify else "no changes"
    yield f"### sinkd plan: {amounts(plan) if plan.entries else same}"
    yield ""
    if before.is_daemon or not plan.entries:
        yield from (verdict(plan, before), "")
    yield from _pauses(before, plan.now)
    if plan.entries:
        yield from _table(entries, plan.now)
        yield from _left_out(left_out)
    yield from _notify(plan.notify)
    yield from _warnings([*entries, *plan.notify])
    if plan.entries:
        yield from _first_runs(entries, plan.now)
    if plan.load_before != plan.load_after:
        yield from _load(plan)
    versions = f"<code>{escape(before.version)}</code> → <code>{escape(after.version)}</code>"
    yield f"<sub>sinkd {__version__}, {versions}</sub>"


def _pauses(before: Side, now: int) -> Iterator[str]:
    for job, pause in before.pauses.items():
        until = when(int(pause.until), now)
        yield f"- {code(job)} is paused until {until} by {code(pause.by)}: {code(pause.reason)}"
    if before.pauses:
        yield ""


def _table(entries: Sequence[Entry], now: int) -> Iterator[str]:
    yield "| | Job | Schedule | Runs a day | Change |"
    yield "|---|---|---|---:|---|"
    for entry in entries:
        job = entry.job
        told = ", ".join(_changes(entry, now))
        cells = _icon(entry), code(job.name), describe(job.schedule), _runs(entry), told
        yield f"| {' | '.join(cells)} |"
    yield ""


def _icon(entry: Entry) -> str:
    if entry.before is None:
        return "\N{HEAVY PLUS SIGN}"
    if entry.after is None:
        return "\N{HEAVY MINUS SIGN}"
    if entry.enabled:
        return "▶️" if entry.after.enabled else "⏸️"
    return "🔁" if entry.before.name == entry.after.name else "✏️"


def _runs(entry: Entry) -> str:
    before, after = number(entry.runs_before), number(entry.runs_after)
    if before == after:
        return after
    return f"{before} → **{after}**" if "0" not in {before, after} else f"{before} → {after}"


def _changes(entry: Entry, now: int) -> Iterator[str]:
    """Yield what there is to say of a job in the last cell of its row."""
    job = entry.job
    if entry.after is None:
        yield "removed"
        return
    if entry.before is None:
        yield code(f"{job.request.method} {job.request.public_url}")
        if not job.enabled:
            yield "disabled"
    elif entry.before.name != job.name:
        yield f"renamed from {code(entry.before.name)}, which keeps its history"
    for found in entry.differences:
        yield _switched(entry, now) if found.field == "enabled" else _difference(found)
    receives = "receives " + " ".join(code(str(each)) for each in entry.receives)
    if entry.new_host:
        yield "**new host**"
    if entry.receives:
        yield receives if entry.new_host else f"{code(entry.host)} {receives}"
    yield from (f"needs {code(names)} in {where}" for names, where in needs(entry))


def _switched(entry: Entry, now: int) -> str:
    if entry.first_dropped is not None:
        return f"disabled: the run of {when(entry.first_dropped, now)} is dropped"
    if entry.first_new is not None:
        return f"enabled: first run {first_run(entry.first_new, now)}"
    return "enabled" if entry.job.enabled else "disabled"


def _difference(found: Difference) -> str:
    if not found.is_shown:
        return f"{code(found.field)} {found.kind}"
    before, after = (_value(found, value) for value in (found.before, found.after))
    return f"{code(found.field)} {before} → {after}"


def _value(found: Difference, value: Value | None) -> str:
    text = value_text(found, value)
    return text if isinstance(value, bool | float | int | None) else code(text)


def _notify(addresses: Sequence[Address]) -> Iterator[str]:
    """Yield who is told from now on and who no longer."""
    for address in addresses:
        icon = "\N{HEAVY PLUS SIGN}" if address.kind == "added" else "\N{HEAVY MINUS SIGN}"
        told = ", ".join(_consequences(address))
        line = f"- {icon} notify {code(address.url)} on {', '.join(address.to.on)}"
        yield f"{line}: {told}" if told else line
    if addresses:
        yield ""


def _consequences(address: Address) -> Iterator[str]:
    if address.new_host:
        yield "**new host**"
    if address.receives:
        receives = "receives " + " ".join(code(str(each)) for each in address.receives)
        yield receives if address.new_host else f"{code(address.host)} {receives}"
    yield from (f"needs {code(names)} in {where}" for names, where in needs(address))


def _left_out(entries: Sequence[Entry]) -> Iterator[str]:
    """Say how many jobs the comment has no room for, and that they need a look all the same."""
    if not entries:
        return
    jobs = "1 job is" if len(entries) == 1 else f"{len(entries):,} jobs are"
    warned = sum(_warning(entry) is not None for entry in entries)
    yield (
        f"**{jobs} left out**, {warned or 'none'} of them with a warning: a comment holds "
        f"{LIMIT_CHARACTERS:,} characters. `sinkd plan` shows all."
    )
    yield ""


def _warnings(entries: Sequence[Entry | Address]) -> Iterator[str]:
    """Yield what to look at before merging."""
    warnings = [warning for entry in entries if (warning := _warning(entry))]
    if warnings:
        yield "> [!WARNING]"
        yield "\n>\n".join(f"> {warning}" for warning in warnings)
        yield ""


def _warning(entry: Entry | Address) -> str | None:
    """Return what is new of where something is sent: its host, or a reference that goes there."""
    sends = "`notify` sends" if isinstance(entry, Address) else f"{code(entry.job.name)} sends"
    if entry.new_host:
        return f"{sends} to {code(entry.new_host)}, a host no job used before."
    if entry.receives:
        receives = " ".join(code(str(each)) for each in entry.receives)
        return f"{sends} {receives} to {code(entry.host)} for the first time."
    return None


def _first_runs(entries: Sequence[Entry], now: int) -> Iterator[str]:
    """Yield when each job runs first whose slots are not those from before."""
    runs = sorted(
        (entry.next_after, entry.job.name)
        for entry in entries
        if entry.next_after is not None and (entry.first_new is not None or entry.is_rescheduled)
    )
    if runs:
        yield "<details><summary>First runs after the merge</summary>"
        yield ""
        yield "| Time | Job |"
        yield "|---|---|"
        yield from (f"| {when(slot, now)} | {code(name)} |" for slot, name in runs)
        yield ""
        yield "</details>"


def _load(plan: Plan) -> Iterator[str]:
    runs = f"{number(plan.runs_before)} → {number(plan.runs_after)} runs a day"
    yield f"<details><summary>Load: {runs}, most in one minute: {most(plan, '→')}</summary>"
    yield ""
    yield "```text"
    yield chart({"before": plan.load_before, "after": plan.load_after})
    yield "```"
    yield ""
    yield "</details>"
    yield ""
