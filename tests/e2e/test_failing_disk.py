"""A disk that fails one call: whichever it is, nothing is sent twice and no slot has no answer.

`failing.c` is preloaded and fails the Nth write, sync, rename, truncation or allocation below the
data directory, once. N = 1, 2, ... goes from the first start in an empty directory through runs, a
reload and the stop, until a life meets no more such call.
"""

import errno
import itertools
import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from e2e.answered import check_each_minute

pytestmark = pytest.mark.e2e

NAMES = ["one", "two", "three"]
SHORT = 0
WAIT_SECONDS = 30
RATE = 120
FAULTS = {
    "write": [SHORT, errno.EIO, errno.ENOSPC, errno.EINTR],
    "sync": [errno.EIO, errno.ENOSPC, errno.EINTR],
    "rename": [errno.EIO, errno.ENOSPC, errno.EINTR],
    "truncate": [errno.EIO, errno.EINTR],
    "allocate": [errno.EIO, errno.ENOSPC, errno.EINTR],
}
LOGS = {"runs.jsonl", "events.jsonl", "journal.jsonl"}


@pytest.fixture(scope="session")
def shim(program, tmp_path_factory):
    """The compiled `failing.c`."""
    library = tmp_path_factory.mktemp("shim") / "failing.so"
    source = Path(__file__).with_name("failing.c")
    command = [program("cc"), "-shared", "-fPIC", "-Wall", "-Werror", "-o", library, source, "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return library


class Lives:
    """Lives of a daemon in an empty directory, at 120 times the speed."""

    def __init__(self, home, server, job, clock, shim):
        self.home, self.server, self.job, self.clock, self.shim = home, server, job, clock, shim
        self.said = home.path / "failed"

    def meet(self, call, number, fault):
        """Live once with a fault and on without; return the file that it met, None for no file."""
        home = self.home
        self._begin_anew()
        home.env = self._failing(call, number, fault)
        process = self._live()
        code = process.stop()
        met = Path(self.said.read_text().split()[1]).name if self.said.exists() else None
        assert code in codes(call, met, fault, process), (met, code, process.stderr_text())
        self._live_on()
        return met

    def _begin_anew(self):
        self.said.unlink(missing_ok=True)
        shutil.rmtree(self.home.data_dir, ignore_errors=True)
        self.server.requests.clear()
        self.home.clock = self.clock("2026-03-08T12:00:00Z", RATE)

    def _failing(self, call, number, fault):
        return {
            "LD_PRELOAD": f"{self.home.clock.env()['LD_PRELOAD']}:{self.shim}",
            "FAIL_BELOW": str(self.home.data_dir),
            "FAIL_CALL": call,
            "FAIL_NUMBER": str(number),
            "FAIL_WITH": str(fault),
            "FAIL_SAID": str(self.said),
        }

    def _live(self):
        """Live until each job has run under a first jobs file and a second one, or to the end."""
        self._declare(edition=1)
        process = self.home.start()
        self._until_run(process, edition=1)
        self._declare(edition=2)
        self._until_run(process, edition=2)
        return process

    def _until_run(self, process, edition):
        deadline = time.monotonic() + WAIT_SECONDS
        while process.poll() is None and not self._have_run(edition):
            assert time.monotonic() < deadline, process.stderr_text()
            time.sleep(0.02)

    def _declare(self, edition):
        request = {"headers": {"X-Edition": str(edition)}}
        self.home.declare(
            *(
                self.job(name, interval_minutes=1, catch_up_minutes=9, request=request)
                for name in NAMES
            )
        )

    def _have_run(self, edition, since=0):
        ran = {(each.run[0], each.headers["x-edition"]) for each in self.server.requests[since:]}
        return {(name, str(edition)) for name in NAMES} <= ran

    def _live_on(self):
        """Live on without the fault; then all that was due must have one answer."""
        self.home.env = {}
        before = len(self.server.requests)
        process = self.home.run()
        self.home.wait_for(lambda: self._have_run(2, since=before), "each job runs again")
        asked = self.home.clock.now()
        assert process.stop() == 0
        check_each_minute(self.home, self.server, asked)
        for name in LOGS:  # what was written in part was cut back (E2)
            assert all(map(json.loads, (self.home.data_dir / name).read_text().splitlines()))


def codes(call, met, fault, process):
    """Return the exit codes that the rules allow."""
    if met is None or (fault == errno.EINTR and call != "rename"):  # Python tries it again
        return {0}
    if call == "sync" and met in LOGS:  # E6
        return {74}
    said = process.stderr_text()
    if "sinkd tail -f" not in said:  # a start ends where it cannot go on
        return {0, 74}
    # The five seconds in which a stopping daemon waits for the disk are few milliseconds here.
    return {0, 5} if "log_failed" in said.partition("draining")[2] else {0}


@pytest.fixture
def lives(home, server, job, fast_clock, shim):
    return Lives(home, server, job, fast_clock, shim)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("call", "number", "fault"),
    [
        ("write", 3, errno.EIO),  # accepted.json at the start
        ("rename", 5, errno.ENOSPC),  # accepted.json at the reload
        ("write", 14, SHORT),  # a line of a log
        ("sync", 17, errno.EIO),  # a log
        ("sync", 20, errno.EIO),
    ],
)
def test_some_calls_that_fail(lives, call, number, fault):
    assert lives.meet(call, number, fault), "nothing was met"


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("call", "fault"), [(call, fault) for call, faults in FAULTS.items() for fault in faults]
)
def test_whichever_call_fails_nothing_is_sent_twice_or_without_an_answer(
    lives, call, fault, record_property
):
    met = (lives.meet(call, number, fault) for number in itertools.count(1))
    record_property("cases", sum(1 for _ in itertools.takewhile(bool, met)))
