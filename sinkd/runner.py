"""One run: a job's request, one deadline round all of it, and what became of it.

Nothing a server does is raised: it is an `Answer`. The transport is the seam: `direct_transport`
in the daemon, `httpx.MockTransport` in tests and simulation. No client of httpx is used, so
nothing follows redirects, keeps cookies, reads the environment or logs a URL (H2, H5).
"""

import asyncio
import hashlib
import json
import logging
import re
import ssl
import traceback
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, cast

import httpx

from sinkd import __version__, signing
from sinkd.errors import SinkdError, UsageError
from sinkd.grammar import references, target
from sinkd.instant import rfc3339
from sinkd.network import Policy
from sinkd.proxy import Proxy, absolute
from sinkd.record import ERROR_LIMIT_CHARACTERS, FailureReason, Phase, Trigger
from sinkd.redaction import HIDDEN, is_credential, printable
from sinkd.resolver import Resolver
from sinkd.secrets import MASK, Masked, MissingSecret, Secrets
from sinkd.spec import Job, JSONValue, Notify, Request
from sinkd.wire import Cause, Connection, FailedError, Origin, Progress, Wire, describe

BODY_LIMIT_BYTES: Final = 1024 * 1024
HEADER_LIMIT_CHARACTERS: Final = 256
PING_SECONDS: Final = 10
NOTICE_SECONDS: Final = 10
DEFAULT_PORTS: Final = {"http": 80, "https": 443}

_HEADER_VALUE: Final = re.compile(r"(?:[!-~](?:[\t -~]*[!-~])?)?")

_CONNECTION_HEADERS: Final = (("Accept-Encoding", "identity"), ("Connection", "close"))
_HTTPX_ERRORS: Final[tuple[tuple[type[Exception], FailureReason, Phase | None], ...]] = (
    (httpx.ConnectTimeout, "timeout", "connect"),
    (httpx.WriteTimeout, "timeout", "write"),
    (httpx.TimeoutException, "timeout", None),
    (httpx.ConnectError, "connect", "connect"),
    (httpx.WriteError, "write", "write"),
    (httpx.NetworkError, "read", None),
    (httpx.RemoteProtocolError, "protocol", None),
)

Headers: TypeAlias = list[tuple[str, str]]

