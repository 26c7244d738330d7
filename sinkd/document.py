"""A YAML text read strictly: plain data, the place of every key and value, and what is wrong.

YAML 1.2 core scalars over libyaml's events, in one pass, without its composer (which recurses in
C until it crashes). Anchors, aliases, merge keys, tags, directives, second documents, duplicate
keys and keys that are not text are problems; a text nested too deep or with too many parts is
given up while it is read. Security 3.1.

Nodes are numbered in the order of the text. Their offsets stand in arrays, lines and columns are
computed when somebody asks: a file of 10,000 jobs costs little more than its parse.
"""

import bisect
import functools
import re
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import yaml

from sinkd.diagnostics import Diagnostic, Edit, Lines, Related, Span, quoted
from sinkd.jobsfile import JOBS_LIMIT, is_ignored

DEPTH_LIMIT: Final = 32
PROBLEMS_LIMIT: Final = 1000
LINES_LIMIT: Final = 2_000_000
ENTRIES_LIMIT: Final = 1000  # of a mapping or list that is neither `jobs`, nor in a body or `x-`
PARTS_LIMIT: Final = 250_000  # two seconds of work allow hardly more
CHARACTERS_OF_A_PART: Final = 8  # of those beyond the limit; people's have more, bombs two or three
_PARTS_AT_ONCE: Final = 4096
_KEY_REPEATED: Final = 60  # characters

Location: TypeAlias = tuple[str | int, ...]

_Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the pure one where libyaml lacks
_FORBIDDEN = re.compile(
    "([\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff])"
    "\\1{0,99}"
)
_WIDE = re.compile("[^\0]\0|\0{1,3}[^\0]")  # how an ASCII character begins in UTF-16 and UTF-32
_CHARACTER_NAMES: Final = {
    0: " (NUL)", 0x1B: " (ESC)", 0x7F: " (DEL)", 0xFEFF: " (byte order mark)",
}  # fmt: skip
_NO_BREAK_SPACE = "\u00a0"
_WORDS: Final[Mapping[str, bool | None]] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_WORD_OR_NUMBER = frozenset("~nNtTfF+-.0123456789")  # how one may begin
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,3999})")
_ODD_INTEGER = re.compile(r"[-+]?[0-9]{1,4000}|0o[0-7]{1,4000}|0x[0-9a-fA-F]{1,3000}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_A_NUMBER = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_NUMBERS = functools.partial(array, "I")
_THOUSANDS = re.compile(r"(?<![\w.])[0-9]{1,3},$")
_PROPERTY = re.compile(r"[^\s,\[\]{}]+")
_MAY_BEGIN_A_NODE = re.compile(r"[&*!](?<![^\s,\[\]{}\"':?-].)")
_MEANT_BY_TAGS: Final = {
    "!env": "write `${env:NAME}`",
    "!secret": "write `${file:NAME}`",
    "!include": "write it out: there is one file",
}
_DIRECTIVE = re.compile(r"^%.*", re.MULTILINE)


@dataclass
class Document:
    """The data of a text, and where each part of it stands.

    `data` holds dicts with text keys, lists and scalars; of duplicate keys the first. `finished`
    is False when the text was given up: then `data` is None, and `failure` is the parser's error
    if the text is not YAML (`syntax` has words for it). `odd_integers` are nodes such as `010` or
    `0x1F`, integers that people and programs read differently; `spoiled` are scalars that a
    problem inside of them makes worthless.
    """

    text: str
    data: Any = None
    problems: list[Diagnostic] = field(default_factory=list)
    failure: yaml.MarkedYAMLError | None = None
    finished: bool = False
    odd_integers: list[int] = field(default_factory=list)
    spoiled: list[int] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    starts: "array[int]" = field(default_factory=_NUMBERS)
    ends: "array[int]" = field(default_factory=_NUMBERS)
    following: "array[int]" = field(default_factory=_NUMBERS)  # the node after all of this one
    duplicates: list[tuple[int, int]] = field(default_factory=list)  # mapping, second key
    _children: dict[int, Any] = field(default_factory=dict)

    @functools.cached_property
    def lines(self) -> Lines:
        """The lines of the text."""
        return Lines(self.text)

    def span(self, start: int, end: int) -> Span:
        """Return the lines and columns of the text in [start, end)."""
        start, end = min(start, len(self.text)), min(end, len(self.text))
        line, end_line = self.lines.number(start), self.lines.number(end)
        columns = start - self.lines.start(line) + 1, end - self.lines.start(end_line) + 1
        return Span(line, columns[0], end_line, columns[1])

    def offset(self, line: int, column: int) -> int:
        """Return where in the text a line's column stands, both counted from 1."""
        return self.lines.start(line) + column - 1

    def line(self, number: int) -> str:
        """Return a line, counted from 1, without its break."""
        return self.lines.line(number)

    def node_span(self, node: int) -> Span:
        """Return where a node stands, without the blanks that follow it."""
        start = self.starts[node]
        return self.span(start, start + len(self.raw(node).rstrip(" \t\r\n")))

    def raw(self, node: int) -> str:
        """Return a node as it is written."""
        return self.text[self.starts[node] : self.ends[node]]

    def is_plain(self, node: int) -> bool:
        """Say whether a scalar is written without quotes and not as a block."""
        return self.text[self.starts[node] : self.starts[node] + 1] not in {'"', "'", "|", ">"}

    def children(self, node: int) -> Any:  # noqa: ANN401 (a dict or a list, by the node)
        """Return a mapping's `{key: (key node, value node)}`, or a list's item nodes."""
        if (known := self._children.get(node)) is None:
            items = list(self._items(node))
            if isinstance(self.values[node], dict):
                pairs = zip(items[::2], items[1::2], strict=True)
                known = {
                    self.values[key]: (key, value)
                    for key, value in reversed(list(pairs))
                    if isinstance(self.values[key], str)
                }
            else:
                known = items
            self._children[node] = known
        return known

    def _items(self, node: int) -> Iterator[int]:
        item = node + 1
        while item < self.following[node]:
            yield item
            item = self.following[item]

    def find(self, location: Location) -> tuple[int | None, int, bool]:
        """Return the key and value nodes of a location, and True.

        Where it does not exist: those of the longest part of it that does, and False.
        """
        key: int | None = None
        node = 0
        for part in location:
            value = self.values[node]
            if isinstance(value, dict) and part in (pairs := self.children(node)):
                key, node = pairs[part]
            elif isinstance(value, list) and isinstance(part, int) and part < len(value):
                key, node = None, self.children(node)[part]
            else:
                return key, node, False
        return key, node, True

    def location(self, node: int) -> Location | None:
        """Return the keys and indices that lead to a value, None when the data has lost it."""
        location: list[str | int] = []
        here = 0
        while here != node:
            children = self.children(here)
            if isinstance(children, list):
                number = bisect.bisect_right(children, node) - 1
                here = children[number]
                location.append(number)
            else:
                values = ((value, key) for key, (_, value) in children.items() if value <= node)
                here, key = max(values, default=(0, ""))
                location.append(key)
            if not 0 < here <= node < self.following[here]:
                return None
        return tuple(location)

    def report(self, problem: Diagnostic) -> None:
        """Add a problem; after a thousand the text is given up."""
        self.problems.append(problem)
        if len(self.problems) >= PROBLEMS_LIMIT:
            message = f"the file has {PROBLEMS_LIMIT:,} problems or more"
            raise _GivenUpError(problem.span, message)


class _GivenUpError(Exception):
    """The rest of the text is not worth reading."""

    def __init__(self, span: Span, message: str, code: str = "SNK006") -> None:
        super().__init__(message)
        self.problem = Diagnostic(code, message, span, "nothing after this was checked")


def read(text: str) -> Document:
    """Read a YAML text; what is wrong with it is in the document's `problems`."""
    document = Document(text)
    try:
        _check_characters(document)
        if document.problems:
            return document
        _build(document)
        _check_duplicates(document)
        _check_no_break_spaces(document)
    except yaml.MarkedYAMLError as error:
        document.failure = error
    except _GivenUpError as stop:
        document.problems.append(stop.problem)
    else:
        document.data = document.values[0] if document.values else None
        document.finished = True
    return document


def parse(text: str) -> Iterator[Any]:
    """Yield the events of a text, by libyaml."""
    return iter(_Parser(text).get_event, None)


def _check_characters(document: Document) -> None:
    if max(document.text.count("\n"), document.text.count("\r")) > LINES_LIMIT:
        raise _GivenUpError(Span(1, 1, 1, 1), f"the file has more than {LINES_LIMIT:,} lines")
    if _WIDE.match(document.text):
        message, label = "the file is UTF-16 or UTF-32", "save the file as UTF-8"
        document.report(Diagnostic("SNK005", message, document.span(0, 1), label))
        return
    for found in _FORBIDDEN.finditer(document.text):
        code = ord(found[1])
        name = _CHARACTER_NAMES.get(code, "")
        message = f"the character U+{code:04X}{name} is not allowed"
        label = "remove it; in double quotes an escape writes any character"
        document.report(Diagnostic("SNK005", message, document.span(*found.span()), label))


def _check_growth(document: Document, open_: list[Any]) -> None:
    """Give up a text that grows beyond any jobs file, before it takes seconds and gigabytes.

    `open_` are the mappings and lists that are open, the outermost first.
    """
    root = open_[0]
    jobs = root.get("jobs") if type(root) is dict else None
    count = len(jobs) if type(jobs) is list else 0
    if count > JOBS_LIMIT:
        message = f"`jobs` has at most {JOBS_LIMIT:,} entries"
        raise _GivenUpError(document.node_span(_jobs_key(document)), message, "SNK109")
    here = document.span(document.starts[-1], document.starts[-1] + 1)
    if len(document.values) > PARTS_LIMIT + document.starts[-1] // CHARACTERS_OF_A_PART:
        message = f"the file has more than {PARTS_LIMIT:,} parts, most of them tiny"
        raise _GivenUpError(here, message)
    if len(document.duplicates) > PROBLEMS_LIMIT:
        raise _GivenUpError(here, f"the file has more than {PROBLEMS_LIMIT:,} duplicate keys")
    keys = [next(reversed(each), "") for each in open_ if type(each) is dict]
    if "body" in keys or any(is_ignored(key) for key in keys):
        return
    for each in open_:
        if len(each) > ENTRIES_LIMIT and each is not jobs:
            what = "mapping" if type(each) is dict else "list"
            raise _GivenUpError(here, f"this {what} has more than {ENTRIES_LIMIT:,} entries")


def _jobs_key(document: Document) -> int:
    key = 1
    while document.values[key] != "jobs":
        key = document.following[document.following[key]]
    return key


_NO_KEY: Final = object()  # what comes next in a mapping is a key
_LOST: Final = object()  # the value that comes next has no place in the data
_LIST: Final = object()  # what comes next is an item


def _build(document: Document) -> None:  # noqa: C901, PLR0912 (a call per event costs too much)
    """Turn the events of the text into data and places; this loop is what a big file costs."""
    text, values = document.text, document.values
    starts, ends, following = document.starts, document.ends, document.following
    may_have_properties = _MAY_BEGIN_A_NODE.search(text) is not None
    outer: list[tuple[Any, Any, int]] = []
    container: Any = []  # what is open; `key` says what is expected in it, `owner` is its node
    key: Any = _LIST
    owner = -1
    for event in parse(text):
        kind = type(event)
        if kind is yaml.ScalarEvent:
            value = event.value
            if event.implicit[0] and (not value or value[0] in _WORD_OR_NUMBER):
                value = _plain_value(document, value)
        elif kind is yaml.MappingStartEvent:
            value = {}
        elif kind is yaml.SequenceStartEvent:
            value = []
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            ends[owner] = event.end_mark.index
            following[owner] = len(values)
            container, key, owner = outer.pop()
            continue
        elif kind is yaml.AliasEvent:
            value = None
        elif kind is yaml.DocumentStartEvent and not _begin_document(document, event):
            return
        else:
            continue
        node = len(values)
        values.append(value)
        starts.append(event.start_mark.index)
        ends.append(event.end_mark.index)
        following.append(node + 1)
        if may_have_properties:
            _check_properties(document, event, node)
        if not node % _PARTS_AT_ONCE and node:
            _check_growth(document, [each for each, _, _ in outer[1:]] + [container])
        if key is _LIST:
            container.append(value)
        elif key is _NO_KEY:
            key = _key(document, container, owner, node)
        else:
            if key is not _LOST:
                container[key] = value
            key = _NO_KEY
        if kind is not yaml.ScalarEvent and kind is not yaml.AliasEvent:
            outer.append((container, key, owner))
            container, key, owner = value, _LIST if type(value) is list else _NO_KEY, node
            if len(outer) > DEPTH_LIMIT:
                message = f"the file is nested more than {DEPTH_LIMIT} deep"
                raise _GivenUpError(document.span(starts[node], starts[node] + 1), message)


def _plain_value(document: Document, text: str) -> Any:  # noqa: ANN401 (a scalar)
    """Return the value of an unquoted scalar by the YAML 1.2 core schema."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _ODD_INTEGER.fullmatch(text):
        document.odd_integers.append(len(document.values))
        return int(text, 0) if text[1:2] in {"x", "o"} else int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return float(text.replace(".", "")) if _NOT_A_NUMBER.fullmatch(text) else text


def _key(document: Document, mapping: dict[str, Any], owner: int, node: int) -> object:
    """Check a key and return it, or `_LOST`; of duplicates the first stays in the data."""
    value = document.values[node]
    if type(value) is not str:
        _refuse_key(document, owner, node)
    elif value == "<<" and document.is_plain(node):
        _refuse(document, "a merge key", node)
    elif value in mapping:
        document.duplicates.append((owner, node))
    else:
        return value
    return _LOST


def _refuse_key(document: Document, owner: int, node: int) -> None:
    span = document.node_span(node)
    if isinstance(document.values[node], dict | list):
        is_template = document.text.startswith("{{", document.starts[node] - 1)
        label = "fill in the template, or quote it" if is_template else "not a mapping or list"
        if is_template:
            document.spoiled.append(owner)
        document.report(Diagnostic("SNK108", "a key must be text", span, label))
        return
    raw, start = document.raw(node), document.starts[node]
    head = _THOUSANDS.search(document.text[max(0, start - 5) : start])
    if head and len(raw) == len("000") and raw.isdecimal():
        span = document.span(start - len(head[0]), start + len(raw))
        number, message = head[0][:-1] + raw, "a number is written without separators"
        fix = Edit(span, number, safe=False)
        document.report(Diagnostic("SNK108", message, span, f"write {number}", fix=fix))
        return
    message = f"a key must be text: {quoted(raw)}"
    if not raw or len(raw) > _KEY_REPEATED:
        document.report(Diagnostic("SNK108", message, span, "write it in quotes"))
        return
    fix = Edit(span, f'"{raw}"')
    document.report(Diagnostic("SNK108", message, span, f'write `"{raw}"`', fix=fix))


def _check_properties(document: Document, event: Any, node: int) -> None:  # noqa: ANN401
    """Refuse an alias, and the anchor or tag with which a node begins."""
    mark = document.text[document.starts[node] : document.starts[node] + 1]
    if type(event) is yaml.AliasEvent:
        _refuse(document, "an alias", node)
    elif mark in {"&", "!"} and (found := _PROPERTY.match(document.text, document.starts[node])):
        _refuse(document, "an anchor" if mark == "&" else "a tag", node, found.end())


def _refuse(document: Document, what: str, node: int, end: int | None = None) -> None:
    span = document.span(document.starts[node], end or document.ends[node])
    if what == "a tag":
        label = _MEANT_BY_TAGS.get(document.text[document.starts[node] : end].lower(), "remove it")
        advice = "`!` tags are not supported; quotes make a value text"
    else:
        label = "write the values out"
        advice = "`&`, `*` and `<<` are not supported; put shared values in `defaults:`"
    document.report(Diagnostic("SNK004", f"{what} is not supported", span, label, (advice,)))


def _begin_document(document: Document, event: Any) -> bool:  # noqa: ANN401 (an event)
    """Refuse directives, and return False for a second document, which is not read."""
    if document.values:
        index = event.start_mark.index
        message = "a second document is not supported"
        label = "one file is one document; nothing after this was checked"
        document.report(Diagnostic("SNK004", message, document.span(index, index + 3), label))
        return False
    if (event.version or event.tags) and (found := _DIRECTIVE.search(document.text)):
        message = f"the directive {quoted(found[0])} is not supported"
        document.report(Diagnostic("SNK004", message, document.span(*found.span()), "remove it"))
    return True


def _check_duplicates(document: Document) -> None:
    joined: set[int] = set()  # mappings that are two jobs, for want of a `- `
    for mapping, node in document.duplicates:
        key = document.values[node]
        if mapping in joined:
            continue
        label = "the last one would silently win"
        if key == "name" and (document.location(mapping) or ())[:-1] == ("jobs",):
            label = "each job begins with `- name:`"
            joined.add(mapping)
        first, _ = document.children(mapping)[key]
        document.report(
            Diagnostic(
                "SNK003",
                f"duplicate key {quoted(key)}",
                document.node_span(node),
                label,
                related=(Related(document.node_span(first), "first set here"),),
            )
        )


def _check_no_break_spaces(document: Document) -> None:
    """Refuse the blank that looks like a space and is a letter to YAML, where it is not quoted."""
    if _NO_BREAK_SPACE not in document.text:
        return
    for node, value in enumerate(document.values):
        if type(value) is str and _NO_BREAK_SPACE in value and document.is_plain(node):
            start = document.starts[node] + document.raw(node).index(_NO_BREAK_SPACE)
            span = document.span(start, start + 1)
            message = "a no-break space (U+00A0) is used as a blank"
            advice = ("to YAML it is a letter; in quotes it is allowed",)
            indents = not document.line(span.line)[: span.column - 1].strip()
            fix = None if indents else Edit(span, " ")
            document.spoiled.append(node)
            document.report(Diagnostic("SNK005", message, span, "type a space", advice, fix=fix))
