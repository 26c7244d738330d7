"""The text of a plan, word for word."""

import pytest
from inline_snapshot import snapshot

from sinkd import source
from sinkd.commands.plan_sides import Side
from sinkd.commands.plan_text import text
from sinkd.instant import parse_rfc3339
from sinkd.plan import compare
from sinkd.state import Pause
from sinkd.terminal import show

NOW = parse_rfc3339("2026-11-23T10:02:40Z")

BEFORE = """\
version: 1
jobs:
  - name: nightly-report
    schedule: {at: "01:30", timezone: UTC}
    request: {url: "https://reports.example.com/run"}
  - name: refresh-cache
    schedule: {interval_minutes: 30, start_minute: 5}
    timeout_seconds: 10
    request: {url: "https://api.example.com/v1/cache"}
  - name: legacy-sync
    schedule: {interval_minutes: 60}
    request: {url: "https://old.example.com/sync"}
  - name: ping-billing
    schedule: {interval_minutes: 5}
    request: {url: "https://billing.example.com/healthz", method: GET}
"""
AFTER = """\
version: 1
jobs:
  - name: ping-billing
    schedule: {interval_minutes: 5}
    request: {url: "https://billing.example.com/healthz", method: GET}
  - name: warm-search
    schedule: {interval_minutes: 60}
    request:
      url: https://search.example.net/warm
      headers: {Authorization: "Bearer ${env:SEARCH_TOKEN}"}
  - name: nightly-report
    schedule: {at: "01:30", timezone: UTC}
    request: {url: "https://reports.example.com/run"}
    enabled: false
  - name: refresh-cache
    schedule: {interval_minutes: 15, start_minute: 5}
    timeout_seconds: 20
    request: {url: "https://api.example.com/v1/cache"}
"""
JOB = """\
version: 1
jobs:
  - name: one
    schedule: {interval_minutes: 30}
    request: {url: "https://one.example.com/"}
"""


@pytest.fixture
def shown(capsys):
    def shown(before, after, **daemon):
        sides = [
            Side("origin/main (8d21f0c)", "8d21f0c:jobs.yaml", before.encode(), "8d21f0c"),
            Side("jobs.yaml", "jobs.yaml", after.encode(), "3f2c1a9"),
        ]
        if daemon:
            sides[0] = Side("http://sinkd:9000", "", before.encode(), "3f2c1a9b07d4", **daemon)
        specs = [source.load(side.data).spec for side in sides]
        show(text(compare(*specs, NOW), *sides), color=False)
        return capsys.readouterr().out

    return shown


def test_a_plan_shows_each_job_that_differs_the_totals_and_the_load(shown):
    assert shown(BEFORE, AFTER) == snapshot("""\
jobs.yaml against origin/main (8d21f0c)

  + warm-search      hourly at :00                     POST https://search.example.net/warm
      first run      11:00 UTC, in 57 min; 24 runs a day
      new host       search.example.net                receives ${env:SEARCH_TOKEN}
      needs          SEARCH_TOKEN in the environment of sinkd run

  ~ nightly-report   daily at 01:30 UTC                POST https://reports.example.com/run
      enabled        true -> false                     the run of 2026-11-24 01:30 UTC is dropped

  ~ refresh-cache    every 15 min at :05 :20 :35 :50   POST https://api.example.com/v1/cache
      schedule.interval_minutes  30 -> 15                          48 -> 96 runs a day
      timeout_seconds            10 -> 20
      next run                   10:05 UTC, as before
      first new                  10:20 UTC

  - legacy-sync      hourly at :00                     POST https://old.example.com/sync
      24 runs a day stop, the next at 11:00 UTC

Plan: 1 to add, 2 to change, 1 to remove, 1 unchanged. 361 -> 408 runs a day.

Runs started in a minute of the hour (most: 2 at :00, as before)
          :00  :05  :10  :15  :20  :25  :30  :35  :40  :45  :50  :55
  before |█    █    ▄    ▄    ▄    ▄    █    █    ▄    ▄    ▄    ▄    |
  after  |█    █    ▄    ▄    █    ▄    ▄    █    ▄    ▄    █    ▄    |
  Minute :01 has none.
""")


def test_each_field_has_a_line_and_values_of_headers_bodies_and_queries_none(shown):
    after = """\
version: 1
jobs:
  - name: one
    description: Refreshes what people see when they come to the page for the first time each day
    labels: {team: shop}
    schedule: {at: ["09:00", "17:00"], days: [mon, fri], timezone: Europe/Berlin}
    request:
      url: https://one.example.com/?key=s3cret
      headers: {X-Api-Key: s3cret, X-Trace: "${env:TRACE}"}
      body: {password: s3cret}
    signing_secret: ${file:hook}
    capture_headers: [X-Id]
    catch_up_minutes: 0
"""
    assert shown(JOB, after) == snapshot("""\
jobs.yaml against origin/main (8d21f0c)

  ~ one   Mon Fri at 09:00 17:00 Europe/Berlin   POST https://one.example.com/
      schedule.interval_minutes  30 -> none                             48 -> 0.6 runs a day
      schedule.start_minute      0 -> none
      schedule.at                none -> 09:00, 17:00
      schedule.timezone          none -> Europe/Berlin
      schedule.days              none -> mon, fri
      request.query              added
      request.body               added
      request.headers.X-Api-Key  added
      request.headers.X-Trace    added
      catch_up_minutes           15 -> 0
      signing_secret             none -> ${file:hook}
      capture_headers            none -> x-id
      labels.team                none -> shop
      description                none -> Refreshes what people see when they come to the page for ...
      next run                   16:00 UTC, was 10:30 UTC
      first dropped              10:30 UTC
      sends                      ${env:TRACE}                           new for one.example.com
      needs                      TRACE in the environment of sinkd run
      needs                      hook in a secrets directory

Plan: 0 to add, 1 to change, 0 to remove, 0 unchanged. 48 -> 0.6 runs a day.

Runs started in a minute of the hour (most: 1 at :00, as before)
          :00  :05  :10  :15  :20  :25  :30  :35  :40  :45  :50  :55
  before |█                             █                             |
  after  |█                                                           |
  Minute :01 has none.
""")


