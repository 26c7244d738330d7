"""Hours of real work in minutes: the process at 60 times the speed, edited and killed meanwhile.

The clocks of faketime run 60 times as fast, the monotonic one too. What must come of it is worked
out here from the minutes of the day, with no code of sinkd.
"""

import hashlib
import json
import random
import statistics
import time
from collections import Counter
from datetime import datetime

import pytest
from e2e.answered import answers, check_each_minute, due

pytestmark = pytest.mark.e2e

SOAK = [pytest.mark.soak, pytest.mark.timeout(1800)]
JOBS = {
    "each-15": {"interval_minutes": 15, "start_minute": 0},
    "each-30-at-5": {"interval_minutes": 30, "start_minute": 5},
    "hourly": {"interval_minutes": 60, "start_minute": 0},
    "two-hourly-at-10": {"interval_minutes": 120, "start_minute": 10},
    "new-york-night": {"at": "02:30", "timezone": "America/New_York"},
    "new-york-morning": {"at": "09:00", "timezone": "America/New_York"},
    "each-minute": {"interval_minutes": 1},
}
IS_DUE = {
    "each-15": lambda at: at.minute in (0, 15, 30, 45),
    "each-30-at-5": lambda at: at.minute in (5, 35),
    "hourly": lambda at: at.minute == 0,
    "two-hourly-at-10": lambda at: at.hour % 2 == 0 and at.minute == 10,
    # On 2026-03-08 the clocks of New York went from 02:00 to 03:00, at 07:00 UTC.
    "new-york-night": lambda at: (at.hour, at.minute) == (7, 30),
    "new-york-morning": lambda at: (at.hour, at.minute) == (13, 0),
    "each-minute": lambda _: True,
}


def steps(events):
    """Return how far apart the clocks went, in seconds.

    Between two readings of them that the machine keeps apart for 17 ms lies a second here.
    """
    for event in events:
        match event:
            case {"event": "suspended", "seconds": seconds}:
                yield seconds
            case {"event": "clock_step", "from": before, "to": after}:
                times = [datetime.fromisoformat(each) for each in (before, after)]
                yield (times[1] - times[0]).total_seconds()


class Day:
    """A daemon on a chain of links and what is done to it; each edit has a number in its requests."""

    def __init__(self, home, server, chain, clock):
        self.home, self.server, self.chain = home, server, chain
        home.clock, home.config = clock, chain.path
        self.edition = 0
        chain.git_sync_flip(self._text())
        self.process = home.run()

    def at(self, time, do, *arguments):
        """Do something at a time of the day."""
        self.home.clock.sleep_until(f"2026-03-08T{time}:00Z")
        do(*arguments)

    def edit(self, way):
        """Edit the jobs file in one of the ways of a chain; it must be accepted."""
        self.edition += 1
        self._save(way, self._text(), "config_accepted")

    def spoil(self, way):
        """Make a mistake in the jobs file; it must be refused."""
        self._save(way, self._text(edition=-1, job="No Name"), "config_refused")

    def kill(self):
        """Kill the process and start another one."""
        self.process.kill()
        self.process.wait()
        self.process = self.home.run()

    def kill_in_flight(self):
        """Kill the process while requests are in flight, and start another one."""
        before = len(self.server.requests)
        self.server.hold()
        self.home.wait_for(lambda: len(self.server.requests) > before, "a request in flight")
        self.process.kill()
        self.process.wait()
        self.server.release()
        self.process = self.home.run()

    def end(self):
        """Stop, and return every slot that was due, until the stop."""
        assert self.process.stop() == 0
        events = self.home.events()
        return due(events[0]["at"], events[-1]["at"], IS_DUE)

    def _save(self, way, text, event):
        getattr(self.chain, way)(text)
        revision = hashlib.sha256(text.encode()).hexdigest()
        self.home.wait_for(
            lambda: any(each["revision"] == revision for each in self.home.events(event)),
            f"{event} after {way}",
        )

    def _text(self, **changed):
        request = {"headers": {"X-Edition": str(changed.get("edition", self.edition))}}
        jobs = [
            {
                "name": changed.get("job", name),
                "schedule": schedule,
                "request": {"url": f"{self.server.url}/{name}", **request},
                "timeout_seconds": 50 if name == "each-minute" else 600,
                # A start takes a minute here, on a busy machine several.
                **({"catch_up_minutes": 14} if name == "each-15" else {}),
            }
            for name, schedule in JOBS.items()
        ]
        return json.dumps({"version": 1, "jobs": jobs}, indent=1)


@pytest.fixture
def day(home, server, chain, fast_clock):
    return lambda start: Day(home, server, chain, fast_clock(start))


