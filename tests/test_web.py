"""The pages and the API over a daemon that stands still, spoken to without a network."""

import asyncio
import json
import re
import threading
from dataclasses import replace
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import httpx
import pytest
from jsonschema import Draft202012Validator

from sinkd import record, remote, revisions, schemas, source
from sinkd.instant import rfc3339
from sinkd.lines import Lines
from sinkd.secrets import Secrets
from sinkd.spec import Notify
from sinkd.state import JobState, Pause
from sinkd.web.app import create_app
from sinkd.web.feed import Feed, read
from sinkd.web.gently import GentleHistory, Reader, StoppedError
from sinkd.web.guard import Access
from sinkd.web.look import Look
from sinkd.web.stream import STREAMS

NOW = 1_795_428_200.0  # 2026-11-23T10:03:20Z
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
TEXT = """\
version: 1
jobs:
  - name: calm
    description: "Keeps & <b>calm</b>"
    labels: {team: shop}
    schedule: {interval_minutes: 15}
    request:
      url: "https://calm.example/v1?key=literal-in-query"
      headers: {Authorization: "Bearer ${env:TOKEN}", X-Plain: literal-in-header}
  - name: broken
    labels: {team: billing}
    schedule: {interval_minutes: 5}
    request: {url: "https://broken.example/", method: GET}
  - name: held
    schedule: {at: "14:00", timezone: America/New_York}
    request: {url: "https://held.example/", method: GET}
  - name: off
    enabled: false
    schedule: {interval_minutes: 60}
    request: {url: "https://off.example/", method: GET}
"""


