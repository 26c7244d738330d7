"""Notices are sent once, signed, without delaying a run, and leave an event each."""

import asyncio
import json
from datetime import UTC, datetime

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from sinkd import record, sealed, source
from sinkd.history import History
from sinkd.instant import parse_rfc3339, rfc3339
from sinkd.network import Policy
from sinkd.notices import Edges
from sinkd.notify import AT_ONCE, QUEUE_NOTICES, Notices, edges_of
from sinkd.runner import Runner, direct_transport
from sinkd.secrets import Secrets
from sinkd.testing import MemoryConfig, VirtualClock, World, run_virtual

START = "2026-11-23T08:59:30Z"
KEY = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ENV = {"KEY": KEY, "TOKEN": "tok-1234567890"}
HOOK = "https://hooks.example.com/${env:TOKEN}"
JOBS = """
jobs:
  - name: bot
    schedule: {interval_minutes: 15}
    request: {url: "https://a.example.com/${env:TOKEN}"}
"""


def file_of(*notify):
    return f"version: 1\nnotify: {json.dumps(list(notify))}\n{JOBS}"


class Town:
    """A world with one job and somebody who is told; `statuses` are the job's answers in turn."""

    def __init__(self, tmp_path, text, statuses=(), *, start=START, hook=200):
        self.told = []
        self.statuses = list(statuses)
        self.hook = hook
        self.data_dir = tmp_path / "data"
        self.config = MemoryConfig(text.encode())
        clock = VirtualClock(parse_rfc3339(start))
        self.world = World(self.data_dir, clock, self.config, self.answer, ENV, nap_seconds=60)

    async def answer(self, request):
        if request.url.host == "a.example.com":
            return httpx.Response(self.statuses.pop(0) if self.statuses else 200)
        self.told.append(request)
        if isinstance(self.hook, BaseException):
            raise self.hook
        if self.hook is None:
            await asyncio.sleep(3600)
        return httpx.Response(self.hook)

    def live(self, seconds, story=None):
        async def whole():
            daemon, first, origin = await self.world.assemble()
            edges = edges_of(self.data_dir, first.spec.jobs, self.world.clock.wall())
            log = daemon.store.log
            notices = Notices(edges, daemon.runner, log, lambda: daemon.spec.notify)
            log.listeners.append(notices.observe)
            telling = asyncio.create_task(notices.serve())
            started = {"version": "1", "pid": 1, "host": "virtual"}
            running = asyncio.create_task(daemon.run(first, source=origin, started=started))
            await asyncio.sleep(seconds)
            if story:
                await story()
            daemon.stop("SIGTERM")
            await running
            telling.cancel()
            daemon.store.close()

        run_virtual(whole())
        return self

    @property
    def bodies(self):
        return [json.loads(request.content) for request in self.told]

    @property
    def events(self):
        found = [
            dict(each) for each in History(self.data_dir).events() if each["event"] == "notify"
        ]
        return [{key: each[key] for key in each if key not in {"v", "seq", "at"}} for each in found]


def test_a_job_that_fails_and_recovers_is_told_with_an_event_of_each(tmp_path):
    town = Town(tmp_path, file_of({"url": HOOK}), [200, 500, 500, 200]).live(3600)
    assert [(body["on"], body["job"]) for body in town.bodies] == [
        ("failure", "bot"),
        ("recovery", "bot"),
    ]
    assert town.bodies[0]["run"]["status_code"] == 500
    assert town.events == [
        {"event": "notify", "on": "failure", "job": "bot", "status_code": 200},
        {"event": "notify", "on": "recovery", "job": "bot", "status_code": 200},
    ]


def test_only_what_an_address_asks_for_goes_there(tmp_path):
    both = [
        {"url": HOOK, "on": ["recovery"]},
        {"url": "https://other.example.com/", "on": ["failure"]},
    ]
    town = Town(tmp_path, file_of(*both), [500, 200]).live(1800)
    assert [request.url.host for request in town.told] == ["other.example.com", "hooks.example.com"]


