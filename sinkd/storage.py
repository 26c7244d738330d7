"""The files of the data directory: the only writer of them.

Every call names a file relative to the directory. `sinkd.testing` has a subclass that loses what
was not synced. Errors are the `OSError`s of the system; what is refused on principle is a
`LogUnusableError`.
"""

import contextlib
import errno
import gzip
import os
import shutil
import stat
import sys
import time
from pathlib import Path

from sinkd.errors import LockedError, LogUnusableError

DIRECTORY_MODE = 0o750
PUBLIC_MODE = 0o640  # people on call and log shippers read these through the group
PRIVATE_MODE = 0o600
LOCK = "sinkd.lock"
LOCK_TRIES = 5

_APPEND = os.O_RDWR | os.O_APPEND
_BLOCK_BYTES = 1024 * 1024
_GZIP_LEVEL = 6  # 9 takes four times as long for 2 % less
_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


class Storage:
    """An open data directory, created when it is missing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files: dict[str, int] = {}
        self._lock: int | None = None
        with contextlib.suppress(FileExistsError):
            path.mkdir(parents=True)
            path.chmod(DIRECTORY_MODE)  # whatever the umask
        _refuse_world_writable(path)
        self._directory = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        if not (path / ".gitignore").exists():
            self.replace(".gitignore", b"*\n")

    def lock(self) -> None:
        """Hold the directory until `close`, or raise LockedError with the holder's pid (R11)."""
        import fcntl

        self._lock = self._open(LOCK, os.O_RDWR, PRIVATE_MODE)
        for _ in range(LOCK_TRIES):  # a reader that asks `is_locked` holds it for an instant
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            time.sleep(0.05)
        else:
            pid = os.read(self._lock, 32).decode("ascii", "replace").strip() or "unknown"
            message = f"another sinkd (pid {pid}) holds {self.path}; stop it or use --data-dir"
            raise LockedError(message)
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)

    def append(self, name: str, data: bytes, mode: int = PUBLIC_MODE) -> None:
        """Append with one write; a short one is an ENOSPC, its part stays until `truncate`."""
        written = os.write(self._file(name, mode), data)
        if written < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)  # as the next would say

    def is_torn(self, name: str, mode: int = PUBLIC_MODE) -> bool:
        """Say whether the last line has no newline (R7)."""
        descriptor = self._file(name, mode)
        size = os.fstat(descriptor).st_size
        return size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"

    def refresh(self, name: str) -> bool:
        """Let go of a file that was moved away or replaced from outside; True if it was (L2)."""
        if name not in self._files:
            return False
        with contextlib.suppress(FileNotFoundError):
            found = os.stat(name, dir_fd=self._directory, follow_symlinks=False)
            if os.path.samestat(found, os.fstat(self._files[name])):
                return False
        self._forget(name)
        return True

    def size(self, name: str, mode: int = PUBLIC_MODE) -> int:
        """Return the bytes of a file, which is created when it is missing."""
        return os.fstat(self._file(name, mode)).st_size

    def truncate(self, name: str, size: int) -> None:
        """Cut an open file back to a size, which works on a full disk (E2)."""
        os.ftruncate(self._files[name], size)

    def sync(self, name: str) -> None:
        """Make what was appended durable."""
        sync_file(self._files[name])

    def replace(self, name: str, data: bytes, mode: int = PRIVATE_MODE) -> None:
        """Write a whole file so that after a crash it is the old or the new one."""
        passing = f"{name}.new"
        descriptor = self._open(passing, os.O_WRONLY | os.O_TRUNC, mode)
        try:
            with open(descriptor, "wb", closefd=False) as file:
                file.write(data)
            sync_file(descriptor)
        finally:
            os.close(descriptor)
        self._forget(name)
        self._rename(passing, name)

    def seal(self, name: str, sealed: str, mode: int = PUBLIC_MODE) -> None:
        """Give a file another name and begin it anew, with the mode that it has (L1)."""
        mode = stat.S_IMODE(os.fstat(self._file(name, mode)).st_mode)
        self._forget(name)
        self._rename(name, sealed)
        self._files[name] = self._create(name, _APPEND, mode)

    def compress(self, name: str) -> None:
        """Put `name.gz` in the place of a file that changes no more; a crash may leave both."""
        passing = f"{name}.gz.new"
        with open(self._open(name, os.O_RDONLY, PUBLIC_MODE), "rb") as plain:  # noqa: PTH123 (no path)
            mode = stat.S_IMODE(os.fstat(plain.fileno()).st_mode)
            descriptor = self._open(passing, os.O_WRONLY | os.O_TRUNC, mode)
            try:
                with (
                    open(descriptor, "wb", closefd=False) as file,
                    gzip.GzipFile("", "wb", _GZIP_LEVEL, file, mtime=0) as packed,
                ):
                    shutil.copyfileobj(plain, packed, _BLOCK_BYTES)
                sync_file(descriptor)
            except OSError:
                self.remove(passing)
                raise
            finally:
                os.close(descriptor)
        self._rename(passing, f"{name}.gz")
        self.remove(name)

    def names(self) -> list[str]:
        """Return the names of all that is in the directory."""
        return os.listdir(self._directory)  # noqa: PTH208 (no path)

    def make_directory(self, name: str) -> None:
        """Create a directory for private files, if it is missing."""
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, dir_fd=self._directory)
            os.chmod(name, DIRECTORY_MODE, dir_fd=self._directory)
        if (self.path / name).is_symlink():
            raise self._link(name)

    def remove(self, name: str) -> None:
        """Remove a file, if it exists."""
        self._forget(name)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._directory)

    def reserve(self, name: str, size: int) -> None:
        """Hold disk space in a file of this size (E4); OSError, and no file, when there is none."""
        if not hasattr(os, "posix_fallocate"):  # macOS (R14)
            return
        descriptor = self._open(name, os.O_WRONLY, PRIVATE_MODE)
        try:
            os.posix_fallocate(descriptor, 0, size)
            os.ftruncate(descriptor, size)
        except OSError:
            self.remove(name)
            raise
        finally:
            os.close(descriptor)

    def sync_directory(self, name: str = "") -> None:
        """Make the name of a created, renamed or removed file durable."""
        parent = os.open(os.path.dirname(name) or ".", os.O_RDONLY, dir_fd=self._directory)  # noqa: PTH120
        try:
            os.fsync(parent)
        finally:
            os.close(parent)

    def close(self) -> None:
        """Close every file and let go of the lock."""
        for name in list(self._files):
            self._forget(name)
        os.close(self._directory)
        if self._lock is not None:
            os.close(self._lock)

    def _file(self, name: str, mode: int) -> int:
        if name not in self._files:
            self._files[name] = self._open(name, _APPEND, mode)
        return self._files[name]

    def _forget(self, name: str) -> None:
        if (descriptor := self._files.pop(name, None)) is not None:
            os.close(descriptor)

    def _rename(self, name: str, to: str) -> None:
        os.rename(name, to, src_dir_fd=self._directory, dst_dir_fd=self._directory)
        self.sync_directory(to)

    def _open(self, name: str, flags: int, mode: int) -> int:
        try:
            descriptor = os.open(name, flags | _FLAGS, dir_fd=self._directory)
        except FileNotFoundError:
            return self._create(name, flags, mode)
        except OSError as error:
            if (self.path / name).is_symlink():
                raise self._link(name) from error
            raise
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            message = f"{self.path / name} is not a regular file; move it away"
            raise LogUnusableError(message)
        return descriptor

    def _link(self, name: str) -> LogUnusableError:
        return LogUnusableError(f"{self.path / name} is a symbolic link; sinkd writes to no links")

    def _create(self, name: str, flags: int, mode: int) -> int:
        """Make a file whose name is durable and whose mode does not depend on the umask."""
        new = os.O_CREAT | os.O_EXCL
        descriptor = os.open(name, flags | new | _FLAGS, mode, dir_fd=self._directory)
        os.fchmod(descriptor, mode)
        self.sync_directory(name)
        return descriptor


def is_locked(path: Path) -> bool:
    """Say whether a daemon holds the data directory (R11); a pid would prove nothing."""
    import fcntl

    try:
        descriptor = os.open(path / LOCK, os.O_RDWR | _FLAGS)
    except PermissionError:
        return _is_listed(path / LOCK)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def _is_listed(path: Path) -> bool:
    """Say whether Linux lists a lock on a file that we may not open."""
    try:
        found = path.stat()
        listed = Path("/proc/locks").read_text()
    except OSError:
        return False
    device = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}"
    return f" {device}:{found.st_ino} " in listed


def sync_file(descriptor: int) -> None:
    """Make a file durable; on macOS only F_FULLFSYNC does (R14)."""
    if sys.platform == "darwin":
        import fcntl

        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    elif sys.platform == "win32":
        os.fsync(descriptor)
    else:
        os.fdatasync(descriptor)


def _refuse_world_writable(path: Path) -> None:
    mode = path.stat().st_mode
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        message = f"{path} can be written by everyone; run `chmod o-w {path}`"
        raise LogUnusableError(message)
