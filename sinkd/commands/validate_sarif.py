"""Findings as SARIF 2.1.0, for code scanning: rules with their explanation, places and fixes.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

import json
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from sinkd import __version__
from sinkd.commands.explain import rule_markdown, rule_text
from sinkd.commands.validate_places import Placed, advice, placed
from sinkd.diagnostics import RULES, Edit, Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sinkd.commands.validate import Checked

_SCHEMA: Final = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)


def render(files: "Sequence[Checked]") -> str:
    """Return one SARIF log with one run."""
    found = list(placed(files))
    codes = sorted({place.found.code for place in found})
    run = {
        "tool": {
            "driver": {
                "name": "sinkd",
                "semanticVersion": __version__,
                "rules": [_rule(code) for code in codes],
            }
        },
        "columnKind": "unicodeCodePoints",
        "newlineSequences": ["\r\n", "\n", "\r"],
        "results": [_result(place, codes.index(place.found.code)) for place in found],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def _rule(code: str) -> dict[str, Any]:
    rule = RULES[code]
    return {
        "id": code,
        "shortDescription": {"text": rule.title},
        "help": {"text": rule_text(code), "markdown": rule_markdown(code)},
        "helpUri": f"urn:sinkd:rule:{code}",
        "defaultConfiguration": {"level": rule.severity},
    }


def _result(place: Placed, rule_index: int) -> dict[str, Any]:
    found = place.found
    result: dict[str, Any] = {
        "ruleId": found.code,
        "ruleIndex": rule_index,
        "level": found.severity,
        "message": _message("\n".join([found.message, *advice(found)])),
        "locations": [_location(place.path, found.span)],
        "partialFingerprints": {"sinkdFinding/v1": place.fingerprint},
    }
    if found.related:
        result["relatedLocations"] = [
            {"id": number, **_location(place.path, span), "message": _message(label)}
            for number, (span, label) in enumerate(found.related)
        ]
    if found.fix:
        result["fixes"] = [_fix(place.path, found.label, found.fix)]
    return result


def _message(text: str) -> dict[str, str]:
    """Return a message in which no value of a file makes a link, `[text](target)`."""
    return {"text": text.replace("](", "\\](")}


def _location(path: str, span: Span) -> dict[str, Any]:
    return {"physicalLocation": {"artifactLocation": _artifact(path), "region": _region(span)}}


def _artifact(path: str) -> dict[str, str]:
    whole = PurePath(path)
    return {"uri": whole.as_uri() if whole.is_absolute() else quote(path)}


def _region(span: Span) -> dict[str, int]:
    return {
        "startLine": span.line,
        "startColumn": span.column,
        "endLine": span.end_line,
        "endColumn": span.end_column,
    }


def _fix(path: str, label: str, fix: Edit) -> dict[str, Any]:
    replacement = {"deletedRegion": _region(fix.span), "insertedContent": {"text": fix.text}}
    doubt = "" if fix.safe else " (a guess: look at it first)"
    return {
        "description": _message(f"{label}{doubt}"),
        "artifactChanges": [
            {"artifactLocation": _artifact(path), "replacements": [replacement]},
        ],
    }