class Site:
    """The application over a daemon that runs this jobs file, and its clock that stands still."""

    def __init__(self, data_dir, text=TEXT, access=None):
        self.data_dir = data_dir
        spec = source.load(text.encode()).spec
        assert spec is not None
        (data_dir / revisions.DIRECTORY).mkdir(parents=True)
        (data_dir / revisions.DIRECTORY / f"{spec.revision}.yaml").write_text(text)
        self.daemon = SimpleNamespace(
            spec=spec,
            clock=SimpleNamespace(wall=lambda: NOW),
            store=SimpleNamespace(
                states={name: JobState(decided=0, schedule=None) for name in spec.jobs},
                log=SimpleNamespace(blocked=None, unwritable=None),
            ),
            flights=SimpleNamespace(of=lambda _: None),
            reloader=SimpleNamespace(refused=None),
            secrets=SimpleNamespace(missing=lambda _: self.daemon.missing),
            missing=set(),
            paused=set(),
            lines=Lines("2026f", "prod-1", spec.config, "8d21aa0f00c2"),
        )
        self.feed = Feed()
        self.feed.is_complete = True
        self.metrics = None
        self.is_alive = True
        self.access = access or Access(frozenset({"sinkd.test"}))
        self.seq = 0
        self.app = create_app(
            self, Look(self.feed, self.daemon, Reader(data_dir), data_dir, "file")
        )

    def run(self, job, minutes_ago, outcome="success", **fields):
        self.seq += 1
        slot = int(NOW // 60 - minutes_ago) * 60
        known = {"success": {"status_code": 200}}.get(outcome, {})
        line = {
            "v": 1, "seq": self.seq, "run_id": record.run_id(job, slot), "job": job,
            "scheduled_at": rfc3339(slot), "outcome": outcome, "trigger": "schedule",
            "started_at": rfc3339(slot + 0.012), "late_ms": 12, "duration_ms": 300, **known, **fields,
        }  # fmt: skip
        self.feed.show(record.line(line))
        return line

    def event(self, event, **fields):
        self.seq += 1
        line = {"v": 1, "seq": self.seq, "at": rfc3339(NOW), "event": event, **fields}
        self.feed.show(record.line(line))

    def get(self, path, method="GET", **headers):
        async def ask():
            transport = httpx.ASGITransport(self.app)
            named = {"Accept": "text/html", **headers}
            async with httpx.AsyncClient(transport=transport, base_url="http://sinkd.test") as to:
                return await to.request(method, path, headers=named)

        return asyncio.run(ask())


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


class Page(HTMLParser):
    """What matters of a page's markup: its tags, its ids, its text."""

    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.words = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", "".join(self.words))


def rows(page):
    return [attrs["id"] for tag, attrs in Page(page.text).tags if tag == "tr" and "id" in attrs]


def test_the_status_page_says_of_every_job_how_it_is_failing_ones_first(site):
    site.run("calm", 5)
    site.run("broken", 3, "failure", reason="http_status", status_code=503, error="503 came")
    page = site.get("/")
    text = Page(page.text).text
    assert rows(page) == ["job-broken", "job-calm", "job-held", "job-off"]
    assert "1 of 3 jobs is failing" in text
    assert "✕ failing" in text
    assert "\N{EN DASH} disabled" in text
    assert "every 15 min at :00 :15 :30 :45" in text
    assert "10:15 in 11 min 40 s" in text
    assert "1 1 ok, 0 failed" in text
    assert "prod-1" in text
    assert site.daemon.spec.config in text
    assert "commit 8d21aa0f00c2" in text


def test_hours_are_drawn_as_bars_with_words(site):
    site.run("calm", 65)
    site.run("calm", 5, "failure", reason="connect")
    page = site.get("/").text
    assert 'aria-label="last 24 hours: 1 ok, 1 failed"' in page
    assert '<path class="failed" d="M154 16v-6h5v6z"><title>09:00 UTC: 1 failed</title>' in page


def test_a_refused_file_is_named_with_line_and_column_and_missing_secrets_too(site):
    problems = [{"code": "SNK104", "line": 14, "column": 23, "message": "`24h` is no number"}]
    site.event("config_refused", revision="f" * 64, problems=problems, total=1)
    site.daemon.reloader.refused = object()
    site.daemon.missing = {"${env:TOKEN}"}
    text = Page(site.get("/").text).text
    assert "the one before stays in use: 14:23 24h is no number" in text
    assert "the secret ${env:TOKEN} is missing" in text


def test_the_missing_secret_of_a_notice_is_named_as_that_of_a_job_is(site):
    told = Notify("https://hooks.example/${env:HOOK}", ("failure",))
    site.daemon.spec = replace(site.daemon.spec, notify=(told,))
    site.daemon.secrets, site.daemon.missing = Secrets({"TOKEN": "a-secret"}, ()), {"${env:HOOK}"}
    assert site.get("/api/v1/status").json()["secrets_missing"] == ["${env:HOOK}"]


def test_who_paused_a_job_and_why_stands_in_its_row(site):
    pause = Pause(NOW + 3600, f"vendor {HOSTILE}", "ann")
    site.daemon.store.states["held"] = JobState(decided=0, schedule=None, pause=pause)
    site.daemon.paused = {"held"}
    page = site.get("/")
    assert "paused until 2026-11-23 11:03:20 UTC by ann: vendor" in Page(page.text).text
    assert HOSTILE not in page.text
    assert site.get("/api/v1/status").json()["paused"][0]["by"] == "ann"


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("?q=CAL", ["job-calm"]),
        ("?state=disabled", ["job-off"]),
        ("?label=team=billing", ["job-broken"]),
        ("?label=team=shop&label=tier=1", []),
        ("?state=nonsense&q=", ["job-calm", "job-broken", "job-held", "job-off"]),
        ("?rows=off&rows=calm", ["job-calm", "job-off"]),
    ],
)
def test_search_and_filters_work_in_the_url(site, query, shown):
    assert rows(site.get(f"/{query}")) == shown


def test_hostile_errors_and_header_values_are_text_on_every_page(site):
    run = site.run(
        "broken", 3, "failure", reason="protocol", error=HOSTILE,
        response_headers={"x-a": HOSTILE}, blocked_by=HOSTILE,
    )  # fmt: skip
    site.daemon.lines = Lines("2026f", HOSTILE)
    for path in (
        "/",
        "/jobs/broken",
        f"/runs/{run['run_id']}",
        f"/?q={HOSTILE}",
        f"/jobs/{HOSTILE}",
    ):
        page = site.get(path)
        tags = Page(page.text).tags
        assert "<script>alert" not in page.text, path
        assert [attrs for tag, attrs in tags if tag == "script"] == [
            {"src": "/static/sinkd.js", "defer": None}
        ]
        assert not [attrs for _, attrs in tags if "style" in attrs or "onerror" in attrs], path
    assert HOSTILE in Page(site.get("/jobs/broken").text).text


