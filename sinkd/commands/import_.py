"""`sinkd import`: another scheduler's file as a jobs file, and what cannot be expressed in one."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from pydantic_core import from_json

from sinkd.errors import UsageError
from sinkd.grammar import url_flaw
from sinkd.importers import crontab, gcloud, vercel
from sinkd.importers.entry import Found
from sinkd.importers.jobs import Conversion, convert
from sinkd.importers.writing import jobs_file
from sinkd.schedule import zone_names
from sinkd.terminal import escape

if TYPE_CHECKING:
    from sinkd.settings import Settings

_LIMIT_BYTES: Final = 4 * 1024 * 1024
_PLACES_SHOWN: Final = 5
_PLACE: Final = re.compile(r"(?P<what>.*) at line (?P<line>[0-9]+) column (?P<column>[0-9]+)")


def run_command(
    _settings: "Settings",
    /,
    kind: str,
    file: Path,
    timezone: str | None,
    base_url: str | None,
) -> int:
    """Print the jobs file; return 1 when something was left out, which stderr lists."""
    if timezone is not None and kind != "crontab":
        message = f"`--timezone` is for a crontab: the file of {kind} names its zones"
        raise UsageError(message)
    if base_url is not None and kind != "vercel":
        message = f"`--base-url` is for vercel: the file of {kind} names its URLs"
        raise UsageError(message)
    name = "<stdin>" if str(file) == "-" else escape(file)
    conversion = convert(_read(kind, _text(file, name), name, timezone, base_url), name)
    summary = _summary(conversion)
    head = [f"Written by `sinkd import {kind}` from {name}: {summary}."]
    click.echo(jobs_file(conversion.jobs, head).encode(), nl=False)
    for line in _lines(conversion):
        click.echo(f"{name}:{escape(line)}", err=True)
    click.echo(f"{name}: {summary}", err=True)
    return int(bool(conversion.left_out))


def _text(path: Path, name: str) -> str:
    try:
        with click.open_file(str(path), "rb") as file:
            data: bytes = file.read(_LIMIT_BYTES + 1)
    except OSError as error:
        message = f"{name} cannot be read: {(error.strerror or str(error)).lower()}"
        raise UsageError(message) from None
    if len(data) > _LIMIT_BYTES:
        message = f"{name} is larger than 4 MiB"
        raise UsageError(message)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"{name}:{line}: not UTF-8 text: byte 0x{data[error.start]:02x}"
        raise UsageError(message) from None


def _read(
    kind: str, text: str, name: str, timezone: str | None, base_url: str | None
) -> Iterable[Found]:
    if kind == "crontab":
        if timezone is not None and timezone not in zone_names():
            message = f"`{escape(timezone)}` is no IANA time zone, such as `America/New_York`"
            raise UsageError(message)
        return crontab.read(text, name, timezone)
    if kind == "gcloud":
        return gcloud.read(_json(text, name, f": print it with `{gcloud.COMMAND}`"), name)
    origin = _origin(base_url)
    return vercel.read(_json(text, name), name, origin)


def _json(text: str, name: str, advice: str = "") -> Any:  # noqa: ANN401 (whatever it holds)
    try:
        return from_json(text, allow_inf_nan=False)
    except ValueError as error:
        found = _PLACE.fullmatch(str(error))
        message = f"{name}:{found['line']}:{found['column']}" if found else name
        message += f": not JSON: {found['what'] if found else error}{advice}"
        raise UsageError(message) from None


def _origin(base_url: str | None) -> str:
    if base_url is None:
        message = "a vercel.json names no host: add `--base-url https://my-app.vercel.app`"
        raise UsageError(message)
    if flaw := url_flaw(base_url):
        message = f"`--base-url`: {flaw.message}: {flaw.label}"
        raise UsageError(message)
    if "?" in base_url:
        message = "`--base-url` has no query: name only where the deployment is"
        raise UsageError(message)
    return base_url


def _summary(conversion: Conversion) -> str:
    jobs, left_out = len(conversion.jobs), len(conversion.left_out)
    return f"{jobs:,} {'job' if jobs == 1 else 'jobs'}, {left_out:,} left out"


def _lines(conversion: Conversion) -> Iterator[str]:
    """Yield a line for each entry left out, and one for each note with where it applies."""
    for one in conversion.left_out:
        yield f"{one.place}: left out: {one.text}"
    places: defaultdict[str, list[str]] = defaultdict(list)
    for note in conversion.notes:
        places[note.text].append(note.place)
    for text, listed in places.items():
        more = len(listed) - _PLACES_SHOWN
        some = ",".join(listed[:_PLACES_SHOWN]) + (f" and {more:,} more" if more > 0 else "")
        yield f"{some}: note: {text}"
