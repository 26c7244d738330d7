"""Who may ask and how much: addresses, tokens, names, methods, sizes, times and numbers."""

import asyncio
import base64
import contextlib
import os
import stat
import subprocess
import sys

import pytest
from starlette.responses import PlainTextResponse, StreamingResponse
from test_web import Site

from sinkd.errors import UsageError
from sinkd.redaction import Redactor
from sinkd.web import server
from sinkd.web.guard import Access, host_name
from sinkd.web.server import Address, address_text, listen, parse_address, serving
from sinkd.web.site import prepare

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
GET = b"GET / HTTP/1.1\r\nHost: sinkd.test\r\n\r\n"
LAST = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


# --- what is asked ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/", "/nothing", "/-/healthy", "/static/sinkd.js", "/api/v1/jobs"]
)
def test_every_answer_has_the_headers_of_safety_and_none_of_cors(site, path):
    answer = site.get(path, Origin="https://evil.example")
    assert answer.headers["content-security-policy"] == CSP
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "X"])
@pytest.mark.parametrize("path", ["/", "/jobs/calm", "/-/ready", "/events", "/nothing"])
def test_nothing_but_get_and_head_is_answered(site, method, path):
    answer = site.get(path, method)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


def test_head_is_answered_as_get_also_for_the_stream(site):
    for path in ("/", "/api/v1/status", "/events", "/badge/calm.json"):
        assert site.get(path, "HEAD").status_code == 200, path


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("sinkd.test", 200),
        ("SINKD.test:8080", 200),
        ("sinkd.test.", 200),
        ("evil.example", 403),
        ("sinkd.test.evil.example", 403),
        ("", 403),
        ("[::1]:80", 403),
    ],
)
def test_only_known_names_are_answered(site, host, status):
    assert site.get("/", Host=host).status_code == status


def test_a_host_header_is_a_name_and_maybe_a_port():
    assert [host_name(each) for each in ("[::1]:80", "A.b:1", "a", "")] == ["::1", "a.b", "a", ""]


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ("Bearer s3cret", 200),
        ("bearer s3cret", 200),
        ("Basic " + base64.b64encode(b"anybody:s3cret").decode(), 200),
        ("Basic " + base64.b64encode(b"s3cret:anybody").decode(), 401),
        ("Basic s3cret", 401),
        ("Basic \xff", 401),
        ("Bearer s3cre", 401),
        ("Bearer", 401),
        ("s3cret", 401),
        ("", 401),
    ],
)
def test_a_token_is_asked_for_everywhere_but_for_health(tmp_path, authorization, status):
    site = Site(tmp_path, access=Access(frozenset({"sinkd.test"}), "s3cret"))
    for path in ("/", "/api/v1/config", "/events?x", "/static/sinkd.css", "/nothing"):
        method = "HEAD" if "events" in path else "GET"
        answer = site.get(path, method, Authorization=authorization.encode("latin-1"))
        expected = 404 if (path, status) == ("/nothing", 200) else status
        assert answer.status_code == expected, path
        assert ("www-authenticate" in answer.headers) == (status == 401)
    assert site.get("/-/healthy").status_code == 200


def test_a_body_and_a_head_over_8_kib_are_refused(site):
    assert site.get("/", **{"Content-Length": "1"}).status_code == 413
    assert site.get("/", **{"Transfer-Encoding": "chunked"}).status_code == 413
    assert site.get("/", **{"X-Long": "a" * 9000}).status_code == 431
    assert site.get(f"/?q={'a' * 9000}").status_code == 431
    assert site.get(f"/{'a' * 9000}").status_code == 431


# --- where it listens ------------------------------------------------------------------------------


def test_an_address_is_a_host_and_a_port_or_a_socket():
    assert parse_address("127.0.0.1:8080") == Address("127.0.0.1", 8080)
    assert parse_address("[::1]:0") == Address("::1", 0)
    assert str(parse_address("unix:/run/s.sock").path) == "/run/s.sock"
    for wrong in ("8080", ":8080", "a:b", "a:99999", "unix:", "a:"):
        with pytest.raises(UsageError, match="write HOST:PORT"):
            parse_address(wrong)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "[::]", "example.com"])
def test_where_others_can_connect_a_token_or_no_auth_is_needed(host):
    with pytest.raises(UsageError, match="--auth-token-file FILE`, or say `--no-auth"):
        prepare(f"{host}:0")


