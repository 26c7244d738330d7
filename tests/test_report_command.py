"""`sinkd report`: its exact texts, its JSON, its exit codes."""

import json
from hashlib import sha256
from pathlib import Path

import pytest
from click.testing import CliRunner
from inline_snapshot import snapshot
from pydantic_core import to_json
from reports import DAY_AGO, JOBS, NOW, day, event, failed, not_run, run, write

from sinkd.cli import sinkd
from sinkd.commands.report import run_command
from sinkd.errors import UsageError
from sinkd.instant import rfc3339
from sinkd.settings import Settings


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("jobs.yaml").write_text(JOBS)
    Path(".sinkd").mkdir()
    return Settings()


@pytest.fixture
def report(settings, capsys):
    def report(*jobs, code=0, **options):
        assert run_command(settings, jobs=jobs, now=NOW, **options) == code
        return capsys.readouterr().out

    return report


def test_the_report_of_a_day(report):
    write(day())
    assert report() == snapshot("""\
2026-11-22 10:05 (first record) to 2026-11-23 10:02 UTC, 406 runs, .sinkd/runs.jsonl

JOB             RUNS      OK  MISSED      P50      P95  10:02 ──────────────────  LAST RUN                    NEXT
refresh-cache     96  100.0%       0   0.18 s   0.18 s  ▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇  09:50:00  200      0.18 s   10:05
ping-billing     288   97.6%       0   0.03 s   0.03 s  ▇▇▇▇▇▇▇▇▇▇▇▇▇▃▇▇▇▇▇▇▇▇▇▇  10:00:00  200      0.03 s   10:05
nightly-report     1    0.0%       0  30.00 s  30.00 s                ▁           00:30:00  timeout  30.00 s  00:30
warm-search       21  100.0%       2   0.60 s   0.60 s    ▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇   09:00:00  204      0.60 s   disabled

Failures
  nightly-report  1  timeout          last 00:30:30   no answer from reports.example.com in 30 s
  ping-billing    7  http_status 503  23:05 to 23:35  then 125 in a row succeeded

Not run
  warm-search  2  sinkd was down  11:00, 12:00 on 2026-11-22
""")


def test_the_history_of_one_job(report):
    write(
        [
            run("refresh-cache", DAY_AGO - 7 * 86_400, response_headers={"x-session-id": "s-1"}),
            run("refresh-cache", NOW - 1800, trigger="manual"),
            failed("refresh-cache", NOW - 900, "http_status", status=503),
            not_run("refresh-cache", int(NOW) - 60, "skipped", "overlap"),
            run("ping-billing", NOW - 60),
        ]
    )
    assert report("refresh-cache", number=3) == snapshot("""\
2026-11-15 10:02 (first record) to 2026-11-23 10:02 UTC, 3 runs, .sinkd/runs.jsonl
refresh-cache, every 15 min at :05 :20 :35 :50: Refresh the product cache

JOB            RUNS     OK  MISSED     P50     P95  10:02 ──────────────────  LAST RUN               NEXT
refresh-cache     3  66.7%       0  0.18 s  0.18 s                         ▃  09:47:00  503  0.18 s  10:05

Failures
  refresh-cache  1  http_status 503  last 09:47:00

Not run
  refresh-cache  1  the run before was still going  10:01 on 2026-11-23

Runs, newest first
  2026-11-23 10:01  refresh-cache  skipped  overlap          the run before was still going
  2026-11-23 09:47  refresh-cache  failure  503      0.18 s
  2026-11-23 09:32  refresh-cache  success  200      0.18 s  manual
""")


def test_the_runs_with_one_outcome_are_listed_for_all_jobs(report):
    write(day())
    assert report(outcome="missed").partition("Runs,")[2] == snapshot("""\
 newest first
  2026-11-22 11:00  warm-search  missed  down    2 slots to 2026-11-22 12:00, sinkd was down
""")


def test_no_runs_yet_is_no_error(report):
    assert report() == snapshot("""\
no runs recorded yet in .sinkd/runs.jsonl
next: ping-billing at 10:05 (in 3 min)
""")
    assert json.loads(report(output_format="json"))["since"] is None


def test_no_runs_in_the_window_is_no_error(report):
    write(day())
    assert report(since="-1m") == snapshot("""\
2026-11-23 10:01 to 2026-11-23 10:02 UTC, 0 runs, .sinkd/runs.jsonl
next: ping-billing at 10:05 (in 3 min)
""")


def test_an_empty_directory_without_a_jobs_file_is_no_error(report):
    Path("jobs.yaml").unlink()
    assert report() == snapshot("""\
no runs recorded yet in .sinkd/runs.jsonl
declare jobs in jobs.yaml and start `sinkd run`
""")


