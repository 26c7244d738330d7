"""The real process with twenty servers at once that misbehave, and jobs beside them that must run."""

import contextlib
import os
from collections import Counter
from pathlib import Path

import pytest
from faults.misbehaviours import CANARY, HOSTILE, MISBEHAVIOURS
from faults.records import EXPECTED, told

from sinkd.instant import rfc3339

pytestmark = pytest.mark.e2e

MINUTES = 3
RATE = 10
TIMEOUT_SECONDS = 30  # three in real time
RSS_BYTES = 24 * 2**20


@pytest.fixture
def hostile():
    """The targets of twenty misbehaviours, by the names of their jobs."""
    with contextlib.ExitStack() as stack:
        yield {
            f"hostile-{number}": (name, stack.enter_context(MISBEHAVIOURS[name]()))
            for number, name in enumerate(HOSTILE)
        }


def rss(process):
    """Return the bytes of memory that a process has now."""
    pages = Path(f"/proc/{process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGESIZE")


def files(process):
    """Return how many files and sockets a process has open."""
    return len(list(Path(f"/proc/{process.pid}/fd").iterdir()))


def test_twenty_hostile_servers_leave_one_record_each_minute_and_delay_nobody(
    home, job, hostile, fast_clock
):
    home.clock = fast_clock("2026-03-08T12:00:20Z", RATE)
    home.env["TOKEN"] = CANARY
    good = [f"good-{number}" for number in range(10)]
    every = {"interval_minutes": 1, "timeout_seconds": TIMEOUT_SECONDS}
    secret = {"Authorization": "Bearer ${env:TOKEN}"}
    home.declare(
        *(job(name, **every) for name in good),
        *(
            job(
                name,
                **every,
                request={"url": target.url, "headers": secret, "body": target.body or ""},
                capture_headers=["x-quoted"],
            )
            for name, (_, target) in hostile.items()
        ),
    )
    process = home.run()
    before = rss(process), files(process)
    first = home.clock.now() // 60 + 1
    minutes = [rfc3339(int(first + number) * 60) for number in range(MINUTES)]
    all_slots = {(name, minute) for name in [*good, *hostile] for minute in minutes}
    recorded = lambda: Counter((run["job"], run["scheduled_at"]) for run in home.runs())  # noqa: E731
    home.wait_for(lambda: all_slots <= recorded().keys(), "the minutes of every job", 60)
    assert rss(process) - before[0] < RSS_BYTES
    assert files(process) <= before[1] + len(hostile)
    assert process.stop() == 0

    assert set(recorded().values()) == {1}, "each slot has one record"
    runs = [run for run in home.runs() if run["scheduled_at"] in minutes]
    assert {told(run) for run in runs if run["job"] in good} == {"success 200, 0 bytes"}
    for name, (misbehaviour, _) in hostile.items():
        records = {told(run) for run in runs if run["job"] == name}
        assert records == {EXPECTED[misbehaviour][0]}, misbehaviour
    for run in runs:
        assert run["scheduled_at"][:16] <= run["started_at"] <= run["finished_at"]
        assert run["outcome"] == "success" or run["error"].isprintable()
    said = [path.read_text() for path in home.data_dir.glob("*.jsonl")]
    assert CANARY not in "".join([*said, process.stderr_text()])
