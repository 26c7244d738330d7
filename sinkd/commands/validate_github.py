"""Findings as GitHub shows them: annotations at the lines, the text in a group, a summary's table.

A step may make ten annotations of each kind, so what is beyond is said, and stands in the summary.
https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from sinkd.commands.plan_markdown import code
from sinkd.commands.validate_places import Placed, advice, placed
from sinkd.diagnostics import quoted, summary

if TYPE_CHECKING:
    from sinkd.commands.validate import Checked

_ANNOTATIONS: Final = 10
_SUMMARY_CHARACTERS: Final = 200_000  # GitHub refuses a summary above 1 MiB
_NAME_CHARACTERS: Final = 63
_IN_MESSAGE: Final = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_IN_PROPERTY: Final = _IN_MESSAGE | str.maketrans({":": "%3A", ",": "%2C"})


def render(files: "Sequence[Checked]", text: str) -> str:
    """Return the text form in a group and the annotations; the table goes to the job's summary."""
    found = list(placed(files))
    if not found:
        return _inert(text) if text else ""
    has_summary = _append_summary("\n".join([*_summary(found), ""]))
    lines = ["::group::sinkd validate", _inert(text), "::endgroup::"]
    return "\n".join([*lines, *_annotations(found, "summary" if has_summary else "log")])


def _inert(text: str) -> str:
    """Return a text in which the runner obeys no command, whatever a file or its path says.

    The mark that ends this is the text's own digest, which no text can hold.
    """
    mark = hashlib.sha256(text.encode()).hexdigest()
    return f"::stop-commands::{mark}\n{text}\n::{mark}::"


def _annotations(found: Sequence[Placed], rest: str) -> Iterator[str]:
    shown = 0
    for severity in ("error", "warning"):
        of_kind = [place for place in found if place.found.severity == severity][:_ANNOTATIONS]
        shown += len(of_kind)
        yield from map(_annotation, of_kind)
    if more := len(found) - shown:
        yield f"::notice::and {more:,} more, in the job {rest}"


def _annotation(place: Placed) -> str:
    found, span = place.found, place.found.span
    properties: dict[str, object] = {"file": place.path, "line": span.line}
    properties["endLine"] = span.end_line
    if span.line == span.end_line:  # GitHub refuses columns of several lines
        properties |= {"col": span.column, "endColumn": span.end_column}
    properties["title"] = f"{found.code} {found.message}"
    said = ",".join(
        f"{key}={str(value).translate(_IN_PROPERTY)}" for key, value in properties.items()
    )
    message = "\n".join(advice(found)) or found.message
    if found.job is not None:
        message = f"Job {quoted(found.job, _NAME_CHARACTERS)[1:-1]}: {message}"
    return f"::{found.severity} {said}::{message.translate(_IN_MESSAGE)}"


def _append_summary(text: str) -> bool:
    """Append to the job's summary, if this is a job that has one."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if not path:
        return False
    try:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        click.echo(f"sinkd: the job summary cannot be written: {error}", err=True)
        return False
    return True


def _summary(found: Sequence[Placed]) -> Iterator[str]:
    """Yield the lines of a table in Markdown, as many rows as the summary has room for."""
    yield f"### {summary('sinkd validate', (place.found for place in found))}"
    yield ""
    yield "| Place | Rule | Job | Problem | Advice |"
    yield "|---|---|---|---|---|"
    room = _SUMMARY_CHARACTERS
    for number, place in enumerate(found):
        row = _row(place)
        room -= len(row)
        if room < 0:
            yield ""
            yield f"{len(found) - number:,} more are left out."
            return
        yield row


def _row(place: Placed) -> str:
    found = place.found
    cells = (
        code(f"{place.path}:{found.span.line}:{found.span.column}"),
        f"{found.severity} {found.code}",
        code(quoted(found.job, _NAME_CHARACTERS)[1:-1]) if found.job else "",
        _prose(found.message),
        "<br>".join(map(_prose, advice(found))),
    )
    return f"| {' | '.join(cells)} |"


def _prose(text: str) -> str:
    """Return a message for a cell: what stands in backticks as code, the rest without markup."""
    parts = re.split(r"`([^`]+)`", text)
    return "".join(code(part) if n % 2 else _plain(part) for n, part in enumerate(parts))


def _plain(text: str) -> str:
    return "".join(
        character if character.isalnum() or character in " ,.;" else f"&#{ord(character)};"
        for character in text
    )