# They write whole URLs and headers (F8); asyncio in its debug mode arguments of all kinds.
for _name in ("httpx", "httpcore", "h11"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)
logging.getLogger("asyncio").setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class Attempt:
    """Everything one run needs; `job` is the frozen spec it was claimed with (C7).

    `scheduled_at` is an `int` for a slot; `trace_id` is 32 hex digits.
    """

    job: Job
    run_id: str
    scheduled_at: float
    trigger: Trigger
    trace_id: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a run: the fields of its record that the request decides."""

    outcome: Literal["success", "failure"]
    reason: FailureReason | None = None
    phase: Phase | None = None
    status_code: int | None = None
    error: str | None = None
    duration_ms: int = 0
    response_bytes: int | None = None
    truncated: bool = False
    response_headers: Mapping[str, str] = field(default_factory=dict)

    def fields(self) -> dict[str, Any]:
        """Return the record's fields that apply, in its order."""
        every = {
            "outcome": self.outcome,
            "reason": self.reason,
            "phase": self.phase,
            "status_code": self.status_code,
            "error": self.error,
            "duration_ms": self.duration_ms,
            "response_bytes": self.response_bytes,
            "truncated": self.truncated or None,
            "response_headers": dict(self.response_headers) or None,
        }
        return {name: value for name, value in every.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request ready to be sent; its `repr` shows nothing, because its values are secrets."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def __repr__(self) -> str:
        """Show only that there is one."""
        return HIDDEN


@dataclass(slots=True)
class _Reading:
    """How far one exchange has come, readable when the deadline cuts it."""

    progress: Progress = field(default_factory=Progress)
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    count: int | None = None


class Runner:
    """Sends requests, each within its own deadline.

    `now` is the wall clock, read for `webhook-timestamp` alone; durations are the loop's.
    """

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
        secrets: Secrets,
        *,
        now: Callable[[], float],
        instance: str | None = None,
    ) -> None:
        self._transport = transport
        self._secrets = secrets
        self._now = now
        self._agent = f"sinkd/{__version__}" + (f" ({instance})" if instance else "")

    async def run(self, attempt: Attempt) -> Answer:
        """Send the request of a run; raises nothing but CancelledError (H6)."""
        job = attempt.job
        return await self._send(
            lambda: self._prepared(attempt, self._secrets),
            job.timeout_seconds,
            job.capture_headers,
        )

    async def ping(self, url: str) -> Answer:
        """Send a GET to `--heartbeat-url`, with a deadline of 10 s; raises nothing either."""
        headers = (("User-Agent", self._agent), *_CONNECTION_HEADERS)
        return await self._send(lambda: Prepared("GET", url, headers, b""), PING_SECONDS)

    async def tell(self, to: Notify, identity: str, body: Mapping[str, Any]) -> Answer:
        """Send a notice, signed like a run, with a deadline of 10 s; raises nothing either.

        The body is sent as it is: what looks like a reference in a record is none.
        """
        return await self._send(
            lambda: self._notice(to, identity, _encoded(dict(body))), NOTICE_SECONDS
        )

    def preview(self, attempt: Attempt) -> Prepared:
        """Return what `run` would send, secrets masked and none needed.

        Raises SinkdError when it would not be sent whatever the secrets are.
        """
        job = attempt.job
        unsigned = replace(attempt, job=replace(job, signing_secret=None))
        try:
            prepared = self._prepared(unsigned, Masked())
        except FailedError as error:
            message = f"this request would not be sent: {error}"
            raise SinkdError(message) from error
        headers = [
            (name, MASK if is_credential(name) and MASK not in value else value)
            for name, value in prepared.headers
        ]
        if job.signing_secret is not None:
            headers += signing.with_signature(attempt.run_id, int(self._now()), MASK)
        return replace(prepared, headers=tuple(headers))

    async def close(self) -> None:
        """Close the transport."""
        await self._transport.aclose()

    async def _send(
        self, prepare: Callable[[], Prepared], seconds: float, capture: Iterable[str] = ()
    ) -> Answer:
        loop = asyncio.get_running_loop()
        started = loop.time()
        reading = _Reading()
        deadline = asyncio.timeout(seconds)
        try:
            async with deadline:  # H1
                await self._exchange(prepare(), reading, capture)
            answer = _by_status(reading)
        except Exception as error:  # noqa: BLE001 - H6: no exception may lose a run
            if deadline.expired():
                phase = reading.progress.phase
                cause = Cause("timeout", phase, f"TimeoutError, not done within {seconds:g} s")
            else:
                cause = _cause(error, reading.progress.phase)
            answer = self._failure(cause, reading)
        return replace(answer, duration_ms=round((loop.time() - started) * 1000))

    async def _exchange(
        self, prepared: Prepared, reading: _Reading, capture: Iterable[str]
    ) -> None:
        request = _checked(prepared, reading.progress)
        response = await self._transport.handle_async_request(request)
        try:
            reading.progress.phase = "body"
            reading.status = response.status_code
            reading.headers = self._captured(response, capture)
            await _discard(response, reading)
        finally:
            await response.aclose()

    def _captured(self, response: httpx.Response, capture: Iterable[str]) -> Mapping[str, str]:
        found: dict[str, str] = {}
        for name in capture:
            values = [v for n, v in response.headers.raw if n.lower() == name.encode()]
            if values:
                shown = self._secrets.redactor.header(name, printable(b", ".join(values)))
                found[name] = shown[:HEADER_LIMIT_CHARACTERS]
        return found

    def _failure(self, cause: Cause, reading: _Reading) -> Answer:
        text = f"{cause.phase}: {cause.text}" if cause.phase else cause.text
        shown = self._secrets.redactor.redact(printable(text.encode(errors="replace")))
        return _answer(
            reading,
            outcome="failure",
            reason=cause.reason,
            phase=cause.phase,
            error=shown[:ERROR_LIMIT_CHARACTERS],
        )

    def _prepared(self, attempt: Attempt, secrets: Secrets) -> Prepared:
        request = attempt.job.request
        body = _encoded(secrets.resolve_body(request.body))
        if len(body) > BODY_LIMIT_BYTES:
            raise FailedError(
                Cause("policy", None, f"the body has {len(body):,} bytes, over 1 MiB")
            )
        headers = [
            *self._own_headers(request, secrets),
            *self._run_headers(attempt),
            *self._signature(attempt.job.signing_secret, attempt.run_id, body, secrets),
            *_CONNECTION_HEADERS,
        ]
        return Prepared(request.method, secrets.resolve_url(request.url), tuple(headers), body)

    def _notice(self, to: Notify, identity: str, body: bytes) -> Prepared:
        defaults = [("User-Agent", self._agent), ("Content-Type", "application/json")]
        headers = [
            *self._own_headers(to.request(), self._secrets),
            *_unset(defaults, to.headers),
            *self._signature(to.signing_secret, identity, body, self._secrets),
            *_CONNECTION_HEADERS,
        ]
        return Prepared("POST", self._secrets.resolve_url(to.url), tuple(headers), body)

    def _own_headers(self, request: Request, secrets: Secrets) -> Headers:
        headers = []
        for name, text in request.headers:
            value = secrets.resolve(text)
            if not _HEADER_VALUE.fullmatch(value):  # F8
                reason: FailureReason = "secret" if references(text) else "internal"
                raise FailedError(
                    Cause(reason, None, f"header `{name}` would not be printable ASCII")
                )
            if value != text:
                secrets.redactor.learn(value)
            headers.append((name, value))
        return headers

    def _run_headers(self, attempt: Attempt) -> Headers:
        request = attempt.job.request
        defaults = [
            ("User-Agent", self._agent),
            ("traceparent", f"00-{attempt.trace_id}-{_span_id(attempt.run_id)}-01"),
        ]
        if isinstance(request.body, list | dict):
            defaults.append(("Content-Type", "application/json"))
        return [
            *_unset(defaults, request.headers),
            ("Idempotency-Key", attempt.run_id),
            ("X-Sinkd-Run-Id", attempt.run_id),
            ("X-Sinkd-Job", attempt.job.name),
            ("X-Sinkd-Scheduled-At", rfc3339(attempt.scheduled_at)),
            ("X-Sinkd-Trigger", attempt.trigger),
        ]

    def _signature(
        self, secret: str | None, identity: str, body: bytes, secrets: Secrets
    ) -> Headers:
        if secret is None:
            return []
        try:
            return signing.headers(secrets.resolve(secret), identity, int(self._now()), body)
        except ValueError as error:
            raise FailedError(Cause("secret", None, str(error))) from None


