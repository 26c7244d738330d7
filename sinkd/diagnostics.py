"""What is wrong with a jobs file: the rules, one object per finding, and how it is shown.

A `Diagnostic` holds all that any output format shows; renderers add nothing and decide nothing.
Lines and columns count characters from 1; a span ends before its end column.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

Severity = Literal["error", "warning"]


class Rule(NamedTuple):
    """What a code stands for: SNK0xx syntax, 1xx fields, 2xx the whole set, 3xx warnings."""

    title: str
    severity: Severity = "error"


RULES: Final[Mapping[str, Rule]] = {
    "SNK001": Rule("not YAML"),
    "SNK002": Rule("empty file"),
    "SNK003": Rule("duplicate key"),
    "SNK004": Rule("YAML feature that is not supported"),
    "SNK005": Rule("character or encoding that is not allowed"),
    "SNK006": Rule("too deep or too big"),
    "SNK101": Rule("unknown field"),
    "SNK102": Rule("required field missing"),
    "SNK103": Rule("`true` or `false` expected"),
    "SNK104": Rule("whole number expected"),
    "SNK105": Rule("one of a list expected"),
    "SNK106": Rule("URL not allowed"),
    "SNK107": Rule("name not allowed"),
    "SNK108": Rule("text expected"),
    "SNK109": Rule("out of range"),
    "SNK110": Rule("two jobs with one name"),
    "SNK111": Rule("mapping or list expected"),
    "SNK112": Rule("`cron` is not a field"),
    "SNK113": Rule("field at the wrong level"),
    "SNK114": Rule("reference not allowed"),
    "SNK115": Rule("header not allowed"),
    "SNK116": Rule("body not allowed"),
    "SNK117": Rule("time of day or time zone not allowed"),
    "SNK118": Rule("fields that exclude each other"),
    "SNK301": Rule("`http://` to a public host", "warning"),
    "SNK302": Rule("interval that does not divide a day", "warning"),
    "SNK303": Rule("literal that looks like a secret", "warning"),
    "SNK304": Rule("`start_minute` not below the interval", "warning"),
    "SNK305": Rule("default header with a reference for several hosts", "warning"),
    "SNK306": Rule("catch-up not below the interval", "warning"),
    "SNK307": Rule("JSON content type without a body", "warning"),
    "SNK308": Rule("text body without a content type", "warning"),
    "SNK309": Rule("abbreviation as time zone", "warning"),
    "SNK310": Rule("timeout not below the interval", "warning"),
}


class Span(NamedTuple):
    """A piece of the file from its first character to the one after its last, counted from 1."""

    line: int
    column: int
    end_line: int
    end_column: int


class Related(NamedTuple):
    """Another place that a finding is about."""

    span: Span
    label: str


class Edit(NamedTuple):
    """A replacement that repairs the file; `safe` when it cannot change what the author meant."""

    span: Span
    text: str
    safe: bool = True


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding: what is wrong, where, and what to write instead.

    `message` names value and rule, `label` stands at the caret and gives the fix. `context` is a
    line shown for orientation, that of the job's name.
    """

    code: str
    message: str
    span: Span
    label: str = ""
    help: tuple[str, ...] = ()
    related: tuple[Related, ...] = ()
    job: str | None = None
    fix: Edit | None = None
    context: int | None = None
    severity: Severity = "error"


def quoted(text: str, limit: int = 60) -> str:
    """Return a text from the file as it may stand in a message: in backticks, harmless, short."""
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    return "`" + _harmless(text).replace("→", " ") + "`"


def _harmless(text: str) -> str:
    """Show a tab as an arrow and what cannot be printed as U+FFFD: files do not write to terminals."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        "→" if character == "\t" else character if character.isprintable() else "\ufffd"
        for character in text
    )


def counts(diagnostics: Iterable[Diagnostic]) -> dict[str, int]:
    """Return how many errors and warnings there are, and how many have a safe fix."""
    found = list(diagnostics)
    errors = sum(diagnostic.severity == "error" for diagnostic in found)
    fixable = sum(diagnostic.fix is not None and diagnostic.fix.safe for diagnostic in found)
    return {"errors": errors, "warnings": len(found) - errors, "fixable": fixable}
