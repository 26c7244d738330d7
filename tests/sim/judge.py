"""Judges a life of the daemon from outside: from what the target saw and from the files.

The invariants are those of the test programme; each violation is a sentence that begins with its
number. Nothing here asks the daemon what it believes.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import pairwise

from sim.leftovers import leftovers

from sinkd import journal, revisions, schedule, source
from sinkd.history import History
from sinkd.instant import parse_rfc3339, rfc3339

LATE_GRACE = 5
SMALL_STEP = 60  # T4: what a clock may be set back without a cursor moving


@dataclass(frozen=True, slots=True)
class Calm:
    """A time without faults in which every slot must get a fresh record (I11)."""

    since: float
    until: float
    seq: int


def judge(machine, calm, said):
    """Return every violation in what a machine left behind; `said` is what the daemon said."""
    data_dir = machine.world.data_dir
    runs, events = list(History(data_dir).runs()), list(History(data_dir).events())
    entries = list(filter(None, map(journal.decode, _lines(data_dir / journal.FILE))))
    specs = {
        path.stem[:12]: source.load(path.read_bytes()).spec
        for path in (data_dir / revisions.DIRECTORY).glob("*.yaml")
    }
    went_back = bool(machine.set_back)
    return [
        *machine.wrong,
        *_sent_once(machine.visits),
        *_ended_once(machine.visits, runs),
        *_never_two_at_once(machine.visits),
        *_answered_once(runs, events, specs, calm.until, went_back=went_back),
        *_in_time(runs, specs),
        *_on_the_grid(runs, specs),
        *_only_enabled(events, entries, specs),
        *_held(entries),
        *_alive(runs, events, specs, calm),
        *_nothing_of_before(machine, runs, specs),
        *leftovers(data_dir, machine.faults.torn, said),
    ]


def _lines(path):
    return path.read_bytes().splitlines()


def _sent_once(visits):
    for run_id, times in Counter(visit.run_id for visit in visits).items():
        if times > 1:
            yield f"I1: {run_id} was sent {times} times"


def _ended_once(visits, runs):
    ends = Counter(run["run_id"] for run in runs if "trigger" in run)
    for visit in visits:
        if ends[visit.run_id] != 1:
            yield f"I2: {visit.run_id} was sent and has {ends[visit.run_id]} last lines"
    for run_id, lines in ends.items():
        if lines > 1:
            yield f"I2: {run_id} has {lines} last lines"


def _never_two_at_once(visits):
    of_job = defaultdict(list)
    for visit in visits:
        of_job[visit.job].append(visit)
    for each in of_job.values():
        for one, other in pairwise(each):
            if one.ended is None or other.began < one.ended:
                yield f"I4: {other.run_id} was sent while {one.run_id} was going on"


def _answered_once(runs, events, specs, until, *, went_back):
    """Every slot of every enabled span has one answer; two only around a clock set back."""
    answers = defaultdict(list)
    for run in runs:
        if run.get("trigger") != "manual":
            last = parse_rfc3339(run.get("last_scheduled_at", run["scheduled_at"]))
            answer = (parse_rfc3339(run["scheduled_at"]), last, run.get("count", 1))
            answers[run["job"]].append(answer)
    for name, since, through, when in enabled_spans(events, specs, until):
        within = [each for each in answers[name] if each[0] <= through and each[1] > since]
        if not went_back:
            yield from _counted(name, within, since, through, when)
        at = since
        for first, last, _ in sorted(within):
            if schedule.count(when, at, first - 1):
                yield f"I5: {name}@{rfc3339(schedule.next_slot(when, at))} has no answer"
            at = max(at, last)
        if schedule.count(when, at, through):
            yield f"I5: {name}@{rfc3339(schedule.next_slot(when, at))} has no answer"


def _counted(name, within, since, through, when):
    """No slot has two answers, and a range says how many it has."""
    at = since
    for first, last, count in sorted(within):
        if first <= at and schedule.count(when, max(since, first - 1), min(last, at)):
            yield f"I5: {name}@{rfc3339(first)} has two answers"
        if since < first and last <= through and count != schedule.count(when, first - 1, last):
            yield f"I5: {name}@{rfc3339(first)} to {rfc3339(last)} are not {count}"
        at = max(at, last)


def enabled_spans(events, specs, until):
    """Yield (job, since, through, schedule) of each time that a job was enabled."""
    running = {}
    for event in events:
        if event["event"] != "config_accepted":
            continue
        now = int(parse_rfc3339(event["at"]))
        jobs = specs[event["revision"][:12]].jobs
        for name, (since, when) in list(running.items()):
            job = jobs.get(name)
            if job is None or not job.enabled or not _same(job.schedule, when):
                yield name, since, now, when
                del running[name]
        for job in jobs.values():
            if job.enabled and job.name not in running:
                running[job.name] = (now, job.schedule)
    for name, (since, when) in running.items():
        yield name, since, int(until), when


def _same(one, other):
    return schedule.fingerprint(one) == schedule.fingerprint(other)


def _in_time(runs, specs):
    for run in runs:
        if "started_at" not in run or run["trigger"] == "manual":
            continue
        late = parse_rfc3339(run["started_at"]) - parse_rfc3339(run["scheduled_at"])
        window = specs[run["config"]].jobs[run["job"]].catch_up_seconds
        if not 0 <= late <= window + LATE_GRACE:
            yield f"I6: {run['run_id']} started {late} s after its slot, its window is {window} s"


def _on_the_grid(runs, specs):
    for run in runs:
        if run.get("trigger") == "manual" or run["outcome"] == "missed":
            continue
        slot = parse_rfc3339(run["scheduled_at"])
        job = specs[run["config"]].jobs[run["job"]]
        if schedule.latest_slot(job.schedule, slot) != slot:
            yield f"I7: {run['run_id']} is no slot of configuration {run['config']}"


def _claims(entries):
    """Return the claims of slots, less those that a compaction moved."""
    return [each for each in entries if "slot" in each and "since" not in each]


def _only_enabled(events, entries, specs):
    """No slot is claimed after the swap that removed or disabled its job (I9)."""
    swaps = [event for event in events if event["event"] == "config_accepted"]
    seqs = [event["seq"] for event in swaps]
    for claim in _claims(entries):
        at = bisect_right(seqs, claim["seq"]) - 1
        job = specs[swaps[at]["revision"][:12]].jobs.get(claim["job"]) if at >= 0 else None
        if job is None or not job.enabled:
            yield f"I9: {claim['run_id']} was claimed after its job was removed or disabled"


def _held(entries):
    """No slot is claimed between a pause and its end (I9)."""
    held = set()
    for entry in entries:
        match entry["entry"]:
            case "pause":
                held.add(entry["job"])
            case "resume":
                held.discard(entry["job"])
            case "state":
                (held.add if entry["pause"] else held.discard)(entry["job"])
            case "claim" if entry["job"] in held and "slot" in entry and "since" not in entry:
                yield f"I9: {entry['run_id']} was claimed while its job was paused"


def _alive(runs, events, specs, calm):
    """Every slot in the calm has a record made in it, or its run was claimed before (I11)."""
    last = [event for event in events if event["event"] == "config_accepted"][-1]
    fresh = defaultdict(list)
    for run in runs:
        if run.get("trigger") != "manual" and (run["seq"] > calm.seq or "trigger" in run):
            through = parse_rfc3339(run.get("last_scheduled_at", run["scheduled_at"]))
            fresh[run["job"]].append((parse_rfc3339(run["scheduled_at"]), through))
    for job in specs[last["revision"][:12]].jobs.values():
        if job.enabled:
            for slot in schedule.slots(job.schedule, calm.since + SMALL_STEP, calm.until):
                if not any(first <= slot <= last for first, last in fresh[job.name]):
                    yield f"I11: {job.name}@{rfc3339(slot)} has no record since the last fault"


def _nothing_of_before(machine, runs, specs):
    """No slot at or before the instant at which its schedule was introduced is sent (I12)."""
    config = {run["run_id"]: run["config"] for run in runs if run.get("trigger") != "manual"}
    slot = {run["run_id"]: parse_rfc3339(run["scheduled_at"]) for run in runs}
    for visit in machine.visits:
        if visit.run_id not in config:
            continue
        introduced = _introduced(machine.faults.accepted, visit, config[visit.run_id], specs)
        if introduced is None:
            yield f"I12: {visit.run_id} names a configuration that was not accepted by then"
        elif slot[visit.run_id] <= introduced[1] and not any(
            introduced[0] <= each <= visit.began for each in machine.set_back
        ):
            yield f"I12: {visit.run_id} was sent, its schedule is of {rfc3339(introduced[1])}"


def _introduced(accepted, visit, config, specs):
    """Return (monotonic, wall) of when the schedule of a visit began to hold."""
    known = [each for each in accepted if each[0] <= visit.began]
    while known and known[-1][2][:12] != config:
        known.pop()
    found = None
    when = specs[config].jobs[visit.job].schedule
    for monotonic, wall, revision in reversed(known):
        job = specs[revision[:12]].jobs.get(visit.job)
        if job is None or not job.enabled or not _same(job.schedule, when):
            break
        found = (monotonic, int(wall))
    return found


def last_seq(data_dir):
    """Return the largest number in the run log and the events so far."""
    newest = [
        next(History(data_dir).runs_backwards(), None),
        next(History(data_dir).events_backwards(), None),
    ]
    return max((each["seq"] for each in newest if each), default=0)
