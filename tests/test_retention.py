"""What becomes of sealed segments: summaries, compression, and which of them go (L1, L6, L7)."""

import asyncio
import gzip
import json
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json

from sinkd import record, sealed
from sinkd.commands.audit import run_command as audit
from sinkd.commands.report import run_command as report
from sinkd.commands.run import parse_bytes
from sinkd.errors import UsageError
from sinkd.history import History
from sinkd.instant import DAY, parse_rfc3339, rfc3339
from sinkd.report import summarise
from sinkd.retention import LOOK_SECONDS, MIN_FREE_BYTES, Keep, Segment, expired
from sinkd.settings import Settings
from sinkd.storage import Storage
from sinkd.testing import MemoryConfig, VirtualClock, World, run_virtual

NOW = 1_795_424_400  # 2026-11-23T09:00Z
PLENTY = 2**40
JOBS = b"""\
version: 1
jobs:
  - {name: a, schedule: {interval_minutes: 1}, request: {url: "http://a.example/"}}
  - {name: b, schedule: {interval_minutes: 2}, request: {url: "http://b.example/"}}
"""


# --- which segments go (L6) -------------------------------------------------------------------


def segment(days_old, size=100, kind="runs"):
    at = NOW - days_old * DAY
    return Segment(f"{kind}-{days_old}", at, 1, (f"{kind}-{days_old}.jsonl.gz",), size)


def gone(segments, keep, free=PLENTY):
    return [each.stem for each in expired(segments, NOW, keep, free)]


SEGMENTS = [segment(2), segment(91), segment(1), segment(90), segment(200, kind="events")]


def test_what_is_older_than_its_days_goes_and_what_is_as_old_stays():
    assert gone(SEGMENTS, Keep()) == ["events-200", "runs-91"]
    assert gone(SEGMENTS, Keep(days=1000)) == []


def test_what_is_too_much_goes_the_oldest_first():
    assert gone(SEGMENTS, Keep(days=1000, bytes=500)) == []
    assert gone(SEGMENTS, Keep(days=1000, bytes=399)) == ["runs-91", "runs-90"]
    assert gone(SEGMENTS, Keep(bytes=200)) == ["events-200", "runs-91", "runs-90"]


def test_a_disk_that_is_nearly_full_takes_the_oldest_that_make_room():
    keep = Keep(days=1000)
    assert gone(SEGMENTS, keep, MIN_FREE_BYTES) == []
    assert gone(SEGMENTS, keep, MIN_FREE_BYTES - 1) == ["runs-91"]
    assert gone(SEGMENTS, keep, MIN_FREE_BYTES - 101) == ["runs-91", "runs-90"]
    assert gone(SEGMENTS, Keep(), MIN_FREE_BYTES - 150) == ["events-200", "runs-91"]


def test_only_age_takes_the_newest_of_its_kind():
    assert gone(SEGMENTS, Keep(days=1000, bytes=0), 0) == ["runs-91", "runs-90", "runs-2"]
    assert gone([segment(91)], Keep()) == ["runs-91"]


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("1048576", 1048576), ("1KiB", 1024), ("5GiB", 5 * 2**30), ("2TiB", 2**41)],
)
def test_a_size_is_a_whole_number_and_a_unit(text, size):
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "5GB", "-5GiB", "5 GiB", "5.5GiB", "GiB", "on"])
def test_another_size_is_refused_with_the_fix(text):
    with pytest.raises(UsageError, match="as in `5GiB`, or `off`"):
        parse_bytes(text)


# --- the summary (L7, law 8) ------------------------------------------------------------------


def run(seq, job="a", outcome="success", **fields):
    at = NOW + 60 * seq
    if outcome != "success":
        fields.setdefault("reason", record.REASONS[outcome][0])
    return {
        "v": 1,
        "seq": seq,
        "run_id": f"{job}@{at}",
        "job": job,
        "scheduled_at": rfc3339(at),
        "outcome": outcome,
        **fields,
    }


RUNS = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from(sorted(record.REASONS)),
        st.one_of(st.none(), st.integers(0, 4_000_000)),
    ),
    max_size=40,
)


def without_hours(summary):
    for totals in summary.jobs.values():
        totals.hours = {}
    return summary.jobs


