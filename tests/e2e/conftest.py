"""The real process and a real server for it: what all tests of `sinkd run` start from.

A test declares jobs at a `server`, starts `sinkd run` in its `home`, and waits for what the files
or the server must show. Every wait is bounded, and tells what the process said when it fails.
"""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest
from e2e.answered import instant

WAIT_SECONDS = 60
POLL_SECONDS = 0.02
NOBODY = 65534


def poll(condition, what, seconds, explain=str):
    """Return the first true answer of a condition, or fail with `what` was not seen."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds} s: {what}\n{explain()}")
        time.sleep(POLL_SECONDS)
    return answer


# --- the server ---------------------------------------------------------------------------------


class Request(NamedTuple):
    """One request as it came: header names in lower case; `at` is when, in real Unix time."""

    method: str
    path: str
    headers: dict
    body: bytes
    at: float

    @property
    def run(self):
        """What sinkd sends for: the job and its slot."""
        return self.headers["x-sinkd-job"], self.headers["x-sinkd-scheduled-at"]


class _Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        size = int(self.headers.get("Content-Length", 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(size)
        request = Request(self.command, self.path, headers, body, time.time())
        self.server.requests.append(request)
        self.server.gate.wait()
        time.sleep(self.server.latency)
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST  # noqa: N815 - the name is the base class's

    def log_message(self, *_):
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """Answers on a free port of 127.0.0.1 with `status` after `latency` seconds, and records."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Answering)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.requests = []
        self.status = 200
        self.latency = 0
        self.gate = threading.Event()
        self.release()

    def hold(self):
        """Keep each request in flight until `release`."""
        self.gate.clear()

    def release(self):
        """Answer what is held, and from now on at once."""
        self.gate.set()

    def handle_error(self, *_):
        """Say nothing of a client that went away."""


@pytest.fixture
def server():
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.release()
        server.shutdown()


# --- time ---------------------------------------------------------------------------------------


