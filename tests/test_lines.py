"""What a record says of its job and of the process that wrote it."""

from sinkd.decide import Missed, Skipped
from sinkd.lines import Lines
from sinkd.spec import Interval, Job, Request

NINE = 1_795_424_400
REQUEST = Request("https://api.example.com/v1/refresh?token=${env:TOKEN}", "PUT")
JOB = Job("refresh", Interval(15), REQUEST, 60, 450, labels=(("team", "shop"),))
LINES = Lines("2026f", "blue", "0123456789ab", "c0ffee")
PLAIN = Job("plain", Interval(15), Request("http://localhost/"), 60, 450)


def test_a_claimed_run_is_known_but_for_its_outcome_and_shows_no_query():
    known = LINES.claimed(JOB, "refresh@2026-11-23T09:00Z", NINE, "schedule", "f" * 32)
    assert known == {
        "run_id": "refresh@2026-11-23T09:00Z",
        "job": "refresh",
        "labels": {"team": "shop"},
        "scheduled_at": "2026-11-23T09:00:00Z",
        "trigger": "schedule",
        "method": "PUT",
        "url": "https://api.example.com/v1/refresh",
        "config": "0123456789ab",
        "commit": "c0ffee",
        "tzdata": "2026f",
        "trace_id": "f" * 32,
        "instance": "blue",
    }


def test_the_slot_of_a_manual_run_is_the_instant_it_was_asked_for():
    known = LINES.claimed(JOB, "refresh@x#manual", NINE + 0.25, "manual", "f" * 32)
    assert known["scheduled_at"] == "2026-11-23T09:00:00.250Z"


def test_a_skipped_slot_has_its_identity_and_what_blocked_it():
    skipped = LINES.settled(JOB, Skipped(NINE, "overlap", "refresh@2026-11-23T08:45Z"))
    assert list(skipped.items()) == [
        ("run_id", "refresh@2026-11-23T09:00Z"),
        ("job", "refresh"),
        ("labels", {"team": "shop"}),
        ("scheduled_at", "2026-11-23T09:00:00Z"),
        ("outcome", "skipped"),
        ("reason", "overlap"),
        ("config", "0123456789ab"),
        ("commit", "c0ffee"),
        ("tzdata", "2026f"),
        ("instance", "blue"),
        ("blocked_by", "refresh@2026-11-23T08:45Z"),
    ]


def test_what_does_not_apply_is_left_out():
    assert Lines("2026f").settled(PLAIN, Skipped(NINE, "capacity")) == {
        "run_id": "plain@2026-11-23T09:00Z",
        "job": "plain",
        "scheduled_at": "2026-11-23T09:00:00Z",
        "outcome": "skipped",
        "reason": "capacity",
        "tzdata": "2026f",
    }


def test_a_missed_range_is_named_by_its_first_slot_and_counted():
    missed = Missed(NINE, NINE + 1800, 3, "suspended")
    range_of = {
        "run_id": "refresh@2026-11-23T09:00Z",
        "scheduled_at": "2026-11-23T09:00:00Z",
        "last_scheduled_at": "2026-11-23T09:30:00Z",
        "count": 3,
        "outcome": "missed",
        "reason": "suspended",
    }
    line = LINES.settled(JOB, missed)
    assert {key: line[key] for key in range_of} == range_of
    removed = Lines("2026f").missed("refresh", None, missed)
    assert removed == {"job": "refresh", "tzdata": "2026f", **range_of}


def test_a_line_of_an_unsent_slot_ends_no_claimed_run():
    for decision in (Skipped(NINE, "paused"), Missed(NINE, NINE, 1, "down")):
        assert "trigger" not in LINES.settled(JOB, decision)
