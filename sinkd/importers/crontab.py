"""Reads a crontab: a user's, or one of /etc/cron.d with a user in each line.

Only a line that calls curl or wget can become a job. Comments right above a line describe it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from sinkd.errors import UsageError
from sinkd.importers import shell
from sinkd.importers.call import call, is_call
from sinkd.importers.entry import Entry, Found, InexpressibleError, LeftOut, Note

_FIELD: Final = r"[\w*,/?#~-]+"
_LINE: Final = re.compile(rf"(?P<cron>@\w+|{_FIELD}(?:[ \t]+{_FIELD}){{4}})[ \t]+(?P<command>\S.*)")
_VARIABLE: Final = re.compile(
    r"(?P<quote>[\"']?)(?P<name>[A-Za-z_]\w*)(?P=quote)\s*=\s*(?P<value>.*)"
)
_NO_DESCRIPTION: Final = re.compile(
    rf"(?:@\w+|[\d*][\w*,/-]*(?:[ \t]+{_FIELD}){{4}})[ \t]|.*\bdom\s+mon\s+dow\b|\W*$",
    re.IGNORECASE,
)
_USER: Final = re.compile(r"[a-z_][a-z0-9_.-]*")
_HOST_ZONE: Final = (
    "a crontab runs in the zone of its host, here taken to be UTC: name it with `--timezone`"
)
_NO_USERS: Final = frozenset({"echo", "printf"})


@dataclass(slots=True)
class _Above:
    """What the lines above one say of it: its zone, its variables, the comments right above."""

    timezone: str | None
    variables: dict[str, str] = field(default_factory=dict)
    comments: list[str] = field(default_factory=list)

    def add_comment(self, text: str) -> None:
        """Keep a comment, unless it explains the columns or is a line that was taken out."""
        if _NO_DESCRIPTION.match(text):
            self.comments.clear()
        else:
            self.comments.append(text)


def read(text: str, file: str, timezone: str | None) -> Iterator[Found]:
    """Return each line of a crontab that is to run; `timezone` is the host's, if known.

    Raises UsageError when no line is one of a crontab.
    """
    above, strange, ordinary = _Above(timezone), 0, False
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if stripped.startswith("#"):
            above.add_comment(stripped.lstrip("#").strip())
            continue
        if found := _LINE.fullmatch(stripped):
            yield _entry(str(number), found, above)
        elif variable := _VARIABLE.fullmatch(stripped):
            yield from _set(above, str(number), variable["name"], variable["value"])
        elif stripped:
            strange = strange or number
            yield LeftOut(str(number), "no line of a crontab: five fields, then a command")
        ordinary = ordinary or bool(found or variable)
        above.comments.clear()
    if strange and not ordinary:
        message = f"{file}:{strange}: not a crontab: a line has five fields, then a command"
        raise UsageError(message)


def _set(above: _Above, place: str, name: str, value: str) -> Iterator[Note]:
    if value[:1] in {"'", '"'} and value[:1] == value[-1:]:
        value = value[1:-1]
    above.variables[name] = value
    if name == "CRON_TZ":
        above.timezone = value
    elif name == "TZ":
        text = "`TZ` sets the zone of commands; that of times of day is `CRON_TZ` or `--timezone`"
        yield Note(place, text)
    elif name == "MAILTO" and value:
        yield Note(place, "`MAILTO`: sinkd sends no mail; see `sinkd report` and `notify`")


def _entry(place: str, line: re.Match[str], above: _Above) -> Entry | LeftOut:
    try:
        found = call(_words(line["command"]))
        request = found.request(above.variables)
    except InexpressibleError as error:
        return LeftOut(place, str(error))
    return Entry(
        place=place,
        cron=" ".join(line["cron"].split()),
        timezone=above.timezone or "UTC",
        request=request,
        description=" ".join(above.comments),
        timeout_seconds=found.timeout_seconds,
        notes=(*found.notes, *([] if above.timezone else [_HOST_ZONE])),
    )


def _words(command: str) -> list[str]:
    """Return the words of a crontab's command, from `curl` or `wget` on."""
    if re.search(r"(?<!\\)%", command):
        message = "a bare `%` begins standard input in a crontab: write `\\%`"
        raise InexpressibleError(message)
    match shell.words(command.replace("\\%", "%")):
        case [program, *_] as words if is_call(program):
            return words
        # The user of a line in /etc/cron.d, or a word such as `nice` or `exec`.
        case [user, program, *_] as words if is_call(program) and _is_user(user):
            return words[1:]
    message = "the command is not curl or wget: sinkd sends HTTP requests, it runs no commands"
    raise InexpressibleError(message)


def _is_user(word: str) -> bool:
    return _USER.fullmatch(word) is not None and word not in _NO_USERS
