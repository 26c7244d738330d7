"""Of what people are told: a job begins to fail or recovers, a jobs file is refused.

Only edges count. A job fails when a slot is not answered by success and the one before it was, or
there was none; it recovers the other way round. Manual runs are no slots, and what a person paused
is neither.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sinkd.instant import minute_text, parse_rfc3339
from sinkd.report import REASON_WORDS
from sinkd.spec import On
from sinkd.standing import problem_text


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to tell: a sentence for people, and the record that it is about."""

    on: On
    text: str
    record: Mapping[str, Any]

    @property
    def job(self) -> str | None:
        """The job that it is about; None when it is about the file."""
        return self.record.get("job")

    @property
    def identity(self) -> str:
        """What a receiver can tell two notices apart by."""
        return f"{self.on} {self.record.get('run_id', self.record['seq'])}"

    def body(self) -> dict[str, Any]:
        """Return what is sent: `{text, on, job, run}`, or `{text, on, event}`."""
        told = {"text": self.text, "on": self.on}
        if self.job is None:
            return {**told, "event": self.record}
        return {**told, "job": self.job, "run": self.record}


@dataclass(slots=True)
class Edges:
    """Which jobs fail, and whether a refused file shows: the fold of the log's records."""

    failing: set[str] = field(default_factory=set)
    refused: bool = False

    def take(self, record: Mapping[str, Any]) -> Notice | None:
        """Fold a record of the run log or the events, and return what is to be told of it."""
        match record:
            case {"outcome": _}:
                return self._run(record)
            case {"event": "config_refused"}:
                was, self.refused = self.refused, True
                return None if was else Notice("config_refused", _refused(record), record)
            case {"event": "config_accepted", "removed": removed}:
                self.refused = False
                self.failing.difference_update(removed)
            case {"event": "config_restored"}:
                self.refused = False
        return None

    def _run(self, run: Mapping[str, Any]) -> Notice | None:
        good = answered(run)
        if good is None or good == (run["job"] not in self.failing):
            return None
        if good:
            self.failing.discard(run["job"])
            return Notice("recovery", f"{run['job']} recovered{_when(run)}", run)
        self.failing.add(run["job"])
        return Notice("failure", _failed(run), run)


def answered(run: Mapping[str, Any]) -> bool | None:
    """Say whether a slot was answered by success; None for a manual run and a paused slot."""
    if run.get("trigger") == "manual" or run.get("reason") == "paused":
        return None
    return bool(run["outcome"] == "success")


def _failed(run: Mapping[str, Any]) -> str:
    reason = run.get("reason", "unknown")
    if run["outcome"] == "failure":
        return f"{run['job']} failed: {run.get('error', reason)}{_when(run)}"
    did = "was interrupted" if run["outcome"] == "interrupted" else "did not run"
    return f"{run['job']} {did}: {REASON_WORDS.get(reason, reason)}{_when(run)}"


def _when(run: Mapping[str, Any]) -> str:
    slot = minute_text(int(parse_rfc3339(run["scheduled_at"]))).replace("T", " ")
    more = f" and {count - 1:,} more" if (count := run.get("count", 1)) > 1 else ""
    return f" ({slot.removesuffix('Z')} UTC{more})"


def _refused(event: Mapping[str, Any]) -> str:
    problem = problem_text(event)  # type: ignore[arg-type]  # it is a config_refused
    return f"the jobs file is refused, the one before stays in use: {problem}"
