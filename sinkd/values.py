"""What to say about a field's value of the wrong kind: the rule, and the value that was meant."""

import difflib
import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Final, get_args

from sinkd.amounts import amount
from sinkd.diagnostics import Edit, quoted
from sinkd.document import Location
from sinkd.findings import Findings
from sinkd.jobsfile import BOUNDS, Method
from sinkd.names import cron_label, fields
from sinkd.spec import WEEKDAYS, On

_METHODS: Final = get_args(Method)
_ON: Final = get_args(On)
_BOOLEANS: Final = {
    **dict.fromkeys(("yes", "y", "on", "true", "1", "enabled", "active"), "true"),
    **dict.fromkeys(("no", "n", "off", "false", "0", "disabled", "inactive"), "false"),
}
_YAML_1_1_BOOLEANS: Final = frozenset({"yes", "y", "on", "no", "n", "off"})
_LETTERS_READ: Final = 1000  # of a text that may be a word that was meant
_SETS_OF_DAYS: Final = {
    **dict.fromkeys(("weekday", "weekdays", "workdays"), WEEKDAYS[:5]),
    **dict.fromkeys(("weekend", "weekends"), WEEKDAYS[5:]),
    **dict.fromkeys(("all", "any", "daily", "every day", "everyday"), WEEKDAYS),
}
_DAY: Final = re.compile(
    r"(?:mon(?:day)?|tue(?:s|sday)?|wed(?:s|nesday)?|thu(?:rs?|rsday)?|fri(?:day)?|sat(?:urday)?"
    r"|sun(?:day)?)s?\.?"
)
_CLOSE_CHOICE: Final = 0.75  # a slip in `POST` is `POST`, and `FETCH` not `PATCH`
_CLOSE_ON: Final = 0.6
CRONTAB: Final = (  # a line of one: five fields or a word, and a command
    r"(?:^|\s)(?:(?:[-0-9*/,]+[ \t]+){3}(?:[-\w*/,]+[ \t]+){2}"
    r"|@(?:reboot|hourly|daily|midnight|weekly|monthly|yearly|annually)[ \t]+)\S"
)
MAKE_OF_CRONTAB: Final = "`sinkd import crontab FILE` makes a jobs file of it"
_HOURS_WITH_NAMES: Final = {"noon": "12:00", "midnight": "00:00"}
_LIKE_CRON: Final = re.compile(r"@|[*0-9]\S* +[*0-9]")
_CLOCK: Final = re.compile(
    r"(?P<hour>[0-9]{1,2})(?:[:.h]?(?P<minute>[0-9]{2}))?(?::00)? ?(?P<half>am|pm)?"
)


_COLLECTIONS: Final = {
    "": "write `version: 1` and `jobs:`",
    "jobs": "write a list: each job begins with `- name:`",
    "notify": "write a list: each item begins with `- url:`",
    "schedule": "write `{interval_minutes: …}`, or `{at: …, timezone: …}`",
    "request": "write `{url: …}`",
    "headers": "write `Name: value`, a line each",
    "labels": "write `key: value`, a line each",
    "defaults": "write `key: value`, a line each, without `- `",
}
_NOTHING: Final = {**_COLLECTIONS, "jobs": "write `jobs: []` for no jobs"}


def explain(
    findings: Findings, kind: str, location: Location, context: Mapping[str, Any], *, on_key: bool
) -> None:
    """Add a finding for one of pydantic's kinds of error."""
    match kind:
        case "bool_type":
            _boolean(findings, location)
        case "int_type":
            _whole_number(findings, location)
        case "literal_error":
            _choice(findings, location)
        case "greater_than_equal" | "less_than_equal":
            _range(findings, location)
        case "too_long" | "too_short" | "string_too_long":
            _length(findings, location, kind, context)
        case "string_pattern_mismatch":
            _name(findings, location, on_key=on_key)
        case "dict_type" | "list_type":
            _collection(findings, location, kind)
        case "string_type":
            _text(findings, location)
        case _:
            findings.add("SNK111", location, f"{_subject(location)} is not right: {kind}")


