"""What a new jobs file changes."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from sinkd.plan import Changes, changes
from sinkd.spec import Interval, Job, Request

JOB = Job("a", Interval(15), Request("http://localhost/"), 60, 450)


def jobs(*several):
    return {job.name: job for job in several}


def test_added_and_removed_jobs_are_told_by_name():
    new = replace(JOB, name="b")
    assert changes(jobs(JOB), jobs(new)) == Changes(added=("b",), removed=("a",))


def test_a_job_that_is_disabled_is_paused_not_changed_and_the_other_way_round():
    off = replace(JOB, enabled=False)
    assert changes(jobs(JOB), jobs(off)) == Changes(paused=("a",))
    assert changes(jobs(off), jobs(JOB)) == Changes(resumed=("a",))


def test_a_job_can_be_changed_and_paused_at_once():
    other = replace(JOB, timeout_seconds=5, enabled=False)
    assert changes(jobs(JOB), jobs(other)) == Changes(changed=("a",), paused=("a",))


def test_the_names_stand_in_file_order():
    several = [replace(JOB, name=name) for name in "cab"]
    assert changes({}, jobs(*several)).added == ("c", "a", "b")
    assert changes(jobs(*several), {}).removed == ("c", "a", "b")


JOBS = st.dictionaries(st.sampled_from("abcde"), st.tuples(st.integers(1, 3), st.booleans())).map(
    lambda kinds: {
        name: replace(JOB, name=name, timeout_seconds=seconds, enabled=enabled)
        for name, (seconds, enabled) in kinds.items()
    }
)


@given(JOBS)
def test_a_file_changes_nothing_against_itself(same):
    assert changes(same, dict(same)) == Changes()


@given(JOBS, JOBS)
def test_every_difference_is_told_and_nothing_else(before, after):
    told = changes(before, after)
    back = changes(after, before)
    assert set(told.added) == set(back.removed) == set(after) - set(before)
    assert set(told.paused) == set(back.resumed)
    differing = {name for name in set(before) & set(after) if before[name] != after[name]}
    assert {*told.changed, *told.paused, *told.resumed} == differing
