"""Which jobs are due at a wake: the heap against looking at every job."""

from hypothesis import given
from hypothesis import strategies as st

from sinkd import schedule
from sinkd.agenda import Agenda
from sinkd.spec import Daily, Interval, Job, Request

NINE = 1_795_424_400  # 2026-11-23T09:00:00Z


def job(name, when, *, enabled=True):
    return Job(name, when, Request("http://localhost/"), 60, 30, enabled=enabled)


def test_without_enabled_jobs_nothing_is_ever_due():
    agenda = Agenda([job("a", Interval(1), enabled=False)], NINE)
    assert agenda.upcoming() is None
    assert agenda.due(NINE + 86_400) == []


def test_a_slot_at_the_beginning_is_settled_already():
    agenda = Agenda([job("a", Interval(15))], NINE)
    assert agenda.upcoming() == (NINE + 900, "a")
    assert agenda.due(NINE + 899.9) == []
    assert agenda.due(NINE + 900) == ["a"]


def test_a_job_with_many_slots_in_a_gap_is_named_once():
    agenda = Agenda([job("a", Interval(1)), job("b", Interval(60))], NINE)
    assert sorted(agenda.due(NINE + 7200.5)) == ["a", "b"]
    assert agenda.upcoming() == (NINE + 7260, "a")


def test_two_kinds_of_schedule_may_be_due_together():
    kinds = [job("a", Interval(60)), job("b", Daily(("10:00",), "UTC"))]
    assert Agenda(kinds, NINE).due(NINE + 3600) == ["a", "b"]


SCHEDULES = st.one_of(
    st.builds(Interval, st.sampled_from([1, 7, 15, 60]), st.integers(0, 59)),
    st.builds(
        Daily, st.sampled_from([("02:30",), ("00:00", "12:00")]), st.just("America/New_York")
    ),
)


@given(
    st.lists(st.tuples(SCHEDULES, st.booleans()), max_size=9),
    st.lists(st.floats(0, 90_000), max_size=9),
)
def test_due_jobs_are_those_with_a_slot_since_the_last_look(kinds, naps):
    jobs = [job(f"job-{n}", when, enabled=on) for n, (when, on) in enumerate(kinds)]
    agenda, looked = Agenda(jobs, NINE), float(NINE)
    for nap in naps:
        enabled = [each for each in jobs if each.enabled]
        upcoming = {(schedule.next_slot(each.schedule, looked), each.name) for each in enabled}
        first = agenda.upcoming()
        assert first in upcoming if upcoming else first is None
        assert first is None or first[0] == min(upcoming)[0]
        now = looked + nap
        due = {each.name for each in enabled if schedule.count(each.schedule, looked, now)}
        names = agenda.due(now)
        assert set(names) == due
        assert len(names) == len(due)
        looked = now


def test_what_comes_next_is_of_a_job_that_is_not_held():
    agenda = Agenda([job("a", Interval(1)), job("b", Interval(1)), job("c", Interval(15))], NINE)
    assert agenda.upcoming({"a"}) == (NINE + 60, "b")
    assert agenda.upcoming({"a", "b"}) == (NINE + 900, "c")
    assert agenda.upcoming({"a", "b", "c"}) is None
