"""Plays one seed: random jobs, edits, bad files, faults of the disk, crashes, stops, clocks.

`PYTHONPATH=tests python -m sim.scenario SEED` replays one and prints its violations.
"""

import asyncio
import hashlib
import random
import shutil
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from sim.disk import FAILURES
from sim.judge import Calm, judge, last_seq
from sim.machine import Machine, surroundings

from sinkd import journal
from sinkd.state import Pause
from sinkd.testing import run_virtual

ZONES = ("America/New_York", "Europe/Paris", "Australia/Lord_Howe", "UTC")
STARTS = ("2026-11-23T08:59:30Z", "2026-03-08T06:30:00Z", "2026-10-25T00:10:10Z")
BAD = (None, b"", b"jobs: [", b"version: 1\njobs: 7\n", b"\xff")
MEMORY = Path("/dev/shm")  # where a sync costs nothing
YEARS = 3 * 365 * 86_400
PLAIN = "url: 'http://h{host}.example/'"
SECRETIVE = (
    "url: 'http://h{host}.example/?key=${{env:KEY}}', body: {{key: '${{env:KEY}}'}},"
    " headers: {{Authorization: 'Bearer ${{env:KEY}}'}}"
)


def jobs_file(rng):
    """Write a random valid jobs file."""
    lines = []
    for number in range(5):
        if rng.random() < 0.35:
            continue
        if rng.random() < 0.8:
            minutes = rng.choice((1, 1, 2, 3, 5, 7, 15, 60))
            when = f"{{interval_minutes: {minutes}, start_minute: {rng.randint(0, 59)}}}"
        else:
            times = [f'"{rng.randint(0, 23):02}:{rng.randint(0, 59):02}"' for _ in range(8)]
            when = f"{{at: [{', '.join(times)}], timezone: {rng.choice(ZONES)}}}"
        more = f", timeout_seconds: {rng.choice((5, 50, 200))}"
        more += rng.choice(("", "", "", ", enabled: false", ", catch_up_minutes: 1"))
        more += rng.choice(("", ", capture_headers: [x-echo]"))
        request = rng.choice((PLAIN, PLAIN, SECRETIVE)).format(host=number % 2)
        lines.append(f"  - {{name: j{number}, schedule: {when}, request: {{{request}}}{more}}}")
    return ("version: 1\njobs:" + ("\n" + "\n".join(lines) if lines else " []") + "\n").encode()


@dataclass(frozen=True, slots=True)
class Played:
    """What became of a seed; `did` counts crashes and steps, `trace` is the same each time (I10)."""

    violations: list[str]
    did: Counter
    seconds: float
    trace: str


def play(seed, data_dir, *, clock_steps=True):
    """Play a seed in an empty directory."""
    rng = random.Random(seed)
    did = Counter()

    async def live():
        machine = Machine(
            data_dir,
            jobs_file(rng),
            seed=seed,
            start=rng.choice(STARTS),
            max_in_flight=rng.choice((2, 50)),
            rotate_bytes=rng.choice((8_000, 64_000_000)),
        )
        acts = [_edit, _edit, _ask, _ask, _stop, _crash, _cut, _cut, _fail, _fail, _suspend]
        if clock_steps:
            acts += rng.choice(([], [_forward], [_forward, _back, _back]))
        machine.outage = rng.choice((0, 0, 60, 8000))
        await machine.boot()
        for _ in range(rng.randint(3, 10)):
            await machine.sleep(rng.choice((0.1, 3, 61, 300, 1000)) * rng.random())
            act = rng.choice(acts)
            did[act.__name__[1:]] += 1
            await act(rng, machine)
        calm = await settle(machine, jobs_file(rng))
        return machine, calm, asyncio.get_running_loop().time()

    with surroundings(rng.choice((8_000, journal.COMPACT_BYTES))) as said:
        machine, calm, seconds = run_virtual(live())
        violations = judge(machine, calm, said)
    return Played(violations, did, seconds, _trace(machine))


async def settle(machine, jobs, seconds=200):
    """End all faults, live in calm for a while, and stop for good; return that calm (I11)."""
    machine.faults.failing.clear()
    machine.faults.cut_after = None
    machine.edit(jobs)
    await machine.sleep(20)
    since, seq = machine.clock.wall(), last_seq(machine.world.data_dir)
    await machine.sleep(seconds)
    until = machine.clock.wall() - 5
    machine.latencies = (0,)  # so that nothing waits at the end
    await machine.stop()
    await machine.sleep(30)
    await machine.end()
    return Calm(since, until, seq)


async def _edit(rng, machine):
    good = rng.random() < 0.7
    machine.edit(jobs_file(rng) if good else rng.choice(BAD), good=good)


async def _ask(rng, machine):
    """Ask for a manual run, a pause or its end, as a person would."""
    name = rng.choice(("j0", "j1", "j2", "j9"))
    pause = Pause(machine.clock.wall() + rng.choice((30, 600, 5000)), "because", "sim")
    ask = rng.choice((
        lambda daemon: daemon.trigger(name),
        lambda daemon: daemon.pause(name, pause),
        lambda daemon: daemon.pause(name, pause),
        lambda daemon: daemon.resume(name, "sim"),
    ))  # fmt: skip
    await machine.ask(ask)


async def _forward(rng, machine):
    machine.step(rng.choice((0.5, 1, 50, 4000, 86_400, rng.random() * YEARS)))


async def _back(rng, machine):
    machine.step(-rng.choice((0.5, 1, 50, 90, 4000, 86_400, rng.random() * YEARS)))


async def _suspend(rng, machine):
    machine.clock.suspend(rng.choice((2, 100, 8000)))


def _down(rng):
    return rng.choice((0, 0, 5, 100, 8000))


async def _stop(rng, machine):
    await machine.stop(_down(rng), twice=rng.random() < 0.3)


async def _crash(rng, machine):
    """Kill the daemon at any of its steps, often of those when slots are due."""
    if rng.random() < 0.7:
        await machine.sleep(60 - machine.clock.wall() % 60)
    for _ in range(rng.randint(0, 60)):
        await asyncio.sleep(0)
    await (machine.crash if rng.random() < 0.5 else machine.cut_power)(_down(rng))


async def _cut(rng, machine):
    """Let the power go after some operations of the disk, wherever that is."""
    machine.faults.cut_after = rng.randint(0, 30)
    await machine.sleep(rng.choice((1, 100)))


async def _fail(rng, machine):
    machine.fail(rng.choice(list(FAILURES)), rng.choice((1, 30, 400)))


def _trace(machine):
    """Return a hash of all that was sent and written, in the order in which it was."""
    trace = hashlib.sha256(repr(machine.visits).encode())
    for path in sorted(machine.world.data_dir.glob("*.jsonl")):
        trace.update(path.read_bytes())
    return trace.hexdigest()[:16]


def in_memory():
    """Return a fresh directory, in memory where there is one."""
    return Path(tempfile.mkdtemp(prefix="sinkd-sim-", dir=MEMORY if MEMORY.is_dir() else None))


if __name__ == "__main__":
    directory = in_memory()
    played = play(int(sys.argv[1]), directory, clock_steps="--no-steps" not in sys.argv)
    print(*(played.violations or ["no violation"]), directory, played.trace, sep="\n")  # noqa: T201
    if not played.violations:
        shutil.rmtree(directory)
