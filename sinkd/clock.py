"""The clocks: the only place that reads the time.

Three of them tell causes apart (T6): the wall clock can be set, the monotonic clock stands still
while the machine sleeps, the boot clock does neither.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """What the daemon asks for the time; `sinkd.testing` has a virtual one."""

    def wall(self) -> float:
        """Return the Unix time in seconds."""

    def monotonic(self) -> float:
        """Return seconds that pass evenly, not counting sleep of the machine."""

    def boottime(self) -> float:
        """Return seconds that pass evenly, sleep of the machine included."""


class SystemClock:
    """The clocks of this machine; where there is no boot clock, sleep looks like a clock step."""

    def wall(self) -> float:
        """Return the Unix time in seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Return the monotonic clock in seconds."""
        return time.monotonic()

    def boottime(self) -> float:
        """Return the boot clock in seconds; the monotonic one where there is none (R14)."""
        clock = getattr(time, "CLOCK_BOOTTIME", None)
        return time.monotonic() if clock is None else time.clock_gettime(clock)
