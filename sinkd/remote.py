"""Asks a running daemon by HTTP which jobs file it runs: `/api/v1/config`.

The document is the accepted file itself, whose text says all that a spec holds, references
unresolved, so that both sides of a comparison are read by the same rules:

    {"revision": "3f2c…", "commit": "8d21…" or null, "text": "version: 1 …",
     "paused": [{"job": "refresh-cache", "until": "2026-11-23T14:30:00Z",
                 "reason": "vendor maintenance", "by": "ann"}]}

Only the standard library is used here: an HTTP client costs a light command 150 ms.
"""

import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Final, NamedTuple

from pydantic import TypeAdapter

from sinkd.answers import RunningConfig
from sinkd.errors import UsageError
from sinkd.grammar import url_flaw
from sinkd.instant import parse_rfc3339
from sinkd.state import Pause
from sinkd.terminal import escape

PATH: Final = "/api/v1/config"
TIMEOUT_SECONDS: Final = 10
_LIMIT_BYTES: Final = 64 * 1024 * 1024


class Running(NamedTuple):
    """The jobs file that a daemon runs, and the jobs that people hold."""

    revision: str
    text: str
    pauses: dict[str, Pause]


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the token is for the one daemon that was named."""

    def redirect_request(self, *_: object) -> None:
        """Return no further request."""


def fetch_config(url: str, token: str | None = None) -> Running:
    """Return what the daemon at this URL runs; UsageError, with the fix, when it does not say."""
    if flaw := url_flaw(url):
        message = f"the daemon's URL cannot be used: {flaw.message}"
        raise UsageError(message)
    data = _answer(url.rstrip("/") + PATH, token)
    try:
        config = TypeAdapter(RunningConfig).validate_json(data)
        pauses = {
            each["job"]: Pause(parse_rfc3339(each["until"]), each["reason"], each["by"])
            for each in config["paused"]
        }
    except ValueError:  # pydantic's ValidationError is one
        message = f"{url} answers, but not as a sinkd daemon does: is this its address?"
        raise UsageError(message) from None
    return Running(config["revision"], config["text"], pauses)


def _answer(url: str, token: str | None) -> bytes:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 (the grammar allows only http)
    opener = urllib.request.build_opener(_NoRedirect)
    try:
        with opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
            data: bytes = answer.read(_LIMIT_BYTES)
    except urllib.error.HTTPError as error:
        error.close()
        hint = "; give its token with `--auth-token-file`" if error.code == 401 else ""  # noqa: PLR2004
        message = f"{url} answers with status {error.code}{hint}"
        raise UsageError(message) from None
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        reason = (getattr(reason, "strerror", None) or str(reason)).lower()
        message = f"{url} does not answer: {escape(reason or type(error).__name__)}"
        raise UsageError(message) from None
    return data
