"""A disk that fails on purpose: full, cut off at any operation, with the unsynced tails in doubt."""

import errno
import random
from collections import defaultdict
from pathlib import Path

from sinkd.storage import Storage

TAILS = ("lost", "kept", "cut", "torn at random", "NUL")


class PowerCutError(Exception):
    """The machine lost its power in the middle of an operation."""


class Plan:
    """What goes wrong, kept over restarts: `cut_after` operations, or a disk that is `full`."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.cut_after = None
        self.full = False
        self.dead = False
        self.synced = defaultdict(int)

    def storage(self, path):
        self.dead, self.cut_after, self.full = False, None, False
        self.synced = defaultdict(int, {
            each.name: each.stat().st_size for each in Path(path).glob("*") if each.is_file()
        })  # fmt: skip
        return Disk(path, self)

    def lose_tails(self, path):
        """Leave of each unsynced tail what a crash may leave."""
        for each in Path(path).glob("*.jsonl"):
            data, safe = each.read_bytes(), self.synced[each.name]
            tail = data[safe:]
            match self.random.choice(TAILS):
                case "lost":
                    tail = b""
                case "cut":
                    tail = tail[:-1]
                case "torn at random":
                    tail = tail[: self.random.randint(0, len(tail))]
                case "NUL":
                    tail = bytes(len(tail))
            each.write_bytes(data[:safe] + tail)


class Disk(Storage):
    """A data directory on such a disk."""

    def __init__(self, path, plan):
        self._plan = plan
        super().__init__(path)

    def _operate(self, *, grows=False):
        plan = self._plan
        if plan.dead:
            raise PowerCutError
        if plan.cut_after is not None:
            plan.cut_after -= 1
            if plan.cut_after < 0:
                plan.dead = True
                raise PowerCutError
        if grows and plan.full:
            raise OSError(errno.ENOSPC, "full")

    def append(self, name, data, mode=0o640):
        if self._plan.full and not self._plan.dead:
            super().append(name, data[: self._plan.random.randint(0, len(data) - 1)] or b"", mode)
        self._operate(grows=True)
        super().append(name, data, mode)

    def sync(self, name):
        self._operate()
        super().sync(name)
        self._plan.synced[name] = self.size(name)

    def truncate(self, name, size):
        self._operate()
        super().truncate(name, size)
        self._plan.synced[name] = min(self._plan.synced[name], size)

    def replace(self, name, data, mode=0o600):
        self._operate(grows=True)
        super().replace(name, data, mode)
        self._plan.synced[name] = len(data)

    def seal(self, name, sealed, mode=0o640):
        self._operate()
        self._plan.synced[sealed] = self._plan.synced.pop(name, 0)
        super().seal(name, sealed, mode)

    def reserve(self, name, size):
        self._operate(grows=True)
        super().reserve(name, size)
