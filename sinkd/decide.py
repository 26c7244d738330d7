"""What becomes of a job's due slots: the rules T2 to T6, T8 and T10 as a pure function.

`settle` is asked at each wake for each job that may have a due slot. It answers with the records
to write, through which instant the job is settled then, and the slot that is to be sent.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sinkd import schedule
from sinkd.record import MissReason, SkipReason
from sinkd.spec import Job
from sinkd.state import JobState, is_sent, unsent

SMALL_STEP_SECONDS: Final = 60  # T4
SEEN_LATE_SECONDS: Final = 5  # T3: above it, a slot is a catch-up
Cause = Callable[[int], MissReason]


@dataclass(frozen=True, slots=True)
class Missed:
    """Slots that came due while nobody could send them: `count` of them from `first` to `last`."""

    first: int
    last: int
    count: int
    reason: MissReason


@dataclass(frozen=True, slots=True)
class Skipped:
    """A due slot that was deliberately not sent."""

    slot: int
    reason: SkipReason
    blocked_by: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows for one job: `records` to write in this order, then settled through `decided`.

    `waiting` is the due slot to send as soon as there is a permit. `stepped` says that the clock
    went back so far that `decided` was lowered to now (T4).
    """

    decided: int
    waiting: int | None = None
    records: tuple[Missed | Skipped, ...] = ()
    stepped: bool = False


def settle(
    job: Job,
    state: JobState,
    waiting: int | None,
    now: float,
    *,
    in_flight: str | None,
    cause: Cause,
) -> Decision:
    """Decide every slot of an enabled job in (decided, now].

    `waiting` is the slot that waits for a permit, `in_flight` the id of the job's run, `cause`
    says for the first missed slot why nobody was there (T6).
    """
    decided = state.decided
    if decided > now:  # T4
        if decided - now < SMALL_STEP_SECONDS:
            return Decision(decided, waiting)
        return Decision(int(now), stepped=True)
    records: list[Missed | Skipped] = []
    newest = schedule.latest_slot(job.schedule, now)
    if waiting is not None:  # T8
        if waiting >= newest and now - waiting <= job.catch_up_seconds:
            return Decision(decided, waiting)
        records.append(Skipped(waiting, "capacity"))
        decided = waiting
    if newest <= decided:
        return Decision(decided, None, tuple(records))
    may_run = not is_sent(state.sent, newest) and now - newest <= job.catch_up_seconds  # T3
    before = schedule.latest_slot(job.schedule, newest - 1)
    missed = _missed(state, decided, before if may_run else newest, cause)
    if missed:
        records.append(missed)
    if may_run and state.pause and now < state.pause.until:  # T10
        records.append(Skipped(newest, "paused"))
    elif may_run and in_flight:  # T5
        records.append(Skipped(newest, "overlap", in_flight))
    elif may_run:
        return Decision(max(before, decided), newest, tuple(records))
    return Decision(newest, None, tuple(records))


def gap(state: JobState, now: float, cause: Cause) -> Missed | None:
    """Return what is missed through now under a schedule that ended while nobody ran (T7)."""
    return _missed(state, state.decided, int(now), cause)


def _missed(state: JobState, after: int, through: int, cause: Cause) -> Missed | None:
    """Return one record for all slots in (after, through] that were never sent (T2)."""
    if state.schedule is None:
        return None
    pieces = list(unsent(state.sent, state.schedule, after, through))
    if not pieces:
        return None
    first = min(first for first, _, _ in pieces)
    last = max(last for _, last, _ in pieces)
    return Missed(first, last, sum(count for *_, count in pieces), cause(first))
