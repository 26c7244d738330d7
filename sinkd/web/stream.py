"""The event stream: says which jobs changed, so that a page can ask for their rows.

A client is one number, the `seq` up to which it knows. So changes of a second come together, a
client that comes back (`Last-Event-ID`) hears what it missed, and a slow one costs no memory.
"""

from collections.abc import AsyncIterator
from typing import Final

from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from sinkd.web.feed import Feed

STREAMS: Final = 64
_BEAT_SECONDS: Final = 15.0  # a comment, so that both sides notice a dead connection
_NAMED: Final = 100  # more changed jobs than this are not named
_RETRY_MS: Final = 3000


class Stream:
    """Event streams of one feed, at most 64 at a time."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._open = 0

    async def events(self, request: Request) -> Response:
        """Answer with a stream of changes after `Last-Event-ID`, or from now on."""
        headers = {"X-Accel-Buffering": "no"}
        if request.method == "HEAD":
            return Response(media_type="text/event-stream", headers=headers)
        if self._open >= STREAMS:
            told = "too many event streams, try later\n"
            return PlainTextResponse(told, 503, {"Retry-After": "5"})
        last = request.headers.get("last-event-id", request.query_params.get("since", ""))
        known = last.isascii() and last.isdigit() and len(last) <= 16  # noqa: PLR2004 (2^53)
        seq = int(last) if known else self._feed.overview.newest
        return StreamingResponse(
            self._changes(seq), media_type="text/event-stream", headers=headers
        )

    async def _changes(self, seq: int) -> AsyncIterator[bytes]:
        self._open += 1
        try:
            yield b"retry: %d\n\n" % _RETRY_MS
            while not self._feed.is_closed:
                if not await self._feed.changed(seq, _BEAT_SECONDS):
                    yield b":\n\n"
                    continue
                message, seq = self._message(seq), self._feed.overview.newest
                yield b"id: %d\nevent: change\ndata: %s\n\n" % (seq, to_json(message))
        finally:
            self._open -= 1

    def _message(self, seq: int) -> dict[str, object]:
        """Say what is newer; `all` when jobs came or went, or too many changed to name them."""
        overview = self._feed.overview
        jobs = overview.changed_since(seq)
        if overview.config_seq > seq or len(jobs) > _NAMED:
            return {"all": True, "jobs": []}
        return {"all": False, "jobs": jobs}
