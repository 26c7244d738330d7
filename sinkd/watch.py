"""Hints that the jobs file may have changed: the only user of watchfiles.

Watching the file itself goes deaf after its first atomic replacement, and so does watching only
one end of a chain of links. So every directory along the chain is watched, not recursively, and
the watch is armed anew after each change. A hint is never trusted: the bytes decide (C1), and a
net reads the file now and then whatever the watcher says.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import structlog

LINKS_LIMIT: Final = 40  # as the kernel's
POLL_SECONDS: Final = 15
_CHAIN_MILLISECONDS: Final = 1000  # how soon a chain that was replaced without a hint is seen

_log = structlog.get_logger("sinkd")


class FileWatch:
    """The jobs file of a directory tree: its bytes, and hints that they may differ."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> bytes:
        """Return the file's bytes; UsageError when it cannot be read."""
        from sinkd.source import read

        return read(self.path)

    async def hints(self) -> AsyncIterator[None]:
        """Yield whenever the file should be read: after arming, at each change, every 15 s.

        A watcher that cannot start or dies is said once a time and tried again (C5).
        """
        while True:
            try:
                async for _ in self._armed():
                    yield
            except (OSError, RuntimeError) as error:
                _log.warning("watch_failed", path=str(self.path), error=type(error).__name__)
                yield
                await asyncio.sleep(POLL_SECONDS)

    async def _armed(self) -> AsyncIterator[None]:
        """Watch a chain of directories until something changes there; yield as `hints` does."""
        from watchfiles import awatch

        directories = watched_directories(self.path)
        armed, read_at = _identity(directories), -float(POLL_SECONDS)
        async for changes in awatch(
            *directories,
            recursive=False,
            step=50,
            rust_timeout=_CHAIN_MILLISECONDS,
            yield_on_timeout=True,
        ):
            if changes or time.monotonic() - read_at >= POLL_SECONDS:
                read_at = time.monotonic()
                yield
            # A directory that was made anew may have the inode of the old one.
            if changes or _identity(watched_directories(self.path)) != armed:
                return


def _identity(directories: set[Path]) -> set[tuple[Path, int]]:
    """Return the directories with their inodes: one that was made anew is another one."""
    return {(place, place.stat().st_ino) for place in directories if place.exists()}


def watched_directories(path: Path) -> set[Path]:
    """Return the directory of each link from the given path to the real file, and the file's own.

    A directory on the way may be a link too, as git-sync's and a ConfigMap's are; for missing ones
    stands their nearest existing parent.
    """
    directories: set[Path] = set()
    place, rest = Path("/"), [*reversed(path.absolute().parts)]
    links = 0
    while rest:  # as the kernel walks, so that `..` leaves the directory that a link led into
        step = place / rest.pop()
        if step.name == "..":
            place = place.parent
        elif step.is_symlink() and links < LINKS_LIMIT:
            links += 1
            directories.add(place)
            rest += reversed(step.readlink().parts)
        else:
            place = step
    return {*directories, _existing(place.parent)}


def _existing(directory: Path) -> Path:
    return next(place for place in (directory, *directory.parents) if place.is_dir())
