"""A disk that fails on purpose: cut off at any operation, full, or with errors for a while."""

import errno
import json
import random
from collections import Counter, defaultdict
from pathlib import Path

from sinkd import journal, revisions
from sinkd.storage import Storage

TAILS = ("lost", "kept", "cut", "torn at random", "NUL")
FAILURES = {"full": errno.ENOSPC, "write": errno.EIO, "sync": errno.EIO, "rename": errno.EIO}


class PowerCutError(Exception):
    """The machine lost its power in the middle of an operation."""


class Faults:
    """What goes wrong, kept over restarts, and what can be seen of a disk from outside.

    After `cut_after` more operations the power is cut; `failing` are the kinds of `FAILURES` that
    fail now; `tail` is what a cut leaves of what was not synced, None for any. `torn` counts the
    torn lines that were made, `accepted` has (monotonic, wall, revision) of each `accepted.json`.
    """

    def __init__(self, seed, clock, tail=None):
        self.random = random.Random(seed)
        self.clock = clock
        self.tail = tail
        self.cut_after = None
        self.failing = set()
        self.dead = False
        self.operations = 0
        self.synced = defaultdict(int)
        self.torn = Counter()
        self.accepted = []
        self.disk = None

    def storage(self, path):
        """Open the directory after a start of the machine or of the daemon."""
        if self.disk:
            self.disk.close()
        self.dead = False
        self.synced.clear()
        for each in Path(path).glob("*.jsonl"):
            self.synced[each.name] = each.stat().st_size
            if not each.read_bytes().endswith(b"\n"):
                self.torn[each.name[:4]] += 1
        return Disk(path, self)

    def lose_tails(self, path):
        """Leave of each unsynced tail what a power cut may leave."""
        for each in Path(path).glob("*.jsonl"):
            data, safe = each.read_bytes(), self.synced[each.name]
            tail = data[safe:]
            match self.tail or self.random.choice(TAILS):
                case "lost":
                    tail = b""
                case "cut":
                    tail = tail[:-1]
                case "torn at random":
                    tail = tail[: self.random.randint(0, len(tail))]
                case "NUL":
                    tail = bytes(len(tail))
            each.write_bytes(data[:safe] + tail)

    def has_claim(self, path, run_id):
        """Say whether a power cut right now would leave the claim of a run."""
        data = (path / journal.FILE).read_bytes()[: self.synced[journal.FILE]]
        lines = data.splitlines()
        return any(
            b'"claim"' in line and journal.decode(line)["run_id"] == run_id
            for line in reversed(lines)
            if run_id.encode() in line
        )


class Disk(Storage):
    """A data directory on such a disk."""

    def __init__(self, path, faults):
        self._faults = faults
        self._is_open = True
        faults.disk = self
        super().__init__(path)

    def close(self):
        if self._is_open:
            self._is_open = False
            super().close()

    def _operate(self, *needs):
        faults = self._faults
        faults.operations += 1
        if faults.cut_after is not None:
            faults.cut_after -= 1
            if faults.cut_after < 0:
                faults.dead, faults.cut_after = True, None
        if faults.dead:
            raise PowerCutError
        for need in needs:
            if need in faults.failing:
                raise OSError(FAILURES[need], need)

    def append(self, name, data, mode=0o640):
        if not self._faults.dead and self._faults.failing & {"full", "write"}:
            short = data[: self._faults.random.randint(0, len(data) - 1)]
            super().append(name, short, mode)
        self._operate("full", "write")
        super().append(name, data, mode)

    def sync(self, name):
        self._operate("sync")
        super().sync(name)
        self._faults.synced[name] = self.size(name)

    def truncate(self, name, size):
        try:
            self._operate("write")
        except OSError:
            self._faults.torn[name[:4]] += 1
            raise
        super().truncate(name, size)
        self._faults.synced[name] = min(self._faults.synced[name], size)

    def replace(self, name, data, mode=0o600):
        self._operate("full", "write", "sync", "rename")
        super().replace(name, data, mode)
        self._faults.synced[name] = len(data)
        if name == revisions.ACCEPTED:
            clock = self._faults.clock
            revision = json.loads(data)["revision"]
            self._faults.accepted.append((clock.monotonic(), clock.wall(), revision))

    def seal(self, name, sealed, mode=0o640):
        self._operate("rename")
        super().seal(name, sealed, mode)
        self._faults.synced[sealed] = self._faults.synced.pop(name, 0)

    def compress(self, name):
        self._operate("full", "write", "sync", "rename")
        super().compress(name)

    def remove(self, name):
        self._operate()
        super().remove(name)

    def reserve(self, name, size):
        self._operate("full")
        super().reserve(name, size)