def test_the_job_page_shows_runs_slots_and_its_own_lines_without_header_and_query_values(site):
    site.run("calm", 5, response_headers={"x-session-id": "sess-7"})
    page = site.get("/jobs/calm").text
    text = Page(page).text
    assert "x-session-id: sess-7" in text
    assert "2026-11-23 10:15 UTC" in text
    assert '"…${env:TOKEN}"' in text
    assert "literal-in" not in page
    assert '<td class="number">3</td><td>  - name: calm</td>' in page
    assert "https://calm.example/v1?…" in text
    assert 'aria-label="durations of 1 runs, from 0.30 s to 0.30 s"' in page


def test_a_job_page_keeps_the_last_50_lines(site):
    for minutes in range(70, 0, -1):
        site.run("calm", minutes)
    runs = site.get("/api/v1/jobs/calm/runs").json()["runs"]
    assert [run["seq"] for run in runs] == list(range(70, 20, -1))


def test_a_run_is_found_in_memory_and_in_the_log(site):
    old = site.run("calm", 9000)
    (site.data_dir / "runs.jsonl").write_bytes(record.line(old))
    for minutes in range(60, 0, -1):
        site.run("calm", minutes)
    assert site.get(f"/runs/{old['run_id']}").status_code == 200
    assert site.get("/runs/calm@2000-01-01T00:00Z").status_code == 404


def test_why_is_answered_for_any_minute_and_a_wrong_time_is_said(site):
    site.run("calm", 18)
    (site.data_dir / "runs.jsonl").write_bytes(record.line(site.run("calm", 3)))
    answer = site.get("/why?job=calm&time=10:00")
    assert answer.status_code == 200
    assert "2026-11-23 10:00 UTC" in Page(answer.text).text
    wrong = site.get("/why?job=calm&time=soon")
    assert wrong.status_code == 400
    assert "soon" in Page(wrong.text).text
    assert site.get("/why?job=none&time=10:00").status_code == 404


def test_answers_fit_their_schemas(site):
    site.run("calm", 5)
    site.run("broken", 3, "failure", reason="connect", error="refused")
    for path, name in (
        ("/api/v1/status", "status"),
        ("/api/v1/config", "api-config"),
        ("/api/v1/jobs", "api-jobs"),
        ("/api/v1/jobs/broken/runs", "api-runs"),
        ("/badge/broken.json", "badge"),
    ):
        answer = site.get(path)
        assert answer.headers["content-type"] == "application/json", path
        Draft202012Validator(schemas.schema(name)).validate(answer.json())
    assert site.get("/api/v1/jobs/none/runs").status_code == 404
    assert site.get("/badge/calm.json").json() == {
        "schemaVersion": 1, "label": "calm", "message": "ok, 100.0 %", "color": "brightgreen",
    }  # fmt: skip


def test_plan_reads_what_runs_from_the_api(site):
    body = site.get("/api/v1/config").content

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.handle_request).start()
        running = remote.fetch_config(f"http://127.0.0.1:{server.server_port}/")
    assert (running.text, running.revision) == (TEXT, site.daemon.spec.revision)


def test_the_calendar_is_bounded_folded_and_stable(site):
    calendar = site.get("/calendar.ics")
    assert calendar.headers["content-type"] == "text/calendar; charset=utf-8"
    lines = calendar.content.split(b"\r\n")
    assert lines[-1] == b""
    assert max(map(len, lines)) <= 75
    assert not any(b"\n" in line for line in lines)
    unfolded = calendar.text.replace("\r\n ", "")
    assert "UID:calm@2026-11-23T10:15Z@sinkd\r\n" in unfolded
    assert unfolded.count("UID:calm@") == 50
    assert "UID:off@" not in unfolded
    assert "DESCRIPTION:Keeps & <b>calm</b>\\nevery 15 min" in unfolded


def test_health_is_the_loop_s_and_readiness_the_log_s_too(site):
    site.daemon.reloader.refused = object()
    assert [site.get(f"/-/{each}", Host="evil").status_code for each in ("healthy", "ready")] == [
        200,
        200,
    ]
    site.daemon.store.log.blocked = OSError(28, "full")
    assert site.get("/-/healthy").status_code == 200
    assert site.get("/-/ready").status_code == 503
    site.is_alive = False
    assert site.get("/-/healthy").status_code == 503


