"""No secret in any output (I14): canaries in every place, on every path, in every form.

Each place of a request holds a canary, each job fails in a way of its own, and servers say all
they were told in every encoding. Then every byte that any command or file shows is searched.
"""

import asyncio
import base64
import html
import json
import re
from contextlib import ExitStack
from urllib.parse import quote, quote_plus

import pytest
from click.testing import CliRunner
from faults.misbehaviours import certified
from faults.servers import Server, refused

from sinkd.cli import sinkd
from sinkd.control import last_reply

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

MARK = "c4n4ry"  # part of each, so that no form but base64 can hide one
KEY = base64.b64encode(f"{MARK}-signing-key-24-bytes".encode()).decode()
ENV = {
    "PLAIN": f"{MARK}-plain/+=&value",
    "QUOTED": f"{MARK}-q\"uo'te\\x-é",
    "LINES": f"{MARK}-of\ntwo lines",
    "BASIC": base64.b64encode(f"sinkd:{MARK}-basic".encode()).decode(),
}
FILES = {"token": f"{MARK}-file~token", "key": f"whsec_{KEY}"}
CANARIES = {**ENV, **FILES, "raw key": KEY}
HEADERS = {
    "Authorization": "Bearer ${file:token}",
    "X-Plain": "a ${env:PLAIN} b",
    "X-Basic": "Basic ${env:BASIC}",
}
WHOLE = {f"Bearer {FILES['token']}", f"a {ENV['PLAIN']} b", f"Basic {ENV['BASIC']}"}
BODY = {"deep": ["${env:QUOTED}", {"er": "${env:LINES} ${file:token}"}]}
PATH = "/${env:PLAIN}/x?quoted=${env:QUOTED}&lines=${env:LINES}&token=${file:token}"
CAPTURED = ["x-raw", "x-base64", "x-url", "x-json", "x-repr", "location", "set-cookie", "via"]


def forms(value):
    """Return a value as it may stand in an output: as it is, and as programs encode it."""
    data = value.encode()
    found = {
        value,
        quote(value, safe=""),
        quote(value),
        quote(value, safe="").lower(),
        quote_plus(value),
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        repr(value)[1:-1],
        repr(data)[2:-1],
        html.escape(value),
        data.hex(),
        base64.b64encode(data).decode().rstrip("="),
        base64.urlsafe_b64encode(data).decode().rstrip("="),
    }
    return found | {json.dumps(form)[1:-1] for form in found}


