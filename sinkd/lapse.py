"""Time that passed without the daemon: which of the three clocks ran ahead tells why (T6)."""

from dataclasses import dataclass
from typing import Final, NamedTuple

from sinkd.record import MissReason

STEP_SECONDS: Final = 1.0  # above what slewing and rounding make of one pass
STALL_SECONDS: Final = 5.0


class Reading(NamedTuple):
    """The three clocks at one instant (`clock.Clock`)."""

    wall: float
    monotonic: float
    boottime: float


@dataclass(frozen=True, slots=True)
class Lapse:
    """What happened between two readings, in seconds; 0 for what did not happen.

    `stepped` is how far the wall clock was set, negative for back.
    """

    suspended: float = 0
    stepped: float = 0
    stalled: float = 0

    @property
    def cause(self) -> MissReason:
        """Why slots in between were not sent."""
        if self.suspended:
            return "suspended"
        return "clock_step" if self.stepped > 0 else "stalled"


def lapse(before: Reading, after: Reading, nap_seconds: float) -> Lapse:
    """Return what happened between two readings of a loop that meant to sleep so long at most."""
    running = after.monotonic - before.monotonic
    passed = after.boottime - before.boottime
    asleep, stepped = passed - running, after.wall - before.wall - passed
    return Lapse(
        suspended=asleep if asleep > STEP_SECONDS else 0,
        stepped=stepped if abs(stepped) > STEP_SECONDS else 0,
        stalled=running if running - nap_seconds > STALL_SECONDS else 0,
    )
