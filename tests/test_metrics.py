"""`/metrics`: every name and label, fed by records, and what outlives the process."""

import asyncio
import json
import re
import subprocess
from pathlib import Path

import httpx
import pytest
from prometheus_client import exposition
from prometheus_client.openmetrics import exposition as open_exposition
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families

from sinkd import record, sealed
from sinkd.instant import parse_rfc3339, rfc3339
from sinkd.metrics import FAMILIES, Metrics, newest_runs
from sinkd.record import REASONS
from sinkd.state import Pause
from sinkd.testing import MemoryConfig, VirtualClock, World, run_virtual

OPEN_METRICS = "application/openmetrics-text; version=1.0.0"
START = "2026-11-23T08:59:30Z"
NINE = parse_rfc3339("2026-11-23T09:00:00Z")
CAUSES = sum(len(reasons) or 1 for reasons in REASONS.values())

FILE = """\
version: 1
jobs:
  - name: cache
    schedule: {interval_minutes: 15}
    request: {url: "https://a.example.com/cache"}
  - name: bot
    schedule: {at: "10:00", days: [mon, tue, wed, thu, fri], timezone: UTC}
    request: {url: "https://a.example.com/bot"}
    timeout_seconds: 600
  - name: off
    schedule: {interval_minutes: 60}
    request: {url: "https://a.example.com/off"}
    enabled: false
"""


def ok(request):
    return httpx.Response(200 if "cache" in str(request.url) else 500)


class Watched:
    """A world whose daemon is measured."""

    def __init__(self, tmp_path, text=FILE, start=START, answer=ok):
        self.config = MemoryConfig(text.encode())
        self.clock = VirtualClock(parse_rfc3339(start))
        self.data_dir = tmp_path / "data"
        self.last = None
        self.world = World(self.data_dir, self.clock, self.config, answer, nap_seconds=60)

    async def start(self):
        daemon, first, origin = await self.world.assemble()
        self.daemon, self.last = daemon, None
        self.metrics = Metrics(daemon, self.data_dir, dropped=lambda: 0)
        self.metrics.restore(newest_runs(self.data_dir))
        self.metrics.render()  # a scrape before the spec is there loses nothing
        daemon.store.log.listeners.append(self.metrics.observe)
        started = {"version": "1", "pid": 1, "host": "virtual"}
        self.running = asyncio.create_task(daemon.run(first, source=origin, started=started))
        await asyncio.sleep(0.1)

    def text(self):
        """Return what `/metrics` says now, or said at the end: the clock stops with the loop."""
        return (self.last[""] if self.last else self.metrics.render())[0]

    async def stop(self):
        self.daemon.stop("SIGTERM")
        await self.running
        self.last = {accept: self.metrics.render(accept) for accept in ("", OPEN_METRICS)}
        self.daemon.store.close()

    def read(self, name, **labels):
        """Return a value, or None without such a series."""
        return values(self).get((name, *sorted(labels.items())))


def values(watched):
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(watched.text().decode())
        for sample in family.samples
    }


def live(watched, story):
    async def whole():
        await watched.start()
        await story()
        await watched.stop()

    run_virtual(whole())
    return watched


def test_every_name_of_the_table_is_there_with_its_labels(tmp_path):
    watched = live(Watched(tmp_path), lambda: asyncio.sleep(3600 * 2))
    found = {}
    for name, *labels in values(watched):
        name = re.sub("_(bucket|sum|count)$", "", name)  # noqa: PLW2901
        found.setdefault(name, set()).update(label for label, _ in labels if label != "le")
    assert found == {name: set(family.labels) for name, family in FAMILIES.items()}


def test_what_became_of_runs_is_counted_and_timed(tmp_path):
    watched = Watched(tmp_path)

    async def story():
        await asyncio.sleep(45)
        assert watched.read("sinkd_runs_total", job="cache", outcome="success", reason="") == 1
        await asyncio.sleep(3600)

    live(watched, story)
    read = watched.read
    assert read("sinkd_runs_total", job="cache", outcome="success", reason="") == 5
    assert read("sinkd_runs_total", job="bot", outcome="failure", reason="http_status") == 1
    assert read("sinkd_run_duration_seconds_count", job="cache") == 5
    assert read("sinkd_run_duration_seconds_bucket", job="cache", le="+Inf") == 5
    assert read("sinkd_run_lateness_seconds_bucket", le="0.01") == 6
    assert read("sinkd_job_last_run_timestamp_seconds", job="bot") == NINE + 3600
    assert read("sinkd_job_last_success_timestamp_seconds", job="cache") == NINE + 3600
    assert read("sinkd_job_last_success_timestamp_seconds", job="bot") is None
    assert read("sinkd_job_next_run_timestamp_seconds", job="cache") == NINE + 3600 + 900
    assert read("sinkd_job_next_run_timestamp_seconds", job="off") is None
    assert read("sinkd_job_interval_seconds", job="bot") == 3 * 86400
    assert read("sinkd_job_timeout_seconds", job="bot") == 600


