"""What is fuzzed: each target has seeds, and a check that raises when a mutated one breaks a rule."""

import base64
import gzip
import json
import re
import sys
import tempfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import test_grammar
from click.testing import CliRunner

from sinkd import cli, diagnostics, fix, grammar, history, journal, record, source
from sinkd.commands import validate_github, validate_gitlab, validate_rdjson, validate_sarif
from sinkd.commands.validate import Checked
from sinkd.commands.validate_fix import unified
from sinkd.errors import SinkdError
from sinkd.redaction import Redactor, printable

CORPUS = Path(__file__).parent.parent / "corpus"
SLOT = 1_795_424_400
_COMMAND = re.compile(
    r"::(error |warning |notice::|group::|endgroup::|stop-commands::|[0-9a-f]{64}::$)"
)
_READ_BYTES = 64 * 1024  # the most of a server's text that is redacted
_SECRET = "q7Zk/é+w \"x'"
_CANARIES = [
    _SECRET,
    json.dumps(_SECRET)[1:-1],
    base64.b64encode(_SECRET.encode()).decode().rstrip("="),
    quote(_SECRET),
    quote(_SECRET, safe=""),
    printable(_SECRET.encode()),
]


class Target(NamedTuple):
    """`share` is how much of the time it gets."""

    share: int
    seeds: Callable[[], Sequence[bytes]]
    check: Callable[[bytes], None]


def _is_printable(text):
    return all(character.isprintable() or character == "\n" for character in text)


def _jobs_files():
    paths = sorted(CORPUS.glob("*/*.yaml"))
    return [path.read_bytes() for path in paths if path.stat().st_size < 20_000]


def _check_loader(data):
    """The loader, every renderer and, for some files, the repairs."""
    loaded = source.load(data)
    found = list(loaded.diagnostics)
    assert (loaded.spec is None) == any(each.severity == "error" for each in found)
    file = Checked("jobs.yaml", data, loaded.spec, found)
    text = diagnostics.as_text(file.path, file.text, found, color=False)
    assert _is_printable(text)
    assert _is_printable(diagnostics.as_concise(file.path, found))
    diagnostics.as_text(file.path, file.text, found, color=True)
    diagnostics.as_json({file.path: found})
    commands = validate_github.render([file], text).splitlines()
    assert all(_COMMAND.match(line) for line in commands if line[:2] == "::"), commands
    for module in (validate_gitlab, validate_rdjson, validate_sarif):
        module.render([file])
    if zlib.crc32(data) % 10 == 0:
        unified(file.path, data, fix.repair(data, unsafe=True).data)


