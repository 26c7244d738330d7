"""How the runs of a spec spread over the minutes of the hour, and the strip that shows it."""

from collections import Counter
from collections.abc import Mapping, Sequence

from sinkd.instant import DAY, MINUTE
from sinkd.schedule import fingerprint, parse_fingerprint, slots
from sinkd.spec import Spec

_MARKS = " ▁▂▃▄▅▆▇█"
_RULER = "".join(f":{minute:02}  " for minute in range(0, 60, 5)).rstrip()


def load_by_minute(spec: Spec, now: float) -> list[int]:
    """Return, for each minute of the hour, the most runs that are due together in one such minute.

    Looked at are the 7 days from now; a disabled job has no runs.
    """
    due: Counter[int] = Counter()
    enabled = (job.schedule for job in spec.jobs.values() if job.enabled)
    # Of equal slots, however written, once: `start_minute` 7 and 12 are one every 5 minutes (S3).
    for text, jobs in Counter(map(fingerprint, enabled)).items():
        for slot in slots(parse_fingerprint(text), now, now + 7 * DAY):
            due[slot] += jobs
    load = [0] * 60
    for slot, runs in due.items():
        minute = slot // MINUTE % 60
        load[minute] = max(load[minute], runs)
    return load


def strip(load: Sequence[int], most: int) -> str:
    """Return one mark for each minute: a blank for none, the full block for `most`."""
    return "".join(_MARKS[-(-8 * runs // max(most, 1))] for runs in load)


def chart(loads: Mapping[str, Sequence[int]]) -> str:
    """Return the strips of several loads under one ruler and on one scale, each with its name."""
    most = max(max(load) for load in loads.values())
    width = max(len(name) for name in loads)
    rows = [f"{name:{width}} |{strip(load, most)}|" for name, load in loads.items()]
    return "\n".join([f"{'':{width}}  {_RULER}", *rows])


def busiest(load: Sequence[int]) -> str:
    """Return the most used minute, as in `9 at :00`."""
    return f"{max(load)} at :{load.index(max(load)):02}"


def least_used(load: Sequence[int]) -> str:
    """Return a sentence that names the first of the least used minutes."""
    fewest = min(load)
    amount = f"{fewest}, the fewest" if fewest else "none"
    return f"Minute :{load.index(fewest):02} has {amount}."
