"""Words and times of the pages, and the templates that use them."""

import re
from collections.abc import Mapping
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from sinkd import __version__, pictures
from sinkd.instant import DAY, duration_text, minute_text, parse_rfc3339, rfc3339
from sinkd.report import REASON_WORDS
from sinkd.schedule import describe, zone_of
from sinkd.web.view import MARKS, WORDS
from sinkd.why import slot_text

_MANY_DAYS: Final = 300 * DAY


def environment() -> Environment:
    """Return the templates, which escape every value."""
    templates = Environment(
        loader=PackageLoader("sinkd.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals |= {
        "marks": MARKS,
        "words": WORDS,
        "version": __version__,
        "pictures": pictures,
        "describe": describe,
        "zone_of": zone_of,
        "slot_text": slot_text,
    }
    templates.filters |= {
        "stamp": stamp,
        "clock": clock,
        "span": duration_text,
        "iso": iso,
        "answer": answer,
        "code": code,
        "details": details,
    }
    return templates


def _instant(at: str | float) -> float:
    return parse_rfc3339(at) if isinstance(at, str) else at


def iso(at: str | float) -> str:
    """Return an instant as RFC 3339."""
    return at if isinstance(at, str) else rfc3339(at)


def stamp(at: str | float) -> str:
    """Return a date and time of the day: `2026-11-23 10:01:12`."""
    return rfc3339(int(_instant(at)))[:19].replace("T", " ")


def clock(at: str | float, now: float) -> str:
    """Return the time of the day, with the date if it is a day away, and the year if it is many."""
    instant = _instant(at)
    text, away = minute_text(int(instant))[:16].replace("T", " "), abs(now - instant)
    return text[11:] if away < DAY else text[5:] if away < _MANY_DAYS else text


def details(run: Mapping[str, Any]) -> str:
    """Return what else a record says: by hand or late, how many slots, why, the error."""
    count = run.get("count", 1)
    parts = [
        {"manual": "by hand", "catch_up": "caught up"}.get(run.get("trigger", ""), ""),
        f"{count:,} slots to {stamp(run['last_scheduled_at'])}" if count > 1 else "",
        REASON_WORDS.get(run.get("reason", ""), ""),
        run.get("error", ""),
        f"blocked by {run['blocked_by']}" if "blocked_by" in run else "",
    ]
    return ", ".join(filter(None, parts))


def code(text: str) -> Markup:
    """Return a sentence whose `quoted` parts are code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 (escaped before)


def answer(run: Mapping[str, Any]) -> str:
    """Return the status code that came, else the reason why there was none."""
    reason = run.get("reason")
    if reason in {None, "http_status"}:
        return str(run.get("status_code", ""))
    return str(reason).replace("_", " ")