def check(day, slots, *, down=()):
    """Check what the server and the log saw against the slots that were due; `down` may be lost."""
    requests, runs, clock = day.server.requests, day.home.runs(), day.home.clock
    sent = Counter(request.run for request in requests)
    assert not {slot: times for slot, times in sent.items() if times > 1}, "sent more than once"
    answered = answers(runs, slots)
    assert {slot for slot in slots if answered[slot] != 1} == set(), "not answered exactly once"
    assert set(answered) == set(slots), "answered, but not due"
    # A job of each minute may be sent for half a minute, which is half a real second here.
    assert set(sent) <= set(slots), "sent, but not due"
    unsent = {slot for slot in slots if slot[0] != "each-minute"} - set(sent)
    assert unsent <= set(down), "due, but not sent"
    late = [
        clock.at(each.at) - datetime.fromisoformat(each.run[1]).timestamp() for each in requests
    ]
    assert min(late) >= 0, "sent before its slot"
    on_time = [
        seconds
        for seconds, each in zip(late, requests, strict=True)
        if each.headers["x-sinkd-trigger"] == "schedule"
    ]
    assert statistics.median(on_time) < 10
    assert max(on_time) < 300
    assert not [step for step in steps(day.home.events()) if abs(step) > 60]
    editions = {int(each.headers["x-edition"]) for each in requests}
    assert editions <= set(range(day.edition + 1)), "a refused file was used"
    assert max(editions) == day.edition, "the last accepted file was not used"


def test_half_an_hour_round_nine_in_new_york(day):
    day = day("2026-03-08T12:44:30Z")
    day.at("12:46", day.edit, "atomic_rename")
    day.at("12:49", day.kill)
    day.at("12:52", day.edit, "configmap_swap")
    day.at("12:55", day.spoil, "git_sync_flip")
    day.at("12:57", day.kill)
    assert [each["source"] for each in day.home.events("started")] == ["file", "file", "last_good"]
    day.at("13:02", day.edit, "git_sync_flip")
    day.at("13:04", day.kill_in_flight)
    day.at("13:08", day.edit, "atomic_rename")
    day.home.clock.sleep_until("2026-03-08T13:14:20Z")
    check(day, day.end())
    crashed = [run for run in day.home.runs() if run["outcome"] == "interrupted"]
    assert crashed
    assert {run["reason"] for run in crashed} == {"crash"}


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_six_hours_over_the_change_to_summer_time(day):
    day = day("2026-03-08T06:55:00Z")
    for hour in range(7, 13):
        day.at(f"{hour:02}:02", day.edit, "git_sync_flip")
        day.at(f"{hour:02}:07", day.kill)
        day.at(f"{hour:02}:12", day.edit, "configmap_swap")
        day.at(f"{hour:02}:18", day.spoil, "configmap_swap")
        day.at(f"{hour:02}:22", day.kill)
        day.at(f"{hour:02}:27", day.edit, "atomic_rename")
        day.at(f"{hour:02}:34", day.kill_in_flight)
        day.at(f"{hour:02}:39", day.spoil, "git_sync_flip")
        day.at(f"{hour:02}:42", day.edit, "git_sync_flip")
        if hour % 2:
            day.at(f"{hour:02}:44", day.process.kill)
            day.at(f"{hour + 1:02}:01", day.kill)
    day.home.clock.sleep_until("2026-03-08T13:05:20Z")
    down = [("each-15", f"2026-03-08T{hour:02}:45:00Z") for hour in (7, 9, 11)]
    check(day, day.end(), down=down)


@pytest.mark.parametrize(
    "kills",
    [
        20,
        *(pytest.param(250, id=f"250, {half} half", marks=SOAK) for half in ("first", "second")),
    ],
)
def test_whenever_it_is_killed_nothing_is_sent_twice_or_without_a_record(
    home, server, job, fast_clock, kills
):
    home.clock = fast_clock("2026-03-08T12:00:30Z", 20)
    home.declare(*(job(f"poll-{number}", interval_minutes=1) for number in range(20)))
    server.latency = 0.1  # so that a kill meets runs in flight
    process = home.run()
    for number in range(kills):
        time.sleep(random.uniform(0.005, 1.5))
        process.kill()
        process.wait()
        # Every other one is killed as it comes: mostly in its start, on a busy machine always.
        process = home.run() if number % 2 else home.start()
    home.wait_for(lambda: home.events("started")[-1]["pid"] == process.pid, "the last one runs")
    time.sleep(3)
    asked = home.clock.now()
    assert process.stop() == 0
    assert server.requests
    check_each_minute(home, server, asked)