def _journals():
    claim = {"job": "a", "run_id": f"a@{SLOT}", "record": {"job": "a"}}
    entries = [
        {"entry": "version", "format": 1},
        {"entry": "cursor", "job": "a", "decided": SLOT - 900, "schedule": "15/0"},
        {"entry": "claim", "slot": SLOT, "after": SLOT - 900, **claim},
        {"entry": "close", "job": "a", "run_id": f"a@{SLOT}"},
        {"entry": "cursor", "job": "b", "decided": SLOT, "schedule": "5/1"},
        {"entry": "pause", "job": "b", "until": None, "reason": "x", "by": "y"},
        {"entry": "claim", "job": "b", "run_id": "b@1#manual", "record": {"job": "b"}},
        {"entry": "alive", "at": SLOT + 60.5, "cursors": {"a": SLOT, "b": SLOT}, "tzdata": "2026a", "draining": None},
        {"entry": "resume", "job": "b", "at": SLOT + 61},
        {"entry": "claim", "slot": SLOT + 900, "after": SLOT, **claim, "run_id": f"a@{SLOT + 900}"},
    ]  # fmt: skip
    whole = b"".join(journal.encode({"seq": n + 1, **each}) for n, each in enumerate(entries))
    return [whole, whole[: len(whole) // 2], _compacted(journal.replay(whole))]


def _compacted(journal_):
    entries = enumerate(journal.compacted(journal_.states), journal_.seq + 1)
    return b"".join(journal.encode({"seq": seq, **entry}) for seq, entry in entries)


def _check_journal(data):
    """Recovery: what is damaged is counted, and what was read survives a compaction."""
    found = journal.replay(data)
    assert found.damaged <= data.count(b"\n") + 1
    again = journal.replay(_compacted(found))
    assert again.damaged == 0
    assert again.states.keys() == found.states.keys()
    assert [claim.run_id for claim in again.open_claims()] == [
        claim.run_id for claim in found.open_claims()
    ]


def _run_logs():
    run = {
        "v": 1, "seq": 2, "job": "a", "run_id": record.run_id("a", SLOT), "labels": {"team": "x"},
        "scheduled_at": "2026-11-23T09:00:00Z", "trigger": "schedule", "outcome": "failure",
        "reason": "status", "status_code": 500, "error": "\x1b[31mno", "method": "POST",
        "url": "https://h/", "started_at": "2026-11-23T09:00:00.010Z",
        "finished_at": "2026-11-23T09:00:01Z", "duration_ms": 990, "response": {"headers": {"a": "b"}},
    }  # fmt: skip
    good = {**run, "seq": 3, "outcome": "success", "status_code": 200, "error": None}
    gap = {
        "v": 1, "seq": 4, "job": "b", "scheduled_at": "2026-11-23T09:15:00Z", "outcome": "missed",
        "last_scheduled_at": "2026-11-23T09:45:00Z", "count": 3, "reason": "down",
    }  # fmt: skip
    at = {"at": "2026-11-23T09:46:00Z"}
    events = [
        {"v": 1, "seq": 1, **at, "event": "started", "version": "1", "jobs": 2},
        {"v": 1, "seq": 5, **at, "event": "config_refused", "problems": [{"code": "SNK101", "line": 1, "column": 1, "message": "\x9b"}]},
        {"v": 1, "seq": 6, **at, "event": "pause", "job": "a", "until": None, "reason": "\u202e", "by": "z"},
        {"v": 1, "seq": 7, **at, "event": "unclean_stop", "since": at["at"]},
    ]  # fmt: skip
    lines = [events[0], run, good, gap, *events[1:]]
    whole = b"".join(record.line(line) for line in lines)
    return [whole, whole[:-1], whole + b"\0" * 70_000, gzip.compress(whole)]


_READERS = [
    ["report"], ["report", "a"], ["report", "-o", "json"], ["tail"], ["tail", "--failed"],
    ["why", "a", "2026-11-23T09:00Z"], ["audit"],
]  # fmt: skip


def _check_run_log(data):
    """A reader of a damaged log: the same forwards and backwards, printable."""
    data = data[: 1 << 17]  # it is read five times, and a quarter of a megabyte of newlines shows
    with tempfile.TemporaryDirectory() as directory:
        name = "runs-1.jsonl.gz" if data[:2] == b"\x1f\x8b" else "runs.jsonl"
        for file in (name, name.replace("runs", "events")):
            Path(directory, file).write_bytes(data)
        there, back = history.History(Path(directory)), history.History(Path(directory))
        assert list(there.runs()) == list(back.runs_backwards())[::-1]
        assert list(there.events()) == list(back.events_backwards())[::-1]
        _run([*_READERS[zlib.crc32(data) % len(_READERS)], "--data-dir", directory])


def _run(command):
    done = CliRunner().invoke(cli.sinkd, command)
    if done.exception and not isinstance(done.exception, SystemExit | SinkdError):
        raise done.exception
    assert done.exit_code in {0, 1, 2}, done.output
    assert _is_printable(done.output), done.output


def _answers():
    texts = [
        '{"error": "no such key: CANARY", "token": "x"}',
        "HTTP/1.1 401\r\nWWW-Authenticate: Basic realm=CANARY\r\nSet-Cookie: a=CANARY; Path=/\r\n",
        "GET https://u:CANARY@h/p?key=CANARY&a=b failed: 'CANARY'\nAuthorization: Bearer CANARY\n",
    ]
    return [text.replace("CANARY", canary).encode() for text in texts for canary in _CANARIES]


def _check_redactor(data):
    """A canary in any form is gone, wherever it stands."""
    redactor = Redactor()
    redactor.learn(_SECRET)
    text = data[:_READ_BYTES].decode("utf-8", "replace")
    middle = len(text) // 2
    for canary in _CANARIES:
        out = redactor.redact(text[:middle] + canary + text[middle:])
        assert not [each for each in _CANARIES if each in out]


def _requests():
    urls = ["h/a?b=c", "[::1]:80/", "u@h:0/%2e%2e/", "xn--h.example./${env:A}", "127.0.0.1/'~?\\"]
    return [url.encode() for url in urls]


_is_sent_as_written = (
    test_grammar.test_httpx_sends_what_the_grammar_accepts_to_the_same_place.hypothesis.inner_test
)


def _check_grammar(data):
    """URLs, headers and references: what is accepted is sent as it stands."""
    text = data.decode("utf-8", "replace")
    if "${" not in text:  # references are resolved before
        _is_sent_as_written(text)
    for flaw in (grammar.url_flaw, grammar.header_value_flaw, grammar.header_name_flaw):
        found = flaw(text)
        assert found is None or 0 <= found.start <= found.end <= len(text)
    if grammar.reference_flaw(text) is None:
        assert "".join(map(str, grammar.split(text))).count("${") >= len(grammar.references(text))


TARGETS = {
    "loader": Target(30, _jobs_files, _check_loader),
    "journal": Target(1, _journals, _check_journal),
    "run log": Target(3, _run_logs, _check_run_log),
    "redactor": Target(1, _answers, _check_redactor),
    "grammar": Target(1, _requests, _check_grammar),
}

if sys.flags.optimize:
    message = "the checks are assertions: do not run them with -O"
    raise RuntimeError(message)
