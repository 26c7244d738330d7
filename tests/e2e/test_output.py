"""What leaves the process besides requests: `--print-runs`, the heartbeat."""

import itertools
import json
import os
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

needs_full_device = pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="there is no /dev/full"
)


def test_print_runs_prints_each_line_of_the_log_in_order(home, job, fast_clock):
    home.clock = fast_clock("2026-03-08T12:58:30Z")
    home.declare(*(job(f"poll-{number}", interval_minutes=1) for number in range(20)))
    with (home.path / "out.jsonl").open("wb") as out:
        process = home.run("--print-runs", stdout=out)
    home.wait_for(lambda: len(home.runs()) >= 60, "three minutes of runs")
    assert process.stop() == 0
    files = [home.data_dir / name for name in ("runs.jsonl", "events.jsonl")]
    lines = [line for file in files for line in file.read_text().splitlines()]
    lines.sort(key=lambda line: json.loads(line)["seq"])
    assert (home.path / "out.jsonl").read_text().splitlines() == lines


@pytest.fixture
def full_pipe():
    """The writing end of a pipe that nobody reads and that takes no more byte."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while os.write(writing, b"full" * 1024):
            pass
    os.set_blocking(writing, True)
    yield writing
    os.close(writing)
    os.close(reading)


def redirected(to):
    """Return a prefix that starts a command with its streams redirected as a shell does."""
    return ["sh", "-c", f'exec "$@" {to}', "sh"]


@pytest.mark.parametrize("prefix", [[], redirected("2>&1")], ids=["stdout", "stderr too"])
def test_a_reader_that_does_not_read_delays_nothing(home, job, full_pipe, prefix):
    # At the real speed: with faketime a thread's join with a timeout waits for hours.
    home.declare(job("poll"))
    process = home.run("--print-runs", stdout=full_pipe, prefix=prefix)
    for _ in range(3):
        assert home.command("trigger", "poll").returncode == 0
    assert process.stop(seconds=5) == 0
    assert len(home.runs()) == 3
    assert home.events()[-1]["clean"] is True


def test_a_reader_that_went_away_ends_nothing(home, job):
    home.declare(job("poll"))
    process = home.run("--print-runs", stdout=subprocess.PIPE)
    process.stdout.close()
    assert home.command("trigger", "poll").returncode == 0
    assert home.command("trigger", "poll").returncode == 0
    assert process.stop() == 0
    assert len(home.runs()) == 2


def test_the_heartbeat_is_pinged_each_minute_also_without_jobs(home, server, fast_clock):
    home.clock = fast_clock("2026-03-08T12:00:00Z")
    home.declare()
    process = home.run("--heartbeat-url", f"{server.url}/ping/abc", "--instance", "north")
    home.wait_for(lambda: len(server.requests) >= 4, "four pings")
    assert {(ping.method, ping.path) for ping in server.requests} == {("GET", "/ping/abc")}
    agents = {ping.headers["user-agent"] for ping in server.requests}
    assert all(agent.endswith("(north)") for agent in agents)
    times = [home.clock.at(ping.at) for ping in server.requests]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert all(30 < gap < 600 for gap in gaps), gaps
    assert process.stop() == 0
    assert not home.runs()


def test_a_heartbeat_that_fails_is_said_and_pinged_again(home, server, job, fast_clock):
    home.clock = fast_clock("2026-03-08T12:00:00Z")
    home.declare(job("poll", interval_minutes=1))
    server.status = 500
    process = home.run("--heartbeat-url", f"{server.url}/ping")
    home.wait_for(lambda: "heartbeat_failed" in process.stderr_text(), "the failure is said")
    server.status = 200
    pings = len([each for each in server.requests if each.path == "/ping"])
    home.wait_for(
        lambda: len([each for each in server.requests if each.path == "/ping"]) > pings,
        "it is pinged again",
    )
    assert process.stop() == 0


@needs_full_device
def test_a_daemon_runs_on_when_its_diagnostic_log_cannot_be_written(home):
    home.declare()
    process = home.run("--log-format", "console", prefix=redirected("2>/dev/full"))
    assert process.stop() == 0
    assert [event["event"] for event in home.events()][-1] == "stopped"


@needs_full_device
def test_output_that_cannot_be_written_is_one_sentence(home):
    ended = home.command("explain", "SNK104", prefix=redirected(">/dev/full"))
    assert (ended.returncode, ended.stderr) == (
        2,
        "sinkd: the output cannot be written (No space left on device)\n",
    )


def test_a_closed_standard_stream_is_the_null_device(home):
    home.data_dir.mkdir()
    ended = home.command("status", prefix=redirected("<&- >&-"))
    assert (ended.returncode, ended.stderr) == (1, "")
    ended = home.command("tail", "-", prefix=redirected("<&-"))
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
