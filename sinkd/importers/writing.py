"""Writes a jobs file: the small part of YAML that it takes, every doubtful text in quotes."""

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sinkd.terminal import escape

_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*", re.ASCII)
_NOT_PLAIN: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_WIDTH: Final = 100


def jobs_file(jobs: Iterable[tuple[Sequence[str], Mapping[str, Any]]], head: Iterable[str]) -> str:
    """Return the text of a jobs file: each job below its comments, and comments at its head."""
    lines = [*_comments(head, ""), "version: 1"]
    listed = [_job(*job) for job in jobs]
    lines.append("jobs:" if listed else "jobs: []")
    lines += "\n\n".join("\n".join(job) for job in listed).split("\n") if listed else []
    return "\n".join(lines) + "\n"


def _job(comments: Sequence[str], job: Mapping[str, Any]) -> list[str]:
    first, *rest = _fields(job, "    ")
    return [*_comments(comments, "  "), f"  - {first.lstrip()}", *rest]


def _comments(texts: Iterable[str], indent: str) -> list[str]:
    return [f"{indent}# {escape(text)}" for text in texts]


def _fields(mapping: Mapping[str, Any], indent: str) -> list[str]:
    lines: list[str] = []
    for key, value in mapping.items():
        if isinstance(value, Mapping):
            lines += [f"{indent}{_scalar(key)}:", *_fields(value, indent + "  ")]
        elif isinstance(value, list):
            lines += _list(f"{indent}{_scalar(key)}: ", value)
        else:
            lines.append(f"{indent}{_scalar(key)}: {_scalar(value)}")
    return lines


def _list(start: str, values: Sequence[str]) -> list[str]:
    """Write a list between brackets, on as many lines as it takes."""
    items = ", ".join(map(_scalar, values))
    return textwrap.wrap(f"{start}[{items}]", _WIDTH, subsequent_indent=" " * (len(start) + 1))


def _scalar(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    text = str(value)
    if _PLAIN.fullmatch(text) and text.lower() not in _NOT_PLAIN:
        return text
    if text.isprintable() and ('"' in text or "\\" in text):
        return "'" + text.replace("'", "''") + "'"
    return '"' + "".join(map(_quoted, text)) + '"'


def _quoted(character: str) -> str:
    if character in {'"', "\\"}:
        return "\\" + character
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 (YAML 1.2 5.7)
