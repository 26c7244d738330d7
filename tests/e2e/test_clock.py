"""The wall clock set under a running process, and a process that stood still (rules T2 to T6)."""

import json
import signal
import time

import pytest
from e2e.answered import check_each_minute, check_sent, instant

pytestmark = pytest.mark.e2e


class SetClock:
    """A wall clock that is set while a process runs; its monotonic clocks go on as they are."""

    def __init__(self, library, file):
        self._library, self._file = library, file

    def env(self):
        return {
            "LD_PRELOAD": self._library,
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "TZ": "UTC",
        }

    def set(self, text):
        """Let it be an instant now, for whoever reads this clock."""
        offset = instant(text) - time.time()
        new = self._file.with_suffix(".new")
        new.write_text(f"{offset:+.6f}\n")
        new.rename(self._file)


@pytest.fixture
def clock(home, faketime):
    home.clock = SetClock(faketime, home.path / "clock.txt")
    return home.clock


def brief(run):
    """Shorten a record to what the test speaks of."""
    if "count" in run:
        return run["scheduled_at"], run["last_scheduled_at"], run["count"], run["reason"]
    return run["scheduled_at"], run["outcome"], run["trigger"]


def steps(home):
    """Return how far the clock was set each time, in whole minutes."""
    for event in home.events("clock_step"):
        yield round((instant(event["to"]) - instant(event["from"])) / 60)


def test_a_clock_set_forward_and_back_sends_no_slot_twice_and_counts_what_it_jumped_over(
    home, server, job, clock
):
    clock.set("2026-03-08T12:48:10Z")
    home.declare(job("poll", interval_minutes=15))
    process = home.run()
    shown = lambda: [brief(run) for run in home.runs()]  # noqa: E731
    expected = []

    def then(*records):
        expected.extend(records)
        home.wait_for(lambda: len(shown()) >= len(expected), f"{records}")
        assert shown() == expected

    clock.set("2026-03-08T13:48:10Z")  # an hour forward
    then(
        ("2026-03-08T13:00:00Z", "2026-03-08T13:30:00Z", 3, "clock_step"),
        ("2026-03-08T13:45:00Z", "success", "catch_up"),
    )
    clock.set("2026-03-07T12:48:10Z")  # 25 hours back
    home.wait_for(lambda: len(home.events("clock_step")) == 2, "the step back is seen")
    clock.set("2026-03-07T12:59:58.5Z")
    then(("2026-03-07T13:00:00Z", "success", "schedule"))
    clock.set("2026-03-08T13:00:10Z")  # what was only missed is due again
    then(
        ("2026-03-07T13:15:00Z", "2026-03-08T12:45:00Z", 95, "clock_step"),
        ("2026-03-08T13:00:00Z", "success", "catch_up"),
    )
    clock.set("2026-03-08T13:48:10Z")  # what was sent is not
    then(("2026-03-08T13:15:00Z", "2026-03-08T13:30:00Z", 2, "clock_step"))
    assert process.stop() == 0
    assert list(steps(home)) == [60, -25 * 60, 12, 24 * 60, 48]
    check_sent(home, server)
    assert len(server.requests) == 3
    why = json.loads(home.command("why", "poll", "2026-03-08T13:15", "-o", "json").stdout)
    assert (why["answer"], why["run"]["reason"]) == ("missed", "clock_step")
    assert "clock" in why["explanation"]


@pytest.mark.parametrize("seconds", [3, pytest.param(60, marks=pytest.mark.soak)])
def test_a_process_that_stood_still_runs_the_newest_slot_and_counts_the_others(
    home, server, job, fast_clock, seconds
):
    home.clock = fast_clock("2026-03-08T12:00:00Z")
    home.declare(job("poll", interval_minutes=1, catch_up_minutes=5))
    process = home.run()
    home.wait_for(lambda: server.requests, "it runs")
    before = len(home.runs())
    process.send_signal(signal.SIGSTOP)
    time.sleep(seconds)  # as many minutes there
    process.send_signal(signal.SIGCONT)
    home.wait_for(lambda: len(home.runs()) >= before + 3, "it runs on")
    asked = home.clock.now()
    assert process.stop() == 0
    (event,) = home.events("stalled")
    assert event["seconds"] >= 60 * seconds - 5
    check_each_minute(home, server, asked)
    (missed,) = (run for run in home.runs() if run["outcome"] == "missed")
    assert missed["reason"] == "stalled"
    assert missed["count"] >= seconds - 2
    newest = instant(missed["last_scheduled_at"]) + 60
    assert newest in {instant(request.run[1]) for request in server.requests}
