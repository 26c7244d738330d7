"""A process that checks mutated inputs, for a time or one again.

    python tests/fuzz/fuzz.py SECONDS SEED      prints how many inputs of each target it tried
    python tests/fuzz/fuzz.py TARGET FILE       checks one input again

It stops with a traceback at an input that breaks a rule or takes over two seconds of CPU, and above
200 MB; the input is then kept in tests/fuzz/found/, and the last line says how to try it again.
"""

import json
import re
import shlex
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(1, str(Path(__file__).parent.parent))

from mutation import mutated
from targets import TARGETS

FOUND = Path(__file__).parent / "found"
CPU_SECONDS = 2
MEMORY_KIB = 200 * 1024


def check(target: str, data: bytes) -> None:
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
    TARGETS[target].check(data)
    signal.setitimer(signal.ITIMER_PROF, 0)
    assert (memory := _most_memory_kib()) < MEMORY_KIB, f"{memory} KiB"


def _most_memory_kib() -> int:
    """Return the peak of this program: `ru_maxrss` would be the parent's if that had more."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1])


def _too_slow(*_: object) -> None:
    message = f"this input takes over {CPU_SECONDS} seconds"
    raise TimeoutError(message)


def fuzz(seconds: float, seed: int) -> Counter[str]:
    """Give each target its share of the time, and return how many inputs each has had."""
    random = Random(seed)
    seeds = {name: target.seeds() for name, target in TARGETS.items()}
    used = dict.fromkeys(TARGETS, 0.0)
    tried: Counter[str] = Counter()
    while sum(used.values()) < seconds:
        target = min(TARGETS, key=lambda name: used[name] / TARGETS[name].share)
        begin = time.monotonic()
        data = mutated(seeds[target], random)
        try:
            check(target, data)
        except BaseException:
            _keep(target, data, seed)
            raise
        used[target] += time.monotonic() - begin
        tried[target] += 1
    return tried


def _keep(target: str, data: bytes, seed: int) -> None:
    signal.setitimer(signal.ITIMER_PROF, 0)
    FOUND.mkdir(exist_ok=True)
    file = FOUND / f"{target.replace(' ', '-')}-{seed}"
    file.write_bytes(data)
    again = shlex.join([sys.executable, __file__, target, str(file)])
    sys.excepthook = lambda *error: _say(f"seed {seed}; again: {again}", *error)


def _say(last_line: str, *error: Any) -> None:
    sys.__excepthook__(*error)
    sys.stderr.write(f"{last_line}\n")


if __name__ == "__main__":
    signal.signal(signal.SIGPROF, _too_slow)
    first, second = sys.argv[1:]
    if first in TARGETS:
        check(first, Path(second).read_bytes())
    else:
        sys.stdout.write(json.dumps(fuzz(float(first), int(second))) + "\n")