def _unset(defaults: Headers, own: Iterable[tuple[str, str]]) -> Headers:
    """Return the defaults that the file does not set."""
    names = {name.lower() for name, _ in own}
    return [(name, value) for name, value in defaults if name.lower() not in names]


def _cause(error: Exception, phase: Phase) -> Cause:
    """Return why an exchange failed; errors of httpx come only from transports not our own."""
    match error:
        case FailedError():
            return error.cause
        case MissingSecret():
            return Cause("secret", None, str(error))
    for kind, reason, its_phase in _HTTPX_ERRORS:
        if isinstance(error, kind):
            return Cause(reason, its_phase or phase, describe(error))
    place = traceback.extract_tb(error.__traceback__)[-1]
    text = f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"
    return Cause("internal", phase, text)


def _by_status(reading: _Reading) -> Answer:
    """Return the answer of a whole exchange: the status alone decides (H2)."""
    status = reading.status or 0
    if 200 <= status < 300:  # noqa: PLR2004 - the class of RFC 9110 15.3
        return _answer(reading, outcome="success")
    return _answer(reading, outcome="failure", reason="http_status", error=f"answered {status}")


def _answer(reading: _Reading, **fields: Any) -> Answer:  # noqa: ANN401
    return Answer(
        status_code=reading.status,
        response_bytes=None if reading.count is None else min(reading.count, BODY_LIMIT_BYTES),
        truncated=(reading.count or 0) > BODY_LIMIT_BYTES,
        response_headers=reading.headers,
        **fields,
    )


