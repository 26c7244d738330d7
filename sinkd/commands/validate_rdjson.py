"""Findings in reviewdog's Diagnostic Format; a fix becomes a change that one click accepts.

https://github.com/reviewdog/reviewdog/tree/master/proto/rdf: columns count bytes of UTF-8.
"""

import codecs
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from sinkd.commands.validate_places import advice
from sinkd.diagnostics import Diagnostic, Lines, Span

if TYPE_CHECKING:
    from sinkd.commands.validate import Checked


def render(files: "Sequence[Checked]") -> str:
    """Return the findings of all files as one `DiagnosticResult`."""
    found = [diagnostic for file in files for diagnostic in _diagnostics(file)]
    return json.dumps({"source": {"name": "sinkd"}, "diagnostics": found}, indent=2)


def _diagnostics(file: "Checked") -> list[dict[str, Any]]:
    lines = Lines(file.text)
    mark = len(codecs.BOM_UTF8) if file.data.startswith(codecs.BOM_UTF8) else 0

    def position(line: int, column: int) -> dict[str, int]:
        before = lines[line - 1][: column - 1] if line <= len(lines) else ""
        return {"line": line, "column": len(before.encode()) + 1 + (mark if line == 1 else 0)}

    def place(span: Span) -> dict[str, dict[str, int]]:
        return {"start": position(*span[:2]), "end": position(*span[2:])}

    return [_diagnostic(file.path, found, place) for found in file.found]


def _diagnostic(
    path: str, found: Diagnostic, place: Callable[[Span], dict[str, dict[str, int]]]
) -> dict[str, Any]:
    result: dict[str, Any] = {
        "message": "\n".join([found.message, *advice(found)]),
        "location": {"path": path, "range": place(found.span)},
        "severity": found.severity.upper(),
        "code": {"value": found.code},
    }
    if found.fix:
        result["suggestions"] = [{"range": place(found.fix.span), "text": found.fix.text}]
    return result
