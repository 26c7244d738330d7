"""The jobs file that runs, and each job's own lines in it, as a page may show them.

References stand as they are written. Values of headers and queries do not: a literal one may be a
secret, so all but its references is left out.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from sinkd import document, revisions
from sinkd.document import Document

_REFERENCE: Final = re.compile(r"\$\{[a-z]+:[^}\s]*\}")
_LEFT_OUT: Final = "\N{HORIZONTAL ELLIPSIS}"


class _Place(NamedTuple):
    """A job's text in [start, end), and in it what is left out, in order."""

    line: int
    start: int
    end: int
    hidden: Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Listing:
    """One accepted jobs file."""

    revision: str
    text: str
    _places: Mapping[str, _Place]

    @classmethod
    def read(cls, data_dir: Path, revision: str) -> "Listing":
        """Read an accepted file; OSError when it is lost."""
        text = revisions.read_revision(data_dir, revision).decode("utf-8-sig")
        return cls(revision, text, dict(_places(document.read(text))))

    def lines(self, job: str) -> list[tuple[int, str]]:
        """Return a job's lines with their numbers, counted from 1."""
        place = self._places.get(job)
        if place is None:
            return []
        shown, at = [], place.start
        for start, end in place.hidden:
            shown += [self.text[at:start], _without_literals(self.text[start:end])]
            at = end
        shown.append(self.text[at : place.end])
        return list(enumerate("".join(shown).split("\n"), place.line))


def _places(doc: Document) -> Iterator[tuple[str, _Place]]:
    _, jobs, _ = doc.find(("jobs",))
    for number, job in enumerate(doc.data["jobs"]):
        node = doc.children(jobs)[number]
        start = doc.text.rfind("\n", 0, doc.starts[node]) + 1
        end = doc.starts[node] + len(doc.raw(node).rstrip())
        yield job["name"], _Place(doc.lines.number(start), start, end, _hidden(doc, number))


def _hidden(doc: Document, number: int) -> list[tuple[int, int]]:
    """Return where the values of a job's headers stand, and what follows the `?` of its URL."""
    found = []
    request = ("jobs", number, "request")
    _, headers, exists = doc.find((*request, "headers"))
    if exists and isinstance(doc.values[headers], dict):
        values = (value for _, value in doc.children(headers).values())
        found += [
            (doc.starts[value], doc.starts[value] + len(doc.raw(value).rstrip()))
            for value in values
        ]
    _, url, exists = doc.find((*request, "url"))
    raw = doc.raw(url).rstrip()
    if exists and "?" in raw:
        quotes = raw[-1] in "\"'"
        found.append((doc.starts[url] + raw.index("?") + 1, doc.starts[url] + len(raw) - quotes))
    return sorted(found)


def _without_literals(raw: str) -> str:
    """Return a value as it is written, an ellipsis for all but references, quotes and breaks."""
    quote = raw[0] if raw[:1] in {'"', "'"} and raw[-1:] == raw[0] and len(raw) > 1 else ""
    parts = _REFERENCE.split(raw[len(quote) : len(raw) - len(quote)])
    kept = [*_REFERENCE.findall(raw), ""]
    shown = (
        (_LEFT_OUT if part else "") + reference for part, reference in zip(parts, kept, strict=True)
    )
    return quote + "".join(shown) + quote + "\n" * raw.count("\n")