async def _discard(response: httpx.Response, reading: _Reading) -> None:
    """Read the raw body and throw it away, up to 1 MiB (H3, H4)."""
    reading.count = 0
    async for chunk in cast("httpx.AsyncByteStream", response.stream):
        reading.count += len(chunk)
        if reading.count > BODY_LIMIT_BYTES:
            break


def _checked(prepared: Prepared, progress: Progress) -> httpx.Request:
    """Return the request for httpx once it is sure to go where the URL's text says."""
    try:
        url = httpx.URL(prepared.url)
        wanted = target(prepared.url)
        default_port = DEFAULT_PORTS[wanted.scheme]
    except (httpx.InvalidURL, ValueError, KeyError):
        text = "the URL with its references resolved is no URL"
        raise FailedError(Cause("policy", None, text)) from None
    host, path = wanted.host.lower().encode(), wanted.path_and_query.encode()
    meant = (url.scheme, url.raw_host.lower(), url.port or default_port, url.raw_path)
    if meant != (wanted.scheme, host, wanted.port, path):
        text = "the URL would be read as another one by httpx"
        raise FailedError(Cause("policy", None, text))
    headers = [(name.encode(), value.encode()) for name, value in prepared.headers]
    if not any(name.lower() == b"host" for name, _ in headers):
        headers.insert(0, (b"Host", url.netloc))  # httpx would refuse hosts as `xn--i-7iq.ws`
    return httpx.Request(
        prepared.method,
        url,
        headers=headers,
        content=prepared.body or None,
        extensions={"progress": progress},
    )


def _encoded(body: JSONValue) -> bytes:
    """Return the bytes of a body: a text as UTF-8, else compact JSON in file order."""
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode()


def _span_id(run_id: str) -> str:
    """Return the parent span of a run's `traceparent`: the same bytes for the same run."""
    return hashlib.sha256(run_id.encode()).hexdigest()[:16]


class _Body(httpx.AsyncByteStream):
    """The rest of an answer, as httpx wants it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._connection

    async def aclose(self) -> None:
        self._connection.close()


class Direct(httpx.AsyncBaseTransport):
    """The transport of the daemon: a connection for each request (H5)."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request and return the head of its answer; raises FailedError."""
        progress: Progress = request.extensions.get("progress") or Progress()
        url = request.url
        port = url.port or DEFAULT_PORTS[url.scheme]
        origin = Origin(url.raw_host.decode(), port, tls=url.scheme == "https")
        body = await request.aread()
        asked, headers = url.raw_path, request.headers.raw
        if self._wire.proxy and not origin.tls:
            asked = absolute(origin.host, port, asked)
            headers = [*headers, *self._wire.proxy.headers()]
        connection = await self._wire.open(origin, progress)
        try:
            head = await connection.request(request.method, asked, headers, body)
        except BaseException:
            connection.close()
            raise
        return httpx.Response(
            head.status_code, headers=head.headers.raw_items(), stream=_Body(connection)
        )


def direct_transport(
    *,
    policy: Policy | None = None,
    ca_file: Path | None = None,
    client_cert: Path | None = None,
    resolver: Resolver | None = None,
    proxy: Proxy | None = None,
) -> Direct:
    """Return the real transport; raises UsageError when a certificate file cannot be used.

    The authorities of `ca_file` are trusted besides those of the system and of certifi.
    """
    context = tls_context(ca_file, client_cert)
    return Direct(Wire(context, resolver or Resolver(), policy or Policy(), proxy))


def tls_context(ca_file: Path | None = None, client_cert: Path | None = None) -> ssl.SSLContext:
    """Return the one TLS context of the process: verified, TLS 1.2 or newer."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    for path, load in (
        (ca_file, context.load_verify_locations),
        (client_cert, context.load_cert_chain),
    ):
        if path is not None:
            _load(path, load)
    return context


def _load(path: Path, load: Callable[[Path], None]) -> None:
    try:
        load(path)
    except OSError as error:  # an SSLError is one
        message = f"`{path}` cannot be used: {describe(error)}; it must be a file in PEM format"
        raise UsageError(message) from error
