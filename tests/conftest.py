"""What all tests share: what the run took and counted, said at its end; programs of the system."""

import functools
import os
import re
import shutil
import sys
from collections import Counter
from fnmatch import fnmatch
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("sinkd", deadline=None)  # a busy machine is no failure
hypothesis.settings.register_profile("check", deadline=None, max_examples=25)  # `make check`
hypothesis.settings.load_profile("sinkd")

TESTS = Path(__file__).parent
ROW = re.compile(r"^\| (?P<part>[^|]+) \| (?P<files>[^|]+) \| (?P<seconds>\d+) s \|", re.MULTILINE)


@functools.cache
def budgets():
    """Read the table of tests/README.md: each part's patterns of files, and its seconds."""
    rows = ROW.finditer((TESTS / "README.md").read_text())
    return {
        row["part"]: (re.findall(r"`([^`]+)`", row["files"]), int(row["seconds"])) for row in rows
    }


def part_of(path):
    """Name the part of a test file, given relative to tests/: the first row that matches."""
    for part, (patterns, _) in budgets().items():
        if any(fnmatch(path, pattern) for pattern in patterns):
            return part
    return None


def pytest_terminal_summary(terminalreporter):
    """Say what the tests counted, and what each part of them took beside its budget."""
    listed = [report for reports in terminalreporter.stats.values() for report in reports]
    reports = [report for report in listed if isinstance(report, pytest.TestReport)]
    for report in reports:
        for name, value in report.user_properties:
            if name == "cases" and report.when == "call":
                terminalreporter.line(f"{report.nodeid}: {value:,} cases")
    workers = terminalreporter.config.getoption("numprocesses", None) or 1
    used = Counter()
    for report in reports:
        part = part_of(report.nodeid.split("::")[0].removeprefix("tests/"))
        used[part] += report.duration / workers
    terminalreporter.section("time budgets (tests/README.md)")
    for part, (_, seconds) in budgets().items():
        over = "  over its budget" if used[part] > seconds else ""
        terminalreporter.line(f"{part:<16}{used[part]:7.1f} s of {seconds:3} s{over}")
    terminalreporter.line(f"{'in all':<16}{used.total():7.1f} s")


@pytest.fixture(scope="session")
def program():
    """Find a program of the environment or the system; `.ci/run` names the package of each.

    Where one is missing the test is skipped, but fails in CI.
    """
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

    def find(name):
        if path := shutil.which(name, path=places):
            return path
        message = f"the program {name} is not installed; .ci/run names its package"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)

    return find


@pytest.fixture(scope="session")
def faketime(program):
    """Return the library of Debian's faketime, for LD_PRELOAD.

    A process that ends without a word leaves the shared memory of its clock behind, named by its
    pid, and a later process with that pid then cannot start. So what the dead left is taken away.
    """
    program("faketime")
    _forget_the_clocks_of_the_dead()
    yield str(next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")))
    _forget_the_clocks_of_the_dead()


def _forget_the_clocks_of_the_dead():
    for name in (
        *Path("/dev/shm").glob("faketime_shm_*"),
        *Path("/dev/shm").glob("sem.faketime_*"),
    ):
        if not Path("/proc", name.name.rpartition("_")[2]).exists():
            name.unlink(missing_ok=True)
