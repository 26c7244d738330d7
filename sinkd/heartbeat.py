"""`--heartbeat-url`: a ping each minute, so that somebody notices when sinkd itself has died.

A service such as Healthchecks raises the alarm when the pings stay away. None is sent while the
log is blocked: a scheduler that may not send anything is not alive in the sense of its users.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from sinkd.runner import Runner

PERIOD_SECONDS: Final = 60

_log = structlog.get_logger("sinkd")


async def beat(url: str, runner: Runner, is_well: Callable[[], bool]) -> None:
    """Ping the URL each minute while all is well; a ping that fails is said and tried again."""
    while True:
        if is_well():
            answer = await runner.ping(url)
            if answer.outcome != "success":
                _log.warning("heartbeat_failed", reason=answer.reason, error=answer.error)
        await asyncio.sleep(PERIOD_SECONDS)
