"""Each of the 40 misbehaviours against the real runner, transport and resolver."""

import asyncio
import itertools
import threading
import tracemalloc

import pytest
from faults.client import context, send
from faults.misbehaviours import (
    CANARY,
    DEADLINE_SECONDS,
    LOCAL,
    MIB,
    MISBEHAVIOURS,
    OK,
    Target,
    rebinds,
    says,
)
from faults.records import EXPECTED, HEARD, told, waits
from faults.servers import Server

from sinkd.network import Policy
from sinkd.record import ERROR_LIMIT_CHARACTERS
from sinkd.resolver import Resolver
from sinkd.wire import FailedError, Origin, Progress, Wire

GRACE_SECONDS = 5
PATIENCE_SECONDS = 20  # for what must end by itself, on however slow a machine
MEMORY_BYTES = 4 * MIB  # the request's own bytes three times, and what is read at once


def measured(target, seconds):
    """Return the answer of a target, and the most memory that it took."""
    context()
    tracemalloc.start()
    try:
        answer = asyncio.run(send(target, seconds))
        return answer, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_every_misbehaviour_has_its_record():
    assert list(EXPECTED) == list(MISBEHAVIOURS)
    numbers = [int(name.split()[0]) for name in EXPECTED]
    assert [number for number, _ in itertools.groupby(numbers)] == list(range(1, 41))


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.e2e) if waits(name) else name for name in EXPECTED],
)
def test_a_misbehaviour_ends_in_one_answer_that_says_what_and_where(name):
    seconds = DEADLINE_SECONDS if waits(name) else PATIENCE_SECONDS
    with MISBEHAVIOURS[name]() as target:
        answer, memory = measured(target, seconds)
        assert (told(answer.fields()), " ".join(target.events())) == EXPECTED[name]
    assert 1000 * seconds * waits(name) <= answer.duration_ms <= 1000 * (seconds + GRACE_SECONDS)
    assert memory < MEMORY_BYTES
    assert CANARY not in repr(answer.fields())
    assert set(answer.response_headers.values()) <= {"[redacted]"}
    if answer.outcome == "success":
        assert answer.error is None
    else:
        assert answer.error.isprintable()
        assert answer.error.isascii()
        assert 10 <= len(answer.error) <= ERROR_LIMIT_CHARACTERS
        assert answer.error.startswith(f"{answer.phase}: " if answer.phase else "answered ")


async def requested_too_late(behave):
    """Return the head that answers a request to a server that has reset the connection already."""
    connected = threading.Event()

    def late(connection):
        connected.wait(PATIENCE_SECONDS)
        behave(connection)

    with Server(late) as server:
        wire = Wire(context(), Resolver(), Policy())
        connection = await wire.open(Origin(LOCAL, server.port, tls=False), Progress())
        connected.set()
        assert server.settle()[-1] == "reset"
        try:
            return await connection.request("POST", b"/", [(b"Host", b"h")], b"")
        finally:
            connection.close()


def test_a_rst_before_the_request_is_written_is_a_failure_of_writing():
    with pytest.raises(FailedError) as failure:
        asyncio.run(requested_too_late(lambda connection: connection.reset()))
    cause = failure.value.cause
    assert (cause.reason, cause.phase) == ("write", "write")
    assert cause.text == "ConnectionResetError, ECONNRESET"


def test_an_answer_that_came_before_a_rst_counts_though_the_request_was_never_written():
    def overloaded(connection):
        connection.say(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
        connection.reset()

    assert asyncio.run(requested_too_late(overloaded)).status_code == 503


def test_a_name_is_asked_for_once_a_run_and_again_for_the_next_one():
    async def main(target):
        return [told((await send(target, PATIENCE_SECONDS)).fields()) for _ in range(2)]

    with rebinds(LOCAL, "169.254.169.254")() as target:
        assert asyncio.run(main(target)) == ["success 200, 2 bytes", "failure policy connect"]
        assert " ".join(target.events()) == HEARD


def test_the_eighth_address_of_a_name_is_tried():
    addresses = [f"127.1.0.{n}" for n in range(1, 9)]
    with Server(says(OK), addresses[-1]) as server:
        url = f"http://agents.example:{server.port}/"
        target = Target(url, (server,), lookup=lambda _: addresses)
        answer = asyncio.run(send(target, PATIENCE_SECONDS))
        assert told(answer.fields()) == "success 200, 2 bytes"
