"""`sinkd tail`: lines for people, merged by `seq`, followed through rotation."""

import io
import json
import sys
from pathlib import Path

import click
import pytest
from inline_snapshot import snapshot

from sinkd import record
from sinkd.commands.tail import run_command
from sinkd.commands.tail_text import Teller
from sinkd.errors import UsageError
from sinkd.history import LINE_CAP_BYTES
from sinkd.instant import rfc3339
from sinkd.settings import Settings
from sinkd.tail import Filter, Follower

TEN = 1_795_428_000  # 2026-11-23T10:00Z
DATE = "2026-11-23"


def run(seq, job, at, outcome="success", **fields):
    return {
        "v": 1,
        "seq": seq,
        "run_id": f"{job}@{at}",
        "job": job,
        "scheduled_at": rfc3339(at),
        "outcome": outcome,
        **fields,
    }


def sent(seq, job, at, *answer, **fields):
    method, status, duration_ms = answer
    return run(
        seq,
        job,
        at,
        method=method,
        status_code=status,
        started_at=rfc3339(at + 0.001),
        finished_at=rfc3339(at + 0.004 + duration_ms / 1000),
        duration_ms=duration_ms,
        **fields,
    )


def event(seq, at, name, **fields):
    return {"v": 1, "seq": seq, "at": rfc3339(at), "event": name, **fields}


def accepted(seq, at, revision, **changes):
    lists = {"added": [], "changed": [], "removed": [], "paused": [], "resumed": []} | changes
    return event(seq, at, "config_accepted", revision=revision, path="/etc/jobs.yaml", **lists)


def told(*records):
    teller = Teller(DATE)
    return "\n".join(click.unstyle(line) for each in records for line in teller.tell(each))


def test_runs_and_events_are_told_as_people_read_them():
    problem = "`interval_minutes` must be a whole number of minutes"
    problems = [{"code": "SNK104", "line": 14, "column": 23, "message": problem}]
    assert told(
        accepted(1, TEN - 60, "3f2c1a9b07d4" + "0" * 52, added=["a"]),
        sent(2, "ping-billing", TEN, "GET", 200, 30),
        sent(3, "warm-search", TEN, "POST", 204, 590),
        event(4, TEN + 72.02, "config_refused", revision="b" * 64, problems=problems, total=1),
        accepted(5, TEN + 160.551, "9b0e77d2c4f1", added=["a"], changed=["b", "c"], removed=["d"]),
        sent(
            6,
            "ping-billing",
            TEN + 300,
            "GET",
            503,
            100,
            outcome="failure",
            reason="http_status",
        ),
        run(
            7,
            "refresh-cache",
            TEN + 1200,
            "skipped",
            reason="overlap",
            blocked_by="refresh-cache@2026-11-23T10:05Z",
        ),
    ) == snapshot("""\
09:59:00.000  CONFIG   jobs.yaml in use, 3f2c1a9b07d4: 1 added
10:00:00.034  ok       ping-billing      GET   200    0.03 s
10:00:00.593  ok       warm-search       POST  204    0.59 s
10:01:12.020  CONFIG   jobs.yaml refused, still using 3f2c1a9b07d4: 14:23 `interval_minutes` must be a whole number of minutes
10:02:40.551  CONFIG   jobs.yaml in use, 9b0e77d2c4f1: 1 added, 2 changed, 1 removed
10:05:00.103  FAILED   ping-billing      GET   503    0.10 s   http_status
10:20:00.000  SKIPPED  refresh-cache     the run of 10:05 is still going\
""")


def test_what_did_not_run_is_told_with_its_cause():
    assert told(
        run(1, "a", TEN, "missed", reason="down"),
        run(
            2,
            "a",
            TEN,
            "missed",
            reason="suspended",
            count=9,
            last_scheduled_at=rfc3339(TEN + 7200),
        ),
        run(
            3,
            "a",
            TEN,
            "missed",
            reason="down",
            count=9,
            last_scheduled_at=rfc3339(TEN + 86_400),
        ),
        run(4, "a", TEN, "skipped", reason="capacity"),
        run(5, "a", TEN, "skipped", reason="paused"),
        run(
            6,
            "a",
            TEN,
            "skipped",
            reason="overlap",
            blocked_by="a@2026-11-23T09:00:12.345Z#manual",
        ),
        run(7, "trading-bot", TEN, "interrupted", reason="crash", finished_at=None),
        run(8, "a", TEN, "failure", reason="timeout", method="GET", error="no answer in 30 s"),
        run(9, "a", TEN, "failure", reason="connect", error="connect: OSError, EHOSTUNREACH"),
        run(10, "a", TEN, "postponed"),
    ) == snapshot("""\
10:00:00.000  MISSED   a                 10:00: sinkd was down
10:00:00.000  MISSED   a                 9 slots, 10:00 to 12:00: the machine slept
10:00:00.000  MISSED   a                 9 slots, 10:00 to 2026-11-24 10:00: sinkd was down
10:00:00.000  SKIPPED  a                 too many runs were in flight
10:00:00.000  SKIPPED  a                 it was paused
10:00:00.000  SKIPPED  a                 the manual run of 09:00 is still going
10:00:00.000  INTERRUPTED  trading-bot  sinkd crashed, its fate is unknown
10:00:00.000  FAILED   a                 GET   -           -   timeout: no answer in 30 s
10:00:00.000  FAILED   a                       -           -   connect: OSError, EHOSTUNREACH
10:00:00.000  POSTPONED  a\
""")