def test_no_auth_serves_others_without_a_token():
    site = prepare("0.0.0.0:0", no_auth=True, allowed_hosts=["Jobs.Example"])
    site.listening.close()
    assert site.access.token is None
    assert {"jobs.example", "localhost", os.uname().nodename.lower()} <= set(site.access.hosts)


@pytest.mark.parametrize("text", ["", "two words", "a\nb", "x" * 5000])
def test_a_token_file_holds_one_token(tmp_path, text):
    (tmp_path / "token").write_text(text)
    with pytest.raises(UsageError, match="must hold one token"):
        prepare("127.0.0.1:0", token_file=tmp_path / "token")
    with pytest.raises(UsageError, match="cannot read") as refused:
        prepare("127.0.0.1:0", token_file=tmp_path / "none")
    assert Redactor().redact(str(refused.value)) == str(refused.value)


def test_a_taken_port_is_said_and_a_dead_socket_is_replaced(tmp_path):
    taken = listen(Address("127.0.0.1", 0))
    port = taken.getsockname()[1]
    with pytest.raises(UsageError, match=f"127.0.0.1:{port} cannot be used"):
        listen(Address("127.0.0.1", port))
    taken.close()
    path = tmp_path / "s.sock"
    listen(Address(path=path)).close()
    again = listen(Address(path=path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    with pytest.raises(UsageError, match="cannot be used"):
        listen(Address(path=path))
    assert address_text(again) == f"unix:{path}"
    again.close()


# --- how much a client may take --------------------------------------------------------------------


def served(scenario, ended=None):
    """Serve a small application, and run a scenario against its port."""

    async def endless():
        try:
            while True:
                yield b"x" * 65536
                await asyncio.sleep(0)
        finally:
            ended.set()

    async def app(scope, receive, send):
        is_endless = scope["path"] == "/endless"
        answer = StreamingResponse(endless()) if is_endless else PlainTextResponse("ok")
        await answer(scope, receive, send)

    async def live():
        listening = listen(Address("127.0.0.1", 0))
        async with asyncio.timeout(60), serving(app, listening):
            await scenario(listening.getsockname()[1])

    asyncio.run(live())


async def asked(port, data=GET):
    """Send bytes and return all that comes back until the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    with contextlib.suppress(ConnectionError):
        writer.write(data)
        answer = await reader.read()
    await hang_up(writer)
    return answer


async def hang_up(writer):
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


def test_half_a_request_is_cut_off_in_time_and_so_is_a_second_one(monkeypatch):
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.2)

    async def scenario(port):
        assert await asked(port, b"") == b""
        assert await asked(port, b"GET / HTTP/1.1\r\nHost: ") == b""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET)
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 OK")
        writer.write(b"GET / HT")
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        await hang_up(writer)

    served(scenario)


def test_a_head_that_does_not_end_within_8_kib_is_refused():
    async def scenario(port):
        answer = await asked(port, b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 9000)
        assert answer.startswith(b"HTTP/1.1 400")

    served(scenario)


def test_a_client_that_does_not_read_is_cut_off(monkeypatch):
    monkeypatch.setattr(server, "READ_SECONDS", 0.2)
    ended = asyncio.Event()

    async def scenario(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(GET.replace(b"/ ", b"/endless ", 1))
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        await ended.wait()
        await hang_up(writer)

    served(scenario, ended)


def test_the_129th_connection_gets_503_and_the_others_are_served(monkeypatch):
    monkeypatch.setattr(server, "CONNECTIONS", 4)
    monkeypatch.setattr(server, "REFUSED_AT_ONCE", 2)

    async def scenario(port):
        kept = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4)]
        await asyncio.gather(*(asked(port, b"") for _ in range(5)))
        refused = await asked(port)
        assert refused.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert refused.endswith(b"too many connections, try later\n")
        reader, writer = kept[0]
        writer.write(GET)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        for _, each in kept:
            await hang_up(each)
        while not (await asked(port, LAST)).startswith(b"HTTP/1.1 200"):
            pass  # the server has not yet heard of it

    served(scenario)


def test_a_daemon_that_does_not_listen_imports_no_page():
    code = (
        "import sys, sinkd.start;"
        "print([m for m in sys.modules if m.startswith(('starlette', 'uvicorn', 'sinkd.web'))])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"