@pytest.mark.parametrize("content", ["jobs: [", None])
def test_without_a_valid_jobs_file_the_jobs_are_those_of_the_log(settings, capsys, content):
    Path("jobs.yaml").unlink()
    if content:
        Path("jobs.yaml").write_text(content)
    write([run("refresh-cache", NOW - 60)])
    assert run_command(settings, now=NOW) == 0
    shown = capsys.readouterr()
    assert "jobs.yaml" in shown.err
    assert shown.err.endswith("; the jobs shown are those of the run log\n")
    assert "refresh-cache" in shown.out
    assert "removed" not in shown.out


def test_a_label_taken_from_a_job_no_longer_selects_its_records(report):
    write([run("ping-billing", NOW - 60, labels={"team": "shop"})])
    found = json.loads(report(labels=["team=shop"], output_format="json"))
    assert [(job["job"], job["total_runs"]) for job in found["jobs"]] == [("refresh-cache", 0)]


def test_a_refused_file_shows_in_the_header(report):
    problem = {"code": "SNK104", "line": 14, "column": 23, "message": "`a` is \x1b[2J bad"}
    write(
        [run("refresh-cache", NOW - 60)],
        [
            event("config_accepted", DAY_AGO, revision="3f2c1a9b07d4" + "0" * 52),
            event("config_refused", NOW, revision="b" * 64, problems=[problem], total=3),
        ],
    )
    assert report().splitlines()[1] == snapshot(
        "running config 3f2c1a9b07d4 since 2026-11-22 10:02; file on disk bbbbbbbbbbbb refused: 14:23 `a` is \\x1b[2J bad (and 2 more)"
    )


def test_a_paused_a_disabled_and_a_removed_job_say_so(report):
    held = event(
        "job_paused",
        NOW - 60,
        job="ping-billing",
        until="2026-11-23T14:30:00Z",
        reason="vendor maintenance",
        by="ann",
    )
    write([run("ping-billing", NOW - 60), run("old-sync", NOW - 60)], [held])
    lines = report().splitlines()
    assert [line[96:] for line in lines if line] == snapshot(
        [
            "",
            "       NEXT",
            "       10:05",
            ".18 s  paused until 14:30 by ann: vendor maintenance",
            "       00:30",
            "       disabled",
            ".18 s  removed",
        ]
    )


def test_the_json_has_the_declared_shape(report):
    write(day())
    found = json.loads(report("warm-search", output_format="json", number=1))
    assert found == snapshot(
        {
            "since": "2026-11-22T11:00:00Z",
            "until": "2026-11-23T10:02:00Z",
            "jobs": [
                {
                    "job": "warm-search",
                    "description": None,
                    "labels": {},
                    "enabled": False,
                    "paused_until": None,
                    "schedule": "hourly at :00",
                    "total_runs": 21,
                    "successful_runs": 21,
                    "failed_runs": 0,
                    "skipped": 0,
                    "missed": 2,
                    "interrupted": 0,
                    "last_run_at": "2026-11-23T09:00:00.000Z",
                    "last_outcome": "success",
                    "next_run_at": None,
                    "p50_ms": 600,
                    "p95_ms": 600,
                }
            ],
            "runs": [
                {
                    "v": 1,
                    "seq": 1795424400000,
                    "run_id": "warm-search@2026-11-23T09:00Z",
                    "job": "warm-search",
                    "scheduled_at": "2026-11-23T09:00:00Z",
                    "trigger": "schedule",
                    "outcome": "success",
                    "status_code": 204,
                    "started_at": "2026-11-23T09:00:00.000Z",
                    "finished_at": "2026-11-23T09:00:00.600Z",
                    "duration_ms": 600,
                }
            ],
        }
    )


def test_labels_select_jobs(report):
    write([*day(), run("old-sync", NOW - 60, labels={"team": "shop"})])
    found = json.loads(report(labels=["team=shop"], output_format="json"))
    assert [job["job"] for job in found["jobs"]] == ["refresh-cache", "old-sync"]
    assert "runs" not in found


def test_a_share_that_is_no_number_is_wrong_usage():
    refused = CliRunner().invoke(sinkd, ["report", "--fail-under", "nan"])
    assert (refused.exit_code, "'nan' is not a number" in refused.output) == (2, True)


def test_a_job_below_fail_under_ends_with_1(report, capsys):
    write(day())
    assert report("refresh-cache", fail_under=100)
    assert report("ping-billing", fail_under=97)
    run_command(Settings(), jobs=["ping-billing"], now=NOW, fail_under=98)
    assert capsys.readouterr().err == snapshot(
        "sinkd: ping-billing: 281 of 288 due slots were answered with success, that is under 98 %\n"
    )
    assert report(fail_under=99, code=1)