def test_a_renamed_job_says_where_its_history_stays(shown):
    after = JOB.replace("name: one", "name: first").replace("30", "60")
    assert shown(JOB, after) == snapshot("""\
jobs.yaml against origin/main (8d21f0c)

  ~ one -> first (renamed: its history stays under one)
      schedule.interval_minutes  30 -> 60  48 -> 24 runs a day
      next run                   11:00 UTC, was 10:30 UTC
      first dropped              10:30 UTC

Plan: 0 to add, 0 to change, 1 to rename, 0 to remove, 0 unchanged. 48 -> 24 runs a day.

Runs started in a minute of the hour (most: 1 at :00, as before)
          :00  :05  :10  :15  :20  :25  :30  :35  :40  :45  :50  :55
  before |█                             █                             |
  after  |█                                                           |
  Minute :01 has none.
""")


def test_a_job_that_is_added_or_removed_while_disabled_has_no_runs(shown):
    disabled = JOB + "    enabled: false\n"
    assert shown("version: 1\njobs: []\n", disabled) == snapshot("""\
jobs.yaml against origin/main (8d21f0c)

  + one   every 30 min at :00 :30   POST https://one.example.com/
      disabled: no runs
      new host  one.example.com

Plan: 1 to add, 0 to change, 0 to remove, 0 unchanged. 0 runs a day.
""")
    assert "disabled before: no runs stop" in shown(disabled, "version: 1\njobs: []\n")


def test_a_job_that_is_enabled_shows_its_first_run(shown):
    assert "false -> true" in shown(JOB + "    enabled: false\n", JOB)
    assert "first run 10:30 UTC, in 27 min" in shown(JOB + "    enabled: false\n", JOB)


def test_equal_bytes_are_no_changes(shown):
    assert shown(JOB, JOB) == snapshot("""\
jobs.yaml against origin/main (8d21f0c)

No changes.
""")


@pytest.mark.parametrize(
    "same",
    [
        JOB.replace("one\n", "'one' # a comment\n"),
        "# yaml-language-server: $schema=x\n" + JOB,
        "$schema: ./jobs.schema.json\nx-owner: shop\n" + JOB + "    x-note: hello\n",
        JOB.replace("{interval_minutes: 30}", "\n      interval_minutes: 30"),
        JOB + "    enabled: true\n    timeout_seconds: 60\n",
        "defaults: {timezone: UTC, timeout_seconds: 60}\n" + JOB,
    ],
)
def test_a_text_that_means_the_same_says_that_the_jobs_do_not_differ(shown, same):
    assert shown(JOB, same).endswith("\nNo changes. The text differs, the jobs do not.\n")


def test_the_order_of_jobs_is_no_change(shown):
    head, *jobs = BEFORE.split("  - ")
    assert "the jobs do not" in shown(BEFORE, "  - ".join([head, *reversed(jobs)]))


def test_a_daemon_is_in_sync_or_out_of_sync(shown):
    assert shown(JOB, JOB, is_daemon=True) == snapshot("""\
jobs.yaml against http://sinkd:9000

In sync (3f2c1a9b07d4)
""")
    assert "In sync (3f2c1a9b07d4). The text differs, the jobs do not.\n" in shown(
        JOB, JOB + "\n", is_daemon=True
    )
    assert "\nOut of sync: 1 job differs\n\n  ~ one" in shown(
        JOB, JOB.replace("30", "20"), is_daemon=True
    )
    assert "\nOut of sync: 4 jobs differ\n" in shown(BEFORE, AFTER, is_daemon=True)


def test_what_a_daemon_holds_is_listed(shown):
    pauses = {
        "one": Pause(parse_rfc3339("2026-11-23T14:30:00Z"), "vendor maintenance", "ann"),
        "two": Pause(parse_rfc3339("2026-11-24T09:00:00Z"), "\x1b[2J", "bob"),
    }
    assert shown(JOB, JOB, is_daemon=True, pauses=pauses) == snapshot("""\
jobs.yaml against http://sinkd:9000

In sync (3f2c1a9b07d4)
one is paused until 14:30 UTC by ann: vendor maintenance
two is paused until 2026-11-24 09:00 UTC by bob: \\x1b[2J
""")


def test_a_value_cannot_write_to_the_terminal(shown):
    after = JOB + '    description: "a\\u001b[31m\\nb"\n'
    assert r"none -> a\x1b[31m\x0ab" in shown(JOB, after)
