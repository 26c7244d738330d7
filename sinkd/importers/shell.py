"""Reads the words of a simple shell command, as far as no shell is needed to know them.

Variables become references: `"Bearer $TOKEN"` is `Bearer ${env:TOKEN}`. Where the answer was
written to (`>/dev/null 2>&1`) is dropped.
"""

import re
from collections.abc import Mapping
from typing import Final

from sinkd.importers.entry import InexpressibleError

_VARIABLE: Final = r"\$(?:(?P<name>[A-Za-z_]\w*)|\{(?P<braced>[A-Za-z_]\w*)\})"
_SUBSTITUTION: Final = r"(?P<substitution>`|\$[({0-9?$!#@*-])"
_TOKEN: Final = re.compile(
    rf"""
      (?P<blank>[ \t]+)
    | (?P<comment>(?<!\S)\#.*)
    | (?P<no_matter>\|\|[ ]*(?:/bin/)?(?:true|:)[ ]*$)
    | (?P<redirection>(?:&|(?<!\S)[0-9]+)?>[>|]?(?P<descriptor>&[0-9-])?[ \t]*)
    | '(?P<single>[^']*)'
    | "(?P<double>(?:[^"\\]|\\.)*)"
    | \\(?P<escaped>.)
    | {_VARIABLE}
    | {_SUBSTITUTION}
    | (?P<operator>\|\|?|&&?|;|[()<])
    | (?P<plain>[^\s'"\\$`|&;()<>]+|\$)
    """,
    re.VERBOSE | re.ASCII | re.DOTALL,
)
_IN_DOUBLE_QUOTES: Final = re.compile(
    rf"""\\(?P<escaped>[$`"\\])|{_VARIABLE}|{_SUBSTITUTION}|(?P<plain>[^\\$`]+|[\\$])""",
    re.VERBOSE | re.ASCII | re.DOTALL,
)

_REFERENCE: Final = re.compile(r"(?<!\$)\$\{env:(\w+)\}", re.ASCII)


def words(command: str) -> list[str]:
    """Return the words of a command, quotes taken off; `${` that is no variable as `$${`.

    Raises InexpressibleError when a shell would have to run.
    """
    found: list[str] = []
    pieces: list[tuple[str, bool]] | None = None  # of the word being read: text, is a reference
    is_target = False  # of a redirection
    for token in _tokens(_TOKEN, command):
        kind = token.lastgroup
        if kind in {"blank", "comment", "no_matter", "redirection"}:
            if pieces is not None:
                found += [] if is_target else [_joined(pieces)]
                pieces, is_target = None, False
            if kind == "redirection":
                is_target = token["descriptor"] is None
        elif kind == "double":
            inner = _tokens(_IN_DOUBLE_QUOTES, token["double"])
            pieces = [*(pieces or []), *map(_piece, inner)]
        else:
            pieces = [*(pieces or []), _piece(token)]
    if pieces is not None and not is_target:
        found.append(_joined(pieces))
    return found


def _tokens(pattern: re.Pattern[str], text: str) -> list[re.Match[str]]:
    found: list[re.Match[str]] = []
    position = 0
    while position < len(text):
        token = pattern.match(text, position)
        if token is None:
            message = "a quote or backslash is left open"
            raise InexpressibleError(message)
        found.append(token)
        position = token.end()
    return found


def _piece(token: re.Match[str]) -> tuple[str, bool]:
    """Return what a token adds to a word, and whether that is a reference."""
    kind = token.lastgroup or ""
    if kind == "substitution":
        message = "the shell puts in what a command says or what only it knows"
        raise InexpressibleError(message)
    if kind == "operator":
        message = f"`{token['operator']}` needs a shell: sinkd sends one HTTP request"
        raise InexpressibleError(message)
    if kind in {"name", "braced"}:
        return f"${{env:{token[kind]}}}", True
    return token[kind], False


def _joined(pieces: list[tuple[str, bool]]) -> str:
    """Join pieces to a text in the grammar of a jobs file, where `$${` stands for `${`."""
    text, literal = "", ""
    for piece, is_reference in pieces:
        if is_reference and literal.endswith("$"):
            message = "a `$` right before a variable cannot be written"
            raise InexpressibleError(message)
        if is_reference:
            text, literal = text + literal.replace("${", "$${") + piece, ""
        else:
            literal += piece
    return text + literal.replace("${", "$${")


def with_values(text: str, values: Mapping[str, str]) -> str:
    """Put the values of known variables in the place of their references."""

    def value(found: re.Match[str]) -> str:
        known = values.get(found[1])
        return found[0] if known is None else known.replace("${", "$${")

    return _REFERENCE.sub(value, text)
