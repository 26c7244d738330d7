"""Shows runs and events as they come, for people or, unchanged, for programs."""

import heapq
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import chain, islice
from typing import TYPE_CHECKING, Final, TypeAlias

import click

from sinkd.clock import SystemClock
from sinkd.commands.tail_text import Teller
from sinkd.history import History, Stem, forwards, is_event, is_run, parse
from sinkd.instant import rfc3339
from sinkd.report import parse_labels
from sinkd.tail import Filter, Follower, Record
from sinkd.terminal import escape, show, warn

if TYPE_CHECKING:
    from sinkd.settings import Settings

_POLL_SECONDS: Final = 0.25
_STEMS: Final[tuple[Stem, ...]] = ("runs", "events")
_Entry: TypeAlias = tuple[bytes, Record]  # a line as it stands in the file, and what it holds


def _wait() -> None:
    time.sleep(_POLL_SECONDS)


class _Printer:
    """Prints lines that hold a wanted record: told for people, or unchanged without a teller."""

    def __init__(self, wanted: Filter, teller: Teller | None, *, color: bool) -> None:
        self.wanted = wanted
        self.teller = teller
        self._color = color

    def entry(self, line: bytes, record: Record) -> None:
        """Print a line of the run log, if its record is wanted."""
        if not self.wanted.wants(record):
            return
        if self.teller:
            show(self.teller.tell(record), color=self._color)
        else:
            click.echo(line.rstrip(b"\r\n"))

    def stranger(self, line: bytes) -> None:
        """Print a line that is no record, made harmless; not where only some were asked for."""
        if self.teller and not self.wanted:
            show([escape(line.rstrip(b"\r\n").decode("utf-8", "replace"))], color=False)


def run_command(
    settings: "Settings",
    *,
    source: str | None = None,
    follow: bool = False,
    number: int = 20,
    jobs: Sequence[str] = (),
    labels: Sequence[str] = (),
    failed: bool = False,
    as_json: bool = False,
    wait: Callable[[], object] = _wait,
) -> int:
    """Print the last lines and, to `follow`, those to come after each `wait`.

    With `-` as `source` it prints all that comes from standard input.
    """
    wanted = Filter(frozenset(jobs), parse_labels(labels), failed)
    teller = None if as_json else Teller(rfc3339(SystemClock().wall())[:10])
    printer = _Printer(wanted, teller, color=settings.use_color(sys.stdout))
    if source == "-":
        _print_all(forwards(sys.stdin.buffer), printer)
        return 0
    history = History(settings.data_dir)
    with ExitStack() as stack:
        # Opened before the history is read, so that nothing falls in between.
        followers = [
            stack.enter_context(closing(Follower(settings.data_dir / f"{stem}.jsonl")))
            for stem in _STEMS
            if follow
        ]
        newest = _print_last(history, number, printer)
        warn(history.losses)
        while followers:
            fresh = [
                (line, record)
                for seen, follower in zip(newest, followers, strict=True)
                for line, record in _entries(follower.lines())
                if record["seq"] > seen
            ]
            for line, record in sorted(fresh, key=_seq):
                printer.entry(line, record)
            newest = [0, 0]  # the next call reads on from here: nothing can come twice
            wait()
    return 0


def _print_all(lines: Iterable[bytes], printer: _Printer) -> None:
    for line in lines:
        record = parse(line)
        if is_run(record) or is_event(record):
            printer.entry(line, record)
        else:
            printer.stranger(line)


def _print_last(history: History, number: int, printer: _Printer) -> list[int]:
    """Print the last wanted lines, and return the newest `seq` of either file, 0 for none."""
    files: list[Iterator[_Entry]] = [history.entries(stem, backwards=True) for stem in _STEMS]
    firsts = [list(islice(entries, 1)) for entries in files]
    read = [chain(first, entries) for first, entries in zip(firsts, files, strict=True)]
    backwards = heapq.merge(*read, key=_seq, reverse=True)
    wanted = (entry for entry in backwards if printer.wanted.wants(entry[1]))
    last = list(islice(wanted, number))[::-1]
    if number and not last and printer.wanted:
        click.echo("sinkd: no line of the log is of what was asked for", err=True)
    newest = [_seq(first[0]) if first else 0 for first in firsts]
    if printer.teller:
        _learn(history, _seq(last[0]) if last else max(newest) + 1, printer.teller)
    for line, record in last:
        printer.entry(line, record)
    return newest


def _learn(history: History, before: int, teller: Teller) -> None:
    """Let the teller know the jobs file that was in use before the first line that it tells."""
    for event in history.events_backwards():
        if event["event"] == "config_accepted" and event["seq"] < before:
            teller.learn(event)
            return


def _entries(lines: Iterable[bytes]) -> Iterator[_Entry]:
    for line in lines:
        record = parse(line)
        if is_run(record) or is_event(record):
            yield line, record


def _seq(entry: _Entry) -> int:
    return entry[1]["seq"]