# In base64 a text looks different at each of three offsets; of the mark these parts stay.
MARKS = {MARK, MARK.encode().hex()} | {
    base64.b64encode(b"x" * at + MARK.encode() + b"x")[-(-8 * at // 6) : 8 * (at + 6) // 6].decode()
    for at in range(3)
}
NEEDLES = {form.encode() for value in (*CANARIES.values(), *WHOLE) for form in forms(value)}
NEEDLES |= {mark.encode() for mark in MARKS}


def hits(data):
    """Return what of the canaries is in some bytes."""
    return sorted(needle for needle in NEEDLES if needle in data)


# --- servers that repeat what they were told ------------------------------------------------------


def told(encode):
    """Return all that a server knows as one line: each canary and header, encoded."""
    return b" ".join(encode(value) for value in (*CANARIES.values(), *sorted(WHOLE)))


def one_line(data):
    return re.sub(rb"[\r\n]", b" ", data)


RAW = one_line(told(str.encode))
ECHO = b"\r\n".join(
    [
        b"X-Raw: " + told(lambda value: quote(value, safe="").encode()),
        b"X-Base64: " + told(lambda value: base64.b64encode(value.encode())),
        b"X-Url: https://h/?a=" + told(lambda value: quote_plus(value).encode()),
        b"X-Json: " + told(lambda value: json.dumps(value).encode()),
        b"X-Repr: " + told(lambda value: repr(value.encode()).encode()),
        b"Location: https://user:" + ENV["BASIC"].encode() + b"@h/" + ENV["PLAIN"].encode(),
        b"Set-Cookie: session=" + FILES["token"].encode(),
        b"Via: " + one_line(ENV["QUOTED"].encode()),
    ]
)


class Echo(Server):
    """Reads a request, keeps it, and answers with what a job's misfortune needs."""

    def __init__(self, *said, then="close", **options):
        super().__init__(self._behave, **options)
        self.asked = b""
        self._said = said
        self._then = then

    def _behave(self, connection):
        self.asked += connection.sock.recv(65_536)
        for piece in self._said:
            connection.say(piece)
        if self._then == "reset":
            connection.reset()
        elif self._then == "wait":
            connection.wait()


def answer(status, body=RAW):
    head = b"HTTP/1.1 %s %s\r\n%s\r\nContent-Length: %d\r\n\r\n"
    return head % (status, RAW, ECHO, len(body)) + body


SERVERS = {
    "success": (answer(b"200"),),
    "status": (answer(b"500"),),
    "redirect": (answer(b"302"),),
    "short-body": (answer(b"200")[:-9],),
    "no-http": (RAW,),
    "bad-status": (b"HTTP/1.1 " + RAW + b"\r\n\r\n",),
    "bad-header": (b"HTTP/1.1 200 OK\r\n" + RAW + b"\r\n\r\n",),
    "bad-length": (b"HTTP/1.1 200 OK\r\nContent-Length: " + RAW + b"\r\n\r\n",),
    "bad-chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", RAW),
    "nothing": (),
}


@pytest.fixture
def urls():
    """Return where each job goes, and what the servers were asked."""
    with ExitStack() as stack:
        servers = {name: stack.enter_context(Echo(*said)) for name, said in SERVERS.items()}
        servers["reset"] = stack.enter_context(Echo(then="reset"))
        servers["timeout"] = stack.enter_context(Echo(then="wait"))
        found = {name: f"http://127.0.0.1:{server.port}" for name, server in servers.items()}
        secure = stack.enter_context(Echo(context=certified("127.0.0.1")))
        found["unknown-authority"] = f"https://127.0.0.1:{secure.port}"
        found["plain-tls"] = found["success"].replace("http:", "https:")
        found["refused"] = f"http://127.0.0.1:{stack.enter_context(refused())}"
        found["unknown-name"] = "http://nobody.invalid"
        found["metadata"] = "http://169.254.169.254"
        yield found, servers


@pytest.fixture
def jobs(urls):
    """Return a job for each way to end, with a canary in each place that takes one."""
    found, _ = urls
    listed = {name: _job(name, url) for name, url in found.items()}
    anywhere = found["success"]
    listed["missing"] = _job("missing", anywhere, {"X-None": "${env:NONE} ${env:PLAIN}"})
    listed["no-header"] = _job("no-header", anywhere, {"X-Lines": "${env:LINES}"})
    listed["no-key"] = {**_job("no-key", anywhere), "signing_secret": "${env:QUOTED}"}
    listed["no-path"] = _job("no-path", anywhere)
    listed["no-path"]["request"]["url"] = anywhere + "/${env:DOTS}/${env:PLAIN}"
    return listed


def _job(name, url, headers=None):
    return {
        "name": name,
        "schedule": {"interval_minutes": 1440},
        "timeout_seconds": 1 if name == "timeout" else 20,
        "signing_secret": "${file:key}",
        "capture_headers": CAPTURED,
        "request": {"url": url + PATH, "headers": {**HEADERS, **(headers or {})}, "body": BODY},
    }


# --- the test ------------------------------------------------------------------------------------

REASONS = {
    "success": None, "status": "http_status", "redirect": "http_status", "short-body": "protocol",
    "no-http": "protocol", "bad-status": "protocol", "bad-header": "protocol",
    "bad-length": "protocol", "bad-chunk": "protocol", "nothing": "protocol", "reset": "read",
    "timeout": "timeout", "unknown-authority": "tls", "plain-tls": "tls", "refused": "connect",
    "unknown-name": "dns", "metadata": "policy", "missing": "secret", "no-header": "secret",
    "no-key": "secret", "no-path": "policy",
}  # fmt: skip


@pytest.fixture
def secrets(tmp_path_factory):
    """Return a directory of the file secrets."""
    directory = tmp_path_factory.mktemp("secrets")
    for name, value in FILES.items():
        (directory / name).write_text(f"{value}\n")
    return directory


def test_no_canary_is_in_any_output(home, jobs, urls, secrets):
    home.env = {**ENV, "DOTS": "..", "PYTHONASYNCIODEBUG": "1"}
    home.declare(*jobs.values())
    printed = (home.path / "printed").open("wb")
    process = home.run("--secrets-dir", str(secrets), "--print-runs", stdout=printed)
    shown = [_shown(home.command("trigger", "status"))]
    shown += asyncio.run(_trigger_all(home, [name for name in jobs if name != "status"]))
    shown += [_read(home, words) for words in _commands(home)]
    _refuse_a_file(home, jobs)
    shown += [_read(home, words) for words in (["status"], ["report"], ["tail"])]
    assert process.stop() == 0
    printed.close()

    assert {run["job"]: run.get("reason") for run in home.runs()} == REASONS
    assert all(run["error"] for run in home.runs() if run["outcome"] == "failure")
    captured = next(run for run in home.runs() if run["job"] == "status")["response_headers"]
    assert set(captured) == set(CAPTURED)
    _assert_the_servers_were_told(urls[1]["success"].asked)
    assert found_in(home) == {}
    assert [(text, hits(text.encode())) for text in shown if hits(text.encode())] == []
    assert b"${env:PLAIN}" in next((home.data_dir / "revisions").iterdir()).read_bytes()


def test_no_canary_is_in_any_output_of_a_run_without_a_daemon(home, jobs, secrets):
    home.env = {**ENV, "CREDENTIALS_DIRECTORY": str(secrets)}
    home.declare(jobs["status"])
    shown = _shown(home.command("trigger", "status"))
    assert [run["reason"] for run in home.runs()] == ["http_status"]
    assert found_in(home) == {}
    assert hits(shown.encode()) == []


def found_in(home):
    """Return what of the canaries is in the files of a home."""
    files = {path: path.read_bytes() for path in home.path.rglob("*") if path.is_file()}
    return {path.name: found for path, data in files.items() if (found := hits(data))}


def _shown(done):
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


async def _trigger_all(home, names):
    """Fire the jobs together, and return what the daemon answers."""
    asked = ({"do": "trigger", "job": name, "wait": True} for name in names)
    return map(str, await asyncio.gather(*(last_reply(home.data_dir, each) for each in asked)))


def _read(home, words):
    """Return what a command shows that only reads; it runs in this process, to be fast."""
    places = ["--config", str(home.config), "--data-dir", str(home.data_dir)]
    result = CliRunner().invoke(sinkd, [*places, *words])
    assert result.exception is None or isinstance(result.exception, SystemExit), words
    assert result.output
    return result.output


def _commands(home):
    """Yield every command that reads, in every format."""
    for command in (["report"], ["audit"], ["status"], ["plan", "--base", str(home.config)]):
        yield command
        yield [*command, "-o", "json"]
    yield from (["report", "status", "-o", "json"], ["report", "--outcome", "failure"])
    yield from (["tail", "-n", "99"], ["tail", "--json", "-n", "99"], ["export"], ["next"])
    yield from (["validate", "-o", kind] for kind in ("text", "json", "sarif"))
    yield from (["trigger", "status", "--dry-run"], ["trigger", "no-key", "--dry-run"])
    now = home.runs()[0]["started_at"][:16] + "Z"
    yield from (["why", name, now, "-o", kind] for name in ("status",) for kind in ("text", "json"))


def _refuse_a_file(home, jobs):
    """Have a file refused that needs every secret and holds none."""
    home.declare(*jobs.values(), {**jobs["status"], "name": "status", "retries": 3})
    home.wait_for(lambda: home.events("config_refused"), "the file is refused")


def _assert_the_servers_were_told(asked):
    """The test would show nothing if the canaries had not been sent."""
    assert f"Authorization: Bearer {FILES['token']}".encode() in asked
    assert quote(ENV["LINES"], safe="").encode() in asked
    assert json.dumps(ENV["QUOTED"], ensure_ascii=False).encode() in asked
    assert b"webhook-signature: v1," in asked


def test_the_search_would_find_a_canary_in_any_form():
    for value in CANARIES.values():
        for form in forms(value):
            assert hits(f"before {form} after".encode())
    assert hits(base64.b64encode(f"user:{MARK}-x".encode()))
    assert hits(b"an innocent text") == []


def test_the_servers_repeat_every_canary():
    assert len(hits(ECHO)) > 3 * len(CANARIES)