def test_counters_begin_at_0_with_every_outcome_and_reason(tmp_path):
    watched = live(Watched(tmp_path), lambda: asyncio.sleep(0))
    runs = {key: value for key, value in values(watched).items() if key[0] == "sinkd_runs_total"}
    assert len(runs) == 3 * CAUSES
    assert set(runs.values()) == {0}


def test_a_missed_range_adds_each_of_its_slots(tmp_path):
    watched = Watched(tmp_path)
    live(watched, lambda: asyncio.sleep(60))
    again = Watched(tmp_path, start="2026-11-23T13:02:00Z")
    live(again, lambda: asyncio.sleep(1))
    missed = again.read("sinkd_runs_total", job="cache", outcome="missed", reason="down")
    assert missed == 15  # the newest slot is caught up


def test_a_removed_job_has_no_series_and_a_new_one_begins_at_0(tmp_path):
    watched = Watched(tmp_path)

    async def story():
        await asyncio.sleep(60)
        watched.config.write(FILE.replace("cache", "catch").encode())
        await asyncio.sleep(20)

    live(watched, story)
    found = values(watched)
    assert not [key for key in found if ("job", "cache") in key]
    assert watched.read("sinkd_runs_total", job="catch", outcome="success", reason="") == 0
    assert watched.read("sinkd_config_reloads_total", result="accepted") == 2


def test_a_refused_file_shows_until_the_accepted_bytes_are_back(tmp_path):
    watched = Watched(tmp_path)
    reload = "sinkd_config_last_reload_successful"

    async def story():
        assert watched.read(reload) == 1
        watched.config.write(b"version: 2")
        await asyncio.sleep(20)
        assert watched.read(reload) == 0
        accepted_at = watched.read("sinkd_config_last_reload_success_timestamp_seconds")
        assert 0 <= accepted_at - parse_rfc3339(START) < 1
        watched.config.write(FILE.encode())
        await asyncio.sleep(20)
        assert watched.read(reload) == 1

    live(watched, story)
    assert watched.read("sinkd_config_reloads_total", result="refused") == 1


def test_a_pause_is_no_enabled_job_and_its_end_a_new_beginning(tmp_path):
    watched = Watched(tmp_path)
    begun = int(parse_rfc3339(START))

    async def story():
        assert watched.read("sinkd_job_loaded_timestamp_seconds", job="cache") == begun
        await watched.daemon.pause("cache", Pause(NINE + 3600, "deploy", "kim"))
        assert watched.read("sinkd_job_enabled", job="cache") == 0
        assert [
            watched.read("sinkd_jobs", state=each) for each in ("enabled", "disabled", "paused")
        ] == [1, 1, 1]
        assert watched.read("sinkd_job_next_run_timestamp_seconds", job="cache") == NINE + 3600
        await asyncio.sleep(100)
        await watched.daemon.resume("cache", "kim")

    live(watched, story)
    assert watched.read("sinkd_job_enabled", job="cache") == 1
    resumed = watched.read("sinkd_job_loaded_timestamp_seconds", job="cache")
    assert begun + 100 <= resumed <= begun + 101


def test_timestamps_outlive_the_process_and_counters_do_not(tmp_path):
    watched = Watched(tmp_path)
    live(watched, lambda: asyncio.sleep(3700))
    before = values(watched)
    again = Watched(tmp_path, start="2026-11-23T10:14:00Z")
    live(again, lambda: asyncio.sleep(1))
    after = values(again)
    kept = [
        key
        for key in before
        if re.search("_(loaded|last_run|last_success|success)_timestamp", key[0])
    ]
    assert len(kept) == 7
    assert {key: after[key] for key in kept} == {key: before[key] for key in kept}
    assert again.read("sinkd_runs_total", job="cache", outcome="success", reason="") == 0


def run_of(job, seq, at, outcome):
    return {
        "v": 1, "seq": seq, "job": job, "run_id": f"{job}@{seq}", "scheduled_at": rfc3339(at),
        "trigger": "schedule", "outcome": outcome, "started_at": rfc3339(at),
    }  # fmt: skip