def _subject(location: Location) -> str:
    """Name the value in a message."""
    match location:
        case []:
            return "a jobs file"
        case ["jobs", int()]:
            return "a job"
        case [*_, str(key), int()]:
            return f"an item of `{key}`"
        case _:
            return quoted(str(location[-1]))


def _replace(findings: Findings, location: Location, text: str, *, safe: bool = True) -> Edit:
    return Edit(findings.span(location), text, safe)


def _boolean(findings: Findings, location: Location) -> None:
    raw = findings.raw(location)
    word = raw.strip("\"'").lower()
    meant = _BOOLEANS.get(word)
    advice = (
        [f"{quoted(raw)} was a boolean in YAML 1.1; sinkd reads YAML 1.2, where it is text"]
        if raw.lower() in _YAML_1_1_BOOLEANS
        else []
    )
    findings.add(
        "SNK103",
        location,
        f"{_subject(location)} must be `true` or `false`",
        f"write `{meant}`" if meant else "neither of them" if raw else "nothing here",
        help=advice,
        fix=_replace(findings, location, meant) if meant else None,
    )


def _whole_number(findings: Findings, location: Location) -> None:
    field, raw = str(location[-1]), findings.raw(location)
    unit = field.rpartition("_")[2].removesuffix("s") + "s"
    low, high = BOUNDS[field]
    message = f"{_subject(location)} must be a whole number of {unit}"
    text = raw.strip("\"'")
    if (number := amount(text, unit)) is not None and low <= number <= high:
        label = f"write {number} ({unit})" if text[-1].isalpha() else f"write {number}"
        findings.add(
            "SNK104", location, message, label, fix=_replace(findings, location, str(number))
        )
    elif ":" in text and (time := time_of_day(text)) and "schedule" in location:
        what = "minute" if field == "start_minute" else "number"
        label = f'write `at: "{time}"` with a `timezone`, or a {what} {low} to {high}'
        advice = f"YAML 1.1 tools read {quoted(raw)} as base-60; sinkd never does"
        findings.add("SNK104", location, message, label, help=[advice])
    else:
        findings.add("SNK104", location, message, f"write a number {low} to {high}")


def _choice(findings: Findings, location: Location) -> None:
    value, raw = findings.value(location), findings.raw(location)
    if location[-1] == "version":
        one = str(value) in {"1", "1.0", "v1"} and value is not True
        label = "write 1" if one else "this sinkd reads format version 1"
        fix = _replace(findings, location, "1") if one else None
        findings.add("SNK105", location, "`version` must be 1", label, fix=fix)
        return
    days, on = "days" in location[-2:], "on" in location[-2:]
    choices = WEEKDAYS if days else _ON if on else _METHODS
    what = "a day" if days else "what sinkd can tell of" if on else "a method"
    word = str(value).strip()[:_LETTERS_READ]
    short = word.lower()[:3] if days else word.lower() if on else word.upper()
    if days and (several := _several_days(word)):
        _days_in_a_day(findings, location, several)
        return
    close = difflib.get_close_matches(short, choices, 1, _CLOSE_CHOICE if not on else _CLOSE_ON)
    meant = short if short in choices else close[0] if close and not days else None
    safe = not days or _DAY.fullmatch(word.lower()) is not None
    findings.add(
        "SNK105",
        location,
        f"{quoted(raw)} is not {what}" if raw else f"{_subject(location)} has no value",
        f"write `{meant}`" if meant else "one of " + ", ".join(f"`{name}`" for name in choices),
        fix=_replace(findings, location, meant, safe=safe) if meant else None,
    )


def _days_in_a_day(findings: Findings, location: Location, several: str) -> None:
    """Explain `mon-fri` where one day belongs; between commas its days can take its place."""
    is_flow = findings.raw(location[:-1]).startswith("[")
    fix = _replace(findings, location, several) if is_flow else None
    message = f"{quoted(findings.raw(location))} is not a day"
    label = f"write `{several}`" if is_flow else f"write an item for each of `{several}`"
    findings.add("SNK105", location, message, label, fix=fix)


