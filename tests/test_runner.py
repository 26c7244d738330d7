"""One run: what is sent, what becomes of it, and that nothing it does or says leaks."""

import asyncio
import base64
import dataclasses
import json
import logging
import time

import httpx
import pytest
from inline_snapshot import snapshot
from pytest_httpx import IteratorStream
from standardwebhooks.webhooks import Webhook

from sinkd import __version__
from sinkd.errors import SinkdError, UsageError
from sinkd.record import ERROR_LIMIT_CHARACTERS
from sinkd.runner import BODY_LIMIT_BYTES, Attempt, Runner, direct_transport
from sinkd.secrets import Secrets
from sinkd.spec import Interval, Job, Request
from sinkd.wire import Cause, FailedError

KEY = "whsec_" + base64.b64encode(bytes(range(32))).decode()
CANARY = "c4n4ry/+é\"'\\value"
RUN_ID = "trading-bot@2026-11-23T09:00Z"


def job(**fields):
    request = {
        key: fields.pop(key) for key in ("url", "method", "headers", "body") if key in fields
    }
    request = Request(**{"url": "https://agents.example/run?a=1", **request})
    return Job("trading-bot", Interval(5), request, 60, 60, **fields)


def attempt(a_job, **changes):
    return dataclasses.replace(
        Attempt(a_job, RUN_ID, 1_795_424_400, "schedule", "4bf92f3577b34da6a3ce929d0e0e4736"),
        **changes,
    )


class Server:
    """A transport that keeps what it was sent and answers, or raises, as told."""

    def __init__(self, *, answer=None, error=None):
        self.requests = []
        self.answer = answer or httpx.Response(200)
        self.error = error
        self.transport = httpx.MockTransport(self.respond)

    def respond(self, request):
        self.requests.append(request)
        if self.error is not None:
            raise self.error
        return self.answer

    def run(self, an_attempt, *, env=None, instance=None):
        self.secrets = Secrets(env or {}, [])
        runner = Runner(self.transport, self.secrets, now=time.time, instance=instance)
        return asyncio.run(runner.run(an_attempt))


def sent(a_job, *, env=None, instance=None, **changes):
    """Return the request of a job's run."""
    server = Server()
    answer = server.run(attempt(a_job, **changes), env=env, instance=instance)
    assert answer.outcome == "success", answer
    return server.requests[0]


def refused(a_job, **options):
    """Return reason and error of a run whose request was never sent."""
    server = Server()
    answer = server.run(attempt(a_job), **options)
    assert (answer.outcome, answer.status_code) == ("failure", None)
    assert server.requests == []
    return answer.reason, answer.error


# What is sent.


def test_every_header_of_the_contract_is_sent_and_no_other():
    assert [
        (name.decode(), value.decode().replace(__version__, "VERSION"))
        for name, value in sent(job(body={"mode": "research"})).headers.raw
    ] == snapshot(
        [
            ("Host", "agents.example"),
            ("User-Agent", "sinkd/VERSION"),
            ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-dcbf6f9ad1225c2a-01"),
            ("Content-Type", "application/json"),
            ("Idempotency-Key", "trading-bot@2026-11-23T09:00Z"),
            ("X-Sinkd-Run-Id", "trading-bot@2026-11-23T09:00Z"),
            ("X-Sinkd-Job", "trading-bot"),
            ("X-Sinkd-Scheduled-At", "2026-11-23T09:00:00Z"),
            ("X-Sinkd-Trigger", "schedule"),
            ("Accept-Encoding", "identity"),
            ("Connection", "close"),
            ("Content-Length", "19"),
        ]
    )


def test_the_instance_stands_in_the_user_agent():
    assert sent(job(), instance="eu-1").headers["user-agent"] == f"sinkd/{__version__} (eu-1)"


def test_a_manual_run_says_when_it_was_asked_for_to_the_millisecond():
    headers = sent(job(), trigger="manual", scheduled_at=1_795_424_412.3456).headers
    assert headers["x-sinkd-scheduled-at"] == "2026-11-23T09:00:12.345Z"
    assert headers["x-sinkd-trigger"] == "manual"


