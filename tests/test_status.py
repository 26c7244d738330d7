"""The health check: alive is who holds the lock."""

import fcntl

import pytest
from click.testing import CliRunner

from sinkd.cli import sinkd


@pytest.fixture
def status(tmp_path):
    """Ask for the state of a data directory; return the exit code and what was said."""

    def status():
        command = ["--data-dir", str(tmp_path), "status", "--alive"]
        result = CliRunner().invoke(sinkd, command, standalone_mode=False)
        return result.return_value, result.output.replace(str(tmp_path), "DIR")

    return status


def test_nobody_is_alive_without_a_lock(status):
    assert status() == (1, "no daemon runs with the data directory DIR\n")


def test_a_pid_in_the_file_of_the_lock_proves_nothing(status, tmp_path):
    (tmp_path / "sinkd.lock").write_text("1\n")
    assert status() == (1, "no daemon runs with the data directory DIR\n")


def test_who_holds_the_lock_is_alive(status, tmp_path):
    with (tmp_path / "sinkd.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert status() == (0, "a daemon runs with the data directory DIR\n")
