"""Judges the bytes of a data directory: torn lines, the order of numbers, secrets (I8, I13, I14)."""

import base64
import gzip
import json
from collections import Counter
from urllib.parse import quote

from sim.machine import SECRET

from sinkd import journal
from sinkd.history import History

CANARIES = {
    SECRET.encode(),
    base64.b64encode(SECRET.encode()),
    quote(SECRET, safe="").encode(),
    json.dumps(SECRET).encode()[1:-1],
}


def leftovers(data_dir, torn, said):
    """Return every violation in the bytes of a directory and in what the daemon said."""
    history = History(data_dir)
    runs, events = list(history.lines("runs")), list(history.lines("events"))
    private = (data_dir / journal.FILE).read_bytes().splitlines()
    return [
        *_torn_lines("runs", runs, torn, _unreadable(data_dir, "runs")),
        *_torn_lines("events", events, torn, _unreadable(data_dir, "events")),
        *_torn_lines("journal", private, torn, journal.replay(b"\n".join(private)).damaged),
        *_numbered({"runs": runs, "events": events, "journal": private}),
        *_silent(data_dir, said),
    ]


def _unreadable(data_dir, stem):
    """Return how many lines a report would say that it cannot read."""
    history = History(data_dir)
    for _ in history.entries(stem):
        pass
    return history.unreadable


def _torn_lines(name, lines, torn, counted):
    bad = sum(1 for line in lines if line.strip() and _seq(line) is None)
    if bad > torn[name[:4]]:
        yield f"I8: {bad} lines of {name} are unreadable, {torn[name[:4]]} were torn"
    if bad != counted:
        yield f"I8: {bad} lines of {name} are unreadable, a report counts {counted}"


def _numbered(files):
    seen = Counter()
    for name, lines in files.items():
        before = 0
        for seq in filter(None, map(_seq, lines)):
            if seq <= before:
                yield f"I13: {name} has {seq} after {before}"
            before = seq
            seen[seq] += 1
    for seq, times in seen.items():
        if times > 1:
            yield f"I13: {seq} stands {times} times"


def _silent(data_dir, said):
    outputs = {"the terminal": json.dumps(said, default=str).encode()}
    for path in filter(lambda path: path.is_file(), data_dir.rglob("*")):
        data = path.read_bytes()
        outputs[path.name] = gzip.decompress(data) if path.suffix == ".gz" else data
    for name, data in outputs.items():
        if any(canary in data for canary in CANARIES):
            yield f"I14: {name} has a secret"


def _seq(line):
    try:
        return json.loads(line)["seq"]
    except (ValueError, TypeError, KeyError):
        return None
