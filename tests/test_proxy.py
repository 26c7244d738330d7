"""Requests by way of a proxy: passed on, tunnelled, refused; its faults have their phase."""

import asyncio
import base64

import pytest
from faults.client import context
from faults.misbehaviours import certified
from faults.proxies import Proxy
from faults.servers import Server, refused

from sinkd import proxy
from sinkd.errors import UsageError
from sinkd.network import Policy
from sinkd.redaction import HIDDEN
from sinkd.resolver import Resolver
from sinkd.runner import Attempt, Direct, Runner
from sinkd.secrets import Secrets
from sinkd.spec import Interval, Job, Request
from sinkd.wire import Wire

PASSWORD = "pr0xy p@ss"
BASIC = f"Basic {base64.b64encode(f'sinkd:{PASSWORD}'.encode()).decode()}"
FLOOD = b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 4000


def answers(connection):
    connection.ask()
    connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


def answer_of(url, through, *, seconds=20, policy=None, method="GET", body=None):
    """Return the answer to a job sent by way of a proxy; a name that is looked up here fails."""

    def unknown(host):
        raise OSError(host)

    wire = Wire(context(), Resolver(unknown), policy or Policy(), proxy.parse(through))
    job = Job("j", Interval(5), Request(url, method, body=body), seconds, 60)
    runner = Runner(Direct(wire), Secrets({}, []), now=lambda: 0.0)
    return asyncio.run(runner.run(Attempt(job, "r", 0, "schedule", "0" * 32)))


def failed(answer):
    return answer.reason, answer.phase, answer.error


# --- what is sent -------------------------------------------------------------------------------


def test_a_request_of_http_is_sent_whole_to_the_proxy_which_looks_up_the_name():
    with Server(answers) as server, Proxy(server.port) as through:
        answer = answer_of("http://agents.example/v1?a=b", through.url, method="POST", body="text")
    assert (answer.outcome, answer.status_code, answer.response_bytes) == ("success", 200, 2)
    (head,) = through.heads
    assert head.startswith("POST http://agents.example/v1?a=b HTTP/1.1\r\nHost: agents.example\r\n")
    assert "Proxy-Authorization" not in head


def test_a_request_of_https_goes_through_a_tunnel_and_the_servers_name_is_checked():
    with (
        Server(answers, context=certified("agents.example")) as server,
        Proxy(server.port) as through,
    ):
        assert answer_of("https://agents.example/v1", through.url).outcome == "success"
        other = answer_of("https://other.example:8443/", through.url)
    assert (other.reason, other.phase) == ("tls", "tls")
    first, second = through.heads
    assert first == "CONNECT agents.example:443 HTTP/1.1\r\nHost: agents.example:443\r\n\r\n"
    assert second.startswith("CONNECT other.example:8443 HTTP/1.1\r\n")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_proxy_alone_is_given_the_credentials_for_it(scheme):
    heads = []

    def note(connection):
        heads.append(connection.sock.recv(65_536))
        connection.say(b"HTTP/1.1 204 No Content\r\n\r\n")

    secure = certified("agents.example") if scheme == "https" else None
    with (
        Server(note, context=secure) as server,
        Proxy(server.port, authorization=BASIC) as through,
    ):
        url = through.url.replace("//", "//sinkd:pr0xy%20p%40ss@")
        answer = answer_of(f"{scheme}://agents.example/v1", url)
    assert answer.outcome == "success"
    assert b"roxy" not in heads[0]


@pytest.mark.parametrize(
    ("host", "port", "target"),
    [
        ("h", 80, b"http://h/a?b"),
        ("h", 8080, b"http://h:8080/a?b"),
        ("2001:db8::1", 80, b"http://[2001:db8::1]/a?b"),
    ],
)
def test_the_target_of_a_request_passed_on_is_the_whole_url(host, port, target):
    assert proxy.absolute(host, port, b"/a?b") == target


# --- what goes wrong ----------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_nobody_runs_is_a_failure_to_connect_that_names_it(scheme):
    with refused() as port:
        answer = answer_of(f"{scheme}://agents.example/", f"http://127.0.0.1:{port}")
    error = "connect: the proxy: ConnectionRefusedError, ECONNREFUSED"
    assert failed(answer) == ("connect", "connect", error)


