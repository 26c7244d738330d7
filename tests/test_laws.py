"""The laws of architecture: what stays the same whatever else differs (law 1: test_schedule)."""

import asyncio
import hashlib
import random

import httpx
import pytest

from sinkd.history import History
from sinkd.instant import parse_rfc3339
from sinkd.testing import MemoryConfig, VirtualClock, World, run_virtual, simulate

pytestmark = pytest.mark.slow

MINUTES = (1, 2, 5, 7, 15, 15, 30, 30, 50, 60, 60, 60, 90, 120, 120, 240, 480, 720, 1000, 1440)
WEEK = "version: 1\njobs:\n" + "".join(
    f"  - {{name: j{n}, schedule: {{interval_minutes: {every}, start_minute: {n}}},"
    f" request: {{url: 'http://h{n}.example/'}}}}\n"
    for n, every in enumerate(MINUTES)
)


def fate(request):
    """Decide latency and status of a run by its identity alone, whatever else happens."""
    digest = hashlib.sha256(request.headers["X-Sinkd-Run-Id"].encode()).digest()
    return digest[0] / 4, (200, 200, 200, 503)[digest[1] % 4]


async def answer(request):
    seconds, status = fate(request)
    await asyncio.sleep(seconds)
    return httpx.Response(status)


def answers(runs):
    """Say what became of each slot, and nothing of when or in which order."""
    return sorted(
        (run["run_id"], run["outcome"], run.get("reason"), run.get("count")) for run in runs
    )


def live(tmp_path, tell, *, start="2026-11-23T08:59:30Z", nap_seconds=1.0, data=WEEK):
    async def story():
        clock = VirtualClock(parse_rfc3339(start))
        config = MemoryConfig(data.encode())
        world = World(tmp_path, clock, config, answer, nap_seconds=nap_seconds)
        life = await world.start()
        life = await tell(world, life) or life
        await life.stop()
        return list(History(tmp_path).runs())

    return run_virtual(story())


def test_a_week_of_twenty_jobs_answers_every_slot_once(tmp_path):
    result = simulate(WEEK, tmp_path, start="2026-11-23T00:00:30Z", hours=24 * 7, answer=answer)
    expected = sum(7 * 1440 // every for every in MINUTES)
    assert len(result.runs) == pytest.approx(expected, abs=len(MINUTES))
    ids = [run["run_id"] for run in result.runs]
    assert len(ids) == len(set(ids))  # law 2


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        simulate(
            WEEK, tmp_path / name, start="2026-11-23T00:00:30Z", hours=12, answer=answer, seed=7
        )
    for file in ("runs.jsonl", "events.jsonl", "journal.jsonl"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_another_seed_gives_other_trace_ids(tmp_path):
    first, second = (
        simulate(WEEK, tmp_path / str(seed), start="2026-11-23T00:00:30Z", hours=1, seed=seed)
        for seed in (1, 2)
    )
    assert {run["trace_id"] for run in first.runs}.isdisjoint(
        run["trace_id"] for run in second.runs
    )


@pytest.mark.parametrize("seed", range(5))
def test_reloading_an_equal_spec_at_any_instant_changes_no_record(tmp_path, seed):
    rng = random.Random(seed)

    async def quiet(world, life):
        await asyncio.sleep(4 * 3600)

    async def edited(world, life):
        for number in range(40):
            await asyncio.sleep(rng.random() * 4 * 90)
            world.config.write(f"{WEEK}# {number}\n".encode())
        await asyncio.sleep(4 * 3600 - asyncio.get_running_loop().time())

    assert answers(live(tmp_path / "a", quiet)) == answers(live(tmp_path / "b", edited))  # law 3


def test_a_refused_file_changes_no_record(tmp_path):
    async def quiet(world, life):
        await asyncio.sleep(4 * 3600)

    async def refused(world, life):
        for number in range(40):
            await asyncio.sleep(355)
            world.config.write(b"version: 1\njobs: %d\n" % number)
        await asyncio.sleep(4 * 3600 - asyncio.get_running_loop().time())

    assert answers(live(tmp_path / "a", quiet)) == answers(live(tmp_path / "b", refused))  # law 4


def test_waking_more_often_changes_no_record(tmp_path):
    async def quiet(world, life):
        await asyncio.sleep(4 * 3600)

    often, seldom = (
        answers(live(tmp_path / str(nap), quiet, nap_seconds=nap)) for nap in (0.3, 60)
    )
    assert often == seldom  # law 5


@pytest.mark.parametrize("seed", range(5))
def test_clock_steps_repeat_no_slot_and_never_burst(tmp_path, seed):
    rng = random.Random(seed)

    async def stepped(world, life):
        for _ in range(20):
            await asyncio.sleep(rng.random() * 900)
            world.clock.step(rng.choice((-90_000, -3000, -61, -59, -1, 1, 61, 3000, 90_000)))
        sent = [each.run_id for each in world.sent]
        assert len(sent) == len(set(sent))
        in_a_second = {}
        for each in world.sent:
            second = (each.job, int(each.at))
            in_a_second[second] = in_a_second.get(second, 0) + 1
        assert max(in_a_second.values()) == 1  # law 7

    live(tmp_path, stepped)
