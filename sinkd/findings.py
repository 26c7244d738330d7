"""Collects what is found in a jobs file, each finding at its place and with its job.

A place is found wrong once: what follows from a first mistake is not said again.
"""

import bisect
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from sinkd.diagnostics import RULES, Diagnostic, Edit, Related, Severity, Span, harmless
from sinkd.document import PROBLEMS_LIMIT, Document, Location
from sinkd.grammar import Flaw

_LABEL_LIMIT: Final = 500  # characters; a list of all fields of a job has half of them
_FIX_LIMIT: Final = 64 * 1024


class Findings:
    """The diagnostics of one document; its own problems are the first.

    A location is the keys and indices that lead to a value; where a method takes `key`, True
    means the key of the value instead of the value.
    """

    def __init__(self, document: Document) -> None:
        self.document = document
        self.diagnostics = self._with_jobs(document.problems)
        self._errors = len(self.diagnostics)  # a document's problems are errors
        self._wrong = {found.span[:2] for found in self.diagnostics if found.code != "SNK003"}
        self._wrong |= {document.node_span(node)[:2] for node in document.spoiled}
        self._warnings = 0
        self.has_more = False  # errors than anybody wants to see
        self.has_more_warnings = False

    @property
    def has_errors(self) -> bool:
        """Whether anything found so far is an error."""
        return self._errors > 0

    def finish(self) -> list[Diagnostic]:
        """Return what was found in the order of the text."""
        found = sorted(self.diagnostics, key=lambda diagnostic: diagnostic.span)
        if self.has_more:
            found.append(self._more("problems", found[-1].span, "error"))
        elif self.has_more_warnings:
            found.append(self._more("warnings", found[-1].span, "warning"))
        return found

    def _more(self, what: str, span: Span, severity: Severity) -> Diagnostic:
        message = f"the file has more than {PROBLEMS_LIMIT:,} {what}"
        return Diagnostic("SNK006", message, span, "the rest is not shown", severity=severity)

    def add(
        self,
        code: str,
        location: Location,
        message: str,
        label: str = "",
        *,
        key: bool = False,
        span: Span | None = None,
        help: Iterable[str] = (),  # noqa: A002 (a diagnostic's word)
        related: Iterable[Related] = (),
        fix: Edit | None = None,
    ) -> None:
        """Add a finding at a location, or at a `span` in its text."""
        rule = RULES[code]
        is_error = rule.severity == "error"
        if self._errors >= PROBLEMS_LIMIT:
            self.has_more = True
            return
        if not is_error and self._warnings >= PROBLEMS_LIMIT:
            self.has_more_warnings = True
            return
        whole = self.span(location, key=key)
        if code != "SNK102":  # several things may lack at one place
            if whole[:2] in self._wrong:
                return
            if is_error:
                self._wrong.add(whole[:2])
        self._errors += is_error
        self._warnings += not is_error
        if fix and (fix.span.line != fix.span.end_line or len(fix.text) > _FIX_LIMIT):
            fix = None  # what stands on several lines may hold comments
        label = harmless(label if len(label) <= _LABEL_LIMIT else f"{label[: _LABEL_LIMIT - 1]}…")
        found = Diagnostic(
            code, harmless(message), span or whole, label, tuple(map(harmless, help)),
            tuple(related), fix=fix,
            severity=rule.severity,
        )  # fmt: skip
        self.diagnostics.append(self._with_name(found, location))

    def add_flaw(self, code: str, location: Location, flaw: Flaw, *, key: bool = False) -> None:
        """Add what the grammar found wrong with a text."""
        span = self.part(location, flaw.start, flaw.end, key=key)
        fix = None
        if span and flaw.replacement is not None:
            fix = Edit(span, flaw.replacement, flaw.safe)
        code = "SNK114" if flaw.of_reference else code
        self.add(code, location, flaw.message, flaw.label, key=key, span=span, fix=fix)

    def value(self, location: Location) -> Any:  # noqa: ANN401 (what the file holds)
        """Return the data at a location, or None."""
        _, node, exists = self.document.find(location)
        return self.document.values[node] if exists else None

    def span(self, location: Location, *, key: bool = False) -> Span:
        """Return where a value stands."""
        return self.document.node_span(self._node(location, key=key))

    def is_wrong(self, key: Location) -> bool:
        """Say whether an error was found at a key."""
        return self.span(key, key=True)[:2] in self._wrong

    def raw(self, location: Location) -> str:
        """Return a value as it is written."""
        return self.document.raw(self._node(location, key=False))

    def part(self, location: Location, start: int, end: int, *, key: bool = False) -> Span | None:
        """Return where [start, end) of a scalar's text stands, at least one character.

        None where escapes or folded lines make the offsets differ from those in the file, and
        the part itself is not found there once.
        """
        document = self.document
        node = self._node(location, key=key)
        text, raw = document.values[node], document.raw(node)
        if not isinstance(text, str):
            return None
        shift = raw.find(text)
        if shift not in {0, 1}:
            part = text[start:end]
            if raw[:1] == '"' or raw.count(part) != 1:
                return None
            shift = raw.index(part) - start
        begin = document.starts[node] + shift
        return document.span(begin + start, begin + end)

    def _node(self, location: Location, *, key: bool) -> int:
        key_node, node, _ = self.document.find(location)
        return key_node if key and key_node is not None else node

    def _with_name(self, found: Diagnostic, location: Location) -> Diagnostic:
        """Say which job a finding is about, and which line names it."""
        if len(location) < 2 or location[0] != "jobs":  # noqa: PLR2004 (a job's place)
            return found
        place = (*location[:2], "name")
        name = self.value(place)
        if not isinstance(name, str):
            return found
        alone = found.code in {"SNK003", "SNK110"}  # these show the other place instead
        return replace(found, job=name, context=None if alone else self.span(place).line)

    def _with_jobs(self, problems: list[Diagnostic]) -> list[Diagnostic]:
        """Say in which job each problem of the document stands."""
        document = self.document
        node = document.find(("jobs",))[1] if document.finished and problems else 0
        if node == 0 or not isinstance(document.values[node], list):
            return problems
        jobs = [document.node_span(job) for job in document.children(node)]
        found = []
        for problem in problems:
            number = bisect.bisect_right(jobs, problem.span[:2], key=lambda job: job[:2]) - 1
            inside = number >= 0 and problem.span[:2] < jobs[number][2:]
            found.append(self._with_name(problem, ("jobs", number)) if inside else problem)
        return found
