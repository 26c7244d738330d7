"""How `sinkd run` ends and reloads on signals (rules D, C1, F9)."""

import os
import pty
import signal
import time

import pytest

pytestmark = pytest.mark.e2e

SOON_SECONDS = 5  # a busy machine takes that long for what is over in half a second
SIGNALS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)


@pytest.fixture
def flying(home, server, job):
    """Return what starts a daemon with a run in flight, held until `server.release`."""

    def start(*options, **popen):
        home.declare(job("poll"))
        process = home.run(*options, **popen)
        server.hold()
        assert home.command("trigger", "poll", "--no-wait").returncode == 0
        home.wait_for(lambda: server.requests, "a request is in flight")
        return process

    return start


def wait_until_draining(home, process):
    home.wait_for(lambda: "draining" in process.stderr_text(), "it drains")


@SIGNALS
def test_a_stop_lets_a_run_in_flight_end(home, server, flying, number):
    process = flying()
    process.send_signal(number)
    wait_until_draining(home, process)
    refused = home.command("trigger", "poll")
    assert refused.returncode == 1
    assert "stopping" in refused.stderr
    assert process.poll() is None
    server.release()
    assert process.ended() == 0
    (run,) = home.runs()
    assert (run["trigger"], run["outcome"], run["status_code"]) == ("manual", "success", 200)
    stopped = home.events()[-1]
    assert stopped["event"] == "stopped"
    assert (stopped["reason"], stopped["clean"]) == (number.name, True)


def test_a_run_that_outlives_the_drain_is_cut_and_recorded(home, server, flying):
    process = flying("--drain-seconds", "0.5")
    began = time.monotonic()
    assert process.stop() == 0
    assert 0.5 <= time.monotonic() - began < SOON_SECONDS
    (run,) = home.runs()
    assert (run["outcome"], run["reason"]) == ("interrupted", "shutdown")
    assert run["finished_at"] is None
    assert len(server.requests) == 1


@SIGNALS
def test_a_second_signal_cuts_at_once(home, flying, number):
    process = flying("--drain-seconds", "600")
    process.send_signal(signal.SIGTERM)
    wait_until_draining(home, process)
    began = time.monotonic()
    assert process.stop(number) == 0
    assert time.monotonic() - began < SOON_SECONDS
    (run,) = home.runs()
    assert (run["outcome"], run["reason"]) == ("interrupted", "shutdown")


def test_a_stop_while_it_starts_leaves_nothing_half_done(home, job, server):
    home.declare(job("poll"))
    for seconds in (0.1, 0.4, 0.7, 1):
        process = home.start()
        time.sleep(seconds)
        # Until sinkd has taken the signal over, it ends the process as it ends any other.
        assert process.stop() in {0, -signal.SIGTERM}
    assert home.run().stop() == 0
    assert not server.requests
    assert not home.runs()


def test_a_stop_while_a_slot_waits_for_a_permit_leaves_it_to_the_next_start(
    home, job, server, fast_clock
):
    home.clock = fast_clock("2026-03-08T12:50:00Z", 1)
    home.declare(*(job(name, interval_minutes=15) for name in ("one", "two")))
    assert home.run().stop() == 0
    home.clock = fast_clock("2026-03-08T13:00:10Z", 1)
    server.hold()
    process = home.run("--max-in-flight", "1", "--drain-seconds", "1")
    home.wait_for(lambda: server.requests, "one of them is in flight, the other waits")
    assert process.stop() == 0
    (cut,) = home.runs()
    assert (cut["outcome"], cut["reason"]) == ("interrupted", "shutdown")
    server.release()
    process = home.run()
    home.wait_for(lambda: len(home.runs()) == 2, "the other one")
    assert process.stop() == 0
    assert {(run["scheduled_at"], run["outcome"]) for run in home.runs()} == {
        ("2026-03-08T13:00:00Z", "interrupted"),
        ("2026-03-08T13:00:00Z", "success"),
    }
    assert {request.run[0] for request in server.requests} == {"one", "two"}
    assert len(server.requests) == 2


def test_a_lookup_that_hangs_does_not_delay_the_end(home, job):
    # The real thread of a real process hangs in it; only the resolver's library is a stand-in.
    (home.path / "sitecustomize.py").write_text(
        "import socket, sys, time\n"
        "real = socket.getaddrinfo\n"
        "def hang(host, *arguments, flags=0, **options):\n"
        "    if host == b'hung.example' and not flags:\n"
        "        print('hangs', file=sys.stderr, flush=True)\n"
        "        time.sleep(120)\n"
        "    return real(host, *arguments, flags=flags, **options)\n"
        "socket.getaddrinfo = hang\n"
    )
    home.env["PYTHONPATH"] = os.pathsep.join([str(home.path), os.environ.get("PYTHONPATH", "")])
    home.declare(job("hung", request={"url": "http://hung.example/"}))
    process = home.run("--drain-seconds", "0.5")
    assert home.command("trigger", "hung", "--no-wait").returncode == 0
    home.wait_for(lambda: "hangs" in process.stderr_text(), "the lookup hangs")
    began = time.monotonic()
    assert process.stop() == 0
    assert time.monotonic() - began < SOON_SECONDS
    (run,) = home.runs()
    assert (run["outcome"], run["reason"]) == ("interrupted", "shutdown")


@pytest.fixture
def deaf(home):
    """Make the watcher deaf for a minute, so that only a signal leads to the file."""
    home.env |= {"WATCHFILES_FORCE_POLLING": "true", "WATCHFILES_POLL_DELAY_MS": "60000"}


@pytest.mark.usefixtures("deaf")
def test_a_hangup_reloads(home, job):
    home.declare(job("poll"))
    process = home.run()
    home.declare(job("poll"), job("more"))
    process.send_signal(signal.SIGHUP)
    home.wait_for(lambda: len(home.events("config_accepted")) == 2, "the file is taken", seconds=10)
    process.send_signal(signal.SIGHUP)
    time.sleep(1)
    assert len(home.events()) == 3, "the same bytes once more are no event"
    assert process.stop() == 0


def test_a_hangup_stops_what_was_started_at_a_terminal(home, job):
    home.declare(job("poll"))
    ours, theirs = pty.openpty()
    try:
        process = home.run(stdin=theirs)
        assert process.stop(signal.SIGHUP) == 0
    finally:
        os.close(theirs)
        os.close(ours)
    assert home.events()[-1]["reason"] == "SIGHUP"
