"""The log rotated here and from outside: no line lost or doubled, whatever is cut off (L1 to L5)."""

import asyncio
import contextlib
import gzip
import json
import stat

import httpx
import pytest
from structlog.testing import capture_logs

from sinkd.history import History
from sinkd.instant import parse_rfc3339
from sinkd.retention import Keep
from sinkd.runlog import EVENTS, RUNS, RunLog
from sinkd.storage import Storage
from sinkd.testing import MemoryConfig, VirtualClock, World, inline, run_virtual

NINE = 1_795_424_400  # 2026-11-23T09:00Z
SKIPPED = {
    "run_id": "a@1",
    "job": "a",
    "outcome": "skipped",
    "scheduled_at": "2026-11-23T09:00:00Z",
}
LIMIT = 1000
JOBS = b"""\
version: 1
jobs:
  - {name: a, schedule: {interval_minutes: 1}, request: {url: "http://a.example/"}}
  - {name: b, schedule: {interval_minutes: 2}, request: {url: "http://b.example/"}}
"""


def seqs(path):
    return [run["seq"] for run in History(path).runs()]


def events(path, name):
    return [
        {key: value for key, value in event.items() if key not in {"v", "seq", "at", "event"}}
        for event in History(path).events()
        if event["event"] == name
    ]


def segments(path):
    return sorted(
        each.name for each in path.iterdir() if each.name.startswith(("runs-", "events-"))
    )


def writing(tmp_path, *scenarios, limit=LIMIT, storage=Storage, offload=inline):
    """Run scenarios, each with a writer of its own over the same directory."""

    async def write():
        seq = 0
        for scenario in scenarios:
            disk = storage(tmp_path)
            log = RunLog(disk, VirtualClock(NINE), offload, seq=seq, rotate_bytes=limit)
            serving = asyncio.create_task(log.serve())
            await scenario(log)
            await log.flush()
            serving.cancel()
            seq = log._seq
            disk.close()

    run_virtual(write())


async def lines(log, number=10):
    for _ in range(number):
        await log.write(RUNS, SKIPPED)
    await log.flush()


# --- built in (L1) ----------------------------------------------------------------------------


def test_a_long_log_is_sealed_under_the_instant_and_goes_on_in_a_new_file(tmp_path):
    async def scenario(log):
        await lines(log, 20)

    writing(tmp_path, scenario)
    assert segments(tmp_path) == ["runs-20261123T090000Z.jsonl"]
    assert events(tmp_path, "rotated") == [{"segment": "runs-20261123T090000Z.jsonl"}]
    sealed = (tmp_path / "runs-20261123T090000Z.jsonl").read_bytes()
    assert LIMIT < len(sealed) < LIMIT + 200
    assert sealed.endswith(b"\n")
    assert len(seqs(tmp_path)) == 20
    assert (tmp_path / RUNS).stat().st_size > 0


def test_two_segments_of_one_second_have_names_of_their_own(tmp_path):
    (tmp_path / "runs-20261123T090000Z.summary.json").touch()  # its segment was removed
    (tmp_path / "runs-20261123T090000Z-2.jsonl.gz").write_bytes(gzip.compress(b""))

    async def scenario(log):
        await lines(log, 60)

    writing(tmp_path, scenario)
    assert segments(tmp_path)[:4] == [
        "runs-20261123T090000Z-2.jsonl.gz",
        "runs-20261123T090000Z-3.jsonl",
        "runs-20261123T090000Z-4.jsonl",
        "runs-20261123T090000Z-5.jsonl",
    ]
    assert seqs(tmp_path) == sorted(seqs(tmp_path))
    assert len(seqs(tmp_path)) == 60


def test_events_are_sealed_too(tmp_path):
    async def scenario(log):
        for _ in range(40):
            log.event("config_unsettled")
            await log.flush()

    writing(tmp_path, scenario)
    assert segments(tmp_path)[-1] == "events-20261123T090000Z.jsonl"
    assert len(events(tmp_path, "config_unsettled")) == 40


def test_a_segment_and_the_new_file_keep_the_mode_that_an_operator_gave(tmp_path):
    (tmp_path / RUNS).touch(mode=0o600)

    async def scenario(log):
        await lines(log, 20)

    writing(tmp_path, scenario)
    modes = {
        stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir() if "runs" in each.name
    }
    assert modes == {0o600}


def test_a_disk_that_refuses_the_new_name_leaves_the_long_file(tmp_path):
    class Disk(Storage):
        def _rename(self, name, to):
            if name == RUNS:
                raise OSError(28, "full")
            super()._rename(name, to)

    async def scenario(log):
        await lines(log, 40)

    writing(tmp_path, scenario, storage=Disk)
    assert segments(tmp_path) == []
    assert len(seqs(tmp_path)) == 40


