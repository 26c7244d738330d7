"""What is kept of every job: bounded, in the order of the log, each record once."""

from sinkd import record
from sinkd.instant import rfc3339
from sinkd.overview import Hour, Overview

HOUR = 3600
NOON = 1_795_435_200  # 2026-11-23T12:00Z


def run(seq, at=NOON, job="poll", outcome="success", **fields):
    return {
        "v": 1, "seq": seq, "run_id": record.run_id(job, at), "job": job,
        "scheduled_at": rfc3339(at), "outcome": outcome, **fields,
    }  # fmt: skip


def overview_of(*runs):
    overview = Overview()
    for each in runs:
        overview.add_run(each, record.line(each))
    return overview


def test_a_record_counts_once_however_often_it_comes():
    overview = overview_of(run(1), run(2), run(2), run(1))
    assert (overview.totals("poll").runs, len(overview.past("poll").lines)) == (2, 2)


def test_hours_are_those_before_now_the_one_that_is_not_over_last():
    past = overview_of(
        run(1, NOON - 25 * HOUR),
        run(2, NOON - 23 * HOUR),
        run(3, NOON - HOUR, outcome="failure", reason="connect"),
        run(4, NOON + 60, outcome="skipped", reason="overlap"),
    ).past("poll")
    day = past.day(NOON + 120)
    assert len(day) == 24
    assert day[0] == Hour(NOON - 23 * HOUR, 1, 0, 0)
    assert [hour.kind for hour in day[-2:]] == ["failed", "missed"]
    assert {hour.kind for hour in day[1:-2]} == {"none"}
    assert past.day(NOON + 30 * HOUR)[0].kind == "none"


def test_a_range_counts_in_each_of_its_hours_but_not_before_its_last_day():
    missed = run(
        1, NOON - 100 * HOUR, outcome="missed", reason="down",
        last_scheduled_at=rfc3339(NOON - 30 * 60), count=200,
    )  # fmt: skip
    day = overview_of(missed).past("poll").day(NOON - 60)
    assert {hour.not_run for hour in day} == {2}


def test_memory_is_bounded_by_the_last_lines_and_hours():
    past = overview_of(*(run(seq, NOON + seq * HOUR) for seq in range(1, 400))).past("poll")
    assert len(past.lines) == 50
    assert len(past._hours) <= 25


def test_a_job_fails_from_a_slot_without_success_to_one_with_it():
    overview = Overview()
    seen = []
    for seq, (outcome, reason) in enumerate(
        [
            ("success", None),
            ("missed", "down"),
            ("skipped", "paused"),
            ("success", None),
            ("skipped", "paused"),
            ("interrupted", "crash"),
        ],
        1,
    ):
        each = run(seq, outcome=outcome, **({"reason": reason} if reason else {}))
        overview.add_run(each, record.line(each))
        seen.append(overview.past("poll").failing)
    assert seen == [False, True, True, False, False, True]


def test_what_changed_since_a_number_is_named_newest_first():
    overview = overview_of(run(1, job="a"), run(2, job="b"), run(3, job="a"), run(4, job="c"))
    assert overview.changed_since(1) == ["c", "a", "b"]
    assert overview.changed_since(3) == ["c"]
    assert overview.changed_since(4) == []
    overview.add_event({"v": 1, "seq": 5, "at": rfc3339(NOON), "event": "job_resumed", "job": "b"})
    assert (overview.changed_since(4), overview.newest) == (["b"], 5)
