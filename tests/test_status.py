"""Status: alive is who holds the lock; what runs and what is wrong, with a daemon or without."""

import asyncio
import contextlib
import errno
import fcntl
import json
import socket

import httpx
import jsonschema
import pytest
from click.testing import CliRunner
from inline_snapshot import snapshot

from sinkd import __version__, control, schedule, schemas
from sinkd.cli import sinkd
from sinkd.commands import status as command
from sinkd.instant import parse_rfc3339
from sinkd.settings import Settings
from sinkd.state import Pause
from sinkd.storage import Storage
from sinkd.testing import MemoryConfig, VirtualClock, World, run_virtual

NOW = "2026-11-23T10:00:00Z"
JOBS = b"""\
version: 1
jobs:
  - {name: poll, schedule: {interval_minutes: 15}, request: {url: "http://a.example/"}}
  - name: slow
    schedule: {interval_minutes: 5}
    timeout_seconds: 900
    request: {url: "http://slow.example/", headers: {Authorization: "${env:TOKEN}"}}
  - name: off
    enabled: false
    schedule: {interval_minutes: 5}
    request: {url: "http://a.example/"}
"""


@pytest.fixture
def alive(tmp_path):
    """Ask for a sign of life only; return the exit code and what was said."""

    def alive():
        command = ["--data-dir", str(tmp_path), "status", "--alive"]
        result = CliRunner().invoke(sinkd, command, standalone_mode=False)
        return result.return_value, result.output.replace(str(tmp_path), "DIR")

    return alive


def test_nobody_is_alive_without_a_lock(alive):
    assert alive() == (1, "no daemon runs with the data directory DIR\n")


def test_a_pid_in_the_file_of_the_lock_proves_nothing(alive, tmp_path):
    (tmp_path / "sinkd.lock").write_text("1\n")
    assert alive() == (1, "no daemon runs with the data directory DIR\n")


def test_who_holds_the_lock_is_alive(alive, tmp_path):
    with held(tmp_path):
        assert alive() == (0, "a daemon runs with the data directory DIR\n")


