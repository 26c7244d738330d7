"""What to say when a text is not YAML or not UTF-8: the parser's few words, a look at the lines.

The parser names a place near the mistake; people need the mistake. A text is parsed here only to
see whether another indent would have been right.
"""

import codecs
import re
from collections.abc import Iterable
from typing import Final

import yaml

from sinkd.diagnostics import Diagnostic, Edit, Related, quoted
from sinkd.document import Document, parse

_STOPPED: Final = "nothing after this line was checked"
_OF_BLOCKS: Final = (
    "mapping values are not allowed",
    "did not find expected key",
    "did not find expected '-' indicator",
    "block sequence entries are not allowed",
)
_NO_SPACE: Final = re.compile(r" *([\t\u00a0])")
_ITEM: Final = re.compile(r"( *)((?:- +)*)")
_OPENS_A_BLOCK: Final = re.compile(r"(?::|-|[|>][-+0-9]*)(?: +#.*)? *$")
_BEFORE_VALUE: Final = re.compile(r": +(?=[^\s'\"|>\[{#])")
_LINES_LOOKED_AT: Final = 100
_LINES_LOOKED_BACK: Final = 10_000
_TIGHT: Final = re.compile(r" *(?:- +)*(?P<text>[a-z_]+:[^\s/:]+)\s*$")
_CLOSING: Final = {"[": "]", "{": "}"}


def explain(document: Document, error: yaml.MarkedYAMLError) -> Diagnostic:
    """Return the problem for which the parser gave up."""
    return _Explanation(document, error).problem()


def not_utf8(document: Document, data: bytes) -> Diagnostic:
    """Return the problem of a file in another encoding; `document` holds what was readable."""
    end = len(document.text)
    byte = data[len(document.text.encode())]
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    message = "the file is UTF-16" if utf16 else f"the byte 0x{byte:02X} is not UTF-8"
    return Diagnostic("SNK005", message, document.span(end, end + 1), "save the file as UTF-8")


