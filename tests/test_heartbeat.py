"""The ping that tells somebody when sinkd itself has died."""

import asyncio

from click.testing import CliRunner
from structlog.testing import capture_logs

from sinkd.cli import sinkd
from sinkd.errors import UsageError
from sinkd.heartbeat import beat
from sinkd.runner import Answer
from sinkd.testing import run_virtual


class Pings:
    """Answers pings as told, and notes when they came."""

    def __init__(self, *outcomes):
        self.at = []
        self.outcomes = list(outcomes)

    async def ping(self, url):
        assert url == "https://hc.example.com/x"
        self.at.append(asyncio.get_running_loop().time())
        outcome = self.outcomes.pop(0) if self.outcomes else "success"
        return Answer(outcome, None if outcome == "success" else "connect")


def beaten(pings, is_well, minutes):
    async def live():
        beating = asyncio.create_task(beat("https://hc.example.com/x", pings, is_well))
        await asyncio.sleep(minutes * 60 - 1)
        assert not beating.done()

    with capture_logs() as logs:
        run_virtual(live())
    return [log["event"] for log in logs]


def test_a_ping_goes_out_at_once_and_each_minute():
    pings = Pings()
    assert beaten(pings, lambda: True, 3) == []
    assert pings.at == [0, 60, 120]


def test_while_nothing_may_be_sent_there_is_no_ping():
    pings = Pings()
    well = iter([True, False, True])
    beaten(pings, lambda: next(well), 3)
    assert pings.at == [0, 120]


def test_a_ping_that_fails_is_said_and_tried_again():
    pings = Pings("failure", "success")
    assert beaten(pings, lambda: True, 2) == ["heartbeat_failed"]
    assert pings.at == [0, 60]


def test_a_url_that_is_none_is_wrong_usage():
    refused = CliRunner().invoke(sinkd, ["run", "--heartbeat-url", "nonsense"])
    assert isinstance(refused.exception, UsageError)
    assert str(refused.exception).startswith("--heartbeat-url: ")
