"""What is doubtful about the place in which a daemon starts: said, and never refused (R11).

Containers, volumes of Kubernetes, backups by hard links and `sudo` all look like this too.
"""

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

MOUNTS: Final = Path("/proc/self/mountinfo")
_FILES_SHOWN: Final = 5
_NETWORK: Final = re.compile(r"nfs\d?|cifs|smb\w*|fuse(?:blk|\..*)?|9p|afs|ceph|lustre")


class Doubt(NamedTuple):
    """A warning of the diagnostic log: its event, and what it says besides."""

    event: str
    fields: Mapping[str, str]


def doubts(config: Path, data_dir: Path) -> Iterator[Doubt]:
    """Yield what is doubtful about the user, the jobs file and the data directory."""
    if os.geteuid() == 0:
        yield Doubt("running_as_root", {"fix": "run sinkd as a user of its own"})
    yield from _of_config(config)
    yield from _of_files(data_dir, os.geteuid())
    yield from _of_file_system(data_dir)


def _of_config(config: Path) -> Iterator[Doubt]:
    """Doubt a jobs file that everyone can replace; it may be a link, as those of a ConfigMap."""
    real = Path(os.path.realpath(config))
    for path in dict.fromkeys((config, real, config.absolute().parent, real.parent)):
        found = _stat(path)
        if found and found.st_mode & stat.S_IWOTH:
            fields = {"path": str(path), "fix": f"chmod o-w {path}"}
            yield Doubt("config_writable_by_everyone", fields)


def _of_files(data_dir: Path, user: int) -> Iterator[Doubt]:
    paths = [data_dir, *sorted(path for path in data_dir.iterdir() if not path.is_symlink())]
    found = {path: each for path in paths if (each := _stat(path))}
    strange = [path for path, each in found.items() if each.st_uid != user]
    shared = [path for path, each in found.items() if each.st_mode & (stat.S_IWGRP | stat.S_IWOTH)]
    linked = [
        path for path, each in found.items() if stat.S_ISREG(each.st_mode) and each.st_nlink > 1
    ]
    for event, listed, why in (
        ("data_of_another_user", strange, "that user can change the log"),
        ("data_writable_by_others", shared, "others can change the log"),
        ("data_hard_linked", linked, "what is written here also changes elsewhere"),
    ):
        if listed:
            yield Doubt(event, {"paths": _listed(listed), "why": why})


def _of_file_system(data_dir: Path) -> Iterator[Doubt]:
    try:
        mounts = MOUNTS.read_text(errors="replace")
    except OSError:  # not Linux
        return
    kind = file_system(os.path.realpath(data_dir), mounts)
    if _NETWORK.fullmatch(kind):
        why = "locks and syncs may mean nothing there: use a local disk"
        yield Doubt(
            "data_on_network_file_system", {"path": str(data_dir), "type": kind, "why": why}
        )


def file_system(path: str, mounts: str) -> str:
    """Return the type of the file system that holds a real path, as proc(5) lists the mounts."""
    best, kind = "", ""
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        point = "".join(before.split(" ")[4:5])  # proc(5)
        point = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), point)
        inside = point and f"{path}/".startswith(f"{point.rstrip('/')}/")
        if inside and len(point) >= len(best):  # of two on one another the later one is seen
            best, kind = point, after.partition(" ")[0]
    return kind


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:  # it went away, or stands where we may not look
        return None


def _listed(paths: Iterable[Path]) -> str:
    listed = [str(path) for path in paths]
    rest = len(listed) - _FILES_SHOWN
    return ", ".join(listed[:_FILES_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
