"""The audit: lives of the real daemon are proven, and each damage to their files is found."""

import asyncio
import json
import random
import time
from pathlib import Path

import httpx
import jsonschema
import pytest
from inline_snapshot import snapshot
from sim import scenario
from sim.machine import Machine

from sinkd import schemas
from sinkd.audit import Answers, LastSign, audit
from sinkd.commands import audit as command
from sinkd.errors import UsageError
from sinkd.instant import parse_rfc3339, rfc3339
from sinkd.record import line
from sinkd.revisions import revision_of
from sinkd.settings import Settings
from sinkd.spec import Daily, Interval, Job, Request, Spec
from sinkd.testing import MemoryConfig, VirtualClock, World, run_virtual
from sinkd.timeline import spans, timeline

START = "2026-11-23T09:50:00Z"


def entry(name, schedule="{interval_minutes: 5}", more=""):
    url = f"http://{name}.example/run"
    return f"  - {{name: {name}, schedule: {schedule}, request: {{url: '{url}'}}{more}}}\n"


def jobs(*entries):
    return ("version: 1\njobs:\n" + "".join(entries)).encode()


JOBS = jobs(
    entry("poll"),
    entry("long", more=", timeout_seconds: 900"),
    entry("daily", '{at: ["10:05", "10:20", "11:10"], timezone: UTC}'),
)
OTHER = jobs(entry("poll", "{interval_minutes: 10}"), entry("long", more=", enabled: false"))


async def answer(request):
    await asyncio.sleep(400 if request.url.host == "long.example" else 0.1)
    return httpx.Response(200)


def live(data_dir, tell, data=JOBS):
    """Let `tell(world, life)` happen to a daemon; it ends as `tell` leaves it."""

    async def story():
        world = World(data_dir, VirtualClock(parse_rfc3339(START)), MemoryConfig(data), answer)
        ended = await tell(world, await world.start())
        if ended:
            await ended.stop()
        return world.clock.wall()

    return run_virtual(story())


async def eventful(world, life):
    """Overlaps, a crash, a downtime with a range for each job, a reload, a run by hand."""
    await asyncio.sleep(25 * 60)
    await life.daemon.trigger("daily")
    await asyncio.sleep(5 * 60)
    await life.crash()
    await asyncio.sleep(35 * 60)
    life = await world.start()
    await asyncio.sleep(10 * 60)
    world.config.write(OTHER)
    await asyncio.sleep(25 * 60)
    return life


@pytest.fixture
def eventful_life(tmp_path):
    """Make a data directory with an eventful life in it."""
    live(tmp_path, eventful)
    return tmp_path


@pytest.fixture
def look(capsys):
    """Audit a data directory: the exit code and the JSON object, which keeps its schema."""

    def look(data_dir, **options):
        settings = Settings(data_dir=data_dir)
        now = parse_rfc3339("2026-11-23T12:00:00Z")
        code = command.run_command(settings, output_format="json", now=now, **options)
        found = json.loads(capsys.readouterr().out)
        jsonschema.validate(found, schemas.schema("audit"))
        return code, found

    return look


def lines(data_dir):
    return (data_dir / "runs.jsonl").read_bytes().splitlines(keepends=True)


def rewrite(data_dir, new):
    (data_dir / "runs.jsonl").write_bytes(b"".join(new))


def answers_a_slot(text):
    return json.loads(text).get("trigger") != "manual"


# --- what is proven


def test_an_eventful_life_is_proven(eventful_life, look):
    code, found = look(eventful_life)
    assert (code, found["unanswered"], found["duplicates"]) == (0, [], [])
    # poll: 15 every 5 min, then 3 every 10; long: 15; daily: 2
    assert (found["checked"], found["until"]) == (35, "2026-11-23T11:30:00.700Z")


@pytest.mark.slow
def test_random_lives_are_proven_at_every_moment_of_theirs(tmp_path, look, monkeypatch):
    audits = 0
    sleep = Machine.sleep

    async def look_and_sleep(machine, seconds):
        nonlocal audits
        audits += 1
        data_dir = machine.world.data_dir
        before = {path.name: path.read_bytes() for path in data_dir.glob("*.jsonl")}
        assert look(data_dir)[0] == 0, before
        await sleep(machine, seconds)

    monkeypatch.setattr(Machine, "sleep", look_and_sleep)
    for seed in random.Random(4).sample(range(10**6), 6):
        (tmp_path / str(seed)).mkdir()
        scenario.play(seed, tmp_path / str(seed))
        assert look(tmp_path / str(seed))[0] == 0, seed
    assert audits > 20