@pytest.mark.parametrize("name", ["user-agent", "TraceParent", "content-type"])
def test_a_header_of_the_job_replaces_the_default_whatever_its_case(name):
    headers = sent(job(headers=((name, "own"),), body=[])).headers
    assert headers.get_list(name) == ["own"]
    assert name.encode() in [raw for raw, _ in headers.raw]


def test_the_host_header_of_a_job_is_sent_instead():
    request = sent(job(headers=(("Host", "other"),)))
    assert request.headers.get_list("host") == ["other"]
    assert request.url.host == "agents.example"


def test_the_same_run_sends_the_same_span_and_another_one_another():
    spans = {
        sent(job(), run_id=run_id).headers["traceparent"].split("-")[2]
        for run_id in ("a@1", "a@2", "a@1")
    }
    assert len(spans) == 2
    assert all(len(span) == 16 and int(span, 16) for span in spans)


@pytest.mark.parametrize(
    ("body", "data", "content_type"),
    [
        (None, b"", None),
        ("text é", "text é".encode(), None),
        ({"b": 1, "a": [True, None, 1.5, "é"]}, '{"b":1,"a":[true,null,1.5,"é"]}'.encode(), "json"),
        ([], b"[]", "json"),
        ({"deep": ["${env:T}"]}, b'{"deep":["a\\"b\\n"]}', "json"),
    ],
)
def test_a_body_is_sent_as_these_bytes(body, data, content_type):
    request = sent(job(body=body), env={"T": 'a"b\n'})
    assert request.content == data
    assert request.headers.get("content-type") == (content_type and f"application/{content_type}")


def test_a_get_has_neither_body_nor_length():
    assert "content-length" not in sent(job(method="GET")).headers


def test_references_are_resolved_in_url_header_and_body():
    request = sent(
        job(
            url="https://agents.example/${env:T}/x?k=${env:T}",
            headers=(("Authorization", "Bearer ${env:T}"),),
            body="${env:T}",
        ),
        env={"T": "a/b c"},
    )
    assert request.url.raw_path == b"/a%2Fb%20c/x?k=a%2Fb%20c"
    assert request.headers["authorization"] == "Bearer a/b c"
    assert request.content == b"a/b c"


def test_a_signed_request_verifies_over_the_bytes_that_were_sent():
    request = sent(job(body={"é": 1}, signing_secret="${env:K} ${env:K}"), env={"K": KEY})
    assert Webhook(KEY).verify(request.content, dict(request.headers)) == {"é": 1}


# What is not sent.


def test_a_missing_secret_is_a_failure_that_names_the_reference():
    for fields in (
        {"url": "https://h/${env:NONE}"},
        {"headers": (("X", "${env:NONE}"),)},
        {"body": ["${env:NONE}"]},
        {"signing_secret": "${env:NONE}"},
    ):
        assert refused(job(**fields)) == (
            "secret",
            "`${env:NONE}` is not set in the daemon's environment",
        )


@pytest.mark.parametrize("value", ["v\n", "a\r\nX-Evil: 1", "a\0b", " v", "v ", "tëst", "\x7f"])
def test_a_secret_that_is_no_header_value_is_a_failure_and_does_not_leak(value):
    reason, error = refused(job(headers=(("Authorization", "${env:T}"),)), env={"T": value})
    assert reason == "secret"
    assert error == "header `Authorization` would not be printable ASCII"


def test_a_blank_before_a_reference_keeps_a_value_legal():
    assert sent(job(headers=(("X", "a ${env:T}"),)), env={"T": " b"}).headers["x"] == "a  b"


@pytest.mark.parametrize("secret", ["hunter2hunter2", "whsec_aHVudGVyMg=="])
def test_a_signing_key_that_is_none_is_a_failure_and_does_not_leak(secret):
    reason, error = refused(job(signing_secret="${env:K}"), env={"K": secret})
    assert (reason, secret in error) == ("secret", False)
    assert "24 to 64 bytes" in error


