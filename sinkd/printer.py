"""Lines for stdout (`--print-runs`) and stderr (the diagnostic log), best effort.

A reader that is slow or gone must delay nothing: a thread of its own writes from a bounded queue,
and a line that finds the queue full is dropped and counted.
"""

import atexit
import contextlib
import os
import queue
import threading
from typing import Any, Final, TextIO

QUEUE_LINES: Final = 10_000


class Printer:
    """Writes lines to a file descriptor in the order they are shown."""

    def __init__(self, descriptor: int) -> None:
        self.dropped = 0
        self._descriptor = descriptor
        self._lines: queue.Queue[bytes | None] = queue.Queue(QUEUE_LINES)
        self._thread = threading.Thread(target=self._print, name="printer", daemon=True)
        self._thread.start()

    def show(self, line: bytes) -> None:
        """Print a line soon, or count it as dropped."""
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self.dropped += 1

    def close(self, wait_seconds: float = 1) -> None:
        """Print what is queued, as far as the reader takes it in this time."""
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(None)
            self._thread.join(wait_seconds)

    def _print(self) -> None:
        while (line := self._lines.get()) is not None:
            rest = memoryview(line)
            try:
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]
            except OSError:
                self.dropped += 1


class PrinterStream:
    """A text stream, such as stderr, whose writers never wait for its reader."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._printer = Printer(stream.fileno())
        atexit.register(self.close)  # after the traceback of a bug

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - all else is the stream's own
        """Return what the stream has of this name."""
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Print the text soon."""
        self._printer.show(text.encode(errors="backslashreplace"))
        return len(text)

    def flush(self) -> None:
        """Do nothing: what is written is on its way."""

    def close(self) -> None:
        """Print what is queued, as far as the reader takes it in a second."""
        self._printer.close()