def test_what_is_in_flight_or_waits_at_the_last_sign_of_life_is_no_error(tmp_path, look):
    async def tell(world, life):
        await asyncio.sleep(10 * 60 + 61)
        await life.crash()

    live(tmp_path, tell)
    code, found = look(tmp_path)
    assert (code, found["unanswered"]) == (0, [])
    assert found["notes"] == snapshot(
        [
            "no daemon runs; what came due after 2026-11-23 10:01 UTC (1 h 58 min ago) is answered at the next start",
            "long 2026-11-23 09:55 UTC: waiting or in flight at the last sign of life",
        ]
    )


def test_a_slot_may_have_two_answers_after_the_clock_was_set_back(tmp_path, look):
    async def tell(world, life):
        world.clock.step(7200)
        await asyncio.sleep(600)
        world.clock.step(-7200)
        await asyncio.sleep(3600)
        return life

    live(tmp_path, tell)
    assert look(tmp_path)[0] == 0
    events = (tmp_path / "events.jsonl").read_text().splitlines(keepends=True)
    steps = [text for text in events if "clock_step" in text]
    (tmp_path / "events.jsonl").write_text("".join(each for each in events if each != steps[1]))
    code, found = look(tmp_path)
    assert code == 1
    assert {slots["job"] for slots in found["duplicates"]} == {"poll", "long", "daily"}


async def set_back(world, life):
    """Set the clock back by an hour, then let the machine sleep over what was sent before."""
    await asyncio.sleep(1260)  # 10:11
    world.clock.step(-3600)  # 09:11
    await asyncio.sleep(1260)  # 09:32
    world.clock.suspend(3600)  # 10:32
    await asyncio.sleep(600)
    return life


def test_a_range_leaves_out_what_was_sent_before_the_clock_was_set_back(tmp_path, look):
    live(tmp_path, set_back)
    whole = lines(tmp_path)
    at = next(i for i, text in enumerate(whole) if b'"suspended"' in text and b'"poll"' in text)
    run = json.loads(whole[at])
    assert (run["scheduled_at"][11:16], run["last_scheduled_at"][11:16]) == ("09:35", "10:25")
    assert run["count"] == 11 - 4  # sent were 09:55, 10:00, 10:05, 10:10
    assert look(tmp_path)[0] == 0
    rewrite(tmp_path, [*whole[:at], line(run | {"count": 6}), *whole[at + 1 :]])
    assert [slots["count"] for slots in look(tmp_path)[1]["unanswered"]] == [1]


def test_what_was_due_after_the_clock_was_set_back_must_be_answered_too(tmp_path, look):
    live(tmp_path, set_back)
    rewrite(tmp_path, [each for each in lines(tmp_path) if b"poll@2026-11-23T09:15Z" not in each])
    code, found = look(tmp_path)
    assert (code, found["unanswered"][0]["scheduled_at"]) == (1, "2026-11-23T09:15:00Z")


def test_a_slot_that_was_sent_has_no_other_answer_even_after_the_clock_was_set_back(tmp_path, look):
    live(tmp_path, set_back)
    whole = lines(tmp_path)
    sent = json.loads(next(text for text in whole if b"poll@2026-11-23T09:55Z" in text))
    forged = {key: sent[key] for key in ("v", "run_id", "job", "scheduled_at")}
    forged |= {"seq": 10**6, "outcome": "skipped", "reason": "paused"}
    rewrite(tmp_path, [*whole, line(forged)])
    assert look(tmp_path)[1]["duplicates"][0]["seqs"] == [sent["seq"], 10**6]


def test_what_comes_due_while_a_daemon_drains_is_left_to_the_next_start(tmp_path, look):
    async def tell(world, life):
        await asyncio.sleep(597)  # in flight: the run of 09:55
        return life

    live(tmp_path, tell)
    code, found = look(tmp_path)
    assert (code, found["until"][:19], found["checked"]) == (0, "2026-11-23T09:59:57", 2)


# --- what is found