def test_a_body_over_1_mib_once_resolved_is_not_sent():
    assert sent(job(body="${env:T}"), env={"T": "x" * BODY_LIMIT_BYTES}).content
    reason, error = refused(job(body="${env:T}"), env={"T": "x" * (BODY_LIMIT_BYTES + 1)})
    assert (reason, error) == ("policy", "the body has 1,048,577 bytes, over 1 MiB")


@pytest.mark.parametrize(
    "url", ["http://[2001:DB8::1]", "https://API.example:443?a", "http://h.:81/a//b%2f?", "http://h/;'",
     "http://xn--i-7iq.ws/", "https://xn--/"]
)  # fmt: skip
def test_no_legal_spelling_of_a_url_is_mistaken_for_another(url):
    assert sent(job(url=url)).url == url


@pytest.mark.parametrize("value", ["..", "."])
def test_a_secret_that_would_lead_the_url_elsewhere_is_policy(value):
    reason, error = refused(job(url="https://h/a/${env:T}/b"), env={"T": value})
    assert (reason, error) == ("policy", "the URL would be read as another one by httpx")


@pytest.mark.parametrize(
    "url", ["https://user:pass@h/", "https://h\\@evil/", "ftp://h/", "h", "", "https://h/#f", "https://h/\n"]
)  # fmt: skip
def test_a_url_that_nobody_checked_is_policy(url):
    assert refused(job(url=url))[0] == "policy"


# What became of it.


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_a_status_2xx_is_a_success(status):
    answer = Server(answer=httpx.Response(status)).run(attempt(job()))
    assert answer.fields() == {
        "outcome": "success",
        "status_code": status,
        "duration_ms": answer.duration_ms,
        "response_bytes": 0,
    }


@pytest.mark.parametrize("status", [300, 301, 302, 304, 307, 400, 404, 429, 500, 599])
def test_any_other_status_is_a_failure_and_no_redirect_is_followed(status):
    server = Server(answer=httpx.Response(status, headers={"Location": "https://evil/"}))
    answer = server.run(attempt(job()))
    assert answer.fields() == {
        "outcome": "failure",
        "reason": "http_status",
        "status_code": status,
        "error": f"answered {status}",
        "duration_ms": answer.duration_ms,
        "response_bytes": 0,
    }
    assert len(server.requests) == 1


def test_what_is_compressed_is_never_decoded(httpx_mock):
    httpx_mock.add_response(
        headers={"Content-Encoding": "gzip"}, stream=IteratorStream([b"ab", b"c"])
    )
    runner = Runner(httpx.AsyncHTTPTransport(), Secrets({}, []), now=time.time)
    answer = asyncio.run(runner.run(attempt(job())))
    assert (answer.outcome, answer.response_bytes) == ("success", 3)


def test_a_cookie_is_never_sent_back():
    server = Server(answer=httpx.Response(200, headers={"Set-Cookie": "a=b"}))
    runner = Runner(server.transport, Secrets({}, []), now=time.time)

    async def twice():
        await runner.run(attempt(job()))
        await runner.run(attempt(job()))

    asyncio.run(twice())
    assert [("cookie" in request.headers) for request in server.requests] == [False, False]


@pytest.mark.parametrize(
    ("error", "reason", "phase"),
    [
        (httpx.ConnectError(""), "connect", "connect"),
        (httpx.ConnectTimeout(""), "timeout", "connect"),
        (httpx.ReadError(""), "read", "headers"),
        (httpx.ReadTimeout(""), "timeout", "headers"),
        (httpx.WriteError(""), "write", "write"),
        (httpx.WriteTimeout(""), "timeout", "write"),
        (httpx.RemoteProtocolError("s3cr3t"), "protocol", "headers"),
        (httpx.LocalProtocolError("s3cr3t"), "internal", "headers"),
        (UnicodeEncodeError("ascii", "s3cr3t", 0, 1, "s3cr3t"), "internal", "headers"),
        (ExceptionGroup("s3cr3t", [ValueError("s3cr3t")]), "internal", "headers"),
        (TimeoutError("s3cr3t"), "internal", "headers"),
        (KeyError("s3cr3t"), "internal", "headers"),
    ],
)
def test_no_exception_escapes_and_none_is_quoted(error, reason, phase):
    answer = Server(error=error).run(attempt(job()))
    assert (answer.outcome, answer.reason, answer.phase) == ("failure", reason, phase)
    assert type(error).__name__ in answer.error
    assert "s3cr3t" not in answer.error


