"""The files for monitoring say only what sinkd says: alerts, dashboard, lnav, the table of metrics."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from prometheus_client.core import HistogramMetricFamily
from pydantic_core import to_json

from sinkd import record
from sinkd.metrics import FAMILIES

DEPLOY = Path(__file__).parent.parent / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
RULES = yaml.safe_load((PROMETHEUS / "rules.yaml").read_text())["groups"][0]["rules"]
DASHBOARD = json.loads((DEPLOY / "grafana" / "sinkd.json").read_text())


def run(*command, **options):
    """Run a program, which must succeed, and return what it printed."""
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True, text=True, check=False, timeout=60, stdin=subprocess.DEVNULL, **options,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_alerts_fire_when_they_must_and_leave_new_restarted_and_weekday_jobs_alone(program):
    assert "SUCCESS" in run(program("promtool"), "test", "rules", PROMETHEUS / "rules_test.yaml")


def test_every_alert_is_tested():
    tests = (PROMETHEUS / "rules_test.yaml").read_text()
    assert [rule["alert"] for rule in RULES if rule["alert"] not in tests] == []


def test_prometheus_reads_its_configuration_and_the_rules(program):
    said = run(program("promtool"), "check", "config", PROMETHEUS / "prometheus.yaml")
    assert f"{len(RULES)} rules found" in run(
        program("promtool"), "check", "rules", PROMETHEUS / "rules.yaml"
    )
    assert "1 rule files found" in said


def test_the_job_of_a_metric_is_a_job_of_sinkd_after_a_scrape():
    scrape = yaml.safe_load((PROMETHEUS / "prometheus.yaml").read_text())["scrape_configs"]
    assert all(each["honor_labels"] for each in scrape)


def queries():
    """Yield each query of the dashboard, with its variables filled in, and of the alerts."""
    variables = {"$__rate_interval": "5m", "$job": ".*"}
    panels = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
    for query in [target["expr"] for panel in panels for target in panel["targets"]]:
        yield re.sub(r"\$\w+", lambda found: variables[found[0]], query)
    yield from (rule["expr"] for rule in RULES)


@pytest.mark.parametrize("query", list(queries()))
def test_a_query_uses_only_names_and_labels_that_the_metrics_have(query):
    histograms = [name for name in FAMILIES if FAMILIES[name].kind is HistogramMetricFamily]
    families = dict(zip(FAMILIES, FAMILIES, strict=True))
    for suffix in ("_bucket", "_sum", "_count"):
        families |= {name + suffix: name for name in histograms}
    named = re.findall(r"\b(sinkd_\w+)(?:\{(.*?)\})?", query)
    assert named
    allowed = {"instance"}
    for name, matchers in named:
        labels = set(FAMILIES[families[name]].labels)
        allowed |= labels | ({"le"} if name.endswith("_bucket") else set())
        assert set(re.findall(r"(\w+)\s*[=!]", matchers)) <= labels
    grouped = [label for found in re.findall(r"by \((.*?)\)", query) for label in found.split(", ")]
    assert set(grouped) <= allowed


def test_prometheus_understands_every_query_of_the_dashboard(program, tmp_path):
    rules = [{"record": f"query:{n}", "expr": query} for n, query in enumerate(queries())]
    file = tmp_path / "queries.yaml"
    file.write_bytes(to_json({"groups": [{"name": "all", "rules": rules}]}))
    assert f"{len(rules)} rules found" in run(program("promtool"), "check", "rules", file)


def test_the_dashboard_has_its_rows_and_asks_for_a_data_source_and_a_job():
    rows = [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"]
    assert rows == ["Now", "Outcomes", "Durations", "Scheduler", "Jobs"]
    assert [each["name"] for each in DASHBOARD["templating"]["list"]] == ["datasource", "job"]
    sources = {panel["datasource"]["uid"] for panel in DASHBOARD["panels"] if "datasource" in panel}
    assert sources == {"${datasource}"}
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)


def test_the_table_of_metrics_is_the_one_of_the_code():
    text = (DEPLOY / "README.md").read_text()
    rows = [
        f"| `{name}` | {' '.join(f'`{label}`' for label in family.labels)} | {family.help} |"
        for name, family in FAMILIES.items()
    ]
    table = "\n".join(["| metric | labels | what it says |", "| --- | --- | --- |", *rows])
    assert table in text, table


RUN = {
    "v": 1, "seq": 3, "run_id": "a@2026-11-23T09:00Z", "job": "a",
    "scheduled_at": "2026-11-23T09:00:00Z", "outcome": "success", "duration_ms": 180,
}  # fmt: skip
FAILED = {**RUN, "seq": 4, "outcome": "failure", "reason": "dns", "error": "no such host"}
MISSED = {**RUN, "seq": 5, "outcome": "missed", "reason": "down", "count": 5}


@pytest.fixture
def lnav(program, tmp_path):
    """Return a function that runs lnav, with our format installed, on a log of three records."""
    environment = os.environ | {"HOME": str(tmp_path), "TERM": "dumb"}
    environment.pop("XDG_CONFIG_HOME", None)
    run(program("lnav"), "-i", DEPLOY / "lnav" / "sinkd.json", env=environment)
    log = tmp_path / "runs.jsonl"
    log.write_bytes(b"".join(map(record.line, (RUN, FAILED, MISSED))))
    event = {"v": 1, "seq": 1, "at": "2026-11-23T08:59:00.000Z", "event": "log_failed"}
    (tmp_path / "events.jsonl").write_bytes(record.line(event))
    return lambda *arguments: run(program("lnav"), *arguments, cwd=tmp_path, env=environment)


def test_lnav_accepts_the_format(lnav):
    assert lnav("-C") == ""


def test_lnav_shows_runs_among_the_events_with_their_levels(lnav):
    query = ";SELECT log_level, job, outcome, duration_ms FROM sinkd_runs"
    rows = json.loads(lnav("-n", "-c", query, "-c", ":write-json-to -", "runs.jsonl"))
    assert [row["log_level"] for row in rows] == ["info", "error", "warning"]
    assert rows[0] | {"log_level": ""} == {
        "log_level": "", "job": "a", "outcome": "success", "duration_ms": 180
    }  # fmt: skip
    shown = lnav("-n", "runs.jsonl", "events.jsonl").splitlines()
    assert shown[0] == "2026-11-23 08:59:00 log_failed"
    assert "failure     a dns  no such host" in "\n".join(shown)
