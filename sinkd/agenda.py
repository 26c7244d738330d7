"""Which jobs have a slot next: a heap of schedules, so that a wake looks only at what is due."""

import heapq
from collections import defaultdict
from collections.abc import Collection, Iterable

from sinkd import schedule
from sinkd.spec import Job, Schedule


class Agenda:
    """The upcoming slots of the enabled jobs, grouped by equal schedules."""

    def __init__(self, jobs: Iterable[Job], after: float) -> None:
        """Begin with the first slot of each job after the given instant."""
        self._jobs: dict[Schedule, list[str]] = defaultdict(list)
        for job in jobs:
            if job.enabled:
                self._jobs[job.schedule].append(job.name)
        # The position breaks ties, for schedules of two kinds cannot be compared.
        self._heap = [
            (schedule.next_slot(when, after), position, when)
            for position, when in enumerate(self._jobs)
        ]
        heapq.heapify(self._heap)

    def upcoming(self, held: Collection[str] = ()) -> tuple[int, str] | None:
        """Return the earliest slot that `due` has not yet taken, with a job, not `held`, of it."""
        for slot, _, when in sorted(self._heap) if held else self._heap[:1]:
            for name in self._jobs[when]:
                if name not in held:
                    return slot, name
        return None

    def due(self, now: float) -> list[str]:
        """Take the names of the jobs with a slot in (last call, now]."""
        names: list[str] = []
        while self._heap and self._heap[0][0] <= now:
            _, position, when = self._heap[0]
            names += self._jobs[when]
            following = schedule.next_slot(when, now)
            heapq.heapreplace(self._heap, (following, position, when))
        return names