@given(RUNS, st.integers(0, 40))
def test_merging_the_summary_of_a_part_equals_summarising_the_whole(found, cut):
    records = [
        run(seq, job, outcome, duration_ms=duration)
        for seq, (job, outcome, duration) in enumerate(found, 1)
    ]
    older = summarise(records[:cut], NOW)
    known = sealed.decode(sealed.encode(older, rfc3339(NOW), rfc3339(NOW + DAY)))
    assert known is not None
    older.jobs = known[2]
    older.merge(summarise(records[cut:], NOW))
    whole = summarise(records, NOW)
    assert older.first == whole.first
    assert without_hours(older) == without_hours(whole)
    for name, totals in whole.jobs.items():
        for share in (0.5, 0.95):
            assert older.jobs[name].durations.quantile(share) == totals.durations.quantile(share)


def test_the_file_of_a_summary_is_as_its_specification_says(tmp_path):
    lines = [
        run(1, duration_ms=180),
        run(2, outcome="failure", reason="dns", duration_ms=2),
        run(3, outcome="missed", count=3, last_scheduled_at=rfc3339(NOW + 600)),
    ]
    path = tmp_path / "runs-1.jsonl"
    path.write_bytes(b"".join(map(record.line, lines)) + b"torn\n")
    made = json.loads(sealed.summary_of(path))
    first, failed, missed = json.loads(json.dumps(lines))
    assert made == {
        "v": 1,
        "since": rfc3339(NOW + 60),
        "until": rfc3339(NOW + 600),
        "jobs": {
            "a": {
                "labels": {},
                "counts": {"success": 1, "failure": 1, "missed": 3},
                "manual": {},
                "durations_ms": {"least": 2, "most": 180, "steps": {"262": 1, "35": 1}},
                "in_a_row": 0,
                "first": first,
                "last_run": failed,
                "last_success": first,
                "troubles": [
                    {
                        "outcome": "failure", "reason": "dns", "count": 1,
                        "first": failed, "last": failed,
                    },
                    {
                        "outcome": "missed", "reason": "down", "count": 3,
                        "first": missed, "last": missed,
                    },
                ],
            }
        },
    }  # fmt: skip
    packed = tmp_path / "runs-1.jsonl.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert json.loads(sealed.summary_of(packed)) == made
    packed.write_bytes(packed.read_bytes()[:-9])  # cut: what can be read counts
    assert json.loads(sealed.summary_of(packed))["v"] == 1


@pytest.mark.parametrize("data", [b"", b"{}", b'{"v":2}', b'{"v":1,"jobs":{"a":{}}}'])
def test_what_is_no_summary_is_refused(data):
    with pytest.raises(ValueError, match="validation error"):
        sealed.decode(data)


def test_a_segment_without_a_record_has_a_summary_without_jobs(tmp_path):
    (tmp_path / "runs-1.jsonl").write_bytes(b"torn\n")
    assert sealed.decode(sealed.summary_of(tmp_path / "runs-1.jsonl")) is None


# --- a daemon that keeps house ----------------------------------------------------------------


def live(tmp_path, *tell, start=NOW - 30, **fields):
    """Live through what is told, then stop; return the world."""

    async def story():
        answers = iter(range(1, 10**9))

        async def answer(request):
            number = next(answers)
            await asyncio.sleep(number % 7 / 10)
            return httpx.Response(503 if number % 5 == 0 else 200)

        config = MemoryConfig(JOBS)
        world = World(tmp_path, VirtualClock(start), config, answer, rotate_bytes=4000, **fields)
        life = await world.start()
        for each in tell:
            await each(world)
        await life.stop()
        return world

    return run_virtual(story())


async def an_hour(world):
    await asyncio.sleep(LOOK_SECONDS)


def names(tmp_path, pattern):
    return sorted(path.name for path in tmp_path.glob(pattern))


def stems(tmp_path, suffix):
    return [name.partition(".")[0] for name in names(tmp_path, f"runs-*.{suffix}")]


def expiries(tmp_path):
    return [
        event["segments"] for event in History(tmp_path).events() if event["event"] == "expired"
    ]


def asked(capsys, tmp_path, **question):
    settings = Settings(config=tmp_path / "jobs.yaml", data_dir=tmp_path)
    (tmp_path / "jobs.yaml").write_bytes(JOBS)
    capsys.readouterr()
    report(settings, output_format="json", now=NOW + 200 * DAY, **question)
    said = capsys.readouterr()
    return json.loads(said.out), said.err