def test_each_line_that_is_removed_is_found(eventful_life, look):
    whole = lines(eventful_life)
    removed = [number for number, text in enumerate(whole) if answers_a_slot(text)]
    assert len(removed) > 20
    for number in removed:
        rewrite(eventful_life, whole[:number] + whole[number + 1 :])
        run = json.loads(whole[number])
        slots = {"job": run["job"], "scheduled_at": run["scheduled_at"]}
        slots["last_scheduled_at"] = run.get("last_scheduled_at", run["scheduled_at"])
        slots["count"] = run.get("count", 1)
        code, found = look(eventful_life)
        assert (code, found["unanswered"], found["duplicates"]) == (1, [slots], []), run


def test_each_line_that_is_repeated_is_found(eventful_life, look):
    whole = lines(eventful_life)
    for number, text in enumerate(whole):
        rewrite(eventful_life, [*whole, text])
        code, found = look(eventful_life)
        assert found["unanswered"] == []
        twice = [(slots["job"], slots["scheduled_at"]) for slots in found["duplicates"]]
        run = json.loads(text)
        expected = [(run["job"], run["scheduled_at"])] if answers_a_slot(text) else []
        assert (code, twice) == (len(expected), expected), number


@pytest.mark.parametrize(
    ("change", "unanswered"),
    [
        ({"count": 2}, 4),
        ({"last_scheduled_at": "2026-11-23T10:40:00Z", "count": 4}, 2),
        ({"last_scheduled_at": "2026-11-23T10:40:00Z"}, 2),
        ({"scheduled_at": "2026-11-23T10:30:00Z", "count": 5}, 1),
    ],
)
def test_a_range_that_is_made_shorter_is_found(eventful_life, look, change, unanswered):
    whole = lines(eventful_life)
    at = next(i for i, text in enumerate(whole) if b'"count":6' in text and b"poll" in text)
    run = json.loads(whole[at])
    rewrite(eventful_life, [*whole[:at], line(run | change), *whole[at + 1 :]])
    code, found = look(eventful_life)
    assert code == 1
    assert sum(slots["count"] for slots in found["unanswered"]) == unanswered


def test_a_range_that_counts_too_many_slots_is_found(eventful_life, look):
    whole = lines(eventful_life)
    at = next(i for i, text in enumerate(whole) if b'"count":6' in text and b"poll" in text)
    rewrite(eventful_life, [*whole[:at], whole[at].replace(b'"count":6', b'"count":7')])
    assert look(eventful_life)[1]["duplicates"][0]["count"] == 1


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(OTHER + b"#")])
def test_a_revision_that_is_missing_or_changed_is_found(eventful_life, look, damage):
    for path in sorted((eventful_life / "revisions").iterdir()):
        data = path.read_bytes()
        damage(path)
        code, found = look(eventful_life)
        assert (code, path.stem[:12] in found["notes"][0]) == (1, True)
        path.write_bytes(data)
    assert look(eventful_life)[0] == 0


def test_lines_that_cannot_be_read_are_counted(eventful_life, look):
    rewrite(eventful_life, [b"\0\0\n", *lines(eventful_life), b'{"torn'])
    code, found = look(eventful_life)
    assert code == 0
    assert "1 line of the run log cannot be read" in found["notes"]


# --- with less than all files


def test_without_a_journal_the_newest_line_is_the_last_sign_of_life(eventful_life, look):
    (eventful_life / "journal.jsonl").unlink()
    code, found = look(eventful_life)
    assert (code, found["checked"]) == (0, 34)
    assert found["notes"][0].startswith("journal.jsonl is missing or not yours to read")
    rewrite(eventful_life, [text for text in lines(eventful_life) if b"T10:00Z" not in text])
    assert [slots["scheduled_at"] for slots in look(eventful_life)[1]["unanswered"]] == [
        "2026-11-23T10:00:00Z",
        "2026-11-23T10:00:00Z",
    ]


def test_where_older_segments_were_removed_the_log_begins(eventful_life, look):
    whole = lines(eventful_life)
    expired = {"v": 1, "seq": 10**6, "at": "2026-11-23T11:30:01.000Z", "event": "expired"}
    with (eventful_life / "events.jsonl").open("ab") as events:
        events.write(line(expired | {"segments": ["runs-20261123T100000Z.jsonl.gz"]}))
    rewrite(eventful_life, whole[8:])
    code, found = look(eventful_life)
    assert code == 0
    assert found["since"] == snapshot("2026-11-23T10:12:40Z")
    assert "older segments were removed" in " ".join(found["notes"])


