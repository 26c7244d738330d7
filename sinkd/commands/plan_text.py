"""The text of a plan: each job that differs with its fields and what follows, totals, and load."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import click

from sinkd.commands.plan_sides import Side
from sinkd.instant import MINUTE, duration_text
from sinkd.load import busiest, chart, least_used
from sinkd.plan import Address, Difference, Entry, Plan, Value
from sinkd.schedule import describe, local_time
from sinkd.state import Pause
from sinkd.terminal import align, escape, pad, width

_COLORS: Final = {"+": "green", "~": "yellow", "-": "red"}
_GAP: Final = "   "
_INDENT: Final = " " * 6
_DESCRIPTION_CHARACTERS: Final = 60


class _Row(NamedTuple):
    """A line about a job: what it is about, what there is to say, and a note beside it.

    Without a value, the label is the whole line.
    """

    label: str
    value: str = ""
    note: str = ""


def text(plan: Plan, before: Side, after: Side) -> Iterator[str]:
    """Yield the lines of a plan: what is compared, each job that differs, totals and load."""
    yield escape(f"{after.name} against {before.name}")
    yield ""
    if before.is_daemon or not plan.entries:
        yield verdict(plan, before)
    yield from _paused(before.pauses, plan.now)
    if plan.entries:
        yield from [""] if before.is_daemon else []
        yield from _blocks(plan)
        yield f"Plan: {amounts(plan)}, {plan.unchanged:,} unchanged. {_runs(plan)} a day."
    yield from _notify(plan)
    if plan.load_before != plan.load_after:
        yield from _load(plan)


def verdict(plan: Plan, before: Side) -> str:
    """Return whether a daemon runs these jobs, or whether they are unchanged."""
    differ = len(plan.entries)
    if differ:
        return f"Out of sync: {'1 job differs' if differ == 1 else f'{differ:,} jobs differ'}"
    if plan.notify:
        return (
            "Out of sync: `notify` differs"
            if before.is_daemon
            else "No job changes, `notify` does."
        )
    start = f"In sync ({before.version})" if before.is_daemon else "No changes."
    if plan.same_text:
        return start
    return f"{start.removesuffix('.')}. The text differs, the jobs do not."


def amounts(plan: Plan) -> str:
    """Return how many jobs differ: `1 to add, 2 to change, 1 to remove`."""
    renamed = f", {len(plan.renamed):,} to rename" if plan.renamed else ""
    return (
        f"{len(plan.added):,} to add, {len(plan.changed):,} to change{renamed}, "
        f"{len(plan.removed):,} to remove"
    )


def _paused(pauses: Mapping[str, Pause], now: int) -> list[str]:
    """Return a sentence for each job that is held."""
    return [
        f"{escape(job)} is paused until {when(int(pause.until), now)} "
        f"by {escape(pause.by)}: {escape(pause.reason)}"
        for job, pause in pauses.items()
    ]


def number(runs: float) -> str:
    """Return runs a day, with one decimal where it says something."""
    return f"{runs:,.1f}".removesuffix(".0")


def per_day(runs: float) -> str:
    """Return runs a day with their unit."""
    return f"{number(runs)} {'run' if runs == 1 else 'runs'} a day"


def when(slot: int, now: int) -> str:
    """Return a slot in UTC, with its date when that is not today's."""
    local = local_time(slot, "UTC")
    today = local_time(now, "UTC").date()
    return f"{local:%H:%M} UTC" if local.date() == today else f"{local:%Y-%m-%d %H:%M} UTC"


def value_text(found: Difference, value: Value | None) -> str:
    """Return a field's value for people, not yet made harmless; a long description is cut."""
    match value:
        case None:
            return "none"
        case bool():
            return "true" if value else "false"
        case float() | int():
            return f"{value:g}"
        case tuple():
            return ", ".join(value)
    if found.field == "description" and len(value) > _DESCRIPTION_CHARACTERS:
        return value[: _DESCRIPTION_CHARACTERS - 3] + "..."
    return value


def _notify(plan: Plan) -> Iterator[str]:
    """Yield who is told from now on and who no longer, and what that sends where."""
    for address in plan.notify:
        mark = "+" if address.kind == "added" else "-"
        line = f"  {mark} notify {escape(address.url)} on {', '.join(address.to.on)}"
        yield ""
        yield click.style(line, fg=_COLORS[mark])
        receives = ", ".join(map(str, address.receives))
        if address.new_host:
            yield f"{_INDENT}new host {address.new_host}" + (
                f", receives {receives}" if receives else ""
            )
        elif receives:
            yield f"{_INDENT}sends {receives}, new for {address.host}"
        yield from (f"{_INDENT}needs {names} in {where}" for names, where in needs(address))


def needs(entry: Entry | Address) -> Iterator[tuple[str, str]]:
    """Yield names that no job needed before, each time with where they must be."""
    places = {"env": "the environment of sinkd run", "file": "a secrets directory"}
    for kind, place in places.items():
        if names := [each.name for each in entry.needs if each.kind == kind]:
            yield ", ".join(names), place


