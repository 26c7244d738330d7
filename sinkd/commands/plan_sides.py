"""The two sides of a plan: the jobs file, and what it is compared with.

That is a commit of the file's git worktree, another file, or the file of a running daemon. What
git knows by a name comes before a file of that name: whoever proposes a change can add a file, but
must not choose what the change is compared with.
"""

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sinkd import git, source
from sinkd.commit import find_commit
from sinkd.errors import UsageError
from sinkd.state import Pause
from sinkd.terminal import escape

_URL: Final = re.compile(r"https?://", re.IGNORECASE)
_BRANCHES: Final = (
    "refs/remotes/origin/main",
    "refs/remotes/origin/master",
    "refs/heads/main",
    "refs/heads/master",
)
_NO_JOBS: Final = b"version: 1\njobs: []\n"
_TOKEN: Final = re.compile(r"[!-~]+")
_UNSHALLOW: Final = "run `git fetch --unshallow`, or check out with `fetch-depth: 0`"
_GIT_SECONDS: Final = 30


@dataclass(frozen=True, slots=True)
class Side:
    """One side: how people call it, how diagnostics call its file, and its bytes.

    `version` is a short commit, or the beginning of the revision where there is none.
    `pauses` are the jobs that a daemon holds.
    """

    name: str
    path: str
    data: bytes
    version: str
    pauses: dict[str, Pause] = field(default_factory=dict)
    is_daemon: bool = False


def proposed(path: Path) -> Side:
    """Return the jobs file as it is now."""
    data = source.read(path)
    commit = find_commit(path, data)
    return Side(path.name, str(path), data, commit[:7] if commit else _revision(data))


def compared_with(what: str | None, path: Path, token_file: Path | None) -> Side:
    """Return the side named by `--base`, which is the merge base when it is None.

    Raises UsageError, which says what to do, when there is no such side.
    """
    if what and _URL.match(what):
        return _running(what, token_file)
    if token_file:
        message = "`--auth-token-file` is for a daemon: give its URL with `--base`"
        raise UsageError(message)
    root = git.worktree_of(path.resolve())
    if what is None:
        return _merge_base(root, path)
    if root and (commit := _commit(root, what)):
        return _committed(root, f"{what} ({commit[:7]})", commit, path)
    if root and ":" in what and (blob := _object(root, what)):  # as `main:old/jobs.yaml`
        return Side(what, what, _blob(root, blob, what), blob[:7])
    other = Path(what)
    if other.is_file():
        data = source.read(other)
        return Side(what, what, data, _revision(data))
    message = f"`{escape(what)}` is no commit here, no file and no URL"
    if root:
        _check_git(root)
    if root and _is_shallow(root):
        message += f"; this clone is shallow: {_UNSHALLOW}"
    raise UsageError(message)


def _revision(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]


def _merge_base(root: Path | None, path: Path) -> Side:
    """Return the commit in which HEAD and the default branch parted."""
    if root is None:
        message = (
            f"{path} is in no git worktree: name what to compare with, as in `--base old.yaml`"
        )
        raise UsageError(message)
    branch = _default_branch(root)
    name = re.sub("^refs/(remotes|heads)/", "", branch)
    commit = _ask_text(root, "merge-base", "HEAD", branch)
    if commit is None:
        message = f"HEAD and {name} have no commit in common"
        message += " in this shallow clone" if _is_shallow(root) else ""
        message += f": {_UNSHALLOW}; or name another base with `--base`"
        raise UsageError(message)
    return _committed(root, f"the merge base with {name} ({commit[:7]})", commit, path)


def _default_branch(root: Path) -> str:
    """Return the full name of the branch that changes are merged into."""
    told = _ask_text(root, "symbolic-ref", "--quiet", "refs/remotes/origin/HEAD")
    for branch in (told, *_BRANCHES):
        if branch and _commit(root, branch):
            return branch
    _check_git(root)
    if not _ask_text(root, "remote"):
        message = "there is no branch `main` or `master`: name another base with `--base`"
    else:
        message = (
            "the default branch is not in this clone: run "
            "`git fetch origin main:refs/remotes/origin/main`, or name another base with `--base`"
        )
    if _is_shallow(root):
        message += f"; it is shallow, so also {_UNSHALLOW}"
    raise UsageError(message)


def _check_git(root: Path) -> None:
    if _ask(root, "rev-parse", "--git-dir") is None:
        message = f"git is not installed, or cannot read {root}: name a file with `--base`"
        raise UsageError(message)


def _committed(root: Path, name: str, commit: str, path: Path) -> Side:
    """Return the jobs file as a commit has it."""
    inside = path.resolve().relative_to(root).as_posix()
    version = commit[:7]
    blob = _ask_text(root, "rev-parse", "--verify", "--quiet", f"{commit}:{inside}")
    if blob is None:
        return Side(f"{name}, which has no {inside}", f"{version}:{inside}", _NO_JOBS, version)
    where = f"{version}:{inside}"
    return Side(name, where, _blob(root, blob, where), version)


def _blob(root: Path, blob: str, where: str) -> bytes:
    data = _ask(root, "cat-file", "blob", blob)
    if data is None:
        message = f"git cannot read {where}"
        raise UsageError(message)
    return data


def _commit(root: Path, name: str) -> str | None:
    return _object(root, f"{name}^{{commit}}")


def _object(root: Path, name: str) -> str | None:
    """Return the id of what git knows by a name; one that begins with a dash is no option."""
    options = ("--verify", "--quiet", "--end-of-options")
    return _ask_text(root, "rev-parse", *options, name)


def _is_shallow(root: Path) -> bool:
    return _ask_text(root, "rev-parse", "--is-shallow-repository") == "true"


def _ask(root: Path, *arguments: str) -> bytes | None:
    return git.ask(root, *arguments, timeout_seconds=_GIT_SECONDS)


def _ask_text(root: Path, *arguments: str) -> str | None:
    answer = _ask(root, *arguments)
    return None if answer is None else answer.decode("utf-8", "replace").strip()


def _running(url: str, token_file: Path | None) -> Side:
    """Return the jobs file that a daemon runs, and the jobs that it holds."""
    from sinkd.remote import fetch_config

    running = fetch_config(url, _token(token_file) if token_file else None)
    data, version = running.text.encode(), running.revision[:12]
    return Side(url, url, data, version, running.pauses, is_daemon=True)


def _token(path: Path) -> str:
    """Return the one line of a token's file."""
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        token = ""
    if not _TOKEN.fullmatch(token):
        message = f"{path} cannot be read, or is not one line with a token"
        raise UsageError(message)
    return token
