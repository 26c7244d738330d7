"""The real transport against real servers on the loopback; those that misbehave: `faults/`."""

import asyncio
import contextlib
import functools
import resource
import socket
import ssl

import pytest
import trustme

from sinkd import __version__
from sinkd.network import Policy
from sinkd.resolver import Resolver
from sinkd.runner import Attempt, Direct, Runner, tls_context
from sinkd.secrets import Secrets
from sinkd.spec import Interval, Job, Request
from sinkd.wire import Connection, FailedError, Progress, Wire, _interleave

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
STUCK = 32_768  # more than a small socket takes, less than asyncio would call full


class Servers:
    """The servers of one test; they and their connections are gone at its end."""

    async def __aenter__(self):
        self.servers = []
        self.connections = {}
        self.heads = []
        return self

    async def __aexit__(self, *_):
        for server in self.servers:
            server.close()
        for connection, writer in self.connections.items():
            connection.cancel()
            writer.transport.abort()
        await asyncio.gather(*self.connections, return_exceptions=True)
        await asyncio.sleep(0)

    async def start(self, behave, *, context=None):
        """Start a server that treats each connection so once a request's head has come."""

        async def connected(reader, writer):
            self.connections[asyncio.current_task()] = writer
            with contextlib.suppress(ConnectionError, EOFError, asyncio.CancelledError):
                self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                await behave(reader, writer)
                await writer.drain()
                writer.close()
                await writer.wait_closed()

        server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context, backlog=1024)
        self.servers.append(server)
        return server.sockets[0].getsockname()[1]


def says(data):
    """Behave by sending these bytes and closing."""

    async def behave(_, writer):
        writer.write(data)

    return behave


def repeats(data, piece):
    """Behave by sending some bytes and then one piece for ever."""

    async def behave(_, writer):
        writer.write(data)
        while True:
            writer.write(piece)
            await writer.drain()

    return behave


async def silence(*_):
    await asyncio.Event().wait()  # to the end of the test


@functools.cache  # 60 ms each
def context_of(*paths):
    return tls_context(*paths)


def transport(policy=None, resolver=None, ca_file=None, client_cert=None):
    wire = Wire(context_of(ca_file, client_cert), resolver or Resolver(), policy or Policy())
    return Direct(wire)


async def send(url, *, seconds=20, method="POST", body=None, **options):
    job = Job("j", Interval(5), Request(url, method, body=body), seconds, 60)
    runner = Runner(transport(**options), Secrets({}, []), now=lambda: 0.0)
    return await runner.run(Attempt(job, "j@2026-11-23T09:01Z", 0, "schedule", "0" * 32))


def answer_of(behave, **options):
    async def main():
        async with Servers() as servers:
            port = await servers.start(behave)
            return await send(f"http://127.0.0.1:{port}/", **options)

    return asyncio.run(main())


def failed(answer):
    """Return reason, phase, status and text of a failure."""
    assert answer.outcome == "failure"
    assert answer.error
    return answer.reason, answer.phase, answer.status_code, answer.error


def test_a_whole_answer_is_a_success_with_its_size():
    answer = answer_of(says(OK))
    assert (answer.outcome, answer.status_code, answer.response_bytes) == ("success", 200, 2)
    assert not answer.truncated


