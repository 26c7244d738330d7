"""The JSON Schemas of the jobs file, the run log and the commands' answers, made from their types.

`schemas/` holds them as files, and a test fails when a file differs from what this module makes.
"""

import json
from typing import Annotated, Any, Final

from pydantic import Field, TypeAdapter

from sinkd.answers import (
    Audit,
    Badge,
    JobRuns,
    JobsNow,
    Plan,
    RunningConfig,
    Status,
    Validate,
    Why,
)
from sinkd.jobsfile import ADAPTER
from sinkd.record import REASONS, Event, Run

_ANSWERS: Final[dict[str, Any]] = {
    "plan": Plan, "why": Why, "audit": Audit, "status": Status, "validate": Validate,
    "api-jobs": JobsNow, "api-runs": JobRuns, "api-config": RunningConfig, "badge": Badge,
}  # fmt: skip
NAMES: Final = ("jobs", "run", "event", *_ANSWERS)
_PATHS: Final = {
    "api-jobs": "sinkd /api/v1/jobs",
    "api-runs": "sinkd /api/v1/jobs/NAME/runs",
    "api-config": "sinkd /api/v1/config",
    "badge": "sinkd /badge/NAME.json",
}
_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"


def text(name: str) -> str:
    """Return the schema of a name in `NAMES` as it stands in its file."""
    return json.dumps(schema(name), indent=2, ensure_ascii=False) + "\n"


def schema(name: str) -> dict[str, Any]:
    """Return the schema of a name in `NAMES`, draft 2020-12."""
    special = {"jobs": _jobs, "run": _run, "event": _event}
    title, body = special[name]() if name in special else _answer(name)
    return {"$schema": _DRAFT, "$id": f"urn:sinkd:schema:{name}:1", "title": title, **_tidy(body)}


def _jobs() -> tuple[str, dict[str, Any]]:
    body = ADAPTER.json_schema()
    ignored = {"description": "For editors; ignored by sinkd.", "type": "string"}
    body["properties"] = {"$schema": ignored, **body["properties"]}
    return "sinkd jobs file, version 1", body


def _run() -> tuple[str, dict[str, Any]]:
    body = TypeAdapter(Run).json_schema()
    body["allOf"] = [
        {
            "if": {"properties": {"outcome": {"const": outcome}}},
            "then": {"properties": {"reason": {"enum": list(reasons)}}, "required": ["reason"]}
            if reasons
            else {"not": {"required": ["reason"]}},
        }
        for outcome, reasons in REASONS.items()
    ]
    return "sinkd run record, version 1", body


def _event() -> tuple[str, dict[str, Any]]:
    known: Any = Annotated[Event, Field(discriminator="event")]
    body = TypeAdapter(known).json_schema()
    del body["discriminator"]  # a word of OpenAPI
    return "sinkd event, version 1", body


def _answer(name: str) -> tuple[str, dict[str, Any]]:
    title = _PATHS.get(name, f"sinkd {name} -o json, version 1")
    return title, TypeAdapter(_ANSWERS[name]).json_schema()


def _tidy(node: Any) -> Any:  # noqa: ANN401 (any part of a schema)
    """Close mappings whose keys have a pattern; lift the words of a nullable field to the field."""
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    tidy = {key: _tidy(value) for key, value in node.items() if key != "title"}
    if "patternProperties" in tidy:
        tidy.setdefault("additionalProperties", False)
    for choice in tidy.get("anyOf", ()):
        for words in ("description", "examples"):
            if words in choice:
                tidy[words] = choice.pop(words)
    return tidy