def test_an_internal_error_names_its_place():
    answer = Server(error=ZeroDivisionError()).run(attempt(job()))
    assert answer.error.startswith("headers: ZeroDivisionError at test_runner.py:")


def test_cancelling_is_no_answer():
    async def hang(_):
        await asyncio.Event().wait()

    async def main():
        runner = Runner(httpx.MockTransport(hang), Secrets({}, []), now=time.time)
        run = asyncio.create_task(runner.run(attempt(job())))
        await asyncio.sleep(0)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run

    asyncio.run(main())


class Jumping(asyncio.SelectorEventLoop):
    """A loop whose time jumps to the next timer when nothing is ready."""

    def __init__(self):
        super().__init__()
        self._now = 0.0

    def time(self):
        return self._now

    def _run_once(self):
        if not self._ready and self._scheduled:
            self._now = max(self._now, self._scheduled[0].when())
        super()._run_once()


def on_virtual_time(coroutine):
    with asyncio.Runner(loop_factory=Jumping) as runner:
        return runner.run(coroutine)


def test_the_deadline_ends_a_server_that_never_answers_on_virtual_time():
    async def hang(_):
        await asyncio.Event().wait()

    runner = Runner(httpx.MockTransport(hang), Secrets({}, []), now=time.time)
    answer = on_virtual_time(runner.run(attempt(job())))
    assert answer.fields() == {
        "outcome": "failure",
        "reason": "timeout",
        "phase": "headers",
        "error": "headers: TimeoutError, not done within 60 s",
        "duration_ms": 60_000,
    }


class Drip(httpx.AsyncByteStream):
    """A body of which a byte comes each ten seconds."""

    closed = False

    async def __aiter__(self):
        while True:
            yield b"x"
            await asyncio.sleep(10)

    async def aclose(self):
        self.closed = True


def test_a_body_that_drips_ends_at_the_deadline_with_status_and_headers_kept():
    body = Drip()
    server = Server(answer=httpx.Response(200, headers={"X-Session-Id": "s-1"}, stream=body))
    runner = Runner(server.transport, Secrets({}, []), now=time.time)
    answer = on_virtual_time(runner.run(attempt(job(capture_headers=("x-session-id",)))))
    assert answer.fields() == {
        "outcome": "failure",
        "reason": "timeout",
        "phase": "body",
        "status_code": 200,
        "error": "body: TimeoutError, not done within 60 s",
        "duration_ms": 60_000,
        "response_bytes": 6,
        "response_headers": {"x-session-id": "s-1"},
    }
    assert body.closed


# Captured headers.


def captured(names, *headers, env=None):
    answer = Server(answer=httpx.Response(200, headers=list(headers))).run(
        attempt(job(capture_headers=names, headers=(("X", "${env:T}"),))), env=env or {"T": "t0ken99"}
    )  # fmt: skip
    return answer.response_headers


def test_captured_headers_are_those_asked_for_joined_when_repeated():
    assert captured(
        ("x-session-id", "x-none", "via"),
        (b"X-Session-Id", b"s-1"),
        (b"Via", b"a"),
        (b"X-Other", b"o"),
        (b"vIA", b"b"),
    ) == {"x-session-id": "s-1", "via": "a, b"}


def test_captured_headers_are_printable_redacted_and_cut():
    assert captured(("a",), (b"a", b"x\x1b[2J\xff\xc3\xa9")) == {"a": r"x\x1b[2J\xff\xc3\xa9"}
    assert captured(("a",), (b"a", b"got t0ken99!")) == {"a": "got [redacted]!"}
    assert captured(("a",), (b"a", b"x" * 250 + b"t0ken99")) == {"a": "x" * 250 + "[redac"}
    assert captured(("set-cookie",), (b"Set-Cookie", b"sid=1")) == {"set-cookie": "[redacted]"}
    assert captured(("a",), (b"a", b"")) == {"a": ""}


