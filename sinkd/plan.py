"""What a new jobs file changes: the difference of two specs, job by job."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sinkd.spec import Job


@dataclass(frozen=True, slots=True)
class Changes:
    """The names of the jobs that differ, in file order.

    `paused` and `resumed` are those whose `enabled` changed; a job is in `changed` when anything
    else of it did, so it can be in both.
    """

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    paused: tuple[str, ...] = ()
    resumed: tuple[str, ...] = ()


def changes(before: Mapping[str, Job], after: Mapping[str, Job]) -> Changes:
    """Return what differs; two equal sets of jobs give an empty `Changes`."""
    both = [(before[name], job) for name, job in after.items() if name in before]
    return Changes(
        added=tuple(name for name in after if name not in before),
        changed=tuple(new.name for old, new in both if replace(old, enabled=new.enabled) != new),
        removed=tuple(name for name in before if name not in after),
        paused=tuple(new.name for old, new in both if old.enabled and not new.enabled),
        resumed=tuple(new.name for old, new in both if new.enabled and not old.enabled),
    )
