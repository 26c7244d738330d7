import json
import subprocess
import sys

import pytest
from inline_snapshot import snapshot

from sinkd.commands.next import run_command
from sinkd.errors import SinkdError, UsageError
from sinkd.instant import parse_rfc3339
from sinkd.settings import Settings

NOW = parse_rfc3339("2026-11-23T10:02:40.900Z")

JOBS = """\
version: 1
defaults: {timezone: America/New_York}
jobs:
  - name: refresh-cache
    schedule: {interval_minutes: 15, start_minute: 5}
    request: {url: "https://api.example.com/v1/cache?key=${env:CACHE_KEY}"}
  - name: ping-billing
    schedule: {interval_minutes: 5}
    request: {url: "https://billing.example.com/healthz", method: GET}
  - name: trading-bot
    schedule: {at: "09:00", days: [mon, tue, wed, thu, fri]}
    request: {url: "https://agents.example.com/execute"}
  - name: old-sync
    enabled: false
    schedule: {interval_minutes: 1}
    request: {url: "https://old.example.com/sync"}
"""


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "jobs.yaml").write_text(JOBS, encoding="utf-8")
    return Settings(config=tmp_path / "jobs.yaml", data_dir=tmp_path / "data")


@pytest.fixture
def shown(settings, capsys):
    def shown(*jobs, **options):
        assert run_command(settings, jobs=jobs, **({"now": NOW} | options)) == 0
        return capsys.readouterr().out

    return shown


def test_the_next_slots_of_all_enabled_jobs_are_listed(shown):
    assert shown(number=6) == snapshot("""\
2026-11-23 10:02:40 UTC                                    jobs.yaml, 4 jobs
10:05   in  2 min 20 s   ping-billing    GET    https://billing.example.com/healthz
10:05   in  2 min 20 s   refresh-cache   POST   https://api.example.com/v1/cache
10:10   in  7 min 20 s   ping-billing    GET    https://billing.example.com/healthz
10:15   in 12 min 20 s   ping-billing    GET    https://billing.example.com/healthz
10:20   in 17 min 20 s   ping-billing    GET    https://billing.example.com/healthz
10:20   in 17 min 20 s   refresh-cache   POST   https://api.example.com/v1/cache
""")


def test_without_a_number_each_enabled_job_shows_its_next_slot(settings, shown):
    every_minute = JOBS.replace("interval_minutes: 5}", "interval_minutes: 1}")
    settings.config.write_text(every_minute)
    assert shown() == snapshot("""\
2026-11-23 10:02:40 UTC                                    jobs.yaml, 4 jobs
10:03   in       20 s   ping-billing    GET    https://billing.example.com/healthz
10:05   in 2 min 20 s   refresh-cache   POST   https://api.example.com/v1/cache
14:00   in 3 h 57 min   trading-bot     POST   https://agents.example.com/execute
""")
    assert [each["job"] for each in json.loads(shown(output_format="json"))] == [
        "ping-billing",
        "refresh-cache",
        "trading-bot",
    ]


def test_ten_slots_of_the_jobs_named_are_listed(shown):
    due = json.loads(shown("ping-billing", "trading-bot", output_format="json"))
    assert [each["job"] for each in due] == ["ping-billing"] * 10


def test_another_zone_has_a_column_of_its_own(shown):
    assert shown("ping-billing", number=2, zone="Asia/Kathmandu") == snapshot("""\
2026-11-23 10:02:40 UTC, 15:47:40 Asia/Kathmandu           jobs.yaml, 4 jobs
10:05   15:50   in 2 min 20 s   ping-billing   GET   https://billing.example.com/healthz
10:10   15:55   in 7 min 20 s   ping-billing   GET   https://billing.example.com/healthz
""")


def test_slots_of_another_day_show_their_date(shown):
    assert shown("trading-bot", number=3, zone="America/New_York") == snapshot("""\
2026-11-23 10:02:40 UTC, 05:02:40 America/New_York         jobs.yaml, 4 jobs
2026-11-23 14:00   2026-11-23 09:00   in 3 h 57 min   trading-bot   POST   https://agents.example.com/execute
2026-11-24 14:00   2026-11-24 09:00   in    1 d 3 h   trading-bot   POST   https://agents.example.com/execute
2026-11-25 14:00   2026-11-25 09:00   in    2 d 3 h   trading-bot   POST   https://agents.example.com/execute
""")


def test_the_load_is_a_strip_with_the_least_used_minute(shown):
    assert shown(number=1, load=True) == snapshot("""\
2026-11-23 10:02:40 UTC                                    jobs.yaml, 4 jobs
10:05   in 2 min 20 s   ping-billing   GET   https://billing.example.com/healthz

Runs started in a minute of the hour (most: 2 at :00)
  :00  :05  :10  :15  :20  :25  :30  :35  :40  :45  :50  :55
 |█    █    ▄    ▄    █    ▄    ▄    █    ▄    ▄    █    ▄    |
Minute :01 has none.
""")


def test_slots_after_an_instant_in_the_past_were_some_time_ago(shown):
    assert shown("ping-billing", number=3, start="-10m") == snapshot("""\
2026-11-23 10:02:40 UTC                                    jobs.yaml, 4 jobs
09:55   7 min 40 s ago   ping-billing   GET   https://billing.example.com/healthz
10:00   2 min 40 s ago   ping-billing   GET   https://billing.example.com/healthz
10:05   in 2 min 20 s    ping-billing   GET   https://billing.example.com/healthz
""")


