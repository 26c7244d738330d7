"""What `why`, `audit` and `status` read beside the run log: journal, events, accepted files."""

import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, TypeAdapter

from sinkd import journal, revisions, source
from sinkd.history import History
from sinkd.instant import MINUTE, parse_rfc3339
from sinkd.journal import Replay
from sinkd.record import Event, Run
from sinkd.report import tidy
from sinkd.spec import Spec
from sinkd.storage import is_locked
from sinkd.timeline import Accepted

_TIMES: Final = frozenset({"from", "to", "until", "last_alive_at"})


def is_alive(data_dir: Path) -> bool:
    """Say whether a daemon holds the data directory; on Windows there is none (R14)."""
    return sys.platform != "win32" and is_locked(data_dir)


def read_journal(data_dir: Path) -> Replay | None:
    """Return what the journal says, None when it is not there, empty, or somebody else's.

    Raises ConfigError when a newer sinkd wrote it (R8).
    """
    try:
        replay = journal.replay((data_dir / journal.FILE).read_bytes())
    except OSError:
        return None
    return replay if replay.seq else None


def read_events(history: History) -> list[Event]:
    """Return the events that this version knows and whose fields are as they must be."""
    known: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])
    events = []
    for event in history.events():
        with suppress(ValueError):
            checked = known.validate_python(event)
            for name in _TIMES & checked.keys():
                parse_rfc3339(checked[name])  # type: ignore[literal-required]
            events.append(checked)
    return events


def read_revision(data_dir: Path, revision: str) -> Spec | None:
    """Return the spec of a revision, or of its first hex digits; None when it cannot be read."""
    try:
        names = [path.stem for path in (data_dir / revisions.DIRECTORY).iterdir()]
        found = next(name for name in names if name.startswith(revision))
        data = revisions.read_revision(data_dir, found)
    except (OSError, StopIteration):
        return None
    return source.load(data).spec if revisions.revision_of(data) == found else None


def begins_at(data_dir: Path, events: Iterable[Event]) -> Accepted | None:
    """Return what the log begins with, from which instant on every answer is there (L6).

    None when nothing was removed. Lines follow each other in the order of their writing, so that
    what came due after the end of one run is answered by the lines after it.
    """
    removed = (event["segments"] for event in events if event["event"] == "expired")
    if not any(name.startswith("runs") for names in removed for name in names):
        return None
    for run in map(tidy, History(data_dir).runs()):
        if (end := run.get("finished_at")) and "config" in run:
            return Accepted(run["seq"], parse_rfc3339(end) + MINUTE, run["config"])
    return None


def newest(run: Run | None, event: Event | None) -> float:
    """Return the last instant that the newest lines of the run log name, 0 without any."""
    texts = [event["at"]] if event else []
    if run:
        run = tidy(run)
        texts += [run.get("finished_at") or run.get("started_at") or run["scheduled_at"]]
    return max(map(parse_rfc3339, texts), default=0)
