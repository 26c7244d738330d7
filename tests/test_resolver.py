"""Names to addresses: shared lookups on threads of their own that nobody has to wait for (H9)."""

import asyncio
import socket
import threading

import pytest

from sinkd.resolver import Resolver, look_up, numeric


class Lookup:
    """A lookup that answers when it is let go, and counts."""

    def __init__(self, answer=("192.0.2.1",)):
        self.asked = []
        self.go = threading.Event()
        self.answer = answer

    def __call__(self, host):
        self.asked.append(host)
        assert self.go.wait(30)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def lookup():
    found = Lookup()
    yield found
    found.go.set()


def test_waiters_for_one_host_share_one_lookup_and_the_next_one_asks_anew(lookup):
    async def main():
        resolver = Resolver(lookup)
        waiters = [asyncio.create_task(resolver.addresses("agents")) for _ in range(50)]
        await asyncio.sleep(0)
        lookup.go.set()
        assert await asyncio.gather(*waiters) == [("192.0.2.1",)] * 50
        assert lookup.asked == ["agents"]
        await resolver.addresses("agents")
        assert lookup.asked == ["agents", "agents"]

    asyncio.run(main())


def test_a_waiter_leaves_at_its_own_deadline_and_the_others_stay(lookup):
    async def main():
        resolver = Resolver(lookup)
        patient = asyncio.create_task(resolver.addresses("agents"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await resolver.addresses("agents")
        lookup.go.set()
        assert await patient == ("192.0.2.1",)
        assert lookup.asked == ["agents"]

    asyncio.run(main())


def test_every_waiter_of_a_failed_lookup_gets_its_error(lookup):
    lookup.answer = socket.gaierror(socket.EAI_NONAME, "no such name")

    async def main():
        resolver = Resolver(lookup)
        waiters = [asyncio.create_task(resolver.addresses("agents")) for _ in range(2)]
        await asyncio.sleep(0)
        lookup.go.set()
        assert await asyncio.gather(*waiters, return_exceptions=True) == [lookup.answer] * 2

    asyncio.run(main())


def test_no_more_lookups_run_at_once_than_there_are_threads(lookup):
    async def main():
        resolver = Resolver(lookup, threads=3)
        waiters = [asyncio.create_task(resolver.addresses(f"h{n}")) for n in range(20)]
        await asyncio.sleep(0)
        assert resolver._started == 3
        lookup.go.set()
        await asyncio.gather(*waiters)
        assert len(lookup.asked) == 20

    asyncio.run(main())


def test_a_hung_lookup_neither_holds_the_end_of_the_loop_nor_of_the_process(lookup):
    async def main():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await Resolver(lookup).addresses("hangs")

    asyncio.run(main())
    threads = [thread for thread in threading.enumerate() if thread.name == "sinkd-dns"]
    assert threads
    assert all(thread.daemon for thread in threads)
    lookup.go.set()  # its answer meets a closed loop


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("0x7f.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
    ],
)
def test_a_host_that_spells_an_address_needs_no_lookup(host, address, lookup):
    assert asyncio.run(Resolver(lookup).addresses(host)) == [address]
    assert lookup.asked == []


def test_a_name_is_no_address():
    assert numeric("localhost") == ()
    assert numeric("agents.example") == ()


def test_the_system_knows_localhost_once():
    found = look_up("localhost")
    assert set(found) <= {"127.0.0.1", "::1"}
    assert len(found) == len(set(found))
