"""Servers on the loopback that treat each connection as badly as a function says.

They are threads with plain sockets, so that nothing of asyncio, of TLS libraries or of HTTP stands
between a misbehaviour and its client. What happens is kept in `events`, in order; a connection
ends when its function does, or when the client leaves, and everything ends with the server.
"""

import contextlib
import select
import socket
import ssl
import struct
import threading

GIVE_UP_SECONDS = 30  # so that nothing outlives a test that went wrong
ABORT = struct.pack("ii", 1, 0)


class LeftError(Exception):
    """The client closed its end."""


class Connection:
    """One accepted connection, and what a misbehaviour may do to it."""

    def __init__(self, sock, events, ending):
        self.sock = sock
        self._events = events
        self._ending = ending
        sock.settimeout(GIVE_UP_SECONDS)

    def note(self, event):
        """Keep that something happened; what goes on happens once."""
        if self._events[-1:] != [event]:
            self._events.append(event)

    def secure(self, context):
        """Do the handshake of TLS."""
        self.sock = context.wrap_socket(self.sock, server_side=True)

    def ask(self):
        """Read the head of the request, and at most a little of its body."""
        head = b""
        while b"\r\n\r\n" not in head:
            if not (piece := self.sock.recv(1024)):
                raise LeftError
            head += piece
        self.note("asked")

    def peek(self):
        """Wait for the request, and leave it unread."""
        self.sock.recv(1, socket.MSG_PEEK)

    def say(self, data):
        """Send these bytes."""
        self.note("said")
        self.sock.sendall(data)

    def repeat(self, piece, pause=None):
        """Send one piece for ever, with a pause in seconds after each."""
        while True:
            self.say(piece)
            if pause is not None and self._leaves(pause):
                raise LeftError

    def wait(self, seconds=GIVE_UP_SECONDS):
        """Do nothing until the client leaves, at most so long."""
        if self._leaves(seconds):
            self.note("left")

    def hold(self):
        """Do nothing until the server ends, whatever the client does."""
        self._ending.wait(GIVE_UP_SECONDS)

    def half_close(self):
        """Say that nothing more will be said, and listen on."""
        self.note("half closed")
        self.sock.shutdown(socket.SHUT_WR)

    def end(self):
        """Close, unless that has happened."""
        if self._events[-1] not in {"left", "reset"}:
            self.note("closed")

    def reset(self):
        """Close with a RST instead of a FIN."""
        self.note("reset")
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
        self.sock.close()

    def _leaves(self, seconds):
        """Say whether the client closes its end within so many seconds, read or unread bytes."""
        poll = select.poll()
        poll.register(self.sock, select.POLLRDHUP)
        return bool(poll.poll(seconds * 1000))


class Server:
    """Listens on an address, treats each connection in a thread of its own, notes the events."""

    def __init__(self, behave, host="127.0.0.1", port=0, *, context=None, options=()):
        self._behave = behave
        self._context = context
        self._threads = []
        self._sockets = []
        self._ending = threading.Event()
        self.events = []
        self._listener = listener(host, port, options=options)
        self._listener.listen(128)
        self.port = self._listener.getsockname()[1]

    def __enter__(self):
        self._start(self._accept)
        return self

    def __exit__(self, *_):
        """End every connection and thread."""
        self._stop()
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(GIVE_UP_SECONDS)
            assert not thread.is_alive()

    def settle(self):
        """Return the events once every connection made so far has ended, which it must soon."""
        self._stop()
        for thread in self._threads:
            thread.join(GIVE_UP_SECONDS / 2)
        return self.events

    def _start(self, work, *arguments):
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _stop(self):
        """Accept no more, once all that were made are accepted."""
        self._ending.set()
        self._threads[0].join(GIVE_UP_SECONDS)
        self._listener.close()

    def _accept(self):
        while True:
            ready, _, _ = select.select([self._listener], [], [], 0.02)
            if ready:
                sock, _ = self._listener.accept()
                self._sockets.append(sock)
                self._start(self._treat, sock)
            elif self._ending.is_set():
                return

    def _treat(self, sock):
        connection = Connection(sock, self.events, self._ending)
        connection.note("connected")
        try:
            if self._context:
                connection.secure(self._context)
            self._behave(connection)
            connection.end()
        except (LeftError, ConnectionError, ssl.SSLError):
            connection.note("left")
        finally:
            connection.sock.close()


def listener(host, port=0, *, options=()):
    """Return a socket bound to an address, with (level, name, value) options, not listening yet."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for option in options:
        sock.setsockopt(*option)
    sock.bind((host, port))
    return sock


@contextlib.contextmanager
def refused(host="127.0.0.1"):
    """Give a port on which a connection is refused: it is bound, and nobody listens."""
    with listener(host) as sock:
        yield sock.getsockname()[1]


@contextlib.contextmanager
def swallowed(host="127.0.0.1"):
    """Give a port on which no SYN is answered: its queue of connections is full for ever."""
    with contextlib.ExitStack() as stack:
        hole = stack.enter_context(listener(host))
        hole.listen(0)
        port = hole.getsockname()[1]
        for _ in range(4):
            sock = stack.enter_context(socket.socket(hole.family))
            sock.settimeout(0)
            sock.connect_ex((host, port))
        yield port
