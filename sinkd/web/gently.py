"""Reads the log beside a daemon that must stay punctual.

Python runs one thread at a time, and takes the turn from a busy one only each 5 ms. A thread that
reads a million lines therefore lets go by itself, long before.
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from sinkd.history import History, Stem

_WORK_SECONDS: Final = 0.001
_REST_SECONDS: Final = 0.002
_LOOK_LINES: Final = 16

Result = TypeVar("Result")


class StoppedError(Exception):
    """The daemon stops while the log is read."""


class GentleHistory(History):
    """A history whose reader, on a thread of its own, rests after each millisecond of work.

    Raises StoppedError once `stopping` is set.
    """

    def __init__(self, data_dir: Path, stopping: threading.Event) -> None:
        super().__init__(data_dir)
        self._stopping = stopping

    def lines(self, stem: Stem, *, backwards: bool = False) -> Iterator[bytes]:
        """Yield every line, and rest in between."""
        began = time.perf_counter()
        for number, line in enumerate(super().lines(stem, backwards=backwards)):
            yield line
            if number % _LOOK_LINES == 0 and time.perf_counter() - began > _WORK_SECONDS:
                if self._stopping.wait(_REST_SECONDS):
                    raise StoppedError
                began = time.perf_counter()


class Reader:
    """Reads the log of one data directory on one thread, so one question at a time."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="pages")

    def ask(self, question: Callable[[GentleHistory], Result]) -> Awaitable[Result]:
        """Return what a question to the log is answered with; the loop goes on meanwhile."""
        return asyncio.get_running_loop().run_in_executor(
            self._pool, lambda: question(GentleHistory(self._data_dir, self._stopping))
        )

    def stop(self) -> None:
        """End what is being read."""
        self._stopping.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
