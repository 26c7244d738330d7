"""What `why`, `audit` and `status` read beside the run log: journal, events, accepted files."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, TypeAdapter

from sinkd import journal, revisions, source
from sinkd.history import History, is_run, overlaps, parse
from sinkd.instant import MINUTE, parse_rfc3339
from sinkd.journal import Replay
from sinkd.record import Event, Run
from sinkd.report import tidy
from sinkd.spec import Spec
from sinkd.storage import is_locked
from sinkd.timeline import Accepted, timeline
from sinkd.why import Known, reach

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


class Evidence:
    """What the files say that an explanation rests on (`why`); `specs` are those known already."""

    def __init__(
        self,
        history: History,
        now: float,
        *,
        alive: bool,
        specs: Mapping[str, Spec] | None = None,
    ) -> None:
        self.events = read_events(history)
        self._history = history
        self._now = now
        self._alive = alive
        self._specs: dict[str, Spec | None] = dict(specs or {})
        self._found = timeline(self.events)
        self._start = begins_at(history.data_dir, self.events)
        if self._start:
            self._found.begin_with(self._start)

    def spec(self, at: float) -> Spec | None:
        """Return the spec in force at an instant, None when there was none or it cannot be read."""
        accepted = self._found.in_force(at)
        if accepted is None:
            return None
        if accepted.config not in self._specs:
            spec = read_revision(self._history.data_dir, accepted.revision)
            self._specs[accepted.config] = spec
        return self._specs[accepted.config]

    def known(self, job: str, slots: Sequence[int]) -> Known:
        """Return what is known about a job around these minutes, oldest first."""
        for slot in slots:
            self.spec(slot)
        replay = read_journal(self._history.data_dir)
        state = replay.states.get(job) if replay else None
        return Known(
            job=job,
            now=self._now,
            alive=self._alive,
            found=self._found,
            events=self.events,
            specs=self._specs,
            runs=_lines(self._history, job, slots),
            begins_at=self._start.at if self._start else _first_instant(self._history, self.events),
            settled=state.decided if state else None,
            open=state.open.run_id if state and state.open else None,
            seen=replay.alive_at if replay else None,
            draining=replay.draining if replay else None,
        )


def _lines(history: History, job: str, slots: Sequence[int]) -> list[Run]:
    """Return the lines of a job around these slots; only its own are parsed."""
    found = []
    since, until = reach(slots[0])[0], reach(slots[-1])[1]
    for line in history.lines("runs"):
        if job.encode() in line:
            run = parse(line)
            if is_run(run) and run["job"] == job and overlaps(run, since, until):
                found.append(run)
    return found


def _first_instant(history: History, events: Sequence[Event]) -> float | None:
    """Return when the log begins; None when it is empty."""
    first = next(history.runs(), None)
    texts = [event["at"] for event in events[:1]] + ([first["scheduled_at"]] if first else [])
    return min(map(parse_rfc3339, texts), default=None)