def test_a_proxy_whose_name_nobody_knows_is_a_failure_of_dns_that_names_it():
    answer = answer_of("https://agents.example/", "http://proxy.example:3128")
    assert failed(answer) == ("dns", "dns", "dns: the proxy: OSError")


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b"HTTP/1.1 502 \x1b[2J\r\n\r\n", "answered 502 to CONNECT"),
        (b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\n\r\n", "answered 407 to CONNECT"),
        (b"HTTP/1.1 100 On\r\n\r\nHTTP/1.1 403 No\r\n\r\n", "answered 403 to CONNECT"),
        (b"", "did not answer CONNECT"),
        (b"HTTP/1.1 200 OK\r\n", "did not answer CONNECT"),
        (b"HTTP/1.1 101 Up\r\nUpgrade: x\r\n\r\nx", "its answer to CONNECT is no HTTP"),
        (b"SSH-2.0-x\r\n\r\n", "its answer to CONNECT is no HTTP"),
        (FLOOD, "answers CONNECT without end"),
        (b"HTTP/1.1 200 OK\r\n\r\nhello", "said more than its answer to CONNECT"),
    ],
)
def test_a_proxy_that_does_not_connect_is_a_failure_to_connect_that_says_why(said, error):
    with Proxy(answer=said) as through:
        answer = answer_of("https://agents.example/", through.url)
    assert failed(answer) == ("connect", "connect", f"connect: the proxy: {error}")
    assert answer.status_code is None


def test_a_proxy_that_resets_is_a_failure_to_connect():
    def reset(connection):
        connection.peek()
        connection.reset()

    with Server(reset) as through:
        answer = answer_of("https://agents.example/", f"http://127.0.0.1:{through.port}")
    error = "connect: the proxy: ConnectionResetError, ECONNRESET"
    assert failed(answer) == ("connect", "connect", error)


def test_a_proxy_that_says_nothing_is_left_at_the_deadline():
    with Server(lambda connection: connection.wait()) as through:
        url = f"http://127.0.0.1:{through.port}"
        answer = answer_of("https://agents.example/", url, seconds=0.3)
        assert through.settle()[-1] == "left"
    assert failed(answer)[:2] == ("timeout", "connect")


def test_what_a_proxy_answers_to_a_request_passed_on_counts_as_the_answer():
    with Proxy(answer=b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n") as through:
        answer = answer_of("http://agents.example/", through.url)
    assert (answer.reason, answer.status_code) == ("http_status", 502)


# --- what may not be asked for --------------------------------------------------------------------


@pytest.mark.parametrize("host", ["169.254.169.254", "[fd00:ec2::254]", "[::ffff:100.100.100.200]"])
def test_a_proxy_is_not_asked_for_metadata_by_its_address(host):
    with Proxy(answer=b"") as through:
        answer = answer_of(f"http://{host}/latest", through.url)
    assert failed(answer)[:2] == ("policy", "connect")
    assert through.heads == []


def test_the_address_of_the_proxy_itself_is_checked():
    answer = answer_of("http://agents.example/", "http://169.254.1.1:3128")
    assert failed(answer)[0] == "policy"
    assert "the proxy: 169.254.1.1 is link-local" in answer.error


# --- the option -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "host", "port", "credentials"),
    [
        ("http://proxy:3128", "proxy", 3128, None),
        ("http://proxy/", "proxy", 80, None),
        ("http://[::1]:3128", "::1", 3128, None),
        ("http://u:p%40s%20s@proxy:3128", "proxy", 3128, "u:p@s s"),
        ("http://u@proxy:3128", "proxy", 3128, "u:"),
    ],
)
def test_a_proxy_is_named_by_a_url(url, host, port, credentials):
    found = proxy.parse(url)
    assert (found.host, found.port, found.credentials) == (host, port, credentials)
    assert repr(found) == HIDDEN


@pytest.mark.parametrize(
    "url",
    ["", "proxy:3128", "https://proxy:3128", "socks5://proxy", "http://", "http://u:s3cret@",
     "http://proxy:0", "http://proxy/path", "http://proxy?s3cret", "http://u:s3cret@a b",
     "http://pröxy"],
)  # fmt: skip
def test_what_is_no_proxy_is_refused_without_a_word_of_it(url):
    with pytest.raises(UsageError, match="write `http://HOST:PORT`") as refused:
        proxy.parse(url)
    assert "s3cret" not in str(refused.value)


def test_what_is_secret_about_a_proxy_is_its_credentials_and_its_password():
    assert list(proxy.parse("http://u:pass@h").secrets()) == ["u:pass", "pass"]
    assert list(proxy.parse("http://h").secrets()) == []