class FastClock:
    """Time that begins at a UTC instant and runs `rate` times as fast, here and in a process."""

    def __init__(self, library, start, rate):
        self._library = library
        self._start = instant(start)
        self._began = time.time()
        self.rate = rate

    def at(self, real):
        """Return the fast time at a real instant."""
        return self._start + (real - self._began) * self.rate

    def now(self):
        return self.at(time.time())

    def env(self):
        """Return what gives a process this time; its monotonic clocks run as fast."""
        begins = datetime.fromtimestamp(self.now(), UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
        fake = f"@{begins} x{self.rate}"
        return {"LD_PRELOAD": self._library, "FAKETIME": fake, "TZ": "UTC"}

    def sleep_until(self, text):
        time.sleep(max(0, (instant(text) - self.now()) / self.rate))


@pytest.fixture
def fast_clock(faketime):
    """Return what makes a `FastClock`."""
    return lambda start, rate=60: FastClock(faketime, start, rate)


# --- the jobs file ------------------------------------------------------------------------------


def replace(path, text):
    """Write a file by atomic rename."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(text)
    new.rename(path)


def point(link, target):
    """Make a link point elsewhere by atomic rename."""
    new = link.with_name(f"{link.name}.new")
    new.symlink_to(target)
    new.rename(link)


class Chain:
    """A jobs file at the end of a chain of links, as git-sync and a ConfigMap leave them.

    `site` -> `trees/N`; there `jobs.yaml` -> `..data/jobs.yaml` and `..data` -> `..N`.
    """

    def __init__(self, path):
        self.path = path / "site" / "jobs.yaml"
        self._numbers = itertools.count()
        (path / "trees").mkdir()

    def atomic_rename(self, text):
        """Replace the file, as editors do."""
        replace(self.path.resolve(), text)

    def configmap_swap(self, text):
        """Replace the directory behind `..data`, as kubelet does."""
        tree = self.path.parent.resolve()
        old = (tree / "..data").resolve()
        new = tree / f"..{next(self._numbers)}"
        new.mkdir()
        (new / "jobs.yaml").write_text(text)
        point(tree / "..data", new.name)
        shutil.rmtree(old)

    def git_sync_flip(self, text):
        """Replace the whole tree, as git-sync does; also makes the first one."""
        site = self.path.parent
        old = site.resolve()
        tree = site.parent / "trees" / str(next(self._numbers))
        data = tree / f"..{next(self._numbers)}"
        data.mkdir(parents=True)
        (data / "jobs.yaml").write_text(text)
        (tree / "..data").symlink_to(data.name)
        (tree / "jobs.yaml").symlink_to("..data/jobs.yaml")
        point(site, tree.relative_to(site.parent))
        if old != site:
            shutil.rmtree(old, ignore_errors=True)


@pytest.fixture
def chain(tmp_path):
    return Chain(tmp_path)


# --- the process --------------------------------------------------------------------------------


class Process(subprocess.Popen):
    """A started `sinkd run`; what it says goes to the file `said`."""

    def __init__(self, command, said, **options):
        self.said = said
        with said.open("wb") as stderr:
            super().__init__(command, stderr=stderr, **options)

    def stderr_text(self):
        return self.said.read_text(errors="replace")

    def ended(self, seconds=WAIT_SECONDS):
        """Wait for the end and return the exit code; what was said holds no traceback."""
        try:
            code = self.wait(seconds)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still runs after {seconds} s\n{self.stderr_text()[-4000:]}")
        assert "Traceback" not in self.stderr_text()
        return code

    def wait(self, timeout=None):
        """Wait for the end, and take away what faketime left of the process's clock."""
        code = super().wait(timeout)
        for name in (f"faketime_shm_{self.pid}", f"sem.faketime_sem_{self.pid}"):
            Path("/dev/shm", name).unlink(missing_ok=True)
        return code

    def stop(self, number=signal.SIGTERM, seconds=WAIT_SECONDS):
        """Send a signal, wait for the end and return the exit code."""
        self.send_signal(number)
        return self.ended(seconds)


@dataclass
class Home:
    """A directory with a jobs file and a data directory, and the processes started there."""

    path: Path
    clock: FastClock | None = None
    env: dict = field(default_factory=dict)
    processes: list = field(default_factory=list)

    def __post_init__(self):
        self.config = self.path / "jobs.yaml"
        self.data_dir = self.path / ".sinkd"

    def declare(self, *jobs, **top):
        """Write jobs.yaml by atomic rename; JSON is YAML."""
        replace(self.config, json.dumps({"version": 1, **top, "jobs": jobs}))

    def start(self, *options, **popen):
        """Start `sinkd run`, and do not wait for anything."""
        said = self.path / f"stderr-{len(self.processes)}.txt"
        popen = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, **popen}
        prefix = popen.pop("prefix", ())
        command = [*prefix, *self._sinkd("run"), *options]
        self.processes.append(Process(command, said, cwd=self.path, env=self._env(), **popen))
        return self.processes[-1]

    def run(self, *options, **popen):
        """Start `sinkd run` and wait until its log says that it runs."""
        process = self.start(*options, **popen)
        self.wait_for(
            lambda: process.pid in [event["pid"] for event in self.events("started")],
            "the daemon runs",
        )
        return process

    def command(self, *arguments, prefix=()):
        """Run another command of sinkd to its end, at most for a minute."""
        options = {"cwd": self.path, "env": self._env(), "capture_output": True, "text": True}
        return subprocess.run(
            [*prefix, *self._sinkd(*arguments)], timeout=60, check=False, **options
        )

    def runs(self):
        return self._lines("runs.jsonl")

    def events(self, *names):
        return [each for each in self._lines("events.jsonl") if not names or each["event"] in names]

    def wait_for(self, condition, what, seconds=WAIT_SECONDS):
        """Wait until a condition holds while the newest process runs."""

        def holds():
            process = self.processes[-1]
            if process.poll() is not None:
                pytest.fail(f"ended with {process.returncode} before {what}\n{self._explain()}")
            return condition()

        return poll(holds, what, seconds, self._explain)

    def kill_all(self):
        """Kill what still runs."""
        for process in self.processes:
            process.kill()
            process.wait(WAIT_SECONDS)
            if process.stdout:
                process.stdout.close()

    def _sinkd(self, *arguments):
        places = ["--config", str(self.config), "--data-dir", str(self.data_dir)]
        return [sys.executable, "-m", "sinkd", *places, *arguments]

    def _env(self):
        clock = self.clock.env() if self.clock else {}
        return {**os.environ, **clock, **self.env}

    def _lines(self, name):
        """Return the parsed whole lines of a file; what a crash tore is left out."""
        found = []
        with suppress(FileNotFoundError):
            for line in (self.data_dir / name).read_bytes().splitlines(keepends=True):
                with suppress(ValueError):
                    found += [json.loads(line)] if line.endswith(b"\n") else []
        return found

    def _explain(self):
        events = [f"{each['at']} {each['event']}" for each in self.events()[-20:]]
        said = self.processes[-1].stderr_text()[-4000:]
        return "\n".join(["events:", *events, "standard error:", said])


@pytest.fixture
def home(tmp_path):
    """An empty home; what still runs at the end is killed."""
    home = Home(tmp_path)
    yield home
    home.kill_all()


@pytest.fixture
def nobodys(home, program):
    """A home that the user nobody may enter and write to, and what starts sinkd as that user."""
    if os.geteuid() != 0:
        pytest.skip("only root may start a process as another user")
    as_nobody = [program("setpriv"), f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    can_run = [*as_nobody, sys.executable, "-m", "sinkd", "--version"]
    if subprocess.run(can_run, cwd="/", capture_output=True, check=False).returncode:
        pytest.skip("the user nobody cannot run this Python")
    path = Path(tempfile.mkdtemp(prefix="sinkd-nobody-"))
    os.chown(path, NOBODY, NOBODY)
    home.path, home.config, home.data_dir = path, path / "jobs.yaml", path / ".sinkd"
    yield as_nobody
    home.kill_all()
    shutil.rmtree(path)


@pytest.fixture
def job(server):
    """Return what declares a job at the server: `job("poll", interval_minutes=15)`."""

    def declare(name="poll", *, request=None, interval_minutes=1440, **rest):
        schedule = rest.pop("schedule", {"interval_minutes": interval_minutes})
        start_minute = rest.pop("start_minute", None)
        if start_minute is not None:
            schedule["start_minute"] = start_minute
        request = {"url": f"{server.url}/{name}", **(request or {})}
        return {"name": name, "schedule": schedule, "request": request, **rest}

    return declare
