"""Looks for a violation until the time is over: crash points and seeds in turn, then seeds alone.

`PYTHONPATH=tests python -m sim.search --seconds 30 --every 50` prints how far it came, and exits
with 1 after the first violation, with the line that replays it. `--every N` takes each Nth crash
point, 1 all of them, 0 none.
"""

# ruff: noqa: T201 (it prints what it finds)

import argparse
import functools
import hashlib
import itertools
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from sim import points, scenario

ROOT = Path(__file__).parents[2]
AGAIN = 20  # each such seed is played twice (I10)
REPORT_SECONDS = 10
HANG_SECONDS = 30  # of the processor's time


def first_seed():
    """Derive a seed from the commit, or from the modules where there is no git."""
    return int(commit()[:6], 16) * 1000


@functools.cache
def commit():
    """Return the commit, or what stands for it."""
    asked = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "HEAD"],
        capture_output=True,
        check=False,
        text=True,
    )
    if asked.returncode == 0:
        return asked.stdout.strip()
    modules = sorted((ROOT / "sinkd").rglob("*.py"))
    return hashlib.sha256(b"".join(module.read_bytes() for module in modules)).hexdigest()


def attempt(kind, what):
    """Play a seed (`scenario`) or a point (`points`); return (replay, violations, what was done)."""
    signal.setitimer(signal.ITIMER_PROF, HANG_SECONDS, HANG_SECONDS)
    signal.signal(signal.SIGPROF, _hang)
    done = Counter()
    try:
        violations = _seed(what, done) if kind == "scenario" else _point(what, done)
    except (Exception, HangError) as error:  # noqa: BLE001 (whatever it is, it is found)
        violations = [f"bug: {error!r}"]
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    words = what if kind == "points" else (what,)
    return f"python -m sim.{kind} {' '.join(map(repr, words))}", violations, done


def _seed(seed, done):
    """Play a seed, some of them twice."""
    played = _played(seed)
    done += played.did + Counter(seeds=1, seconds=int(played.seconds))
    if seed % AGAIN == 0 and _played(seed).trace != played.trace:
        return [*played.violations, f"I10: seed {seed} went two ways"]
    return played.violations


def _played(seed):
    directory = scenario.in_memory()
    try:
        return scenario.play(seed, directory)
    finally:
        shutil.rmtree(directory)


def _point(point, done):
    done["points"] += 1
    return points.cut(point)


class HangError(KeyboardInterrupt):
    """An attempt takes far too long; asyncio lets nothing but an interrupt through."""


def _hang(*_):
    raise HangError


def search(works, seconds, workers):
    """Try one after another until a violation or the end of the time; yield (elapsed, *result)."""
    began = time.monotonic()
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        window = [pool.apply_async(attempt, each) for each in itertools.islice(works, 2 * workers)]
        while window:
            result = window.pop(0).get()
            elapsed = time.monotonic() - began
            yield elapsed, *result
            if elapsed < seconds:
                window += [pool.apply_async(attempt, each) for each in itertools.islice(works, 1)]


def summary(total, first, cuts):
    """Say how far a search came."""
    seeds = f"seeds {first} to {first + total['seeds'] - 1}, " if total["seeds"] else ""
    crashes = total["crash"] + total["cut"] + total["points"]
    return (
        f"{seeds}{total['seeds']} runs, {total['points']} of {cuts} crash points, {crashes} crashes, "
        f"{total['forward'] + total['back']} clock steps, {total['seconds'] / 3600:.0f} virtual hours"
    )


def main(arguments):
    """Search as the command line says; return 1 after a violation."""
    parser = argparse.ArgumentParser(prog="python -m sim.search")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--first", type=int, default=first_seed())
    parser.add_argument("--every", type=int, default=0)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    asked = parser.parse_args(arguments)
    cuts = points.every(asked.every) if asked.every else []
    seeds = (("scenario", seed) for seed in itertools.count(asked.first))
    mixed = (each for cut in cuts for each in (("points", cut), next(seeds)))
    works = itertools.chain(mixed, seeds)
    total, said = Counter(), 0.0
    for elapsed, replay, violations, did in search(works, asked.seconds, asked.workers):
        total += did
        if violations:
            print(f"\nVIOLATION at commit {commit()}", *violations[:10], sep="\n  ")
            print(f"replay: PYTHONPATH=tests {replay}\n{summary(total, asked.first, len(cuts))}")
            return 1
        if elapsed - said > REPORT_SECONDS:
            said = elapsed
            print(f"{elapsed:6.0f} s  {summary(total, asked.first, len(cuts))}", flush=True)
    print(f"commit {commit()[:12]}: {summary(total, asked.first, len(cuts))}, 0 violations")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