def test_a_time_to_come_is_no_begin_of_an_audit(eventful_life, look):
    with pytest.raises(UsageError, match="is in the future"):
        look(eventful_life, since="2030-01-01T00:00Z")


def test_since_leaves_out_what_was_due_before(eventful_life, look):
    whole = lines(eventful_life)
    rewrite(eventful_life, whole[3:])
    assert look(eventful_life)[0] == 1
    assert look(eventful_life, since="2026-11-23T10:30:00Z")[0] == 0


def test_an_empty_log_proves_nothing(tmp_path, look):
    code, found = look(tmp_path)
    assert (code, found["checked"]) == (1, 0)


# --- the words


def test_the_text_of_a_log_that_is_proven(eventful_life, capsys):
    assert command.run_command(Settings(data_dir=eventful_life), now=1795435200) == 0
    assert capsys.readouterr().out == snapshot("""\
2026-11-23 09:50 UTC to 2026-11-23 11:30 UTC: 35 due slots of 3 jobs, each has exactly one answer

Notes
  no daemon runs; what came due after 2026-11-23 11:30 UTC (29 min 59 s ago) is answered at the next start
""")


def test_the_text_of_a_log_that_is_not(eventful_life, capsys):
    whole = lines(eventful_life)
    rewrite(eventful_life, [*whole[:2], whole[0], *whole[4:]])
    assert command.run_command(Settings(data_dir=eventful_life), now=1795435200) == 1
    assert capsys.readouterr().out == snapshot("""\
2026-11-23 09:50 UTC to 2026-11-23 11:30 UTC: 35 due slots of 3 jobs, 2 without an answer, 1 answered more than once

Without an answer
  poll  2026-11-23 10:00 UTC  1 slot
  long  2026-11-23 09:55 UTC  1 slot

Answered more than once
  poll  2026-11-23 09:55 UTC  1 slot  seq 14, 14

Notes
  no daemon runs; what came due after 2026-11-23 11:30 UTC (29 min 59 s ago) is answered at the next start
""")


# --- zone rules, and speed


def due(schedule):
    return Job("daily", schedule, Request("http://a/"), 60, 3600)


def accepted(at, seq=1):
    fields = {"event": "config_accepted", "revision": "a" * 64, "path": "/jobs.yaml"}
    lists = {key: [] for key in ("added", "changed", "removed", "paused", "resumed")}
    return {"v": 1, "seq": seq, "at": rfc3339(at), **fields, **lists}


def started(at, tzdata):
    fields = {"event": "started", "version": "1", "pid": 1, "host": "h", "source": "file"}
    return {"v": 1, "seq": 2, "at": rfc3339(at), **fields, "tzdata": tzdata}


def test_a_difference_under_other_zone_rules_is_a_note():
    start = parse_rfc3339(START)
    found = timeline([accepted(start), started(start, "1999a")])
    for when, unanswered in ((Daily(("11:00",), "Europe/Paris"), 0), (Interval(1440), 1)):
        specs = {"a" * 12: Spec({"daily": due(when)}, "a" * 64)}
        until = start + 86_400
        result = audit(found, spans(found, specs, until), Answers(), LastSign(until, {}), 0)
        assert (len(result.unanswered), len(result.other_rules)) == (unanswered, 1 - unanswered)


@pytest.mark.slow
def test_a_hundred_thousand_records_take_a_few_seconds(tmp_path, look):
    start = parse_rfc3339("2026-09-14T00:00:00Z")
    (tmp_path / "revisions").mkdir()
    data = jobs(*(entry(f"j{number}", "{interval_minutes: 1}") for number in range(10)))
    revision = revision_of(data)
    (tmp_path / "revisions" / f"{revision}.yaml").write_bytes(data)
    event = accepted(start) | {"revision": revision}
    (tmp_path / "events.jsonl").write_bytes(line(event))
    with (tmp_path / "runs.jsonl").open("wb") as file:
        for seq in range(100_000):
            slot = rfc3339(start + 60 * (1 + seq // 10))
            run = {"v": 1, "seq": seq + 2, "run_id": "x", "job": f"j{seq % 10}"}
            run |= {"scheduled_at": slot, "outcome": "success", "finished_at": slot}
            file.write(line(run | {"trigger": "schedule", "config": revision[:12]}))
    began = time.perf_counter()
    code, found = look(tmp_path)
    took = time.perf_counter() - began
    assert (code, found["checked"]) == (0, 99_990)
    assert took < 10, f"{took:.1f} s"
