"""What is settled about one job: the fold of its entries, oldest first.

The same fold gives the state at a restart from the journal and the run log, after the journal was
compacted, and while the daemon runs. Entries are plain dicts, as `journal` reads and writes them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

Entry: TypeAlias = Mapping[str, Any]
Ranges: TypeAlias = tuple[tuple[int, int], ...]

RANGES_LIMIT = 64  # T11


@dataclass(frozen=True, slots=True)
class Claim:
    """A run that was promised and whose end is not recorded: `record` is what is known of it."""

    run_id: str
    seq: int
    record: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Pause:
    """A job held by a person (T10): no slot of it is sent before the instant `until`."""

    until: float
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class JobState:
    """What is settled about one job.

    `decided` is the instant through which its slots are settled. `schedule` is the text of the
    schedule (`schedule.fingerprint`) that held from then on, None while it has none: disabled or
    removed. `sent` holds ranges of slots ever claimed, first and last included, sorted, apart.
    """

    decided: int
    schedule: str | None = None
    sent: Ranges = ()
    open: Claim | None = None
    pause: Pause | None = None


def apply(state: JobState | None, entry: Entry) -> JobState:
    """Return the state after one journal entry of the job, whose state is None before its first."""
    state = state or JobState(decided=0)
    match entry["entry"]:
        case "state":
            return _decode(entry)
        case "cursor":
            return replace(state, decided=entry["decided"], schedule=entry["schedule"])
        case "claim":
            return _claimed(state, entry)
        case "close" if state.open and state.open.run_id == entry["run_id"]:
            return replace(state, open=None)
        case "pause":
            return replace(state, pause=Pause(entry["until"], entry["reason"], entry["by"]))
        case "resume":
            return replace(state, pause=None)
    return state


def settled(state: JobState, through: int) -> JobState:
    """Return the state after a skipped slot or missed range that ends with the slot `through`."""
    return replace(state, decided=through)


def entry_of(state: JobState) -> dict[str, Any]:
    """Return the one `state` entry that stands for all before it (R8), less an open claim."""
    pause = state.pause
    return {
        "entry": "state",
        "decided": state.decided,
        "schedule": state.schedule,
        "sent": state.sent,
        "pause": pause and {"until": pause.until, "reason": pause.reason, "by": pause.by},
    }


def _decode(entry: Entry) -> JobState:
    return JobState(
        decided=entry["decided"],
        schedule=entry["schedule"],
        sent=tuple((first, last) for first, last in entry["sent"]),
        pause=Pause(**entry["pause"]) if entry["pause"] else None,
    )


def _claimed(state: JobState, entry: Entry) -> JobState:
    claim = Claim(entry["run_id"], entry["seq"], entry["record"])
    slot = entry.get("slot")
    if slot is None:  # a manual run uses up no slot (T12)
        return replace(state, open=claim)
    # `after` is the slot before this one, so that neighbours become one range (T11).
    sent = add_sent(state.sent, slot, entry["after"])
    return replace(state, decided=slot, open=claim, sent=sent)


def add_sent(sent: Ranges, slot: int, previous: int) -> Ranges:
    """Return the ranges with `slot` in them; `previous` is the slot before it on the job's grid.

    Above 64 ranges the two nearest of the older half merge: that can only refuse a send.
    """
    if sent and sent[-1][1] == previous:
        return (*sent[:-1], (sent[-1][0], slot))
    if is_sent(sent, slot):
        return sent
    ranges = sorted((*sent, (slot, slot)))
    if len(ranges) > RANGES_LIMIT:
        older = range(RANGES_LIMIT // 2)
        at = min(older, key=lambda index: ranges[index + 1][0] - ranges[index][1])
        ranges[at : at + 2] = [(ranges[at][0], ranges[at + 1][1])]
    return tuple(ranges)


def is_sent(sent: Ranges, slot: int) -> bool:
    """Say whether a slot lies in one of the ranges."""
    return any(first <= slot <= last for first, last in reversed(sent))


def unsent_spans(sent: Ranges, after: int, through: int) -> Iterator[tuple[int, int]]:
    """Yield the spans (after, through] between the ranges, oldest first."""
    for first, last in sent:
        if last <= after or first > through:
            continue
        if first - 1 > after:
            yield after, first - 1
        after = max(after, last)
    if after < through:
        yield after, through
