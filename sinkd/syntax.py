"""What to say when a text is not YAML or not UTF-8: the parser's few words, a look at the lines.

The parser names a place near the mistake; people need the mistake. What is plainly something else
than YAML is known by its lines, the rest by the parser's words and what stands around the place.
A text is parsed here only to see whether another indent would have been right.
"""

import codecs
import re
from collections.abc import Iterable
from typing import Final

import yaml

from sinkd.diagnostics import Diagnostic, Edit, Related, quoted
from sinkd.document import DEPTH_LIMIT, Document, parse
from sinkd.values import CRONTAB, MAKE_OF_CRONTAB

_STOPPED: Final = "nothing after this line was checked"
_OF_BLOCKS: Final = (
    "mapping values are not allowed",
    "did not find expected key",
    "did not find expected '-' indicator",
    "block sequence entries are not allowed",
)
# How a line begins that is no YAML, what it is, and what to do; a group is the part to point at.
_FOREIGN: Final = {
    re.compile(pattern): said
    for pattern, said in {
        CRONTAB: ("this is a line of a crontab", MAKE_OF_CRONTAB),
        r"(?:<{7}|\|{7}|={7}|>{7})(?: |$)": (
            "a merge conflict of git is not resolved",
            "keep one side, and remove the lines of `<<<<<<<`, `=======` and `>>>>>>>`",
        ),
        r"```": ("this is a fence of Markdown", "remove it, and the one at the end"),
        r"<(?:[!?]|html)": (
            "this is a web page, not a jobs file",
            "fetch the file itself, not the page that shows it",
        ),
        r"(?:diff|---|\+\+\+|@@) [\w/.-]": (
            "this is a diff, not the file", "apply it with `git apply`",
        ),
        r"\[[A-Z]\w*\]$": (
            "this is a section of an INI file, as systemd has them",
            "write `version: 1` and `jobs:`",
        ),
        r"[ -]+(\.\.\.|\u2026)$": ("something was left out here", "write it, or remove the dots"),
        r" *(?:- +)*(\{[{%].*)": ("a template is not filled in", "let its tool write the file"),
        r"(?:[^#]*\s)?((?://|/\*)[^\"']*)$": ("this is no comment in YAML", "begin it with `#`"),
        r" *(-)name *:": ("a blank is missing after this `-`", "write `- `"),
        r" *([\u2010-\u2015\u2022\u2212*+]) *name *:": (
            "this mark begins no item of a list", "type `- `",
        ),
        r"[^#\"'\u00a0]*[^\s#\"'](\u00a0)": (
            "a no-break space (U+00A0) is used as a blank", "type a space",
        ),
        r" *(?:- +)*[\w-]+ *(\uff1a)": (
            "this is a full-width colon, a letter to YAML", "type `: `",
        ),
    }.items()
}  # fmt: skip
# The parser's construct and words, what they mean, and what to do.
_WORDS: Final = {
    ("", "expected '-' indicator"): (
        "an item is expected here",
        "indent it like what follows the `- ` above, or begin an item with `- `",
    ),
    ("", "did not find expected key"): (
        "a key is expected here", "the lines above are `key: value`",
    ),
    ("", "block sequence entries"): (
        "a list cannot begin on the line of its key", "begin it on the next line",
    ),
    ("block scalar", "comment or line break"): (
        "text cannot follow `|` or `>` on its line", "begin it on the next line",
    ),
    ("", "expected <document start>"): (
        "nothing can follow here: the file is complete above", "remove it",
    ),
    ("next token", "cannot start any token"): (
        "a tab stands where only spaces may", "type a space",
    ),
    ("", "mapping values"): ("a `: ` cannot stand here", "write the value in quotes"),
}  # fmt: skip
_VALUE_SO_FAR: Final = re.compile(r"(?:: +|, *|\[ *)([^,\[\]{}]*)\Z")
_STEP: Final = re.compile(r"\*/([0-9]+) *(?=[,}#\n]|\Z)")  # a field of cron
_BODY: Final = re.compile(r"\b(?:body|data|payload): *\Z")
_INDENTED_FIRST: Final = re.compile(r"(?: *(?:#.*)?\n)*?( +)(?=[^\s#])")
_HERE: Final = re.compile(r"\s|.*\S|")
_ESCAPE: Final = re.compile(r"\\(?:[xuU][0-9a-fA-F]*|.|)", re.DOTALL)
_NO_SPACE: Final = re.compile(r" *([\t\u00a0])")
_ITEM: Final = re.compile(r"( *)((?:- +)*)")
_OPENS_A_BLOCK: Final = re.compile(r"(?::|-|[|>][-+0-9]*)(?: +#.*)? *$")
_BEFORE_VALUE: Final = re.compile(r": +(?=[^\s'\"|>\[{#])")
_OPENS_A_MAPPING: Final = re.compile(r" *(?:- +)*(?:schedule|request|headers|labels|defaults|body)")
_LINES_LOOKED_AT: Final = 100
_CHARACTERS_LOOKED_AT: Final = 1000
_LEVELS_TRIED: Final = 3
_LINES_LOOKED_BACK: Final = 10_000
_NO_COLON: Final = re.compile(
    r" *(?:- +)*(?P<text>[^\W\d](?:[^\s:#]|:(?=[^\s/])| (?=[^\s#]))*)\s*$"
)
_CLOSING: Final = {"[": "]", "{": "}"}
_MARKS: Final = {  # that of UTF-32 begins with that of UTF-16
    codecs.BOM_UTF32_LE: "UTF-32", codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16",
}  # fmt: skip


