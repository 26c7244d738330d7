"""What systemd hears, on a real datagram socket."""

import socket

import pytest

from sinkd.systemd import Notifier


@pytest.fixture(params=["path", "abstract"])
def supervisor(request, tmp_path, monkeypatch):
    """Listen as systemd does, on a socket with a path or an abstract one."""
    name = f"{tmp_path}/notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.settimeout(5)
        listening.bind(name if request.param == "path" else f"\0{name}")
        address = name if request.param == "path" else f"@{name}"
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        yield listening


def test_each_message_is_one_datagram_with_the_lines_of_sd_notify(supervisor):
    notifier = Notifier.from_environment()
    notifier.ready("41 jobs, next refresh-cache at 10:05")
    notifier.reloading(12_345_678)
    notifier.status("draining, 3 in flight")
    notifier.watchdog()
    notifier.stopping()
    assert [supervisor.recv(4096).decode() for _ in range(5)] == [
        "READY=1\nSTATUS=41 jobs, next refresh-cache at 10:05",
        "RELOADING=1\nMONOTONIC_USEC=12345678",
        "STATUS=draining, 3 in flight",
        "WATCHDOG=1",
        "STOPPING=1",
    ]


def test_without_a_supervisor_nothing_is_sent(monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.setattr(socket, "socket", None)
    Notifier.from_environment().ready("41 jobs")


def test_a_supervisor_that_went_away_or_hangs_does_not_stop_the_daemon(tmp_path):
    Notifier(f"{tmp_path}/gone").watchdog()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hanging:
        hanging.bind(f"{tmp_path}/hanging")
        for _ in range(1000):
            Notifier(f"{tmp_path}/hanging").watchdog()
