"""What the records add up to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from sinkd.errors import UsageError
from sinkd.instant import rfc3339
from sinkd.record import REASONS
from sinkd.report import Summary, parse_labels, rows, slots_within, summarise
from sinkd.spec import Interval, Job, Request
from sinkd.standing import Standing
from sinkd.state import Pause

NOW = 1_795_428_000  # 2026-11-23T10:00Z
HOUR = 3600


def run(seq=1, job="a", at=NOW - 60, outcome="success", **fields):
    return {
        "v": 1,
        "seq": seq,
        "run_id": f"{job}@{at}",
        "job": job,
        "scheduled_at": rfc3339(at),
        "trigger": "schedule",
        "outcome": outcome,
        **fields,
    }


def gap(first, last, count, **fields):
    return run(
        at=first,
        outcome="missed",
        reason="down",
        count=count,
        last_scheduled_at=rfc3339(last),
        **fields,
    )


def totals(*records):
    return summarise(records, NOW).jobs["a"]


def job(name="a", **fields):
    request = Request("http://127.0.0.1/")
    return Job(name, Interval(15, 5), request, timeout_seconds=60, catch_up_seconds=450, **fields)


def test_runs_are_those_that_were_claimed_manual_ones_too():
    found = totals(
        run(),
        run(trigger="manual"),
        run(outcome="failure", reason="dns"),
        run(outcome="interrupted", reason="crash"),
        run(outcome="skipped", reason="overlap"),
        gap(NOW - 7200, NOW - 3600, 5),
    )
    assert found.runs == 4
    assert found.counts == {
        "success": 2, "failure": 1, "interrupted": 1, "skipped": 1, "missed": 5,
    }  # fmt: skip


def test_a_manual_run_answers_no_due_slot():
    found = totals(run(), run(trigger="manual", outcome="failure"), gap(NOW - 60, NOW, 1))
    assert (found.answered, found.due) == (1, 2)
    assert totals(run(trigger="manual", outcome="failure")).due == 0


def test_a_range_counts_its_slots_inside_the_window_alone():
    hourly = gap(NOW, NOW + 9 * HOUR, 10)
    assert slots_within(hourly, NOW, NOW + 10 * HOUR) == 10
    assert slots_within(hourly, NOW + 1, NOW + 9 * HOUR) == 8
    assert slots_within(hourly, NOW + 3 * HOUR, NOW + 4 * HOUR) == 1
    assert slots_within(hourly, NOW + 9 * HOUR + 1, NOW + 10 * HOUR) == 0
    assert slots_within(hourly, NOW - HOUR, NOW) == 0


@given(st.integers(1, 50), st.integers(1, 90), st.integers(-99, 5000), st.integers(-99, 5000))
def test_the_slots_of_a_range_are_counted_as_one_by_one(count, step, since, until):
    minutes = [60 * step * index for index in range(count)]
    whole = gap(NOW, NOW + minutes[-1], count)
    expected = [minute for minute in minutes if 60 * since <= minute < 60 * until]
    found = slots_within(whole, NOW + 60 * since, NOW + 60 * max(since, until))
    assert found == len(expected)


def test_the_last_day_is_told_by_the_hour():
    summary = summarise(
        [
            run(at=NOW - 24 * HOUR),
            run(at=NOW - 24 * HOUR + 1),
            run(at=NOW - 1, outcome="failure", reason="dns"),
            run(at=NOW - 1),
            run(at=NOW - 2 * HOUR, outcome="skipped", reason="overlap"),
        ],
        NOW,
    )
    assert summary.jobs["a"].hours == {0: [1, 1], 23: [1, 2]}


def test_troubles_are_grouped_by_cause():
    first = run(1, outcome="failure", reason="http_status", status_code=503)
    second = run(2, outcome="failure", reason="http_status", status_code=503)
    other = run(3, outcome="failure", reason="timeout")
    found = totals(first, other, second, run(4), run(5))
    assert {cause: trouble.count for cause, trouble in found.troubles.items()} == {
        ("failure", "http_status 503"): 2,
        ("failure", "timeout"): 1,
    }
    trouble = found.troubles["failure", "http_status 503"]
    assert (trouble.first, trouble.last) == (first, second)
    assert found.in_a_row == 2


def test_an_outcome_of_a_later_version_is_passed_over():
    assert totals(run(outcome="postponed"), run()).counts == {"success": 1}


@st.composite
def logs(draw):
    outcome = draw(st.sampled_from(sorted(REASONS)))
    record = run(
        job=draw(st.sampled_from("ab")),
        at=NOW - draw(st.integers(1, 30 * HOUR)),
        outcome=outcome,
        trigger=draw(st.sampled_from(["schedule", "manual"])),
        duration_ms=draw(st.none() | st.integers(0, 60_000)),
        labels={"team": draw(st.sampled_from("xy"))},
    )
    if REASONS[outcome]:
        record["reason"] = draw(st.sampled_from(REASONS[outcome]))
    if outcome == "missed" and draw(st.booleans()):
        record |= {"count": draw(st.integers(2, 9)), "last_scheduled_at": rfc3339(NOW - 1)}
    return record


@given(st.lists(logs()), st.lists(logs()), st.integers(0, 30))
def test_merging_the_totals_of_two_stretches_equals_summing_up_both(older, newer, hours):
    since = NOW - hours * HOUR
    merged = summarise(older, NOW, since)
    merged.merge(summarise(newer, NOW, since))
    assert merged == summarise(older + newer, NOW, since)


def test_a_row_has_the_five_counters_and_the_rest():
    summary = summarise(
        [
            run(at=NOW - 900, started_at="2026-11-23T09:45:00.012Z", duration_ms=180),
            run(at=NOW - 60, outcome="failure", reason="dns", duration_ms=20),
        ],
        NOW,
    )
    (row,) = rows({"a": job(labels=(("team", "shop"),))}, summary, Standing(), NOW)
    assert row.as_json() == snapshot(
        {
            "job": "a",
            "description": None,
            "labels": {"team": "shop"},
            "enabled": True,
            "paused_until": None,
            "schedule": "every 15 min at :05 :20 :35 :50",
            "total_runs": 2,
            "successful_runs": 1,
            "failed_runs": 1,
            "skipped": 0,
            "missed": 0,
            "interrupted": 0,
            "last_run_at": "2026-11-23T09:59:00Z",
            "last_outcome": "failure",
            "next_run_at": "2026-11-23T10:05:00Z",
            "p50_ms": 20,
            "p95_ms": 179,
        }
    )


def test_jobs_come_in_file_order_and_then_those_that_were_removed():
    summary = summarise([run(job="old"), run(job="elder"), run(job="a")], NOW)
    table = rows({"b": job("b"), "a": job("a")}, summary, Standing(), NOW)
    assert [(row.name, row.job is None) for row in table] == [
        ("b", False),
        ("a", False),
        ("elder", True),
        ("old", True),
    ]


def test_a_disabled_job_has_no_next_run_and_a_paused_one_has_it_after_the_pause():
    stands = Standing(pauses={"a": Pause(NOW + 3000, "maintenance", "ann")})  # 10:50, a slot
    table = rows({"a": job(), "b": job("b", enabled=False)}, Summary(NOW), stands, NOW)
    assert [row.next_slot for row in table] == [NOW + 3000, None]


def test_labels_are_written_with_an_equals_sign():
    assert parse_labels(["team=shop", "a=b=c"]) == {"team": "shop", "a": "b=c"}
    with pytest.raises(UsageError, match="--label team=shop"):
        parse_labels(["team"])
