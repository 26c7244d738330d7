"""Names to addresses, on daemon threads of their own (H9).

`getaddrinfo` blocks and cannot be cancelled, so it runs neither on the loop nor in its executor,
which has few threads and is waited for at exit. A waiter leaves at its own deadline; the lookup
it waited for goes on, shared by whoever else asks for that host, and blocks nothing.
"""

import asyncio
import contextlib
import queue
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

THREADS: Final = 32

Addresses: TypeAlias = Sequence[str]
Lookup: TypeAlias = Callable[[str], Addresses]
_Answer: TypeAlias = "asyncio.Future[Addresses | Exception]"


def look_up(host: str) -> Addresses:
    """Return the addresses of a host, in the system's order of preference; OSError when none."""
    return _getaddrinfo(host, 0)


def numeric(host: str) -> Addresses:
    """Return the address that a host such as `127.0.0.1`, `::1` or `0x7f.1` spells, or none."""
    try:
        return _getaddrinfo(host, socket.AI_NUMERICHOST)
    except OSError:
        return ()


def _getaddrinfo(host: str, flags: int) -> Addresses:
    # As bytes, because a text would first be encoded as IDNA, which refuses some legal names.
    rows = socket.getaddrinfo(host.encode(), None, type=socket.SOCK_STREAM, flags=flags)
    return list(dict.fromkeys(str(row[4][0]) for row in rows))


class Resolver:
    """One lookup per host at a time, shared by its waiters; at most `threads` at once."""

    def __init__(self, lookup: Lookup = look_up, threads: int = THREADS) -> None:
        self._lookup = lookup
        self._limit = threads
        self._started = 0
        self._asked: queue.SimpleQueue[tuple[str, asyncio.AbstractEventLoop, _Answer]] = (
            queue.SimpleQueue()
        )
        self._answers: dict[str, _Answer] = {}

    async def addresses(self, host: str) -> Addresses:
        """Return the addresses of the host; raises what the lookup raised, mostly OSError."""
        if found := numeric(host):
            return found
        answer = self._answers.get(host) or self._ask(host)
        # The shield lets a waiter leave alone.
        outcome = await asyncio.shield(answer)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _ask(self, host: str) -> _Answer:
        loop = asyncio.get_running_loop()
        answer = self._answers[host] = loop.create_future()
        answer.add_done_callback(lambda _: self._answers.pop(host))
        self._asked.put((host, loop, answer))
        if self._started < min(self._limit, len(self._answers)):
            self._started += 1
            threading.Thread(target=self._work, name="sinkd-dns", daemon=True).start()
        return answer

    def _work(self) -> None:
        while True:
            host, loop, answer = self._asked.get()
            outcome: Addresses | Exception
            try:
                outcome = self._lookup(host)
            except Exception as error:  # noqa: BLE001 - the waiters raise it
                outcome = error
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(_settle, answer, outcome)


def _settle(answer: _Answer, outcome: Addresses | Exception) -> None:
    if not answer.done():
        answer.set_result(outcome)