def explain(document: Document, error: yaml.MarkedYAMLError) -> Diagnostic:
    """Return the problem for which the parser gave up."""
    return _Explanation(document, error).problem()


def not_utf8(document: Document, data: bytes) -> Diagnostic:
    """Return the problem of a file in another encoding; `document` holds what was readable."""
    end = len(document.text)
    byte = data[len(document.text.encode())]
    names = (name for mark, name in _MARKS.items() if data.startswith(mark))
    name = next(names, None)
    message = f"the file is {name}" if name else f"the byte 0x{byte:02X} is not UTF-8"
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
            self._foreign()
            or self._tab()
            or self._indent()
            or self._quote()
            or self._reference()
            or self._bracket()
            or self._first_character()
            or self._colon()
            or self._known_words()
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

    def _foreign(self) -> Diagnostic | None:
        """The first line, or one around the place where the parser stopped, is no YAML."""
        for number in (0, self._line_number(self.start), self._levels()[1], self.number):
            line = self.document.line(number + 1)[:_CHARACTERS_LOOKED_AT].rstrip()
            for pattern, (message, label) in _FOREIGN.items():
                if found := pattern.match(line):
                    begin = self.document.lines.start(number + 1)
                    start, end = found.span(1) if found.lastindex else (0, len(line))
                    return self._because(message, begin + start, begin + end, label)
        return None

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
        begin = self.document.lines.start(self.number + 1)
        nearest = sorted(levels, key=lambda level: (abs(level - have), -level))[:_LEVELS_TRIED]
        wanted = next((each for each in nearest if self._is_right(begin, have, each)), None)
        if wanted is None:
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
        depth = 0
        try:
            for event in parse(repaired):
                depth += isinstance(event, yaml.CollectionStartEvent)
                depth -= isinstance(event, yaml.CollectionEndEvent)
                if event.start_mark.line > self.number or depth > DEPTH_LIMIT:
                    return True
        except yaml.MarkedYAMLError as error:
            return error.problem_mark is not None and error.problem_mark.line > self.number
        return True

    def _quote(self) -> Diagnostic | None:
        """A quote is never closed, or something follows the closing one."""
        if "quoted scalar" in self.construct:
            if "escape" in self.words or "hexdecimal" in self.words:
                return self._escape()
            return self._because(
                "this quote is never closed", self.start, self.start + 1, "opened here"
            )
        before = self.text[: self.place].rstrip(" ")
        if self.words.startswith(_OF_BLOCKS) and before[-1:] in {'"', "'"}:
            message = "text follows the closing quote"
            label = "quote all of it" if before[-1:] == '"' else "write `''` for a `'` inside"
            if self.text[self.place : self._end_of_line()] in {",", ";"}:
                label = "remove it"
            return self._because(message, self.place, self._end_of_line(), label)
        if self.words.startswith(_OF_BLOCKS) and before[-1:] in {"]", "}"}:
            message = f"text follows the closing `{before[-1]}`"
            label = "write all of the value in quotes"
            return self._because(message, self.place, self._end_of_line(), label)
        return None

    def _escape(self) -> Diagnostic:
        """A backslash in double quotes begins no escape, or one of no character."""
        message = "this escape is not known in double quotes"
        label = "write `\\\\` for a backslash, or use single quotes"
        if "invalid Unicode" in self.words:
            message = "this escape is no character"
            label = "write the character itself; YAML has no pairs of `\\u` escapes"
        begin = self.text.rfind("\\", self.start, self.place + 1)
        found = _ESCAPE.match(self.text, begin)
        return self._because(message, begin, found.end() if found else begin, label)

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
        if (place := self._within()) is not None:
            message = f"a `,` or `{closing}` is missing before this"
            label = "a value with brackets in it is written in quotes" if found in _CLOSING else ""
            return self._because(message, place, place + 1, label, related=related)
        message = f"this `{opening}` is never closed"
        return self._because(message, self.start, self.start + 1, f"add a `{closing}`")

    def _reference(self) -> Diagnostic | None:
        """A reference stands in brackets of YAML's own, without quotes."""
        if "flow" not in self.construct or self.text[self.place - 1 : self.place + 1] != "${":
            return None
        begin = self.document.lines.start(self.number + 1)
        found = _VALUE_SO_FAR.search(self.text, begin, self.place)
        message = "a value with `${` must be quoted inside of brackets"
        start = found.start(1) if found else self.place - 1
        return self._because(message, start, self.place + 1, "write all of it in quotes")

    def _within(self) -> int | None:
        """Return where the parser stopped, if that can still be inside of the bracket that began.

        That is on the bracket's line, and on one that begins further right than that.
        """
        if self.place >= len(self.text.rstrip(" \t\r\n")):
            return None
        upper = self._line_number(self.start)
        if upper == self.number:
            return self.place
        found, inside = (_ITEM.match(self.document.line(n + 1)) for n in (upper, self.number))
        if not (found and inside and inside.end() > found.end()):
            return None
        return self.document.lines.start(self.number + 1) + inside.end()

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
            end = max(self._end_of_line(), self.start + 1)
            begin = self.document.lines.start(self.number + 1)
            label = "write it in quotes"
            if step := _STEP.match(self.text, self.start):
                label = f"write {step[1]}"
            if character == "@" and _BODY.search(self.text, begin, self.start):  # as for curl
                label = "write the body here: sinkd reads no other file"
            return self._because(message, self.start, end, label)
        return None

    def _colon(self) -> Diagnostic | None:
        """A value holds `: `, or a line holds no `: ` at all."""
        begin = self.document.lines.start(self.number + 1)
        if self.words.startswith("mapping values") and (above := self._no_colon_above()):
            return above
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
            label = "write it in quotes"
            if _OPENS_A_MAPPING.fullmatch(line[: found.start()]):
                message = "a mapping cannot begin on the line of its key"
                label = "begin it on the next line, indented"
            return self._because(message, begin + start, begin + end, label)
        if "unexpected ':'" in self.words:
            start = self.text.rfind(":", 0, self.place + 1)
            message = "a blank is missing after this `:`"
            return self._because(message, start, start + 1, "write `: `")
        if "could not find expected ':'" in self.words:
            number = self._line_number(self.start)
            column = self.start - self.document.lines.start(number + 1)
            return self._no_colon(self.start, self.document.line(number + 1)[column:].rstrip())
        return None

    def _no_colon_above(self) -> Diagnostic | None:
        """The line above lacks its `: `, so that it goes on in this one."""
        above = self._levels()[1]
        found = _NO_COLON.match(self.document.line(above + 1)[:_CHARACTERS_LOOKED_AT])
        item = _ITEM.match(self.document.line(self.number + 1))
        if above == self.number or not (found and item) or found.start("text") != item.end():
            return None
        begin = self.document.lines.start(above + 1)
        return self._no_colon(begin + found.start("text"), found["text"])

    def _no_colon(self, start: int, text: str) -> Diagnostic:
        message = "this line is neither `key: value` nor `- item`"
        label = "write a blank after `:`" if ":" in text else "a `:` is missing"
        return self._because(message, start, start + len(text), label)

    def _known_words(self) -> Diagnostic | None:
        """What the parser says is enough."""
        if self.words.startswith("did not find expected key"):
            line = self.document.line(self.number + 1)
            if (item := _ITEM.match(line)) and item[2]:
                message = "this item is not indented like those above"
                label = "indent it as far as the `- ` above"
                return self._because(message, self.place, self._end_of_line(), label)
        if "<document start>" in self.words and (first := _INDENTED_FIRST.match(self.text)):
            message, label = "the first key is indented", "begin it at the left edge"
            return self._because(message, *first.span(1), label)
        for (construct, words), (message, label) in _WORDS.items():
            if construct in self.construct and words in self.words:
                found = _HERE.match(self.text, self.place)
                end = found.end() if found else self.place
                return self._because(message, self.place, end, label)
        return None


def _spaces(number: int) -> str:
    return "no spaces" if number == 0 else "1 space" if number == 1 else f"{number} spaces"
