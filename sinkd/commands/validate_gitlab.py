"""Findings as a GitLab Code Quality report: https://docs.gitlab.com/ci/testing/code_quality/."""

import json
from typing import TYPE_CHECKING, Any, Final

from sinkd.commands.validate_places import Placed, advice, placed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sinkd.commands.validate import Checked

_SEVERITIES: Final = {"error": "major", "warning": "minor"}


def render(files: "Sequence[Checked]") -> str:
    """Return the report, a JSON array."""
    return json.dumps([_issue(place) for place in placed(files)], indent=2)


def _issue(place: Placed) -> dict[str, Any]:
    found, span = place.found, place.found.span
    told = "; ".join(advice(found))
    return {
        "description": f"{found.message} ({told})" if told else found.message,
        "check_name": found.code,
        "fingerprint": place.fingerprint,
        "severity": _SEVERITIES[found.severity],
        "location": {
            "path": place.path,
            # Old versions know lines alone.
            "lines": {"begin": span.line, "end": span.end_line},
            "positions": {
                "begin": {"line": span.line, "column": span.column},
                "end": {"line": span.end_line, "column": span.end_column},
            },
        },
    }
