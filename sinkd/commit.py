"""The git commit of an accepted jobs file, when its bytes are those of HEAD."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

TIMEOUT_SECONDS: Final = 2
VARIABLE: Final = "SINKD_COMMIT"


def find_commit(path: Path, data: bytes) -> str | None:
    """Return `$SINKD_COMMIT`, or HEAD of the worktree that holds the file with exactly these bytes.

    None without git, outside a worktree, for uncommitted bytes, or when git takes over 2 s. The
    repository cannot make git run programs: no optional locks, no fsmonitor, hooks are not asked
    for, and only its own root is trusted.
    """
    if given := os.environ.get(VARIABLE):
        return given
    real = path.resolve()
    root = next((folder for folder in real.parents if (folder / ".git").exists()), None)
    if root is None or not shutil.which("git"):
        return None
    name = real.relative_to(root).as_posix()
    commit = _git(root, "rev-parse", "--verify", "HEAD")
    if commit is None or _git(root, "cat-file", "blob", f"HEAD:{name}") != data:
        return None
    return commit.decode("ascii").strip()


def _git(root: Path, *arguments: str) -> bytes | None:
    """Return what git prints, None when it fails."""
    options = ("-c", "core.fsmonitor=false", "-c", f"safe.directory={root}")
    try:
        done = subprocess.run(  # noqa: S603
            ["git", *options, *arguments],  # noqa: S607
            cwd=root,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
            capture_output=True,
            check=True,
            timeout=TIMEOUT_SECONDS,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