def test_a_sealed_file_is_known_by_its_summary_alone(tmp_path):
    segment = tmp_path / "runs-20261123T090000Z.jsonl"
    lines = [run_of("a", 1, NINE, "success"), run_of("a", 2, NINE + 60, "failure")]
    segment.write_bytes(b"".join(map(record.line, lines)))
    (tmp_path / "runs-20261123T090000Z.summary.json").write_bytes(sealed.summary_of(segment))
    segment.write_bytes(record.line(run_of("a", 9, NINE + 999, "success")))
    current = [
        run_of("b", 3, NINE + 120, "failure"),
        {**run_of("b", 4, NINE, "missed"), "count": 1},
    ]
    (tmp_path / "runs.jsonl").write_bytes(b"".join(map(record.line, current)))
    found = {(run["job"], run["outcome"]): run["seq"] for run in newest_runs(tmp_path)}
    assert found == {("a", "success"): 1, ("a", "failure"): 2, ("b", "failure"): 3}


def test_an_empty_directory_knows_no_runs(tmp_path):
    assert newest_runs(tmp_path) == []


def test_both_formats_are_byte_for_byte_what_the_client_library_writes(tmp_path):
    watched = Watched(tmp_path)

    async def story():
        await asyncio.sleep(3600 * 2)
        assert watched.metrics.render()[0] == exposition.generate_latest(watched.metrics)
        written = open_exposition.generate_latest(watched.metrics)
        assert watched.metrics.render(OPEN_METRICS)[0] == written

    live(watched, story)


def test_a_scraper_gets_the_format_that_it_asks_for(tmp_path):
    watched = live(Watched(tmp_path), lambda: asyncio.sleep(60))
    text, kind = watched.last[OPEN_METRICS]
    assert kind.startswith(OPEN_METRICS)
    assert {family.name for family in open_metrics(text.decode())} == {
        re.sub("_(total|info)$", "", name) for name in FAMILIES
    }
    assert watched.last[""][1].startswith("text/plain; version=0.0.4")


def scraped(tmp_path):
    """Scrape a daemon every 30 minutes from a Thursday to a Monday; on Saturday it restarts."""
    pages = []

    async def scrape(watched, count):
        for _ in range(count):
            pages.append(values(watched))
            await asyncio.sleep(1800)

    for start, count in (("1970-01-01T00:00:00Z", 117), ("1970-01-03T10:35:00Z", 117)):
        watched = Watched(tmp_path, LIVES, start, fails_late)
        watched.world.nap_seconds = 3600
        live(watched, lambda watched=watched, count=count: scrape(watched, count))
    return pages


LIVES = """\
version: 1
jobs:
  - name: weekdays
    schedule: {at: "09:00", days: [mon, tue, wed, thu, fri], timezone: UTC}
    request: {url: "https://a.example.com/cache"}
  - name: daily
    schedule: {at: "08:00", timezone: UTC}
    request: {url: "https://a.example.com/cache"}
  - name: breaks
    schedule: {interval_minutes: 60}
    request: {url: "https://a.example.com/breaks"}
"""


def fails_late(request):
    """Answer with success, but the job `breaks` only until its third day."""
    late = request.headers["X-Sinkd-Scheduled-At"] > "1970-01-03T10"
    broken = late and "breaks" in str(request.url)
    return httpx.Response(500 if broken else 200)


@pytest.mark.slow
def test_no_alert_fires_for_a_new_job_a_restart_or_a_weekend_but_one_for_what_is_broken(
    program, tmp_path
):
    """The series come from the daemon's own code; promtool plays them to the rules."""
    pages = scraped(tmp_path)
    series = [
        {
            "series": f"{name}{{{','.join(f'{key}={json.dumps(value)}' for key, value in labels)}}}",
            "values": " ".join(
                "_x6" if (at := page.get((name, *labels))) is None else f"{at:.0f}x5"
                for page in pages
            ),
        }
        for name, *labels in {key for page in pages for key in page}
        if name.startswith("sinkd_job_")
    ]
    firing = "count by (job) (ALERTS{alertname='SinkdJobStale', alertstate='firing'})"
    expected = [
        {
            "expr": firing,
            "eval_time": f"{hours}h",
            "exp_samples": [{"labels": f'{{job="{job}"}}', "value": 1} for job in jobs],
        }
        for hours, jobs in (
            (1, []),
            (30, []),
            (59, []),
            (71, ["breaks"]),
            (104, ["breaks"]),
            (113, ["breaks"]),
        )
    ]
    test = {"interval": "5m", "input_series": series, "promql_expr_test": expected}
    file = tmp_path / "lives.yaml"
    rules = Path(__file__).parent.parent / "deploy" / "prometheus" / "rules.yaml"
    file.write_text(
        json.dumps({"rule_files": [str(rules)], "evaluation_interval": "5m", "tests": [test]})
    )
    played = subprocess.run(
        [program("promtool"), "test", "rules", str(file)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert played.returncode == 0, played.stdout + played.stderr


def test_promtool_finds_nothing_to_say_about_the_metrics(program, tmp_path):
    watched = live(Watched(tmp_path), lambda: asyncio.sleep(60))
    checked = subprocess.run(
        [program("promtool"), "check", "metrics"],
        input=watched.text(), capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