def test_the_request_on_the_wire_is_byte_for_byte_this():
    async def listen(reader, writer):
        assert await reader.readexactly(7) == b'{"a":1}'
        writer.write(OK)

    async def main():
        async with Servers() as servers:
            port = await servers.start(listen)
            answer = await send(f"http://127.0.0.1:{port}/a%2Fb//c?d=%20&e", body={"a": 1})
            assert answer.outcome == "success"
            return servers.heads[0].decode().replace(str(port), "PORT")

    assert asyncio.run(main()).split("\r\n") == [
        "POST /a%2Fb//c?d=%20&e HTTP/1.1",
        "Host: 127.0.0.1:PORT",
        f"User-Agent: sinkd/{__version__}",
        f"traceparent: 00-{'0' * 32}-419b1963d97c3020-01",
        "Content-Type: application/json",
        "Idempotency-Key: j@2026-11-23T09:01Z",
        "X-Sinkd-Run-Id: j@2026-11-23T09:01Z",
        "X-Sinkd-Job: j",
        "X-Sinkd-Scheduled-At: 1970-01-01T00:00:00Z",
        "X-Sinkd-Trigger: schedule",
        "Accept-Encoding: identity",
        "Connection: close",
        "Content-Length: 7",
        "",
        "",
    ]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-", ("protocol", "headers", None)),
        (b"HTTP/1.1 503 No\r\nContent-Length: 9\r\n\r\nab", ("protocol", "body", 503)),
    ],
)
def test_an_answer_that_is_cut_short_is_a_failure_that_keeps_its_status(data, expected):
    assert failed(answer_of(says(data)))[:3] == expected


@pytest.mark.parametrize(
    ("data", "count"),
    [
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 3 + OK, 2),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", 13),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b", 2),
    ],
)  # fmt: skip
def test_what_is_odd_but_whole_is_a_success(data, count):
    answer = answer_of(says(data))
    assert (answer.outcome, answer.response_bytes) == ("success", count)