def test_metrics_are_what_is_handed_in(site):
    assert site.get("/metrics").status_code == 404
    site.metrics = lambda accept: (b"sinkd_jobs 1\n", f"text/plain; asked={len(accept)}")
    assert site.get("/metrics", Accept="a/b").content == b"sinkd_jobs 1\n"


def test_a_stream_says_which_jobs_changed_since_a_number(site, monkeypatch):
    monkeypatch.setattr("sinkd.web.feed._COALESCE_SECONDS", 0)
    feed = site.feed

    async def told(**headers):
        sent = []
        scope = {
            "type": "http", "method": "GET", "path": "/events", "query_string": b"",
            "headers": [(b"host", b"sinkd.test")] + [
                (name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()
            ],
        }  # fmt: skip

        async def receive():
            await asyncio.Event().wait()

        async def send(message):
            sent.append(message.get("body", b""))
            if b"data:" in sent[-1]:
                feed.close()

        await asyncio.wait_for(site.app(scope, receive, send), 10)
        return b"".join(sent).decode()

    site.run("calm", 5)
    site.run("broken", 4)
    answer = asyncio.run(told(last_event_id="1"))
    assert answer == (
        'retry: 3000\n\nid: 2\nevent: change\ndata: {"all":false,"jobs":["broken"]}\n\n'
    )
    for seq, name in enumerate(("config_accepted", "config_refused", "secret_missing"), 2):
        feed.is_closed = False
        site.event(name)
        assert '"all":true' in asyncio.run(told(last_event_id=str(seq)))


def test_more_streams_than_64_get_503(site):
    async def open_many():
        started, codes = [], []

        async def stream():
            async def receive():
                await asyncio.Event().wait()

            async def send(message):
                if message["type"] == "http.response.start":
                    codes.append(message["status"])

            scope = {
                "type": "http", "method": "GET", "path": "/events", "query_string": b"",
                "headers": [(b"host", b"sinkd.test")],
            }  # fmt: skip
            await site.app(scope, receive, send)

        for _ in range(STREAMS + 2):
            started.append(asyncio.create_task(stream()))
            for _ in range(20):
                await asyncio.sleep(0)
        site.feed.close()
        await asyncio.wait_for(asyncio.gather(*started), 10)
        return codes

    codes = asyncio.run(open_many())
    assert codes == [200] * STREAMS + [503] * 2


def test_what_was_before_the_start_is_read_once_and_new_lines_are_not_lost(tmp_path):
    site = Site(tmp_path)
    before = [site.run("calm", minutes) for minutes in (5, 4, 3)]
    (tmp_path / "runs.jsonl").write_bytes(b"".join(map(record.line, before[:2])))
    (tmp_path / "events.jsonl").write_bytes(b"")
    feed = Feed()
    feed.show(record.line(before[1]))  # it was written while the log was read, and read too
    feed.show(record.line(before[2]))

    async def fill():
        reader = Reader(tmp_path)
        await feed.fill(reader)
        reader.stop()

    asyncio.run(fill())
    assert feed.is_complete
    assert feed.overview.totals("calm").runs == 3
    assert [json.loads(line)["seq"] for line in feed.overview.past("calm").lines] == [1, 2, 3]


def test_a_past_that_cannot_be_read_does_not_hold_up_what_comes(tmp_path):
    site, feed = Site(tmp_path), Feed()
    feed.show(record.line(site.run("calm", 5)))
    asyncio.run(feed.fill(Reader(tmp_path / "none")))
    assert (feed.is_complete, feed.overview.totals("calm").runs) == (True, 1)


def test_reading_the_log_ends_when_the_daemon_stops(tmp_path):
    site = Site(tmp_path)
    lines = b"".join(record.line(site.run("calm", minutes)) for minutes in range(3000, 0, -1))
    (tmp_path / "runs.jsonl").write_bytes(lines)
    stopping = threading.Event()
    stopping.set()
    with pytest.raises(StoppedError):
        read(GentleHistory(tmp_path, stopping))
