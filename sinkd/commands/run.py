"""`sinkd run`: the daemon."""

import logging
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import structlog

from sinkd.errors import UsageError
from sinkd.network import Policy
from sinkd.retention import Keep
from sinkd.start import Options, run_and_exit

if TYPE_CHECKING:
    from sinkd.settings import Settings

_UNITS: Final = ("", "KiB", "MiB", "GiB", "TiB")


def run_command(
    settings: "Settings",
    *,
    network: str,
    allow_host: tuple[str, ...],
    allow_cidr: tuple[str, ...],
    log_format: str,
    secrets_dir: tuple[Path, ...],
    keep_days: int,
    keep_bytes: str,
    **options: Any,  # noqa: ANN401
) -> int:
    """Run until a signal; the process ends here with its exit code."""
    configure_log(log_format, colors=settings.use_color(sys.stderr))
    run_and_exit(
        Options(
            config=settings.config,
            data_dir=settings.data_dir,
            policy=_policy(network, allow_host, allow_cidr),
            secrets_dirs=secrets_dir,
            keep=Keep(keep_days, None if keep_bytes == "off" else parse_bytes(keep_bytes)),
            **options,
        )
    )
    return 0


def configure_log(log_format: str, *, colors: bool, level: int = logging.INFO) -> None:
    """Send the diagnostic log to stderr, for people or as JSON; libraries stay silent."""
    renderer: Any = structlog.processors.JSONRenderer()
    if log_format == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=colors, pad_event_to=0)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


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