def test_a_reader_between_any_two_steps_of_the_disk_reads_each_line_once(tmp_path):
    """Every operation of rotation and compression is followed by whole readings, both ways."""
    seen, done = [], []

    class Watched(Storage):
        def look(self):
            history = History(self.path)
            forwards = [run["seq"] for run in history.runs()]
            assert [run["seq"] for run in history.runs_backwards()] == forwards[::-1]
            assert forwards == sorted(set(forwards))
            assert set(done) <= set(forwards)
            seen.append(len(forwards))

        def _create(self, name, flags, mode):
            self.look()
            return super()._create(name, flags, mode)

        def sync_directory(self, name=""):
            self.look()
            super().sync_directory(name)

        def _rename(self, name, to):
            self.look()
            super()._rename(name, to)
            self.look()

        def remove(self, name):
            self.look()
            super().remove(name)
            self.look()

    async def scenario(log):
        for _ in range(60):
            done.append(await log.write(RUNS, SKIPPED))
            for name in log._storage.names():
                if name.startswith("runs-") and name.endswith(".jsonl"):
                    log._storage.compress(name)

    writing(tmp_path, scenario, storage=Watched)
    assert len(segments(tmp_path)) >= 3
    assert all(name.endswith(".jsonl.gz") for name in segments(tmp_path))
    assert len(seen) > 20
    assert len(seqs(tmp_path)) == 60


def test_a_reader_that_stands_still_while_files_are_sealed_and_compressed_loses_nothing(tmp_path):
    async def scenario(log):
        await lines(log, 30)
        reading = History(tmp_path).runs()
        first = next(reading)
        await lines(log, 60)
        for name in segments(tmp_path):
            log._storage.compress(name)
        rest = [run["seq"] for run in reading]
        assert rest == sorted(set(rest))
        assert [first["seq"], *rest] == seqs(tmp_path)[: 1 + len(rest)]
        assert len(rest) >= 29

    writing(tmp_path, scenario)


# --- crash points -----------------------------------------------------------------------------


class CutError(Exception):
    """The process was killed here."""


class Points:
    """Counts the steps of a disk, over restarts, and kills the process before one of them."""

    def __init__(self, kill_at=None):
        self.left = kill_at
        self.dead, self.disk = False, None
        self.passed = []

    def step(self, name):
        if self.dead:
            raise CutError
        self.passed.append(name)
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.dead = True
                raise CutError

    def storage(self, path):
        points, self.dead, self.disk = self, False, None

        class Disk(Storage):
            def lock(self):
                points.disk = self
                super().lock()

            def append(self, name, data, mode=0o640):
                points.step("append")
                super().append(name, data, mode)

            def sync(self, name):
                points.step("sync")
                super().sync(name)

            def _create(self, name, flags, mode):
                points.step("create")
                return super()._create(name, flags, mode)

            def _rename(self, name, to):
                points.step("rename")
                super()._rename(name, to)

            def sync_directory(self, name=""):
                points.step("sync_directory")
                super().sync_directory(name)

            def remove(self, name):
                points.step("remove")
                super().remove(name)

            def compress(self, name):
                points.step("compress")
                super().compress(name)

        return Disk(path)


def life(tmp_path, points, *, keep=None, free=2**40, minutes=6):
    """Live, crash where the disk is cut off, come back and live on; return what was sent."""

    async def live():
        clock = VirtualClock(parse_rfc3339("2026-11-23T08:59:30Z"))
        world = World(
            tmp_path,
            clock,
            MemoryConfig(JOBS),
            lambda request: httpx.Response(200),
            storage=points.storage,
            rotate_bytes=LIMIT,
            keep=keep or Keep(),
            free_bytes=free,
        )
        for _ in range(3):
            begun = None
            with contextlib.suppress(CutError):
                begun = await world.start()
                await asyncio.wait([begun.running], timeout=minutes * 60)
                await begun.stop()
            if points.dead:
                await died(begun, points)
        return world.sent

    return run_virtual(live())


async def died(begun, points):
    """Let go of what a killed process held."""
    if begun:
        begun.running.cancel()
        await asyncio.wait([begun.running])
    if points.disk:
        points.disk.close()
    points.left = None


def judged(tmp_path, sent):
    """Every request has its one line, no number is used twice, and no line was lost."""
    runs = list(History(tmp_path).runs())
    found = [run["run_id"] for run in runs if "trigger" in run]
    assert sorted(found) == sorted(set(found))
    assert {each.run_id for each in sent} <= set(found)
    numbers = [run["seq"] for run in runs] + [event["seq"] for event in History(tmp_path).events()]
    assert len(numbers) == len(set(numbers))
    return runs


