"""What misbehaving servers cost: how long past its deadline a run ends, how much others wait.

`make bench` prints the figures.
"""

import asyncio
import multiprocessing
import statistics
import time
from datetime import datetime

import pytest
from faults.client import context, send
from faults.misbehaviours import DEADLINE_SECONDS, MISBEHAVIOURS, serve

OVERTIME_SECONDS = 0.5
RATE = 20
MINUTES = 30
GOOD = 100
DELAY_RATIO = 1.3  # of the same minute with as many good jobs more


def test_each_misbehaviour_ends_by_its_deadline_and_half_a_second(tell):
    context()
    overtime = {}
    for name, target_of in MISBEHAVIOURS.items():
        with target_of() as target:
            began = time.perf_counter()
            asyncio.run(send(target, DEADLINE_SECONDS))
            overtime[name] = time.perf_counter() - began - DEADLINE_SECONDS
    worst = max(overtime, key=overtime.get)
    tell(f"{len(overtime)} misbehaviours, the last to end: {worst}, {overtime[worst]:+.3f} s")
    assert overtime[worst] <= OVERTIME_SECONDS


@pytest.fixture
def hostile():
    """Give URL and body of requests to twenty hostile servers in a process of their own."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(there,))
    process.start()
    there.close()
    yield here.recv()
    here.close()
    process.join(30)
    assert process.exitcode == 0


def declared(home, job, hostile):
    """Declare good jobs for each minute; of every three, one has the hostile ones, one as many more good ones."""
    every_third = {"interval_minutes": 3, "timeout_seconds": 40}
    home.declare(
        *(job(f"good-{number}", interval_minutes=1) for number in range(GOOD)),
        *(
            job(f"hostile-{number}", **every_third, request={"url": url, "body": body})
            for number, (url, body) in enumerate(hostile)
        ),
        *(job(f"more-{number}", **every_third, start_minute=1) for number in range(len(hostile))),
    )


def milliseconds(runs, third):
    """Return when 95 % of the runs of a minute were answered, the median of every third minute."""
    minutes = {}
    for run in runs:
        if datetime.fromisoformat(run["scheduled_at"]).minute % 3 == third:
            took = (run["late_ms"] + run["duration_ms"]) / RATE
            minutes.setdefault(run["scheduled_at"], []).append(took)
    return statistics.median(statistics.quantiles(each, n=20)[-1] for each in minutes.values())


@pytest.mark.timeout(300)
def test_other_jobs_wait_no_longer_in_minutes_with_twenty_hostile_servers(
    home, job, hostile, fast_clock, tell
):
    home.clock = fast_clock("2026-03-08T12:00:30Z", RATE)
    declared(home, job, hostile)
    process = home.run()
    time.sleep(MINUTES * 60 / RATE)
    assert process.stop() == 0
    runs = [run for run in home.runs() if run["job"].startswith("good-")]
    assert {run["outcome"] for run in runs} == {"success"}
    beside_hostile, beside_good, alone = (milliseconds(runs, third) for third in range(3))
    tell(
        f"{GOOD} jobs answered: {alone:.1f} ms, beside 20 more {beside_good:.1f} ms, "
        f"beside 20 hostile ones {beside_hostile:.1f} ms"
    )
    assert beside_hostile / beside_good <= DELAY_RATIO
