"""What the server saw and what the log says, held against the slots that were due.

Worked out from the minutes of the day and the lines of the files, with no code of sinkd.
"""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta


def due(since, until, is_due):
    """Return (job, slot) of every slot after `since` and through `until`, RFC 3339 texts."""
    at, end = (datetime.fromisoformat(each) for each in (since, until))
    found = []
    while (at := at.replace(second=0, microsecond=0) + timedelta(minutes=1)) <= end:
        slot = at.strftime("%Y-%m-%dT%H:%M:%SZ")
        found += [(name, slot) for name, is_at in is_due.items() if is_at(at)]
    return found


def answers(runs, slots):
    """Count the records that answer each due slot; a range answers what has no record of its own."""
    answered = Counter(
        (run["job"], run["scheduled_at"])
        for run in runs
        if "count" not in run and run.get("trigger") != "manual"
    )
    single = set(answered)
    for run in runs:
        if "count" in run:
            first, last = run["scheduled_at"], run["last_scheduled_at"]
            of_job = [slot for slot in slots if slot[0] == run["job"] and first <= slot[1] <= last]
            inside = [slot for slot in of_job if slot not in single]
            assert len(inside) == run["count"], run
            answered.update(inside)
    return answered


def check_sent(home, server):
    """Nothing was sent twice, and whatever was sent has one last line."""
    sent = Counter(request.headers["x-sinkd-run-id"] for request in server.requests)
    ended = Counter(run["run_id"] for run in home.runs() if "trigger" in run)
    assert not {run: times for run, times in sent.items() if times > 1}, "sent more than once"
    assert {run: ended[run] for run in sent if ended[run] != 1} == {}, "not one last line"
    assert max(ended.values(), default=1) == 1, "more than one last line"


def check_each_minute(home, server, asked):
    """All jobs are due each minute: each minute has one answer, from each job's first cursor on.

    `asked` is the Unix time at which the last daemon was asked to stop: what came due in the minute
    before, or later, may be left to the next one (D4).
    """
    check_sent(home, server)
    until = home.events()[-1]["at"]
    slots = [
        slot
        for name, since in first_cursors(home)
        for slot in due(since, until, {name: lambda _: True})
    ]
    answered = answers(home.runs(), slots)
    assert set(answered) <= set(slots), "answered, but not due"
    wrong = {slot: answered[slot] for slot in slots if answered[slot] != 1}
    assert {slot for slot in wrong if wrong[slot] or instant(slot[1]) <= asked - 60} == set(), wrong


def instant(text):
    """Return the Unix time of an RFC 3339 text."""
    return datetime.fromisoformat(text).timestamp()


def first_cursors(home):
    """Return each job of the journal with the RFC 3339 instant from which its slots count."""
    seen = {}
    for line in (home.data_dir / "journal.jsonl").read_text().splitlines():
        if line.startswith("{"):
            entry = json.loads(line)
            if entry["entry"] == "cursor":
                at = datetime.fromtimestamp(entry["decided"], UTC).isoformat()
                seen.setdefault(entry["job"], at)
    return seen.items()
