"""Virtual time: the loop that jumps, the clocks over it, and `simulate` for users' own tests."""

import asyncio
import time

import httpx
import pytest

from sinkd.errors import ConfigError, UsageError
from sinkd.testing import (
    DeadlockError,
    MemoryConfig,
    VirtualClock,
    inline,
    run_virtual,
    simulate,
)

JOBS = """
version: 1
jobs:
  - name: report
    schedule: {at: "09:00", days: [mon, tue, wed, thu, fri], timezone: Europe/Berlin}
    request: {url: "https://reports.example.com/run", headers: {X-Key: "${env:KEY}"}}
"""


def test_a_year_of_sleep_takes_no_time():
    async def sleep():
        await asyncio.sleep(365 * 86_400)
        return asyncio.get_running_loop().time()

    before = time.monotonic()
    assert run_virtual(sleep()) == 365 * 86_400
    assert time.monotonic() - before < 5


def test_what_happens_together_happens_in_the_same_order_each_time():
    async def race():
        order = []

        async def wait(name):
            await asyncio.sleep(name % 7)
            order.append(name)

        await asyncio.gather(*(wait(name) for name in range(50)))
        return order

    assert run_virtual(race()) == run_virtual(race())


def test_waiting_for_what_never_comes_is_an_error_instead_of_a_hang():
    async def wait():
        await asyncio.get_running_loop().create_future()

    with pytest.raises(DeadlockError):
        run_virtual(wait())


def test_the_clocks_tell_a_step_from_a_sleep_of_the_machine():
    async def read():
        clock = VirtualClock(1000)
        await asyncio.sleep(10)
        clock.step(-500)
        clock.suspend(60)
        return clock.wall(), clock.monotonic(), clock.boottime()

    assert run_virtual(read()) == (570, 10, 70)


def test_work_of_a_thread_is_done_at_once():
    assert run_virtual(inline(lambda: 7)) == 7


def test_a_jobs_file_in_memory_hints_at_changes_and_every_15_seconds():
    async def follow():
        config, seen = MemoryConfig(b"a"), []

        async def read():
            async for _ in config.hints():
                seen.append(asyncio.get_running_loop().time())  # noqa: PERF401

        reading = asyncio.create_task(read())
        await asyncio.sleep(7)
        config.write(None)
        await asyncio.sleep(20)
        reading.cancel()
        with pytest.raises(UsageError, match="no such file"):
            config.read()
        return seen

    assert run_virtual(follow()) == [0, 7, 22]


def test_simulate_says_what_was_sent_and_logged(tmp_path):
    async def answer(request):
        await asyncio.sleep(2)
        return httpx.Response(503 if request.headers["X-Key"] == "k" else 200)

    result = simulate(
        JOBS, tmp_path, start="2026-11-20T00:00Z", hours=24 * 5, answer=answer, env={"KEY": "k"}
    )
    assert [sent.scheduled_at for sent in result.sent_by("report")] == [
        "2026-11-20T08:00:00Z",
        "2026-11-23T08:00:00Z",
        "2026-11-24T08:00:00Z",
    ]
    assert {run["duration_ms"] for run in result.runs_of("report")} == {2000}
    assert {run["status_code"] for run in result.runs} == {503}
    assert [event["event"] for event in result.events] == ["started", "config_accepted", "stopped"]


def test_simulate_takes_a_path_as_well_as_a_text(tmp_path):
    (tmp_path / "jobs.yaml").write_text(JOBS)
    result = simulate(
        tmp_path / "jobs.yaml", tmp_path / "data", start="2026-11-20T00:00Z", hours=24
    )
    assert result.runs[0]["reason"] == "secret"


def test_simulate_refuses_a_file_with_errors(tmp_path):
    with pytest.raises(ConfigError, match="unknown field"):
        simulate(JOBS + "extra: 1\n", tmp_path, start="2026-11-20T00:00Z", hours=1)


def test_an_answer_that_fails_is_the_targets_failure(tmp_path):
    def answer(request):
        message = "no"
        raise httpx.ConnectError(message, request=request)

    text = JOBS.replace(', headers: {X-Key: "${env:KEY}"}', "")
    result = simulate(text, tmp_path, start="2026-11-20T00:00Z", hours=24, answer=answer)
    assert [run["reason"] for run in result.runs] == ["connect"]
