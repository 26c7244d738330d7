"""Asks git about the worktree that holds a file.

The repository cannot make git run programs: no optional locks, no fsmonitor, nothing is fetched (a
partial clone would, by a program that it names), no hook is run, and only its own root is trusted.
"""

import os
import subprocess
from pathlib import Path

TIMEOUT_SECONDS = 2

_SAFE = {"GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": ""}


def worktree_of(path: Path) -> Path | None:
    """Return the root of the worktree that holds a resolved path, None outside of any."""
    return next((folder for folder in path.parents if (folder / ".git").exists()), None)


def ask(root: Path, *arguments: str, timeout_seconds: float = TIMEOUT_SECONDS) -> bytes | None:
    """Return what git prints, None when it fails, is not installed or takes too long."""
    options = ("-c", "core.fsmonitor=false", "-c", f"safe.directory={root}")
    # A hook's GIT_DIR, for one, would point elsewhere.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(  # noqa: S603
            ["git", *options, *arguments],  # noqa: S607
            cwd=root,
            env=inherited | _SAFE,
            capture_output=True,
            check=True,
            timeout=timeout_seconds,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
