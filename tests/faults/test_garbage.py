"""Bytes that no server would send, by chance: none is a bug of ours, none is quoted."""

import asyncio
import errno

from faults.misbehaviours import CANARY, CHUNKED, HEAD, NINE
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sinkd.runner import Attempt, Direct, Runner
from sinkd.secrets import Secrets
from sinkd.spec import Interval, Job, Request
from sinkd.wire import Connection

PIECES = [
    b"HTTP/1.1 ", b"HTTP/1.0 ", b"200", b"103", b"204", b"999", b" OK", b" ", b"\t", b"\r\n", b"\n",
    b"Content-Length: ", b"Transfer-Encoding: chunked\r\n", b"Connection: upgrade\r\n", b": ", b";",
    b"\r\n\r\n", b"5\r\nhello\r\n", b"0\r\n\r\n", b"ffffffff", b"-1", b"1" * 30, b"\0", b"\xff",
    b"\x1b[2J", b"x" * 70_000, CANARY.encode(),
]  # fmt: skip
ENDS = [None, ConnectionResetError(errno.ECONNRESET, CANARY), OSError(errno.EHOSTUNREACH, CANARY)]


class Scripted:
    """A transport of asyncio whose server says these pieces, and then closes or is lost."""

    def __init__(self, protocol, pieces, lost):
        self._protocol = protocol
        self._pieces = iter(pieces)
        self._lost = lost
        protocol.connection_made(self)

    def resume_reading(self):
        if piece := next(self._pieces, None):
            self._protocol.data_received(piece)
        elif self._lost is None:
            self._protocol.eof_received()
        else:
            self._protocol.connection_lost(self._lost)

    def is_closing(self):
        return False

    def set_write_buffer_limits(self, *, high):
        pass

    def write(self, _):
        pass

    pause_reading = abort = lambda _: None


class ScriptedWire:
    """Makes connections to servers that follow a script."""

    proxy = None

    def __init__(self, *script):
        self._script = script

    async def open(self, _, progress):
        connection = Connection(progress)
        Scripted(connection, *self._script)
        return connection


def answer_of(pieces, lost):
    headers = (("Authorization", "Bearer ${env:TOKEN}"),)
    job = Job("j", Interval(5), Request("http://h/", headers=headers), 20, 60)
    runner = Runner(
        Direct(ScriptedWire(pieces, lost)), Secrets({"TOKEN": CANARY}, []), now=lambda: 0.0
    )
    return asyncio.run(runner.run(Attempt(job, "r", 0, "schedule", "0" * 32)))


@settings(deadline=None, max_examples=250)
@given(
    st.sampled_from([[], [HEAD], [CHUNKED], [NINE]]),
    st.lists(st.sampled_from(PIECES) | st.binary(min_size=1, max_size=9)),
    st.sampled_from(ENDS),
)
@example([HEAD], [b"words of the server\r\n\r\n"], None)
def test_whatever_a_server_says_the_answer_is_one_of_the_contract(begins, pieces, lost):
    answer = answer_of(begins + pieces, lost)
    assert answer.reason in {None, "http_status", "protocol", "read"}
    assert CANARY not in repr(answer)
    assert (answer.error is None) == (answer.outcome == "success")
    if answer.error:
        assert answer.error.isprintable()
        assert answer.error.isascii()
        assert "words of" not in answer.error


def test_what_is_no_http_is_not_said_to_be_a_request():
    answer = answer_of([b"\x16\x03\x01\x02"], None)
    assert answer.error == "headers: RemoteProtocolError, illegal status line"
