"""The control socket, on a real unix socket: who may ask, what is answered, where it is bound."""

import asyncio
import json
import os
import socket
import stat
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sinkd import control
from sinkd.commands.pause import pause_command
from sinkd.control import ask, last_reply, serving
from sinkd.errors import SinkdError, UsageError
from sinkd.settings import Settings
from sinkd.state import Pause


@dataclass
class Flight:
    run_id: str
    ended: asyncio.Future = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Daemon:
    """Takes orders for one job, `a`."""

    def __init__(self):
        self.flights = []
        self.orders = []

    async def pause(self, job, pause):
        self.know(job)
        self.orders.append(pause)

    async def resume(self, job, by):
        self.know(job)
        self.orders.append(by)

    def status(self):
        return {"in_flight": [flight.run_id for flight in self.flights]}

    def know(self, job):
        if job != "a":
            message = f"no job is named `{job}`"
            raise SinkdError(message)

    async def trigger(self, job):
        self.know(job)
        self.flights.append(Flight(f"{job}@now#manual"))
        return self.flights[-1]


def served(scenario, data_dir):
    """Run a scenario against a daemon that answers in this directory."""

    async def live():
        daemon = Daemon()
        async with serving(daemon, data_dir), asyncio.timeout(10):
            await scenario(daemon, data_dir)

    asyncio.run(live())


async def replies(data_dir, request):
    return [reply async for reply in ask(data_dir, request)]


async def said(data_dir, data):
    """Send bytes of our own, and return what comes back until the daemon hangs up."""
    reader, writer = await asyncio.open_unix_connection(str(data_dir / control.FILE))
    writer.write(data)
    writer.write_eof()
    try:
        return await reader.read()
    except ConnectionResetError:  # it hung up before it read
        return b""
    finally:
        writer.close()


# --- what is answered ------------------------------------------------------------------------------


def test_a_trigger_is_answered_with_the_run_and_then_with_its_record(tmp_path):
    async def scenario(daemon, data_dir):
        asked = ask(data_dir, {"do": "trigger", "job": "a", "wait": True})
        assert await anext(asked) == {"run_id": "a@now#manual"}
        daemon.flights[0].ended.set_result({"outcome": "success"})
        assert [reply async for reply in asked] == [{"run": {"outcome": "success"}}]

    served(scenario, tmp_path)


def test_a_trigger_that_waits_for_nothing_is_answered_once(tmp_path):
    async def scenario(_, data_dir):
        assert await replies(data_dir, {"do": "trigger", "job": "a"}) == [
            {"run_id": "a@now#manual"}
        ]

    served(scenario, tmp_path)


def test_a_refusal_is_a_sentence(tmp_path):
    async def scenario(_, data_dir):
        refused = await replies(data_dir, {"do": "trigger", "job": "b", "wait": True})
        assert refused == [{"refused": "no job is named `b`"}]

    served(scenario, tmp_path)


PAUSE = {"do": "pause", "job": "a", "until": 9.5, "reason": "deploy", "by": "kim"}


def test_a_pause_and_its_end_are_handed_on(tmp_path):
    async def scenario(daemon, data_dir):
        assert await last_reply(data_dir, PAUSE) == {"done": True}
        ended = await last_reply(data_dir, {"do": "resume", "job": "a", "by": "kim"})
        assert ended == {"done": True}
        assert daemon.orders == [Pause(9.5, "deploy", "kim"), "kim"]

    served(scenario, tmp_path)


def test_the_status_is_what_the_daemon_says(tmp_path):
    async def scenario(_, data_dir):
        assert await last_reply(data_dir, {"do": "status"}) == {"status": {"in_flight": []}}

    served(scenario, tmp_path)


@pytest.mark.parametrize(
    "request_", [{**PAUSE, "job": "b"}, {"do": "resume", "job": "b", "by": "kim"}]
)
def test_a_refusal_is_raised_to_who_wants_the_last_reply(tmp_path, request_):
    async def scenario(daemon, data_dir):
        with pytest.raises(SinkdError, match="no job is named `b`"):
            await last_reply(data_dir, request_)
        assert daemon.orders == []

    served(scenario, tmp_path)


def test_a_daemon_that_hangs_up_has_refused(tmp_path, monkeypatch):
    async def nothing(*_):
        return
        yield

    monkeypatch.setattr(control, "ask", nothing)
    with pytest.raises(SinkdError, match="the daemon closed the connection"):
        asyncio.run(last_reply(tmp_path, PAUSE))


def test_a_daemon_that_stands_still_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(control, "PATIENCE_SECONDS", 0.05)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / control.FILE))
        listening.listen()
        with pytest.raises(SinkdError, match=r"not answered for 0\.05 s: .* stands still"):
            asyncio.run(last_reply(tmp_path, PAUSE))


def test_a_status_may_name_many_runs_in_flight(tmp_path):
    async def scenario(daemon, data_dir):
        daemon.flights = [Flight(f"{'a' * 63}@{number:017}Z") for number in range(2000)]
        [reply] = await replies(data_dir, {"do": "status"})
        assert len(reply["status"]["in_flight"]) == 2000

    served(scenario, tmp_path)