class _Explanation:
    """Looks for the mistake around the place that the parser named.

    `start` is where the construct begins that could not be finished, `place` where it stopped.
    """

    def __init__(self, document: Document, error: yaml.MarkedYAMLError) -> None:
        self.document = document
        self.text = document.text
        self.words = error.problem or error.context or "it cannot be read"
        self.construct = error.context or ""
        self.place = int(error.problem_mark.index) if error.problem_mark else 0
        self.start = int(error.context_mark.index) if error.context_mark else self.place
        self.number = self._line_number(self.place)

    def problem(self) -> Diagnostic:
        """Return the first explanation that fits."""
        return (
            self._tab()
            or self._indent()
            or self._quote()
            or self._bracket()
            or self._first_character()
            or self._colon()
            or self._block()
            or self._because(f"not YAML: {self.words}", self.place, self.place + 1)
        )

    def _because(
        self,
        message: str,
        start: int,
        end: int,
        label: str = "",
        *,
        advice: str = "",
        related: Iterable[Related] = (),
        fix: Edit | None = None,
    ) -> Diagnostic:
        span = self.document.span(start, max(start + 1, end))
        helps = (advice, _STOPPED) if advice else (_STOPPED,)
        return Diagnostic("SNK001", message, span, label, helps, tuple(related), fix=fix)

    def _line_number(self, index: int) -> int:
        """Return the line of an offset, from 0; the end of the text is on its last line."""
        return self.document.span(min(index, len(self.text.rstrip(" \t\r\n"))), index).line - 1

    def _tab(self) -> Diagnostic | None:
        """A tab, or another blank than a space, stands before the first word of a line."""
        first = max(self._line_number(self.start), self.number - _LINES_LOOKED_AT)
        for number in range(max(0, min(first, self.number - 1)), self.number + 1):
            found = _NO_SPACE.match(self.document.line(number + 1))
            if found and (number >= first or found[1] != "\t"):  # in a text a tab may begin a line
                begin = self.document.lines.start(number + 1) + found.start(1)
                advice = f"YAML allows only spaces; this file uses {self._step()} per level"
                name = "tab" if found[1] == "\t" else "no-break space"
                message = f"a {name} is used for indentation"
                return self._because(message, begin, begin + 1, f"{name} here", advice=advice)
        return None

    def _step(self) -> int:
        """Return how many spaces indent a level in this file."""
        lines = self.text.splitlines()
        return min(
            (len(line) - len(line.lstrip(" ")) for line in lines if line[:1] == " "), default=2
        )

    def _indent(self) -> Diagnostic | None:
        """A line begins below none of the lines above it; another indent would be right."""
        if not self.words.startswith(_OF_BLOCKS):
            return None
        levels, above = self._levels()
        line = self.document.line(self.number + 1)
        have = len(line) - len(line.lstrip(" "))
        if (
            have in levels
            or not levels
            or (have > levels[-1] and _OPENS_A_BLOCK.search(self.document.line(above + 1)))
        ):
            return None
        wanted = min(reversed(levels), key=lambda level: abs(level - have))
        begin = self.document.lines.start(self.number + 1)
        if not self._is_right(begin, have, wanted):
            return None
        fix = Edit(self.document.span(begin, begin + have), " " * wanted)
        upper = self.document.lines.start(above + 1)
        indent = len(self.document.line(above + 1)) - len(self.document.line(above + 1).lstrip(" "))
        related = Related(self.document.span(upper, upper + indent), _spaces(indent))
        return self._because(
            "this line is indented " + ("too far" if have > wanted else "too little"),
            begin,
            begin + have,
            f"{_spaces(have)}, should be {wanted}",
            related=[related] if indent else [],
            fix=fix,
        )

    def _levels(self) -> tuple[list[int], int]:
        """Return the indents that are open before the line, and the last line above with words."""
        levels: list[int] = []
        above: int | None = None
        for number in range(self.number - 1, max(-1, self.number - 1 - _LINES_LOOKED_BACK), -1):
            line = self.document.line(number + 1)
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            found = _ITEM.match(line)
            indent = len(found[1]) if found else 0
            inner = [indent + len(found[2])] if found and found[2] else []
            levels[:0] = [each for each in (indent, *inner) if not levels or each < levels[0]]
            above = number if above is None else above
            if indent == 0:
                break
        return levels, above or 0

    def _is_right(self, begin: int, have: int, wanted: int) -> bool:
        """Say whether the text can be read further when a line is indented as wanted."""
        repaired = self.text[:begin] + " " * wanted + self.text[begin + have :]
        try:
            for event in parse(repaired):
                if event.start_mark.line > self.number:
                    return True
        except yaml.MarkedYAMLError as error:
            return error.problem_mark is not None and error.problem_mark.line > self.number
        return True

    def _quote(self) -> Diagnostic | None:
        """A quote is never closed, or something follows the closing one."""
        if "quoted scalar" in self.construct:
            if "escape" in self.words or "hexdecimal" in self.words:
                message = "this escape is not known in double quotes"
                label = "write `\\\\` for a backslash, or use single quotes"
                return self._because(message, self.place - 1, self.place + 1, label)
            return self._because(
                "this quote is never closed", self.start, self.start + 1, "opened here"
            )
        before = self.text[: self.place].rstrip(" ")
        if self.words.startswith(_OF_BLOCKS) and before[-1:] in {'"', "'"}:
            message = "text follows the closing quote"
            label = "quote all of it" if before[-1:] == '"' else "write `''` for a `'` inside"
            return self._because(message, self.place, self._end_of_line(), label)
        return None

    def _end_of_line(self) -> int:
        start = self.document.lines.start(self.number + 1)
        return start + len(self.document.line(self.number + 1).rstrip(" \t\r\n"))

    def _bracket(self) -> Diagnostic | None:
        """A bracket is never closed, is closed by another kind, or lacks a comma inside."""
        found = self.text[self.place :][:1]
        if "expected node content" in self.words or found in _CLOSING.values():
            if (start := self._open_bracket()) is not None:
                self.start = start
            elif found in _CLOSING.values():
                message = f"this `{found}` closes nothing"
                return self._because(message, self.place, self.place + 1, "remove it")
        opening = self.text[self.start : self.start + 1]
        if "flow" not in self.construct or opening not in _CLOSING:
            return None
        closing = _CLOSING[opening]
        if found == ",":
            message = "a value is missing before this `,`"
            return self._because(message, self.place, self.place + 1, "remove it")
        related = [Related(self.document.span(self.start, self.start + 1), "opened here")]
        if found in _CLOSING.values():
            message = f"`{found}` cannot close `{opening}`"
            label = f"write `{closing}`"
            return self._because(message, self.place, self.place + 1, label, related=related)
        if self._line_number(self.start) == self.number and self.place < len(
            self.text.rstrip(" \t\r\n")
        ):
            message = f"a `,` or `{closing}` is missing before this"
            return self._because(message, self.place, self.place + 1, related=related)
        message = f"this `{opening}` is never closed"
        return self._because(message, self.start, self.start + 1, f"add a `{closing}`")

    def _open_bracket(self) -> int | None:
        """Return the offset of the innermost bracket that is open where the parser stopped."""
        opened: list[int] = []
        try:
            for event in parse(self.text):
                if getattr(event, "flow_style", False):
                    opened.append(event.start_mark.index)
                elif isinstance(event, yaml.CollectionEndEvent) and opened:
                    opened.pop()
        except yaml.MarkedYAMLError:
            pass
        return opened[-1] if opened else None

    def _first_character(self) -> Diagnostic | None:
        """A value begins with a character that YAML keeps for itself."""
        character = self.text[self.start : self.start + 1]
        if "expected node content" in self.words:
            character = self.text[self.place : self.place + 1]
            message = f"{quoted(character)} stands where a value belongs"
            return self._because(message, self.place, self.place + 1, "quote it, or remove it")
        if character in set("@`%*&!") and "scanning" in self.construct:
            name = "a backtick" if character == "`" else f"`{character}`"
            message = f"a value cannot begin with {name}"
            end = self._end_of_line()
            return self._because(
                message, self.start, max(end, self.start + 1), "write it in quotes"
            )
        return None

    def _block(self) -> Diagnostic | None:
        """A line is not of the kind of those above, or something follows a mark on its line."""
        if "expected '-' indicator" in self.words:
            message, label = "an item is expected here", "the lines above are a list: write `- `"
            return self._because(message, self.place, self._end_of_line(), label)
        if self.words.startswith("did not find expected key"):
            message, label = "a key is expected here", "the lines above are `key: value`"
            return self._because(message, self.place, self._end_of_line(), label)
        if self.words.startswith("block sequence entries"):
            message = "a list cannot begin on the line of its key"
            return self._because(message, self.place, self.place + 1, "begin it on the next line")
        if "block scalar" in self.construct and "comment or line break" in self.words:
            message = f"text cannot follow {quoted(self.text[self.start])} on its line"
            label = "begin it on the next line"
            return self._because(message, self.place, self._end_of_line(), label)
        return None

    def _colon(self) -> Diagnostic | None:
        """A value holds `: `, or a line holds no `: ` at all."""
        begin = self.document.lines.start(self.number + 1)
        if self.words.startswith("mapping values") and (tight := self._tight_colon()):
            return tight
        line = self.document.line(self.number + 1).rstrip()
        found = _BEFORE_VALUE.search(line)
        if (
            self.words.startswith("mapping values")
            and found
            and "#" not in line[: found.start()]
            and begin + found.end() < self.place
        ):
            start, end = found.end(), len(line)
            message = "a value with `: ` in it must be quoted"
            return self._because(message, begin + start, begin + end, "write it in quotes")
        if "unexpected ':'" in self.words:
            start = self.text.rfind(":", 0, self.place + 1)
            message = "a blank is missing after this `:`"
            return self._because(message, start, start + 1, "write `: `")
        if "could not find expected ':'" in self.words:
            line = self.text[self.start :].splitlines()[0].rstrip(" \t\r\n")
            message = "this line is neither `key: value` nor `- item`"
            label = "write a blank after `:`" if ":" in line else "a `:` is missing"
            return self._because(message, self.start, self.start + len(line), label)
        return None

    def _tight_colon(self) -> Diagnostic | None:
        """The line above lacks the blank after its `:`, so that it goes on in this one."""
        above = max(self._levels()[1], 0)
        found = _TIGHT.match(self.document.line(above + 1)) if above < self.number else None
        if found is None:
            return None
        begin = self.document.lines.start(above + 1)
        message = "this line is neither `key: value` nor `- item`"
        start, end = found.span("text")
        return self._because(message, begin + start, begin + end, "write a blank after `:`")


def _spaces(number: int) -> str:
    return "no spaces" if number == 0 else "1 space" if number == 1 else f"{number} spaces"
