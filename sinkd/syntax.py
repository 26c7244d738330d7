"""What to say when a text is not YAML: libyaml's few words, and a look at the lines, in plain words.

Pure text work on what `document` found; nothing is parsed here.
"""

import re
from typing import TYPE_CHECKING

from sinkd.diagnostics import Diagnostic, Edit

if TYPE_CHECKING:
    import yaml

    from sinkd.document import Document

_STOPPED = ("nothing after this line was checked",)
_CHARACTER_NAMES = {0: " (NUL)", 0x1B: " (ESC)", 0x7F: " (DEL)", 0xFEFF: " (byte order mark)"}


def explain(document: "Document", error: "yaml.MarkedYAMLError") -> Diagnostic:
    """Return the problem for which the parser gave up."""
    mark = error.problem_mark or error.context_mark
    index = mark.index if mark else 0
    message = f"not YAML: {error.problem or error.context}"
    return Diagnostic("SNK001", message, document.span(index, index + 1), help=_STOPPED)


def forbidden_character(document: "Document", found: re.Match[str]) -> Diagnostic:
    """Return the problem of a character that no jobs file may hold."""
    code = ord(found[0])
    name = _CHARACTER_NAMES.get(code, "")
    message = f"the character U+{code:04X}{name} is not allowed"
    label = "remove it; in double quotes an escape writes any character"
    return Diagnostic("SNK005", message, document.span(*found.span()), label)


def no_break_space(document: "Document", start: int) -> Diagnostic:
    """Return the problem of a no-break space outside of quotes."""
    span = document.span(start, start + 1)
    message = "a no-break space (U+00A0) is used as a blank"
    advice = "to YAML it is a letter; in quotes it is allowed"
    return Diagnostic("SNK005", message, span, "type a space", (advice,), fix=Edit(span, " "))


def not_utf8(document: "Document", data: bytes) -> Diagnostic:
    """Return the problem of a file in another encoding; `document` holds what was readable."""
    end = len(document.text)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        message, label = "the file is UTF-16", "save it as UTF-8"
    else:
        message = "this byte is not UTF-8"
        label = "save the file as UTF-8"
    return Diagnostic("SNK005", message, document.span(end, end + 1), label)