def test_a_daemon_that_does_not_answer_is_said_with_the_place_of_its_socket(tmp_path):
    with pytest.raises(SinkdError, match=r"does not answer on .*control\.sock \(No such file"):
        asyncio.run(last_reply(tmp_path, PAUSE))


@pytest.mark.parametrize(
    "request_",
    [
        {"do": "later"},
        {"do": "trigger", "job": 7},
        {**PAUSE, "until": "tomorrow"},
        {**PAUSE, "reason": None},
        {},
        [],
        None,
        7,
    ],
)
def test_a_request_that_is_not_known_is_answered_too(tmp_path, request_):
    async def scenario(_, data_dir):
        (reply,) = await replies(data_dir, request_)
        assert "does not know the request" in reply["refused"]

    served(scenario, tmp_path)


@pytest.mark.parametrize("data", [b"", b"\n", b"{\n", b"\xff\n", b"x" * 200_000 + b"\n"])
def test_noise_is_hung_up_on_and_harms_nothing(tmp_path, data):
    async def scenario(_, data_dir):
        assert await said(data_dir, data) == b""
        assert await replies(data_dir, {"do": "trigger", "job": "a"})

    served(scenario, tmp_path)


def test_an_asker_that_leaves_does_not_end_the_run(tmp_path):
    async def scenario(daemon, data_dir):
        asked = ask(data_dir, {"do": "trigger", "job": "a", "wait": True})
        await anext(asked)
        await asked.aclose()
        flight = daemon.flights[0]
        await asyncio.sleep(0)
        assert not flight.ended.cancelled()
        flight.ended.set_result({"outcome": "success"})
        assert await replies(data_dir, {"do": "trigger", "job": "a"})

    served(scenario, tmp_path)


def test_several_ask_at_once(tmp_path):
    async def scenario(_, data_dir):
        asked = [replies(data_dir, {"do": "trigger", "job": "a"}) for _ in range(20)]
        assert await asyncio.gather(*asked) == [[{"run_id": "a@now#manual"}]] * 20

    served(scenario, tmp_path)


# --- who may ask ------------------------------------------------------------------------------------


@pytest.fixture(params=[0o000, 0o077], ids=oct)
def umask(request):
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_the_socket_is_open_to_its_owner_alone_under_any_umask(tmp_path):
    async def scenario(_, data_dir):
        found = (data_dir / control.FILE).stat().st_mode
        assert stat.S_ISSOCK(found)
        assert stat.S_IMODE(found) == 0o600

    served(scenario, tmp_path)


@pytest.mark.parametrize(
    ("peer", "may"), [(os.geteuid(), True), (0, True), (os.geteuid() + 4711, False)]
)
def test_the_peer_must_be_the_daemons_user_or_root(peer, may):
    class Socket:
        def getsockopt(self, level, option, size):
            assert (level, option) == (socket.SOL_SOCKET, socket.SO_PEERCRED)
            return b"".join(n.to_bytes(4, "little") for n in (1, peer, 2))[:size]

    assert control._may_ask(Socket()) == may


def test_another_user_is_hung_up_on(tmp_path, monkeypatch):
    monkeypatch.setattr(control, "_may_ask", lambda _: False)

    async def scenario(daemon, data_dir):
        request = json.dumps({"do": "trigger", "job": "a"}).encode() + b"\n"
        assert await said(data_dir, request) == b""
        assert daemon.flights == []

    served(scenario, tmp_path)


def test_where_the_peer_cannot_be_told_the_mode_of_the_socket_decides(monkeypatch):
    monkeypatch.delattr(socket, "SO_PEERCRED")
    assert control._may_ask(object())


# --- where it is bound --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["data", "d" * 200, "ü" * 60])
def test_a_directory_may_have_any_length(tmp_path, name):
    data_dir = tmp_path / name
    data_dir.mkdir()

    async def scenario(_, data_dir):
        assert (data_dir / control.FILE).is_socket()
        assert await replies(data_dir, {"do": "trigger", "job": "a"})

    before = len(list(Path("/proc/self/fd").iterdir()))
    served(scenario, data_dir)
    assert not (data_dir / control.FILE).exists()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_what_a_crash_left_is_in_nobodys_way(tmp_path):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / control.FILE))

    async def scenario(_, data_dir):
        assert await replies(data_dir, {"do": "trigger", "job": "a"})

    served(scenario, tmp_path)


def test_a_socket_that_somebody_removed_is_no_trouble_at_the_end(tmp_path):
    async def scenario(_, data_dir):
        (data_dir / control.FILE).unlink()

    served(scenario, tmp_path)


@pytest.mark.parametrize("dead", [False, True])
def test_without_a_daemon_asking_is_an_error_of_the_system(tmp_path, dead):
    if dead:
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(tmp_path / control.FILE))
    with pytest.raises((FileNotFoundError, ConnectionRefusedError)):
        asyncio.run(replies(tmp_path, {"do": "trigger", "job": "a"}))


# --- the commands that ask -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("duration", "said"),
    [("0m", "holds nothing"), ("25h", "at most 24h"), ("-5m", "is not a duration")],
)
def test_a_pause_of_no_time_or_of_too_much_is_wrong_usage(tmp_path, duration, said):
    with pytest.raises(UsageError, match=said):
        pause_command(Settings(data_dir=tmp_path), job="a", duration=duration, reason="a drill")