@contextlib.contextmanager
def held(data_dir):
    """Hold the lock of a data directory, as a daemon with the pid 4242 does."""
    with (data_dir / "sinkd.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("4242\n")
        lock.flush()
        yield


async def answer(request):
    if request.url.host == "slow.example":
        await asyncio.sleep(640)
    return httpx.Response(200)


def live(data_dir, tell=None, data=JOBS, **options):
    """Run a daemon from 09:30 to 10:00, let `tell(world, life)` happen, and crash it."""

    async def story():
        config = MemoryConfig(data)
        clock = VirtualClock(parse_rfc3339("2026-11-23T09:30:00Z"))
        world = World(data_dir, clock, config, answer, **{"env": {"TOKEN": "t"}, **options})
        life = await world.start()
        if tell:
            life = await tell(world, life) or life
        await asyncio.sleep(parse_rfc3339(NOW) - clock.wall())
        await life.crash()

    run_virtual(story())


@pytest.fixture
def status(tmp_path, capsys):
    """Ask for the status at 10:00: the exit code, the JSON object, and the text."""

    def status():
        capsys.readouterr()
        options = {"alive": False, "now": parse_rfc3339(NOW)}
        settings = Settings(data_dir=tmp_path)
        code = command.run_command(settings, output_format="json", **options)
        found = json.loads(capsys.readouterr().out)
        jsonschema.validate(found, schemas.schema("status"))
        assert command.run_command(settings, **options) == code
        text = capsys.readouterr().out.replace(__version__, "VERSION")
        rules = schedule.tzdata().version
        assert found["tzdata"] == rules
        return code, found | {"tzdata": "RULES"}, text.replace(rules, "RULES")

    return status


# --- from the files alone


def test_a_daemon_that_is_well(status, tmp_path):
    live(tmp_path)
    with held(tmp_path):
        code, found, text = status()
    assert code == 0
    assert text == snapshot("""\
sinkd runs (pid 4242) on virtual since 2026-11-23 09:30 UTC, 29 min 59 s, version VERSION, nothing is wrong
  config     2b07eeb214a5, in use since 2026-11-23 09:30 UTC
  jobs       2 enabled, 1 disabled
  in flight  slow@2026-11-23T09:50Z, poll@2026-11-23T10:00Z
  tzdata     RULES
""")
    assert found == snapshot(
        {
            "alive": True,
            "pid": 4242,
            "instance": None,
            "revision": "2b07eeb214a5879b1f8faac5820feb49a940170308beb94204628ef2b6f0ceb3",
            "config": "2b07eeb214a5",
            "commit": None,
            "source": "file",
            "accepted_at": "2026-11-23T09:30:00.500Z",
            "refused": None,
            "secrets_missing": [],
            "log_unwritable": None,
            "paused": [],
            "jobs": {"enabled": 2, "disabled": 1},
            "in_flight": ["slow@2026-11-23T09:50Z", "poll@2026-11-23T10:00Z"],
            "tzdata": "RULES",
        }
    )


def test_no_daemon_is_a_finding_whatever_else(status, tmp_path):
    live(tmp_path)
    code, found, text = status()
    assert (code, found["alive"], found["pid"]) == (1, False, None)
    assert text == snapshot("""\
no daemon runs, its last sign of life is of 2026-11-23 09:59 UTC: start `sinkd run`
  config     2b07eeb214a5, in use since 2026-11-23 09:30 UTC
  jobs       2 enabled, 1 disabled
  in flight  slow@2026-11-23T09:50Z, poll@2026-11-23T10:00Z
  tzdata     RULES
""")


def test_a_refused_file_is_a_finding_until_the_accepted_one_is_back(status, tmp_path):
    async def tell(world, life):
        world.config.write(None)

    live(tmp_path, tell)
    with held(tmp_path):
        code, found, text = status()
    assert (code, found["refused"]["total"]) == (1, 1)
    assert text.splitlines()[1] == snapshot(
        "  ! the jobs file on disk is refused since 2026-11-23 09:30 UTC, the one before stays in use: 1:1 jobs.yaml: no such file (`sinkd validate` shows it all)"
    )


def test_the_last_good_file_is_a_finding(status, tmp_path):
    async def tell(world, life):
        await life.stop()
        world.config.write(None)
        return await world.start()

    live(tmp_path, tell)
    with held(tmp_path):
        code, found, text = status()
    assert (code, found["source"]) == (1, "last_good")
    assert "the last good jobs file runs" in text


def test_a_missing_secret_is_a_finding(status, tmp_path):
    live(tmp_path, env={})
    with held(tmp_path):
        code, found, text = status()
    assert (code, found["secrets_missing"]) == (1, ["${env:TOKEN}"])
    assert "the secret ${env:TOKEN} is missing" in text


def test_a_log_that_cannot_be_written_is_a_finding_until_it_can(status, tmp_path):
    live(tmp_path)
    events = tmp_path / "events.jsonl"
    event = b'{"v":1,"seq":%d,"at":"2026-11-23T09:59:00.000Z","event":"%b"}\n'
    for seq, name, expected in (
        (9000, b'log_failed","errno":"ENOSPC', (1, "ENOSPC")),
        (9001, b'log_recovered","held":3,"x":"', (0, None)),
    ):
        events.write_bytes(events.read_bytes() + event % (seq, name))
        with held(tmp_path):
            code, found, _ = status()
        assert (code, found["log_unwritable"]) == expected


def test_a_pause_is_shown_and_no_finding(status, tmp_path):
    async def tell(world, life):
        pause = Pause(parse_rfc3339("2026-11-23T11:00:00Z"), "a drill", "ann")
        await life.daemon.pause("poll", pause)

    live(tmp_path, tell)
    with held(tmp_path):
        code, found, text = status()
    assert code == 0
    assert found["paused"] == snapshot(
        [{"job": "poll", "until": "2026-11-23T11:00:00Z", "reason": "a drill", "by": "ann"}]
    )
    assert "paused     poll until 2026-11-23 11:00 UTC by ann: a drill" in text


def test_a_directory_that_is_not_there_has_no_daemon(tmp_path, capsys):
    settings = Settings(data_dir=tmp_path / "none")
    assert command.run_command(settings, alive=False) == 1
    assert capsys.readouterr().out.replace(str(tmp_path), "DIR") == snapshot(
        "no daemon runs: there is no data directory DIR/none; start `sinkd run`, or name its directory with `--data-dir`\n"
    )
    assert command.run_command(settings, alive=False, output_format="json") == 1
    found = json.loads(capsys.readouterr().out)
    jsonschema.validate(found, schemas.schema("status"))
    assert not found["alive"]


def test_a_daemon_that_still_stops_starts_nothing_new(status, tmp_path):
    async def tell(world, life):
        await asyncio.sleep(1700)
        stopping = asyncio.create_task(life.stop())
        await asyncio.sleep(10)
        stopping.cancel()

    live(tmp_path, tell, drain_seconds=3600)
    with held(tmp_path):
        code, found, text = status()
    assert (code, found["alive"]) == (0, True)
    assert text.splitlines()[0] == snapshot(
        "sinkd is stopping (pid 4242) on virtual since 2026-11-23 09:30 UTC, 29 min 59 s, version VERSION: it waits for the runs in flight, and starts nothing new"
    )


def test_a_daemon_that_holds_the_lock_and_stands_still_is_a_finding(status, tmp_path):
    live(tmp_path)
    with held(tmp_path):
        options = {"alive": False, "now": parse_rfc3339(NOW) + 600}
        assert command.run_command(Settings(data_dir=tmp_path), **options) == 1


def test_a_daemon_that_keeps_its_socket_waiting_is_a_finding(status, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "_PATIENCE_SECONDS", 0.05)
    live(tmp_path)
    with held(tmp_path), socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / control.FILE))
        listening.listen()
        code, _, text = status()
    assert (code, "does not answer" in text) == (1, True)


