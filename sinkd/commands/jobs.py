"""What several commands read: a valid jobs file, names of jobs, an instant."""

import difflib
import sys
from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from sinkd import diagnostics, source
from sinkd.errors import SinkdError, UsageError
from sinkd.instant import minute_text
from sinkd.spec import Spec
from sinkd.terminal import escape
from sinkd.when import parse_time

if TYPE_CHECKING:
    from sinkd.settings import Settings

_SHOWN_NAMES: Final = 5


def read_spec(settings: "Settings") -> Spec:
    """Return the spec of `--config`; with errors in it they are shown, and SinkdError is raised."""
    path = str(settings.config)
    data = source.read(settings.config)
    loaded = source.load(data, path)
    if loaded.spec is None:
        text = data.decode("utf-8", "replace")
        color = settings.use_color(sys.stderr)
        sys.stderr.write(f"{diagnostics.as_text(path, text, loaded.diagnostics, color=color)}\n")
        message = f"{path} has errors, so nothing was done"
        raise SinkdError(message)
    return loaded.spec


def check_names(asked: Collection[str], names: Collection[str], where: str) -> None:
    """Raise UsageError with the nearest name when a job that was asked for is not `where`."""
    for name in asked:
        if name not in names:
            near = suggestion(name, names) or _some(names)
            message = f"no job is named `{escape(name)}` in {where}{near}"
            raise UsageError(message)


def suggestion(name: str, names: Collection[str]) -> str:
    """Return `: did you mean …?` with the nearest name, or nothing when none is near."""
    close = difflib.get_close_matches(name, names, 1)
    return f": did you mean `{escape(close[0])}`?" if close else ""


def _some(names: Collection[str]) -> str:
    shown = [f"`{escape(name)}`" for name in sorted(names)[:_SHOWN_NAMES]]
    more = len(names) - len(shown)
    return f": there is {', '.join(shown)}{f' and {more} more' if more else ''}" if shown else ""


def check_window(since: float | None, until: float | None, now: float) -> None:
    """Raise UsageError when no instant before `now` lies in [since, until)."""
    if since is None:
        return
    begin = minute_text(int(since))
    if since > now:
        message = (
            f"--since: {begin} is in the future, now it is {minute_text(int(now))}; "
            "`sinkd next` shows what comes"
        )
        raise UsageError(message)
    if until is not None and until <= since:
        message = f"--until: {minute_text(int(until))} is not after --since, which is {begin}"
        raise UsageError(message)


def instants(text: str, now: float, zone: str) -> tuple[float, ...]:
    """Return the instant of a TIME, both of them in a fold; UsageError when it is none."""
    try:
        return parse_time(text, now, zone)
    except ValueError as error:
        raise UsageError(str(error)) from None
