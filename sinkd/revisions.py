"""Every accepted jobs file, and which one was accepted last (R13, C4, C6).

`accepted.json` is `{revision, path, at}`; `revisions/<revision>.yaml` holds the bytes.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic_core import from_json, to_json

from sinkd.instant import rfc3339
from sinkd.storage import PRIVATE_MODE, Storage

ACCEPTED: Final = "accepted.json"
DIRECTORY: Final = "revisions"


@dataclass(frozen=True, slots=True)
class Accepted:
    """The jobs file accepted last: its revision, absolute path, RFC 3339 instant, and bytes."""

    revision: str
    path: str
    at: str
    data: bytes


def revision_of(data: bytes) -> str:
    """Return the revision of a jobs file: the SHA-256 of its bytes in hex."""
    return hashlib.sha256(data).hexdigest()


def read_accepted(data_dir: Path) -> Accepted | None:
    """Return the file accepted last; None when there is none or its bytes are lost or changed."""
    try:
        note = from_json((data_dir / ACCEPTED).read_bytes())
        data = read_revision(data_dir, note["revision"])
        accepted = Accepted(note["revision"], note["path"], note["at"], data)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return accepted if revision_of(data) == accepted.revision else None


def read_revision(data_dir: Path, revision: str) -> bytes:
    """Return the bytes of an accepted revision; OSError when it is not there."""
    return (data_dir / DIRECTORY / f"{revision}.yaml").read_bytes()


def keep(storage: Storage, data: bytes, path: Path, now: float) -> None:
    """Keep an accepted file and note that it was the last (R13)."""
    revision = revision_of(data)
    storage.make_directory(DIRECTORY)
    storage.replace(f"{DIRECTORY}/{revision}.yaml", data, PRIVATE_MODE)
    note = {"revision": revision, "path": str(path.absolute()), "at": rfc3339(now)}
    storage.replace(ACCEPTED, to_json(note) + b"\n", PRIVATE_MODE)