def test_a_notice_is_one_post_of_json_with_own_headers_and_the_signature_of_its_bytes(tmp_path):
    to = {
        "url": HOOK,
        "headers": {"Authorization": "Bearer ${env:TOKEN}"},
        "signing_secret": "${env:KEY}",
    }
    (request,) = Town(tmp_path, file_of(to), [500]).live(60).told
    assert (request.method, str(request.url)) == (
        "POST",
        f"https://hooks.example.com/{ENV['TOKEN']}",
    )
    assert request.headers["authorization"] == f"Bearer {ENV['TOKEN']}"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"].startswith("sinkd/")
    at = int(request.headers["webhook-timestamp"])
    assert abs(at - parse_rfc3339(START)) < 60
    when = datetime.fromtimestamp(at, UTC)
    signed = Webhook(KEY).sign(request.headers["webhook-id"], when, request.content.decode())
    assert request.headers["webhook-signature"] == signed


def test_the_network_policy_of_runs_is_that_of_notices(tmp_path):
    (to,) = source.load(file_of({"url": "http://127.0.0.1:9/"}).encode()).spec.notify

    async def tell():
        transport = direct_transport(policy=Policy(public_only=True))
        return await Runner(transport, Secrets({}, ()), now=lambda: 0).tell(to, "failure a", {})

    assert asyncio.run(tell()).reason == "policy"


@pytest.mark.parametrize(
    ("hook", "said"),
    [
        (500, {"status_code": 500, "error": "answered 500"}),
        (httpx.ConnectError("refused"), {"error": "connect: ConnectError, refused"}),
        (None, {"error": "headers: TimeoutError, not done within 10 s"}),
    ],
)
def test_a_notice_that_fails_is_an_event_and_never_sent_again(tmp_path, hook, said):
    town = Town(tmp_path, file_of({"url": HOOK}), [500, 500], hook=hook).live(1800)
    assert len(town.told) == 1
    (event,) = town.events
    assert event.pop("error").startswith(said.pop("error").split(":")[0])
    assert event == {"event": "notify", "on": "failure", "job": "bot", **said}


def test_a_missing_secret_is_told_by_name_and_nothing_is_sent(tmp_path):
    town = Town(tmp_path, file_of({"url": "https://hooks.example.com/${env:GONE}"}), [500]).live(60)
    assert town.told == []
    assert town.events[0]["error"] == "`${env:GONE}` is not set in the daemon's environment"
    missing = [
        each for each in History(town.data_dir).events() if each["event"] == "secret_missing"
    ]
    assert [(each["reference"], each["jobs"]) for each in missing] == [("${env:GONE}", [])]


def test_no_secret_is_in_a_notice_and_no_text_of_a_record_is_taken_for_a_reference(tmp_path):
    class Echo(Town):
        async def answer(self, request):
            if request.url.host == "a.example.com":
                message = f"no way to {request.url} for ${{env:TOKEN}}"
                raise httpx.ConnectError(message)
            return await super().answer(request)

    (request,) = Echo(tmp_path, file_of({"url": HOOK})).live(60).told
    assert ENV["TOKEN"] not in request.content.decode()
    assert "${env:TOKEN}" in request.content.decode()


def test_a_slow_receiver_delays_no_run(tmp_path):
    town = Town(tmp_path, file_of({"url": HOOK}), [500, 200] * 4, hook=None).live(7200)
    late = [run["late_ms"] for run in History(town.data_dir).runs()]
    assert len(late) == 8
    assert max(late) < 100


def test_a_restart_tells_nothing_twice_and_forgets_nothing(tmp_path):
    Town(tmp_path, file_of({"url": HOOK}), [500]).live(60)
    again = Town(tmp_path, file_of({"url": HOOK}), [500, 200], start="2026-11-23T09:14:30Z").live(
        1800
    )
    assert [body["on"] for body in again.bodies] == ["recovery"]


