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
from typing import Annotated, Final

from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from sinkd.errors import UsageError
from sinkd.grammar import url_flaw
from sinkd.terminal import escape

PATH: Final = "/api/v1/config"
TIMEOUT_SECONDS: Final = 10
_LIMIT_BYTES: Final = 64 * 1024 * 1024


class Paused(TypedDict):
    """A job that is held (T10)."""

    job: str
    until: AwareDatetime
    reason: str
    by: str


class RunningConfig(TypedDict):
    """The jobs file that a daemon runs, and who holds which job."""

    revision: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    commit: str | None
    text: str
    paused: list[Paused]


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the token is for the one daemon that was named."""

    def redirect_request(self, *_: object) -> None:
        """Return no further request."""


def fetch_config(url: str, token: str | None = None) -> RunningConfig:
    """Return what the daemon at this URL runs; UsageError, with the fix, when it does not say."""
    if flaw := url_flaw(url):
        message = f"the daemon's URL cannot be used: {flaw.message}"
        raise UsageError(message)
    data = _answer(url.rstrip("/") + PATH, token)
    try:
        return TypeAdapter(RunningConfig).validate_json(data)
    except ValidationError:
        message = f"{url} answers, but not as a sinkd daemon does: is this its address?"
        raise UsageError(message) from None


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
        message = f"{url} does not answer: {escape(reason or type(error).__name__)}"
        raise UsageError(message) from None
    return data
