"""Collects what is found in a jobs file, each finding at its place and with its job.

A place is found wrong once: what follows from a first mistake is not said again.
"""

from collections.abc import Iterable
from typing import Any, Final

from sinkd.diagnostics import RULES, Diagnostic, Edit, Related, Span
from sinkd.document import Document, Location

TOP: Final[Location] = ()


class Findings:
    """The diagnostics of one document; its own problems are the first."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.diagnostics = list(document.problems)
        self._wrong = {
            problem.span[:2] for problem in document.problems if problem.code != "SNK003"
        }

    @property
    def data(self) -> Any:  # noqa: ANN401 (what the file holds)
        """The document's data."""
        return self.document.data

    def is_wrong(self, location: Location, *, key: bool = False) -> bool:
        """Say whether an error was found at this place already."""
        return self.span(location, key=key)[:2] in self._wrong

    def add(
        self,
        code: str,
        location: Location,
        message: str,
        label: str = "",
        *,
        key: bool = False,
        within: tuple[int, int] | None = None,
        help: Iterable[str] = (),  # noqa: A002 (a diagnostic's word)
        related: Iterable[tuple[Location, str]] = (),
        fix: Edit | None = None,
    ) -> None:
        """Add a finding at a value, or at its `key`; `within`: offsets in the text of a scalar."""
        whole = self.span(location, key=key)
        span = self.part(location, *within, key=key) if within else whole
        severity = RULES[code].severity
        if severity == "error":
            if whole[:2] in self._wrong:
                return
            self._wrong.add(whole[:2])
        job, line = self._job(location)
        self.diagnostics.append(
            Diagnostic(
                code,
                message,
                span,
                label,
                tuple(help),
                tuple(Related(self.span(place), text) for place, text in related),
                job,
                fix,
                line,
                severity,
            )
        )

    def span(self, location: Location, *, key: bool = False) -> Span:
        """Return where a value stands, or its key."""
        key_node, node, _ = self.document.find(location)
        return self.document.node_span(key_node if key and key_node is not None else node)

    def raw(self, location: Location) -> str:
        """Return a value as it is written."""
        return self.document.raw(self.document.find(location)[1])

    def part(self, location: Location, start: int, end: int, *, key: bool = False) -> Span:
        """Return where [start, end) of a scalar's text stands.

        That is the whole scalar when escapes or folded lines make offsets differ.
        """
        document = self.document
        key_node, node, _ = document.find(location)
        node = key_node if key and key_node is not None else node
        text, raw = document.values[node], document.raw(node)
        shift = raw.find(text) if isinstance(text, str) else -1
        if shift not in {0, 1}:
            return document.node_span(node)
        begin = document.starts[node] + shift
        return document.span(begin + start, begin + max(end, start + 1))

    def _job(self, location: Location) -> tuple[str | None, int | None]:
        """Return the name of the job that a place is in, and the line of it."""
        if len(location) < 2 or location[0] != "jobs":  # noqa: PLR2004 (a job's place)
            return None, None
        place = (*location[:2], "name")
        _, node, exists = self.document.find(place)
        name = self.document.values[node]
        if not exists or not isinstance(name, str):
            return None, None
        return name, self.document.node_span(node).line
