"""What is wrong with a jobs file: the rules, one object per finding, and how it is shown.

A `Diagnostic` holds all that any output format shows; renderers add nothing and decide nothing.
Lines and columns count characters from 1; a span ends before its end column.
"""

import bisect
import itertools
import re
import unicodedata
from array import array
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, NamedTuple, TypeAlias

Severity = Literal["error", "warning"]


_LINE_LIMIT: Final = 160  # characters of a line that are shown
_COLORS: Final = {"error": "1;31", "warning": "1;33", "gutter": "34", "bold": "1"}
_LINE_BREAK = re.compile(r"\r\n|\n|\r")
_Paint: TypeAlias = Callable[[str, str], str]


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
    "SNK201": Rule("many runs start in one minute", "warning"),
    "SNK202": Rule("many runs call one host in one minute", "warning"),
    "SNK203": Rule("more runs are due in a minute than may start in time", "warning"),
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
    "SNK311": Rule("two jobs send one request in the same minute", "warning"),
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
    return f"`{harmless(text)}`"


def harmless(text: str) -> str:
    """Return a text with a tab as an arrow, and what cannot be printed as U+FFFD.

    A jobs file must not be able to write to a terminal, or to begin a line of a CI log.
    """
    if text.isprintable():
        return text
    return "".join(
        "→" if character == "\t" else character if character.isprintable() else "\ufffd"
        for character in text
    )


class Counts(NamedTuple):
    """How many errors and warnings there are, and how many of both have a safe fix."""

    errors: int
    warnings: int
    fixable: int


def count(diagnostics: Iterable[Diagnostic]) -> Counts:
    """Count the diagnostics."""
    found = list(diagnostics)
    errors = sum(diagnostic.severity == "error" for diagnostic in found)
    fixable = sum(diagnostic.fix is not None and diagnostic.fix.safe for diagnostic in found)
    return Counts(errors, len(found) - errors, fixable)


