"""What a reader of a foreign file finds: entries, and why some cannot be expressed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias


class InexpressibleError(Exception):
    """What stands here has no counterpart in a jobs file; the text says why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One scheduled request, its fields as a jobs file has them, its schedule still cron's.

    `place` is a line's number or a path as `crons[2]`. `request` has the fields of `request`.
    `notes` say what changes for the one who sent the request until now.
    """

    place: str
    cron: str
    timezone: str
    request: Mapping[str, Any]
    title: str = ""
    description: str = ""
    timeout_seconds: int | None = None
    enabled: bool = True
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An entry that no job can express, and why. The text quotes no value: it may be secret."""

    place: str
    text: str


@dataclass(frozen=True, slots=True)
class Note:
    """Something to know of a place that is no entry."""

    place: str
    text: str


Found: TypeAlias = Entry | LeftOut | Note
