"""The 40 misbehaviours of servers, each as a `Target`; `records` says what becomes of each.

A misbehaviour is a function that opens a target as a context manager. The text `CANARY` is the
secret that every request carries, and the servers quote it where they can.
"""

import contextlib
import datetime as dt
import functools
import itertools
import os
import socket
import ssl
import threading
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

import trustme
from faults.servers import Server, refused, swallowed

from sinkd.network import Policy
from sinkd.resolver import look_up

CANARY = "c4n4ry-t0ken"
MIB = 2**20
DEADLINE_SECONDS = 1  # the shortest that jobs.yaml allows
LOCAL = "127.0.0.1"

STATUS = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: 2\r\n"
WHOLE = LENGTH + b"\r\nok"
OK = STATUS + WHOLE
QUOTED = b"X-Quoted: %s\r\n" % CANARY.encode()
HEAD = STATUS + QUOTED
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
NINE = HEAD + b"Content-Length: 9\r\n\r\n"
REDIRECT = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: %s\r\n\r\n"
# A site in the internet tells its peer packets of this size, and has little room for what comes.
DISTANT = (
    (socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536),
    (socket.SOL_SOCKET, socket.SO_RCVBUF, 4096),
)


@dataclass(frozen=True)
class Target:
    """Where a request goes, what it carries, what the transport is given, who answers."""

    url: str
    servers: tuple = ()
    body: str | None = None
    lookup: Callable = look_up
    policy: Policy = field(default_factory=Policy)
    trusted: trustme.CA | None = None

    def events(self):
        """Return what happened at the servers, in order, once their connections have ended."""
        return [event for server in self.servers for event in server.settle()]


# --- ways to be reached ---------------------------------------------------------------------------


def over_http(behave, *, options=(), **fields):
    """Return a misbehaviour over a connection of its own."""

    @contextlib.contextmanager
    def target():
        with Server(behave, options=options) as server:
            yield Target(f"http://{LOCAL}:{server.port}/", (server,), **fields)

    return target


def over_tls(context_of, behave):
    """Return a misbehaviour over the TLS of a function's context; None of it is plain text."""

    @contextlib.contextmanager
    def target():
        with Server(behave, context=context_of()) as server:
            yield Target(f"https://{LOCAL}:{server.port}/", (server,), trusted=authority())

    return target


def unconnected(port_of):
    """Return a misbehaviour of a port that makes no connection."""

    @contextlib.contextmanager
    def target():
        with port_of() as port:
            yield Target(f"http://{LOCAL}:{port}/")

    return target


def named(lookup):
    """Return a misbehaviour of the name server that a lookup stands for."""

    @contextlib.contextmanager
    def target():
        with Server(says(OK)) as server:
            yield Target(f"http://agents.example:{server.port}/", (server,), lookup=lookup)

    return target


# --- what is said ---------------------------------------------------------------------------------


def says(data, *, keep_open=False):
    """Answer a request with these bytes, and close, or leave that to the client."""

    def behave(connection):
        connection.ask()
        connection.say(data)
        if keep_open:
            connection.wait()

    return behave


def resets(data=b""):
    """Answer a request with these bytes, and a RST."""

    def behave(connection):
        connection.ask()
        if data:
            connection.say(data)
        connection.reset()

    return behave


def repeats(data, piece, pause=None):
    """Answer a request with these bytes, and then one piece for ever."""

    def behave(connection):
        connection.ask()
        connection.say(data)
        connection.repeat(piece, pause)

    return behave


def half_closes(data=b""):
    """Answer a request with these bytes and a FIN, and listen on."""

    def behave(connection):
        connection.ask()
        if data:
            connection.say(data)
        connection.half_close()
        connection.wait()

    return behave


def silence(connection):
    """Accept a connection, and never read nor answer."""
    connection.wait()


def resets_unread(connection):
    """Send a RST for a request that was not read."""
    connection.peek()
    connection.reset()


def never_reads(connection):
    """Accept a connection, and read nothing until the server ends."""
    connection.hold()


def late(connection):
    """Answer after ten deadlines, to whoever is still there."""
    connection.ask()
    connection.wait(10 * DEADLINE_SECONDS)
    connection.say(OK)


@contextlib.contextmanager
def bombs():
    """A server that sends 1 GiB of zeros as gzip, less its check sum: a little under 1 MiB."""
    piece = zlib.compressobj(9, zlib.DEFLATED, -15)
    zeros = piece.compress(bytes(16 * MIB)) + piece.flush(zlib.Z_FULL_FLUSH)
    bomb = b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + zeros * 64 + b"\x03\0"
    with over_http(says(gzipped(bomb)))() as target:
        yield target


def gzipped(data):
    """Return an answer that says it is gzip."""
    return HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s" % (len(data), data)


# --- redirects ------------------------------------------------------------------------------------


@contextlib.contextmanager
def redirects_to_itself():
    """A server that redirects to where the request was sent."""

    def behave(connection):
        connection.ask()
        connection.say(REDIRECT % f"http://{LOCAL}:{server.port}/".encode())

    with Server(behave) as server:
        yield Target(f"http://{LOCAL}:{server.port}/", (server,))