def test_a_refused_file_is_told_once_and_not_again_at_a_restart(tmp_path):
    town = Town(tmp_path, file_of({"url": HOOK, "on": ["config_refused"]}))

    async def break_it():
        for text in (b"version: 2", b"version: 3"):
            town.config.write(text)
            await asyncio.sleep(20)

    town.live(10, break_it)
    (body,) = town.bodies
    assert body["event"]["event"] == "config_refused"
    assert body["text"].startswith("the jobs file is refused, the one before stays in use: 1:1 ")
    again = Town(tmp_path, "version: 3", start="2026-11-23T09:01:00Z").live(10)
    assert again.told == []


def run_of(seq, outcome, **fields):
    at = rfc3339(parse_rfc3339(START) + 60 * seq)
    return {
        "v": 1,
        "seq": seq,
        "job": "bot",
        "run_id": f"bot@{seq}",
        "scheduled_at": at,
        "outcome": outcome,
        **fields,
    }


@pytest.mark.parametrize(
    ("old", "new", "fails"),
    [
        ([], [], False),
        ([("success", {}), ("failure", {"reason": "dns"})], [], True),
        ([("failure", {"reason": "dns"}), ("success", {})], [], False),
        ([("failure", {"reason": "dns"}), ("skipped", {"reason": "paused"})], [], True),
        ([("success", {}), ("skipped", {"reason": "paused"})], [], False),
        ([("failure", {"reason": "dns"})], [("success", {})], False),
        ([("success", {})], [("missed", {"reason": "down"})], True),
        ([("success", {})], [("interrupted", {"reason": "shutdown"})], False),
    ],
)
def test_which_jobs_fail_is_known_from_summaries_and_the_log(tmp_path, old, new, fails):
    records = [
        run_of(seq, outcome, **fields) for seq, (outcome, fields) in enumerate([*old, *new], 1)
    ]
    if old:
        segment = tmp_path / "runs-20261123T090000Z.jsonl"
        segment.write_bytes(b"".join(map(record.line, records[: len(old)])))
        summary = tmp_path / "runs-20261123T090000Z.summary.json"
        summary.write_bytes(sealed.summary_of(segment))
        segment.unlink()
    (tmp_path / "runs.jsonl").write_bytes(b"".join(map(record.line, records[len(old) :])))
    assert ("bot" in edges_of(tmp_path, {"bot"}, 0).failing) == fails


def test_a_sealed_file_in_which_a_job_was_only_paused_changes_nothing(tmp_path):
    for seq, fields in (
        (1, {"outcome": "failure", "reason": "dns"}),
        (2, {"outcome": "skipped", "reason": "paused"}),
    ):
        segment = tmp_path / f"runs-2026112{seq}T090000Z.jsonl"
        segment.write_bytes(record.line(run_of(seq, **fields)))
        segment.with_suffix(".summary.json").write_bytes(sealed.summary_of(segment))
    assert edges_of(tmp_path, {"bot"}, 0).failing == {"bot"}


def test_a_job_that_is_no_longer_in_the_file_does_not_fail(tmp_path):
    (tmp_path / "runs.jsonl").write_bytes(record.line(run_of(1, "failure", reason="dns")))
    assert edges_of(tmp_path, {"another"}, 0).failing == set()


class Crowd:
    """A runner that keeps everybody waiting, and the log of a crowd."""

    def __init__(self):
        self.in_flight = 0
        self.events = []

    async def tell(self, *_):
        self.in_flight += 1
        await asyncio.sleep(3600)

    def event(self, name, **fields):
        self.events.append((name, fields))


def test_a_few_are_in_flight_some_wait_and_more_are_dropped_with_an_event():
    crowd = Crowd()
    (to,) = source.load(file_of({"url": HOOK}).encode()).spec.notify

    async def live():
        notices = Notices(Edges(), crowd, crowd, lambda: [to])
        telling = asyncio.create_task(notices.serve())
        await asyncio.sleep(0.1)
        for number in range(AT_ONCE + QUEUE_NOTICES + 1):
            failed = {**run_of(1, "failure", reason="dns"), "job": f"job-{number}"}
            notices.observe(record.line(failed))
            await asyncio.sleep(0)
        telling.cancel()

    run_virtual(live())
    assert crowd.in_flight == AT_ONCE
    (name, said), *more = crowd.events
    assert (name, said["error"], more) == ("notify", "not sent: 1,000 notices wait already", [])