def test_every_event_is_told():
    assert told(
        event(1, TEN, "started", version="0.1.0", pid=7, host="h", tzdata="2026f", source="file"),
        event(2, TEN, "started", version="1", pid=7, host="h", tzdata="2026f", source="last_good"),
        event(3, TEN, "stopped", reason="SIGTERM", clean=True),
        event(4, TEN, "stopped", reason="SIGTERM", clean=False),
        event(5, TEN, "unclean_stop", last_alive_at=rfc3339(TEN - 60)),
        accepted(6, TEN, "a" * 64),
        event(7, TEN, "config_refused", revision=None, problems=[], total=0),
        event(8, TEN, "config_restored", revision="a" * 64),
        event(9, TEN, "config_unsettled"),
        event(10, TEN, "config_shrunk", removed=3, paused=1, total=5),
        event(11, TEN, "job_paused", job="a", until=rfc3339(TEN + 60), reason="repair", by="ann"),
        event(12, TEN, "job_resumed", job="a", by="expired"),
        event(13, TEN, "job_resumed", job="a", by="ann"),
        event(14, TEN, "secret_missing", reference="${env:TOKEN}", jobs=["a", "b"]),
        event(15, TEN, "clock_step", **{"from": rfc3339(TEN), "to": rfc3339(TEN + 7200)}),
        event(16, TEN, "clock_step", **{"from": rfc3339(TEN), "to": rfc3339(TEN - 90)}),
        event(17, TEN, "suspended", seconds=3600.5),
        event(18, TEN, "stalled", seconds=90.0),
        event(19, TEN, "log_failed", errno="ENOSPC"),
        event(20, TEN, "log_recovered", held=3),
        event(21, TEN, "rotated", segment="runs-20261123T100000Z.jsonl"),
        event(22, TEN, "expired", segments=["runs-1.jsonl.gz", "runs-2.jsonl.gz"]),
        event(23, TEN, "moon_landed"),
        event(24, TEN, "job_paused"),
    ) == snapshot("""\
10:00:00.000  STARTED  sinkd 0.1.0 on h, pid 7
10:00:00.000  STARTED  sinkd 1 on h, pid 7, on the last good jobs file
10:00:00.000  STOPPED  SIGTERM
10:00:00.000  STOPPED  SIGTERM; not every record could be written
10:00:00.000  CRASHED  sinkd ended without a word after 09:59:00.000
10:00:00.000  CONFIG   jobs.yaml in use, aaaaaaaaaaaa: no job changed
10:00:00.000  CONFIG   jobs.yaml refused, still using aaaaaaaaaaaa: it cannot be read
10:00:00.000  CONFIG   jobs.yaml is again as accepted, aaaaaaaaaaaa
10:00:00.000  CONFIG   jobs.yaml keeps changing; it is applied when it stays the same
10:00:00.000  CONFIG   jobs.yaml now lacks over half of the jobs: 3 removed and 1 disabled of 5
10:00:00.000  PAUSED   a                 until 10:01 by ann: repair
10:00:00.000  RESUMED  a                 its pause is over
10:00:00.000  RESUMED  a                 by ann
10:00:00.000  SECRET   ${env:TOKEN} cannot be resolved, needed by a, b
10:00:00.000  CLOCK    the clock was set forward by 2 h, to 12:00:00.000
10:00:00.000  CLOCK    the clock was set back by 1 min 30 s, to 09:58:30.000
10:00:00.000  CLOCK    the machine slept for 1 h
10:00:00.000  CLOCK    sinkd stood still for 1 min 30 s
10:00:00.000  LOG      cannot be written (ENOSPC): nothing is sent until it can be
10:00:00.000  LOG      can be written again; 3 records were held in memory
10:00:00.000  LOG      sealed as runs-20261123T100000Z.jsonl
10:00:00.000  LOG      removed as too old or too big: runs-1.jsonl.gz, runs-2.jsonl.gz
10:00:00.000  EVENT    moon_landed
10:00:00.000  EVENT    job_paused\
""")


