"""`sinkd demo` as a process: the agent, the daemon and a person who approves."""

import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parent.parent.parent
JOBS = ["health-check", "refresh-cache", "sync-orders", "trading-bot"]


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@pytest.fixture
def demo(tmp_path, port):
    """Return what starts a demo in an empty directory; what still runs at the end is killed."""
    started = []

    def start(*arguments):
        command = [sys.executable, "-m", "sinkd", "demo", "--port", str(port), *arguments]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started.append(subprocess.Popen(command, cwd=tmp_path, text=True, **pipes))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def ended(process, seconds=30):
    """Wait for the end and return exit code, standard output and standard error."""
    out, err = process.communicate(timeout=seconds)
    assert "Traceback" not in err
    return process.returncode, out, err


def records(tmp_path, file="runs.jsonl"):
    return [json.loads(line) for line in (tmp_path / ".sinkd" / file).read_text().splitlines()]


def manual_runs(tmp_path):
    return [run for run in records(tmp_path) if run["trigger"] == "manual"]


def test_once_ends_when_each_job_was_run_by_hand(demo, tmp_path):
    code, out, _ = ended(demo("--once"))
    assert code == 0
    runs = manual_runs(tmp_path)
    assert sorted(run["job"] for run in runs) == JOBS
    assert {run["outcome"] for run in runs} == {"success"}
    (session,) = (
        run["response_headers"]["x-session-id"]
        for run in runs
        if "POST" in run["method"] and "response_headers" in run
    )
    assert f"/sessions/{session}" in out
    assert records(tmp_path, "events.jsonl")[-1]["event"] == "stopped"


def test_it_runs_on_while_a_person_approves_and_stops_at_ctrl_c(demo, tmp_path, port):
    process = demo()
    out = ""
    while not (hint := re.search(r"^  (\S+) report ", out, re.MULTILINE)):
        line = process.stdout.readline()
        assert line, out
        out += line
    page = re.search(r"http\S+/sessions/\w+", out)[0]
    assert page.startswith(f"http://127.0.0.1:{port}/")
    assert "waiting for input" in httpx.get(page).text
    assert httpx.post(f"{page}/approve").status_code == 303
    assert "Order placed" in httpx.get(page).text
    process.send_signal(signal.SIGINT)
    assert ended(process)[0] == 0
    subprocess.run([hint[1], "report"], cwd=tmp_path, check=True, capture_output=True, timeout=30)
    assert records(tmp_path, "events.jsonl")[-1]["reason"] == "SIGINT"


def test_a_second_one_on_the_same_directory_says_who_holds_it(demo):
    first = demo()
    next(line for line in first.stdout if "Ctrl-C" in line)
    with socket.create_server(("127.0.0.1", 0)) as free:
        other = free.getsockname()[1]
    code, _, err = ended(demo("--port", str(other)))
    assert code == 4
    assert str(first.pid) in err


def test_a_port_that_is_taken_is_named_before_anything_is_touched(demo, tmp_path, port):
    with socket.create_server(("127.0.0.1", port)):
        code, _, err = ended(demo("--once"))
    assert code == 2
    assert str(port) in err
    assert "--port" in err
    assert list(tmp_path.iterdir()) == []


def test_a_failed_run_makes_once_end_with_1(demo, tmp_path, port):
    (tmp_path / "jobs.yaml").write_text(
        "version: 1\njobs:\n"
        "  - name: lost\n"
        "    schedule: {interval_minutes: 1}\n"
        f"    request: {{url: 'http://127.0.0.1:{port}/nowhere'}}\n"
    )
    assert ended(demo("--once"))[0] == 1
    assert [run["status_code"] for run in manual_runs(tmp_path)] == [404]


def test_jobs_that_call_somebody_else_are_never_fired(demo, tmp_path):
    (tmp_path / "jobs.yaml").write_text(
        "version: 1\njobs:\n"
        "  - name: real\n"
        "    schedule: {interval_minutes: 1}\n"
        "    request: {url: 'http://127.0.0.1:9/orders'}\n"
    )
    code, _, err = ended(demo("--once"))
    assert code == 2
    assert "`real`" in err
    assert "sinkd run" in err
    assert not (tmp_path / ".sinkd").exists()


def test_the_jobs_at_the_root_follow_the_port(demo, tmp_path, port):
    (tmp_path / "jobs.yaml").write_bytes((ROOT / "jobs.yaml").read_bytes())
    assert ended(demo("--once"))[0] == 0
    urls = {run["url"] for run in manual_runs(tmp_path)}
    assert len(urls) == 4
    assert all(url.startswith(f"http://127.0.0.1:{port}/") for url in urls)


def test_a_broken_file_is_not_replaced_by_the_last_good_one(demo, tmp_path):
    (tmp_path / "jobs.yaml").write_bytes((ROOT / "jobs.yaml").read_bytes())
    ended(demo("--once"))
    (tmp_path / "jobs.yaml").write_text("version: 1\njobs: none\n")
    code, _, err = ended(demo("--once"))
    assert code == 78
    assert "jobs.yaml:2:" in err
    assert len(manual_runs(tmp_path)) == 4