# Nothing leaks.


@pytest.mark.parametrize("status", [200, 500, None])
def test_a_secret_shows_in_no_field_though_the_server_echoes_it(status, caplog):
    caplog.set_level(logging.DEBUG)
    names = ("a", "b", "c", "d", "e")
    forms = (
        CANARY.encode(),
        base64.b64encode(CANARY.encode()),
        b"https://h/?q=" + CANARY.encode(),
        repr(CANARY.encode()).encode(),
        json.dumps(CANARY).encode(),
    )
    answer = Server(
        answer=httpx.Response(status or 200, headers=list(zip(names, forms, strict=True))),
        error=None if status else ValueError(CANARY),
    ).run(
        attempt(job(url="https://h/?k=${env:T}", body="${env:T}", capture_headers=names)),
        env={"T": CANARY},
    )
    shown = repr(answer) + repr(answer.fields()) + caplog.text
    assert "c4n4ry" not in shown
    assert base64.b64encode(CANARY.encode()).decode()[:12] not in shown


def test_an_error_is_one_line_of_printable_ascii_and_at_most_300_characters():
    text = "é\n\x1b[2J" + "x" * 999
    answer = Server(error=FailedError(Cause("protocol", "headers", text))).run(attempt(job()))
    assert answer.error.startswith(r"headers: \xc3\xa9\x0a\x1b[2Jxxx")
    assert len(answer.error) == ERROR_LIMIT_CHARACTERS


def test_the_loggers_of_the_libraries_are_silent():
    for name in ("httpx", "httpcore", "h11"):
        assert not logging.getLogger(name).isEnabledFor(logging.ERROR)


# Preview, ping, transport.


def test_a_preview_masks_every_secret_and_needs_none():
    runner = Runner(Server().transport, Secrets({}, []), now=lambda: 0.0)
    prepared = runner.preview(
        attempt(
            job(
                url="https://h/${env:T}?k=${env:T}",
                headers=(("Authorization", "Bearer ${env:T}"), ("X-Api-Key", "literal")),
                body={"a": "${file:f}"},
                signing_secret="${env:K}",
            )
        )
    )
    assert (prepared.method, prepared.url, prepared.body) == (
        "POST",
        "https://h/***?k=***",
        b'{"a":"***"}',
    )
    headers = dict(prepared.headers)
    assert headers["Authorization"] == "Bearer ***"
    assert headers["X-Api-Key"] == headers["webhook-signature"] == "***"
    assert headers["webhook-timestamp"] == "0"
    assert headers["X-Sinkd-Run-Id"] == RUN_ID
    assert repr(prepared) == "<secret ref>"


def test_a_preview_of_what_would_never_be_sent_says_why():
    runner = Runner(Server().transport, Secrets({}, []), now=lambda: 0.0)
    with pytest.raises(SinkdError, match="would not be sent: the body has 1,048,577 bytes"):
        runner.preview(attempt(job(body="x" * (BODY_LIMIT_BYTES + 1))))


def test_a_ping_is_a_get_that_never_raises():
    server = Server()
    runner = Runner(server.transport, Secrets({}, []), now=time.time)
    assert asyncio.run(runner.ping("https://hc.example/uuid")).outcome == "success"
    assert server.requests[0].method == "GET"
    assert str(server.requests[0].url) == "https://hc.example/uuid"
    assert asyncio.run(runner.ping("no url")).reason == "policy"


def test_a_ping_has_a_deadline_of_10_seconds():
    async def hang(_):
        await asyncio.Event().wait()

    runner = Runner(httpx.MockTransport(hang), Secrets({}, []), now=time.time)
    assert on_virtual_time(runner.ping("https://hc.example/")).duration_ms == 10_000


def test_an_unusable_certificate_file_is_a_usage_error_that_names_it(tmp_path):
    (tmp_path / "ca.pem").write_text("no certificate")
    for option in ("ca_file", "client_cert"):
        for path in (tmp_path / "ca.pem", tmp_path / "none.pem"):
            with pytest.raises(UsageError, match=f"`{path}` cannot be used"):
                direct_transport(**{option: path})