def test_a_new_date_has_a_line_of_its_own():
    lines = told(run(1, "a", TEN), run(2, "a", TEN + 86_400), run(3, "a", TEN + 86_460))
    assert [line[:10] for line in lines.splitlines()] == [
        "10:00:00.0",
        "2026-11-24",
        "10:00:00.0",
        "10:01:00.0",
    ]


def test_text_from_outside_cannot_write_to_the_terminal():
    line = told(run(1, "a\x1b[2J", TEN, "failure", reason="dns", error="\x1b]0;x\a", method=[]))
    assert line.isprintable()


def test_a_filter_by_job_keeps_its_runs_and_the_events_about_it():
    wanted = Filter(jobs=frozenset({"a"}))
    kept = [
        run(1, "a", TEN),
        event(2, TEN, "job_paused", job="a"),
        event(3, TEN, "secret_missing", reference="x", jobs=["a", "b"]),
    ]
    dropped = [run(4, "b", TEN), event(5, TEN, "stopped"), event(6, TEN, "job_paused", jobs=7)]
    assert [each["seq"] for each in kept + dropped if wanted.wants(each)] == [1, 2, 3]


def test_a_filter_by_label_keeps_runs_alone():
    wanted = Filter(labels={"team": "shop"})
    assert wanted.wants(run(1, "a", TEN, labels={"team": "shop", "tier": "1"}))
    assert not wanted.wants(run(1, "a", TEN, labels={"team": "core"}))
    assert not wanted.wants(event(2, TEN, "stopped"))


def test_failed_keeps_all_that_is_no_success_and_the_bad_events():
    wanted = Filter(failed=True)
    for outcome in ("failure", "skipped", "missed", "interrupted"):
        assert wanted.wants(run(1, "a", TEN, outcome))
    assert wanted.wants(event(1, TEN, "config_refused"))
    assert wanted.wants(event(1, TEN, "notify", error="dns"))
    assert not wanted.wants(event(1, TEN, "notify", status_code=200))
    assert not wanted.wants(run(1, "a", TEN))
    assert not wanted.wants(event(1, TEN, "config_accepted"))


@pytest.fixture
def settings(tmp_path):
    return Settings(data_dir=tmp_path)


def append(directory: Path, *records, name=None):
    for each in records:
        path = directory / (name or ("events.jsonl" if "event" in each else "runs.jsonl"))
        with path.open("ab") as log:
            log.write(record.line(each))


class Steps:
    """Stands for the waiting: at each wait the next step happens, after the last one Ctrl-C."""

    def __init__(self, *steps):
        self.steps = iter(steps)

    def __call__(self):
        step = next(self.steps, None)
        if step is None:
            raise KeyboardInterrupt
        step()


@pytest.fixture
def follow(settings, capsys):
    def follow(*steps, **options):
        with pytest.raises(KeyboardInterrupt):
            run_command(settings, follow=True, as_json=True, wait=Steps(*steps), **options)
        return [json.loads(line)["seq"] for line in capsys.readouterr().out.split()]

    return follow


def test_the_last_lines_of_both_files_come_merged_by_seq(settings, tmp_path, capsys):
    append(tmp_path, run(1, "a", TEN), event(2, TEN, "stopped"), run(4, "a", TEN))
    append(tmp_path, event(3, TEN, "moon_landed"), event(5, TEN, "moon_landed"))
    run_command(settings, number=4, as_json=True)
    assert [line[7:14] for line in capsys.readouterr().out.splitlines()] == [
        '"seq":2', '"seq":3', '"seq":4', '"seq":5',
    ]  # fmt: skip


def test_a_refusal_names_the_file_accepted_before_the_first_line_shown(settings, tmp_path, capsys):
    append(tmp_path, accepted(1, TEN, "a" * 64))
    append(tmp_path, event(2, TEN, "config_refused", revision="b" * 64, problems=[], total=0))
    append(tmp_path, accepted(3, TEN, "c" * 64))
    run_command(settings, number=2)
    assert "jobs.yaml refused, still using aaaaaaaaaaaa: it cannot" in capsys.readouterr().out