def test_a_report_is_the_same_after_segments_are_gone(tmp_path, capsys):
    live(tmp_path, an_hour)
    whole, _ = asked(capsys, tmp_path)
    one, _ = asked(capsys, tmp_path, jobs=["b"])
    assert whole["jobs"][0]["failed_runs"] > 5
    there = stems(tmp_path, "jsonl.gz")
    assert len(there) > 5
    for stem in there[:-1]:
        (tmp_path / f"{stem}.jsonl.gz").unlink()
        assert asked(capsys, tmp_path) == (whole, "")
    assert asked(capsys, tmp_path, jobs=["b"])[0]["jobs"] == one["jobs"]
    assert stems(tmp_path, "summary.json") == there


def test_segments_expire_by_age_with_an_event_and_their_summaries_stay(tmp_path, capsys):
    live(tmp_path, an_hour)
    before, _ = asked(capsys, tmp_path)
    there = stems(tmp_path, "jsonl.gz")
    live(tmp_path, start=NOW + 91 * DAY + 106)  # no slot may still run
    assert stems(tmp_path, "jsonl.gz") == []
    assert stems(tmp_path, "summary.json") == there
    removed = [name for each in expiries(tmp_path) for name in each if name.startswith("runs")]
    assert removed == [f"{stem}.jsonl.gz" for stem in there]
    after, _ = asked(capsys, tmp_path)
    assert after["since"] == before["since"]
    for then, now in zip(before["jobs"], after["jobs"], strict=True):
        assert now["total_runs"] == then["total_runs"]
        assert (now["p50_ms"], now["p95_ms"]) == (then["p50_ms"], then["p95_ms"])


def test_segments_expire_each_hour_when_the_disk_gets_full(tmp_path):
    async def full(world):
        await an_hour(world)
        assert len(stems(tmp_path, "jsonl.gz")) > 5
        world.free_bytes = 0
        await an_hour(world)

    live(tmp_path, full)
    assert len(stems(tmp_path, "jsonl.gz")) == 1
    assert len(stems(tmp_path, "summary.json")) > 10
    assert expiries(tmp_path)


def test_no_more_bytes_are_kept_than_was_said(tmp_path):
    live(tmp_path, an_hour, keep=Keep(bytes=3000))
    kept = list(tmp_path.glob("*.jsonl.gz"))
    assert sum(path.stat().st_size for path in kept) <= 3000 + 2 * 1500
    assert len(stems(tmp_path, "summary.json")) > len(kept)


def test_the_event_is_durable_before_a_segment_is_removed(tmp_path):
    seen = []

    class Watched(Storage):
        def remove(self, name):
            if name.endswith(".jsonl.gz"):
                seen.append(name)
                assert name in {each for names in expiries(self.path) for each in names}
            super().remove(name)

    live(tmp_path, an_hour, keep=Keep(bytes=0), storage=Watched)
    assert len(seen) > 5


def test_what_a_crash_left_half_done_is_finished_by_the_next_start(tmp_path, capsys):
    live(tmp_path, an_hour)
    whole, _ = asked(capsys, tmp_path)
    one, two, three, *_ = stems(tmp_path, "jsonl.gz")
    for stem in (one, two):
        packed = tmp_path / f"{stem}.jsonl.gz"
        (tmp_path / f"{stem}.jsonl").write_bytes(gzip.decompress(packed.read_bytes()))
    (tmp_path / f"{one}.jsonl.gz").rename(tmp_path / f"{one}.jsonl.gz.new")
    (tmp_path / f"{one}.summary.json").unlink()
    (tmp_path / f"{three}.summary.json").unlink()
    before = set(names(tmp_path, "*"))
    assert asked(capsys, tmp_path)[0]["jobs"] == whole["jobs"]
    live(tmp_path, start=NOW + 2 * 3600)
    lost = before - set(names(tmp_path, "*"))
    assert lost == {f"{one}.jsonl", f"{two}.jsonl", f"{one}.jsonl.gz.new"}
    assert stems(tmp_path, "summary.json")[:3] == [one, two, three]


def test_a_segment_that_cannot_be_compressed_stays_plain_and_is_tried_again(tmp_path):
    class Full(Storage):
        def compress(self, name):
            raise OSError(28, "No space left on device")

    live(tmp_path, an_hour, storage=Full)
    assert names(tmp_path, "runs-*.gz") == []
    assert len(stems(tmp_path, "jsonl")) > 5
    assert stems(tmp_path, "summary.json") == stems(tmp_path, "jsonl")
    live(tmp_path, start=NOW + 2 * 3600)
    assert stems(tmp_path, "jsonl") == []


