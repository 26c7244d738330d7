"""Text for terminals: untrusted text made harmless, columns aligned by display width.

Names, errors and headers of a record come from files and servers. What is neither printable ASCII
nor a letter, a digit or `…` is shown as its code, so that no text can move the cursor, set a colour,
write to the clipboard or reverse the reading direction.
"""

import shutil
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, TextIO

import click
from pydantic_core import to_json


class LossyStream:
    """A text stream that drops what it cannot write.

    A full disk or a closed pipe behind the diagnostic log must not end a daemon.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - all else is the stream's own
        """Return what the stream has of this name."""
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write the text, if that can be."""
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush what was written, if that can be."""
        with suppress(OSError):
            self._stream.flush()


def escape(text: object) -> str:
    r"""Return the text with everything unprintable as `\xNN` or `\u{…}`; a newline as well."""
    return "".join(map(_escape_character, str(text)))


def json_text(answer: object) -> str:
    """Return an answer as JSON for people and programs, all of it printable ASCII."""
    text = to_json(answer, indent=2, ensure_ascii=True).decode()
    return text.replace("\x7f", "\\u007f")


def width(text: str) -> int:
    """Return how many terminal cells the text takes: two for each wide character."""
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def align(rows: Iterable[Sequence[str]], sides: str, gap: str = "  ") -> list[str]:
    """Return the rows as lines of aligned columns; `sides` has `<` or `>` for each column."""
    table = list(rows)
    widths = [max(map(width, column)) for column in zip(*table, strict=True)]
    return [
        gap.join(pad(*cell) for cell in zip(row, widths, sides, strict=True)).rstrip()
        for row in table
    ]


def pad(text: str, cells: int, side: str = "<") -> str:
    """Return the text filled with blanks to a width, at its end (`<`) or its start (`>`)."""
    blanks = " " * (cells - width(text))
    return blanks + text if side == ">" else text + blanks


def columns() -> int | None:
    """Return how wide the terminal is; None when standard output is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def show(lines: Iterable[str], *, color: bool) -> None:
    """Write the lines to standard output; what its encoding lacks becomes `?`."""
    encoding = sys.stdout.encoding or "utf-8"
    for line in lines:
        click.echo(line.encode(encoding, "replace").decode(encoding), color=color)


def warn(text: str) -> None:
    """Say on standard error what to know beside the output, if there is anything."""
    if text:
        click.echo(f"sinkd: {text}", err=True)


def _escape_character(char: str) -> str:
    if " " <= char <= "~" or char == "…" or (char > "\x7f" and char.isalnum()):
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{{{code:x}}}"  # noqa: PLR2004 - a byte