def test_lines_that_cannot_be_read_are_counted_aloud(settings, tmp_path, capsys):
    (tmp_path / "runs.jsonl").write_bytes(b"\0\0\n" * 2)
    assert run_command(settings) == 0
    assert capsys.readouterr().err == "sinkd: 2 lines of the run log cannot be read\n"


def test_that_no_line_is_of_what_was_asked_for_is_said(settings, tmp_path, capsys):
    append(tmp_path, run(1, "a", TEN))
    assert run_command(settings, jobs=["aa"]) == 0
    assert capsys.readouterr() == ("", "sinkd: no line of the log is of what was asked for\n")
    assert run_command(settings, number=0, jobs=["aa"]) == 0
    assert capsys.readouterr() == ("", "")


def test_a_missing_directory_is_named(tmp_path):
    with pytest.raises(UsageError, match="--data-dir"):
        run_command(Settings(data_dir=tmp_path / "nowhere"))


def test_what_comes_is_printed_once(follow, tmp_path):
    append(tmp_path, *(run(seq, "a", TEN) for seq in range(1, 5)))
    assert follow(
        lambda: append(tmp_path, run(5, "a", TEN)),
        lambda: append(tmp_path, run(7, "a", TEN), event(6, TEN, "stopped")),
        number=2,
    ) == [3, 4, 5, 6, 7]


def test_with_no_lines_to_begin_with_only_new_ones_come(follow, tmp_path):
    append(tmp_path, *(run(seq, "a", TEN) for seq in range(1, 5)))
    assert follow(lambda: append(tmp_path, run(5, "a", TEN)), number=0) == [5]


def test_following_goes_on_through_rotation_truncation_and_removal(follow, tmp_path):
    log = tmp_path / "runs.jsonl"
    append(tmp_path, run(1, "a", TEN))

    def rotate():
        append(tmp_path, run(2, "a", TEN))
        log.rename(tmp_path / "runs-1.jsonl")
        append(tmp_path, run(3, "a", TEN), run(4, "a", TEN))

    def cut():
        log.write_bytes(b"")
        append(tmp_path, run(5, "a", TEN))

    def start_afresh():
        log.unlink()
        append(tmp_path, run(1, "a", TEN))

    assert follow(rotate, log.touch, cut, start_afresh, log.touch) == [1, 2, 3, 4, 5, 1]


def test_a_file_that_is_not_there_yet_is_followed_when_it_comes(follow, tmp_path):
    assert follow(lambda: append(tmp_path, run(1, "a", TEN))) == [1]


def test_a_line_that_comes_in_parts_is_printed_when_it_is_complete(follow, tmp_path):
    whole = record.line(run(1, "a", TEN))

    def write(part):
        with (tmp_path / "runs.jsonl").open("ab") as log:
            log.write(part)

    assert follow(lambda: write(whole[:20]), lambda: write(whole[20:])) == [1]
    assert follow(lambda: write(b"x" * 3 * LINE_CAP_BYTES), lambda: write(b"\n" + whole)) == [1, 1]


def test_a_line_that_lost_its_newline_before_a_rotation_is_printed(follow, tmp_path):
    log = tmp_path / "runs.jsonl"

    def rotate():
        log.write_bytes(record.line(run(1, "a", TEN))[:-1])
        log.rename(tmp_path / "runs.jsonl.1")
        append(tmp_path, run(2, "a", TEN))

    assert follow(log.touch, rotate) == [1, 2]


def test_a_follower_of_a_big_file_begins_near_its_end(tmp_path):
    log = tmp_path / "runs.jsonl"
    append(tmp_path, *(run(seq, "a", TEN) for seq in range(1000)))
    follower = Follower(log)
    assert sum(map(len, follower.lines())) <= LINE_CAP_BYTES
    follower.close()


@pytest.fixture
def feed(settings, monkeypatch, capsys):
    def feed(*lines, **options):
        stdin = io.TextIOWrapper(io.BytesIO(b"".join(lines)))
        monkeypatch.setattr(sys, "stdin", stdin)
        assert run_command(settings, source="-", **options) == 0
        return capsys.readouterr().out

    return feed


def test_standard_input_is_told_and_lines_that_are_no_records_pass_through(feed):
    printed = record.line(run(1, "a", TEN)), b"booting \x1b[2J \xff\r\n", b'{"level":"info"}\n'
    assert feed(*printed).splitlines()[-3:] == snapshot(
        [
            "10:00:00.000  ok       a                       -           -",
            "booting \\x1b[2J \\u{fffd}",
            '{"level":"info"}',
        ]
    )
    assert "booting" not in feed(*printed, failed=True)
    assert feed(*printed, as_json=True).encode() == printed[0]
