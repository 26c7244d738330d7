"""What others hear of the real process: its metrics, and notices of failures and recoveries."""

import json
import socket
import subprocess
import urllib.request

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def told(server):
    found = [json.loads(request.body) for request in server.requests if request.path == "/told"]
    return [(notice["on"], notice.get("job")) for notice in found]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def test_somebody_is_told_of_edges_over_a_restart_and_the_metrics_count_runs(
    home, server, job, fast_clock, program
):
    port = free_port()
    home.clock = fast_clock("2026-03-09T12:00:00Z")
    home.declare(job("poll", interval_minutes=1), notify=[{"url": f"{server.url}/told"}])
    server.status = 500
    home.run()
    home.wait_for(lambda: len(home.runs()) > 2, "runs fail")
    assert told(server) == [("failure", "poll")]
    assert home.processes[-1].stop() == 0
    failed = len(home.runs())

    home.run("--listen", f"127.0.0.1:{port}")
    home.wait_for(lambda: len(home.runs()) > failed + 1, "runs go on failing")
    server.status = 200
    home.wait_for(lambda: len(told(server)) > 1, "the job recovers")
    home.config.write_text("version: 2")
    home.wait_for(lambda: len(home.events("notify")) > 2, "the file is refused")
    assert told(server) == [("failure", "poll"), ("recovery", "poll"), ("config_refused", None)]
    assert [event.get("error") for event in home.events("notify")] == ["answered 500", None, None]

    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        text = answer.read()
    checked = subprocess.run(
        [program("promtool"), "check", "metrics"],
        input=text, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
    assert b"\nsinkd_config_last_reload_successful 0.0\n" in text
    assert b'sinkd_job_last_success_timestamp_seconds{job="poll"} 1.7730' in text
    assert home.processes[-1].stop() == 0
