"""A job held by hand (T10): over a kill -9, said to whoever asks, and ended by itself."""

import json
from datetime import datetime

import pytest

pytestmark = pytest.mark.e2e

WHY_NOT = "vendor maintenance, ticket 4711"


def slots_of(home, outcome, name="held"):
    runs = [run for run in home.runs() if run["job"] == name]
    return [run["scheduled_at"] for run in runs if (run["outcome"], run.get("reason")) == outcome]


def test_a_pause_outlives_a_kill_says_who_and_why_and_ends_by_itself(home, server, job, fast_clock):
    home.clock = fast_clock("2026-03-08T12:00:30Z")
    every = {"interval_minutes": 1, "catch_up_minutes": 9}
    home.declare(job("held", **every), job("other", **every))
    process = home.run()
    home.wait_for(lambda: slots_of(home, ("success", None)), "it runs")
    home.env["SUDO_USER"] = "ada"
    done = home.command("pause", "held", "--for", "12m", "--reason", WHY_NOT)
    assert done.returncode == 0, done.stderr
    (paused,) = home.wait_for(lambda: home.events("job_paused"), "the pause is an event")
    assert (paused["by"], paused["reason"]) == ("ada", WHY_NOT)
    home.wait_for(lambda: slots_of(home, ("skipped", "paused")), "a slot is skipped")
    process.kill()
    process.wait()
    before = len(slots_of(home, ("skipped", "paused")))

    process = home.run()
    home.wait_for(
        lambda: len(slots_of(home, ("skipped", "paused"))) >= before + 2,
        "its slots stay skipped",
    )
    skipped = slots_of(home, ("skipped", "paused"))[-1]
    why = json.loads(home.command("why", "held", skipped[:16], "-o", "json").stdout)
    assert why["answer"] == "paused"
    assert "ada" in why["explanation"]
    assert WHY_NOT in why["explanation"]

    resumed = home.wait_for(lambda: home.events("job_resumed"), "the pause is over")
    assert [event["by"] for event in resumed] == ["expired"]
    home.wait_for(lambda: slots_of(home, ("success", None))[-1] > paused["until"], "it runs again")
    assert process.stop() == 0
    begun, until = (datetime.fromisoformat(paused[each]) for each in ("at", "until"))
    sent = {
        request.run[0]
        for request in server.requests
        if begun < datetime.fromisoformat(request.run[1]) < until
    }
    assert sent == {"other"}


def test_without_a_daemon_and_a_jobs_file_there_is_nothing_to_hold(home):
    done = home.command("pause", "held", "--for", "1h", "--reason", WHY_NOT)
    assert (done.returncode, done.stderr) == (
        2,
        (
            f"sinkd: nothing is scheduled: {home.config}: no such file; "
            "name the jobs file, as in `--config jobs.yaml`\n"
        ),
    )