def test_a_head_has_no_body_whatever_it_says():
    answer = answer_of(says(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"), method="HEAD")
    assert (answer.outcome, answer.response_bytes) == ("success", 0)


def test_of_a_body_one_byte_over_1_mib_the_rest_is_left():
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n"
    answer = answer_of(says(head + b"x" * (2**20 + 1)))
    assert (answer.outcome, answer.response_bytes, answer.truncated) == ("success", 2**20, True)


def test_a_body_of_exactly_1_mib_is_whole():
    answer = answer_of(says(b"HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n" + b"x" * 2**20))
    assert (answer.outcome, answer.response_bytes, answer.truncated) == ("success", 2**20, False)


def test_a_flood_of_tiny_chunks_leaves_the_loop_to_others():
    async def main():
        async with Servers() as servers:
            flood = b"1\r\nx\r\n" * 50_000
            head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            port = await servers.start(says(head + flood + b"0\r\n\r\n"))
            run = asyncio.create_task(send(f"http://127.0.0.1:{port}/"))
            turns = 0
            while not run.done():
                await asyncio.sleep(0)
                turns += 1
            return run.result(), turns

    answer, turns = asyncio.run(main())
    assert (answer.outcome, answer.response_bytes) == ("success", 50_000)
    assert turns > 500


def test_an_early_answer_counts_though_the_server_never_read_the_body():
    async def early(_, writer):
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await silence()

    answer = answer_of(early, body="x" * 2**20)
    assert failed(answer)[:3] == ("http_status", None, 413)


async def stuck():
    """Return a request whose server does not read, its progress, and the server's socket."""
    here, there = socket.socketpair()
    here.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    progress = Progress()
    _, connection = await asyncio.get_running_loop().create_connection(
        lambda: Connection(progress), sock=here
    )
    headers = [(b"Host", b"h"), (b"Content-Length", b"%d" % STUCK)]
    sending = asyncio.create_task(connection.request("POST", b"/", headers, b"x" * STUCK))
    await asyncio.sleep(0)
    return sending, progress, there, connection


def test_while_the_server_does_not_read_the_request_the_phase_is_write():
    async def main():
        sending, progress, there, connection = await stuck()
        assert progress.phase == "write"
        there.settimeout(0)
        received = 0
        while received < STUCK:
            received += len(await asyncio.get_running_loop().sock_recv(there, 65_536))
        assert progress.phase == "headers"
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        connection.close()
        there.close()

    asyncio.run(main())


def test_a_connection_lost_while_the_request_is_written_is_a_failure_of_writing():
    async def main():
        sending, _, there, _ = await stuck()
        there.close()
        with pytest.raises(FailedError) as failure:
            await sending
        return failure.value.cause

    cause = asyncio.run(main())
    assert (cause.reason, cause.phase) == ("write", "write")


# Names and addresses.


def test_a_name_that_nobody_knows_is_a_failure_of_dns():
    def unknown(_):
        raise socket.gaierror(socket.EAI_NONAME, "no")

    answer = asyncio.run(send("http://agents.example/", resolver=Resolver(unknown)))
    assert failed(answer) == ("dns", "dns", None, "dns: gaierror, EAI_NONAME")


def test_the_next_address_is_tried_when_one_refuses():
    async def main():
        async with Servers() as servers:
            port = await servers.start(says(OK))
            resolver = Resolver(lambda _: ["::1", "127.0.0.2", "127.0.0.1"])
            return await send(f"http://agents.example:{port}/", resolver=resolver)

    assert asyncio.run(main()).outcome == "success"


def test_when_every_address_refuses_the_last_refusal_is_named():
    async def main():
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            port = sock.getsockname()[1]
            resolver = Resolver(lambda _: ["127.0.0.2", "127.0.0.1"])
            return await send(f"http://agents.example:{port}/", resolver=resolver)

    assert failed(asyncio.run(main()))[3] == "connect: ConnectionRefusedError, ECONNREFUSED"


@pytest.mark.e2e
def test_an_address_that_swallows_packets_delays_the_next_one_by_a_quarter_second():
    async def main():
        async with Servers() as servers:
            port = await servers.start(says(OK))
            with contextlib.ExitStack() as stack:
                hole = stack.enter_context(socket.socket())
                hole.bind(("127.0.0.2", port))
                hole.listen(0)
                for _ in range(3):  # its queue is full: a SYN more is not answered
                    full = stack.enter_context(socket.socket())
                    full.settimeout(0)
                    full.connect_ex(("127.0.0.2", port))
                await asyncio.sleep(0.05)
                resolver = Resolver(lambda _: ["127.0.0.2", "127.0.0.1"])
                return await send(f"http://agents.example:{port}/", resolver=resolver)

    answer = asyncio.run(main())
    assert answer.outcome == "success"
    assert 250 <= answer.duration_ms < 5000


def test_of_a_thousand_addresses_few_are_tried_with_the_families_in_turn():
    many = [f"2001:db8::{n}" for n in range(1000)] + ["192.0.2.1", "192.0.2.2"]
    assert _interleave(many)[:5] == [
        "2001:db8::0",
        "192.0.2.1",
        "2001:db8::1",
        "192.0.2.2",
        "2001:db8::2",
    ]
    assert len(_interleave(many)) == 1002


def test_the_address_connected_to_is_checked_whatever_the_name():
    options = {"resolver": Resolver(lambda _: ["169.254.169.254"])}
    for url in ("http://169.254.169.254/latest", "http://rebound.example/"):
        assert failed(asyncio.run(send(url, **options)))[:2] == ("policy", "connect")


def test_of_several_addresses_only_the_permitted_are_connected_to():
    async def main():
        async with Servers() as servers:
            port = await servers.start(says(OK))
            resolver = Resolver(lambda _: ["169.254.169.254", "127.0.0.1"])
            return await send(f"http://agents.example:{port}/", resolver=resolver)

    assert asyncio.run(main()).outcome == "success"


def test_where_the_network_is_public_a_local_address_is_policy():
    answer = asyncio.run(send("http://127.0.0.1:9/", policy=Policy(public_only=True)))
    assert failed(answer)[3] == ("connect: 127.0.0.1 is not public, and `--network public` is set")


# TLS.


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority, tmp_path_factory):
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


def server_context(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def secure_answer(context, behave=None, **options):
    async def main():
        async with Servers() as servers:
            port = await servers.start(behave or says(OK), context=context)
            return await send(f"https://127.0.0.1:{port}/", **options)

    return asyncio.run(main())


def test_a_certificate_of_a_trusted_authority_is_good(authority, ca_file):
    context = server_context(authority.issue_cert("127.0.0.1"))
    answer = secure_answer(context, ca_file=ca_file)
    assert (answer.outcome, answer.response_bytes) == ("success", 2)


def test_over_tls_bodies_are_cut_and_truncated_alike(authority, ca_file):
    context = server_context(authority.issue_cert("127.0.0.1"))
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"
    assert failed(secure_answer(context, says(head), ca_file=ca_file))[:3] == (
        "protocol",
        "body",
        200,
    )
    endless = repeats(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65_536)
    assert secure_answer(context, endless, ca_file=ca_file).truncated


def test_an_authority_that_nobody_named_is_refused(authority):
    *found, error = failed(secure_answer(server_context(authority.issue_cert("127.0.0.1"))))
    assert found == ["tls", "tls", None]
    assert error == "tls: SSLCertVerificationError, unable to get local issuer certificate"


def test_tls_1_1_is_too_old_and_verification_always_on(ca_file):
    context = tls_context(ca_file)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname


def test_a_client_certificate_is_shown_to_the_server(authority, ca_file, tmp_path):
    own = authority.issue_cert("sinkd.example")
    path = tmp_path / "own.pem"
    own.private_key_and_cert_chain_pem.write_to_path(path)
    context = server_context(authority.issue_cert("127.0.0.1"))
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    assert secure_answer(context, ca_file=ca_file, client_cert=path).outcome == "success"
    assert secure_answer(context, ca_file=ca_file).outcome == "failure"


def test_the_host_header_of_a_job_changes_neither_address_nor_server_name(authority, ca_file):
    names = []

    async def main():
        context = server_context(authority.issue_cert("agents.example"))
        context.sni_callback = lambda _, name, __: names.append(name)
        async with Servers() as servers:
            port = await servers.start(says(OK), context=context)
            request = Request(f"https://agents.example:{port}/", headers=(("Host", "other"),))
            options = {"ca_file": ca_file, "resolver": Resolver(lambda _: ["127.0.0.1"])}
            runner = Runner(transport(**options), Secrets({}, []), now=lambda: 0.0)
            job = Job("j", Interval(5), request, 20, 60)
            return await runner.run(Attempt(job, "r", 0, "schedule", "0" * 32))

    assert asyncio.run(main()).outcome == "success"
    assert names == ["agents.example"]


# Many at once.


def test_a_thousand_requests_are_in_flight_together():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, 4096) if hard != resource.RLIM_INFINITY else 4096
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    number = min(1000, (wanted - 200) // 2)

    async def main():
        arrived = 0
        everyone = asyncio.Event()

        async def wait_for_all(_, writer):
            nonlocal arrived
            arrived += 1
            if arrived == number:
                everyone.set()
            await everyone.wait()
            writer.write(OK)

        async with Servers() as servers:
            port = await servers.start(wait_for_all)
            runner = Runner(transport(), Secrets({}, []), now=lambda: 0.0)
            job = Job("j", Interval(5), Request(f"http://127.0.0.1:{port}/"), 60, 60)
            attempt = Attempt(job, "r", 0, "schedule", "0" * 32)
            return await asyncio.gather(*(runner.run(attempt) for _ in range(number)))

    assert {answer.outcome for answer in asyncio.run(main())} == {"success"}


def test_a_run_that_is_cancelled_closes_its_connection_and_raises():
    async def main():
        gone = asyncio.Event()
        asked = asyncio.Event()

        async def hears_the_end(reader, _):
            asked.set()
            await reader.read()
            gone.set()

        async with Servers() as servers:
            port = await servers.start(hears_the_end)
            run = asyncio.create_task(send(f"http://127.0.0.1:{port}/"))
            await asked.wait()
            run.cancel()
            with pytest.raises(asyncio.CancelledError):
                await run
            async with asyncio.timeout(20):
                await gone.wait()

    asyncio.run(main())
