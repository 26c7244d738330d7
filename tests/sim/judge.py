"""Judges a life of the daemon from outside: from what the target saw and from the files.

The invariants are those of the test programme; each violation is a sentence that begins with its
number. Nothing here asks the daemon what it believes.
"""

import json
from collections import Counter, defaultdict

from sinkd import revisions, schedule, source
from sinkd.history import History
from sinkd.instant import parse_rfc3339, rfc3339

LATE_GRACE = 5


def judge(data_dir, sent, until):
    """Return every violation in the files of a data directory, given what the target saw.

    `until` is an instant through which every slot must have its answer.
    """
    runs = list(History(data_dir).runs())
    events = list(History(data_dir).events())
    specs = {
        path.stem[:12]: source.load(path.read_bytes()).spec
        for path in (data_dir / revisions.DIRECTORY).iterdir()
    }
    return [
        *_sent_once(sent),
        *_ended_once(sent, runs),
        *_on_the_grid(runs, specs),
        *_in_time(runs, specs),
        *_answered_once(runs, events, specs, until),
        *_held(runs, events),
        *_numbered(data_dir),
    ]


def _sent_once(sent):
    for run_id, times in Counter(each.run_id for each in sent).items():
        if times > 1:
            yield f"I1: {run_id} was sent {times} times"


def _ended_once(sent, runs):
    ends = Counter(run["run_id"] for run in runs if "trigger" in run)
    for each in sent:
        if ends[each.run_id] != 1:
            yield f"I2: {each.run_id} was sent and has {ends[each.run_id]} last lines"
    for run_id, lines in ends.items():
        if lines > 1:
            yield f"I2: {run_id} has {lines} last lines"


def _on_the_grid(runs, specs):
    for run in runs:
        if run.get("trigger") == "manual" or run["outcome"] == "missed":
            continue
        slot = parse_rfc3339(run["scheduled_at"])
        job = specs[run["config"]].jobs[run["job"]]
        if schedule.latest_slot(job.schedule, slot) != slot:
            yield f"I7: {run['run_id']} is no slot of configuration {run['config']}"


def _in_time(runs, specs):
    for run in runs:
        if "started_at" not in run or run["trigger"] == "manual":
            continue
        late = parse_rfc3339(run["started_at"]) - parse_rfc3339(run["scheduled_at"])
        window = specs[run["config"]].jobs[run["job"]].catch_up_seconds
        if not 0 <= late <= window + LATE_GRACE:
            yield f"I6: {run['run_id']} started {late} s after its slot, its window is {window} s"


def _answered_once(runs, events, specs, until):
    """Every slot of every enabled span has one answer; two only around a clock set back."""
    went_back = _went_back(events)
    answers = defaultdict(Counter)
    for run in runs:
        if run.get("trigger") != "manual":
            answers[run["job"]][run["scheduled_at"], run.get("last_scheduled_at")] += 1
    for name, since, through, when in _spans(events, specs, until):
        covered = Counter()
        for (first, last), times in answers[name].items():
            start, end = parse_rfc3339(first), parse_rfc3339(last or first)
            for slot in schedule.slots(when, max(since, start - 1), min(through, end)):
                covered[slot] += times
        for slot in schedule.slots(when, since, through):
            if covered[slot] == 0:
                yield f"I5: {name}@{rfc3339(slot)} has no answer"
            elif covered[slot] > 1 and not went_back:
                yield f"I5: {name}@{rfc3339(slot)} has {covered[slot]} answers"


def _held(runs, events):
    """No slot of a job is sent between a pause and its end (I9)."""
    if _went_back(events):
        return
    pauses = []
    for event in events:
        if event["event"] == "job_paused":
            pauses.append([event["job"], event["at"], event["until"]])
        elif event["event"] == "job_resumed":
            for pause in pauses:
                if pause[0] == event["job"]:
                    pause[2] = min(pause[2], event["at"])
    for job, since, until in pauses:
        for run in runs:
            started = run.get("started_at", "")
            if run["job"] == job and run.get("trigger") != "manual" and since < started < until:
                yield f"I9: {run['run_id']} was sent while its job was paused until {until}"


def _went_back(events):
    return any(event["event"] == "clock_step" and event["to"] < event["from"] for event in events)


def _spans(events, specs, until):
    """Yield (job, since, through, schedule) of each time that a job was enabled."""
    running = {}
    for event in events:
        if event["event"] != "config_accepted":
            continue
        now = int(parse_rfc3339(event["at"]))
        jobs = specs[event["revision"][:12]].jobs
        for name, (since, when) in list(running.items()):
            job = jobs.get(name)
            if job is None or not job.enabled or job.schedule != when:
                yield name, since, now, when
                del running[name]
        for job in jobs.values():
            if job.enabled and job.name not in running:
                running[job.name] = (now, job.schedule)
    for name, (since, when) in running.items():
        yield name, since, int(until), when


def _numbered(data_dir):
    seen = Counter()
    history = History(data_dir)
    files = {
        "runs.jsonl": list(history.lines("runs")),
        "events.jsonl": list(history.lines("events")),
        "journal.jsonl": (data_dir / "journal.jsonl").read_bytes().splitlines(),
    }
    for name, lines in files.items():
        before = 0
        for line in lines:
            try:
                seq = json.loads(line)["seq"]
            except ValueError:
                continue  # a torn line; I8 counts those
            if seq <= before:
                yield f"I13: {name} has {seq} after {before}"
            before = seq
            seen[seq] += 1
    for seq, times in seen.items():
        if times > 1:
            yield f"I13: {seq} stands {times} times"
