"""Repairs a jobs file: applies the edits of its diagnostics to the text, and changes nothing else.

Comments, quotes, order, line breaks and a byte order mark stay as they are.
"""

import codecs
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from sinkd import source
from sinkd.diagnostics import Diagnostic, Edit
from sinkd.document import Document
from sinkd.source import Loaded

PASSES_LIMIT: Final = 100


class Repaired(NamedTuple):
    """A file's bytes after `fixed` edits, and what they say now."""

    data: bytes
    fixed: int
    loaded: Loaded


def repair(data: bytes, *, unsafe: bool) -> Repaired:
    """Apply the safe edits, with `unsafe` also the guesses, until there are none.

    One repair may bring another mistake to light, as that of an indent does; after a hundred
    passes the rest is left to the next call. No repair makes YAML unreadable.
    """
    now = Repaired(data, 0, source.load(data))
    for _ in range(PASSES_LIMIT):
        if not (edits := _edits(now.loaded.diagnostics, unsafe=unsafe)):
            break
        data = _apply(now.data, edits)
        loaded = source.load(data)
        if _is_yaml(now.loaded) and not _is_yaml(loaded):
            break
        now = Repaired(data, now.fixed + len(edits), loaded)
    return now


def _is_yaml(loaded: Loaded) -> bool:
    return all(found.code != "SNK001" for found in loaded.diagnostics)


def _edits(diagnostics: Iterable[Diagnostic], *, unsafe: bool) -> list[Edit]:
    """Return the edits in the order of the text; of two that overlap, the first."""
    found = [each.fix for each in diagnostics if each.fix and (unsafe or each.fix.safe)]
    edits: list[Edit] = []
    for edit in sorted(found, key=lambda edit: edit.span):
        if not edits or edits[-1].span[2:] <= edit.span[:2]:
            edits.append(edit)
    return edits


def _apply(data: bytes, edits: Sequence[Edit]) -> bytes:
    mark = codecs.BOM_UTF8 if data.startswith(codecs.BOM_UTF8) else b""
    document = Document(data.removeprefix(mark).decode())
    parts, done = [], 0
    for edit in edits:
        parts += [document.text[done : document.offset(*edit.span[:2])], edit.text]
        done = document.offset(*edit.span[2:])
    return mark + "".join([*parts, document.text[done:]]).encode()
