"""What pages and API ask the daemon: how it is, its jobs, the text of the file that it runs."""

import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sinkd.answers import Jobs, Paused, Refused, Status
from sinkd.evidence import Evidence
from sinkd.history import History, is_run, parse
from sinkd.instant import rfc3339
from sinkd.overview import Overview
from sinkd.record import Run
from sinkd.report import tidy
from sinkd.spec import Job, Spec
from sinkd.state import Pause
from sinkd.web.feed import Feed
from sinkd.web.gently import Reader
from sinkd.web.listing import Listing
from sinkd.web.view import runs_of
from sinkd.why import Answer, explain

if TYPE_CHECKING:
    from sinkd.daemon import Daemon

_SECRETS_SECONDS: Final = 10.0  # how long it is not looked again whether a secret is there


@dataclass(slots=True)
class Look:
    """The daemon as pages and API see it; `source` is where its first spec came from."""

    feed: Feed
    daemon: "Daemon"
    reader: Reader
    data_dir: Path
    source: str
    _missed: list[str] = field(default_factory=list)
    _missed_at: float = -math.inf
    _listing: Listing | None = None

    @property
    def overview(self) -> Overview:
        """What the log says of every job."""
        return self.feed.overview

    @property
    def spec(self) -> Spec:
        """The spec that runs."""
        return self.daemon.spec

    @property
    def now(self) -> float:
        """The daemon's time."""
        return self.daemon.clock.wall()

    def job(self, name: str) -> Job | None:
        """Return the job of this name."""
        return self.spec.jobs.get(name)

    def pauses(self) -> Mapping[str, Pause]:
        """Return the jobs that people hold."""
        known = self.daemon.store.states
        held = ((name, known[name].pause) for name in sorted(self.daemon.paused))
        return {name: pause for name, pause in held if pause}

    def status(self) -> Status:
        """Return how the daemon is, as `sinkd status -o json` does."""
        lines, states = self.daemon.lines, self.daemon.store.states.values()
        return Status(
            alive=True,
            pid=os.getpid(),
            instance=lines.instance,
            revision=self.spec.revision,
            config=self.spec.config,
            commit=lines.commit,
            source="last_good" if self._runs_last_good() else "file",
            accepted_at=self._accepted(),
            refused=self._refused(),
            secrets_missing=self._missing(),
            log_unwritable=self.daemon.store.log.unwritable,
            paused=self.paused(),
            jobs=self._counts(),
            in_flight=[known.open.run_id for known in states if known.open],
            tzdata=lines.tzdata,
        )

    def paused(self) -> list[Paused]:
        """Return the jobs that people hold, as answers show them."""
        return [
            {"job": job, "until": rfc3339(pause.until), "reason": pause.reason, "by": pause.by}
            for job, pause in self.pauses().items()
        ]

    async def text(self) -> str:
        """Return the text of the jobs file that runs; OSError when it is lost."""
        return (await self._file()).text

    async def listing(self, job: str) -> Sequence[tuple[int, str]]:
        """Return a job's own lines in the file with their numbers, none when the file is lost."""
        try:
            return (await self._file()).lines(job)
        except OSError:
            return ()

    async def run(self, run_id: str) -> Run | None:
        """Return the record of a run, whether it is kept in memory or in the log alone."""
        for run in runs_of(self.overview, run_id.partition("@")[0]):
            if run["run_id"] == run_id:
                return run
        return await self.reader.ask(lambda history: _find(history, run_id))

    async def why(self, job: str, slots: Sequence[int]) -> list[Answer]:
        """Explain minutes of a job from the files."""
        now, specs = self.now, {self.spec.config: self.spec}

        def explained(history: History) -> list[Answer]:
            known = Evidence(history, now, alive=True, specs=specs).known(job, slots)
            return [explain(known, slot) for slot in slots]

        return await self.reader.ask(explained)

    async def _file(self) -> Listing:
        revision = self.spec.revision
        if self._listing is None or self._listing.revision != revision:
            self._listing = await self.reader.ask(
                lambda history: Listing.read(history.data_dir, revision)
            )
        return self._listing

    def _missing(self) -> list[str]:
        """Return the references that cannot be resolved: those known to be, but those there again.

        All secrets are looked for, so not too often.
        """
        if not self.daemon.missing:
            return []
        if time.monotonic() - self._missed_at >= _SECRETS_SECONDS:
            self._missed = self.daemon.secrets.missing(self.spec)
            self._missed_at = time.monotonic()
        return self._missed

    def _counts(self) -> Jobs:
        enabled = sum(job.enabled for job in self.spec.jobs.values())
        return {"enabled": enabled, "disabled": len(self.spec.jobs) - enabled}

    def _accepted(self) -> str | None:
        event = self.overview.events.get("config_accepted")
        if event and event["event"] == "config_accepted":
            return event["at"] if event["revision"] == self.spec.revision else None
        return None

    def _runs_last_good(self) -> bool:
        began = self.overview.events.get("started")
        accepted = self.overview.events.get("config_accepted")
        later = began and accepted and accepted["seq"] > began["seq"]
        return self.source == "last_good" and not later

    def _refused(self) -> Refused | None:
        refusal = self.daemon.reloader.refused
        event = self.overview.events.get("config_refused")
        if refusal is None or event is None or event["event"] != "config_refused":
            return None
        return {
            "revision": event["revision"],
            "at": event["at"],
            "problems": event["problems"],
            "total": event["total"],
        }


def _find(history: History, run_id: str) -> Run | None:
    """Look for a run in the log, newest first; only lines that name it are parsed."""
    named = run_id.encode()
    for line in history.lines("runs", backwards=True):
        if named in line and is_run(run := parse(line)) and run["run_id"] == run_id:
            return tidy(run)
    return None
