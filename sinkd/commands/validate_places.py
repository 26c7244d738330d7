"""What the formats for forges share: a file's path in its repository, fingerprints, the advice."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sinkd.diagnostics import Diagnostic

if TYPE_CHECKING:
    from sinkd.commands.validate import Checked


class Placed(NamedTuple):
    """A finding with its file's path in the repository, and an id that outlives an edit above."""

    path: str
    found: Diagnostic
    fingerprint: str


def placed(files: "Sequence[Checked]") -> Iterator[Placed]:
    """Yield what was found in all files; no two fingerprints are equal."""
    seen: Counter[str] = Counter()
    for file in files:
        path = repository_path(file.path)
        for found in file.found:
            identity = "\0".join((path, found.code, found.job or "", found.message))
            seen[identity] += 1
            digest = hashlib.sha256(f"{identity}\0{seen[identity]}".encode())
            yield Placed(path, found, digest.hexdigest()[:32])


def repository_path(path: str) -> str:
    """Return a path from the root of the repository that a CI job checked out, with `/`.

    Outside of CI from the working directory; a file elsewhere and `-` keep their path.
    """
    root = os.environ.get("GITHUB_WORKSPACE") or os.environ.get("CI_PROJECT_DIR") or "."
    whole = Path(os.path.abspath(path))  # noqa: PTH100 (removes `..` and follows no link)
    if path != "-" and whole.is_relative_to(os.path.abspath(root)):  # noqa: PTH100 (as above)
        whole = whole.relative_to(os.path.abspath(root))  # noqa: PTH100 (as above)
    else:
        whole = Path(path)
    return whole.as_posix()


def advice(found: Diagnostic) -> list[str]:
    """Return the lines below a message: the label, the help, and where else to look."""
    label = [found.label] if found.label else []
    return [*label, *found.help, *(f"See line {s.line}: {text}." for s, text in found.related)]
