"""`sinkd trigger`: through the socket of a running daemon, and alone."""

import json

import pytest

pytestmark = pytest.mark.e2e


@pytest.fixture(params=["a daemon runs", "no daemon runs"])
def triggering(request, home, job):
    home.declare(job("poll", request={"body": {"mode": "research"}}))
    if request.param == "a daemon runs":
        home.run()
    return home


def test_a_run_by_hand_is_sent_recorded_and_shown(triggering, server):
    done = triggering.command("trigger", "poll", "-o", "json")
    assert done.returncode == 0, done.stderr
    (request,) = server.requests
    assert request.body == b'{"mode":"research"}'
    assert request.headers["x-sinkd-trigger"] == "manual"
    shown, (run,) = json.loads(done.stdout), triggering.runs()
    assert shown["run_id"] == run["run_id"] == request.headers["idempotency-key"]
    assert run["run_id"].endswith("#manual")
    assert (run["trigger"], run["outcome"]) == ("manual", "success")


def test_a_run_that_fails_exits_with_1(triggering, server):
    server.status = 503
    done = triggering.command("trigger", "poll")
    assert done.returncode == 1
    assert "failure/http_status 503" in done.stdout
    assert triggering.runs()[-1]["reason"] == "http_status"


def test_a_job_that_is_not_there_is_named(triggering, server):
    done = triggering.command("trigger", "pol")
    assert done.returncode in {1, 2}
    assert "`pol`" in done.stderr
    assert "Traceback" not in done.stderr
    assert not server.requests


def test_a_dry_run_sends_nothing(triggering, server):
    done = triggering.command("trigger", "poll", "--dry-run")
    assert done.returncode == 0
    assert done.stdout.startswith(f"POST {server.url}/poll\n")
    assert not server.requests
    assert not triggering.runs()


def test_while_a_run_is_in_flight_another_is_refused(home, job, server):
    home.declare(job("poll"), job("other"))
    process = home.run()
    server.hold()
    assert home.command("trigger", "poll", "--no-wait").returncode == 0
    refused = home.command("trigger", "poll")
    assert refused.returncode == 1
    assert "is in flight" in refused.stderr
    server.release()
    assert home.command("trigger", "other").returncode == 0
    home.wait_for(lambda: len(home.runs()) == 2, "both runs are recorded")
    assert home.command("trigger", "poll").returncode == 0
    assert process.stop() == 0
    assert len(server.requests) == len(home.runs()) == 3


def test_a_run_by_hand_without_a_daemon_leaves_the_schedule_alone(home, job, server, fast_clock):
    home.clock = fast_clock("2026-03-08T12:11:00Z", 1)
    home.declare(job("poll", interval_minutes=15))
    assert home.run().stop() == 0
    assert home.command("trigger", "poll").returncode == 0
    home.clock = fast_clock("2026-03-08T12:16:00Z", 1)
    home.run()
    home.wait_for(lambda: len(home.runs()) >= 2, "the slot of 12:15 is caught up")
    by_hand, slot = home.runs()
    assert by_hand["trigger"] == "manual"
    assert (slot["scheduled_at"], slot["trigger"]) == ("2026-03-08T12:15:00Z", "catch_up")
    assert len(server.requests) == 2
