"""`sinkd validate --fix`, `--unsafe-fixes`, `--diff`: what becomes of a file's repairs."""

import codecs
import io
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from sinkd import source
from sinkd.diagnostics import harmless
from sinkd.fix import Repaired
from sinkd.fix import repair as repair_bytes

_CONTEXT: Final = 3  # lines


class Repair:
    """Repairs one file after the other, or with `diff` shows what would change in it."""

    def __init__(self, *, unsafe: bool, diff: bool) -> None:
        self.unsafe = unsafe
        self.diff = diff
        self.would_change = False  # any of the files, with `diff`

    def __call__(self, path: Path, data: bytes) -> Repaired:
        """Write the repaired file, or what is its place; say on stderr what was done."""
        repaired = repair_bytes(data, unsafe=self.unsafe)
        if self.diff:
            self.would_change |= repaired.data != data
            click.echo(unified(str(path), data, repaired.data), nl=False)
        elif str(path) == "-":
            sys.stdout.buffer.write(repaired.data)
        elif repaired.data != data:
            source.write(path, repaired.data)
        click.echo(self._summary(str(path), repaired), err=True)
        return repaired

    def _summary(self, path: str, repaired: Repaired) -> str:
        found = repaired.loaded.diagnostics
        verb = "would be fixed" if self.diff else "fixed"
        line = f"{harmless(path)}: {repaired.fixed:,} {verb}, {len(found):,} remaining"
        guesses = sum(each.fix is not None for each in found)
        return line + (f"; `--unsafe-fixes` guesses {guesses:,} of them" if guesses else "")


def unified(path: str, old: bytes, new: bytes) -> str:
    """Return a unified diff of two texts with as many lines, empty when they are the same.

    Edits stay within their lines, so none has to be looked for: difflib takes minutes for a big
    file with many.
    """
    before, after = _lines(old), _lines(new)
    changed = [n for n, pair in enumerate(zip(before, after, strict=True)) if len(set(pair)) > 1]
    if not changed:
        return ""
    name = harmless(path)
    parts = [f"--- {name}\n+++ {name}\n"]
    for first, last in _hunks(changed, len(before)):
        parts.append(f"@@ -{first + 1},{last - first} +{first + 1},{last - first} @@\n")
        for same, numbers in itertools.groupby(range(first, last), lambda n: before[n] == after[n]):
            lines = list(numbers)
            marks = ((" ", before),) if same else (("-", before), ("+", after))
            parts += [_marked(mark, text[n]) for mark, text in marks for n in lines]
    return "".join(parts)


def _lines(data: bytes) -> list[str]:
    """Return the lines with their breaks, of whichever kind."""
    return list(io.StringIO(data.removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace"), ""))


def _hunks(changed: list[int], end: int) -> Iterator[tuple[int, int]]:
    """Yield the first line of each hunk, and the one after its last, counted from 0."""
    first = changed[0]
    for line, following in itertools.pairwise([*changed, end + 2 * _CONTEXT + 1]):
        if following - line > 2 * _CONTEXT:
            yield max(0, first - _CONTEXT), min(end, line + _CONTEXT + 1)
            first = following


def _marked(mark: str, line: str) -> str:
    return (
        f"{mark}{line}" if line[-1:] in "\r\n" else f"{mark}{line}\n\\ No newline at end of file\n"
    )