def _range(findings: Findings, location: Location) -> None:
    field, value = str(location[-1]), findings.value(location)
    low, high = BOUNDS[field]
    advice = []
    if field == "interval_minutes" and value > high:
        advice = ["a longer interval would begin on an arbitrary weekday; use `at` with `days`"]
    if field == "timeout_seconds" and value >= 1000 * low and value % 1000 == 0:
        advice = [f"{value:,} milliseconds are {value // 1000:,} seconds"]
    label = "too small" if value < low else "too large"
    message = f"{_subject(location)} must be {low} to {high}"
    findings.add("SNK109", location, message, label, help=advice)


def _length(findings: Findings, location: Location, kind: str, context: Mapping[str, Any]) -> None:
    limit = context.get("max_length", context.get("min_length"))
    unit = "character" if kind == "string_too_long" else "entry"
    bound = "at least" if kind == "too_short" else "at most"
    units = f"{unit}s" if unit == "character" else "entries"
    message = f"{_subject(location)} has {bound} {limit:,} {unit if limit == 1 else units}"
    number = len(findings.value(location))
    label = f"{number:,} here" if number else "none here"
    findings.add("SNK109", location, message, label, key=bool(location) and unit == "entry")


def _name(findings: Findings, location: Location, *, on_key: bool) -> None:
    """Explain the pattern of names and label keys; `rules` explains the others."""
    if on_key and "labels" in location:
        text, limit, what = str(location[-1]), 32, "label"
    elif not on_key and location[-1] == "name":
        text, limit, what = str(findings.value(location)), 63, "name"
    else:
        return
    good = slug(text[:_LETTERS_READ])[:limit]
    message = f"{quoted(text)} is not a {what} that sinkd can use" if text else f"a {what} is empty"
    label = f"write {quoted(good)}" if good else "write a word such as `refresh-cache`"
    if good and good == text[:limit]:
        label = f"{len(text):,} characters here"
    advice = f"lower-case letters, digits, `.`, `_` and `-`, at most {limit}, no mark first"
    fix = Edit(findings.span(location, key=on_key), good, safe=False) if good else None
    findings.add("SNK107", location, message, label, key=on_key, help=[advice], fix=fix)