# --- asked over the control socket


def test_the_daemon_says_what_only_it_knows(tmp_path):
    class Full(Storage):
        full = False

        def append(self, name, data, mode=0o640):
            if Full.full:
                raise OSError(errno.ENOSPC, "no space")
            super().append(name, data, mode)

    said = []

    async def tell(world, life):
        await asyncio.sleep(310)
        said.append(life.daemon.status())
        world.env.clear()
        Full.full = True
        await asyncio.sleep(350)
        said.append(life.daemon.status())
        Full.full = False

    live(tmp_path, tell, storage=Full, env={"TOKEN": "t"})
    assert said == snapshot(
        [
            {
                "jobs": {"enabled": 2, "disabled": 1},
                "next": (1795426800, "slow"),
                "in_flight": ["slow@2026-11-23T09:35Z"],
                "secrets_missing": [],
                "log_unwritable": None,
            },
            {
                "jobs": {"enabled": 2, "disabled": 1},
                "next": (1795426800, "slow"),
                "in_flight": ["slow@2026-11-23T09:35Z"],
                "secrets_missing": ["${env:TOKEN}"],
                "log_unwritable": "ENOSPC",
            },
        ]
    )


def test_a_daemon_that_is_asked_answers_over_its_socket(tmp_path, monkeypatch):
    class Daemon:
        def status(self):
            return {"jobs": {"enabled": 1, "disabled": 0}}

    async def ask():
        async with control.serving(Daemon(), tmp_path):
            return await control.last_reply(tmp_path, {"do": "status"})

    assert asyncio.run(ask()) == {"status": {"jobs": {"enabled": 1, "disabled": 0}}}


def test_what_the_daemon_says_goes_before_what_the_files_say(status, tmp_path, monkeypatch):
    live(tmp_path, env={})
    told = {"jobs": {"enabled": 7, "disabled": 0}, "next": [1795428900, "poll"]}
    told |= {"in_flight": ["poll@x"], "secrets_missing": [], "log_unwritable": None}
    monkeypatch.setattr(command, "_ask", lambda data_dir: (told, True))
    with held(tmp_path):
        code, found, text = status()
    assert (code, found["jobs"]["enabled"], found["in_flight"]) == (0, 7, ["poll@x"])
    assert "next       poll at 2026-11-23 10:15 UTC, in 15 min" in text