def test_an_unknown_job_is_answered_with_the_nearest_name(report):
    write(day())
    with pytest.raises(
        UsageError, match=r"no job is named `refesh-cache`.*did you mean `refresh-cache`"
    ):
        report("refesh-cache")
    with pytest.raises(UsageError, match=r"no job is named `zzz` in .*: there is `[a-z-]+`, "):
        report("zzz")


def test_a_time_that_is_none_is_named(report):
    with pytest.raises(UsageError, match="`noon` is not a time"):
        report(since="noon")


def test_times_are_read_in_the_zone_of_the_one_job_named(report):
    write(day())
    found = json.loads(report("nightly-report", since="2026-11-23T01:00", output_format="json"))
    assert found["since"] == "2026-11-23T00:00:00Z"


def test_lines_that_cannot_be_read_are_counted_aloud(settings, capsys):
    write(day())
    with Path(".sinkd/runs.jsonl").open("ab") as log:
        log.write(b"\0\0\n")
    assert run_command(settings, now=NOW) == 0
    assert capsys.readouterr().err == "sinkd: 1 line of the run log cannot be read\n"


def test_the_jobs_are_those_accepted_last_not_those_of_the_file_on_disk(report):
    accepted = JOBS.replace("warm-search", "cold-search").encode()
    revision = sha256(accepted).hexdigest()
    Path(".sinkd/revisions").mkdir()
    Path(f".sinkd/revisions/{revision}.yaml").write_bytes(accepted)
    note = {"revision": revision, "path": "/etc/jobs.yaml", "at": rfc3339(NOW)}
    Path(".sinkd/accepted.json").write_bytes(to_json(note))
    names = [job["job"] for job in json.loads(report(output_format="json"))["jobs"]]
    assert names[-1] == "cold-search"


def test_a_narrow_terminal_gets_fewer_columns(report, monkeypatch):
    monkeypatch.setattr("sinkd.commands.report.columns", lambda: 60)
    write(day())
    lines = report().splitlines()
    assert max(map(len, lines[2:7])) <= 60
    assert lines[2] == snapshot("JOB             RUNS      OK  MISSED      P50      P95")


def test_fields_of_a_wrong_type_end_nothing(report):
    odd = {"labels": {"a": 1}, "trigger": 7, "reason": [], "status_code": "x", "error": {}}
    odd |= {"started_at": "soon", "finished_at": 3, "duration_ms": "long", "response_headers": "x"}
    write([run("refresh-cache", NOW - 60) | odd | {"outcome": "failure"}, run("b", NOW) | odd])
    assert "refresh-cache" in report("refresh-cache")
    assert report(outcome="failure", output_format="json")


def test_that_no_run_has_the_outcome_is_said(report):
    write([run("ping-billing", NOW - 60)])
    assert report(outcome="missed").endswith("\n\nNo line of the log has the outcome missed.\n")


def test_a_window_that_begins_in_the_future_is_no_window(report):
    with pytest.raises(UsageError) as refused:
        report(since="2026-12-01T00:00")
    assert (str(refused.value), refused.value.exit_code) == snapshot(
        (
            "--since: 2026-12-01T00:00Z is in the future, now it is 2026-11-23T10:02Z; `sinkd next` shows what comes",
            2,
        )
    )


def test_a_window_that_ends_before_it_begins_is_no_window(report):
    with pytest.raises(UsageError) as refused:
        report(since="-1h", until="-2h")
    assert str(refused.value) == snapshot(
        "--until: 2026-11-23T08:02Z is not after --since, which is 2026-11-23T09:02Z"
    )


def test_a_window_before_the_first_record_is_not_called_an_empty_log(report):
    write([run("ping-billing", NOW - 60)])
    assert report(until="-1h").startswith("no runs recorded before 2026-11-23 09:02 UTC in ")


def test_a_label_that_no_job_has_is_no_report(report):
    write([run("ping-billing", NOW - 60)])
    with pytest.raises(UsageError, match="has the label that `--label` names"):
        report(labels=["team=nobody"], fail_under=90)


def test_failures_are_named_by_their_slots_as_why_asks_for_them(report):
    failed = {"outcome": "failure", "reason": "timeout", "status": None}
    write([run("ping-billing", NOW - age, 70_000, **failed) for age in (540, 240)])
    assert "timeout  09:53 to 09:58" in report()


def test_a_window_that_ends_in_the_future_ends_now(report):
    write([run("ping-billing", NOW - 60)])
    assert " to 2026-11-23 10:02 UTC, 1 run," in report(until="2026-12-01T00:00")