def strict(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Return the diagnostics with each warning as an error."""
    return [replace(diagnostic, severity="error") for diagnostic in diagnostics]


class Lines(Sequence[str]):
    """The lines of a text as spans count them, without their breaks.

    They are looked for as far as somebody asks: a text may have millions.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._starts = array("I", [0])
        self._breaks = _LINE_BREAK.finditer(text)
        self._latest = (0, "")  # a line may have megabytes, and a thousand findings

    def __len__(self) -> int:
        while self._find_more():
            pass
        return len(self._starts)

    def __getitem__(self, index: Any) -> Any:  # noqa: ANN401 (slices are not taken)
        if not self._has(index + 1):
            raise IndexError(index)
        return self.line(index + 1)

    def line(self, number: int) -> str:
        """Return a line, counted from 1; empty beyond the last."""
        if self._latest[0] != number:
            begin = self.start(number) if self._has(number) else len(self._text)
            end = self.start(number + 1) if self._has(number + 1) else len(self._text)
            self._latest = number, self._text[begin:end].rstrip("\r\n")
        return self._latest[1]

    def start(self, number: int) -> int:
        """Return the offset at which a line begins, counted from 1; IndexError beyond the last."""
        self._has(number)
        return self._starts[number - 1]

    def number(self, offset: int) -> int:
        """Return the line in which an offset stands, counted from 1."""
        while self._starts[-1] <= offset and self._find_more():
            pass
        return bisect.bisect_right(self._starts, offset)

    def _has(self, number: int) -> bool:
        while len(self._starts) < number and self._find_more():
            pass
        return len(self._starts) >= number

    def _find_more(self) -> bool:
        known = len(self._starts)
        self._starts.extend(found.end() for found in itertools.islice(self._breaks, 1000))
        return len(self._starts) > known


def as_text(path: str, text: str, diagnostics: Collection[Diagnostic], *, color: bool) -> str:
    """Return the diagnostics of one file for a terminal, each with its lines, and a summary."""
    lines = Lines(text)
    paint = _paint if color else _plain
    path = harmless(path)
    blocks = [_block(path, lines, diagnostic, paint) for diagnostic in diagnostics]
    return "\n\n".join([*blocks, summary(path, diagnostics)])


def summary(path: str, diagnostics: Iterable[Diagnostic]) -> str:
    """Return how many problems a file has and what `--fix` can do about them."""
    errors, warnings, fixable = count(diagnostics)
    text = f"{harmless(path)}: {_number(errors, 'error')}"
    if warnings:
        text += f", {_number(warnings, 'warning')}"
    if fixable:
        text += f". {fixable:,} can be fixed with `sinkd validate --fix`."
    return text


def _number(number: int, word: str) -> str:
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def as_concise(path: str, diagnostics: Iterable[Diagnostic]) -> str:
    """Return a line for each diagnostic: `jobs.yaml:5:7: error[SNK101] message (label)`."""
    return "\n".join(
        f"{harmless(path)}:{found.span.line}:{found.span.column}: {found.severity}[{found.code}] "
        f"{found.message}" + (f" ({found.label})" if found.label else "")
        for found in diagnostics
    )


def as_json(files: Mapping[str, Iterable[Diagnostic]]) -> dict[str, Any]:
    """Return the diagnostics of each file as `validate.schema.json` declares them."""
    found = [(path, diagnostic) for path, listed in files.items() for diagnostic in listed]
    return {
        "files": list(files),
        "diagnostics": [_json(path, diagnostic) for path, diagnostic in found],
        "summary": count(diagnostic for _, diagnostic in found)._asdict(),
    }


def _json(path: str, found: Diagnostic) -> dict[str, Any]:
    fix = found.fix
    return {
        "code": found.code,
        "severity": found.severity,
        "message": found.message,
        "label": found.label,
        "path": path,
        "job": found.job,
        "range": _json_range(found.span),
        "help": list(found.help),
        "related": [{"range": _json_range(span), "label": label} for span, label in found.related],
        "fix": fix and {"range": _json_range(fix.span), "text": fix.text, "safe": fix.safe},
    }


def _json_range(span: Span) -> dict[str, dict[str, int]]:
    return {
        "start": {"line": span.line, "column": span.column},
        "end": {"line": span.end_line, "column": span.end_column},
    }


def _paint(color: str, text: str) -> str:
    return f"\x1b[{_COLORS[color]}m{text}\x1b[0m"


def _plain(_: str, text: str) -> str:
    return text


def _block(path: str, lines: Lines, found: Diagnostic, paint: _Paint) -> str:
    """Return a diagnostic with the lines that it is about."""
    marks = [(found.span, "^", found.label), *((span, "-", label) for span, label in found.related)]
    shown = {span.line for span, _, _ in marks}
    if found.context:
        shown.add(found.context)
    width = len(str(max(shown)))
    gutter = paint("gutter", f"{'':{width}} |")
    head = paint(found.severity, f"{found.severity}[{found.code}]")
    result = [
        f"{head}: {paint('bold', found.message)}",
        f"{'':{width}}{paint('gutter', '-->')} {path}:{found.span.line}:{found.span.column}",
        gutter,
    ]
    before = 0
    for line in _with_single_gaps(shown):
        if before and line > before + 1:
            result.append(paint("gutter", f"{'':{width}} :"))
        before = line
        here = [span.column for span, _, _ in marks if span.line == line]
        text, cut = _window(lines.line(line), min(here, default=1))
        result.append(f"{paint('gutter', f'{line:>{width}} |')} {harmless(text)}".rstrip())
        for span, mark, label in marks:
            if span.line == line:
                under = _underline(text, span, mark, cut)
                note = paint(found.severity if mark == "^" else "gutter", f"{under[1]} {label}")
                result.append(f"{gutter} {under[0]}{note}".rstrip())
    if found.help:
        result.append(gutter)
        equals = paint("gutter", f"{'':{width}} =")
        result += [f"{equals} help: {text}" for text in found.help]
    return "\n".join(result)


def _with_single_gaps(lines: Iterable[int]) -> list[int]:
    """Add the lines that stand alone between two that are shown."""
    shown = sorted(lines)
    gaps = [line + 1 for line, after in itertools.pairwise(shown) if after == line + 2]
    return sorted([*shown, *gaps])


def _window(line: str, column: int) -> tuple[str, int]:
    """Return the part of a long line that holds a column, and how many characters it leaves out."""
    if len(line) <= _LINE_LIMIT:
        return line, 0
    cut = max(0, min(column - _LINE_LIMIT // 4, len(line) - _LINE_LIMIT))
    part = line[cut : cut + _LINE_LIMIT]
    part = f"…{part[1:]}" if cut else part
    return (f"{part[:-1]}…" if cut + _LINE_LIMIT < len(line) else part), cut


def _underline(line: str, span: Span, mark: str, cut: int) -> tuple[str, str]:
    """Return the blanks and the marks below a span, by the width that a terminal gives them."""
    start = span.column - 1 - cut
    end = span.end_column - 1 - cut if span.end_line == span.line else len(line.rstrip())
    return " " * _width(line[:start]), mark * max(1, _width(line[start:end]))


def _width(text: str) -> int:
    """Return how many columns a text takes: wide characters two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(
        0
        if unicodedata.combining(character)
        else 1 + (unicodedata.east_asian_width(character) in "WF")
        for character in text
    )