def test_a_segment_without_a_summary_is_never_removed(tmp_path):
    class NoSummaries(Storage):
        def replace(self, name, data, mode=0o600):
            if name.endswith(".summary.json"):
                raise OSError(28, "No space left on device")
            super().replace(name, data, mode)

    live(tmp_path, an_hour, storage=NoSummaries, keep=Keep(bytes=0))
    assert len(stems(tmp_path, "jsonl")) > 5
    assert not any(name.startswith("runs") for each in expiries(tmp_path) for name in each)


def test_a_disk_that_cannot_be_asked_ends_no_daemon(tmp_path):
    class Broken(Storage):
        def names(self):
            raise OSError(5, "Input/output error")

    live(tmp_path, an_hour, storage=Broken)
    assert len(list(History(tmp_path).runs())) > 80


def test_what_was_rotated_from_outside_is_not_ours_to_remove(tmp_path):
    foreign = {
        "runs.jsonl.1",
        "runs-old.jsonl",
        "events.jsonl.2.gz",
        "runs-20269999T000000Z.jsonl.gz",
    }
    for name in foreign:
        (tmp_path / name).write_bytes(gzip.compress(b"") if name.endswith(".gz") else b"")
    live(tmp_path, an_hour, keep=Keep(bytes=0), free_bytes=0)
    assert foreign <= set(names(tmp_path, "*"))


# --- commands over what is gone ---------------------------------------------------------------


def test_a_window_that_cuts_a_removed_segment_leaves_its_totals_out_and_says_so(tmp_path, capsys):
    live(tmp_path, an_hour)
    there = stems(tmp_path, "jsonl.gz")
    for stem in there[:3]:
        (tmp_path / f"{stem}.jsonl.gz").unlink()
    part = json.loads((tmp_path / f"{there[1]}.summary.json").read_bytes())
    middle = parse_rfc3339(part["until"])
    found, said = asked(capsys, tmp_path, since=rfc3339(int(middle)))
    kept, _ = asked(capsys, tmp_path, since=rfc3339(int(middle) + 60))
    assert said.startswith("sinkd: the log from 2026-11-23T")
    assert said.count("was removed, only its totals are kept") == 1
    assert found["jobs"][0]["total_runs"] == kept["jobs"][0]["total_runs"]


def test_a_damaged_summary_is_counted_and_passed_over(tmp_path, capsys):
    live(tmp_path, an_hour)
    gone = stems(tmp_path, "jsonl.gz")[0]
    (tmp_path / f"{gone}.jsonl.gz").unlink()
    (tmp_path / f"{gone}.summary.json").write_bytes(b"{}")
    found, said = asked(capsys, tmp_path)
    assert found["jobs"]
    assert "1" in said


def test_a_segment_removed_while_it_is_waited_for_counts_by_its_summary(tmp_path):
    live(tmp_path, an_hour)
    history = History(tmp_path)
    reading = history.runs()
    next(reading)
    gone = stems(tmp_path, "jsonl.gz")
    for stem in gone[:3]:
        (tmp_path / f"{stem}.jsonl.gz").unlink()
    seqs = {run["seq"] for run in reading}
    assert seqs
    assert [path.name for path in history.expired()] == [
        f"{each}.summary.json" for each in gone[1:3]
    ]


def test_an_audit_begins_where_the_log_does(tmp_path, capsys):
    live(tmp_path, an_hour)
    live(tmp_path, an_hour, start=NOW + 3700, keep=Keep(bytes=5000))
    assert expiries(tmp_path)
    settings = Settings(config=Path("jobs.yaml"), data_dir=tmp_path)
    capsys.readouterr()
    code = audit(settings, output_format="json", now=NOW + 3 * 3600)
    found = json.loads(capsys.readouterr().out)
    assert (code, found["unanswered"], found["duplicates"]) == (0, [], [])
    assert "older segments were removed" in " ".join(found["notes"])


def test_a_summary_is_public_json_in_one_line(tmp_path):
    live(tmp_path, an_hour)
    path = next(tmp_path.glob("*.summary.json"))
    data = path.read_bytes()
    assert to_json(json.loads(data)) + b"\n" == data
    assert oct(path.stat().st_mode & 0o777) == "0o640"
