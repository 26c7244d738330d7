"""`kill -9`: what was in flight is recorded once, nothing is sent twice, torn lines stay apart."""

import json

import pytest

pytestmark = pytest.mark.e2e


@pytest.fixture
def crashed(home, job, server, fast_clock):
    """A home whose daemon was killed while the run of 13:00 was in flight."""
    home.clock = fast_clock("2026-03-08T12:50:00Z", 1)
    home.declare(job("poll", interval_minutes=15))
    assert home.run().stop() == 0
    home.clock = fast_clock("2026-03-08T13:00:10Z", 1)
    server.hold()
    process = home.run()
    home.wait_for(lambda: server.requests, "the run of 13:00 is in flight")
    process.kill()
    process.wait()
    server.release()
    return home


def test_a_run_cut_by_a_crash_is_recorded_once_and_never_sent_again(crashed, server):
    assert crashed.runs() == []
    for _ in range(2):
        assert crashed.run().stop() == 0
    (run,) = crashed.runs()
    assert run["run_id"] == "poll@2026-03-08T13:00Z"
    assert (run["outcome"], run["reason"]) == ("interrupted", "crash")
    assert run["finished_at"] is None
    assert len(server.requests) == 1
    unclean = crashed.events("unclean_stop")
    assert len(unclean) == 1, "the second start followed a clean stop"
    assert unclean[0]["last_alive_at"] < crashed.events("started")[2]["at"]


def test_a_run_cut_by_a_crash_does_not_block_the_next_slot(crashed, server, fast_clock):
    crashed.clock = fast_clock("2026-03-08T13:15:10Z", 1)
    crashed.run()
    crashed.wait_for(lambda: len(crashed.runs()) == 2, "13:15 is recorded")
    assert [run["outcome"] for run in crashed.runs()] == ["interrupted", "success"]
    slots = [request.run[1] for request in server.requests]
    assert slots == ["2026-03-08T13:00:00Z", "2026-03-08T13:15:00Z"]


@pytest.mark.parametrize("tail", [b'{"v":1,"seq":9', b"\0" * 5000], ids=["half a line", "NULs"])
def test_a_torn_tail_is_sealed_and_costs_no_line(home, job, tail):
    home.declare(job("poll"))
    home.run()
    assert home.command("trigger", "poll").returncode == 0
    home.processes[-1].kill()
    home.processes[-1].wait()
    files = [home.data_dir / name for name in ("runs.jsonl", "events.jsonl", "journal.jsonl")]
    before = {file: file.read_bytes() for file in files}
    for file in files:
        file.write_bytes(before[file] + tail)
    process = home.run()
    assert home.command("trigger", "poll").returncode == 0
    assert process.stop() == 0
    for file in files:
        assert file.read_bytes().startswith(before[file] + tail + b"\n"), "the evidence stays"
    assert [run["outcome"] for run in home.runs()] == ["success", "success"]
    seqs = sorted(line["seq"] for line in [*home.runs(), *home.events()])
    assert len(set(seqs)) == len(seqs)
    report = json.loads(home.command("report", "-o", "json").stdout)
    assert report["jobs"][0]["total_runs"] == 2
    assert home.run().stop() == 0
    assert len(home.runs()) == 2


def test_a_line_that_only_lost_its_newline_counts(home, job):
    home.declare(job("poll"))
    process = home.run()
    assert home.command("trigger", "poll").returncode == 0
    process.kill()
    process.wait()
    file = home.data_dir / "runs.jsonl"
    file.write_bytes(file.read_bytes()[:-1])
    assert home.run().stop() == 0
    (run,) = home.runs()
    assert run["outcome"] == "success"
