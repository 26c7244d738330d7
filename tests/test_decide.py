"""What becomes of due slots (T1 to T10), example by example and against an oracle that enumerates."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sinkd import schedule
from sinkd.decide import Decision, Missed, Skipped, gap, settle
from sinkd.spec import Daily, Interval, Job, Request
from sinkd.state import JobState, Pause, Range, add_sent, is_sent

NINE = 1_795_424_400  # 2026-11-23T09:00:00Z
QUARTER = 900
WINDOW = 450


def job(when=Interval(15), window=WINDOW):  # noqa: B008 (it is immutable)
    return Job("a", when, Request("http://localhost/"), 60, window)


def decide(state, now, *, waiting=None, in_flight=None, of=None):
    return settle(of or job(), state, waiting, now, in_flight=in_flight, cause=lambda _: "down")


def settled(through=NINE - QUARTER, sent=(), pause=None, grid="15/0"):
    return JobState(through, grid, sent, pause=pause)


# --- one slot ---------------------------------------------------------------------------------


def test_nothing_is_due_before_the_slot():
    assert decide(settled(), NINE - 0.001) == Decision(NINE - QUARTER)


def test_a_slot_is_due_at_its_very_instant():
    assert decide(settled(), float(NINE)) == Decision(NINE - QUARTER, NINE)


def test_the_slot_before_a_waiting_one_is_settled_and_the_waiting_one_is_not():
    assert decide(settled(NINE - QUARTER - 1), NINE + 1.5) == Decision(
        NINE - QUARTER, NINE, (Missed(NINE - QUARTER, NINE - QUARTER, 1, "down"),)
    )
    assert decide(settled(NINE - 300), NINE + 1.5) == Decision(NINE - 300, NINE)


@pytest.mark.parametrize(("late", "runs"), [(WINDOW, True), (WINDOW + 0.001, False)])
def test_the_window_says_how_late_the_newest_slot_may_still_run(late, runs):
    missed = Decision(NINE, None, (Missed(NINE, NINE, 1, "down"),))
    assert decide(settled(), NINE + late) == (Decision(NINE - QUARTER, NINE) if runs else missed)


def test_a_slot_of_a_job_in_flight_is_skipped_at_once_and_says_by_what():
    assert decide(settled(), NINE + 0.1, in_flight="a@before") == Decision(
        NINE, None, (Skipped(NINE, "overlap", "a@before"),)
    )


@pytest.mark.parametrize(("until", "skips"), [(NINE + 1, True), (NINE + 0.5, False)])
def test_a_slot_of_a_paused_job_is_skipped_until_the_very_end_of_the_pause(until, skips):
    decision = decide(settled(pause=Pause(until, "r", "b")), NINE + 0.5)
    skipped = Decision(NINE, None, (Skipped(NINE, "paused"),))
    assert decision == (skipped if skips else Decision(NINE - QUARTER, NINE))


def test_of_a_paused_job_in_flight_the_pause_is_the_reason():
    state = settled(pause=Pause(NINE + 99, "r", "b"))
    assert decide(state, NINE, in_flight="x").records == (Skipped(NINE, "paused"),)


def test_a_sent_slot_is_settled_without_a_record():
    state = settled(sent=(Range(NINE, NINE, "15/0"),))
    assert decide(state, NINE + 1) == Decision(NINE)


# --- many slots -------------------------------------------------------------------------------


def test_a_gap_of_a_month_is_one_record_and_one_run():
    now = NINE + 30 * 86_400 + 2
    decision = decide(settled(NINE - 60, grid="1/0"), now, of=job(Interval(1), 30))
    newest = NINE + 30 * 86_400
    first = Missed(NINE, newest - 60, 43_200, "down")
    assert decision == Decision(newest - 60, newest, (first,))


def test_when_the_newest_slot_is_too_late_as_well_it_ends_the_record():
    decision = decide(settled(), NINE + 2 * QUARTER + WINDOW + 1)
    assert decision == Decision(
        NINE + 2 * QUARTER, None, (Missed(NINE, NINE + 2 * QUARTER, 3, "down"),)
    )


def test_misses_are_counted_before_an_overlap_or_a_pause_is_looked_at():
    now = NINE + QUARTER
    missed = Missed(NINE, NINE, 1, "down")
    assert decide(settled(), now, in_flight="x").records == (missed, Skipped(now, "overlap", "x"))


def test_sent_slots_are_left_out_of_a_record_and_its_ends_are_missed_ones():
    sent = tuple(Range(at, at, "15/0") for at in (NINE, NINE + 2 * QUARTER))
    late = NINE + 3 * QUARTER + WINDOW + 1
    first, last = NINE + QUARTER, NINE + 3 * QUARTER
    assert decide(settled(sent=sent), late).records == (Missed(first, last, 2, "down"),)


def test_a_gap_with_nothing_but_sent_slots_is_not_written():
    sent = (Range(NINE, NINE + 3 * QUARTER, "15/0"),)
    assert decide(settled(sent=sent), NINE + 3 * QUARTER) == Decision(NINE + 3 * QUARTER)


def test_the_cause_is_asked_for_the_first_missed_slot():
    asked = []
    settle(
        job(),
        settled(),
        None,
        NINE + 2 * QUARTER,
        in_flight=None,
        cause=lambda slot: asked.append(slot) or "down",
    )
    assert asked == [NINE]


def test_a_daily_job_is_caught_up_in_its_own_window():
    daily = job(Daily(("09:00",), "UTC"), 3600)
    state = JobState(NINE - 86_400, schedule.fingerprint(daily.schedule))
    assert decide(state, NINE + 3600, of=daily).waiting == NINE
    assert decide(state, NINE + 3601, of=daily).records == (Missed(NINE, NINE, 1, "down"),)


# --- waiting for a permit (T8) ----------------------------------------------------------------


def test_a_waiting_slot_goes_on_waiting_through_its_window():
    assert decide(settled(), NINE + WINDOW, waiting=NINE) == Decision(NINE - QUARTER, NINE)


def test_a_waiting_slot_is_skipped_at_the_end_of_its_window():
    decision = decide(settled(), NINE + WINDOW + 0.1, waiting=NINE)
    assert decision == Decision(NINE, None, (Skipped(NINE, "capacity"),))


def test_a_waiting_slot_is_skipped_when_the_next_one_comes_which_waits_then():
    decision = decide(settled(), NINE + QUARTER, waiting=NINE, of=job(window=3600))
    assert decision == Decision(NINE, NINE + QUARTER, (Skipped(NINE, "capacity"),))


# --- the clock steps back (T4) ----------------------------------------------------------------


@pytest.mark.parametrize("waiting", [None, NINE])
def test_a_step_back_of_less_than_a_minute_changes_nothing(waiting):
    assert decide(settled(NINE), NINE - 59.9, waiting=waiting) == Decision(NINE, waiting)


def test_a_step_back_of_a_minute_settles_through_now_and_forgets_who_waited():
    state = settled(NINE + 60)
    assert decide(state, NINE, waiting=NINE + 60) == Decision(NINE, stepped=True)
    assert decide(state, NINE - 0.5) == Decision(NINE - 1, stepped=True)


def test_after_years_in_the_future_the_schedule_is_alive_at_once():
    stepped = decide(settled(NINE + 3 * 365 * 86_400), NINE - 1)
    assert stepped == Decision(NINE - 1, stepped=True)
    assert decide(settled(stepped.decided), NINE).waiting == NINE


def test_a_slot_that_was_sent_before_the_step_is_not_sent_again():
    state = settled(NINE - 1, sent=(Range(NINE, NINE, "15/0"),))
    assert decide(state, NINE) == Decision(NINE)


# --- a schedule that ended while nobody ran (T7) -------------------------------------------------


def test_what_was_due_under_an_ended_schedule_is_missed_through_now():
    missed = gap(settled(), NINE + QUARTER + 0.5, lambda _: "draining")
    assert missed == Missed(NINE, NINE + QUARTER, 2, "draining")


def test_a_job_that_had_no_schedule_missed_nothing():
    assert gap(JobState(NINE - QUARTER), NINE + QUARTER, lambda _: "down") is None


def test_an_ended_schedule_without_a_due_slot_misses_nothing():
    assert gap(settled(), NINE - 0.5, lambda _: "down") is None
    assert gap(settled(NINE + 5), NINE, lambda _: "down") is None


# --- against an oracle --------------------------------------------------------------------------

SCHEDULES = st.one_of(
    st.builds(Interval, st.sampled_from([1, 2, 7, 15, 60]), st.integers(0, 59)),
    st.builds(
        Daily,
        st.lists(
            st.sampled_from(["01:30", "02:30", "03:30", "09:00"]), min_size=1, unique=True
        ).map(lambda at: tuple(sorted(at))),
        st.sampled_from(["UTC", "America/New_York", "Pacific/Apia"]),
    ),
)


def enumerated(of, state, now, in_flight):
    """Say what becomes of the slots in (decided, now] one by one (T1 to T8)."""
    due = list(schedule.slots(of.schedule, state.decided, now))
    fates = {slot: "missed" for slot in due if not is_sent(state.sent, slot)}
    newest = due[-1] if due else None
    if newest in fates and now - newest <= of.catch_up_seconds:
        paused = state.pause and now < state.pause.until
        fates[newest] = "paused" if paused else "overlap" if in_flight else "waits"
    return fates


def expanded(of, state, decision):
    """Name the fate of each slot that a decision speaks of."""
    fates = Counter()
    for record in decision.records:
        if isinstance(record, Skipped):
            fates[record.slot, record.reason] += 1
            continue
        within = schedule.slots(of.schedule, record.first - 1, record.last)
        slots = [slot for slot in within if not is_sent(state.sent, slot)]
        assert (slots[0], slots[-1], len(slots)) == (record.first, record.last, record.count)
        fates.update((slot, "missed") for slot in slots)
    if decision.waiting is not None:
        fates[decision.waiting, "waits"] += 1
    return fates


@given(
    when=SCHEDULES,
    begins=st.integers(0, 3 * 86_400),
    passes=st.floats(0, 2 * 86_400),
    window=st.sampled_from([5, 30, 450, 3600, 43_200]),
    sent_at=st.lists(st.integers(0, 40), max_size=9),
    in_flight=st.sampled_from([None, "a@x"]),
    pause=st.none() | st.integers(-3600, 3600),
)
def test_every_due_slot_gets_the_fate_that_an_enumeration_gives_it(
    *, when, begins, passes, window, sent_at, in_flight, pause
):
    of = job(when, window)
    decided, now = NINE + begins, NINE + begins + passes
    slots = list(schedule.slots(when, decided - 3600, now + 3600))
    sent, grid = (), schedule.fingerprint(when)
    for slot in (slots[index] for index in sent_at if index < len(slots)):
        sent = add_sent(sent, slot, schedule.latest_slot(when, slot - 1), grid)
    state = JobState(decided, grid, sent, pause=Pause(now + pause, "r", "b") if pause else None)
    decision = decide(state, now, in_flight=in_flight, of=of)
    assert expanded(of, state, decision) == Counter(
        dict.fromkeys(enumerated(of, state, now, in_flight).items(), 1)
    )
    assert len([each for each in decision.records if isinstance(each, Missed)]) <= 1  # T2


WAKES = st.lists(
    st.tuples(
        st.floats(0, 1).map(lambda x: 10 ** (4 * x) - 1),  # seconds until it
        st.sampled_from([0] * 12 + [-59.9, -0.3, 300, -60, -4000, 20_000]),  # clock step
        st.booleans(),  # is there a permit
        st.booleans(),  # has the run in flight ended
        st.sampled_from([None] * 5 + [1000, -1]),  # pause for so long
    ),
    max_size=25,
)


@settings(max_examples=200)
@given(SCHEDULES, st.sampled_from([5, 30, 450, 3600]), WAKES)
def test_over_any_life_each_slot_gets_one_answer_is_sent_once_and_never_early(when, window, wakes):
    of = job(when, window)
    grid = schedule.fingerprint(when)
    state, waiting, in_flight = JobState(NINE, grid), None, None
    now, earliest, furthest, stepped = float(NINE), float(NINE), float(NINE), False
    answers, requests = Counter(), Counter()
    for seconds, step, permit, ended, pause in wakes:
        now += seconds + step
        in_flight = None if ended else in_flight
        if pause:
            state = replace(state, pause=Pause(now + pause, "r", "b"))
        decision = decide(state, now, waiting=waiting, in_flight=in_flight, of=of)
        stepped = stepped or decision.stepped
        for slot, fate in expanded(of, state, decision):
            if fate != "waits":
                answers[slot] += 1
        state, waiting = replace(state, decided=decision.decided), decision.waiting
        if waiting is not None and waiting <= now and permit:
            assert in_flight is None  # T5
            assert now - waiting <= window  # T3
            sent = add_sent(state.sent, waiting, schedule.latest_slot(when, waiting - 1), grid)
            requests[waiting] += 1
            answers[waiting] += 1
            state, waiting, in_flight = replace(state, decided=waiting, sent=sent), None, "a@run"
        earliest, furthest = min(earliest, now), max(furthest, now)
    assert set(requests.values()) <= {1}  # at most once
    due = set(schedule.slots(when, NINE, now)) - {waiting}
    assert due <= set(answers)  # no slot without an answer
    assert set(answers) <= set(schedule.slots(when, earliest - 1, furthest))  # none of the future
    if not stepped:
        assert set(answers.values()) <= {1}  # exactly one answer
