"""What is settled about one job: the fold of its entries, oldest first.

The same fold gives the state at a restart from the journal and the run log, after the journal was
compacted, and while the daemon runs. Entries are plain dicts, as `journal` reads and writes them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple, TypeAlias

from sinkd import schedule

Entry: TypeAlias = Mapping[str, Any]
RANGES_LIMIT: Final = 64  # T11
EVERY_MINUTE: Final = "1/0"  # the schedule of which every slot of any other is one


class Range(NamedTuple):
    """Slots ever claimed: those of one schedule from the slot `first` to the slot `last`.

    The schedule is part of it, because the clock may go back to before a change of schedule:
    what was sent on the old grid says nothing of the slots of the new one in between.
    """

    first: int
    last: int
    schedule: str

    def holds(self, slot: int) -> bool:
        """Say whether this slot was claimed."""
        if slot in {self.first, self.last}:
            return True
        if not self.first < slot < self.last:
            return False
        return schedule.latest_slot(schedule.parse_fingerprint(self.schedule), slot) == slot


Ranges: TypeAlias = tuple[Range, ...]


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
    removed. `sent` holds the slots ever claimed, sorted by their first (T11). `loaded` is since when
    the job runs as it does: its schedule is new, it was enabled or resumed.
    """

    decided: int
    schedule: str | None = None
    sent: Ranges = ()
    open: Claim | None = None
    pause: Pause | None = None
    loaded: float = 0


def apply(state: JobState | None, entry: Entry) -> JobState:
    """Return the state after one journal entry of the job, whose state is None before its first."""
    state = state or JobState(decided=0)
    match entry["entry"]:
        case "state":
            state = _decode(entry)
        case "cursor":
            if entry["schedule"] != state.schedule or not state.loaded:
                state = replace(state, loaded=entry["decided"])
            state = replace(state, decided=entry["decided"], schedule=entry["schedule"])
        case "claim":
            state = _claimed(state, entry)
        case "close" if state.open and state.open.run_id == entry["run_id"]:
            state = replace(state, open=None)
        case "pause":
            pause = Pause(entry["until"], entry["reason"], entry["by"])
            state = replace(state, pause=pause)
        case "resume":
            state = replace(state, pause=None, loaded=entry.get("at", state.loaded))
    return state


def settled(state: JobState, through: int) -> JobState:
    """Return the state once all slots through an instant are settled."""
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
        "loaded": state.loaded,
    }


def _decode(entry: Entry) -> JobState:
    return JobState(
        decided=entry["decided"],
        schedule=entry["schedule"],
        sent=tuple(Range(*each) for each in entry["sent"]),
        pause=Pause(**entry["pause"]) if entry["pause"] else None,
        loaded=entry.get("loaded", 0),
    )


def _claimed(state: JobState, entry: Entry) -> JobState:
    # After a compaction the claim's own number stands in `since`: its end was recorded after it.
    claim = Claim(entry["run_id"], entry.get("since", entry["seq"]), entry["record"])
    slot = entry.get("slot")
    if slot is None:  # a manual run uses up no slot (T12)
        return replace(state, open=claim)
    # `after` is the slot before this one, so that neighbours become one range.
    sent = add_sent(state.sent, slot, entry["after"], state.schedule or EVERY_MINUTE)
    return replace(state, decided=slot, open=claim, sent=sent)


def add_sent(sent: Ranges, slot: int, previous: int, grid: str) -> Ranges:
    """Return the ranges with `slot` in them; `previous` is the slot before it on its grid.

    Above 64 ranges the two nearest of the older half merge: that can only refuse a send.
    """
    if is_sent(sent, slot):
        return sent
    for index in range(len(sent) - 1, -1, -1):
        each = sent[index]
        if each.last == previous and each.schedule == grid:
            return (*sent[:index], each._replace(last=slot), *sent[index + 1 :])
    ranges = sorted((*sent, Range(slot, slot, grid)))
    if len(ranges) > RANGES_LIMIT:
        older = range(RANGES_LIMIT // 2)
        at = min(older, key=lambda index: ranges[index + 1].first - ranges[index].last)
        one, other = ranges[at : at + 2]
        merged = grid if one.schedule == other.schedule == grid else EVERY_MINUTE
        ranges[at : at + 2] = [Range(one.first, max(one.last, other.last), merged)]
    return tuple(ranges)


def is_sent(sent: Ranges, slot: int) -> bool:
    """Say whether a slot was ever claimed."""
    return any(each.holds(slot) for each in reversed(sent))


def unsent(sent: Ranges, grid: str, after: int, through: int) -> Iterator[tuple[int, int, int]]:
    """Yield (first, last, count) of the slots in (after, through] that were never claimed.

    The pieces come in no order and do not overlap. Slots between the ranges are counted, those
    within a range of another schedule are looked at one by one.
    """
    when = schedule.parse_fingerprint(grid)
    since = after
    for first, last, _ in (*sent, Range(through + 1, through + 1, grid)):
        until = min(first - 1, through)
        if until > since and (count := schedule.count(when, since, until)):
            yield schedule.next_slot(when, since), schedule.latest_slot(when, until), count
        since = max(since, last)
    foreign = [each for each in sent if each.schedule not in {grid, EVERY_MINUTE}]
    looked_at = after
    for first, last, _ in foreign:
        begin = max(looked_at, first - 1)
        slots = schedule.slots(when, begin, min(last, through))
        free = [slot for slot in slots if not is_sent(sent, slot)]
        if free:
            yield free[0], free[-1], len(free)
        looked_at = max(looked_at, last)
