"""Cuts the power at every operation of the disk in short scripts, with each kind of tail.

`PYTHONPATH=tests python -m sim.points NAME OPERATION TAIL` replays one and prints its violations.
"""

import random
import shutil
import sys

from sim import scenario
from sim.disk import TAILS
from sim.judge import judge
from sim.machine import Machine, surroundings

from sinkd import journal
from sinkd.state import Pause
from sinkd.testing import run_virtual


def jobs(*schedules, first=0, more=""):
    """Write a jobs file with a job for each schedule: `a`, `b` and so on, on one host."""
    names = "abcdefgh"[first:]
    lines = [
        f"  - {{name: {name}, schedule: {{{when}}}, request: {{url: 'http://h/'}}{more}}}\n"
        for name, when in zip(names, schedules, strict=False)
    ]
    return ("version: 1\njobs:\n" + "".join(lines)).encode()


MINUTELY = "interval_minutes: 1"
FIVE = "interval_minutes: 5"
DAILY = "at: '10:00', timezone: Europe/Paris"
SCRIPTS = {}


def script(data=None, latency=3, compact_bytes=journal.COMPACT_BYTES, **world):
    """Keep a script under its name, with the world that it begins in: 08:59:30 UTC."""

    def keep(live):
        settings = (data or jobs(MINUTELY), latency, compact_bytes, world)
        SCRIPTS[live.__name__] = (live, *settings)
        return live

    return keep


@script(jobs(MINUTELY, FIVE, DAILY))
async def one_slot(machine):
    await machine.sleep(45)


@script(latency=100, data=jobs(MINUTELY, more=", timeout_seconds: 150"))
async def overlap(machine):
    await machine.sleep(160)


@script(jobs(FIVE, DAILY))
async def catch_up(machine):
    await machine.stop(down=60)
    await machine.sleep(10)


@script(jobs(MINUTELY, FIVE))
async def missed_while_down(machine):
    await machine.sleep(40)
    await machine.crash(down=8000)
    await machine.sleep(70)


@script(latency=20)
async def died_with_a_run_in_flight(machine):
    await machine.sleep(31)
    await machine.crash()
    await machine.sleep(65)


@script(jobs(MINUTELY, MINUTELY, FIVE), latency=40)
async def reload_swap(machine):
    await machine.sleep(35)
    machine.edit(jobs("interval_minutes: 2", DAILY, MINUTELY, first=1))
    await machine.sleep(60)
    machine.edit(jobs(MINUTELY, MINUTELY, more=", enabled: false"))
    await machine.sleep(60)
    machine.edit(jobs(MINUTELY, MINUTELY, FIVE))
    await machine.sleep(60)


@script(jobs(MINUTELY, FIVE))
async def another_file_at_a_start(machine):
    await machine.sleep(35)
    machine.edit(jobs("interval_minutes: 2", MINUTELY, more=", enabled: false"))
    await machine.crash(down=10)
    await machine.sleep(70)
    machine.edit(jobs(FIVE, MINUTELY, MINUTELY))
    await machine.crash(down=10)
    await machine.sleep(70)


@script()
async def refused_file(machine):
    machine.edit(b"version: 1\njobs: 7\n", good=False)
    await machine.sleep(20)
    await machine.stop()
    await machine.sleep(40)


@script()
async def pause_and_resume(machine):
    await machine.ask(lambda daemon: daemon.pause("a", Pause(2e9, "because", "sim")))
    await machine.sleep(60)
    await machine.crash()
    await machine.sleep(60)
    await machine.ask(lambda daemon: daemon.resume("a", "sim"))
    await machine.sleep(60)


@script()
async def pause_that_ends_by_itself(machine):
    until = machine.clock.wall() + 65
    await machine.ask(lambda daemon: daemon.pause("a", Pause(until, "because", "sim")))
    await machine.sleep(150)


@script(jobs(FIVE), latency=20)
async def manual_run(machine):
    await machine.ask(lambda daemon: daemon.trigger("a"))
    await machine.sleep(40)
    await machine.ask(lambda daemon: daemon.trigger("a"))
    await machine.crash()
    await machine.sleep(30)


@script(jobs(MINUTELY, MINUTELY, MINUTELY), rotate_bytes=2000)
async def rotation_and_summary(machine):
    await machine.sleep(220)


@script(jobs(MINUTELY, MINUTELY), latency=30, compact_bytes=3000)
async def compaction(machine):
    await machine.ask(lambda daemon: daemon.pause("b", Pause(2e9, "because", "sim")))
    await machine.sleep(220)


@script(jobs(MINUTELY, FIVE), latency=20)
async def disk_full_and_freed(machine):
    await machine.sleep(35)
    machine.fail("full", 100)
    await machine.sleep(160)


@script(latency=20)
async def write_errors(machine):
    machine.fail("write", 100)
    await machine.sleep(160)


@script()
async def sync_fails(machine):
    machine.fail("sync", 60)
    await machine.sleep(120)


@script()
async def clock_back(machine):
    await machine.sleep(160)
    machine.step(-90)
    await machine.sleep(70)
    machine.step(-4000)
    await machine.sleep(70)


@script(jobs(MINUTELY, DAILY))
async def clock_forward_and_suspend(machine):
    await machine.sleep(35)
    machine.step(86_400)
    await machine.sleep(70)
    machine.clock.suspend(8000)
    await machine.sleep(70)


@script(latency=100, data=jobs(MINUTELY, FIVE))
async def drain(machine):
    await machine.sleep(35)
    await machine.stop()
    await machine.sleep(60)
    await machine.stop(twice=True)
    await machine.sleep(20)


@script(jobs(*6 * [MINUTELY]), latency=25, max_in_flight=4)
async def capacity(machine):
    await machine.sleep(130)


def cut(point):
    """Return the violations of a script whose power is cut at (name, operation, tail)."""
    return _play(*point)[0]


def every(step, offset=0):
    """Return each step-th point of all scripts, each operation with each tail, in a mixed order."""
    found = [
        (name, operation, tail)
        for name in SCRIPTS
        for operation in range(_play(name)[1])
        for tail in TAILS
    ]
    random.Random(0).shuffle(found)
    return found[offset::step]


def _play(name, operation=None, tail=None):
    """Play a script; return the violations, and how many operations it has."""
    live, data, latency, compact_bytes, world = SCRIPTS[name]
    directory = scenario.in_memory()

    async def story():
        machine = Machine(directory, data, tail=tail, **world)
        machine.latencies = (latency,)
        machine.faults.cut_after = None if operation is None else int(operation)
        machine.outage = 0 if operation is None else int(operation) % 2 * 70
        await machine.boot()
        await live(machine)
        operations = machine.faults.operations
        return machine, operations, await scenario.settle(machine, data, seconds=130)

    try:
        with surroundings(compact_bytes) as said:
            machine, operations, calm = run_virtual(story())
            return judge(machine, calm, said), operations
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    print(*cut(sys.argv[1:4]) or ["no violation"], sep="\n")  # noqa: T201
