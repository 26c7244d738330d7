"""Of what people are told: edges, one bit a job."""

import pytest

from sinkd.notices import Edges, answered

RUNS = {
    "s": {"outcome": "success", "trigger": "schedule"},
    "c": {"outcome": "success", "trigger": "catch_up"},
    "f": {"outcome": "failure", "reason": "dns", "error": "no such host", "trigger": "schedule"},
    "o": {"outcome": "skipped", "reason": "overlap"},
    "m": {"outcome": "missed", "reason": "down", "count": 3},
    "i": {"outcome": "interrupted", "reason": "crash", "trigger": "schedule"},
    "p": {"outcome": "skipped", "reason": "paused"},
    "F": {"outcome": "failure", "reason": "dns", "trigger": "manual"},
    "S": {"outcome": "success", "trigger": "manual"},
}


def run(letter, job="bot"):
    slot = "2026-11-23T09:00:00Z"
    return {
        "v": 1,
        "seq": 7,
        "job": job,
        "run_id": f"{job}@1",
        "scheduled_at": slot,
        **RUNS[letter],
    }


def told(letters, edges=None):
    """Return what is told of runs: `f` for a failure, `r` for a recovery, `.` for nothing."""
    edges = edges or Edges()
    notices = [edges.take(run(letter)) for letter in letters]
    return "".join(notice.on[0] if notice else "." for notice in notices)


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ("s", "."),  # the first ever, and good
        ("f", "f"),  # the first ever
        ("sf", ".f"),
        ("ff", "f."),
        ("sffs", ".f.r"),
        ("fsfs", "frfr"),
        ("so", ".f"),
        ("sm", ".f"),
        ("si", ".f"),
        ("fc", "fr"),
        ("sps", "..."),
        ("fps", "f.r"),
        ("pf", ".f"),
        ("sFf", "..f"),
        ("fSs", "f.r"),
        ("moif", "f..."),
    ],
)
def test_only_edges_are_told_and_neither_manual_runs_nor_pauses_are_any(runs, expected):
    assert told(runs) == expected


def test_each_job_has_edges_of_its_own():
    edges = Edges()
    assert edges.take(run("f", "a")).job == "a"
    assert edges.take(run("f", "b")).job == "b"
    assert edges.take(run("f", "a")) is None


def test_a_removed_job_begins_anew_when_it_comes_back():
    edges = Edges()
    edges.take(run("f"))
    edges.take({"event": "config_accepted", "removed": ["bot"]})
    assert told("f", edges) == "f"


def refused(seq=9):
    problems = [{"code": "SNK101", "line": 3, "column": 5, "message": "unknown field `every`"}]
    return {"seq": seq, "event": "config_refused", "problems": problems, "total": 2}


def test_a_refused_file_is_told_once_until_the_file_is_well_again():
    edges = Edges()
    assert edges.take(refused()).on == "config_refused"
    assert edges.take(refused(10)) is None
    edges.take({"event": "config_restored"})
    assert edges.take(refused(11))
    edges.take({"event": "config_accepted", "removed": []})
    assert edges.take(refused(12))


@pytest.mark.parametrize(
    ("letter", "text"),
    [
        ("f", "bot failed: no such host (2026-11-23 09:00 UTC)"),
        ("o", "bot did not run: the run before was still going (2026-11-23 09:00 UTC)"),
        ("m", "bot did not run: sinkd was down (2026-11-23 09:00 UTC and 2 more)"),
        (
            "i",
            "bot was interrupted: sinkd crashed, its fate is unknown (2026-11-23 09:00 UTC)",
        ),
    ],
)
def test_a_failure_is_said_in_a_sentence(letter, text):
    assert Edges().take(run(letter)).text == text


def test_what_is_sent_holds_the_text_and_the_whole_record():
    record = run("s")
    recovery = Edges({"bot"}).take(record)
    text = "bot recovered (2026-11-23 09:00 UTC)"
    assert recovery.body() == {"text": text, "on": "recovery", "job": "bot", "run": record}
    event = refused()
    text = "the jobs file is refused, the one before stays in use: 3:5 unknown field `every` (and 1 more)"
    assert Edges().take(event).body() == {"text": text, "on": "config_refused", "event": event}


def test_two_notices_can_be_told_apart():
    failing = Edges().take(run("f"))
    assert failing.identity == "failure bot@1"
    assert Edges({"bot"}).take(run("s")).identity != failing.identity
    assert Edges().take(refused(9)).identity != Edges().take(refused(12)).identity


def test_an_event_of_another_kind_tells_nobody_anything():
    assert Edges().take({"event": "notify", "on": "failure", "job": "bot"}) is None


def test_a_paused_slot_is_neither():
    assert [answered(run(letter)) for letter in "sfp"] == [True, False, None]
