"""Reads the log beside a daemon that must stay punctual.

Python runs one thread at a time, and takes the turn from a busy one only each 5 ms. A thread that
reads a million lines therefore lets go by itself, long before.
"""

import time
from collections.abc import Iterator
from typing import Final

from sinkd.history import History, Stem

_WORK_SECONDS: Final = 0.001
_REST_SECONDS: Final = 0.002
_LOOK_LINES: Final = 16


class GentleHistory(History):
    """A history whose reader, on a thread of its own, rests after each millisecond of work."""

    def lines(self, stem: Stem, *, backwards: bool = False) -> Iterator[bytes]:
        """Yield every line, and rest in between."""
        began = time.perf_counter()
        for number, line in enumerate(super().lines(stem, backwards=backwards)):
            yield line
            if number % _LOOK_LINES == 0 and time.perf_counter() - began > _WORK_SECONDS:
                time.sleep(_REST_SECONDS)
                began = time.perf_counter()
