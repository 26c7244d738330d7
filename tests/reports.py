"""A day in the log of four jobs, for the tests of reports."""

from pathlib import Path

from sinkd import record
from sinkd.instant import rfc3339

NOW = 1_795_428_120.5  # 2026-11-23T10:02Z
DAY_AGO = 1_795_341_720
HOUR = 3600

JOBS = """\
version: 1
jobs:
  - name: refresh-cache
    description: Refresh the product cache
    labels: {team: shop}
    schedule: {interval_minutes: 15, start_minute: 5}
    request: {url: "http://127.0.0.1:9/cache"}
  - name: ping-billing
    schedule: {interval_minutes: 5}
    request: {url: "http://127.0.0.1:9/ping", method: GET}
  - name: nightly-report
    schedule: {at: "01:30", timezone: Europe/Berlin}
    request: {url: "http://127.0.0.1:9/nightly"}
  - name: warm-search
    schedule: {interval_minutes: 60}
    request: {url: "http://127.0.0.1:9/search"}
    enabled: false
"""


def run(job, at, duration_ms=180, status=200, **fields):
    ended = at + (duration_ms or 0) / 1000
    return {
        "v": 1,
        "seq": int(at * 1000),
        "run_id": record.run_id(job, int(at)),
        "job": job,
        "scheduled_at": rfc3339(int(at)),
        "trigger": "schedule",
        "outcome": "success",
        **({"status_code": status} if status else {}),
        "started_at": rfc3339(float(at)),
        "finished_at": rfc3339(float(ended)),
        "duration_ms": duration_ms,
        **fields,
    }


def not_run(job, at, outcome, reason, **fields):
    return {
        "v": 1,
        "seq": int(at * 1000),
        "run_id": record.run_id(job, at),
        "job": job,
        "scheduled_at": rfc3339(at),
        "outcome": outcome,
        "reason": reason,
        **fields,
    }


def failed(job, at, reason, **fields):
    return run(job, at, outcome="failure", reason=reason, **fields)


def event(name, at, **fields):
    return {"v": 1, "seq": int(at * 1000) + 1, "at": rfc3339(at), "event": name, **fields}


def day():
    """One day of four jobs, much as in a real log."""
    base = DAY_AGO - DAY_AGO % HOUR  # 2026-11-22T10:00Z
    yield not_run(
        "warm-search",
        base + HOUR,
        "missed",
        "down",
        count=2,
        last_scheduled_at=rfc3339(base + 2 * HOUR),
    )
    yield from (run("warm-search", base + hour * HOUR, 600, 204) for hour in range(3, 24))
    yield from (run("refresh-cache", base + 300 + 900 * index) for index in range(96))
    for index in range(1, 289):
        at = base + 300 * index
        if 157 <= index <= 163:
            yield failed("ping-billing", at, "http_status", duration_ms=90, status=503)
        else:
            yield run("ping-billing", at, 30)
    yield failed(
        "nightly-report",
        base + 14 * HOUR + 1800,
        "timeout",
        status=None,
        duration_ms=30_000,
        phase="headers",
        error="no answer from reports.example.com in 30 s",
    )


def write(records=(), events=()):
    for name, lines in (("runs", records), ("events", events)):
        ordered = sorted(lines, key=lambda line: line["seq"])
        Path(f".sinkd/{name}.jsonl").write_bytes(b"".join(map(record.line, ordered)))
