"""A disk that fills up and is freed again (rules E), on a small file system of its own."""

import subprocess
import time
from contextlib import suppress

import pytest
from e2e.answered import check_sent

pytestmark = pytest.mark.e2e


@pytest.fixture
def small_disk(home, program, request):
    """Put the data directory on a file system of 1 MiB, or of as much as the test says."""
    home.data_dir.mkdir(mode=0o750)
    size = getattr(request, "param", "1m")
    options = ["-t", "tmpfs", "-o", f"size={size},mode=750", "sinkd-test", str(home.data_dir)]
    mount = [program("mount"), *options]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system may be mounted here: {done.stderr.strip()}")
    yield
    home.kill_all()
    subprocess.run([program("umount"), str(home.data_dir)], check=True)


def fill(path):
    """Write until not a byte more fits."""
    with path.open("ab", buffering=0) as file:
        for size in (4096, 1):
            with suppress(OSError):
                while file.write(b"x" * size):
                    pass
    return path


@pytest.mark.usefixtures("small_disk")
def test_on_a_full_disk_nothing_is_sent_and_nothing_is_forgotten(home, job, server, fast_clock):
    home.clock = fast_clock("2026-03-08T12:59:00Z")
    home.declare(job("poll", interval_minutes=1))
    process = home.run()
    home.wait_for(lambda: len(server.requests) >= 3, "runs before the disk is full")
    ballast = fill(home.data_dir / "ballast")
    home.wait_for(lambda: "log_failed" in process.stderr_text(), "it says at once that it failed")
    before = len(server.requests)
    time.sleep(4 * 60 / home.clock.rate)  # four slots
    assert len(server.requests) == before, "sent without a durable claim"
    ballast.unlink()
    home.wait_for(lambda: len(server.requests) > before, "it goes on by itself")
    home.wait_for(lambda: home.runs()[-1]["outcome"] == "success", "the run is recorded")
    assert process.stop() == 0
    story = home.events("log_failed", "log_recovered", "stopped")
    assert [event["event"] for event in story] == ["log_failed", "log_recovered", "stopped"]
    sent = [request.run[1] for request in server.requests]
    assert len(set(sent)) == len(sent)
    runs = home.runs()
    answered = {run["scheduled_at"] for run in runs if run["outcome"] == "success"}
    assert answered == set(sent)
    (gap,) = (run for run in runs if run["outcome"] == "missed")
    assert gap["reason"] == "log_unwritable"
    # From the last slot before the gap to the first after it, every minute has its answer.
    assert gap["count"] == len(range(minute(sent[before - 1]) + 1, minute(sent[before])))


@pytest.mark.parametrize("small_disk", ["64k"], indirect=True)
@pytest.mark.usefixtures("small_disk")
def test_on_a_disk_without_room_for_its_reserve_it_does_not_start(home, job, server):
    home.declare(job("poll"))
    process = home.start()
    assert process.ended() == 74
    assert "No space left on device; sinkd cannot keep its run log there" in process.stderr_text()
    assert not server.requests


@pytest.mark.usefixtures("small_disk")
def test_a_stop_with_a_run_in_flight_on_a_full_disk_ends_with_5_and_the_next_start_records_it(
    home, job, server, fast_clock
):
    home.clock = fast_clock("2026-03-08T12:50:00Z", 1)
    home.declare(job("poll", interval_minutes=15))
    assert home.run().stop() == 0
    home.clock = fast_clock("2026-03-08T13:00:10Z", 1)
    server.hold()
    process = home.run("--drain-seconds", "0.5")
    home.wait_for(lambda: server.requests, "a request is in flight")
    (home.data_dir / "reserve").unlink()
    ballast = fill(home.data_dir / "ballast")
    assert process.stop() == 5
    assert "records could not be made durable" in process.stderr_text()
    assert not home.runs()
    ballast.unlink()
    server.release()
    process = home.run()
    home.wait_for(home.runs, "it is recorded")
    assert process.stop() == 0
    (run,) = home.runs()
    assert (run["outcome"], run["reason"]) == ("interrupted", "crash")
    check_sent(home, server)


def minute(slot):
    """Return the minute of a slot between 12:00 and 13:59."""
    return int(slot[11:13]) * 60 + int(slot[14:16])
