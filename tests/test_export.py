"""Export: every run record, oldest first, byte for byte."""

import gzip

import pytest
from click.testing import CliRunner

from sinkd.cli import sinkd
from sinkd.errors import UsageError
from sinkd.testing import simulate

JOBS = """\
version: 1
jobs:
  - {name: poll, schedule: {interval_minutes: 10}, request: {url: "http://a.example/"}}
"""


@pytest.fixture
def export(tmp_path):
    """Export a data directory with two hours of runs: the exit code, the bytes, what was said."""
    simulate(JOBS, tmp_path, start="2026-11-23T09:00:00Z", hours=2)

    def export(*options):
        command = ["--data-dir", str(tmp_path), "export", *options]
        result = CliRunner().invoke(sinkd, command, standalone_mode=False)
        if isinstance(result.exception, UsageError):
            raise result.exception
        return result.return_value, result.stdout_bytes, result.stderr

    return export


def test_every_line_comes_unchanged_from_all_files_oldest_first(export, tmp_path):
    log = tmp_path / "runs.jsonl"
    whole = log.read_bytes()
    lines = whole.splitlines(keepends=True)
    (tmp_path / "runs-20260101T000000Z.jsonl.gz").write_bytes(gzip.compress(b"".join(lines[:4])))
    (tmp_path / "runs-20260102T000000Z.jsonl").write_bytes(b"".join(lines[4:7]))
    log.write_bytes(b"".join(lines[7:]))
    assert len(lines) == 12
    assert export() == (0, whole, "")


def test_since_and_until_choose_by_slot_the_end_left_out(export, tmp_path):
    lines = (tmp_path / "runs.jsonl").read_bytes().splitlines(keepends=True)
    code, data, _ = export("--since", "2026-11-23T09:30", "--until", "2026-11-23T10:00")
    assert (code, data) == (0, b"".join(lines[2:5]))


def test_a_window_that_ends_before_it_begins_is_no_window(export):
    with pytest.raises(UsageError, match="--until: 2026-11-23T09:30Z is not after --since"):
        export("--since", "2026-11-23T10:00", "--until", "2026-11-23T09:30")


def test_what_cannot_be_read_is_left_out_and_said(export, tmp_path):
    log = tmp_path / "runs.jsonl"
    whole = log.read_bytes()
    log.write_bytes(b"\0\0\n" + whole[:-1])
    assert export() == (0, whole, "sinkd: 1 line of the run log cannot be read\n")


def test_a_time_that_is_none_says_what_can_be_written(export, tmp_path):
    result = CliRunner().invoke(sinkd, ["--data-dir", str(tmp_path), "export", "--since", "soon"])
    assert "`soon` is not a time" in str(result.exception)
