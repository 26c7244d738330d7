"""The fold of a job's entries, and the ranges of slots that were ever sent (T9, T11, T12)."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sinkd import schedule
from sinkd.state import (
    RANGES_LIMIT,
    Claim,
    JobState,
    Pause,
    Range,
    add_sent,
    apply,
    entry_of,
    is_sent,
    settled,
    unsent,
)

STEP = 60
CURSOR = {"entry": "cursor", "seq": 1, "job": "a", "decided": 600, "schedule": "1/0"}
CLAIM = {
    "entry": "claim",
    "seq": 2,
    "job": "a",
    "run_id": "a@1",
    "slot": 660,
    "after": 600,
    "record": {"job": "a"},
}
MANUAL = {"entry": "claim", "seq": 3, "job": "a", "run_id": "a@2#manual", "record": {"job": "a"}}


def folded(*entries):
    state = None
    for entry in entries:
        state = apply(state, entry)
    return state


def test_a_cursor_begins_a_job_and_moves_it_in_either_direction():
    assert folded(CURSOR) == JobState(600, "1/0", loaded=600)
    assert folded(CURSOR, {**CURSOR, "decided": 120, "schedule": None}) == JobState(
        120, None, loaded=120
    )


def test_a_claim_settles_its_slot_and_stays_open_until_its_own_close():
    claimed = folded(CURSOR, CLAIM)
    open_claim = Claim("a@1", 2, {"job": "a"})
    assert claimed == JobState(660, "1/0", (Range(660, 660, "1/0"),), open_claim, loaded=600)
    assert apply(claimed, {"entry": "close", "job": "a", "run_id": "another"}) == claimed
    assert apply(claimed, {"entry": "close", "job": "a", "run_id": "a@1"}).open is None


def test_a_close_without_an_open_claim_changes_nothing():
    state = folded(CURSOR)
    assert apply(state, {"entry": "close", "job": "a", "run_id": "a@1"}) == state


def test_a_manual_claim_uses_up_no_slot():
    state = folded(CURSOR, MANUAL)
    assert (state.decided, state.sent, state.open.run_id) == (600, (), "a@2#manual")


def test_a_job_seen_first_by_a_manual_run_or_a_pause_has_no_schedule_yet():
    pause = {"entry": "pause", "job": "a", "until": 9.5, "reason": "r", "by": "b"}
    assert folded(MANUAL).schedule is None
    assert folded(pause) == JobState(0, pause=Pause(9.5, "r", "b"))


def test_a_pause_holds_until_it_is_resumed():
    pause = {"entry": "pause", "job": "a", "until": 9.5, "reason": "deploy", "by": "kim"}
    paused = folded(CURSOR, pause)
    assert paused.pause == Pause(9.5, "deploy", "kim")
    resumed = apply(paused, {"entry": "resume", "job": "a", "at": 9.25})
    assert resumed == replace(folded(CURSOR), loaded=9.25)


def test_a_job_runs_as_it_does_since_its_schedule_changed_not_since_a_step_of_the_clock():
    stepped = folded(CURSOR, {**CURSOR, "decided": 900})
    assert stepped.loaded == 600
    assert apply(stepped, {**CURSOR, "decided": 1200, "schedule": "2/0"}).loaded == 1200


def test_an_entry_that_says_nothing_of_a_job_changes_nothing():
    assert apply(folded(CURSOR), {"entry": "later", "job": "a"}) == folded(CURSOR)


def test_a_skipped_slot_settles_and_keeps_everything_else():
    state = folded(CURSOR, CLAIM)
    assert settled(state, 900) == replace(state, decided=900)


@given(
    decided=st.integers(0, 10**6),
    grid=st.none() | st.text(max_size=9),
    slots=st.lists(st.integers(0, 500), max_size=99),
    pause=st.none() | st.builds(Pause, st.floats(0, 9e9), st.text(max_size=9), st.just("b")),
    loaded=st.floats(0, 9e9),
)
def test_one_state_entry_stands_for_all_before_it(decided, grid, slots, pause, loaded):
    state = JobState(decided, grid, sent_of(slots), None, pause, loaded)
    assert apply(JobState(1, "other", (Range(60, 60, "1/0"),)), entry_of(state)) == state


# --- ranges of sent slots ---------------------------------------------------------------------


def sent_of(indices):
    """Send slots of a grid of one minute, given by their index, in this order."""
    sent = ()
    for index in indices:
        sent = add_sent(sent, index * STEP, (index - 1) * STEP, "1/0")
    return sent


def holds(sent, indices):
    return {index for index in indices if is_sent(sent, index * STEP)}


def are_sorted_and_apart(sent):
    bounds = [bound for each in sent for bound in each[:2]]
    return bounds == sorted(bounds) and all(one.last < other.first for one, other in pairwise(sent))


@given(st.lists(st.integers(0, 120), max_size=60))
def test_sent_slots_are_a_set_while_there_is_room(indices):
    sent = sent_of(indices)
    assert are_sorted_and_apart(sent)
    assert holds(sent, range(-1, 122)) == set(indices)


def test_a_healthy_job_has_one_range_for_ever():
    assert sent_of(range(20_000)) == (Range(0, 19_999 * STEP, "1/0"),)


@settings(max_examples=25)
@given(st.lists(st.integers(0, 4000), min_size=RANGES_LIMIT, max_size=300, unique=True))
def test_memory_is_bounded_and_merging_forgets_no_sent_slot(indices):
    sent = sent_of(indices)
    assert len(sent) <= RANGES_LIMIT
    assert are_sorted_and_apart(sent)
    assert holds(sent, indices) == set(indices)


def test_above_the_limit_the_two_nearest_of_the_older_half_merge():
    gaps = [10] * RANGES_LIMIT
    gaps[5], gaps[RANGES_LIMIT - 1] = 3, 2  # the nearest of all are young
    at = [sum(gaps[:index]) for index in range(RANGES_LIMIT + 1)]
    sent = sent_of(at)
    assert (at[5] * STEP, at[6] * STEP, "1/0") in sent
    assert (at[-1] * STEP, at[-1] * STEP, "1/0") in sent
    assert len(sent) == RANGES_LIMIT


def test_a_range_in_a_bogus_future_is_kept_while_the_present_goes_on():
    future, present = 10**6, range(1000, 1300)
    sent = sent_of([future, *present])
    assert is_sent(sent, future * STEP)
    assert holds(sent, present) == set(present)
    assert not is_sent(sent, 1300 * STEP)
    assert not is_sent(sent, 999 * STEP)


GRIDS = ("1/0", "2/1", "3/0", "5/2")


@st.composite
def sent_under_many_schedules(draw):
    """Claim slots of several schedules; return the ranges and the plain set that they stand for."""
    sent, claimed = (), set()
    claims = draw(st.lists(st.tuples(st.sampled_from(GRIDS), st.integers(0, 60)), max_size=40))
    for grid, minute in claims:
        when = schedule.parse_fingerprint(grid)
        slot = schedule.next_slot(when, minute * STEP - 1)
        if slot not in claimed:
            sent = add_sent(sent, slot, schedule.latest_slot(when, slot - 1), grid)
            claimed.add(slot)
    return sent, claimed


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(st.sampled_from(GRIDS), st.integers(0, 5000)),
        min_size=RANGES_LIMIT,
        max_size=200,
        unique=True,
    )
)
def test_merging_ranges_of_many_schedules_forgets_no_sent_slot(claims):
    sent, claimed = (), set()
    for grid, minute in claims:
        when = schedule.parse_fingerprint(grid)
        slot = schedule.next_slot(when, minute * STEP - 1)
        sent = add_sent(sent, slot, schedule.latest_slot(when, slot - 1), grid)
        claimed.add(slot)
    assert len(sent) <= RANGES_LIMIT
    assert all(is_sent(sent, slot) for slot in claimed)
    assert sent == tuple(sorted(sent))


@given(sent_under_many_schedules())
def test_what_was_sent_on_one_grid_says_nothing_of_another(known):
    sent, claimed = known
    assert {minute * STEP for minute in range(70) if is_sent(sent, minute * STEP)} == claimed


@given(
    sent_under_many_schedules(),
    st.sampled_from(GRIDS),
    st.integers(-5, 65),
    st.integers(-5, 65),
)
def test_unsent_slots_are_those_of_the_grid_less_those_sent(known, grid, after, through):
    sent, claimed = known
    after, through = after * STEP, through * STEP
    pieces = list(unsent(sent, grid, after, through))
    due = set(schedule.slots(schedule.parse_fingerprint(grid), after, through)) - claimed
    assert sum(count for *_, count in pieces) == len(due)
    if due:
        assert min(first for first, *_ in pieces) == min(due)
        assert max(last for _, last, _ in pieces) == max(due)


def test_ranges_of_two_schedules_merge_into_one_that_refuses_every_minute_between():
    sent = ()
    for index in range(RANGES_LIMIT + 1):
        grid = GRIDS[2] if index % 2 else GRIDS[3]
        sent = add_sent(sent, index * 600, index * 600 - 1, grid)
    [merged] = [each for each in sent if each.first != each.last]
    assert merged.schedule == "1/0"


@pytest.mark.parametrize(("after", "through"), [(0, 0), (100, 40)])
def test_an_empty_interval_has_no_unsent_slots(after, through):
    assert list(unsent((Range(60, 120, "1/0"),), "1/0", after, through)) == []


def test_a_slot_between_those_of_another_schedule_was_not_sent():
    sent = (Range(0, 240, "2/0"), Range(600, 600, "2/0"))
    assert sorted(unsent(sent, "1/0", -1, 360)) == [(60, 180, 2), (300, 360, 2)]
    assert list(unsent(sent, "1/0", 239, 240)) == []