def test_json_names_the_job_the_slot_its_local_time_and_the_seconds_to_it(shown):
    due = json.loads(
        shown(
            "trading-bot",
            "refresh-cache",
            start="2026-11-23T13:50Z",
            number=2,
            output_format="json",
        )
    )
    assert due == snapshot(
        [
            {
                "job": "trading-bot",
                "scheduled_at": "2026-11-23T14:00:00Z",
                "local": "2026-11-23T09:00:00-05:00",
                "in_seconds": 14240,
            },
            {
                "job": "refresh-cache",
                "scheduled_at": "2026-11-23T14:05:00Z",
                "local": "2026-11-23T14:05:00+00:00",
                "in_seconds": 14540,
            },
        ]
    )
    assert [each["scheduled_at"] for each in due] == sorted(each["scheduled_at"] for each in due)


def test_json_shows_the_zone_that_was_asked_for(shown):
    (due,) = json.loads(shown("ping-billing", number=1, output_format="json", zone="Asia/Tokyo"))
    assert due["local"] == "2026-11-23T19:05:00+09:00"


@pytest.mark.parametrize(
    ("jobs", "first"),
    [
        (["trading-bot"], "2026-11-24T14:00:00Z"),  # 09:00 is 14:00Z: later than that
        (["refresh-cache"], "2026-11-23T09:05:00Z"),
        (["trading-bot", "refresh-cache"], "2026-11-23T09:05:00Z"),
    ],
)
def test_a_local_time_is_read_in_the_zone_of_the_one_job_named(shown, jobs, first):
    due = json.loads(shown(*jobs, start="09:00", number=1, output_format="json"))
    assert due[0]["scheduled_at"] == first


def test_a_job_named_twice_is_listed_once(shown):
    due = json.loads(shown("ping-billing", "ping-billing", number=2, output_format="json"))
    assert due[0]["scheduled_at"] != due[1]["scheduled_at"]


def test_a_disabled_job_has_no_slots_and_says_so(settings, capsys):
    assert run_command(settings, jobs=["old-sync"], now=NOW) == 0
    printed = capsys.readouterr()
    assert printed.err == "sinkd: old-sync has no slots: it is `enabled: false`\n"
    assert len(printed.out.splitlines()) == 1


def test_a_file_without_jobs_has_no_slots(settings, shown):
    settings.config.write_text("version: 1\njobs: []\n")
    assert json.loads(shown(output_format="json")) == []
    assert "0 jobs" in shown(load=True)


def test_one_job_is_not_plural(settings, shown):
    settings.config.write_text(JOBS[: JOBS.index("  - name: ping")])
    assert shown().splitlines()[0].endswith(" jobs.yaml, 1 job")


def test_slots_before_the_end_of_a_pause_say_so(settings, shown):
    settings.data_dir.mkdir()
    paused = {"event": "job_paused", "job": "ping-billing", "until": "2026-11-23T10:10:00Z"}
    event = {
        "v": 1,
        "seq": 1,
        "at": "2026-11-23T10:00:00Z",
        "reason": "vendor",
        "by": "ann",
    } | paused
    (settings.data_dir / "runs.jsonl").touch()
    (settings.data_dir / "events.jsonl").write_text(json.dumps(event) + "\n")
    rows = shown("ping-billing", number=2).splitlines()[1:]
    assert [row.endswith("healthz   paused until 10:10") for row in rows] == [True, False]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"jobs": ["refresh-cach"]},
            "no job is named `refresh-cach` in jobs.yaml: did you mean `refresh-cache`?",
        ),
        (
            {"jobs": ["\x1b[2J"]},
            (
                r"no job is named `\x1b[2J` in jobs.yaml: there is `old-sync`, `ping-billing`, "
                "`refresh-cache`, `trading-bot`"
            ),
        ),
        (
            {"zone": "Europe/Berln"},
            "`Europe/Berln` is no IANA time zone: did you mean `Europe/Berlin`?",
        ),
        ({"zone": "right/UTC"}, "`right/UTC` is no IANA time zone: did you mean `Etc/UTC`?"),
        (
            {"load": True, "output_format": "json"},
            "`--load` draws a strip, which has no JSON: leave one of the two out",
        ),
    ],
)
def test_wrong_usage_is_named(settings, options, sentence):
    with pytest.raises(UsageError) as refused:
        run_command(settings, now=NOW, **options)
    assert str(refused.value) == sentence


def test_a_time_that_cannot_be_read_is_wrong_usage(settings):
    with pytest.raises(UsageError, match=r"`9:00` is not a time: .* read as America/New_York"):
        run_command(settings, jobs=["trading-bot"], start="9:00", now=NOW)


def test_the_errors_of_the_jobs_file_are_shown(settings, capsys):
    settings.config.write_text("version: 1\njobs: 3\n")
    with pytest.raises(SinkdError, match="has errors, so nothing was done") as refused:
        run_command(settings, now=NOW)
    assert refused.value.exit_code == 1
    assert "error[SNK111]" in capsys.readouterr().err


def test_the_command_line_reaches_the_command(settings):
    command = [sys.executable, "-m", "sinkd", "next", "-n", "2", "--from", "-1h", "-o", "json"]
    done = subprocess.run(
        [*command, "--config", settings.config], capture_output=True, timeout=60, check=True
    )
    assert len(json.loads(done.stdout)) == 2