def test_a_life_with_rotation_seals_summarises_and_compresses(tmp_path):
    points = Points()
    sent = life(tmp_path, points)
    assert len(judged(tmp_path, sent)) >= 25
    names = segments(tmp_path)
    runs = [name for name in names if name.startswith("runs")]
    assert len(runs) >= 4
    assert [name.partition(".")[2] for name in runs] == ["jsonl.gz", "summary.json"] * (
        len(runs) // 2
    )
    assert {"compress", "rename", "remove", "create"} <= set(points.passed)
    assert not list(tmp_path.glob("*.new"))


@pytest.mark.slow
def test_a_crash_before_any_step_of_the_disk_loses_and_doubles_nothing(tmp_path, record_property):
    counted = Points()
    life(tmp_path / "whole", counted)
    begins = counted.passed.index("compress") - 12  # what a first start does has its own tests
    steps = [
        step
        for step, name in enumerate(counted.passed)
        if step >= begins and name not in {"append", "sync"}
    ]
    for step in steps[::2]:
        path = tmp_path / str(step)
        judged(path, life(path, Points(step)))
        stems = sorted({name.partition(".")[0] for name in segments(path) if "runs" in name})
        for stem in stems[:-1]:  # the last may have been sealed by the stop itself
            parts = {
                name.partition(".")[2] for name in segments(path) if name.startswith(f"{stem}.")
            }
            assert parts == {"jsonl.gz", "summary.json"}, step
    record_property("cases", len(steps[::2]))


def test_the_same_input_gives_the_same_segments(tmp_path):
    for name in ("one", "two"):
        life(tmp_path / name, Points())
    assert segments(tmp_path / "one") == segments(tmp_path / "two")
    for name in segments(tmp_path / "one"):
        if name.startswith("runs") and name.endswith(".gz"):
            one, two = (
                gzip.decompress((tmp_path / each / name).read_bytes()) for each in ("one", "two")
            )
            assert len(one.splitlines()) == len(two.splitlines())


# --- from outside (L2, L3) --------------------------------------------------------------------


def test_a_file_moved_away_from_outside_is_begun_anew_and_said(tmp_path):
    async def scenario(log):
        await lines(log, 3)
        (tmp_path / RUNS).rename(tmp_path / "runs.jsonl.1")
        await lines(log, 3)

    writing(tmp_path, scenario)
    assert len((tmp_path / "runs.jsonl.1").read_bytes().splitlines()) == 3
    assert len(seqs(tmp_path)) == 6
    assert events(tmp_path, "rotated") == [{"segment": RUNS}]


def test_a_file_replaced_by_an_empty_one_is_no_loss(tmp_path):
    async def scenario(log):
        await lines(log, 3)
        (tmp_path / RUNS).rename(tmp_path / "runs.jsonl.1")
        (tmp_path / RUNS).touch()
        await lines(log, 3)

    writing(tmp_path, scenario)
    assert len(seqs(tmp_path)) == 6
    assert events(tmp_path, "rotated") == [{"segment": RUNS}]


def test_a_file_that_was_copied_and_cut_is_reported_as_lossy(tmp_path):
    async def scenario(log):
        await lines(log, 3)
        (tmp_path / "runs.jsonl.1").write_bytes((tmp_path / RUNS).read_bytes())
        with (tmp_path / RUNS).open("r+b") as file:
            file.truncate(0)
        await lines(log, 2)

    with capture_logs() as said:
        writing(tmp_path, scenario)
    size = (tmp_path / "runs.jsonl.1").stat().st_size
    assert events(tmp_path, "rotated") == [{"segment": RUNS, "cut_bytes": size}]
    assert [each["event"] for each in said] == ["log_cut"]
    assert len(seqs(tmp_path)) == 5


def test_the_events_file_moved_away_is_said_in_the_new_one(tmp_path):
    async def scenario(log):
        log.event("config_unsettled")
        await log.flush()
        (tmp_path / EVENTS).unlink()
        log.event("config_unsettled")

    writing(tmp_path, scenario)
    names = [json.loads(line)["event"] for line in (tmp_path / EVENTS).read_bytes().splitlines()]
    assert names == ["config_unsettled", "rotated"]


def test_a_start_goes_on_after_the_numbers_of_compressed_segments(tmp_path):
    life(tmp_path, Points())
    (tmp_path / "journal.jsonl").unlink()
    for each in (RUNS, EVENTS):
        (tmp_path / each).write_bytes(b"")
    sealed = seqs(tmp_path)
    assert len(sealed) > 10
    life(tmp_path, Points(), minutes=1)
    numbers = seqs(tmp_path)
    assert numbers[: len(sealed)] == sealed
    assert len(numbers) == len(set(numbers))
