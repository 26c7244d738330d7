"""Plays one seed: random jobs, latencies, edits, bad files, crashes, stops, manual runs, clocks.

`PYTHONPATH=tests python -m sim.scenario SEED` replays one and prints its violations.
"""

import asyncio
import contextlib
import random
import shutil
import sys
import tempfile
from pathlib import Path

import httpx
from sim.disk import Plan, PowerCutError
from sim.judge import judge
from structlog.testing import capture_logs

from sinkd.daemon import RefusedError
from sinkd.instant import parse_rfc3339
from sinkd.state import Pause
from sinkd.testing import MemoryConfig, VirtualClock, World, run_virtual

ZONES = ("America/New_York", "Europe/Paris", "Australia/Lord_Howe", "UTC")
STARTS = ("2026-11-23T08:59:30Z", "2026-03-08T05:30:00Z", "2026-10-25T00:10:10Z")
BAD = (None, b"", b"jobs: [", b"version: 1\njobs: 7\n", b"\xff")


def jobs_file(rng):
    """Write a random valid jobs file."""
    lines = []
    for number in range(rng.randint(1, 5)):
        if rng.random() < 0.8:
            minutes = rng.choice((1, 1, 2, 3, 5, 7, 15, 60))
            when = f"{{interval_minutes: {minutes}, start_minute: {rng.randint(0, 59)}}}"
        else:
            times = [f'"{rng.randint(0, 23):02}:{rng.randint(0, 59):02}"' for _ in range(8)]
            when = f"{{at: [{', '.join(times)}], timezone: {rng.choice(ZONES)}}}"
        more = f", timeout_seconds: {rng.choice((5, 50, 200))}"
        more += rng.choice(("", "", "", ", enabled: false", ", catch_up_minutes: 1"))
        url = f"http://h{number % 2}.example/"
        lines.append(f"  - {{name: j{number}, schedule: {when}, request: {{url: '{url}'}}{more}}}")
    return ("version: 1\njobs:\n" + "\n".join(lines) + "\n").encode()


def play(seed, data_dir, *, clock_steps=True):
    """Play a seed in an empty directory; return the violations, and what the target saw."""
    rng = random.Random(seed)
    latencies = random.Random(seed + 1)

    async def answer(request):
        await asyncio.sleep(latencies.choice((0.01, 0.2, 1, 20, 70, 1000)))
        return httpx.Response(latencies.choice((200, 200, 204, 404, 503)))

    async def live():
        clock = VirtualClock(parse_rfc3339(rng.choice(STARTS)))
        config = MemoryConfig(jobs_file(rng))
        plan = Plan(seed)
        world = World(
            data_dir,
            clock,
            config,
            answer,
            seed=seed,
            max_in_flight=rng.choice((2, 50)),
            storage=plan.storage,
            rotate_bytes=rng.choice((8_000, 64_000_000)),
        )
        life = await world.start()
        for _ in range(rng.randint(3, 12)):
            await asyncio.sleep(rng.choice((0.1, 3, 61, 300, 1500)) * rng.random())
            life = await _act(rng, world, plan, life, clock_steps=clock_steps)
        world.config.write(jobs_file(rng))
        await asyncio.sleep(90)
        await life.stop()
        world.answer = lambda request: httpx.Response(200)  # so that nothing waits at the end
        life = await world.start()
        await asyncio.sleep(30)
        until = world.clock.wall() - 5
        await life.stop()
        return judge(data_dir, world.sent, until), world.sent

    with capture_logs():  # what the daemon says of a full disk is not looked at here
        return run_virtual(live())


async def _act(rng, world, plan, life, *, clock_steps):
    """Do one thing to a world; return the daemon that lives then."""
    acts = [_edit, _edit, _ask, _move_clock, _die, _die, _cut_power, _cut_power, _fill_disk]
    if not clock_steps:
        acts.remove(_move_clock)
    return await rng.choice(acts)(rng, world, plan, life) or life


async def _edit(rng, world, plan, life):
    world.config.write(jobs_file(rng) if rng.random() < 0.7 else rng.choice(BAD))


async def _ask(rng, world, plan, life):
    """Ask for a manual run, a pause or its end, as a person would."""
    name = rng.choice(("j0", "j1", "j9"))
    pause = Pause(world.clock.wall() + rng.choice((30, 600, 5000)), "because", "sim")
    asked = rng.choice((
        lambda: life.daemon.trigger(name),
        lambda: life.daemon.pause(name, pause),
        lambda: life.daemon.resume(name, "sim"),
    ))  # fmt: skip
    with contextlib.suppress(RefusedError):
        await asked()


async def _move_clock(rng, world, plan, life):
    if rng.random() < 0.5:
        world.clock.suspend(rng.choice((2, 100, 8000)))
    else:
        world.clock.step(rng.choice((-4000, -90, -50, -1, 1, 50, 4000, 40 * 86_400)))


async def _die(rng, world, plan, life):
    await rng.choice((life.crash, life.stop))()
    await asyncio.sleep(rng.choice((0, 5, 100, 8000)))
    return await world.start()


async def _cut_power(rng, world, plan, life):
    """Cut the power after some operation of the disk, and lose what was not synced."""
    plan.cut_after = rng.randint(0, 30)
    await asyncio.wait([life.running], timeout=1000)
    if not life.running.done():
        plan.cut_after = None
        return None
    assert isinstance(life.running.exception(), PowerCutError)
    life.daemon.store.close()
    plan.lose_tails(world.data_dir)
    await asyncio.sleep(rng.choice((0, 5, 100, 8000)))
    return await world.start()


async def _fill_disk(rng, world, plan, life):
    plan.full = True
    await asyncio.sleep(rng.choice((1, 30, 400)))
    plan.full = False


if __name__ == "__main__":
    directory = Path(tempfile.mkdtemp())
    violations, _ = play(int(sys.argv[1]), directory, clock_steps="--no-steps" not in sys.argv)
    print("\n".join(violations) or "no violation", directory, sep="\n")  # noqa: T201
    if not violations:
        shutil.rmtree(directory)
