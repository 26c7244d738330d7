"""What a record says of its job and of the process that wrote it (`record.Run`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sinkd.decide import Missed, Skipped
from sinkd.instant import rfc3339
from sinkd.record import Trigger, ordered, run_id
from sinkd.spec import Job


@dataclass(frozen=True, slots=True)
class Lines:
    """Makes records under one configuration: its `config` and git `commit`, and this process."""

    tzdata: str
    instance: str | None = None
    config: str | None = None
    commit: str | None = None

    def claimed(
        self, job: Job, identity: str, scheduled_at: float, trigger: Trigger, trace_id: str
    ) -> dict[str, Any]:
        """Return what is known of a run when it is claimed, without its outcome."""
        return {
            **self._known(job.name, job),
            "run_id": identity,
            "scheduled_at": rfc3339(scheduled_at),
            "trigger": trigger,
            "method": job.request.method,
            "url": job.request.public_url,
            "trace_id": trace_id,
        }

    def settled(self, job: Job, decision: Missed | Skipped) -> Mapping[str, Any]:
        """Return the line of a slot or range that is not sent."""
        if isinstance(decision, Missed):
            return self.missed(job.name, job, decision)
        line = {
            **self._known(job.name, job),
            "run_id": run_id(job.name, decision.slot),
            "scheduled_at": rfc3339(decision.slot),
            "outcome": "skipped",
            "reason": decision.reason,
        }
        if decision.blocked_by:
            line["blocked_by"] = decision.blocked_by
        return ordered(line)

    def missed(self, name: str, job: Job | None, missed: Missed) -> Mapping[str, Any]:
        """Return the line of missed slots; the job is None when it was removed meanwhile."""
        return ordered(
            {
                **self._known(name, job),
                "run_id": run_id(name, missed.first),
                "scheduled_at": rfc3339(missed.first),
                "last_scheduled_at": rfc3339(missed.last),
                "count": missed.count,
                "outcome": "missed",
                "reason": missed.reason,
            }
        )

    def _known(self, name: str, job: Job | None) -> dict[str, Any]:
        known = {
            "job": name,
            "labels": dict(job.labels) if job and job.labels else None,
            "config": self.config,
            "commit": self.commit,
            "tzdata": self.tzdata,
            "instance": self.instance,
        }
        return {field: value for field, value in known.items() if value is not None}
