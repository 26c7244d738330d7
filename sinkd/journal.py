"""The private journal: its lines and what they say about every job (R1, R4, R8).

`journal.jsonl` holds one JSON object a line, each with a CRC32 of the rest, the format version
first. A line that does not prove itself is ignored and counted. Entries, by their `entry`:

    version   {format}                                  the first line
    claim     {job, run_id, slot, after, record, since} a promise, durable before anything is sent;
                                                        a manual run has no `slot` and no `after`,
                                                        `since` is its first number, after a compaction
    close     {job, run_id}                             the run's last line is durable
    cursor    {job, decided, schedule}                  settled through, and the schedule from then on
    state     {job, decided, schedule, sent, pause, loaded}   all of a job, after a compaction
    pause     {job, until, reason, by}                  T10
    resume    {job, at}                                 T10
    alive     {at, cursors, tzdata, draining}           each minute: the cursors moved since the last
"""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic_core import from_json, to_json

from sinkd.errors import ConfigError
from sinkd.record import Run
from sinkd.state import Claim, Entry, JobState, apply, entry_of, settled

FILE: Final = "journal.jsonl"
FORMAT: Final = 1
COMPACT_BYTES: Final = 16 * 1024 * 1024
DURABLE: Final = frozenset({"version", "claim", "cursor", "state", "pause", "resume"})

_CRC = b',"crc":"'
_TAIL = len(_CRC) + 8 + len(b'"}')


def encode(entry: Mapping[str, Any]) -> bytes:
    """Return an entry as a line with its checksum."""
    body = to_json(entry, ensure_ascii=True)
    return b'%s%s%08x"}\n' % (body[:-1], _CRC, zlib.crc32(body))


def decode(line: bytes) -> dict[str, Any] | None:
    """Return the entry of a line without its newline, or None when it does not prove itself."""
    body = line[:-_TAIL] + b"}"
    if line[-_TAIL:] != b'%s%08x"}' % (_CRC, zlib.crc32(body)):
        return None
    entry: dict[str, Any] = from_json(body)
    return entry


@dataclass(slots=True)
class Replay:
    """What a journal says: the fold of all its entries.

    `seq` is the largest number seen; `alive_seq`, `alive_at` and `draining` are those of the last
    sign of life, None without one; `damaged` counts lines that were ignored.
    """

    states: dict[str, JobState] = field(default_factory=dict)
    seq: int = 0
    alive_seq: int = 0
    alive_at: float | None = None
    draining: float | None = None
    damaged: int = 0
    _settled_seq: dict[str, int] = field(default_factory=dict)

    def add(self, entry: Entry) -> None:
        """Fold one entry; ConfigError when a newer sinkd wrote the journal (R8)."""
        self.seq = max(self.seq, entry["seq"])
        match entry["entry"]:
            case "version":
                if entry["format"] > FORMAT:
                    message = (
                        f"the data directory was written by a newer sinkd (journal format "
                        f"{entry['format']}, this one knows {FORMAT}): upgrade sinkd"
                    )
                    raise ConfigError(message)
            case "alive":
                self.alive_seq, self.alive_at = entry["seq"], entry["at"]
                self.draining = entry["draining"]
                for job, decided in entry["cursors"].items():
                    self.settle(job, entry["seq"], decided)
            case kind:
                job = entry["job"]
                self.states[job] = apply(self.states.get(job), entry)
                if kind in {"cursor", "state"} or "slot" in entry:  # a manual claim settles nothing
                    self._settled_seq[job] = entry["seq"]

    def settle(self, job: str, seq: int, decided: int) -> None:
        """Note through which instant a known job is settled, unless something newer said so (T9)."""
        if (state := self.states.get(job)) and seq > self._settled_seq.get(job, 0):
            self.states[job] = settled(state, decided)
            self._settled_seq[job] = seq

    def open_claims(self) -> Iterator[Claim]:
        """Yield the claims whose run has no recorded end, oldest first."""
        claims = (state.open for state in self.states.values() if state.open)
        yield from sorted(claims, key=lambda claim: claim.seq)


def replay(data: bytes) -> Replay:
    """Fold a whole journal; torn and damaged lines are counted, never an error (R7, R8)."""
    journal = Replay()
    for line in data.split(b"\n"):
        if not line:
            continue
        if entry := decode(line):
            journal.add(entry)
        else:
            journal.damaged += 1
    return journal


def compacted(states: Mapping[str, JobState]) -> Iterator[dict[str, Any]]:
    """Yield the entries that stand for a whole journal: version, states, open claims (R8)."""
    yield {"entry": "version", "format": FORMAT}
    for job, state in states.items():
        yield {"job": job, **entry_of(state)}
        if state.open:
            claim = {"entry": "claim", "job": job, "run_id": state.open.run_id}
            yield {**claim, "record": state.open.record, "since": state.open.seq}


def is_terminal(run: Mapping[str, object]) -> bool:
    """Say whether a run-log line ends a claimed run (R3): only those have a trigger."""
    return "trigger" in run


def settled_by(run: Run) -> str | None:
    """Return the instant that a run-log line settles its job through, None for a claimed run.

    The lines of claimed runs do not count: their claims do, and a manual one settles nothing (T9).
    """
    return None if is_terminal(run) else run.get("last_scheduled_at", run["scheduled_at"])
