"""`sinkd run`: the daemon."""

import logging
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO, cast

import structlog
from structlog.typing import EventDict

from sinkd.errors import UsageError
from sinkd.grammar import url_flaw
from sinkd.network import Policy
from sinkd.printer import PrinterStream
from sinkd.proxy import parse
from sinkd.redaction import RedactedStream, Redactor
from sinkd.retention import Keep
from sinkd.start import Options, run_and_exit
from sinkd.terminal import LossyStream

if TYPE_CHECKING:
    from sinkd.settings import Settings

_FOREIGN: Final = frozenset({"error", "exception", "message"})  # may quote what is not our own
_UNITS: Final = ("", "KiB", "MiB", "GiB", "TiB")


def run_command(
    settings: "Settings",
    *,
    network: str,
    allow_host: tuple[str, ...],
    allow_cidr: tuple[str, ...],
    proxy: str | None,
    log_format: str,
    secrets_dir: tuple[Path, ...],
    keep_days: int,
    keep_bytes: str,
    heartbeat_url: str | None,
    **options: Any,  # noqa: ANN401
) -> int:
    """Run until a signal; the process ends here with its exit code."""
    policy = _policy(network, allow_host, allow_cidr)
    if proxy and policy.public_only:
        message = (
            "--proxy and `--network public` exclude each other: the addresses that requests go to"
            " are then the proxy's choice; let the proxy refuse private ones"
        )
        raise UsageError(message)
    if heartbeat_url and (flaw := url_flaw(heartbeat_url)):
        message = f"--heartbeat-url: {flaw.message}: {flaw.label}"
        raise UsageError(message)
    redactor = configure_log(log_format, colors=settings.use_color(sys.stderr), to=PrinterStream)
    run_and_exit(
        Options(
            config=settings.config,
            data_dir=settings.data_dir,
            policy=policy,
            proxy=parse(proxy) if proxy else None,
            secrets_dirs=secrets_dir,
            keep=Keep(keep_days, None if keep_bytes == "off" else parse_bytes(keep_bytes)),
            heartbeat_url=heartbeat_url,
            **options,
        ),
        redactor,
    )
    return 0


def configure_log(
    log_format: str,
    *,
    colors: bool,
    level: int = logging.INFO,
    to: Callable[[TextIO], object] = LossyStream,
) -> Redactor:
    """Send the diagnostic log to stderr, for people or as JSON; libraries stay silent.

    What the returned redactor knows is shown neither there nor in a traceback. Fields that sinkd
    makes stay as they are: a secret may read like one. `to` wraps the stream that is stderr.
    """
    redactor = Redactor()
    stderr = cast("TextIO", to(getattr(sys.stderr, "stream", sys.stderr)))

    def redact(_logger: object, _method: str, event: EventDict) -> EventDict:
        event.update({key: redactor.redact(str(event[key])) for key in event.keys() & _FOREIGN})
        return event

    renderer: Any = structlog.processors.JSONRenderer()
    if log_format == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=colors, pad_event_to=0)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redact,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(stderr),
    )
    sys.stderr = cast("TextIO", RedactedStream(stderr, redactor))
    return redactor


def parse_bytes(text: str) -> int:
    """Return the bytes of a size such as `5GiB` or `1048576`; UsageError otherwise."""
    if found := re.fullmatch(r"([0-9]{1,15})([KMGT]iB)?", text):
        return int(found[1]) << 10 * _UNITS.index(found[2] or "")
    message = f"--keep-bytes {text}: write a whole number and a unit, as in `5GiB`, or `off`"
    raise UsageError(message)


def _policy(network: str, hosts: tuple[str, ...], networks: tuple[str, ...]) -> Policy:
    from ipaddress import ip_network

    try:
        allowed = tuple(ip_network(text) for text in networks)
    except ValueError as error:
        message = f"--allow-cidr: {error}; write a network such as 10.1.0.0/16"
        raise UsageError(message) from error
    return Policy(network == "public", frozenset(host.lower() for host in hosts), allowed)