def _blocks(plan: Plan) -> Iterator[str]:
    """Yield a block of lines for each job, their columns aligned over all of them."""
    heads = [_head(entry) for entry in plan.entries]
    in_columns = [head for head in heads if len(head) > 1]
    lines = iter(align(in_columns, "<<<", gap=_GAP))
    names, schedules = (
        max((width(head[column]) for head in in_columns), default=0) + len(_GAP)
        for column in (0, 1)
    )
    for entry, head in zip(plan.entries, heads, strict=True):
        line = next(lines) if len(head) > 1 else head[0]
        yield click.style(f"  {line}", fg=_COLORS[line[0]])
        yield from _details(list(_rows(entry, plan.now)), names + 2 - len(_INDENT), schedules)
        yield ""


def _head(entry: Entry) -> Sequence[str]:
    """Return the cells of a job's first line; only one cell for a renamed job."""
    job, was = entry.job, entry.before
    if was and was.name != job.name:
        return (f"~ {was.name} -> {job.name} (renamed: its history stays under {was.name})",)
    mark = "~" if entry.before and entry.after else "+" if entry.after else "-"
    request = f"{job.request.method} {job.request.public_url}"
    return f"{mark} {job.name}", describe(job.schedule), request


def _details(rows: Sequence[_Row], label_cells: int, value_cells: int) -> Iterator[str]:
    """Yield the rows below the columns of the head, further right where they need it."""
    label_cells = max([label_cells, *(width(row.label) + 2 for row in rows if row.value)])
    value_cells = max([value_cells, *(width(row.value) + 2 for row in rows if row.note)])
    for row in rows:
        line = pad(row.label, label_cells) + pad(row.value, value_cells) + row.note
        yield _INDENT + (line.rstrip() if row.value else row.label)


def _rows(entry: Entry, now: int) -> Iterator[_Row]:
    if entry.after is None:
        yield _Row(_end(entry, now))
        return
    if entry.before is None:
        yield _beginning(entry, now)
    yield from _fields(entry, now)
    if entry.is_rescheduled:
        yield from _times(entry, now)
    receives = ", ".join(map(str, entry.receives))
    if entry.new_host:
        yield _Row("new host", entry.new_host, f"receives {receives}" if receives else "")
    elif receives:
        yield _Row("sends", receives, f"new for {entry.host}")
    yield from (_Row("needs", f"{names} in {where}") for names, where in needs(entry))


def _end(entry: Entry, now: int) -> str:
    if entry.first_dropped is None:
        return "disabled before: no runs stop"
    return f"{per_day(entry.runs_before)} stop, the next at {when(entry.first_dropped, now)}"


def _beginning(entry: Entry, now: int) -> _Row:
    if entry.first_new is None:
        return _Row("disabled: no runs")
    return _Row("first run", f"{first_run(entry.first_new, now)}; {per_day(entry.runs_after)}")


def first_run(slot: int, now: int) -> str:
    """Return when a slot is, and in how long: whole minutes, if it is one."""
    wait = slot - now
    return f"{when(slot, now)}, in {duration_text(wait - wait % MINUTE or wait)}"


def _fields(entry: Entry, now: int) -> Iterator[_Row]:
    noted = False
    for found in entry.differences:
        note = ""
        if found.field == "enabled":
            note = _switched(entry, now)
        elif found.field.startswith("schedule.") and not noted:
            note = _runs_a_day(entry)
            noted = True
        yield _Row(escape(found.field), _change(found), note)


def _change(found: Difference) -> str:
    if not found.is_shown:
        return found.kind
    before, after = (escape(value_text(found, each)) for each in (found.before, found.after))
    return f"{before} -> {after}"


def _switched(entry: Entry, now: int) -> str:
    if entry.first_dropped is not None:
        return f"the run of {when(entry.first_dropped, now)} is dropped"
    return f"first run {first_run(entry.first_new, now)}" if entry.first_new is not None else ""


def _runs_a_day(entry: Entry) -> str:
    before, after = number(entry.runs_before), number(entry.runs_after)
    return "" if before == after else f"{before} -> {after} runs a day"


def _times(entry: Entry, now: int) -> Iterator[_Row]:
    """Yield the next run, and where a slot first comes or goes, unless the next run shows it."""
    before, after = entry.next_before, entry.next_after
    if before is None or after is None:
        return
    note = "as before" if before == after else f"was {when(before, now)}"
    yield _Row("next run", f"{when(after, now)}, {note}")
    if entry.first_new is not None and entry.first_new != after:
        yield _Row("first new", when(entry.first_new, now))
    if entry.first_dropped is not None:
        yield _Row("first dropped", when(entry.first_dropped, now))


def _runs(plan: Plan) -> str:
    before, after = number(plan.runs_before), number(plan.runs_after)
    return f"{after} runs" if before == after else f"{before} -> {after} runs"


def _load(plan: Plan) -> Iterable[str]:
    strips = chart({"before": plan.load_before, "after": plan.load_after})
    return [
        "",
        f"Runs started in a minute of the hour (most: {most(plan, '->')})",
        *(f"  {line}" for line in strips.splitlines()),
        f"  {least_used(plan.load_after)}",
    ]


def most(plan: Plan, arrow: str) -> str:
    """Return the most used minute: `9 at :00, as before`."""
    before, after = busiest(plan.load_before), busiest(plan.load_after)
    return f"{after}, as before" if before == after else f"{before} {arrow} {after}"