@contextlib.contextmanager
def redirects_to_another():
    """A server that redirects to one on another host, which has nothing to hear."""
    with Server(says(OK), "127.0.0.2") as other:
        moved = says(REDIRECT % f"http://127.0.0.2:{other.port}/".encode())
        with Server(moved) as server:
            yield Target(f"http://{LOCAL}:{server.port}/", (server, other))


# --- TLS ------------------------------------------------------------------------------------------


@functools.cache
def authority():
    """Return the authority that the client trusts."""
    return trustme.CA()


def certified(*names, **options):
    """Return the TLS context of a server with a certificate of the trusted authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority().issue_cert(*names, **options).configure_cert(context)
    return context


def expired():
    """Return the context of a server whose certificate was good until 2021."""
    return certified(
        LOCAL,
        not_before=dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
        not_after=dt.datetime(2021, 1, 1, tzinfo=dt.UTC),
    )


def self_signed():
    """Return the context of a server whose certificate is its own authority."""
    own = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with own.cert_pem.tempfile() as certificate, own.private_key_pem.tempfile() as key:
        context.load_cert_chain(certificate, key)
    return context


def old():
    """Return the context of a server that knows TLS 1.0 and nothing newer."""
    context = certified(LOCAL)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that is the point of it
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1
    return context


def greets_in_plain_text(connection):
    """Greet as a mail server does, before it is asked."""
    connection.say(b"220 mail.example %s\r\n" % CANARY.encode())


# --- names ----------------------------------------------------------------------------------------


def unknown(_):
    """Know no name."""
    raise socket.gaierror(socket.EAI_NONAME, CANARY)


@contextlib.contextmanager
def hangs():
    """A name server that takes 60 s, or until the target is closed."""
    end = threading.Event()
    try:
        yield Target("http://agents.example/", lookup=lambda _: end.wait(60) and [])
    finally:
        end.set()


@contextlib.contextmanager
def thousand_addresses():
    """A name with 1,000 addresses, none of which listens but the last one."""
    many = [f"127.1.{n // 250}.{n % 250 + 1}" for n in range(1000)]
    with Server(says(OK), many[-1]) as server:
        url = f"http://agents.example:{server.port}/"
        yield Target(url, (server,), lookup=lambda _: many)


@contextlib.contextmanager
def swallowed_over_v6():
    """A name whose IPv6 address swallows packets, and whose IPv4 address answers."""
    with swallowed("::1") as port, Server(says(OK), port=port) as server:
        url = f"http://agents.example:{port}/"
        yield Target(url, (server,), lookup=lambda _: ["::1", LOCAL])


def rebinds(first, then, policy=None):
    """Return a name that has one address when asked first, and another one ever after."""

    @contextlib.contextmanager
    def target():
        answers = itertools.chain([[first]], itertools.repeat([then]))
        with Server(says(OK)) as server:
            url = f"http://agents.example:{server.port}/"
            lookup = lambda _: next(answers)  # noqa: E731 - an iterator as a lookup
            yield Target(url, (server,), lookup=lookup, policy=policy or Policy())

    return target


MISBEHAVIOURS = {
    "1 refuse": unconnected(refused),
    "2 blackhole SYN": unconnected(swallowed),
    "3 accept, then silence": over_http(silence),
    "4 RST after accept": over_http(resets_unread),
    "5 RST after request": over_http(resets()),
    "6 RST mid-header": over_http(resets(HEAD + b"X-Half: ha")),
    "7 RST mid-body": over_http(resets(NINE + b"ab")),
    "8 close with no bytes": over_http(lambda connection: connection.ask()),
    "9 1 byte / 0.3 s header drip": over_http(repeats(HEAD + b"X-Drip: ", b"x", 0.3)),
    "10 body drip": over_http(repeats(HEAD + b"\r\n", b"x", 0.3)),
    "11 endless fast body": over_http(repeats(HEAD + b"\r\n", b"x" * 65_536)),
    "12 endless chunked": over_http(repeats(CHUNKED, b"8000\r\n" + b"x" * 32_768 + b"\r\n")),
    "13 endless headers": over_http(repeats(HEAD, QUOTED * 100)),
    "14 one 1 MB header": over_http(
        says(HEAD + b"X-Big: " + b"x" * MIB + b"\r\n\r\n", keep_open=True)
    ),
    "15 endless 100-Continue": over_http(repeats(b"", b"HTTP/1.1 100 Continue\r\n\r\n")),
    "16 endless 103": over_http(repeats(b"", b"HTTP/1.1 103 Hints\r\n" + QUOTED + b"\r\n")),
    "17 101 Switching": over_http(
        says(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
    ),
    "18 gzip bomb 1 GiB": bombs,
    "19 wrong Content-Encoding": over_http(says(gzipped(b"no gzip"))),
    "20 Content-Length too long": over_http(says(NINE + b"ab")),
    "21 Content-Length too short": over_http(says(NINE + b"nine bytes and more")),
    "22 two Content-Lengths": over_http(says(HEAD + LENGTH + b"Content-Length: 3\r\n\r\nok!")),
    "23 CL + TE": over_http(
        says(HEAD + LENGTH + b"Transfer-Encoding: chunked\r\n\r\n3\r\nok!\r\n0\r\n\r\n")
    ),
    "24 bad chunk size": over_http(says(CHUNKED + CANARY.encode() + b"\r\nok\r\n0\r\n\r\n")),
    "25 truncated chunk": over_http(says(CHUNKED + b"5\r\nab")),
    "26 trailers flood": over_http(repeats(CHUNKED + b"0\r\n", QUOTED * 100)),
    "27 HTTP/0.9": over_http(says(b"<h1>" + CANARY.encode() + b"</h1>\r\n")),
    "28 binary garbage": over_http(says(bytes(range(256)) * 8 + CANARY.encode())),
    "29 status 099": over_http(says(b"HTTP/1.1 099 Low\r\n" + QUOTED + WHOLE)),
    "29 status 20": over_http(says(b"HTTP/1.1 20 Short\r\n" + QUOTED + WHOLE)),
    "29 status 600": over_http(says(b"HTTP/1.1 600 High\r\n" + QUOTED + WHOLE)),
    "29 status 999": over_http(says(b"HTTP/1.1 999 Highest\r\n" + QUOTED + WHOLE)),
    "30 reason with ESC, 0xFF": over_http(says(b"HTTP/1.1 200 \x1b[2J\xff\r\n" + WHOLE)),
    "30 reason with CR": over_http(says(b"HTTP/1.1 200 O\rK\r\n" + WHOLE)),
    "31 204 with a body": over_http(says(b"HTTP/1.1 204 No\r\n" + WHOLE)),
    "31 304 with a body": over_http(says(b"HTTP/1.1 304 Old\r\n" + WHOLE)),
    "32 redirect loop": redirects_to_itself,
    "33 cross-host redirect": redirects_to_another,
    "34 redirect to file:": over_http(says(REDIRECT % b"file:///etc/passwd")),
    "35 TLS expired": over_tls(expired, says(OK)),
    "35 TLS self-signed": over_tls(self_signed, says(OK)),
    "35 TLS wrong host": over_tls(lambda: certified("other.example"), says(OK)),
    "35 TLS 1.0": over_tls(old, says(OK)),
    "35 TLS plaintext": over_tls(lambda: None, greets_in_plain_text),
    "35 TLS plaintext that waits": over_tls(lambda: None, silence),
    "36 never reads the request body": over_http(never_reads, options=DISTANT, body="x" * MIB),
    "37 answers before reading the body, then RST": over_http(
        resets(b"HTTP/1.1 413 Too Big\r\n" + WHOLE), options=DISTANT, body="x" * MIB
    ),
    "38 DNS NXDOMAIN": named(unknown),
    "38 DNS 60 s hang": hangs,
    "38 DNS 1,000 A records": thousand_addresses,
    "38 DNS v6-only blackhole + v4": swallowed_over_v6,
    "38 DNS rebinding after the check": rebinds(LOCAL, "169.254.169.254"),
    "38 DNS rebinding to metadata": named(lambda _: ["169.254.169.254"]),
    "38 DNS rebinding to a private address": rebinds(LOCAL, LOCAL, Policy(public_only=True)),
    "39 half-close with no bytes, keep open": over_http(half_closes()),
    "39 half-close mid-body, keep open": over_http(half_closes(NINE + b"ab")),
    "39 half-close after the body, keep open": over_http(half_closes(HEAD + b"\r\nwhole")),
    "40 200 after 10 x deadline": over_http(late),
}
# Twenty that need nothing but an address, for a process of its own.
HOSTILE = [
    "2 blackhole SYN",
    "3 accept, then silence",
    "4 RST after accept",
    "6 RST mid-header",
    "7 RST mid-body",
    "8 close with no bytes",
    "9 1 byte / 0.3 s header drip",
    "10 body drip",
    "11 endless fast body",
    "12 endless chunked",
    "13 endless headers",
    "15 endless 100-Continue",
    "18 gzip bomb 1 GiB",
    "26 trailers flood",
    "28 binary garbage",
    "35 TLS self-signed",
    "35 TLS plaintext that waits",
    "36 never reads the request body",
    "39 half-close mid-body, keep open",
    "40 200 after 10 x deadline",
]


def serve(pipe):
    """Serve those twenty in this process until the pipe ends; say their URLs and bodies first."""
    os.nice(19)  # servers are elsewhere: they take nothing from the daemon
    with contextlib.ExitStack() as stack:
        targets = [stack.enter_context(MISBEHAVIOURS[name]()) for name in HOSTILE]
        pipe.send([(target.url, target.body or "") for target in targets])
        with contextlib.suppress(EOFError):
            pipe.recv()