def slug(text: str) -> str:
    """Return a text as the name of a job or label that reads like it, empty when none does."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9._]+", "-", ascii_text).strip("-._")


def _collection(findings: Findings, location: Location, kind: str) -> None:
    value = findings.value(location)
    name = str(location[-1]) if location else ""
    if name == "at":
        if not isinstance(value, str):  # `rules` knows what a text should be
            _time(findings, location)
        return
    what = "mapping" if kind == "dict_type" else "list"
    label, text = _COLLECTIONS.get(name, f"not a {what}"), None
    if name.isdecimal():
        field = "url" if location[0] == "notify" else "name"
        label = f"write `- {field}:` and the other fields below it"
    elif value is None and _stands_beside(findings, location):
        return
    elif value is None:
        label = _NOTHING.get(name, "nothing here: remove the line")
    elif isinstance(value, str):
        label, text = _meant_collection(name, value, label)
    fix = _replace(findings, location, text, safe=what == "list") if text else None
    findings.add("SNK111", location, f"{_subject(location)} must be a {what}", label, fix=fix)


def _stands_beside(findings: Findings, location: Location) -> bool:
    """Say whether what belongs below a key stands beside it, which `names` explains."""
    beside = findings.value(location[:-1])
    inside = fields(location) if location[-1] in {"schedule", "request", "defaults"} else ()
    return isinstance(beside, dict) and not beside.keys().isdisjoint(inside)


def _meant_collection(name: str, text: str, label: str) -> tuple[str, str | None]:
    """Return what to say about a text in place of a collection, and the collection if known."""
    if name == "" and re.search(CRONTAB, text):
        return MAKE_OF_CRONTAB, None
    if name == "schedule":
        return _meant_schedule(text, label)
    if name == "request":
        method, blank, url = text.partition(" ")
        if blank and method in _METHODS:
            return label, f"{{url: {json.dumps(url.strip())}, method: {method}}}"
        return label, f"{{url: {json.dumps(text)}}}"
    if name in {"capture_headers", "days", "on"} and len(text) <= _LETTERS_READ:
        return f"write `[{_list_of(text)}]`", f"[{_list_of(text)}]"
    return label, None


def _meant_schedule(text: str, label: str) -> tuple[str, str | None]:
    """Understand `every 15m`, the `rate(15 minutes)` of AWS, and cron expressions."""
    minutes = amount(re.sub(r"^(every|rate\()\s*|\)$", "", text.strip().lower()), "minutes")
    if minutes and minutes <= BOUNDS["interval_minutes"][1]:
        return f"write `{{interval_minutes: {minutes}}}`", f"{{interval_minutes: {minutes}}}"
    if ":" in text and (time := time_of_day(text)):
        return f'write `{{at: "{time}", timezone: …}}`', None
    return (cron_label(text) if _LIKE_CRON.match(text) else label), None


def _several_days(text: str) -> str | None:
    """Write `mon-fri` and `weekdays` as the items of a list."""
    if meant := _SETS_OF_DAYS.get(text.strip().lower()):
        return ", ".join(meant)
    first, _, last = (part.strip() for part in text.lower().partition("-"))
    if _DAY.fullmatch(first) and _DAY.fullmatch(last):
        days = [*WEEKDAYS, *WEEKDAYS]
        start = days.index(first[:3])
        return ", ".join(days[start : days.index(last[:3], start) + 1])
    return None


def _list_of(text: str) -> str:
    return _several_days(text) or ", ".join(re.split(r"[ ,]+", text.strip()))


def _text(findings: Findings, location: Location) -> None:
    value, raw = findings.value(location), findings.raw(location)
    if location[-1] == "at" or (len(location) > 1 and location[-2] == "at"):
        if not isinstance(value, list):
            _time(findings, location)
        return
    if location[-1] == "body":
        message = "`body` must be text, a mapping or a list"
        findings.add("SNK116", location, message, "write it in quotes, or remove it")
        return
    fix = None
    if value is None:
        is_needed = location[-1] in {"name", "url"}
        label = "nothing here: write a text" + ("" if is_needed else ", or remove the line")
    elif location[-1] == "signing_secret":
        label = "write `${env:NAME}`"
    elif isinstance(value, dict | list):
        label = "not a mapping" if isinstance(value, dict) else "not a list"
    else:
        label, fix = f'write `"{raw}"`', _replace(findings, location, f'"{raw}"')
    findings.add("SNK108", location, f"{_subject(location)} must be text", label, fix=fix)


def _time(findings: Findings, location: Location) -> None:
    """Explain a time of day that YAML does not read as text, such as 930."""
    meant = time_of_day(findings.raw(location))
    label = f'write `"{meant}"`' if meant else 'write it as `"09:00"`'
    fix = _replace(findings, location, f'"{meant}"', safe=False) if meant else None
    message = f"{_subject(location)} must be a time of day `HH:MM`"
    findings.add("SNK117", location, message, label, fix=fix)


def time_of_day(text: str) -> str | None:
    """Return the `HH:MM` that somebody meant with `9:00`, `09:00:00`, `9.30`, `0930` or `9 pm`."""
    if meant := _HOURS_WITH_NAMES.get(text.strip().lower()):
        return meant
    if not (found := _CLOCK.fullmatch(text.strip().lower())):
        return None
    hour, minute, half = int(found["hour"]), int(found["minute"] or 0), found["half"]
    if half:
        hour = hour % 12 + (12 if half == "pm" else 0)
    elif found["minute"] is None:
        return None
    return f"{hour:02}:{minute:02}" if hour < 24 and minute < 60 else None  # noqa: PLR2004 (a day)
